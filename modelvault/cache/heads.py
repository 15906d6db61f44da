"""Heads: the newest move of each alias that any process of this user has seen.

They serve two ends.  A store that lists less than was seen was set back, or answers from a stale replica, and is told
apart from a rollback.  And where the store cannot be reached, an alias still means what it last meant.

Each is a file under its move's own key, written once and never changed, so what is remembered grows and never shrinks,
whoever writes when.  The time of the file says when the store last confirmed it.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from modelvault import layout
from modelvault.cache import Stored
from modelvault.cache.shelf import Shelf
from modelvault.canonical import digest_of
from modelvault.errors import Corrupt, StoreError, VaultError
from modelvault.stores import Key, KeyMissing
from modelvault.stores.local import LocalStore
from modelvault.wire import Move, read_sealed

__all__ = ["Head", "Heads"]

_SPARED = 3600
"""Seconds that an older head stays: who is listing the folder meanwhile must find one."""

_TRIES = 10
_NAME = re.compile(r"[0-9]{10}\.json")


class Head(NamedTuple):
    """A move, and when the store last confirmed that it is the newest: seconds since the epoch."""

    stored: Stored[Move]
    confirmed: float


class Heads:
    """The heads of one vault."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def newest(self, folder: str, names: Mapping[str, str]) -> Head | None:
        """What is remembered of the journal in `folder`, whose moves bear `names`; None if that is nothing."""
        found = [head for store in self._shelf.all if (head := self._newest(store, folder, names))]
        return max(found, key=lambda head: (head.stored.record.seq, head.confirmed), default=None)

    def saw(self, folder: str, stored: Stored[Move]) -> None:
        """The store has just said that `stored` is the newest move.  No failure leaves: it is a memory, not a record."""
        own, key = self._shelf.own, Key(layout.entry(folder, stored.record.seq))
        if own is None:
            return
        with suppress(OSError, VaultError):
            try:
                os.utime(f"{own.url}/{key}", follow_symlinks=False)
            except FileNotFoundError:
                own.create(key, stored.raw)
                _drop_before(own, folder, key)

    def _newest(self, store: LocalStore, folder: str, names: Mapping[str, str]) -> Head | None:
        for again in range(_TRIES, -1, -1):
            try:
                heads = (self._read(store, key, names, strict=again > 0) for key in _keys(store, folder))
                return next(filter(None, heads), None)
            except KeyMissing:  # dropped, for a newer one has come
                continue
        return None

    def _read(self, store: LocalStore, key: Key, names: Mapping[str, str], *, strict: bool) -> Head | None:
        """The head at `key`; None if it is damaged, and then it is dropped, or if it is missing, and that is no matter."""
        try:
            raw = store.read(key)
            move = read_sealed(Move, raw, key)
            if move.seq == layout.seq_of(key) and all(getattr(move, name) == text for name, text in names.items()):
                return Head(Stored(move, digest_of(raw), raw), _time(store, key))
        except KeyMissing:
            if strict:
                raise
            return None
        except StoreError:
            return None
        except Corrupt:
            pass
        if store is self._shelf.own:
            store.delete(key)
        return None


def _time(store: LocalStore, key: Key) -> float:
    try:
        return os.stat(f"{store.url}/{key}", follow_symlinks=False).st_mtime
    except OSError:
        raise KeyMissing(key) from None


def _drop_before(own: LocalStore, folder: str, newest: Key) -> None:
    """Remove heads that are older than `newest`, which is there."""
    for key in _keys(own, folder):
        if key > newest and _time(own, key) < time.time() - _SPARED:
            own.delete(key)


def _keys(store: LocalStore, folder: str) -> list[Key]:
    """Those of heads, the newest first."""
    try:
        names = os.listdir(f"{store.url}/{folder}")
    except OSError:
        return []
    return [Key(folder + name) for name in sorted(names) if _NAME.fullmatch(name)]
