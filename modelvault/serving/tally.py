"""What is counted of one version in service, and what that is against each guard."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from modelvault.errors import Code, InvalidInput, shown
from modelvault.serving.evidence import Counts, Look, Sums
from modelvault.serving.guards import Guard
from modelvault.serving.record import Baseline, Case, limit_of, share_of_alpha
from modelvault.serving.replay import RING, Call
from modelvault.wire import JsonValue, Move

__all__ = ["Tally", "values_of"]

_ASK_SOURCE: Final = 5.0
"""Seconds between two questions to a source."""
_QUEUED: Final = 100_000


class Tally:
    """The calls to one version since one move, and what was observed of it.

    `n` and `errors` are counted on the way of a call, on any thread: `n` first, and read last, so that a count which is
    read between the two has no bad call that is not one of all.
    """

    __slots__ = (
        "acted", "begun", "digest", "errors", "failed", "move", "n", "observed", "over", "slower", "version", "weighed"
    )  # fmt: skip

    def __init__(
        self,
        guards: Sequence[Guard],
        version: str,
        digest: str,
        move: Move,
        baselines: Mapping[str, Baseline],
        now: float,
    ) -> None:
        self.n = self.errors = 0
        self.version, self.digest, self.move = version, digest, move
        self.begun = max(now, move.at.timestamp())
        self.over = [guard.over for guard in guards if guard.over is not None]
        self.slower = [0] * len(self.over)
        self.failed: deque[tuple[Call, float, bool]] = deque(maxlen=RING)
        self.observed: dict[str, deque[Sequence[float]]] = {
            guard.name: deque(maxlen=_QUEUED) for guard in guards if guard.kind in {"rate", "mean"}
        }
        self.weighed = [Weighed(guard, len(guards), baselines.get(guard.name), now) for guard in guards]
        self.acted = False

    def slow(self, seconds: float) -> None:
        """A call took longer than the least of the limits."""
        for at, over in enumerate(self.over):
            if seconds > over:
                self.slower[at] += 1

    def age(self, now: float) -> float:
        """Seconds since the move; of a clock that goes back, none."""
        return max(0.0, now - self.move.at.timestamp())

    def take(self) -> None:
        """Hand what was counted to the guards."""
        slow = iter([*self.slower])
        errors, n = self.errors, self.n
        for weighed in self.weighed:
            kind = weighed.guard.kind
            if weighed.guard.source is not None:
                weighed.ask()
            elif kind in {"errors", "latency"}:
                weighed.counted(n, errors if kind == "errors" else next(slow))
            else:
                queue = self.observed[weighed.guard.name]
                while queue:
                    weighed.observed(queue.popleft())

    def cases(self, now: float) -> Iterator[Case]:
        """The guards whose evidence has reached its bound, each once."""
        for weighed in self.weighed:
            case = weighed.weigh(self.version, self.digest, now)
            if case is not None:
                yield case

    def baselines(self) -> dict[str, Baseline]:
        """What was counted, by guard: for the version after this."""
        self.take()
        return {
            each.guard.name: Baseline(self.version, *each.state_seen) for each in self.weighed if each.state_seen[0]
        }

    def said(self, log_10: float) -> Iterator[dict[str, JsonValue]]:
        """What is known of each guard."""
        for each in self.weighed:
            look = each.look
            n, bad = each.state_seen
            said: dict[str, JsonValue] = {
                "name": each.guard.name,
                "guard": str(each.guard),
                "action": each.guard.action,
            }
            said |= {"n": n, "bad": bad, "m": each.m, "missing": each.missing, "state": each.state}
            if look is not None:
                said |= {"evidence": look.log_evidence / log_10, "bound": look.log_bound / log_10, "epoch": look.epoch}
            yield said


class Weighed:
    """One guard, and what is held against one version by it."""

    def __init__(self, guard: Guard, guards: int, baseline: Baseline | None, now: float) -> None:
        self.guard, self.guards = guard, guards
        self.baseline = baseline if guard.tolerance is not None else None
        self.alpha = share_of_alpha(guard, guards, bounded=self.baseline is not None)
        self.m = limit_of(guard, self.alpha, self.baseline, None)
        self.counts: Counts | Sums = Sums(self.m or 0.5) if guard.kind == "mean" else Counts()
        self.first = now
        self.missing = 0
        self.fired = False
        self.look: Look | None = None
        self._taken = (0, 0)
        self._asked = float("-inf")
        self._told: tuple[int, int] | None = None

    @property
    def state(self) -> str:
        """A word."""
        return "fired" if self.fired else "watching" if self.m is not None else "no baseline"

    @property
    def state_seen(self) -> tuple[int, float]:
        """All observations, and the bad ones."""
        return self.counts.n, self.counts.bad

    def counted(self, n: int, bad: int) -> None:
        """All calls so far, and the bad ones."""
        was_n, was_bad = self._taken
        more, worse = n - was_n, bad - was_bad
        if more > 0 and isinstance(self.counts, Counts):
            self._taken = (n, was_bad + min(worse, more))
            self.counts.add(more, min(worse, more))

    def observed(self, values: Sequence[float]) -> None:
        """What the application has measured; what is missing is None."""
        there = [each for each in values if not math.isnan(each)]
        self.missing += len(values) - len(there)
        if isinstance(self.counts, Sums):
            self.counts.add([self.guard.scaled(each) for each in there])
        else:
            self.counts.add(len(there), sum(map(bool, there)))

    def ask(self) -> None:
        """Ask the source, now and then.  What it does not say, or says wrongly, is missing; a count that falls begins anew."""
        now = time.monotonic()
        if now - self._asked < _ASK_SOURCE or self.guard.source is None:
            return
        self._asked = now
        told = None
        with suppress(Exception):  # the application's own
            n, bad = self.guard.source()
            told = (int(n), int(bad)) if 0 <= bad <= n else None
        if told is None:
            self.missing += 1
            return
        before, self._told = self._told, told
        if before is None or not isinstance(self.counts, Counts):
            return
        more, worse = told[0] - before[0], told[1] - before[1]
        if 0 <= worse <= more:
            self.counts.add(more, worse)

    def weigh(self, version: str, digest: str, now: float) -> Case | None:
        """Look at the evidence; the case against the version, if the bound is reached for the first time."""
        if self.m is None or not self.counts.n:
            return None
        if isinstance(self.counts, Sums):
            look = self.counts.look(self.alpha)
            self.counts.turn()
            enough = look.n
        else:
            look = self.counts.look(self.m, self.alpha)
            self.counts.turn(self.m)
            enough = int(look.bad)
        self.look = look
        if self.fired or not look.reached or enough < self.guard.min_bad:
            return None
        self.fired = True
        first, last = (datetime.fromtimestamp(each, UTC) for each in (self.first, now))
        seen = self.state_seen
        return Case(
            self.guard, self.guards, version, digest, self.m, self.alpha, look, seen, first, last, self.baseline
        )


def values_of(guard: Guard, value: Any) -> list[float]:
    """What `guard` observes, one or several; what is missing is not a number.

    Raises:
        InvalidInput: `bad-value`.
    """
    try:
        several = value.tolist() if hasattr(value, "tolist") else value
        listed = several if isinstance(several, list | tuple) else [several]
        found = [_value(guard, each) for each in listed]
    except Exception:  # a value of any type, with code of its own
        found = [None]
    if None not in found:
        return [each for each in found if each is not None]
    what = f"from {guard.low:g} to {guard.high:g}" if guard.kind == "mean" else "true or false"
    raise InvalidInput(f"{shown(guard.name)} is {what}, not {shown(value)}", code=Code.BAD_VALUE, hint=str(guard))


def _value(guard: Guard, value: Any) -> float | None:
    """None if it is none."""
    if value is None or value != value:  # noqa: PLR0124 - not a number
        return math.nan
    if hasattr(value, "item"):
        value = value.item()
    if not isinstance(value, bool | int | float):
        return None
    return float(value) if (guard.low <= value <= guard.high if guard.kind == "mean" else value in {0, 1}) else None
