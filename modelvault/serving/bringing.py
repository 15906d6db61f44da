"""A version on its way into service: from a move of the alias to the slot, or to the reason why not."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from modelvault.errors import Corrupt, StoreError, VaultError
from modelvault.serving import isolated
from modelvault.serving.memory import LastGood
from modelvault.serving.poll import Asking
from modelvault.serving.service import Service
from modelvault.serving.snapshot import Snapshot
from modelvault.serving.source import Source
from modelvault.serving.start import check_forwards, check_in_use, within
from modelvault.serving.swap import Phases, Swap, digest_of, prepared, said
from modelvault.serving.watching import Undo
from modelvault.wire import Manifest, Move

__all__ = ["Bringing"]

_PATIENCE = 2.0
"""Seconds that a start waits for the store where it has something to fall back on."""


class _Coming:
    """A version that is on its way, and what becomes of it."""

    def __init__(self, digest: str) -> None:
        self.digest = digest
        self.done = threading.Event()
        self.swap: Swap | None = None


class Bringing(Service):
    """A service, and the ways into it."""

    def bind(self, source: Source, undo: Undo) -> None:
        """All that a process must have of its own."""
        self.source = source
        self.folder = source.folder()
        self.asking = Asking(source.catalog, self.ref, self.folder if source.shared else None)
        self.good = LastGood(self.folder, self.ref)
        self.coming: _Coming | None = None
        self.begin(undo)

    def first(self, good: Move | None, phases: Phases) -> Snapshot:
        """What the alias points to; or `good`, the last that served on this host, where that cannot be had."""
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
                if self.coming is mine:
                    self.coming = None
            mine.done.set()
        return mine.swap

    def _claimed(self, move: Move) -> _Coming | None:
        with self.changing:
            digest = digest_of(move)
            if self.closed or digest is None or digest == self.slot.now.digest or self.rejections.refuse(move):
                return None
            if self.coming and self.coming.digest == digest:
                return None
            self.coming = _Coming(digest)
            return self.coming

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
        self.serves(snapshot)
        self.tell("swapped", seconds=phases.seconds, wanted=before.version)
        return Swap("swapped", snapshot.version, before.version, "", phases.seconds)

    def _held(self, move: Move, reason: str, phases: Phases) -> Swap | None:
        if self._is_overtaken(move):
            return None
        with self.changing:
            self.rejections.add(move, reason)
        self.tell("held", reason, seconds=phases.seconds)
        return Swap("held", move.version or "", self.slot.now.version, reason, phases.seconds)

    def serves(self, snapshot: Snapshot) -> None:
        """Whoever is to know is told; on this host it is known to be good."""
        if self.watch:
            self.watch.swapped(snapshot, self.previous, snapshot.move)
        isolated.survived(snapshot.move, self.folder)
        raw = self.asking.raw(snapshot.move)
        if raw is not None:
            self.good.write(raw)
