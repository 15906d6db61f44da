"""What serves: the slot that calls look at, the version before, what was held back, and who is told."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from modelvault.errors import StoreError, VaultError, shown
from modelvault.reference import AliasRef
from modelvault.serving.calls import Calls
from modelvault.serving.events import Event, Hooks, Kind
from modelvault.serving.options import Options
from modelvault.serving.snapshot import Slot, Snapshot
from modelvault.serving.swap import Rejections, digest_of, said
from modelvault.serving.watching import Undo, watched
from modelvault.wire import Move

if TYPE_CHECKING:
    from modelvault.serving.beside import Beside

__all__ = ["Service"]

_LINGER = 60.0
"""Seconds after which a model that was replaced is let go, whoever still uses it."""


class Service:
    """The version in service, `slot.now`, and the newest move of the alias that was seen, `wanted`.

    `changing` is held while one of them changes, and for nothing that takes long.  Calls never take it.
    """

    slot: Slot
    wanted: Move

    def __init__(self, ref: AliasRef, options: Options) -> None:
        self.ref = ref
        self.options = options
        self.hooks = Hooks(options.hooks)
        self.rejections = Rejections()
        self.previous: Snapshot | None = None
        self.fault: VaultError | None = None
        """Why the store could not be asked, or not be believed, the last time."""
        self.seen_at = 0.0
        """When the store has last said where the alias points; seconds since the epoch."""
        self.closed = False
        self.beside: Beside | None = None
        """A canary."""

    def begin(self, undo: Undo) -> None:
        """All that a process must have of its own."""
        self.watch = watched(self.options.guard, undo=undo, tell=self.tell)
        self.calls = Calls(self.watch, self.hooks)
        self.changing = threading.Lock()
        self.retired: list[tuple[Snapshot, float]] = []

    @property
    def differs(self) -> bool:
        """The alias points to another version than that in service."""
        return self.wanted.target is not None and digest_of(self.wanted) != self.slot.now.digest

    # --- changes

    def want(self, move: Move) -> tuple[bool, bool]:
        """`move` is the newest; whether that is news, and whether what serves is what it points to."""
        with self.changing:
            if move.seq <= self.wanted.seq:
                return False, False
            self.wanted = move
            same = digest_of(move) == self.slot.now.digest
            if same:
                self.slot.now = replace(self.slot.now, move=move)
            return True, same

    def put(self, snapshot: Snapshot) -> Snapshot | None:
        """Have `snapshot` serve from now on; what did before, or None if the alias has moved on meanwhile."""
        with self.changing:
            if self.closed or digest_of(self.wanted) != snapshot.digest:
                return None
            before = self.slot.now
            self.rejections.drop(snapshot.digest)
            if self.previous:
                self._retire(self.previous)
            keep = self.options.keep_previous
            self.previous = before if keep or (keep is None and self.watch) else None
            if self.previous is None:
                self._retire(before)
            if self.watch:  # before the first call, which counts
                self.watch.swapped(snapshot, self.previous, snapshot.move)
            self.slot.now = snapshot
            return before

    def back(self, reason: str, move: Move | None = None) -> Snapshot | None:
        """Have the version before serve again, if it is in memory; what did serve, or None if not because of `move`."""
        with self.changing:
            bad, previous = self.slot.now, self.previous
            if move is not None and move.seq != bad.move.seq:
                return None
            if previous is not None:
                self.slot.now = previous
                self.previous = None
                self._retire(bad)
                self.rejections.add(bad.move, f"rolled back here: {shown(reason, 1000)}", for_good=True)
            return bad

    def _retire(self, snapshot: Snapshot) -> None:
        self.retired.append((snapshot, time.monotonic()))

    def sweep(self) -> None:
        """Let go of what was replaced, when no call uses it any more: here, so that no call has to destroy it."""
        with self.changing:
            if self.previous and self.options.keep_previous is None and not self._on_probation():
                self._retire(self.previous)
                self.previous = None
        now = time.monotonic()
        self.retired = [
            (one, since) for one, since in self.retired if sys.getrefcount(one.model) > 2 and now - since < _LINGER
        ]

    def _on_probation(self) -> bool:
        return self.watch is not None and self.watch.probation

    # --- said

    @property
    def state(self) -> str:
        """A word: see `Status`."""
        if self.closed:
            return "closed"
        if self._rejection or self.wanted.target is None or (self.fault and not isinstance(self.fault, StoreError)):
            return "held"
        return "stale" if self.fault else "serving"

    @property
    def reason(self) -> str:
        """In words, why it is in that state."""
        retired = f"{self.ref} is retired: {shown(self.wanted.reason)}" if self.wanted.target is None else ""
        return "; ".join(filter(None, [self._rejection, retired, said(self.fault) if self.fault else ""]))

    @property
    def _rejection(self) -> str:
        """Why the version that the alias points to does not serve."""
        found = self.rejections.of(self.wanted)
        return found.reason if found else ""

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
        if kind in {"held", "stale"} and self.differs:
            wanted = wanted or self.wanted.version or ""
        model, alias, took = self.ref.model, self.ref.alias, dict(seconds or {})
        self.hooks.tell(Event(kind, model, alias, now.version, now.digest, wanted, reason, cause, took))
