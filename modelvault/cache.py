"""What a reader keeps: records in memory, verified bytes and folders on disk.

Everything in a vault is immutable, so what was read once and verified may be kept for ever.  The disk part lives in a
folder that only its user can write (anything else is refused), holds content under its digest, and is checked again each
time it is used: a damaged copy is dropped and fetched anew, never served.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from modelvault.canonical import Digest, digest_of
from modelvault.errors import Code, Corrupt, NotFound, StoreError, Untrusted, VaultError, shown
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
    """Sealed records by key: from memory, else from the store.  Safe for threads.

    Claims are kept on disk too, for a label is for ever.  Moves and notes are not: where a vault was made anew at the same
    URL, those of the old one must not answer.
    """

    def __init__(self, store: Store, disk: Store | None = None) -> None:
        self.store = store
        self.disk = disk
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
        digest = digest_of(raw)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = (Stored(record, digest), len(raw))
                self._bytes += len(raw)
            while self._bytes > _MEMORY_LIMIT:
                self._bytes -= self._kept.pop(next(iter(self._kept)))[1]

    def _from_store(self, kind: type[AnyRecord], key: Key) -> Stored[AnyRecord]:
        raw = self.store.read(key)
        record = read_sealed(kind, raw, key)
        self.keep(key, record, raw)
        if self.disk and kind is Claim:
            with contextlib.suppress(VaultError):  # a full or racing cache must not fail a read that has succeeded
                self.disk.create(key, raw)
        return Stored(record, digest_of(raw))

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
        self.blobs = LocalStore(_own_folder(self.folder / "content"))

    def records(self, url: str) -> LocalStore:
        """The records of the vault at `url`."""
        name = hashlib.sha256(url.encode()).hexdigest()[:32]
        return LocalStore(_own_folder(_own_folder(self.folder / "vaults") / name))

    def tree(self, digest: Digest, intact: Callable[[Path], bool], build: Callable[[Path], object]) -> Path:
        """The folder of the version `digest`: as it stands if it is `intact`, else built anew in private and moved there."""
        tree = _own_folder(self.folder / "trees") / digest.partition(":")[2]
        if _stands(tree, intact):
            return tree
        stage = tree.with_name(f".tmp-{os.urandom(16).hex()}")
        try:
            stage.mkdir(mode=0o700)
            build(stage)
            _replace(stage, tree, intact)
        except StoreError:
            raise
        except OSError as error:
            raise _unusable(self.folder, error) from error
        finally:
            _remove(stage)
        return tree


def _stands(tree: Path, intact: Callable[[Path], bool]) -> bool:
    return tree.is_dir() and not tree.is_symlink() and intact(tree)


def _replace(stage: Path, tree: Path, intact: Callable[[Path], bool]) -> None:
    """Move `stage` to `tree`, unless another process was faster; what is damaged there goes aside first.

    A cache is no vault: replacing a folder in it is allowed, for its name says what must be in it.  One that is intact
    stays: somebody may be reading it.
    """
    aside = stage.with_name(stage.name + ".old")
    for _ in range(100):
        try:
            os.rename(stage, tree)
        except OSError as error:
            if error.errno not in {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}:
                raise
        else:
            return
        if _stands(tree, intact):
            return
        with contextlib.suppress(FileNotFoundError):
            tree.rename(aside)
        _remove(aside)
    raise StoreError(
        f"the cache folder {shown(tree)} is busy", code=Code.STORE_FAILED, hint="run it again", ref=shown(tree)
    )


def _remove(path: Path) -> None:
    """Remove a folder, or whatever stands in its place, as far as that is possible."""
    import shutil

    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _unusable(folder: Path, error: OSError) -> StoreError:
    return StoreError(
        f"the cache folder {shown(folder)} cannot be used: {error.strerror}",
        code=Code.STORE_FULL if error.errno in {errno.ENOSPC, errno.EDQUOT} else Code.STORE_DENIED,
        hint="set MODELVAULT_CACHE to a folder of your own, or open the vault with cache=False",
        ref=shown(folder),
    )


def _own_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        found = os.lstat(folder)
    except OSError as error:
        raise _unusable(folder, error) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise Untrusted(
            f"others could change the cache folder {shown(folder)}",
            code=Code.UNSAFE_FOLDER,
            hint=f"chmod 700 {shown(folder)}, or set MODELVAULT_CACHE to a folder of your own",
            ref=shown(folder),
        )
    return folder
