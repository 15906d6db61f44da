"""A folder as a store: any POSIX file system, any number of processes, crashes included.

An object is *staged* as ``.tmp-…`` in its folder, flushed, and given its name by a hard link, which fails where the name
is taken; then the staged name goes and the folder is flushed.  So a name is there with all its bytes or not at all, at
every instant and after every crash, and what a kill leaves behind is never listed.  Content that is hashed while it is
written is staged before its key is known (`LocalStore.stage`); a large download that was cut off is gone on with
(`modelvault.stores.resumed`).

Where the file system has no hard links, Linux's ``renameat2(RENAME_NOREPLACE)`` does the same.  Where that is missing
too, the object is written under its own name (`TornWrites` says so, once): the name is still exclusive, so `exclusive`
stays true, but a reader may meet, and a crash may leave, a part of the bytes.

Folders are entered one by one through descriptors and never through a symlink: what is planted inside a vault cannot
lead outside.  Symlinks, pipes and the like are no objects: they are not listed, and reading one is `Untrusted`.
"""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from heapq import heapify, heappop
from itertools import islice

from modelvault.errors import Code, Corrupt, InvalidInput, StoreError, Unsupported, shown
from modelvault.stores import posix
from modelvault.stores.port import (
    READ_LIMIT,
    Content,
    Data,
    Entry,
    Key,
    KeyExists,
    KeyMissing,
    Resumable,
    Sink,
    Span,
    checked,
    checked_prefix,
)
from modelvault.stores.staged import Staged, door, failed

__all__ = ["LocalStore", "TornWrites"]


_LONG = 8 * 1024 * 1024
"""Content of so many bytes is gone on with, if it can be, where it was cut off."""


class TornWrites(UserWarning):
    """The file system can give a name exclusively, but not a whole object at once."""


