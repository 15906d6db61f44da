"""A folder as a store: any POSIX file system, any number of processes, crashes included.

An object is *staged* as ``.tmp-…`` in its folder, flushed, and given its name by a hard link, which fails where the name
is taken; then the staged name goes and the folder is flushed.  So a name is there with all its bytes or not at all, at
every instant and after every crash, and what a kill leaves behind is never listed.

Where the file system has no hard links, Linux's ``renameat2(RENAME_NOREPLACE)`` does the same.  Where that is missing
too, the object is written under its own name (`TornWrites` says so, once): the name is still exclusive, so `exclusive`
stays true, but a reader may meet, and a crash may leave, a part of the bytes.

Folders are entered one by one through descriptors and never through a symlink: what is planted inside a vault cannot
lead outside.  Symlinks, pipes and the like are no objects: they are not listed, and reading one is `Untrusted`.
"""

from __future__ import annotations

import errno
import os
import stat
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from heapq import heapify, heappop
from itertools import islice

from modelvault.errors import Code, Corrupt, InvalidInput, StoreError, Unsupported, VaultError, shown
from modelvault.stores import posix
from modelvault.stores.port import (
    READ_LIMIT,
    Data,
    Entry,
    Key,
    KeyExists,
    KeyMissing,
    Sink,
    Span,
    checked,
    checked_prefix,
)

__all__ = ["LocalStore", "TornWrites"]

_NO_LINK = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}
_NO_RENAME = {errno.ENOSYS, errno.EINVAL}
_FULL = dict.fromkeys([errno.ENOSPC, errno.EDQUOT], Code.STORE_FULL)
_DENIED = dict.fromkeys([errno.EACCES, errno.EPERM, errno.EROFS], Code.STORE_DENIED)
_HINTS = {
    Code.STORE_FULL: "free some space, or raise the quota",
    Code.STORE_DENIED: "check who owns the folder, its mode, and whether it is mounted read-only",
    Code.STORE_FAILED: "try again; if it stays so, look at the file system",
}


class TornWrites(UserWarning):
    """The file system can give a name exclusively, but not a whole object at once."""


