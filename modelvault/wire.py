"""The records of a vault and their one byte form: `docs/spec/v1.md`, in code.

A record is a JSON object in canonical form: UTF-8, keys sorted by code point, no spaces, no NaN, every value once.  All
records but the manifest are *sealed*: their last member, ``"~sha256"``, is the SHA-256 of the record without it, so that
any change of any bit shows.  A manifest needs no seal: the digest in its claim names its bytes.

Reading is strict, for records are written by strangers: size, depth, duplicates and types are checked before a field is
believed, and the names inside are bound to the key by `journal` and `catalog`.  Members that this release does not know
are kept.  The only module that imports pydantic.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, NewType, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from modelvault import reference
from modelvault.errors import Code, Corrupt, InvalidInput, Unsupported, VaultError, shown

__all__ = [
    "Claim",
    "DataRef",
    "Digest",
    "Environment",
    "File",
    "Git",
    "JsonValue",
    "Manifest",
    "Move",
    "Note",
    "NoteKind",
    "Part",
    "Provenance",
    "Target",
    "VaultRecord",
    "canonical",
    "digest_of",
    "plain",
    "portable_path",
    "portable_paths",
    "read_manifest",
    "read_sealed",
    "record",
    "seal",
    "write_manifest",
]

Digest = NewType("Digest", str)

RECORD_LIMIT: Final = 16 * 1024 * 1024
DEPTH_LIMIT: Final = 32
FILES_LIMIT: Final = 100_000
TEXT_LIMIT: Final = 64 * 1024
_INTEGER_DIGITS: Final = 20
_SEAL: Final = re.compile(rb'[{,]"~sha256":"([0-9a-f]{64})"\}\Z')
_SEAL_LENGTH: Final = len(b',"~sha256":""}') + 64
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
_DIGEST: Final = r"^(sha256|blake3):[0-9a-f]{64}$"
_SHA256: Final = r"^sha256:[0-9a-f]{64}$"
_BLOB: Final = r"^sha256:[0-9a-f]{64}(\.[0-9a-f]{8,32})?$"
_TXN: Final = r"^[0-9a-f]{32}$"


# --- bytes ---------------------------------------------------------------------------------------------------------


def canonical(value: JsonValue) -> bytes:
    """The one byte form of a JSON value.

    Raises:
        InvalidInput: `bad-value`, a number that is not finite, or text that is not Unicode.
    """
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode("utf-8")
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidInput(f"cannot be stored as JSON: {shown(error)}", code=Code.BAD_VALUE) from error


def digest_of(data: bytes) -> Digest:
    """The SHA-256 of `data`, as ``sha256:<64 hex>``."""
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _integer(text: str) -> int:
    if len(text) > _INTEGER_DIGITS:
        raise ValueError("an integer of too many digits")
    return int(text)


def _constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON")


def _depth(value: object) -> int:
    deepest, level = 0, [value]
    while level:
        deepest += 1
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node if isinstance(node, list) else ())
        ]
    return deepest


def _parse(raw: bytes) -> dict[str, Any]:
    """The object in `raw`; ValueError, in words, unless it is canonical and within the limits."""
    if len(raw) > RECORD_LIMIT:
        raise ValueError(f"{len(raw):,} bytes, more than {RECORD_LIMIT:,}")
    try:
        value = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_members, parse_int=_integer, parse_constant=_constant
        )
    except RecursionError:
        raise ValueError(f"nested deeper than {DEPTH_LIMIT}") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - one kind of failure, translated by the caller
    if _depth(value) > DEPTH_LIMIT:
        raise ValueError(f"nested deeper than {DEPTH_LIMIT}")
    if canonical(value) != raw:
        raise ValueError("not in canonical form")
    return value


# --- values --------------------------------------------------------------------------------------------------------

_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE | re.ASCII)
_PATH_LIMIT, _SEGMENT_LIMIT = 1024, 255


def _segment_fault(segment: str) -> str:
    if segment in {"", ".", ".."}:
        return f"has the segment {segment!r}"
    if segment[-1] in ". " or segment[0] == " ":
        return "has a segment that begins or ends with a space, or ends with a dot"
    if _RESERVED.fullmatch(segment):
        return f"has the reserved name {segment!r}"
    if len(segment.encode("utf-8", "replace")) > _SEGMENT_LIMIT:
        return f"has a segment of more than {_SEGMENT_LIMIT} bytes"
    return ""


def _path_fault(path: str) -> str:
    if len(path.encode("utf-8", "replace")) > _PATH_LIMIT:
        return f"is longer than {_PATH_LIMIT} bytes"
    if any(c in '\\:*?"<>|' or not c.isprintable() for c in path):
        return "has a character that not every file system can store"
    if unicodedata.normalize("NFC", path) != path:
        return "is not in Unicode normal form C"
    return next(filter(None, map(_segment_fault, path.split("/"))), "")


def portable_path(path: str) -> str:
    """`path`, if it is relative and means the same file on every system.

    Raises:
        InvalidInput: `bad-path`, with what is wrong with it.
    """
    fault = _path_fault(path)
    if fault:
        raise InvalidInput(
            f"the path {shown(path)!r} {fault}", code=Code.BAD_PATH, hint="rename the file: letters, digits, '._-'"
        )
    return path


def portable_paths(paths: Iterable[str]) -> None:
    """Refuse paths that would fall onto each other on some system.

    Raises:
        InvalidInput: `bad-path`, two are equal but for case, or one is a folder of the other.
    """
    seen: dict[str, str] = {}
    for path in paths:
        other = seen.setdefault(_folded(path), path)
        if other is not path:
            raise InvalidInput(f"the paths {shown(other)!r} and {shown(path)!r} collide", code=Code.BAD_PATH)
    for folded, path in seen.items():
        parts = folded.split("/")
        for depth in range(1, len(parts)):
            other = seen.get("/".join(parts[:depth]), "")
            if other:
                raise InvalidInput(f"{shown(other)!r} is a file and a folder of {shown(path)!r}", code=Code.BAD_PATH)


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path.casefold())


_PLAIN_DEPTH = 16
_REPR_LIMIT = 2_000


def plain(value: object, depth: int = 0) -> JsonValue:
    """`value` as JSON can say it: numbers, text and containers as they are, anything else as its `repr`.

    A `repr` that holds an address becomes the name of the type, so that equal parameters stay equal.  NaN and the
    infinities become ``"nan"``, ``"inf"`` and ``"-inf"``.
    """
    if value is None or isinstance(value, bool | str):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, int):
        return int(value) if abs(value) < 10 ** (_INTEGER_DIGITS - 1) else repr(int(value))
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else repr(float(value))
    if depth < _PLAIN_DEPTH and isinstance(value, Mapping):
        return {str(key): plain(member, depth + 1) for key, member in value.items()}
    if depth < _PLAIN_DEPTH and isinstance(value, list | tuple):
        return [plain(member, depth + 1) for member in value]
    if callable(getattr(value, "item", None)) and getattr(value, "shape", None) == ():
        item: object = value.item()  # type: ignore[attr-defined] # an array library's scalar
        return plain(item, _PLAIN_DEPTH)
    text = repr(value)
    if " at 0x" in text or len(text) > _REPR_LIMIT:
        return f"<{type(value).__module__}.{type(value).__qualname__}>"
    return text


def _instant(value: object) -> object:
    if isinstance(value, str) and not _INSTANT.fullmatch(value):
        raise ValueError("not an instant such as 2026-11-23T07:49:15.000000Z")
    return value


def _instant_text(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _believed(check: Any) -> AfterValidator:
    """A rule of `reference` as a validator: its error becomes the record's."""

    def validate(text: str) -> str:
        try:
            return str(check(text))
        except VaultError as error:
            raise ValueError(error.message) from error

    return AfterValidator(validate)


