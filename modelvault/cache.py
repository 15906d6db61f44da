"""What a reader keeps: records in memory, verified bytes and folders on disk.

Everything in a vault is immutable, so what was read once and verified may be kept for ever.  The disk part lives in a
folder that only its user can write (anything else is refused), holds content under its digest, and is checked again each
time it is used: a damaged copy is dropped and fetched anew, never served.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from modelvault.canonical import Digest, digest_of
from modelvault.errors import Code, Corrupt, NotFound, StoreError, Untrusted, VaultError
from modelvault.stores import Key, Store
from modelvault.stores.local import LocalStore
from modelvault.wire import Claim, Move, Note, read_sealed

__all__ = ["Cache", "Records", "Stored"]

_MEMORY_LIMIT = 64 * 1024 * 1024

AnyRecord = TypeVar("AnyRecord", Claim, Move, Note)


class Stored(NamedTuple, Generic[AnyRecord]):
    """A record, and the digest of its stored bytes."""

    record: AnyRecord
    digest: Digest


class Records:
    """Sealed records by key: from memory, else from disk, else from the store.  Safe for threads."""

    def __init__(self, store: Store, disk: Store | None = None) -> None:
        self.store = store
        self.disk = disk
        self.seen: dict[str, int] = {}
        """The highest seq that this reader has seen, by journal folder."""
        self._kept: dict[str, tuple[Stored, int]] = {}  # type: ignore[type-arg] # of any kind of record
        self._bytes = 0
        self._lock = threading.Lock()

    def read(self, kind: type[AnyRecord], key: str) -> Stored[AnyRecord]:
        """The record at `key`.

        Raises:
            KeyMissing: nothing is there.
            Corrupt: `bad-record`, it is damaged or of another kind.
        """
        kept = self._kept.get(key)
        if kept is not None and isinstance(kept[0].record, kind):
            return kept[0]
        return self._from_disk(kind, Key(key)) or self._from_store(kind, Key(key))

    def keep(self, key: str, record: Claim | Move | Note, raw: bytes) -> None:
        """Remember what has just been read or written."""
        with self._lock:
            if key not in self._kept:
                self._kept[key] = (Stored(record, digest_of(raw)), len(raw))
                self._bytes += len(raw)
            while self._bytes > _MEMORY_LIMIT:
                self._bytes -= self._kept.pop(next(iter(self._kept)))[1]

    def saw(self, folder: str, seq: int) -> None:
        """Remember that the journal in `folder` has reached `seq`."""
        with self._lock:
            self.seen[folder] = max(seq, self.seen.get(folder, 0))

    def _from_store(self, kind: type[AnyRecord], key: Key) -> Stored[AnyRecord]:
        raw = self.store.read(key)
        record = read_sealed(kind, raw, key)
        self.keep(key, record, raw)
        if self.disk:
            with contextlib.suppress(VaultError):  # a full or racing cache must not fail a read that has succeeded
                self.disk.create(key, raw)
        return Stored(record, digest_of(raw))

    def _from_disk(self, kind: type[AnyRecord], key: Key) -> Stored[AnyRecord] | None:
        if self.disk is None:
            return None
        try:
            raw = self.disk.read(key)
            record = read_sealed(kind, raw, key)
        except (NotFound, StoreError):
            return None
        except Corrupt:
            self.disk.delete(key)
            return None
        self.keep(key, record, raw)
        return Stored(record, digest_of(raw))


class Cache:
    """A folder of verified content, private to its user.

    `blobs` holds parts under their digest, shared by all vaults; `records(url)` the records of one vault; `tree` whole
    versions as read-only folders.
    """

    def __init__(self, folder: Path) -> None:
        """Open the cache in `folder`, which is created if it is missing.

        Raises:
            Untrusted: `unsafe-folder`, somebody else could change what is in it.
        """
        self.folder = _own_folder(folder)
        self.blobs = LocalStore(self.folder / "content")

    def records(self, url: str) -> LocalStore:
        """The records of the vault at `url`."""
        return LocalStore(self.folder / "vaults" / hashlib.sha256(url.encode()).hexdigest()[:32])

    def tree(self, digest: Digest, intact: Callable[[Path], bool], build: Callable[[Path], object]) -> Path:
        """The folder of the version `digest`: as it stands if it is `intact`, else built anew in private and moved there."""
        tree = self.folder / "trees" / digest.partition(":")[2]
        if tree.is_dir() and not tree.is_symlink() and intact(tree):
            return tree
        stage = self._stage()
        build(stage)
        _replace(stage, tree)
        return tree

    def _stage(self) -> Path:
        (self.folder / "trees").mkdir(mode=0o700, exist_ok=True)
        stage = self.folder / "trees" / f".tmp-{os.urandom(16).hex()}"
        stage.mkdir(mode=0o700)
        return stage


def _replace(stage: Path, tree: Path) -> None:
    """Move `stage` to `tree`; what stands there (damaged, or another process's) goes aside first.

    A cache is no vault: replacing a folder in it is allowed, for its name says what must be in it.
    """
    import shutil

    aside = stage.with_name(stage.name + ".old")
    for _ in range(100):
        with contextlib.suppress(FileNotFoundError):
            tree.rename(aside)
        try:
            stage.rename(tree)
        except OSError:
            continue
        else:
            shutil.rmtree(aside, ignore_errors=True)
            return
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    raise StoreError(f"the cache folder {tree} is busy", code=Code.STORE_FAILED, hint="run it again", ref=str(tree))


def _own_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        found = os.lstat(folder)
    except OSError as error:
        raise StoreError(
            f"the cache folder {folder} cannot be used: {error.strerror}",
            code=Code.STORE_DENIED,
            hint="set MODELVAULT_CACHE to a folder of your own, or open the vault with cache=False",
            ref=str(folder),
        ) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise Untrusted(
            f"others could change the cache folder {folder}",
            code=Code.UNSAFE_FOLDER,
            hint=f"chmod 700 {folder}, or set MODELVAULT_CACHE to a folder of your own",
            ref=str(folder),
        )
    return folder
