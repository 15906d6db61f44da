"""A file of a version, read in part: only what is touched is fetched, and no byte is given before it is verified.

What a digest proves is a part of a file; so a part is what is fetched, and kept for the next read.
"""

from __future__ import annotations

import difflib
import errno
import io
import os
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from modelvault.blobs import Blobs
from modelvault.canonical import storable
from modelvault.errors import Code, NotFound, shown
from modelvault.wire import File, Manifest

__all__ = ["PartialFile", "opened"]

_KEPT = 64 * 1024 * 1024
"""Bytes of parts that are kept in memory, or one part if that is larger."""

_LOOKED_AT = 1_000
"""Names that are compared with one that is not there."""


class PartialFile(io.BufferedReader):
    """A file of a version, open for reading in binary; of `size` bytes."""

    def __init__(self, blobs: Blobs, file: File) -> None:
        super().__init__(_Parts(blobs, file))
        self.size = file.size


class _Parts(io.RawIOBase):
    """The same without a buffer of what is asked for next; it keeps the last few parts."""

    def __init__(self, blobs: Blobs, file: File) -> None:
        self._blobs = blobs
        self._file = file
        self._ends = list(accumulate(part.size for part in file.parts)) or [file.size]
        self._kept: dict[int, bytes] = {}
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._file.size}[whence]
        if at < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))  # as of any file: readers of archives rely on it
        self._at = at
        return at

    def readinto(self, buffer: Any) -> int:
        view, given = memoryview(buffer).cast("B"), 0
        for piece in self._pieces(self._end(len(view))):
            view[given : given + len(piece)] = piece
            given += len(piece)
        self._at += given
        return given

    def readall(self) -> bytes:
        rest = b"".join(self._pieces(self._file.size))
        self._at += len(rest)
        return rest

    def close(self) -> None:
        self._kept.clear()
        super().close()

    def _end(self, length: int) -> int:
        """Where a read of `length` bytes ends: one that fills a buffer at the end of a part, for who knows what is wanted."""
        end = min(self._at + length, self._file.size)
        if length > io.DEFAULT_BUFFER_SIZE or end <= self._at:
            return end
        return min(end, self._ends[bisect_right(self._ends, self._at)])

    def _pieces(self, end: int) -> Iterator[memoryview]:
        """The bytes from here to `end`, as they lie in the parts."""
        if end <= self._at:
            return
        for number, data in self._parts(bisect_right(self._ends, self._at), bisect_left(self._ends, end) + 1):
            begin = self._ends[number] - len(data)
            yield memoryview(data)[max(self._at - begin, 0) : end - begin]

    def _parts(self, number: int, end: int) -> Iterator[tuple[int, bytes]]:
        """The parts from `number` to `end` (not included): those that are kept, and the runs between them fetched at once."""
        while number < end:
            if number in self._kept:
                yield number, self._keep(number, self._kept.pop(number))
                number += 1
            else:
                stop = next((one for one in range(number, end) if one in self._kept), end)
                for data in self._blobs.parts(self._file, number, stop):
                    yield number, self._keep(number, data)
                    number += 1

    def _keep(self, number: int, data: bytes) -> bytes:
        self._kept[number] = data
        size = sum(map(len, self._kept.values()))
        while size > _KEPT and len(self._kept) > 1:
            size -= len(self._kept.pop(next(iter(self._kept))))
        return data


def opened(blobs: Blobs, manifest: Manifest, path: str) -> PartialFile:
    """The file of the version at `path`.

    Raises:
        NotFound: `file-not-found`, with those whose names are close.
    """
    files = {file.path: file for file in manifest.files}
    path = storable(path, "a path")
    file = files.get(path)
    if file is None:
        ref = f"{manifest.model}:{manifest.version}"
        some = list(files)[:_LOOKED_AT]
        close = difflib.get_close_matches(path, some) or some[:10]
        raise NotFound(
            f"{ref} has no file {shown(path)}",
            code=Code.FILE_NOT_FOUND,
            hint=f"its files: {shown(', '.join(close), 1000)}",
            ref=ref,
        )
    return PartialFile(blobs, file)