class LocalStore:
    """Objects as read-only files under `root`, which the first `create` makes; a symlink to it is resolved here, once.

    The root is made as the umask says.  Below it all is as open to group and others as the root is, whoever makes it.
    An object cannot stand where a folder of other keys is (`KeyExists`), nor below an object (`StoreError`).
    """

    exclusive = True

    def __init__(self, root: str | os.PathLike[str]) -> None:
        path = os.fspath(root)
        if not path or "\0" in path:
            raise InvalidInput(f"not a path: {shown(repr(path))}", code=Code.BAD_VALUE)
        if os.open not in os.supports_dir_fd:
            raise Unsupported("local vaults need Linux or another POSIX system", code=Code.NO_EXCLUSIVE_CREATE)
        with _door(path):
            self.url = os.path.realpath(path)
        self._above = tuple(posix.parents(self.url))
        self._warned = False

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
            raise _failed(key, error) from error

    def create(self, key: Key, data: Data) -> None:
        """Put `data` at `key` if nothing is there.  Commit point: the hard link."""
        *folders, name = checked(key).split("/")
        with _door(key):
            folder = self._folder(folders, make=True)
        with folder:
            try:
                self._publish(key, name, folder, data)
            except KeyExists:
                with _door(key):
                    os.fsync(folder)  # what others build on must outlive a crash; its writer may not be so far
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
            raise _failed(key, error) from error

    def fetch(self, key: Key, spans: Sequence[Span], sink: Sink) -> None:
        """Hand the bytes of `spans` to `sink`, span by span, at most 1 MiB at a time."""
        try:
            file, size = self._reach(checked(key))
        except (FileNotFoundError, NotADirectoryError):
            raise KeyMissing(key) from None
        except StoreError:
            raise
        except OSError as error:
            raise _failed(key, error) from error
        with posix.Open(file):
            for offset, length in spans:
                at, end = offset, offset + length
                while at < end:
                    try:
                        chunk = os.pread(file, min(end - at, posix.CHUNK), at) if 0 <= at < end <= size else b""
                    except OSError as error:
                        raise _failed(key, error) from error
                    if not chunk:
                        raise Corrupt(f"{key} has {size} bytes, not {end}", code=Code.DIGEST_MISMATCH, ref=key)
                    sink(at, chunk)
                    at += len(chunk)

    def list(self, prefix: str, *, limit: int | None = None) -> Iterator[Entry]:
        """One level of the tree, read from the disk now."""
        checked_prefix(prefix)
        path, slash, start = prefix.rpartition("/")
        with _door(prefix):
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
        with _door(key), absent, self._folder(folders) as folder:
            os.unlink(name, dir_fd=folder)

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
        staged = f".tmp-{os.urandom(16).hex()}"
        with _door(key):
            if posix.status(name, folder):
                raise KeyExists(key)
            mode = stat.S_IRUSR | os.fstat(folder).st_mode & (stat.S_IRGRP | stat.S_IROTH)
            file = posix.Open(os.open(staged, posix.NEW, mode, dir_fd=folder))
        try:
            with file:
                _fill(file, key, data)
                with _door(key):
                    posix.allow(file, mode)
                    os.fsync(file)
                    self._give(name, folder, staged, file)
        finally:
            with suppress(OSError):
                os.unlink(staged, dir_fd=folder)
        with _door(key):
            os.fsync(folder)

    def _give(self, name: str, folder: int, staged: str, file: int) -> None:
        """Give the staged file its name, if that is free; `FileExistsError` if not."""
        try:
            return os.link(staged, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            if (found := posix.status(name, folder)) and os.path.samestat(found, os.fstat(file)):
                return None  # NFS: it was done, and the reply was lost
            if error.errno not in _NO_LINK:
                raise
        try:
            return posix.rename(staged, name, folder)
        except OSError as error:
            if error.errno not in _NO_RENAME:
                raise
        if not self._warned:
            self._warned = True
            lacks = "has neither hard links nor exclusive renames: a crash can leave a part of an object"
            warnings.warn(f"the file system of {shown(self.url)} {lacks}", TornWrites, stacklevel=4)
        return posix.copy(file, name, folder)


@contextmanager
def _door(key: str) -> Iterator[None]:
    """No `OSError` leaves but as an error of the vault.  What a source or a sink raises does not come this way."""
    try:
        yield
    except VaultError:
        raise
    except FileExistsError:
        raise KeyExists(key) from None
    except OSError as error:
        raise _failed(key, error) from error


def _failed(key: str, error: OSError) -> StoreError:
    code = (_FULL | _DENIED).get(error.errno or 0, Code.STORE_FAILED)
    return StoreError(f"{shown(key)}: {error.strerror}", code=code, hint=_HINTS[code], ref=key)


def _no_folder(path: str) -> StoreError:
    return StoreError(f"{shown(path)} is not a folder", code=Code.STORE_FAILED)


def _fill(file: int, key: Key, data: Data) -> None:
    size, chunks = (len(data), iter([data])) if isinstance(data, bytes) else (data.size, data.chunks())
    written = 0
    for chunk in chunks:
        with _door(key):
            written += posix.write(file, chunk)
    if written != size:
        raise InvalidInput(f"the content says {size} bytes and gave {written}", code=Code.BAD_VALUE, ref=key)


def _entry(folder: int, path: str, name: str) -> Entry | None:
    """A line of a listing, unless it is no key, or gone, or a folder that a crash or a delete left without objects."""
    plain = name.removesuffix("/")
    with suppress(InvalidInput, FileNotFoundError):
        checked(plain)
        if plain == name:
            return Entry(Key(path + name), os.stat(name, dir_fd=folder, follow_symlinks=False).st_size)
        if posix.inhabited(plain, folder):
            return Entry(Key(path + name), 0)
    return None
