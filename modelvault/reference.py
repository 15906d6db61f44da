"""Names, refs, versions and ranges: the grammar of what a user types to say which model is meant.

    fraud@prod                what the alias points at
    fraud@prod~1              what it pointed at one move before
    fraud@prod@{2026-11-01}   what it pointed at then
    fraud:1.4.2               that version
    fraud:^1.4                the highest version in a range
    fraud#9f86d081            the version with that digest

Versions are semantic versions 2.0.0 in lower case and without build metadata, because a version is a file name and some
disks do not tell `RC` from `rc`.  Ranges are npm's: node-semver, strict, without `includePrerelease`.  Where npm ignores
a part of what was written, a range is refused here: an empty one, a pre-release or a number after an `x` (`1.x.3`), build
metadata, a leading `v`.  And alternatives are a plain union: in npm `* || ^1.0.0-rc.1` is no more than `*`.
"""

from __future__ import annotations

import operator
import re
from bisect import bisect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NewType, cast

from modelvault.errors import Code, InvalidInput, shown

if TYPE_CHECKING:
    from semver import Version

__all__ = [
    "AliasRef",
    "DigestRef",
    "Level",
    "Number",
    "NumberRef",
    "RangeRef",
    "Ref",
    "alias_name",
    "is_number",
    "is_prerelease",
    "matching",
    "model_name",
    "newest_first",
    "next_number",
    "number",
    "order",
    "parse",
    "parse_alias",
]

Number = NewType("Number", str)
"""The text of a semantic version, in lower case and without build metadata: ``1.4.0``, ``1.0.0-rc.1``."""

Level = Literal["major", "minor", "patch"]

_NUMBER_LIMIT = 100
_REF_LIMIT = 500
_LEVELS = ("major", "minor", "patch")
_BACK_LIMIT = 9_999_999_998  # journals number their entries with ten digits, so nothing lies further back

# A name becomes a folder: Windows reserves the device names, with any extension, and drops a final dot.
_NAME = re.compile(r"(?!(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|\Z))[a-z0-9](?:[a-z0-9._-]{0,98}[a-z0-9_-])?")
_PART = r"(?:0|[1-9][0-9]{0,14})"  # 15 digits are exact in every language, 16 are not
_IDENTIFIER = rf"(?:{_PART}|[0-9]*[a-z-][0-9a-z-]*)"
_PRERELEASE = rf"{_IDENTIFIER}(?:\.{_IDENTIFIER})*"
_NUMBER = re.compile(rf"({_PART})\.({_PART})\.({_PART})(?:-{_PRERELEASE})?")
_X = r"\.[xX*]"
_PARTIAL = re.compile(
    rf"""[xX*](?:{_X}){{0,2}}
    | ({_PART})(?:{_X}){{0,2}}
    | ({_PART})\.({_PART})(?:{_X})?
    | ({_PART})\.({_PART})\.({_PART})(-{_PRERELEASE})?""",
    re.VERBOSE,
)
_TERM = re.compile(r"([<>=^~]*)(.*)", re.DOTALL)
_GAP = re.compile(r"(?<=[<>=^~]) +(?=[0-9xX*])")  # "> 1.2" is ">1.2"
_REF = re.compile(r"([^@:#]*)([@:#])(.*)", re.DOTALL)
_ALIAS = re.compile(r"([^~@]*)(?:~([0-9]{0,10})|@\{([^{}]*)\})?")
_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{8,64})")

_NAME_HINT = (
    "a name is 1 to 100 of a-z 0-9 . _ -, begins with a letter or digit, ends in no dot and is no device of Windows"
)
_NUMBER_HINT = "a version is three numbers of at most 15 digits, and a pre-release if need be: '1.4.0', '1.0.0-rc.1'"
_RANGE_HINT = "ranges are npm's: '^1.4', '~1.4', '1.x', '>=1.2 <2', '1.2 - 1.4', '^1 || ^2', '*'"


