"""Content-defined cutting: FastCDC (Xia et al. 2020, IEEE TPDS 31(9)).

The only module that imports pyfastcdc.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from modelvault.cuts.rules import MOST, Piece, fixed, joined
from modelvault.cuts.window import RandomAccess

__all__ = ["pieces"]

_AVERAGE, _AVERAGE_LIMIT = 1024 * 1024, 4 * 1024 * 1024  # the limit is the package's
_USUAL = 4_096
_BITE = 1024 * 1024


def pieces(file: RandomAccess, size: int) -> Iterator[Piece] | None:
    """The pieces of a file by its content, 1 MiB on average, more if it is huge; each as it is found.

    None if the file is no larger than that, or pyfastcdc is not installed.

    Raises:
        OSError: From `file`, as they are taken.
    """
    chunker = _chunker()
    if chunker is None or size <= _AVERAGE:
        return None
    average = _AVERAGE
    while average < _AVERAGE_LIMIT and size > average * _USUAL:
        average *= 2
    cutter = chunker(average, min_size=average // 4, max_size=average * 4)
    return joined(_cut(cutter, _Stream(file, size), size), size // (MOST - 1))


def _cut(cutter: Any, stream: _Stream, size: int) -> Iterator[Piece]:
    for chunk in cutter.cut_stream(stream):
        yield Piece(chunk.length)
        size -= chunk.length
    yield from fixed(size)  # where the file has become shorter


def _chunker() -> Any:
    """The compiled class, not the one in Python: that is slower than any disk."""
    try:
        from pyfastcdc.cy import FastCDC
    except (ImportError, Warning):
        return None
    return FastCDC


class _Stream:
    def __init__(self, file: RandomAccess, size: int) -> None:
        self._file = file
        self._size = size
        self._at = 0

    def readinto(self, buffer: memoryview) -> int:
        data = self._file(self._at, min(len(buffer), _BITE, self._size - self._at))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
