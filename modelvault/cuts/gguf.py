"""GGUF 2 and 3, little-endian: pairs of keys and values, what the tensors are, the tensors (ggml's docs/gguf.md)."""

from __future__ import annotations

import math
import struct
from typing import NamedTuple

from modelvault.cuts.rules import WIDTHS, Layout, Range
from modelvault.cuts.window import HEADER_LIMIT, Window

__all__ = ["layout"]

_U32, _U64 = struct.Struct("<L"), struct.Struct("<Q")
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # of values, by their types
_STRING, _ARRAY = 8, 9
_FLOATS = {0: "F32", 1: "F16", 28: "F64", 30: "BF16"}
_ALIGNED = (b"general.alignment", 4)
_ALIGNMENT = 32  # unless that says another
_TEXT_LIMIT = 0xFFFF  # of keys and names
_DIMENSIONS = 8  # four today


class _Tensor(NamedTuple):
    offset: int
    values: int
    dtype: str


def layout(window: Window) -> Layout:
    """The header, and the tensors it names.

    Raises:
        ValueError: Not a header.
    """
    header = _Header(window)
    if header.number(_U32) not in {2, 3}:
        raise ValueError("another version")
    tensors, pairs = header.number(_U64), header.number(_U64)
    alignment = header.alignment(pairs)
    found = [header.tensor() for _ in range(tensors)]
    start = -(-header.at // alignment) * alignment
    return Layout(start, _ranges(start, found, window.size))


def _ranges(start: int, tensors: list[_Tensor], size: int) -> list[Range]:
    """A quantised tensor ends where the next one begins."""
    offsets = sorted({tensor.offset for tensor in tensors})
    ends = dict(zip(offsets, [*offsets[1:], size - start], strict=True))
    return [
        Range(start + offset, values * WIDTHS[dtype] if dtype else ends[offset] - offset, dtype)
        for offset, values, dtype in tensors
    ]


class _Header:
    """A header, read from its start on."""

    def __init__(self, window: Window) -> None:
        self.at = 4
        self._window = window

    def number(self, form: struct.Struct) -> int:
        number: int = form.unpack(self._bytes(form.size))[0]
        return number

    def alignment(self, pairs: int) -> int:
        alignment = _ALIGNMENT
        for _ in range(pairs):
            key, kind = self._text(), self.number(_U32)
            if (key, kind) == _ALIGNED:
                alignment = self.number(_U32)
            else:
                self._skip(kind)
        return alignment

    def tensor(self) -> _Tensor:
        self._text()
        dimensions = self.number(_U32)
        if dimensions > _DIMENSIONS:
            raise ValueError("too many dimensions")
        *shape, kind, offset = struct.unpack(f"<{dimensions}QLQ", self._bytes(8 * dimensions + 12))
        return _Tensor(offset, math.prod(shape), _FLOATS.get(kind, ""))

    def _text(self) -> bytes:
        length = self.number(_U64)
        if length > _TEXT_LIMIT:
            raise ValueError("too long a text")
        return self._bytes(length)

    def _skip(self, kind: int) -> None:
        if kind != _ARRAY:
            self._skip_many(kind, 1)
        else:
            self._skip_many(self.number(_U32), self.number(_U64))

    def _skip_many(self, kind: int, count: int) -> None:
        if kind == _STRING:
            self._skip_strings(count)
        else:
            self.at += count * _SIZES[kind]

    def _skip_strings(self, count: int) -> None:
        """A vocabulary has hundreds of thousands: they are stepped over in the buffer."""
        unpack = _U64.unpack_from
        while count:
            buffer, index = self._look(8)
            first = index
            while count and index + 8 <= len(buffer):
                index += 8 + unpack(buffer, index)[0]
                count -= 1
            if index == first:
                raise ValueError("truncated")
            self.at += index - first

    def _look(self, length: int) -> tuple[bytes, int]:
        if self.at > HEADER_LIMIT:
            raise ValueError("the header is too long")
        return self._window.at(self.at, length)

    def _bytes(self, length: int) -> bytes:
        buffer, index = self._look(length)
        self.at += length
        return buffer[index : index + length]
