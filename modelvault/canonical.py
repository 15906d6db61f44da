"""The one byte form of JSON, and the digests of bytes.

Canonical: UTF-8, keys sorted by code point, no spaces, no NaN, every member once.  Reading is strict, for records are
written by strangers: size, depth, duplicates and numbers are checked before anything is believed.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Final, NewType, NoReturn, cast

from modelvault.errors import Code, InvalidInput, shown
from modelvault.secrets import secret_in

__all__ = [
    "RECORD_LIMIT",
    "Digest",
    "Frozen",
    "Json",
    "canonical",
    "digest_of",
    "free_text",
    "frozen",
    "parse",
    "plain",
    "refuse_secret",
    "refuse_secrets",
    "storable",
    "within",
]

Digest = NewType("Digest", str)

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
"""What JSON can say."""

RECORD_LIMIT: Final = 16 * 1024 * 1024
DEPTH_LIMIT: Final = 32
BRACKETS_LIMIT: Final = 1_000_000
_INTEGER_DIGITS: Final = 20


def canonical(value: Any) -> bytes:
    """The one byte form of a JSON value.

    Raises:
        InvalidInput: `bad-value`, a number that is not finite, or text that is not Unicode.
    """
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode("utf-8")
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidInput(f"cannot be stored as JSON: {shown(error)}", code=Code.BAD_VALUE) from error


class Frozen(dict[str, Any]):
    """A JSON object that does not change: what one reader does with it, another must not see."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("records do not change: make a dict of it first")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return Frozen, (dict(self),)


def frozen(value: Any) -> Any:
    """`value` with every object in it `Frozen`, those in lists too."""
    if isinstance(value, dict):
        return Frozen({name: frozen(member) for name, member in value.items()})
    return [frozen(member) for member in value] if isinstance(value, list) else value


def within(raw: bytes) -> str:
    """What makes `raw` too large for a record; "" if nothing does."""
    if len(raw) > RECORD_LIMIT:
        return f"{len(raw):,} bytes, more than {RECORD_LIMIT:,}"
    if raw.count(b"[") + raw.count(b"{") > BRACKETS_LIMIT:  # a small object takes a hundred times its text in memory
        return f"more than {BRACKETS_LIMIT:,} brackets"
    return ""


def digest_of(data: bytes) -> Digest:
    """The SHA-256 of `data`, as ``sha256:<64 hex>``."""
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > _INTEGER_DIGITS:
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


def parse(raw: bytes) -> dict[str, Any]:
    """The object in `raw`; ValueError, in words, unless it is canonical and within the limits."""
    if fault := within(raw):
        raise ValueError(fault)
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


_PLAIN_DEPTH = 16
_REPR_LIMIT = 2_000


def plain(value: object, depth: int = 0) -> Json:
    """`value` as JSON can say it: numbers, text and containers as they are, anything else as its `repr`.

    A `repr` that holds an address becomes the name of the type, so that equal parameters stay equal.  NaN and the
    infinities become ``"nan"``, ``"inf"`` and ``"-inf"``.
    """
    if value is None or isinstance(value, bool | str):
        return storable(value, "a parameter") if isinstance(value, str) else value
    if isinstance(value, int):
        return int(value) if abs(value) < 10 ** (_INTEGER_DIGITS - 1) else repr(int(value))
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else repr(float(value))
    if depth < _PLAIN_DEPTH and isinstance(value, Mapping):
        members = {storable(_text(key), "a name"): plain(member, depth + 1) for key, member in value.items()}
        if len(members) == len(value):
            return members
        raise InvalidInput(f"two keys have one text: {shown(list(value))}", code=Code.BAD_VALUE)
    if depth < _PLAIN_DEPTH and isinstance(value, list | tuple):
        return [plain(member, depth + 1) for member in value]
    if callable(getattr(value, "item", None)) and getattr(value, "shape", None) == ():
        item: object = value.item()  # type: ignore[attr-defined] # an array library's scalar
        return plain(item, _PLAIN_DEPTH)
    text = _text(value, repr)
    return text if " at 0x" not in text and len(text) <= _REPR_LIMIT else _named(value)


def _text(value: object, form: Callable[[object], str] = str) -> str:
    try:
        return form(value)
    except Exception:  # whatever the value's own code raises
        return _named(value)


def _named(value: object) -> str:
    return f"<{type(value).__module__}.{type(value).__qualname__}>"


def storable(value: object, what: str) -> str:
    """`value` as a plain `str`, if it is text that can be stored: half of a surrogate pair is no character.

    Raises:
        InvalidInput: `bad-value`.
    """
    try:
        return str.__str__(cast("str", value)).encode().decode()
    except (TypeError, UnicodeEncodeError) as error:
        raise InvalidInput(f"{what} is Unicode text, not {shown(value)}", code=Code.BAD_VALUE) from error


def free_text(value: object, what: str) -> str:
    """`value` as a plain `str`, as `storable`, if it may stand in a record for ever: no secret is seen in it.

    Raises:
        InvalidInput: `bad-value`; `secret-found`, and the message does not say it.
    """
    text = storable(value, what)
    refuse_secret(text, what)
    return text


def refuse_secret(text: str, what: str, name: str = "") -> None:
    """Refuse `text`, which goes by `name`, if it looks like a secret.  Raises InvalidInput `secret-found`."""
    if kind := secret_in(text, name):
        raise InvalidInput(
            f"{what} holds what looks like a secret: {kind}",
            code=Code.SECRET_FOUND,
            hint="a record is kept for ever and read by many: take it out, or name where it is kept; if it was stored "
            "or sent anywhere before, revoke it",
        )


def refuse_secrets(value: Json, what: str) -> None:
    """Refuse a JSON value that holds a secret anywhere, by its own text or by the name it goes by.

    Raises InvalidInput `secret-found` with the names on the way to it.
    """
    members = [(value, what, "")]
    while members:
        each, where, name = members.pop()
        if isinstance(each, str):
            refuse_secret(each, where, name)
        elif isinstance(each, dict):
            for key, member in each.items():
                refuse_secret(key, f"a name in {where}")
                members.append((member, f"{where}[{shown(key)!r}]", key))
        elif isinstance(each, list):
            members += [(member, where, name) for member in each]