def model_name(text: object) -> str:
    """`text`, if it can name a model.

    Raises:
        InvalidInput: `bad-name`; the hint suggests a name where there is one near.
    """
    return _name(text, "a model name")


def alias_name(text: object) -> str:
    """`text`, if it can name an alias.  A version cannot: ``fraud@1.4.2`` would be an alias that looks like one.

    Raises:
        InvalidInput: `bad-name`; the hint suggests a name where there is one near.
    """
    name = _name(text, "an alias name")
    if is_number(name):
        hint = f"a version is written after a colon: 'fraud:{name}'"
        raise InvalidInput(f"'{name}' is a version, and no alias name", code=Code.BAD_NAME, hint=hint)
    return name


def _name(text: object, what: str) -> str:
    plain = _text(text, what, Code.BAD_NAME)
    if _NAME.fullmatch(plain):
        return plain
    near = re.sub(r"[^a-z0-9._-]+", "-", plain[:_REF_LIMIT].lower()).lstrip("._-")[:100].rstrip("._-")
    hint = f"try '{near}'; {_NAME_HINT}" if _NAME.fullmatch(near) else _NAME_HINT
    raise InvalidInput(f"'{shown(plain)}' is not {what}", code=Code.BAD_NAME, hint=hint)


def _text(value: object, what: str, code: Code) -> str:
    """`value` as a plain `str`; subclasses (a `numpy.str_`, an enum) lose what they think of themselves."""
    try:
        return str.__str__(cast("str", value))
    except TypeError:
        raise InvalidInput(f"{what} is text, not {shown(type(value).__name__)}", code=code) from None


def number(text: object) -> Number:
    """`text`, if it is a version in its one canonical spelling.

    Raises:
        InvalidInput: `bad-version`; the hint says how to spell it where that is clear.
    """
    plain = _text(text, "a version", Code.BAD_VERSION)
    if is_number(plain):
        return Number(plain)
    hint = _respelt(plain) or _NUMBER_HINT
    raise InvalidInput(f"'{shown(plain)}' is not a version", code=Code.BAD_VERSION, hint=hint)


def is_number(text: str) -> bool:
    """`text` is a version in its one canonical spelling."""
    return len(text) <= _NUMBER_LIMIT and _NUMBER.fullmatch(text) is not None


def _respelt(text: str) -> str:
    """A hint for one who spelt a version in another way: what to change, and the result.  Empty for anything else."""
    core = text[:_REF_LIMIT].lower().removeprefix("v").partition("+")[0]
    clean = next((full for full in (core, f"{core}.0", f"{core}.0.0") if is_number(full)), "")
    slips = {
        "drop the 'v'": text[:1] in ("v", "V"),
        "build metadata is no part of a version": "+" in text,
        "use lower case, as some disks do not tell the cases apart": text[1:] != text[1:].lower(),
        "give all three numbers": clean != core,
    }
    return f"{'; '.join(slip for slip, made in slips.items() if made)}: '{clean}'" if clean else ""


@lru_cache(maxsize=1 << 14)
def order(number: Number) -> Version:
    """The sort key of a version: precedence as in semver.org §11, oldest first."""
    from semver import Version  # one who only follows an alias never pays for it

    return Version.parse(number)


def newest_first(numbers: Iterable[Number]) -> list[Number]:
    """The numbers by precedence, newest first."""

    def key(number: Number) -> tuple[int, int, int, Version]:
        version = order(number)
        return version.major, version.minor, version.patch, version  # these tell most of thousands apart, and are quick

    return sorted(numbers, key=key, reverse=True)


def is_prerelease(number: Number) -> bool:
    """`number` comes before the release that it names."""
    return "-" in number


def _triple(number: Number) -> tuple[int, ...]:
    return tuple(int(part) for part in number.partition("-")[0].split("."))