class LocalStore:
    """Objects as read-only files under `root`, which the first `create` makes; a symlink to it is resolved here, once.

    The root is made as the umask says.  Below it all is as open to group and others as the root is, whoever makes it.
    An object cannot stand where a folder of other keys is (`KeyExists`), nor below an object (`StoreError`).
    """

    exclusive = True

    def __init__(self, root: str | os.PathLike[str], *, durable: bool = True) -> None:
        """Without `durable` what was created may be gone, or empty, after a loss of power: for what can be had again."""
        path = os.fspath(root)
        if not path or "\0" in path:
            raise InvalidInput(f"not a path: {shown(repr(path))}", code=Code.BAD_VALUE)
        if os.open not in os.supports_dir_fd:
            raise Unsupported("local vaults need Linux or another POSIX system", code=Code.NO_EXCLUSIVE_CREATE)
        with door(path):
            self.url = os.path.realpath(path)
        self._above = tuple(posix.parents(self.url))
        self._warned = False
        self._durable = durable

    def private(self, key: Key) -> bool:
        """Object, folders and root are the user's own or root's, and others cannot write them, nor replace what is above."""
        user, path = os.geteuid(), ""
        try:
            for above in self._above:
                found = os.lstat(above)
                if found.st_uid not in (0, user):
                    return False
                if found.st_mode & posix.OTHERS and not (
                    found.st_mode & stat.S_ISVTX or posix.alone(above, found, user)
                ):
                    return False
            for name in (self.url, *checked(key).split("/")):
                path = f"{path}/{name}" if path else name
                found = os.lstat(path)
                if found.st_uid not in (0, user) or stat.S_ISLNK(found.st_mode):
                    return False
                if found.st_mode & posix.OTHERS and not posix.alone(path, found, user):
                    return False
            return stat.S_ISREG(found.st_mode)
        except OSError:
            return False

    def read(self, key: Key) -> bytes:
        """The whole of a small object."""
        try:
            file, size = self._reach(checked(key))
            with posix.Open(file):
                if size > READ_LIMIT:
                    raise Corrupt(f"{key} has {size} bytes and is no record", code=Code.TOO_LARGE, ref=key)
                data = os.read(file, size)
                while len(data) < size and (more := os.read(file, size - len(data))):
                    data += more
                return data
        except (FileNotFoundError, NotADirectoryError):
            raise KeyMissing(key) from None
        except StoreError:
            raise
        except OSError as error:
            raise failed(key, error) from error

    @contextmanager
    def stage(self, folder: str, data: Content) -> Iterator[Content]:
        """Write `data` into `folder`: within the ``with`` block, `create` takes what this gives at no cost."""
        with door(folder):
            here = self._folder(checked_prefix(folder).rstrip("/").split("/"), make=True)
        with here, Staged(here, data, folder) as staged:
            yield staged

    def create(self, key: Key, data: Data) -> None:
        """Put `data` at `key` if nothing is there.  Commit point: the hard link."""
        *folders, name = checked(key).split("/")
        with door(key):
            folder = self._folder(folders, make=True)
        with folder:
            try:
                self._publish(key, name, folder, data)
            except KeyExists:
                with door(key):
                    self._flush(folder)  # what others build on must outlive a crash; its writer may not be so far
                raise

    def open(self, key: Key) -> posix.Open:
        """A descriptor of the object at `key`, a plain file; to be mapped into memory.

        Raises:
            KeyMissing: nothing is there.
            Untrusted: `unsafe-folder`, a symlink or the like stands in its place, or on the way.
        """
        try:
            return posix.Open(self._reach(checked(key))[0])
        except (FileNotFoundError, NotADirectoryError):
            raise KeyMissing(key) from None
        except StoreError:
            raise
        except OSError as error:
            raise failed(key, error) from error

    def fetch(self, key: Key, spans: Sequence[Span], sink: Sink) -> None:
        """Hand the bytes of `spans` to `sink`, span by span, at most 1 MiB at a time."""
        with self.open(key) as file:
            size = os.fstat(file).st_size
            for offset, length in spans:
                at, end = offset, offset + length
                while at < end:
                    try:
                        chunk = os.pread(file, min(end - at, posix.CHUNK), at) if 0 <= at < end <= size else b""
                    except OSError as error:
                        raise failed(key, error) from error
                    if not chunk:
                        raise Corrupt(f"{key} has {size} bytes, not {end}", code=Code.DIGEST_MISMATCH, ref=key)
                    sink(at, chunk)
                    at += len(chunk)

    def list(self, prefix: str, *, limit: int | None = None) -> Iterator[Entry]:
        """One level of the tree, read from the disk now."""
        checked_prefix(prefix)
        path, slash, start = prefix.rpartition("/")
        with door(prefix):
            try:
                folder = self._folder(path.split("/") if slash else [])
            except (FileNotFoundError, NotADirectoryError):
                return iter(())
            with folder:
                names = [*posix.listed(folder, start)]
                heapify(names)  # the first few of many do not cost a full sort
                entries = (_entry(folder, path + slash, heappop(names)) for _ in range(len(names)))
                return iter([*islice(filter(None, entries), limit)])

    def delete(self, key: Key) -> None:
        """Remove an object.  Its folders stay: others may be about to create in them."""
        *folders, name = checked(key).split("/")
        absent = suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError)
        with door(key), absent, self._folder(folders) as folder:
            os.unlink(name, dir_fd=folder)

    def _flush(self, file: int) -> None:
        if self._durable:
            os.fsync(file)

    def _folder(self, names: Iterable[str], *, make: bool = False) -> posix.Open:
        try:
            here = posix.enter_root(self.url, make=make)
        except NotADirectoryError as error:
            raise _no_folder(self.url) from error
        for name in names:
            with here:
                here = posix.enter(name, here, make=make)
        return here

    def _reach(self, key: Key) -> tuple[int, int]:
        """A descriptor of the object, and its size.  In one frame, for it stands on the way of every load."""
        *folders, last = key.split("/")
        try:
            entered = [os.open(self.url, posix.FOLDER)]
        except NotADirectoryError as error:
            raise _no_folder(self.url) from error
        name = last
        try:
            for name in folders:
                entered.append(os.open(name, posix.FOLDER, dir_fd=entered[-1]))
            name = last
            file = os.open(name, posix.FILE, dir_fd=entered[-1])
        except FileNotFoundError:
            raise
        except OSError as error:
            raise posix.planted(name) if posix.is_odd(name, entered[-1]) else error from None
        finally:
            for folder in entered:
                with suppress(OSError):
                    os.close(folder)
        try:
            found = os.fstat(file)
        except OSError:
            os.close(file)
            raise
        if stat.S_ISREG(found.st_mode):
            return file, found.st_size
        os.close(file)
        raise KeyMissing(key) if stat.S_ISDIR(found.st_mode) else posix.planted(name)

    def _publish(self, key: Key, name: str, folder: int, data: Data) -> None:
        with door(key):
            if posix.status(name, folder):
                raise KeyExists(key)
        with nullcontext(data) if isinstance(data, Staged) else _staged(folder, data, key) as staged, door(key):
            at_once = staged.give(name, folder, self._flush)
        with door(key):
            self._flush(folder)
        if not at_once and not self._warned:
            self._warned = True
            lacks = "has neither hard links nor exclusive renames: a crash can leave a part of an object"
            warnings.warn(f"the file system of {shown(self.url)} {lacks}", TornWrites, stacklevel=3)


def _staged(folder: int, data: Data, key: Key) -> Staged:
    if isinstance(data, bytes) or data.size < _LONG or not isinstance(data, Resumable):
        return Staged(folder, data, key)
    from modelvault.stores.resumed import Resumed

    return Resumed(folder, data, key)


def _no_folder(path: str) -> StoreError:
    return StoreError(f"{shown(path)} is not a folder", code=Code.STORE_FAILED)


def _entry(folder: int, path: str, name: str) -> Entry | None:
    """A line of a listing, unless it is no key, or gone, or a folder that a crash or a delete left without objects."""
    plain = name.removesuffix("/")
    try:  # not `suppress`: there may be thousands
        checked(plain)
        if plain == name:
            return Entry(Key(path + name), os.stat(name, dir_fd=folder, follow_symlinks=False).st_size)
        return Entry(Key(path + name), 0) if posix.inhabited(plain, folder) else None
    except (InvalidInput, FileNotFoundError):
        return None
