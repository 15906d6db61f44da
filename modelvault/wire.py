"""The records of a vault and their one byte form: `docs/spec/v1.md`, in code.

A record is a JSON object in canonical form (`canonical`).  All records but the manifest are *sealed*: their last member,
``"~sha256"``, is the SHA-256 of the record without it, so that any change of any bit shows.  A manifest needs no seal: the
digest in its claim names its bytes.  Members that this release does not know are kept.  The names inside a record are
bound to its key by `journal` and `catalog`.  The only module that imports pydantic.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, Self, TypeVar

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
from modelvault.canonical import RECORD_LIMIT, canonical, digest_of, frozen, parse, within
from modelvault.errors import Code, Corrupt, InvalidInput, Unsupported, VaultError, shown
from modelvault.paths import portable_path, portable_paths

__all__ = [
    "RELEASE_SET",
    "RELEASE_SET_FILE",
    "Algorithm",
    "Claim",
    "DataRef",
    "Environment",
    "FieldRecord",
    "File",
    "GateRule",
    "Git",
    "Hardware",
    "JsonValue",
    "Manifest",
    "Member",
    "Move",
    "Note",
    "NoteKind",
    "Part",
    "Policy",
    "Provenance",
    "ReleaseSetRecord",
    "Run",
    "SignatureRecord",
    "Target",
    "VaultRecord",
    "read_manifest",
    "read_release_set",
    "read_sealed",
    "record",
    "seal",
    "write_manifest",
    "write_release_set",
]

FILES_LIMIT: Final = 100_000
FIELDS_LIMIT: Final = 100_000
GATES_LIMIT: Final = 100
MEMBERS_LIMIT: Final = 1_000
TEXT_LIMIT: Final = 64 * 1024
NAME_LIMIT: Final = 200
CODED_LIMIT: Final = 64 * 1024 * 1024
_REPR_LIMIT: Final = 4_000
RELEASE_SET: Final = "release-set"
RELEASE_SET_FILE: Final = "release-set.json"
_SEAL: Final = re.compile(rb'[{,]"~sha256":"([0-9a-f]{64})"\}\Z')
_SEAL_LENGTH: Final = len(b',"~sha256":""}') + 64
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
_DIGEST: Final = r"^(sha256|blake3):[0-9a-f]{64}$"
_SHA256: Final = r"^sha256:[0-9a-f]{64}$"
_BLOB: Final = r"^sha256:[0-9a-f]{64}(\.[0-9a-f]{8,32})?$"
_CONTENT: Final = r"^(sha256:[0-9a-f]{64})?$"
_TXN: Final = r"^[0-9a-f]{32}$"


def _instant(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not _INSTANT.fullmatch(value):
        raise ValueError("not an instant such as 2026-11-23T07:49:15.000000Z")
    return datetime.fromisoformat(value)


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
_Name = Annotated[str, Field(max_length=NAME_LIMIT)]
_MemberName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,99}$")]
_Whole = Annotated[int, Field(ge=-(2**63), lt=2**64)]
_Label = Annotated[str, Field(max_length=1000)]
_Size = Annotated[int, Field(ge=0, lt=2**63)]
_Coding = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9+.-]{0,39}$")]
"""Open, too: what a release does not know stops it only where it has to decode."""
_Kind = Annotated[str, Field(pattern=r"^[a-z][a-z-]{0,39}$")]
"""Open: a later release may know more kinds, and what it writes must not break the journal for this one."""
_Seq = Annotated[int, Field(ge=1, lt=9_999_999_999)]
_Frozen = AfterValidator(frozen)
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Instant = Annotated[
    datetime,
    BeforeValidator(_instant),
    PlainSerializer(_instant_text, return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^" + _INSTANT.pattern + "$"}),
]


# --- records -------------------------------------------------------------------------------------------------------


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", strict=True, validate_default=True)

    def __repr__(self) -> str:
        """As pydantic's, but printable: the names of unknown members are written by strangers."""
        return shown(super().__repr__(), _REPR_LIMIT)

    def __str__(self) -> str:
        return repr(self)


