"""An alias, and the version in service that follows it.  All that can take long is done here, and never by a call."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from modelvault.errors import (
    Code,
    CommitUncertain,
    Conflict,
    Corrupt,
    NotFound,
    Refused,
    StoreError,
    VaultError,
    shown,
)
from modelvault.reference import AliasRef
from modelvault.serving import isolated
from modelvault.serving.background import known, look_after, stop_looking, wake
from modelvault.serving.calls import Calls
from modelvault.serving.events import Event, Hooks, Kind
from modelvault.serving.memory import LastGood
from modelvault.serving.options import Options
from modelvault.serving.poll import Asking, after, pause
from modelvault.serving.snapshot import Slot, Snapshot
from modelvault.serving.source import Source
from modelvault.serving.swap import Phases, Rejections, Swap, prepared, said
from modelvault.serving.watching import watched
from modelvault.wire import JsonValue, Manifest, Move

__all__ = ["Following"]

_LAZY = 5.0
_PATIENCE = 2.0
"""Seconds that a start waits for the store where it has something to fall back on."""
_GLANCE, _TICK = 0.5, 0.2
_LINGER = 60.0
"""Seconds after which a model that was replaced is let go, whoever still uses it."""


class Undo(NamedTuple):
    """A move that is to be undone, and why."""

    move: Move
    reason: str
    evidence: Mapping[str, JsonValue]


class Bringing:
    """A version that is on its way into service."""

    def __init__(self, digest: str) -> None:
        self.digest = digest
        self.done = threading.Event()
        self.swap: Swap | None = None


class Following:
    """The state of a live handle.  `slot.now` serves; `wanted` is the newest move that was seen."""

    slot: Slot
    wanted: Move

    def __init__(self, source: Source, ref: AliasRef, options: Options) -> None:
        self.ref = ref
        self.options = options
        self.hooks = Hooks(options.hooks)
        self.rejections = Rejections()
        self.refresh = _LAZY if options.refresh == "lazy" else options.refresh
        self.previous: Snapshot | None = None
        self.fault: VaultError | None = None
        self.seen_at = 0.0
        self.closed = False
        self._begin(source)
        known(self)

    def _begin(self, source: Source) -> None:
        """All that a process must have of its own."""
        self.source = source
        self.folder = source.folder()
        self.asking = Asking(source.catalog, self.ref, self.folder if source.shared else None)
        self.good = LastGood(self.folder, self.ref)
        self.watch = watched(self.options.guard, undo=self.undo, tell=self.tell)
        self.calls = Calls(self.watch, self.hooks)
        self.due = float("inf")
        self._changing = threading.Lock()
        self._bringing: Bringing | None = None
        self._undoing: Undo | None = None
        self._asks = False
        self._failures = 0
        self._heard = self._moved = time.monotonic()
        self._retired: list[tuple[Snapshot, float]] = []

    # --- start

    def start(self) -> None:
        """Bring the first version into service.  Raises where there is none."""
        good = self.good.read() if self.options.offline == "last-good" else None
        phases = Phases()
        snapshot = self._first(good, phases)
        self.slot = Slot(snapshot)
        self._serves(snapshot)
        self.tell("loaded", seconds=phases.seconds)
        if self.state != "serving":
            self.tell("stale" if self.state == "stale" else "held", self.reason)
        self.plan(first=True)

    def plan(self, *, first: bool = False) -> None:
        """When to ask next; at a random moment, to begin with."""
        if self.refresh is not None and self.options.refresh != "lazy":
            wait = pause(self.refresh, shared=self.source.shared)
            self.due = after(wait * (time.perf_counter_ns() % 997 / 997) if first else wait)
            look_after(self)
        elif self.refresh is not None:
            self.due = after(self.refresh)
        if self.watch or self.hooks.exporters:
            look_after(self)

    def _first(self, good: Move | None, phases: Phases) -> Snapshot:
        try:
            self.wanted = self._within(min(self.options.timeout, _PATIENCE) if good else self.options.timeout)
            self._forwards(good)
            self.seen_at = time.time()
        except (StoreError, Corrupt) as error:
            if good is None:
                raise
            self.wanted, self.fault = good, error
            return self._prepared(good, phases)
        if self.wanted.target is None:
            raise _retired(self.ref, self.wanted)
        try:
            return self._prepared(self.wanted, phases, alone=good is None or _digest(good) == _digest(self.wanted))
        except VaultError as error:
            if good is None or _digest(good) == _digest(self.wanted):
                raise
            if isinstance(error, StoreError):
                self.fault = error
            else:
                self.rejections.add(self.wanted, said(error))
            return self._prepared(good, phases)

    def _within(self, seconds: float) -> Move:
        """What the alias points to, if the store says so in time."""
        found: list[Move | BaseException] = []

        def ask() -> None:
            try:
                found.append(self.asking.ask())
            except BaseException as error:  # it is raised again where it is waited for
                found.append(error)

        thread = threading.Thread(target=ask, name="modelvault-first", daemon=True)
        thread.start()
        thread.join(seconds)
        if not found:
            raise StoreError(
                f"the store did not say within {seconds:g} s where {self.ref} points",
                code=Code.STORE_UNREACHABLE,
                hint="timeout= is how long to wait",
                ref=str(self.ref),
            )
        if isinstance(found[0], BaseException):
            raise found[0]
        return found[0]

    def _forwards(self, good: Move | None) -> None:
        if good is not None and good.seq > self.wanted.seq:
            raise Corrupt(
                f"{self.ref} is at entry {self.wanted.seq}, and entry {good.seq} has served on this host",
                code=Code.ALIAS_WENT_BACKWARDS,
                hint="the store was restored from an older copy, or answers from a stale replica: find out which",
                ref=str(self.ref),
            )

    # --- in the background

    def beat(self) -> float:
        """What is due.  See `background`."""
        if self.watch:
            with suppress(Exception):  # whatever a guard's own code raises: it is asked again
                self.watch.tick()
        self.calls.export(self.ref)
        self._sweep()
        if self.refresh is None or self.options.refresh == "lazy":
            return _TICK if self.watch else 1.0
        news = self.asking.glance()
        if news is not None:
            self._confirmed(news)
            if self._differs():
                self._thread(self._follow)
        elif time.monotonic() >= self.due:
            self.ask_soon()
        wait = max(self.due - time.monotonic(), 0.005)
        return min(wait, _TICK if self.watch else _GLANCE if self.source.shared or self._retired else 60.0)

    def ask_soon(self) -> None:
        """Ask the store on a thread of its own, unless one is asking."""
        self.due = after(pause(self.refresh or _LAZY, shared=self.source.shared))
        if not self._asks:
            self._asks = True
            self._thread(self._round)

    def _thread(self, work: object) -> None:
        threading.Thread(target=work, name="modelvault-follow", daemon=True).start()  # type: ignore[arg-type]

    def _round(self) -> None:
        """Ask, if no other process of this host is asking, and follow."""
        try:
            with self.asking.turn() as mine:
                interval = self.refresh or _LAZY
                if not mine and time.monotonic() - self._heard < 2.5 * interval:
                    self.due = after(interval / 4)
                    return
                self._ask()
        except Exception:  # the store's own libraries; what is known of it is said in the status
            return
        finally:
            self._asks = False
        self._follow()

    def _ask(self) -> None:
        """Ask the store.  Raises what it raises, and remembers that."""
        if self._undoing:
            self._settle(self._undoing)
        try:
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
        with self._changing:
            news = move.seq > self.wanted.seq
            if news:
                self.wanted, self._moved = move, self._heard
            again = news and _digest(move) == self.slot.now.digest
            if again:  # what serves is what is wanted, by another move
                self.slot.now = replace(self.slot.now, move=move)
        self.due = after(pause(self.refresh or _LAZY, since_move=self._heard - self._moved, shared=self.source.shared))
        if again:
            self._serves(self.slot.now)
        if was is not None:
            self.tell("recovered")
        if news and move.target is None:
            self.tell("held", self.reason)

    def _failed(self, error: VaultError) -> None:
        first, self.fault = self.fault is None, error
        self._failures += 1
        self.due = after(pause(self.refresh or _LAZY, failures=self._failures))
        if first:
            self.tell("stale" if isinstance(error, StoreError) else "held", said(error))

    def _differs(self) -> bool:
        return self.wanted.target is not None and self.wanted.target.digest != self.slot.now.digest

    # --- swap

    def _follow(self) -> None:
        """Bring what the alias points to into service; never raises."""
        try:
            self.bring(self.wanted)
        except VaultError as error:
            self._failed(error)
        except Exception as error:  # what the object's own code raises where nobody expects it
            self.rejections.add(self.wanted, f"{type(error).__name__}: {shown(error)}")
        self._sweep()

    def refreshed(self) -> Swap | None:
        """See `Live.refresh`."""
        self._ask()
        wanted = self.wanted
        self.rejections.retry(wanted)
        coming = self._bringing
        if coming and coming.digest == _digest(wanted):
            coming.done.wait()
            return coming.swap
        try:
            return self.bring(wanted)
        except StoreError as error:
            self._failed(error)
            raise
        finally:
            self._sweep()

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
            mine.swap = self._serve(self._kept(move) or self._prepared(move, phases), phases)
        except StoreError:
            raise
        except VaultError as error:
            mine.swap = self._hold(move, said(error), phases)
        finally:
            with self._changing:
                if self._bringing is mine:
                    self._bringing = None
            mine.done.set()
        return mine.swap

    def _claimed(self, move: Move) -> Bringing | None:
        with self._changing:
            digest = _digest(move)
            if self.closed or digest is None or digest == self.slot.now.digest or self.rejections.refuse(move):
                return None
            if self._bringing and self._bringing.digest == digest:
                return None
            self._bringing = Bringing(digest)
            return self._bringing

    def _kept(self, move: Move) -> Snapshot | None:
        """The version before, if it is that which `move` points to: nothing needs to be loaded."""
        kept = self.previous
        return replace(kept, move=move) if kept and kept.digest == _digest(move) else None

    def _prepared(self, move: Move, phases: Phases, *, alone: bool = False) -> Snapshot:
        """`alone`: there is nothing to fall back on, so nothing is gained by trying it elsewhere first."""

        def isolate(manifest: Manifest, move: Move) -> None:
            isolated.tried(self.source, manifest, move, self.folder, lambda: self.closed or move.seq < self.wanted.seq)

        wanted = self.options.isolate or (self.options.isolate is None and not alone)
        return prepared(self.source, move, self.options, phases, isolate if wanted else None)

    def _serve(self, snapshot: Snapshot, phases: Phases) -> Swap | None:
        with self._changing:
            if self.closed or _digest(self.wanted) != snapshot.digest:
                return None  # the alias has moved on
            before = self.slot.now
            self.slot.now = snapshot
            self.rejections.drop(snapshot.digest)
            self._keep(before)
        self._serves(snapshot)
        self.tell("swapped", seconds=phases.seconds, wanted=before.version)
        return Swap("swapped", snapshot.version, before.version, "", phases.seconds)

    def _keep(self, before: Snapshot) -> None:
        """`before` is kept for a way back, or let go; what was kept is let go."""
        if self.previous:
            self._retired.append((self.previous, time.monotonic()))
        keep = self.options.keep_previous
        self.previous = before if keep or (keep is None and self.watch) else None
        if self.previous is None:
            self._retired.append((before, time.monotonic()))

    def _on_probation(self) -> bool:
        return self.watch is not None and self.watch.probation

    def _hold(self, move: Move, reason: str, phases: Phases) -> Swap:
        with self._changing:
            self.rejections.add(move, reason)
        self.tell("held", reason, seconds=phases.seconds)
        return Swap("held", move.version or "", self.slot.now.version, reason, phases.seconds)

    def _serves(self, snapshot: Snapshot) -> None:
        """Whoever is to know is told."""
        if self.watch:
            self.watch.swapped(snapshot, self.previous, snapshot.move)
        raw = self.asking.raw(snapshot.move)
        if raw is not None:
            self.good.write(raw)

    def _sweep(self) -> None:
        """Let go of what was replaced, when no call uses it any more: here, so that no call has to destroy it."""
        if self.previous and self.options.keep_previous is None and not self._on_probation():
            with self._changing:
                self._retired.append((self.previous, time.monotonic()))
                self.previous = None
        now = time.monotonic()
        self._retired = [
            (one, since) for one, since in self._retired if sys.getrefcount(one.model) > 2 and now - since < _LINGER
        ]

    # --- undo

    def undo(self, reason: str, evidence: Mapping[str, JsonValue], move: Move | None = None) -> bool:
        """The version before serves at once, if it is in memory; the alias is rolled back in the background.

        Nothing is done if what serves was brought by another move than `move`.
        """
        with self._changing:
            bad, previous = self.slot.now, self.previous
            if self._undoing or self.closed or (move is not None and move.seq != bad.move.seq):
                return False
            if previous is not None:
                self.slot.now = previous
                self.previous = None
                self._retired.append((bad, time.monotonic()))
                self.rejections.add(bad.move, f"rolled back here: {shown(reason, 1000)}", for_good=True)
            self._undoing = Undo(bad.move, reason, evidence)
        self.due = time.monotonic()
        self._thread(self._round)
        wake()
        return previous is not None

    def _settle(self, undo: Undo) -> None:
        """Roll the alias back, once; nothing if somebody else has moved it."""
        try:
            made: Move | None = self.source.rollback(undo.move, reason=undo.reason, evidence=undo.evidence)
        except Conflict as error:
            if error.code != Code.ALIAS_MOVED:
                raise
            made = None
        except (StoreError, CommitUncertain) as error:
            self._failed(error)
            raise
        except (Refused, NotFound) as error:  # the alias stays, and is followed again
            self._undoing = None
            self.rejections.drop(_digest(undo.move) or "")
            self.tell("guard_alert", f"the alias is not rolled back: {said(error)}", cause="guard")
            return
        except VaultError as error:
            self._undoing = None
            self.tell("held", f"the alias cannot be rolled back: {said(error)}", cause="guard")
            return
        self._undoing = None
        if made is not None:
            self._confirmed(made)
            self.tell("rolled_back", undo.reason, wanted=undo.move.version or "", cause="guard")

    # --- processes

    def forked(self) -> None:
        """The model is here, and all that looks after it is made anew."""
        self._begin(self.source.renewed())
        if self.watch:
            self.watch.swapped(self.slot.now, self.previous, self.slot.now.move)
        self.plan(first=True)

    def close(self) -> None:
        """Follow no more; what serves stays."""
        self.closed = True
        stop_looking(self)
        self.calls.export(self.ref)
        self.previous = None
        self._retired.clear()

    # --- said

    @property
    def state(self) -> str:
        """A word: see `Status`."""
        if self.closed:
            return "closed"
        if self.rejection or self.wanted.target is None or (self.fault and not isinstance(self.fault, StoreError)):
            return "held"
        return "stale" if self.fault else "serving"

    @property
    def rejection(self) -> str:
        """Why the version that the alias points to does not serve."""
        found = self.rejections.all.get(_digest(self.wanted) or "")
        return found.reason if found and found.seq == self.wanted.seq else ""

    @property
    def reason(self) -> str:
        """In words, why it is in that state."""
        retired = f"{self.ref} is retired: {shown(self.wanted.reason)}" if self.wanted.target is None else ""
        return "; ".join(filter(None, [self.rejection, retired, said(self.fault) if self.fault else ""]))

    def tell(
        self,
        kind: Kind,
        reason: str = "",
        *,
        wanted: str = "",
        cause: str = "",
        seconds: Mapping[str, float] | None = None,
    ) -> None:
        """Tell the hooks what has happened."""
        now = self.slot.now
        if kind in {"held", "stale"} and not wanted:
            wanted = self.wanted.version or ""
        event = Event(
            kind, self.ref.model, self.ref.alias, now.version, now.digest, wanted, reason, cause, dict(seconds or {})
        )
        self.hooks.tell(event)


def _digest(move: Move) -> str | None:
    return move.target.digest if move.target else None


def _retired(ref: AliasRef, move: Move) -> NotFound:
    return NotFound(
        f"{ref} is retired: {shown(move.reason)}",
        code=Code.ALIAS_NOT_FOUND,
        hint="promote a version to bring it back",
        ref=str(ref),
    )
