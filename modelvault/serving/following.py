"""An alias that is followed.  All that can take long is done here, on threads of its own, and never by a call."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NamedTuple

from modelvault.errors import Code, CommitUncertain, Conflict, NotFound, Refused, StoreError, VaultError, shown
from modelvault.reference import AliasRef
from modelvault.serving.background import known, look_after, stop_looking, wake
from modelvault.serving.bringing import Bringing
from modelvault.serving.options import Options
from modelvault.serving.poll import after, first, pause
from modelvault.serving.snapshot import Slot
from modelvault.serving.source import Source
from modelvault.serving.swap import Phases, Swap, digest_of, said
from modelvault.serving.threads import start
from modelvault.wire import JsonValue, Move

__all__ = ["Following"]

_LAZY = 5.0
_GLANCE, _TICK, _LONGEST = 0.5, 0.2, 60.0
"""Seconds between two beats."""


class _Undo(NamedTuple):
    """A move that is to be undone, and why."""

    move: Move
    reason: str
    evidence: Mapping[str, JsonValue]
    made: Move | None = None
    """The rollback, when it was made."""


class Following(Bringing):
    """The service of a live handle, and what keeps it up to date."""

    def __init__(self, source: Source, ref: AliasRef, options: Options) -> None:
        super().__init__(ref, options)
        self.polls = isinstance(options.refresh, float)
        self.refresh = options.refresh if isinstance(options.refresh, float) else _LAZY
        self._begin(source)
        known(self)

    def _begin(self, source: Source) -> None:
        self.bind(source, self.undo)
        self.due = float("inf")
        self._asks = threading.Lock()
        self._settles = threading.Lock()
        self._undoing: _Undo | None = None
        self._failures = 0
        self._heard = self._moved = time.monotonic()

    def forked(self) -> None:
        """This is the child of a fork: the model is here, and all that looks after it is made anew."""
        if not self.closed:
            self._begin(self.source.renewed())
            if self.watch:
                self.watch.swapped(self.slot.now, self.previous, self.slot.now.move)
            self.plan()

    def close(self) -> None:
        """Follow no more; what serves stays."""
        self.closed = True
        stop_looking(self)
        self.calls.export(self.ref)
        self.previous = None
        self.retired.clear()

    # --- start

    def start(self) -> None:
        """Bring the first version into service.  Raises where there is none."""
        good = self.good.read() if self.options.offline == "last-good" else None
        phases = Phases()
        self.slot = Slot(self.first(good, phases))
        self.serves(self.slot.now)
        self.tell("loaded", seconds=phases.seconds)
        if self.state != "serving":
            self.tell("stale" if self.state == "stale" else "held", self.reason)
        self.plan()

    def plan(self) -> None:
        """Look for moves from now on, at a random moment to begin with."""
        if self.options.refresh is not None:
            self.due = after(first(self.refresh))
        if self.polls or self.watch or self.hooks.exporters:
            look_after(self)

    # --- in the background

    def beat(self) -> float:
        """What is due; the seconds until the next time.  See `background`."""
        if self.watch:
            with suppress(Exception):  # whatever a guard's own code raises: it is asked again
                self.watch.tick()
                if self.hooks.exporters:
                    self.hooks.evidence(self.ref.model, self.ref.alias, self.slot.now.version, self.watch.guards_said())
        self.calls.export(self.ref)
        if self.seen_at:
            self.hooks.age(self.ref.model, self.ref.alias, time.time() - self.seen_at)
        self.sweep()
        if self.polls:
            news = self.asking.glance()
            if news is not None:
                self._confirmed(news)
                if self.differs:
                    self._thread(self._follow)
            elif time.monotonic() >= self.due:
                self.ask_soon()
        often = bool(self.source.shared or self.retired or self.hooks.exporters)
        longest = _TICK if self.watch else _GLANCE if often else _LONGEST
        return min(longest, max(self.due - time.monotonic(), 0.005)) if self.polls else longest

    def ask_soon(self) -> None:
        """Ask the store on a thread of its own, and follow."""
        self.due = after(pause(self.refresh, shared=self.source.shared))
        self._thread(self._round)

    def _thread(self, work: Callable[[], None]) -> None:
        start(work, "modelvault-follow")

    def _round(self) -> None:
        """Ask, unless another thread or process of this host is asking, and follow; never raises."""
        if not self._asks.acquire(blocking=False):
            return
        try:
            with self.asking.turn() as mine:
                if not mine and time.monotonic() - self._heard < 2.5 * self.refresh:
                    self.due = after(self.refresh / 4)
                    return
                self._ask()
        except Exception:  # the store's own libraries; the status says it
            return
        finally:
            self._asks.release()
        self._follow()

    def _follow(self) -> None:
        """Bring what the alias points to into service; never raises."""
        try:
            self.bring(self.wanted)
        except VaultError as error:
            self._failed(error)
        except Exception as error:  # what the object's own code raises where nobody expects it
            self.rejections.add(self.wanted, f"{type(error).__name__}: {shown(error)}")
        self.sweep()

    def refreshed(self) -> Swap | None:
        """See `Live.refresh`."""
        self._ask()
        wanted, coming = self.wanted, self.coming
        self.rejections.retry(wanted)
        if coming and coming.digest == digest_of(wanted):
            coming.done.wait()
            return coming.swap
        try:
            return self.bring(wanted)
        except StoreError as error:
            self._failed(error)
            raise
        finally:
            self.sweep()

    # --- ask

    def _ask(self) -> None:
        """Ask the store.  Raises what it raises, and remembers that."""
        try:
            self._settle()
            move = self.asking.ask()
        except VaultError as error:
            self._failed(error)
            raise
        except Exception as error:
            self._failed(StoreError(f"the store failed: {shown(error)}", code=Code.STORE_FAILED))
            raise
        self._confirmed(move)

    def _confirmed(self, move: Move) -> None:
        """The store says, or has just said to another process, that `move` is the newest."""
        was, self.fault = self.fault, None
        self._failures, self._heard, self.seen_at = 0, time.monotonic(), time.time()
        news, same = self.want(move)
        if news:
            self._moved = self._heard
        calm = self._heard - self._moved
        self.due = after(pause(self.refresh, since_move=calm, shared=self.source.shared))
        if same:
            self.serves(self.slot.now)
        if was is not None:
            self.tell("recovered")
        if news and move.target is None:
            self.tell("held", self.reason)

    def _failed(self, error: VaultError) -> None:
        first, self.fault = self.fault is None, error
        self._failures += 1
        self.due = after(pause(self.refresh, failures=self._failures))
        if first:
            self.tell("stale" if isinstance(error, StoreError) else "held", said(error))

    # --- undo

    def undo(self, reason: str, evidence: Mapping[str, JsonValue], move: Move | None = None) -> bool:
        """The version before serves at once, if it is in memory; the alias is rolled back in the background.

        Nothing is done where the alias has moved since `move`.
        """
        bad = None if self._undoing or self.closed else self.back(reason, move)
        if bad is None:
            return False
        self._undoing = _Undo(bad.move, reason, evidence)
        self._thread(self._round)
        self.due = time.monotonic()
        wake()
        return bad is not self.slot.now

    def _settle(self) -> None:
        """Roll the alias back, if that is to be done: once, and not if somebody else has moved it."""
        undo = self._undoing
        if undo is None or not self._settles.acquire(blocking=False):
            return
        try:
            if undo.made is None:
                undo = self._rolled_back(undo)
            self._quarantine(undo)
        except Conflict as error:
            if error.code != Code.ALIAS_MOVED:
                raise
        except (StoreError, CommitUncertain):
            raise
        except (Refused, NotFound) as error:  # it stays, and is followed again
            self.rejections.drop(digest_of(undo.move) or "")
            self.tell("guard_alert", f"the alias is not rolled back: {said(error)}", cause="guard")
        except VaultError as error:
            self.tell("held", f"the alias cannot be rolled back: {said(error)}", cause="guard")
        finally:
            self._settles.release()
        self._undoing = None

    def _rolled_back(self, undo: _Undo) -> _Undo:
        made = self.source.rollback(undo.move, reason=undo.reason, evidence=undo.evidence)
        self._undoing = undo = undo._replace(made=made)
        self._confirmed(made)
        self.tell("rolled_back", undo.reason, wanted=undo.move.version or "", cause="guard")
        return undo

    def _quarantine(self, undo: _Undo) -> None:
        """What was left does not come back under another number, until somebody releases it."""
        assert undo.made is not None
        try:
            kept = self.source.quarantine(undo.move, undo.made, reason=undo.reason)
        except StoreError as error:
            if error.code != Code.STORE_DENIED:
                raise
            self.tell("guard_alert", f"{undo.move.version} is not in quarantine: {said(error)}", cause="guard")
        else:
            if kept:
                self.tell("quarantined", undo.reason, wanted=undo.move.version or "", cause="guard")