class Part(_Record):
    """A verified range of a blob: `size` bytes at `offset` of `blob`, whose digest is `digest`.

    `blob` is left out where it is named by the part's own digest, `offset` where it is 0.  Where it is coded (`enc`),
    `stored` bytes lie there, and stand for the part, with those of `base` where the coding needs another part.
    """

    digest: _AnyDigest
    size: _Size
    offset: _Size = 0
    blob: _Blob | None = None
    enc: _Coding | None = None
    stored: _Size | None = None
    base: Part | None = None

    @model_validator(mode="after")
    def _names_a_blob(self) -> Self:
        if self.blob is None and not (self.digest.startswith("sha256:") and self.enc is None):
            raise ValueError("a part that is coded, or whose digest is no sha256, must name its blob")
        return self

    @model_validator(mode="after")
    def _decodes_in_bounds(self) -> Self:
        if self.enc is None:
            if self.stored is not None or self.base is not None:
                raise ValueError("a part that is not coded has neither a stored length nor a base")
        elif self.stored is None or not self.stored <= self.size <= CODED_LIMIT:
            raise ValueError("a coded part is at most 64 MiB, and says in how many bytes, not more, it is stored")
        elif self.base is not None and (self.base.base is not None or self.base.size != self.size):
            raise ValueError("a base is as large as what is coded on it, and has no base of its own")
        return self

    @property
    def length(self) -> int:
        """The bytes that lie in the blob."""
        return self.size if self.stored is None else self.stored


class File(_Record):
    """A file of a version: where it stands, and the parts that make it up, in order, or its bytes `inline` (base64)."""

    path: _Path
    size: _Size
    digest: _Sha256
    parts: tuple[Part, ...] = ()
    inline: Annotated[str | None, Field(repr=False)] = None

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if self.inline is None:
            if not self.parts or sum(part.size for part in self.parts) != self.size:
                raise ValueError(f"the parts of {shown(self.path)} do not add up to its size")
        elif self.parts or len(self.data) != self.size or digest_of(self.data) != self.digest:
            raise ValueError(f"the inline bytes of {shown(self.path)} are not what it claims")
        return self

    @property
    def data(self) -> bytes:
        """The inline bytes; none, where it has parts."""
        try:
            return base64.b64decode(self.inline or "", validate=True)
        except binascii.Error as error:
            raise ValueError("inline is not base64") from error


class DataRef(_Record):
    """Data that a model was trained on: named and fingerprinted, not copied.

    `how` says what is known of it: ``sha256`` the digest of its bytes, ``sha256-tree`` of a folder; ``content`` of a table
    or array; ``sample`` of some of it; ``etag`` and ``etag-tree`` what its store says, no byte was read; ``size`` nothing
    but that; ``unread`` nothing.  `rows` and `columns` are those of a table or array.
    """

    uri: _Text
    how: _Name
    digest: _Sha256 | None = None
    size: _Size | None = None
    etag: _Name | None = None
    rows: _Size | None = None
    columns: _Size | None = None


class Environment(_Record):
    """What ran at publish: the interpreter, and the distributions that the artifact refers to."""

    python: _Name
    implementation: _Name
    platform: _Name
    packages: Annotated[dict[str, _Name], _Frozen] = {}


class Git(_Record):
    """The commit of the working directory; `remote` without credentials."""

    commit: _Name
    dirty: bool
    remote: _Text | None = None


class Algorithm(_Record):
    """What was trained: its class, and the parameters that it was made with, those of estimators within it in a tree.

    An estimator among the `params` is an object of ``class`` and ``params``.  `layers` is the text of a network.
    """

    name: _Text
    params: Annotated[dict[str, JsonValue], _Frozen] = {}
    layers: _Text = ""


class Hardware(_Record):
    """The machine: `memory` in bytes."""

    cpu: _Name = ""
    cores: _Size | None = None
    memory: _Size | None = None
    gpus: tuple[_Name, ...] = ()


class Run(_Record):
    """How it was made, this time: what may differ between two versions of equal content.

    `command` has no secrets: ``***`` stands for them.  `folder` is where it ran, below the root of the repository.  `seeds`
    are by name, `tracking` are the run and its place in a tracker, such as ``mlflow.run``.
    """

    command: tuple[_Text, ...] = ()
    folder: _Text | None = None
    notebook: _Name | None = None
    seeds: Annotated[dict[str, int], _Frozen] = {}
    hardware: Hardware | None = None
    tracking: Annotated[dict[str, _Text], _Frozen] = {}


