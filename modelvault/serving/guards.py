"""Guards: rules over what a model in service does, whose evidence may undo the promotion that put it there."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, Self, TypedDict, Unpack, get_args

from modelvault.canonical import storable
from modelvault.errors import Code, InvalidInput, shown
from modelvault.wire import JsonValue

__all__ = ["Action", "Guard", "Options", "listed", "seconds_in", "spec_of"]

Action = Literal["rollback", "alert", "dry-run"]
Kind = Literal["errors", "latency", "rate", "mean"]
Source = Callable[[], tuple[int, int]]

_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_SPAN: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?([smhd])", re.ASCII)
_BASELINE: Final = re.compile(r"baseline ?\+ ?([0-9]{1,6}(?:\.[0-9]{1,6})?) ?%", re.ASCII)
_NAME: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}", re.ASCII)
_MOST_GUARDS, _MOST_REPLICAS = 64, 1_000_000
_HUGE: Final = 1e300
_NEAREST: Final = 1e-6
"""What a limit keeps away from its ends, in parts of the way between them."""


class Options(TypedDict, total=False):
    """What every guard may be told."""

    alpha: float
    min_bad: int
    probation: str | float
    action: Action
    confirm: Literal["replay"] | None
    cooldown: str | float
    replicas: int
    source: Source | None


@dataclass(frozen=True, slots=True)
class Guard:
    """A limit on a share or a mean, and what is done when it is exceeded beyond doubt.

    Make one with `errors`, `latency`, `rate` or `mean`.  `limit` is a number, or ``"baseline+25%"``: what the version
    before did, and so much more.

    Args:
        alpha: how probable it may be that a model that keeps the limit is ever rolled back; shared by all guards.
        min_bad: bad observations that there must be, whatever the evidence.
        probation: how long after a promotion it may be undone; later the same evidence alerts.  ``"24h"``, or seconds.
        action: ``"rollback"``; ``"alert"`` tells; ``"dry-run"`` tells what would be done.
        confirm: ``"replay"`` runs inputs that failed on the version before, and does nothing if it fails alike; or None.
        cooldown: how long after a rollback by a guard there is no other.  ``"1h"``, or seconds.
        replicas: how many processes decide by themselves; they share `alpha`.
        source: a function that answers with all observations so far and the bad ones, in place of what is counted here.
    """

    kind: Kind
    name: str
    limit: float | str
    over: float | None = None
    low: float = 0.0
    high: float = 1.0
    alpha: float = 0.001
    min_bad: int = 5
    probation: str | float = "24h"
    action: Action = "rollback"
    confirm: Literal["replay"] | None = "replay"
    cooldown: str | float = "1h"
    replicas: int = 1
    source: Source | None = None

    @classmethod
    def errors(cls, *, limit: float | str, **options: Unpack[Options]) -> Self:
        """At most `limit` of the calls raise.  Those that raise for what the caller passed do not count.

        Raises:
            InvalidInput: `bad-value`.
        """
        return cls("errors", "errors", limit, **options)

    @classmethod
    def latency(cls, *, over: float, limit: float | str, **options: Unpack[Options]) -> Self:
        """At most `limit` of the calls take longer than `over` seconds: ``limit=0.01`` is "the 99th percentile is below".

        Raises:
            InvalidInput: `bad-value`.
        """
        over = _number(over, "over", 0, math.inf)
        return cls("latency", f"latency.{over:g}s", limit, over, **options)

    @classmethod
    def rate(cls, name: str, *, limit: float | str, **options: Unpack[Options]) -> Self:
        """At most `limit` of what is observed under `name` is true: ``live.observe("wrong", y != predicted)``.

        Raises:
            InvalidInput: `bad-value`.
        """
        return cls("rate", name, limit, **options)

    @classmethod
    def mean(
        cls, name: str, *, limit: float | str, low: float = 0.0, high: float = 1.0, **options: Unpack[Options]
    ) -> Self:
        """The mean of what is observed under `name`, from `low` to `high`, is at most `limit`.

        Raises:
            InvalidInput: `bad-value`.
        """
        return cls("mean", name, limit, None, low, high, **options)

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            InvalidInput: `bad-value`.
        """
        _one_of(self.kind, "kind", get_args(Kind))
        if not _NAME.fullmatch(storable(self.name, "the name of a guard")):
            raise _bad(f"{shown(self.name)} is no name of a guard", 'a word such as "wrong"')
        low, high = (
            _number(each, name, -math.inf, math.inf) for each, name in ((self.low, "low"), (self.high, "high"))
        )
        if not (low < high and math.isfinite(high - low)):
            raise _bad(f"there is nothing from {low:g} to {high:g}", "low=0, high=1")
        for name, kept in (("low", low), ("high", high), ("limit", _limit(self.limit, low, high))):
            object.__setattr__(self, name, kept)
        _number(self.alpha, "alpha", 0, 0.5)
        _whole(self.min_bad, "min_bad", 1, 1_000_000)
        _whole(self.replicas, "replicas", 1, _MOST_REPLICAS)
        _one_of(self.action, "action", get_args(Action))
        _one_of(self.confirm, "confirm", ("replay", None))
        seconds_in(self.probation, "probation")
        seconds_in(self.cooldown, "cooldown")
        if self.source is not None and (self.kind == "mean" or not callable(self.source)):
            raise _bad("source is a function, for what is bad or good", "source=lambda: (10_000, 12)")

    @property
    def tolerance(self) -> float | None:
        """How much more than the version before, as a share; None if the limit is a number."""
        found = _BASELINE.fullmatch(self.limit) if isinstance(self.limit, str) else None
        return float(found[1]) / 100 if found else None

    @property
    def m(self) -> float | None:
        """The limit from 0 to 1; None if it is that of the version before."""
        return None if isinstance(self.limit, str) else self.scaled(self.limit)

    @property
    def probation_seconds(self) -> float:
        """`probation`, in seconds."""
        return seconds_in(self.probation, "probation")

    @property
    def cooldown_seconds(self) -> float:
        """`cooldown`, in seconds."""
        return seconds_in(self.cooldown, "cooldown")

    def scaled(self, value: float) -> float:
        """`value`, from `low` to `high`, as one from 0 to 1."""
        return (value - self.low) / (self.high - self.low)

    def record(self) -> dict[str, JsonValue]:
        """The guard as it stands in a move."""
        left = (
            {"source"}
            | ({"over"} if self.over is None else set())
            | (set() if self.kind == "mean" else {"low", "high"})
        )
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name not in left}

    def __str__(self) -> str:
        what = {
            "errors": "errors",
            "latency": f"calls over {self.over} s",
            "rate": self.name,
            "mean": f"mean {self.name}",
        }
        return f"{what[self.kind]} at most {_percent(self)}"


