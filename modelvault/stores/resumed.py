"""Content that takes long to come: what a run that was cut off has left is gone on with by the next."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress

from modelvault.errors import Corrupt
from modelvault.stores import posix
from modelvault.stores.port import KeyExists, Resumable
from modelvault.stores.staged import Staged, door

__all__ = ["Resumed"]

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class Resumed(Staged):
    """As `Staged`, under a name that the next run finds: the file stays where the content did not come to its end.

    One process at a time writes to it; another that wants the same meanwhile stages its own.  What stands in it is proved
    with the rest, and thrown away if that fails.
    """

    _ours = False

    def _opened(self, key: str) -> posix.Open:
        name = f".tmp-{key.rpartition('/')[2]}"
        with suppress(OSError, ImportError):
            file = posix.Open(os.open(name, _FLAGS, stat.S_IRUSR | stat.S_IWUSR, dir_fd=self._folder))
            if self._locked(file, name):
                self._name, self._ours = name, True
                return file
            os.close(file)
        return super()._opened(key)

    def _locked(self, file: int, name: str) -> bool:
        """Nobody else writes to it, and it has that name and no other."""
        import fcntl

        with suppress(OSError):  # another has it, or there are no locks
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found, named = os.fstat(file), posix.status(name, self._folder)
            if named is None or not os.path.samestat(found, named):
                return False
            if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
                return True
            os.unlink(name, dir_fd=self._folder)  # the content has it, too: who wrote it died before this
        return False

    def _fill(self, key: str) -> None:
        data = self._data
        assert isinstance(data, Resumable)
        with door(key):
            before = min(os.fstat(self._file).st_size, data.size)
            os.ftruncate(self._file, before)
        try:
            self._write(key, data.rest(self._first()), before)
        except Corrupt:
            if not before:
                raise
            with door(key):
                os.ftruncate(self._file, 0)
            self._write(key, data.chunks(), 0)

    def _first(self) -> Iterator[bytes]:
        """What is there already."""
        at = 0
        while chunk := os.pread(self._file, posix.CHUNK, at):
            yield chunk
            at += len(chunk)

    def __exit__(self, kind: type[BaseException] | None = None, *_: object) -> None:
        if self._ours and kind is not None and not issubclass(kind, Corrupt | KeyExists):
            os.close(self._file)
        else:
            super().__exit__()