class Provenance(_Record):
    """Where a version came from.

    `lock` is the interpreter's whole environment, a requirement a line; `locks` are the lock files beside the code.
    """

    git: Git | None = None
    algorithm: Algorithm | None = None
    run: Run | None = None
    lock: _Text = ""
    locks: tuple[DataRef, ...] = ()


class FieldRecord(_Record):
    """An input or output of a model: a column, an array, a value."""

    name: _Label = ""
    """Empty where it is known by its position alone."""
    dtype: _Label | None = None
    """In the words of numpy and Arrow: ``int64``, ``float32``, ``string``, ``timestamp[ns, UTC]``; None if not known."""
    shape: Annotated[tuple[_Size | None, ...], Field(max_length=64)] | None = None
    """The length of each dimension, None for any; None if any shape will do."""
    required: bool = True
    nullable: bool = False
    """It may be missing: null, or NaN."""
    categories: Annotated[tuple[bool | _Whole | _Finite | _Text, ...], Field(max_length=FIELDS_LIMIT)] | None = None
    """All values that there are, or what the last dimension stands for, in order; None if any value will do."""
    low: _Whole | _Finite | None = None
    high: _Whole | _Finite | None = None


_Fields = Annotated[tuple[FieldRecord, ...], Field(max_length=FIELDS_LIMIT)]
_Matched = Literal["name", "position"]


class SignatureRecord(_Record):
    """What a model takes and what it answers with; None where that is not known.

    `inputs_by` and `outputs_by` say what tells fields apart, `extra` what becomes of inputs that are not listed, `unknown`
    in words what could not be found out.
    """

    inputs: _Fields | None = None
    outputs: _Fields | None = None
    inputs_by: _Matched = "name"
    outputs_by: _Matched = "name"
    extra: Literal["ignore", "forbid"] = "ignore"
    unknown: tuple[_Text, ...] = ()

    @model_validator(mode="after")
    def _names_are_apart(self) -> Self:
        for side, by in ((self.inputs, self.inputs_by), (self.outputs, self.outputs_by)):
            names = [field.name for field in side or ()]
            if by == "name" and len(set(names)) != len(names):
                raise ValueError("two fields that are known by their names have one name")
        return self


class Manifest(_Record):
    """What a version is.  Who published it and when stands in its claim: equal content has an equal manifest."""

    record: Literal["manifest/1"] = "manifest/1"
    model: _Model
    version: _Number
    format: _Name
    files: Annotated[tuple[File, ...], Field(max_length=FILES_LIMIT)]
    signature: SignatureRecord | None = None
    params: Annotated[dict[str, JsonValue], _Frozen] = {}
    metrics: Annotated[dict[str, _Finite], _Frozen] = {}
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
    size: Annotated[int, Field(ge=0, le=RECORD_LIMIT)]
    inline: Annotated[str | None, Field(repr=False)] = None
    blob: _Blob | None = None

    @model_validator(mode="after")
    def _is_found(self) -> Self:
        if (self.inline is None) == (self.blob is None):
            raise ValueError("a manifest is inline or a blob")
        if self.inline is not None and len(self.inline.encode()) != self.size:
            raise ValueError("the inline manifest is not of the size it claims")
        return self


class VaultRecord(_Record):
    """The root record: this is a vault, in this format."""

    record: Literal["vault/1"] = "vault/1"
    format: Annotated[int, Field(ge=1)]
    id: _Txn
    created: _Instant
    single_writer: bool = False


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
    kind: _Kind
    target: Target | None = None
    undo: _Seq | None = None
    prev: _Sha256 | None = None
    actor: _Name
    reason: _Text
    at: _Instant
    evidence: Annotated[dict[str, JsonValue], _Frozen] = {}

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

    def __repr__(self) -> str:
        return f"<Move {self}>"

    def __str__(self) -> str:
        what = f"{self.model}@{self.alias} → {self.version or 'nothing'}"
        return f"#{self.seq} {self.kind} {what} by {shown(self.actor)}, {self.at:%Y-%m-%d %H:%M:%S} UTC: {shown(self.reason)}"


NoteKind = Literal["remark", "metrics", "issue", "approval", "card", "yank", "unyank", "quarantine", "release", "drill"]