def next_number(numbers: Iterable[Number], level: Level, *, base: Number | None = None) -> Number:
    """The version that a release of this `level` gets, where `numbers` exist.

    It is counted from the newest stable version, or else from the newest pre-release, as `npm version` does: then
    1.0.0-rc.1 becomes 1.0.0 at every level.  `base` confines the count to its line: for a patch the versions with the
    same major and minor number, for a minor release those with the same major number.

    The result is never among `numbers`: it is stable, belongs to the line, and comes after all that is stable there.

    Raises:
        InvalidInput: `bad-value` for an unknown level; `bad-version` where `base` does not exist or the numbers run out.
    """
    depth = _depth(level)
    known = set(numbers)
    line = known if base is None else _line(known, number(base), depth)
    if not line:
        return Number("1.0.0")
    stable = [each for each in line if not is_prerelease(each)]
    return _bumped(max(stable or line, key=order), depth)


def _depth(level: object) -> int:
    plain = _text(level, "a level", Code.BAD_VALUE)
    if plain in _LEVELS:
        return _LEVELS.index(plain)
    raise InvalidInput(f"'{shown(plain)}' is not a level", code=Code.BAD_VALUE, hint="say 'major', 'minor' or 'patch'")


def _line(known: set[Number], base: Number, depth: int) -> set[Number]:
    if base not in known:
        near = ", ".join(_nearest(base, known)) or "none"
        raise InvalidInput(
            f"there is no version {base} to start from", code=Code.BAD_VERSION, hint=f"versions near it: {near}"
        )
    return {each for each in known if _triple(each)[:depth] == _triple(base)[:depth]}


def _nearest(base: Number, known: set[Number], count: int = 5) -> list[Number]:
    ordered = sorted(known, key=order)
    start = bisect(ordered, order(base), key=order) - count // 2
    start = max(0, min(start, len(ordered) - count))
    return ordered[start : start + count]


def _bumped(newest: Number, depth: int) -> Number:
    parts = list(_triple(newest))
    if not is_prerelease(newest) or any(parts[depth + 1 :]):
        parts[depth] += 1
    return number(_spelt(parts[: depth + 1]))


def _spelt(parts: Iterable[int]) -> Number:
    return Number(".".join(str(part) for part in (*parts, 0, 0, 0)[:3]))


class _Bound(NamedTuple):
    sign: str
    number: Number  # need not be a label: one more than 15 nines has 16 digits


class _Partial(NamedTuple):
    parts: tuple[int, ...]  # as many as are given: 1.x is (1,)
    prerelease: str  # with its hyphen; only where all three are given


_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def matching(range: str, numbers: Iterable[Number]) -> list[Number]:
    """Those of `numbers` that satisfy `range`, newest first.

    A pre-release satisfies it only beside a bound that is a pre-release of the same three numbers.

    Raises:
        InvalidInput: `bad-ref`, it is not a range.
    """
    alternatives = _alternatives(_text(range, "a range", Code.BAD_REF))
    found = [each for each in numbers if any(_within(bounds, each) for bounds in alternatives)]
    return newest_first(found)


def _within(bounds: list[_Bound], number: Number) -> bool:
    if not all(_SIGNS[sign](order(number), order(bound)) for sign, bound in bounds):
        return False
    if not is_prerelease(number):
        return True
    return any(is_prerelease(bound) and _triple(bound) == _triple(number) for _, bound in bounds)


def _alternatives(range: str) -> list[list[_Bound]]:
    if len(range) > _REF_LIMIT or range != range.strip(" "):
        hint = f"a range has no more than {_REF_LIMIT} characters, and no space around it"
        raise InvalidInput(f"'{shown(range)}' is not a range", code=Code.BAD_REF, hint=hint)
    return [_bounds(alternative.strip(" ")) for alternative in range.split("||")]


