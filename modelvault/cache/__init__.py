"""What a reader keeps: records in memory; verified bytes, folders, and the heads of aliases on disk.

Everything in a vault is immutable, so what was read once and verified may be kept for ever.  The disk part lives in a
folder that only its user can write (anything else is refused), holds content under its digest, and is checked again
whenever its files have changed: a copy that was written to is dropped and fetched anew, never served.  Any number of
processes share it, and no promise rests on a lock: the one there is (`flight`) spares a second download, and nothing else.

    content/<algorithm>/<ab>/<digest>   parts, shared by all vaults
    trees/<digest>/                     versions laid out as folders
    vaults/<name>/                      of one vault: claims, and the newest move seen of each alias
    stamps/                             what was verified, of which files: see `stamps`
    measures/                           digests of files that were published: see `measures`
    index/                              what is searched in: see `search.index`
    live/                               of processes that follow aliases: see `serving.memory`
    locks/                              who is downloading what

Layers are folders of the same form that are only read: what the cache lacks is looked for in them, before the store is
asked.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from modelvault.canonical import Digest, digest_of
from modelvault.errors import Code, Corrupt, NotFound, StoreError, VaultError
from modelvault.stores import Key, Store
from modelvault.wire import Claim, Move, Note, Policy, read_sealed

if TYPE_CHECKING:
    from modelvault.cache.disk import Cache

__all__ = ["Cache", "Records", "Stored", "content_key"]

_MEMORY_LIMIT = 64 * 1024 * 1024

AnyRecord = TypeVar("AnyRecord", Claim, Move, Note, Policy)


def __getattr__(name: str) -> object:
    """`Cache`, when it is first used: a vault that is near may never need one."""
    if name != "Cache":
        raise AttributeError(f"module 'modelvault.cache' has no attribute {name!r}")
    from modelvault.cache.disk import Cache

    globals()[name] = Cache
    return Cache


def content_key(digest: str) -> Key:
    """Where the bytes with this digest are kept."""
    algorithm, _, hexed = digest.partition(":")
    return Key(f"{algorithm}/{hexed[:2]}/{hexed}")


class Stored(NamedTuple, Generic[AnyRecord]):
    """A record, the digest of its stored bytes, and those bytes."""

    record: AnyRecord
    digest: Digest
    raw: bytes


class Records:
    """Sealed records by key: from memory, else from the store.  Safe for threads.

    Claims are kept on disk too, for a label is for ever.  Moves and notes are not answered from there: what follows them
    is the store's to say (see `Heads` for what is remembered of moves).
    """

    def __init__(self, store: Store, disk: Store | None = None) -> None:
        self.store = store
        self.disk = disk
        self._kept: dict[str, Stored[Any]] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def read(self, kind: type[AnyRecord], key: str) -> Stored[AnyRecord]:
        """The record at `key`.

        Raises:
            KeyMissing: nothing is there.
            Corrupt: `bad-record`, it is damaged or of another kind.
        """
        kept = self._kept.get(key)
        if kept is not None and isinstance(kept.record, kind):
            return kept
        return self._from_disk(kind, Key(key)) or self._from_store(kind, Key(key))

    def keep(self, key: str, record: AnyRecord, raw: bytes) -> Stored[AnyRecord]:
        """Remember what has just been read or written."""
        stored = Stored(record, digest_of(raw), raw)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = stored
                self._bytes += len(raw)
            while self._bytes > _MEMORY_LIMIT:
                self._bytes -= len(self._kept.pop(next(iter(self._kept))).raw)
        return stored

    def check_kept(self, key: str) -> None:
        """The claim at `key`, which was read, is on disk too.

        Raises:
            StoreError: `store-denied`, the disk did not take it.
        """
        if self.disk is not None:
            try:
                self.disk.read(Key(key))
            except NotFound:
                hint = "set MODELVAULT_CACHE to a folder of your own, with some space"
                raise StoreError(f"the cache did not keep {key}", code=Code.STORE_DENIED, hint=hint, ref=key) from None

    def _from_store(self, kind: type[AnyRecord], key: Key) -> Stored[AnyRecord]:
        raw = self.store.read(key)
        record = read_sealed(kind, raw, key)
        if self.disk and kind is Claim:
            with contextlib.suppress(VaultError):  # a full or racing cache must not fail a read that has succeeded
                self.disk.create(key, raw)
        return self.keep(key, record, raw)

    def _from_disk(self, kind: type[AnyRecord], key: Key) -> Stored[AnyRecord] | None:
        if self.disk is None or kind is not Claim:
            return None
        try:
            raw = self.disk.read(key)
            record = read_sealed(kind, raw, key)
        except (NotFound, StoreError):
            return None
        except Corrupt:
            self.disk.delete(key)
            return None
        return self.keep(key, record, raw)