class Note(_Record):
    """A remark on a version, or a mark on its content, made later."""

    record: Literal["note/1"] = "note/1"
    model: _Model
    version: _Number
    seq: _Seq
    txn: _Txn
    kind: _Kind
    text: _Text
    metrics: Annotated[dict[str, _Finite], _Frozen] = {}
    evidence: Annotated[dict[str, JsonValue], _Frozen] = {}
    content: Annotated[str, Field(pattern=_CONTENT)] = ""
    """The digest of the content that it marks; empty where it is on the version alone."""
    prev: _Sha256 | None = None
    actor: _Name
    at: _Instant

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        _linked(self.seq, self.prev)
        return self

    def __repr__(self) -> str:
        return f"<Note {self}>"

    def __str__(self) -> str:
        who = f"{shown(self.actor)}, {self.at:%Y-%m-%d %H:%M:%S} UTC"
        return f"#{self.seq} {self.kind} on {self.model}:{self.version} by {who}: {shown(self.text)}"


class Member(_Record):
    """A version that a release set pins."""

    model: _Model
    version: _Number
    digest: _Sha256


class ReleaseSetRecord(_Record):
    """The file of a version of the format `release-set`: what it consists of."""

    record: Literal["release-set/1"] = "release-set/1"
    members: Annotated[dict[_MemberName, Member], Field(min_length=1, max_length=MEMBERS_LIMIT), _Frozen]


class GateRule(_Record):
    """A gate, by its name, and what it is made with."""

    gate: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    arguments: Annotated[dict[str, JsonValue], _Frozen] = {}

    def __str__(self) -> str:
        return shown(f"{self.gate}({', '.join(f'{name}={value!r}' for name, value in self.arguments.items())})")


class Policy(_Record):
    """What promotions of an alias are asked, from here on: all of `gates`; nothing, where the kind is `unprotect`."""

    record: Literal["policy/1"] = "policy/1"
    model: _Model
    alias: _AliasName
    seq: _Seq
    txn: _Txn
    kind: _Kind
    gates: Annotated[tuple[GateRule, ...], Field(max_length=GATES_LIMIT)] = ()
    prev: _Sha256 | None = None
    actor: _Name
    reason: _Text
    at: _Instant

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        _linked(self.seq, self.prev)
        return self

    def __repr__(self) -> str:
        return f"<Policy {self}>"

    def __str__(self) -> str:
        gates = ", ".join(map(str, self.gates)) or "nothing"
        who = f"{shown(self.actor)}, {self.at:%Y-%m-%d %H:%M:%S} UTC: {shown(self.reason)}"
        return f"#{self.seq} {self.kind} {self.model}@{self.alias} asks for {gates} by {who}"


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


def as_json(value: _Record) -> dict[str, JsonValue]:
    """The members of a record as JSON, for people and programs; without stored bytes that stand `inline`."""
    members: dict[str, JsonValue] = value.model_dump(
        mode="json", exclude={"files": {"__all__": {"inline"}}, "target": {"inline"}}
    )
    return members


def seal(value: _Record) -> bytes:
    """The bytes of a record, with its own digest as the last member."""
    body = canonical(_dumped(value))
    _within(body)
    return body[:-1] + b',"~sha256":"' + hashlib.sha256(body).hexdigest().encode() + b'"}'


def _within(body: bytes) -> None:
    fault = within(body + b" " * _SEAL_LENGTH)
    if fault:
        raise InvalidInput(
            f"the record cannot be stored: {fault}",
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


def write_release_set(value: ReleaseSetRecord) -> bytes:
    """The bytes of the file of a release set."""
    return canonical(_dumped(value))


def read_release_set(raw: bytes, where: str) -> ReleaseSetRecord:
    """The release set in `raw`, whose digest has been checked.  Raises as `read_manifest`."""
    return _read(ReleaseSetRecord, raw, where)


def _read(kind: type[AnyRecord], body: bytes, where: str) -> AnyRecord:
    try:
        _check_body(kind, body, where)
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise _corrupt(kind, where, _fault(error)) from error
    except (ValueError, RecursionError) as error:
        raise _corrupt(kind, where, shown(error)) from error


def _check_body(kind: type[_Record], body: bytes, where: str) -> None:
    """What pydantic does not look at: the byte form, and which record it says it is."""
    members = parse(body)
    if "~sha256" in members:
        raise ValueError("it has a seal within its seal")
    _refuse_newer(kind, members.get("record"), where)
    if "record" not in members:
        raise ValueError("it does not say what it is")


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