def _bounds(alternative: str) -> list[_Bound]:
    match re.split(" +", _GAP.sub("", alternative)):
        case [low, "-", high]:
            return _desugared(">=", _partial(low)) + _desugared("<=", _partial(high))
        case terms:
            return [bound for term in terms for bound in _term(term)]


def _term(term: str) -> list[_Bound]:
    sign, rest = cast("re.Match[str]", _TERM.fullmatch(term)).groups()
    if sign and sign not in _SIGNS and sign not in ("^", "~"):
        raise InvalidInput(f"'{shown(term)}' is not a range", code=Code.BAD_REF, hint=_RANGE_HINT)
    return _desugared(sign or "=", _partial(rest))


def _partial(text: str) -> _Partial:
    match = _PARTIAL.fullmatch(text)
    if match is None:
        hint = _respelt(text) or _RANGE_HINT
        raise InvalidInput(f"'{shown(text)}' is not a range", code=Code.BAD_REF, hint=hint)
    *parts, prerelease = match.groups()
    return _Partial(tuple(int(part) for part in parts if part), prerelease or "")


def _desugared(sign: str, partial: _Partial) -> list[_Bound]:
    parts, prerelease = partial
    if not parts:
        return [_Bound("<", Number("0.0.0-0"))] if sign in ("<", ">") else []
    low = Number(_spelt(parts) + prerelease)
    if sign == ">=" or (len(parts) == 3 and sign in _SIGNS):
        return [_Bound(sign, low)]
    match sign:
        case "<":
            return [_Bound("<", _first(low))]
        case "<=":
            return [_Bound("<", _first(_after(parts)))]
        case ">":
            return [_Bound(">=", _after(parts))]
        case "=":
            kept = parts
        case "~":
            kept = parts[:2]
        case _:
            kept = parts[: _leftmost(parts)]
    return [_Bound(">=", low), _Bound("<", _first(_after(kept)))]


def _leftmost(parts: tuple[int, ...]) -> int:
    """How many of `parts` a caret keeps: those up to the first that is not zero."""
    return next((place for place, part in enumerate(parts, 1) if part), len(parts))


def _after(parts: tuple[int, ...]) -> Number:
    """The first release that does not begin with `parts`."""
    return _spelt((*parts[:-1], parts[-1] + 1))


def _first(release: Number) -> Number:
    """The lowest pre-release of `release`: "below 2.0.0" is not to mean 2.0.0-rc.1."""
    return Number(f"{release}-0")


@dataclass(frozen=True, slots=True)
class AliasRef:
    """What an alias points at, or pointed at: `back` moves ago, or at an instant (UTC)."""

    model: str
    alias: str
    back: int = 0
    at: datetime | None = None

    def __str__(self) -> str:
        past = f"@{{{_written(self.at)}}}" if self.at else f"~{self.back}" if self.back else ""
        return f"{self.model}@{self.alias}{past}"


@dataclass(frozen=True, slots=True)
class NumberRef:
    """One version by its number."""

    model: str
    number: Number

    def __str__(self) -> str:
        return f"{self.model}:{self.number}"


@dataclass(frozen=True, slots=True)
class RangeRef:
    """The highest version in a range."""

    model: str
    range: str

    def __str__(self) -> str:
        return f"{self.model}:{self.range}"


@dataclass(frozen=True, slots=True)
class DigestRef:
    """The version whose SHA-256 begins with `prefix`."""

    model: str
    prefix: str

    def __str__(self) -> str:
        return f"{self.model}#{self.prefix}"


Ref = AliasRef | NumberRef | RangeRef | DigestRef


def parse(text: object) -> Ref:
    """The ref that `text` spells; `str` of it spells it again.

    Raises:
        InvalidInput: `bad-ref`, or `bad-name` for the model or alias in it.
    """
    return _parsed(_text(text, "a ref", Code.BAD_REF))


