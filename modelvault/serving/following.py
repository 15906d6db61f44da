"""An alias that is followed.  All that can take long is done here, on threads of its own, and never by a call."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from modelvault.errors import Code, CommitUncertain, Conflict, Corrupt, NotFound, Refused, StoreError, VaultError, shown
from modelvault.reference import AliasRef
from modelvault.serving import isolated
from modelvault.serving.background import known, look_after, stop_looking, wake
from modelvault.serving.memory import LastGood
from modelvault.serving.options import Options
from modelvault.serving.poll import Asking, after, first, pause
from modelvault.serving.service import Service
from modelvault.serving.snapshot import Slot, Snapshot
from modelvault.serving.source import Source
from modelvault.serving.start import check_forwards, check_in_use, within
from modelvault.serving.swap import Phases, Swap, digest_of, prepared, said
from modelvault.wire import JsonValue, Manifest, Move

__all__ = ["Following"]

_LAZY = 5.0
_PATIENCE = 2.0
"""Seconds that a start waits for the store where it has something to fall back on."""
_GLANCE, _TICK, _LONGEST = 0.5, 0.2, 60.0
"""Seconds between two beats."""


class _Undo(NamedTuple):
    """A move that is to be undone, and why."""

    move: Move
    reason: str
    evidence: Mapping[str, JsonValue]


class _Bringing:
    """A version that is on its way into service."""

    def __init__(self, digest: str) -> None:
        self.digest = digest
        self.done = threading.Event()
        self.swap: Swap | None = None


class Following(Service):
    """The service of a live handle, and what keeps it up to date."""

    def __init__(self, source: Source, ref: AliasRef, options: Options) -> None:
        super().__init__(ref, options)
        self.polls = isinstance(options.refresh, float)
        self.refresh = options.refresh if isinstance(options.refresh, float) else _LAZY
        self._begin(source)
        known(self)

    def _begin(self, source: Source) -> None:
        self.source = source
        self.folder = source.folder()
        self.asking = Asking(source.catalog, self.ref, self.folder if source.shared else None)
        self.good = LastGood(self.folder, self.ref)
        self.begin(self.undo)
        self.due = float("inf")
        self._asks = threading.Lock()
        self._settles = threading.Lock()
        self._bringing: _Bringing | None = None
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
        self.slot = Slot(self._first(good, phases))
        self._serves(self.slot.now)
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

    def _first(self, good: Move | None, phases: Phases) -> Snapshot:
        patience = min(self.options.timeout, _PATIENCE) if good else self.options.timeout
        try:
            self.wanted = within(patience, self.asking.ask, self.ref)
            check_forwards(self.ref, self.wanted, good)
        except (StoreError, Corrupt) as error:
            if good is None:
                raise
            self.wanted, self.fault = good, error
            return self._prepared(good, phases, alone=True)
        check_in_use(self.ref, self.wanted)
        self.seen_at = time.time()
        same = good is None or digest_of(good) == digest_of(self.wanted)
        try:
            return self._prepared(self.wanted, phases, alone=same)
        except VaultError as error:
            if good is None or same:
                raise
            if isinstance(error, StoreError):
                self.fault = error
            else:
                self.rejections.add(self.wanted, said(error))
            return self._prepared(good, phases, alone=True)

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
        threading.Thread(target=work, name="modelvault-follow", daemon=True).start()

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
        wanted, coming = self.wanted, self._bringing
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
            self._serves(self.slot.now)
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

    # --- swap

    def bring(self, move: Move) -> Swap | None:
        """Bring the version that `move` points to into service; None if it is there, may not be, or comes already.

        Raises:
            StoreError: the store failed.
        """
        mine = self._claimed(move)
        if mine is None:
            return None
        phases = Phases()
        try:
            mine.swap = self._swapped(self._kept(move) or self._prepared(move, phases), phases)
        except StoreError:
            raise
        except VaultError as error:
            mine.swap = self._held(move, said(error), phases)
        finally:
            with self.changing:
                if self._bringing is mine:
                    self._bringing = None
            mine.done.set()
        return mine.swap

    def _claimed(self, move: Move) -> _Bringing | None:
        with self.changing:
            digest = digest_of(move)
            if self.closed or digest is None or digest == self.slot.now.digest or self.rejections.refuse(move):
                return None
            if self._bringing and self._bringing.digest == digest:
                return None
            self._bringing = _Bringing(digest)
            return self._bringing

    def _kept(self, move: Move) -> Snapshot | None:
        """The version before, if it is that which `move` points to: nothing needs to be loaded."""
        kept = self.previous
        return replace(kept, move=move) if kept and kept.digest == digest_of(move) else None

    def _prepared(self, move: Move, phases: Phases, *, alone: bool = False) -> Snapshot:
        """`alone`: there is nothing to go on with, so nothing is gained by trying it elsewhere first."""

        def isolate(manifest: Manifest, move: Move) -> None:
            always = self.options.isolate is True
            isolated.tried(self.source, manifest, move, self.folder, lambda: self._is_overtaken(move), always=always)

        wanted = self.options.isolate or (self.options.isolate is None and not alone)
        return prepared(self.source, move, self.options, phases, isolate if wanted else None)

    def _is_overtaken(self, move: Move) -> bool:
        return self.closed or (digest_of(move) != digest_of(self.wanted) and move.seq < self.wanted.seq)

    def _swapped(self, snapshot: Snapshot, phases: Phases) -> Swap | None:
        before = self.put(snapshot)
        if before is None:
            return None
        self._serves(snapshot)
        self.tell("swapped", seconds=phases.seconds, wanted=before.version)
        return Swap("swapped", snapshot.version, before.version, "", phases.seconds)

    def _held(self, move: Move, reason: str, phases: Phases) -> Swap | None:
        if self._is_overtaken(move):
            return None
        with self.changing:
            self.rejections.add(move, reason)
        self.tell("held", reason, seconds=phases.seconds)
        return Swap("held", move.version or "", self.slot.now.version, reason, phases.seconds)

    def _serves(self, snapshot: Snapshot) -> None:
        """Whoever is to know is told; on this host it is known to be good."""
        if self.watch:
            self.watch.swapped(snapshot, self.previous, snapshot.move)
        isolated.survived(snapshot.move, self.folder)
        raw = self.asking.raw(snapshot.move)
        if raw is not None:
            self.good.write(raw)

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
            self._rolled_back(undo, self.source.rollback(undo.move, reason=undo.reason, evidence=undo.evidence))
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

    def _rolled_back(self, undo: _Undo, made: Move) -> None:
        self._confirmed(made)
        self.tell("rolled_back", undo.reason, wanted=undo.move.version or "", cause="guard")
