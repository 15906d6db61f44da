"""Where an alias points: asked of the store once per interval by one process of this host, and seen by the others.

What is shared is what is remembered anyway: the heads in the user's cache (`modelvault.cache.heads`).  Whoever asks notes
there what the store said; the others look at that, which is no request.  A lock keeps two from asking at once.  It is a
hint: who has not heard anything for two intervals asks, whoever holds it.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from modelvault import layout
from modelvault.cache import folders
from modelvault.catalog import Catalog
from modelvault.errors import VaultError
from modelvault.reference import AliasRef
from modelvault.wire import Move

__all__ = ["Asking", "after", "first", "pause"]

_LONGEST = 300.0
"""Seconds between two tries, however often they have failed."""
_CALM = 24 * 3600.0
"""Seconds without a move, after which an alias is asked for less often."""
_CALMER = 6


def pause(refresh: float, *, failures: int = 0, since_move: float = 0.0, shared: bool = False) -> float:
    """Seconds until the store is asked again: about `refresh`, spread so that processes do not come together.

    Six times as long when the alias has stood still for a day; doubled with each failure.  Where several share what they
    are told, never less than asked for, so that together they ask no more often than one would.
    """
    calm = _CALMER if since_move >= _CALM else 1
    wanted = max(refresh * calm, min(refresh * 2.0**failures, _LONGEST) if failures else 0.0)
    return wanted * random.uniform(1.0 if shared else 0.75, 1.25)  # noqa: S311 - not a secret


class Asking:
    """The newest move of an alias."""

    def __init__(self, catalog: Catalog, ref: AliasRef, folder: Path | None) -> None:
        self._catalog = catalog
        self._ref = ref
        self._journal = catalog.journal(ref.model, ref.alias)
        self._lock = folder and folder / f"{ref.model}@{ref.alias}.lock"
        self._confirmed = self._on_disk()[1]

    def ask(self) -> Move:
        """The newest move, by the store.  Raises as `Catalog.newest`."""
        move = self._catalog.newest(self._ref.model, self._ref.alias)
        self._confirmed = self._on_disk()[1]
        return move

    def glance(self) -> Move | None:
        """The newest move, if another process has asked since this was last called; no request is made."""
        move, confirmed = self._on_disk()
        if move is None or confirmed == self._confirmed:
            return None
        self._confirmed = confirmed
        return move

    def raw(self, move: Move) -> bytes | None:
        """The stored bytes of a move that was seen; nothing is asked of a store behind a network."""
        if self._catalog.heads:
            found = self._catalog.heads.newest(self._journal.folder, self._journal.names)
            return found.stored.raw if found and found.stored.record.seq == move.seq else None
        with suppress(VaultError):
            return self._catalog.records.read(Move, layout.entry(self._journal.folder, move.seq)).raw
        return None

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Whether it is this process's turn to ask: no other of this host is asking now."""
        if self._lock is None:
            yield True
            return
        file = _opened(self._lock)
        try:
            yield file is None or _locked(file)
        finally:
            if file is not None:
                _release(file)

    def _on_disk(self) -> tuple[Move | None, float]:
        heads = self._catalog.heads
        found = heads.newest(self._journal.folder, self._journal.names) if heads else None
        return (found.stored.record, found.confirmed) if found else (None, 0.0)


def _opened(path: Path) -> int | None:
    with suppress(OSError, VaultError):
        folders.own(path.parent)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    return None


def _locked(file: int) -> bool:
    """Held; or there are no locks here."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (OSError, ImportError):
        return True
    return True


def _release(file: int) -> None:
    """At once, even if the child of a fork has the descriptor too."""
    with suppress(OSError, ImportError):
        import fcntl

        fcntl.flock(file, fcntl.LOCK_UN)
    os.close(file)


def first(refresh: float) -> float:
    """Seconds until the store is asked for the first time: anything up to `refresh`."""
    return random.uniform(0.0, refresh)  # noqa: S311 - not a secret


def after(seconds: float) -> float:
    """That moment, by the monotonic clock."""
    return time.monotonic() + seconds