@lru_cache(maxsize=1024)
def _parsed(plain: str) -> Ref:
    if len(plain) > _REF_LIMIT:
        raise _not_a_ref(plain, f"a ref has no more than {_REF_LIMIT} characters")
    match = _REF.fullmatch(plain)
    if match is None:
        raise _not_a_ref(plain, _choices(plain))
    model, kind, rest = match.groups()
    try:
        return _READERS[kind](model_name(model), rest)
    except InvalidInput as error:
        error.ref = shown(plain)
        raise


def parse_alias(text: object) -> AliasRef:
    """The alias that `text` names as it stands now, as one does who moves it.

    Raises:
        InvalidInput: `bad-ref`, it is another kind of ref or one to the past; `bad-name` for the model or alias in it.
    """
    plain = _text(text, "an alias", Code.BAD_REF)
    ref = parse(plain)
    alias = ref.alias if isinstance(ref, AliasRef) else "prod"
    alone = f"{ref.model}@{alias}"
    if plain == alone:
        return AliasRef(ref.model, alias)
    message = f"'{shown(plain)}' is not an alias that can be moved"
    raise InvalidInput(message, code=Code.BAD_REF, hint=f"name the alias alone: '{alone}'", ref=shown(plain))


def _not_a_ref(text: str, hint: str) -> InvalidInput:
    return InvalidInput(f"'{shown(text)}' is not a ref", code=Code.BAD_REF, hint=hint, ref=shown(text))


def _choices(text: str) -> str:
    model = text if _NAME.fullmatch(text) else "fraud"
    return (
        f"say which: an alias '{model}@prod', a version '{model}:1.4.2', the highest '{model}:*', a digest '{model}#…'"
    )


def _alias_ref(model: str, rest: str) -> AliasRef:
    match = _ALIAS.fullmatch(rest)
    if match is None:
        hint = f"after the alias may stand '~1' for a move back, or '@{{2026-11-01}}' for a day: '{model}@prod~1'"
        raise _not_a_ref(f"{model}@{rest}", hint)
    alias, back, at = match.groups()
    name = alias_name(alias)
    if at is not None:
        return AliasRef(model, name, at=_instant(at))
    moves = 0 if back is None else int(back or "1")
    if moves > _BACK_LIMIT:
        raise _not_a_ref(f"{model}@{rest}", f"no alias has more than {_BACK_LIMIT} moves")
    return AliasRef(model, name, moves)


def _labelled_ref(model: str, rest: str) -> NumberRef | RangeRef:
    if is_number(rest):
        return NumberRef(model, Number(rest))
    try:
        _alternatives(rest)
    except InvalidInput:
        if not _NAME.fullmatch(rest) or not rest[0].isalpha() or _respelt(rest):
            raise
        hint = f"an alias comes after '@': '{model}@{rest}'; the highest version is '{model}:*'"
        raise _not_a_ref(f"{model}:{rest}", hint) from None
    return RangeRef(model, rest)


def _digest_ref(model: str, rest: str) -> DigestRef:
    match = _DIGEST.fullmatch(rest)
    if match is None:
        raise _not_a_ref(f"{model}#{rest}", "a digest is 8 to 64 of 0-9 a-f, in lower case")
    return DigestRef(model, match[1])


_READERS: dict[str, Callable[[str, str], Ref]] = {"@": _alias_ref, ":": _labelled_ref, "#": _digest_ref}


def _instant(text: str) -> datetime:
    """The instant that `text` names: a day begins at 00:00, and a time without a zone is UTC."""
    try:
        return _utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        hint = "use ISO 8601: '2026-11-01', '2026-11-01T09:30', '2026-11-01T09:30+01:00'"
        raise InvalidInput(f"'{shown(text)}' is not a time", code=Code.BAD_REF, hint=hint) from None


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _written(at: datetime) -> str:
    naive = _utc(at).replace(tzinfo=None).isoformat()
    day = naive.removesuffix("T00:00:00")
    return day if day != naive else f"{naive}Z"
