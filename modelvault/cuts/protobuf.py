"""The fields of a message of Protocol Buffers (protobuf.dev/programming-guides/encoding)."""

from __future__ import annotations

from collections.abc import Iterator

from modelvault.cuts.window import Window

__all__ = ["field", "fields", "number"]

_LONGEST = 20  # bytes of a key and a length
_FIXED = {1: 8, 5: 4}


def number(of: int) -> int:
    """The key of a field that is an integer, by the number of the field."""
    return of << 3


def field(of: int) -> int:
    """The key of a field that is text, bytes or a message, by the number of the field."""
    return of << 3 | 2


def fields(window: Window, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Of every field its key and the value, if that is an integer, else where it begins; and where it ends.

    Raises:
        ValueError: Not a message; as `IndexError`.
    """
    while at < end:
        buffer, first = window.at(at, _LONGEST)
        key, index = _varint(buffer, first)
        kind = key & 7
        value = 0
        if kind in _FIXED:
            value, length = at + index - first, _FIXED[kind]
        elif kind in {0, 2}:
            value, index = _varint(buffer, index)
            length = value if kind else 0
            value = at + index - first if kind else value
        else:
            raise ValueError("not a field")
        at += index - first + length
        if at > end:
            raise ValueError("a field is longer than its message")
        yield key, value, at


def _varint(buffer: bytes, at: int) -> tuple[int, int]:
    """A number of at most 64 bits, and the index behind it."""
    byte = buffer[at]
    if byte < 0x80:
        return byte, at + 1
    value = byte & 0x7F
    for shift in range(7, 70, 7):
        at += 1
        byte = buffer[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + 1
    raise ValueError("a number is too long")