_Model = Annotated[str, _believed(reference.model_name)]
_AliasName = Annotated[str, _believed(reference.alias_name)]
_Number = Annotated[str, _believed(reference.number)]
_Path = Annotated[str, _believed(portable_path)]
_AnyDigest = Annotated[str, Field(pattern=_DIGEST)]
_Sha256 = Annotated[str, Field(pattern=_SHA256)]
_Blob = Annotated[str, Field(pattern=_BLOB)]
_Txn = Annotated[str, Field(pattern=_TXN)]
_Text = Annotated[str, Field(max_length=TEXT_LIMIT)]
_Name = Annotated[str, Field(max_length=200)]
_Size = Annotated[int, Field(ge=0, lt=2**63)]
_Seq = Annotated[int, Field(ge=1, lt=9_999_999_999)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Instant = Annotated[
    datetime,
    BeforeValidator(_instant),
    PlainSerializer(_instant_text, return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^" + _INSTANT.pattern + "$"}),
]


# --- records -------------------------------------------------------------------------------------------------------


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", strict=True)


class Part(_Record):
    """A verified range of a blob: `size` bytes at `offset` of `blob`, whose digest is `digest`.

    `blob` is left out where it is named by the part's own digest, `offset` where it is 0.
    """

    digest: _AnyDigest
    size: _Size
    offset: _Size = 0
    blob: _Blob | None = None

    @model_validator(mode="after")
    def _names_a_blob(self) -> Self:
        if self.blob is None and not self.digest.startswith("sha256:"):
            raise ValueError("a part whose digest is no sha256 must name its blob")
        return self


class File(_Record):
    """A file of a version: where it stands, and the parts that make it up, in order, or its bytes `inline` (base64)."""

    path: _Path
    size: _Size
    digest: _Sha256
    parts: tuple[Part, ...] = ()
    inline: str | None = None

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if self.inline is None:
            if not self.parts or sum(part.size for part in self.parts) != self.size:
                raise ValueError(f"the parts of {shown(self.path)} do not add up to its size")
        elif self.parts or len(self.data or b"") != self.size or digest_of(self.data or b"") != self.digest:
            raise ValueError(f"the inline bytes of {shown(self.path)} are not what it claims")
        return self

    @property
    def data(self) -> bytes | None:
        """The inline bytes, if it has them."""
        if self.inline is None:
            return None
        try:
            return base64.b64decode(self.inline, validate=True)
        except binascii.Error as error:
            raise ValueError("inline is not base64") from error


class DataRef(_Record):
    """Data that a model was trained on: named and fingerprinted, not copied.

    `how` says what `digest` is worth: ``sha256`` the bytes were read, ``unread`` they were not.
    """

    uri: _Text
    how: _Name
    digest: _Sha256 | None = None
    size: _Size | None = None


class Environment(_Record):
    """What ran at publish: the interpreter, and the distributions that the artifact refers to."""

    python: _Name
    implementation: _Name
    platform: _Name
    packages: dict[str, _Name] = {}


class Git(_Record):
    """The commit of the working directory; `remote` without credentials."""

    commit: _Name
    dirty: bool
    remote: _Text | None = None


class Provenance(_Record):
    """Where a version came from."""

    git: Git | None = None


class Manifest(_Record):
    """What a version is.  Who published it and when stands in its claim: equal content has an equal manifest."""

    record: Literal["manifest/1"] = "manifest/1"
    model: _Model
    version: _Number
    format: _Name
    files: Annotated[tuple[File, ...], Field(max_length=FILES_LIMIT)]
    signature: JsonValue = None
    params: dict[str, JsonValue] = {}
    metrics: dict[str, _Finite] = {}
    data: tuple[DataRef, ...] = ()
    notes: _Text = ""
    environment: Environment | None = None
    provenance: Provenance | None = None

    @model_validator(mode="after")
    def _paths_are_apart(self) -> Self:
        try:
            portable_paths(file.path for file in self.files)
        except InvalidInput as error:
            raise ValueError(error.message) from error
        return self

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(file.size for file in self.files)


class Target(_Record):
    """A version pinned by the digest of its manifest; a small manifest stands `inline`, else it is the blob `blob`."""

    version: _Number
    digest: _Sha256
    size: _Size
    inline: str | None = None
    blob: _Blob | None = None

    @model_validator(mode="after")
    def _is_found(self) -> Self:
        if (self.inline is None) == (self.blob is None):
            raise ValueError("a manifest is inline or a blob")
        return self


class VaultRecord(_Record):
    """The root record: this is a vault, in this format."""

    record: Literal["vault/1"] = "vault/1"
    format: Literal[1]
    id: _Txn
    created: _Instant


class Claim(_Record):
    """The one create that publishes a version: the label is taken, for ever, by this manifest."""

    record: Literal["claim/1"] = "claim/1"
    model: _Model
    target: Target
    txn: _Txn
    created: _Instant
    actor: _Name


class Move(_Record):
    """One entry of an alias: it moved to `target`.

    `undo` is the seq of the entry whose target a rollback from here restores; `prev` the digest of the entry before.
    """

    record: Literal["move/1"] = "move/1"
    model: _Model
    alias: _AliasName
    seq: _Seq
    txn: _Txn
    kind: Literal["promote", "rollback", "retire"]
    target: Target | None = None
    undo: _Seq | None = None
    prev: _Sha256 | None = None
    actor: _Name
    reason: _Text
    at: _Instant
    evidence: dict[str, JsonValue] = {}

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if (self.kind == "retire") != (self.target is None):
            raise ValueError("a retired alias has no target, any other has one")
        _linked(self.seq, self.prev)
        if self.undo is not None and self.undo >= self.seq:
            raise ValueError("undo points forward")
        return self

    @property
    def version(self) -> str | None:
        """The number of the version that the alias points to from here on; None where it was retired."""
        return self.target.version if self.target else None

    def __str__(self) -> str:
        what = f"{self.model}@{self.alias} → {self.version or 'nothing'}"
        return f"#{self.seq} {self.kind} {what} by {shown(self.actor)}, {self.at:%Y-%m-%d %H:%M:%S} UTC: {shown(self.reason)}"


NoteKind = Literal["remark", "metrics", "issue", "approval", "yank", "unyank", "quarantine", "release", "drill"]


class Note(_Record):
    """A remark on a version, made later."""

    record: Literal["note/1"] = "note/1"
    model: _Model
    version: _Number
    seq: _Seq
    txn: _Txn
    kind: NoteKind
    text: _Text
    metrics: dict[str, _Finite] = {}
    prev: _Sha256 | None = None
    actor: _Name
    at: _Instant

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        _linked(self.seq, self.prev)
        return self

    def __str__(self) -> str:
        who = f"{shown(self.actor)}, {self.at:%Y-%m-%d %H:%M:%S} UTC"
        return f"#{self.seq} {self.kind} on {self.model}:{self.version} by {who}: {shown(self.text)}"


def _linked(seq: int, prev: str | None) -> None:
    if (seq == 1) != (prev is None):
        raise ValueError("only the first entry has no entry before it")


AnyRecord = TypeVar("AnyRecord", bound=_Record)


def record(kind: type[AnyRecord], /, **members: object) -> AnyRecord:
    """A record of our own making.

    Raises:
        InvalidInput: `bad-value`, with the member and what is wrong with it.
    """
    try:
        return kind.model_validate(members, strict=False)
    except ValidationError as error:
        raise InvalidInput(f"not a {_kind_name(kind)}: {_fault(error)}", code=Code.BAD_VALUE) from error


def _kind_name(kind: type[_Record]) -> str:
    return kind.__name__.removesuffix("Record").lower()


def _fault(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(step) for step in first["loc"])
    return shown(f"{where}: {first['msg']}" if where else first["msg"])


def _dumped(value: _Record) -> dict[str, JsonValue]:
    members: dict[str, JsonValue] = value.model_dump(mode="json", exclude_defaults=True)
    name = type(value).model_fields.get("record")
    return members | {"record": name.default} if name else members


def seal(value: _Record) -> bytes:
    """The bytes of a record, with its own digest as the last member."""
    body = canonical(_dumped(value))
    _within(body)
    return body[:-1] + b',"~sha256":"' + hashlib.sha256(body).hexdigest().encode() + b'"}'


def _within(body: bytes) -> None:
    if len(body) > RECORD_LIMIT - _SEAL_LENGTH:
        raise InvalidInput(
            f"a record of {len(body):,} bytes; at most {RECORD_LIMIT:,} can be stored",
            code=Code.TOO_LARGE,
            hint="store what is large as a file of the version",
        )


def read_sealed(kind: type[AnyRecord], raw: bytes, where: str) -> AnyRecord:
    """The record in `raw`, which was read at `where`.

    Raises:
        Corrupt: `bad-record`, it is not byte for byte what was sealed, or breaks the format.
        Unsupported: `newer-format`, a later release wrote it.
    """
    found = _SEAL.search(raw[-_SEAL_LENGTH:])
    body = raw[:-_SEAL_LENGTH] + b"}"
    if found is None or hashlib.sha256(body).hexdigest().encode() != found[1]:
        raise _corrupt(kind, where, "its seal does not match its bytes")
    return _read(kind, body, where)


def write_manifest(value: Manifest) -> bytes:
    """The bytes of a manifest, which its digest names."""
    body = canonical(_dumped(value))
    _within(body)
    return body


def read_manifest(raw: bytes, expected: str, where: str) -> Manifest:
    """The manifest in `raw`, if its digest is `expected`.

    Raises:
        Corrupt: `digest-mismatch`, these are not the bytes; `bad-record`, they break the format.
        Unsupported: `newer-format`, a later release wrote it.
    """
    if digest_of(raw) != expected:
        raise Corrupt(
            f"the manifest at {where} has the digest {digest_of(raw)}, not {expected}",
            code=Code.DIGEST_MISMATCH,
            hint="do not use it; run 'modelvault verify' and restore the object from a copy",
            ref=where,
        )
    return _read(Manifest, raw, where)


def _read(kind: type[AnyRecord], body: bytes, where: str) -> AnyRecord:
    try:
        members = _parse(body)
        _refuse_newer(kind, members.get("record"), where)
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise _corrupt(kind, where, _fault(error)) from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, VaultError) and not isinstance(error, InvalidInput):
            raise
        raise _corrupt(kind, where, shown(error)) from error


def _refuse_newer(kind: type[_Record], name: object, where: str) -> None:
    known, _, major = str(kind.model_fields["record"].default).partition("/")
    stored, _, stored_major = str(name).partition("/")
    if stored == known and stored_major.isdecimal() and stored_major.isascii() and int(stored_major[:9]) > int(major):
        raise Unsupported(
            f"{where} is a {shown(name)}, and this release reads {known}/{major}",
            code=Code.NEWER_FORMAT,
            hint="upgrade: pip install -U modelvault-sdk",
            ref=where,
        )


def _corrupt(kind: type[_Record], where: str, fault: str) -> Corrupt:
    return Corrupt(
        f"the {_kind_name(kind)} at {where} is damaged: {fault}",
        code=Code.BAD_RECORD,
        hint="do not use it; run 'modelvault verify' and restore the object from a copy",
        ref=where,
    )
