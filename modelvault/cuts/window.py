"""Headers of a file, a few bytes at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

__all__ = ["HEADER_LIMIT", "RandomAccess", "Window"]

RandomAccess = Callable[[int, int], bytes]
"""Reads from a file: `read(offset, length)`, fewer bytes at its end."""

HEADER_LIMIT: Final = 100_000_000
"""Bytes of one header, as in safetensors."""

_LOOKS = 1_000_000  # a second or two
_BITE, _BITE_LIMIT = 512, 256 * 1024


class Window:
    """The part of a file around the place that is looked at: what is stepped over is not read.

    A file that claims more headers than anybody would read is given up.
    """

    def __init__(self, file: RandomAccess, size: int) -> None:
        self.size = size
        self._file = file
        self._start = 0
        self._buffer = b""
        self._bite = _BITE
        self._looks = 0

    def at(self, offset: int, length: int) -> tuple[bytes, int]:
        """A buffer, and the index in it from which the bytes at `offset` stand: `length` of them, or up to the end.

        Raises:
            ValueError: No byte stands there, or the file was looked at too often.
        """
        self._looks += 1
        if self._looks > _LOOKS:
            raise ValueError("too many headers")
        index = offset - self._start
        if index < 0 or index + min(length, self.size - offset) > len(self._buffer):
            self._move(offset, length)
            index = 0
        if index >= len(self._buffer):
            raise ValueError("beyond the end")
        return self._buffer, index

    def take(self, offset: int, length: int) -> bytes:
        """The bytes from `offset` on.

        Raises:
            ValueError: There are not so many, or the file was looked at too often.
        """
        if length > self.size - offset:
            raise ValueError("truncated")
        buffer, index = self.at(offset, max(length, 1))
        found = buffer[index : index + length]
        if len(found) < length:
            raise ValueError("truncated")
        return found

    def _move(self, offset: int, length: int) -> None:
        """Read on in larger bites, and behind a leap in small ones."""
        near = 0 < offset - self._start <= 2 * len(self._buffer)
        self._bite = min(2 * self._bite, _BITE_LIMIT) if near else _BITE
        bite = min(max(length, self._bite), self.size - offset)
        self._buffer = self._file(offset, bite) if offset >= 0 and bite > 0 else b""
        self._start = offset
