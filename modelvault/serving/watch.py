"""What watches the model in a live handle: it counts, weighs the counts against the guards, and acts, once.

Counting is on the way of a call: plain integers, no lock, no clock.  Deciding is in the background (`tick`).  Where a
guard fires the version before is asked first, on a thread of its own, for that may take as long as the model takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

from modelvault.canonical import storable
from modelvault.errors import Code, InvalidInput, VaultError, shown
from modelvault.serving.guards import Guard, listed
from modelvault.serving.record import LOG_10, Case
from modelvault.serving.replay import Call, replayed
from modelvault.serving.tally import Tally, values_of
from modelvault.serving.threads import start
from modelvault.wire import JsonValue, Move

__all__ = ["Monitor", "Served", "automatic"]

_VERSIONS: Final = 16


class Served(Protocol):
    """A version in service."""

    @property
    def model(self) -> Any:
        """The object."""

    @property
    def version(self) -> str:
        """Its number."""

    @property
    def digest(self) -> str:
        """Its digest."""


class Monitor:
    """The guards of one live handle."""

    def __init__(
        self,
        guards: Guard | Sequence[Guard],
        *,
        undo: Callable[[str, Mapping[str, JsonValue], Move], bool],
        tell: Callable[..., None] = lambda *_: None,
        blame: Callable[[BaseException], bool] | None = None,
        clock: Callable[[], float] = time.time,
        run: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        """Watch for `guards`.

        Args:
            guards: what for.
            undo: called with a reason, the evidence and the move to be undone, at most once for each move.
            tell: called with the kind of an event and its reason.
            blame: says of an error that it is the caller's fault.
            clock: seconds since 1970.
            run: how a decision that may take long is run; on a thread, if left out.
        """
        self.guards = listed(guards)
        self._undo, self._tell, self._blame = undo, tell, blame
        self._clock, self._run = clock, run or _on_a_thread
        self._tallies: dict[str, Tally] = {}
        self._now: Tally | None = None
        self._before: Served | None = None
        self._slowest = min((each.over for each in self.guards if each.over is not None), default=float("inf"))
        self._last_undo = float("-inf")
        self._names = {each.name: each for each in self.guards if each.kind in {"rate", "mean"}}

    # --- on the way of a call

    def saw(self, digest: str, seconds: float, error: BaseException | None = None) -> bool:
        """The version `digest` has answered after `seconds`, or raised `error`; True if `remember` is to be told how."""
        tally = self._tallies.get(digest)
        if tally is None:
            return False
        if error is None and seconds <= self._slowest:
            tally.n += 1
            return False
        if error is not None and not self._counts(error):
            return False
        tally.n += 1
        tally.slow(seconds)
        tally.errors += error is not None
        return True

    def remember(self, digest: str, seconds: float, error: BaseException | None, call: Call) -> None:
        """The call that failed, or took long: it may be run again."""
        tally = self._tallies.get(digest)
        if tally is not None:
            tally.failed.append((call, seconds, error is not None))

    def _counts(self, error: BaseException) -> bool:
        """It is the model's fault, and not that of who ends the process or the task, or who passed what it does not take."""
        if not isinstance(error, Exception):
            return False
        if isinstance(error, VaultError) and error.code == Code.SIGNATURE_MISMATCH:
            return False
        return self._blame is None or not self._blame(error)

    def observe(self, name: str, value: Any, version: str | None = None) -> None:
        """What was measured of a version, by its number or digest, maybe days later; of the one in service, if None.

        What is missing, None or not a number, is not counted.  Of a version that this process has forgotten nothing is.

        Raises:
            InvalidInput: `bad-value`, no guard has that name, or the value is not what it observes.
        """
        guard = self._names.get(storable(name, "the name of a guard"))
        if guard is None:
            known = ", ".join(self._names) or "none"
            raise InvalidInput(f"no guard observes {shown(name)}", code=Code.BAD_VALUE, hint=f"names: {known}")
        values = values_of(guard, value)
        tally = self._now if version is None else self._of(getattr(version, "digest", version))
        if tally is not None:
            tally.observed[name].append(values)

    def _of(self, version: object) -> Tally | None:
        if not isinstance(version, str):
            raise InvalidInput(f"{shown(version)} is no version", code=Code.BAD_VALUE, hint="version=live.version")
        found = self._tallies.get(version)
        return found or next((each for each in reversed([*self._tallies.values()]) if each.version == version), None)

    # --- in the background

    def swapped(self, snapshot: Served, previous: Served | None, move: Move) -> None:
        """`snapshot` serves from now on, because of `move`; `previous` is in memory while it may come back."""
        self._before = previous
        before = self._now
        if before is not None and (before.digest, before.move.seq) == (snapshot.digest, move.seq):
            return
        if automatic(move):
            self._last_undo = max(self._last_undo, move.at.timestamp())
        baselines = before.baselines() if before and before.digest != snapshot.digest else {}
        now = Tally(self.guards, snapshot.version, snapshot.digest, move, baselines, self._clock())
        self._tallies.pop(snapshot.digest, None)
        self._tallies[snapshot.digest] = self._now = now
        while len(self._tallies) > _VERSIONS:
            del self._tallies[next(iter(self._tallies))]

    def tick(self) -> None:
        """Take what was counted into account, and decide."""
        for tally in [*self._tallies.values()]:
            tally.take()
        now = self._now
        if self._before is not None and not self.probation:
            self._before = None
        if now is None or now.acted:
            return
        for case in now.cases(self._clock()):
            if not now.acted:
                self._fired(now, case)

    def _fired(self, tally: Tally, case: Case) -> None:
        """The evidence of a guard has reached its bound, for the first time."""
        against = self.why_not(tally, case.guard)
        if against:
            self._tell("guard_alert", f"{against}: {case.reason}")
            return
        tally.acted = True
        self._run(lambda: self._act(tally, case))

    def _act(self, tally: Tally, case: Case) -> None:
        replay = None
        if case.guard.confirm == "replay" and case.guard.kind in {"errors", "latency"}:
            replay = self._replayed(tally, case.guard)
            if replay and replay["failed"] * 2 >= replay["inputs"]:
                tally.acted = False
                self._tell("guard_alert", f"not the version, {_alike(replay)}: {case.reason}")
                return
        if self._now is not tally:  # the alias was faster
            return
        self._last_undo = self._clock()
        self._undo(case.reason, {"guard": case.record(tally.move, replay)}, tally.move)

    def _replayed(self, tally: Tally, guard: Guard) -> dict[str, int] | None:
        before = self._before
        return None if before is None else replayed(before.model, [*tally.failed], guard.over)

    def why_not(self, tally: Tally, guard: Guard) -> str:
        """Why evidence of `guard` alerts, and does not undo the move; "" if it does."""
        move, now = tally.move, self._clock()
        if guard.action != "rollback":
            return {"alert": "alert", "dry-run": "dry run, it would be rolled back"}[guard.action]
        if automatic(move):
            return "not rolled back, it was reached by an automatic rollback"
        if move.kind != "promote" or move.undo is None:
            return "not rolled back, " + (
                "nothing was there before" if move.undo is None else f"it is a {shown(move.kind)}"
            )
        if not rollback_safe(move):
            return "not rolled back, the version before is not compatible"
        if tally.age(now) > guard.probation_seconds:
            return "not rolled back, its probation is over"
        if now - self._last_undo < guard.cooldown_seconds:
            return "not rolled back, another rollback was a moment ago"
        return ""

    # --- said

    @property
    def probation(self) -> bool:
        """The version in service may still be rolled back by a guard."""
        now = self._now
        return now is None or (not now.acted and any(not self.why_not(now, guard) for guard in self.guards))

    def status(self) -> dict[str, JsonValue]:
        """What is known of the version in service.

        ``probation`` is False once an automatic rollback is out of the question.  Evidence and bounds are powers of ten.
        """
        said: list[JsonValue] = [*self.guards_said()]
        return {"version": self._now.version if self._now else None, "probation": self.probation, "guards": said}

    def guards_said(self) -> list[dict[str, JsonValue]]:
        """What is known of each guard."""
        return [*self._now.said(LOG_10)] if self._now else []


def automatic(move: Move) -> bool:
    """A guard made it."""
    return move.kind == "rollback" and "guard" in move.evidence


def rollback_safe(move: Move) -> bool:
    """No gate said that the way back is closed."""
    gates = move.evidence.get("gates")
    said = [move.evidence, *(gates if isinstance(gates, list) else [])]
    return not any(isinstance(each, Mapping) and each.get("rollback_safe") is False for each in said)


def _alike(replay: Mapping[str, int]) -> str:
    return f"{replay['failed']} of {replay['inputs']} inputs fail on the version before, too"


def _on_a_thread(work: Callable[[], None]) -> None:
    def quietly() -> None:
        with suppress(Exception):  # of the model, or of a hook: there is nobody to tell
            work()

    start(quietly, "modelvault-guard")
