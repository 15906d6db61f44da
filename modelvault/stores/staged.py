"""Bytes on their way into a folder: written under a name that is never listed, flushed, and then given their own."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Self

from modelvault.errors import Code, InvalidInput, StoreError, VaultError, shown
from modelvault.stores import posix
from modelvault.stores.port import Data, KeyExists

__all__ = ["Staged", "door", "failed"]

_NO_LINK = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}
_NO_RENAME = {errno.ENOSYS, errno.EINVAL}
_FULL = dict.fromkeys([errno.ENOSPC, errno.EDQUOT], Code.STORE_FULL)
_DENIED = dict.fromkeys([errno.EACCES, errno.EPERM, errno.EROFS], Code.STORE_DENIED)
_HINTS = {
    Code.STORE_FULL: "free some space, or raise the quota",
    Code.STORE_DENIED: "check who owns the folder, its mode, and whether it is mounted read-only",
    Code.STORE_FAILED: "try again; if it stays so, look at the file system",
}

_WRITE_BACK = 32 * 1024 * 1024
"""Bytes after which the disk is told to begin: a flush at the end then waits for little."""


@contextmanager
def door(key: str) -> Iterator[None]:
    """No `OSError` leaves but as an error of the vault.  What a source or a sink raises does not come this way."""
    try:
        yield
    except VaultError:
        raise
    except FileExistsError:
        raise KeyExists(key) from None
    except OSError as error:
        raise failed(key, error) from error


def failed(key: str, error: OSError) -> StoreError:
    """The error for what the file system refused."""
    code = (_FULL | _DENIED).get(error.errno or 0, Code.STORE_FAILED)
    return StoreError(f"{shown(key)}: {error.strerror}", code=code, hint=_HINTS[code], ref=key)


class Staged:
    """A file ``.tmp-…`` in the open `folder` with the bytes of `data`, until the end of a ``with`` block.

    It is a `Content` itself: the bytes of its source, read again.
    """

    def __init__(self, folder: int, data: Data, key: str) -> None:
        """Write it; `key` is for errors."""
        self._folder = folder
        self._name = f".tmp-{os.urandom(16).hex()}"
        self._data = data
        with door(key):
            self._file = self._opened(key)
        try:
            self._fill(key)
        except BaseException as error:
            self.__exit__(type(error))
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None = None, *_: object) -> None:
        with suppress(OSError):
            os.unlink(self._name, dir_fd=self._folder)
        with self._file:
            pass

    @property
    def size(self) -> int:
        """How many bytes."""
        return len(self._data) if isinstance(self._data, bytes) else self._data.size

    def chunks(self) -> Iterator[bytes]:
        """The bytes, from their source."""
        return iter([self._data]) if isinstance(self._data, bytes) else self._data.chunks()

    def give(self, name: str, folder: int, flush: Callable[[int], None]) -> bool:
        """`flush` it, and give it `name` in `folder`, if that is free; `FileExistsError` if not.

        False where the file system could not do that at once for all its bytes, and they were copied.
        """
        posix.allow(self._file, posix.readers(folder))
        flush(self._file)
        if self._linked(name, folder) or self._renamed(name, folder):
            return True
        posix.copy(self._file, name, folder)
        return False

    def _linked(self, name: str, folder: int) -> bool:
        try:
            os.link(self._name, name, src_dir_fd=self._folder, dst_dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            if (found := posix.status(name, folder)) and os.path.samestat(found, os.fstat(self._file)):
                return True  # NFS: it was done, and the reply was lost
            if error.errno not in _NO_LINK:
                raise
            return False
        return True

    def _renamed(self, name: str, folder: int) -> bool:
        try:
            posix.rename(self._name, self._folder, name, folder)
        except OSError as error:
            if error.errno not in _NO_RENAME:
                raise
            return False
        return True

    def _opened(self, _: str) -> posix.Open:
        return posix.Open(os.open(self._name, posix.NEW, posix.readers(self._folder), dir_fd=self._folder))

    def _fill(self, key: str) -> None:
        self._write(key, self.chunks(), 0)

    def _write(self, key: str, chunks: Iterator[bytes], begin: int) -> None:
        """Write `chunks` from the byte `begin` on: the rest of what it is to hold."""
        os.lseek(self._file, begin, os.SEEK_SET)
        written, begun = begin, begin
        for chunk in chunks:
            with door(key):
                written += posix.write(self._file, chunk)
                if written - begun >= _WRITE_BACK:
                    posix.write_back(self._file, begun, written - begun)
                    begun = written
        if written != self.size:
            message = f"the content says {self.size} bytes and gave {written}"
            raise InvalidInput(message, code=Code.BAD_VALUE, ref=key)