def listed(guards: object) -> tuple[Guard, ...]:
    """`guards`, which have each a name of its own.

    Raises:
        InvalidInput: `bad-value`.
    """
    found = (guards,) if isinstance(guards, Guard) else tuple(guards) if isinstance(guards, list | tuple) else (None,)
    if len(found) > _MOST_GUARDS or not all(isinstance(each, Guard) for each in found):
        raise _bad(f"guard is a list of guards, at most {_MOST_GUARDS}", "guard=[Guard.errors(limit=0.01)]")
    names = [each.name for each in found if isinstance(each, Guard)]
    if len(set(names)) < len(names):
        raise _bad("two guards have one name", "a guard for each name")
    return tuple(each for each in found if isinstance(each, Guard))


def seconds_in(span: str | float, what: str) -> float:
    """``"24h"``, or a number of seconds, as seconds.

    Raises:
        InvalidInput: `bad-value`.
    """
    found = _SPAN.fullmatch(span) if isinstance(span, str) else None
    if found:
        return float(found[1]) * _UNITS[found[2]]
    if isinstance(span, str):
        raise _bad(f"{what} is a span of time, not {shown(span)}", f'{what}="24h", or seconds')
    return _number(span, what, 0, 1e10)


def _limit(limit: object, low: float, high: float) -> float | str:
    if isinstance(limit, str):
        if _BASELINE.fullmatch(limit):
            return limit
        raise _bad(f"{shown(limit)} is no limit", 'a number, or "baseline+25%"')
    margin = (high - low) * _NEAREST
    return _number(limit, "limit", low + margin, high - margin)


def _number(value: object, what: str, above: float, below: float) -> float:
    """`value` as a float, if it is one and strictly between."""
    if isinstance(value, int | float) and not isinstance(value, bool) and above < value < below and abs(value) < _HUGE:
        return float(value)
    bounds = "" if math.isinf(above) else f" above {above:g}" + ("" if math.isinf(below) else f" and below {below:g}")
    raise _bad(f"{what} is a number{bounds}, not {shown(value)}", f"{what}=…")


def _whole(value: object, what: str, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise _bad(f"{what} is a whole number from {least} to {most}, not {shown(value)}", f"{what}={least}")


def _one_of(value: object, what: str, known: Sequence[object]) -> None:
    if not any(value is each or (isinstance(value, str) and value == each) for each in known):
        raise _bad(f"{what} is not {shown(value)}", ", ".join(map(repr, known)))


def _percent(guard: Guard) -> str:
    if isinstance(guard.limit, str) or guard.kind == "mean":
        return f"{guard.limit}"
    return f"{guard.limit * 100:g} %"


def _bad(message: str, hint: str) -> InvalidInput:
    return InvalidInput(message, code=Code.BAD_VALUE, hint=hint)


def spec_of(record: Mapping[str, Any]) -> Guard:
    """The guard that `record` tells of.

    Raises:
        InvalidInput: `bad-value`.
    """
    known = {each.name for each in fields(Guard)} - {"source"}
    found = {name: value for name, value in record.items() if name in known}
    if not {"kind", "name", "limit"} <= found.keys():
        raise _bad("no guard is recorded", "")
    return Guard(**found)
