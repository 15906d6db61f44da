"""ZIP archives, so npz and what PyTorch saves: one range a member (PKWARE's APPNOTE.TXT 6.3, sections 4.3 and 4.5)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from modelvault.cuts import npy
from modelvault.cuts.rules import Layout, Range
from modelvault.cuts.window import HEADER_LIMIT, Window

__all__ = ["layout"]

_END = struct.Struct("<4s8x2L2x")
_END_LIMIT = _END.size + 0xFFFF  # with a comment
_LOCATOR = struct.Struct("<4s4xQ4x")
_END_64 = struct.Struct("<4s36x2Q")
_ENTRY = struct.Struct("<4s6xH8x2L3H8xL")
_LOCAL = struct.Struct("<4s22x2H")
_EXTRA = struct.Struct("<2H")
_FULL = 0xFFFFFFFF  # the number stands in the extra field


class _Member(NamedTuple):
    header: int
    length: int
    stored: bool


def layout(window: Window) -> Layout:
    """The members, compressed or not, and of stored arrays their values.

    Raises:
        ValueError: Not the directory of an archive; as `struct.error`.
    """
    ranges = [_data(window, member) for member in _members(_directory(window))]
    return Layout(min(one.offset for one in ranges), ranges)


def _directory(window: Window) -> bytes:
    """The central directory."""
    tail = window.take(start := max(0, window.size - _END_LIMIT), window.size - start)
    at = tail.rindex(b"PK\5\6")
    length, offset = _END.unpack_from(tail, at)[1:]
    if _FULL in (length, offset):
        length, offset = _large(window, start + at - _LOCATOR.size)
    if length > min(HEADER_LIMIT, window.size):
        raise ValueError("the directory is too long")
    return window.take(offset, length)


def _large(window: Window, at: int) -> tuple[int, int]:
    """Length and offset of the directory of an archive in the format ZIP64."""
    magic, record = _LOCATOR.unpack(window.take(at, _LOCATOR.size))
    magic_64, length, offset = _END_64.unpack(window.take(record, _END_64.size))
    if (magic, magic_64) != (b"PK\6\7", b"PK\6\6"):
        raise ValueError("no ZIP64 record")
    return length, offset


def _members(directory: bytes) -> Iterator[_Member]:
    at = 0
    while at < len(directory):
        magic, method, length, full, name, extra, comment, header = _ENTRY.unpack_from(directory, at)
        if magic != b"PK\1\2":
            raise ValueError("not a directory")
        at += _ENTRY.size + name
        _, length, header = _exact([full, length, header], directory[at : at + extra])
        at += extra + comment
        yield _Member(header, length, method == 0)


def _exact(numbers: list[int], extra: bytes) -> list[int]:
    """`numbers`, with those that are too large for them taken from the extra field, where they stand in that order."""
    if _FULL not in numbers:
        return numbers
    large = _large_numbers(extra)
    return [large.pop(0) if number == _FULL else number for number in numbers]


def _large_numbers(extra: bytes) -> list[int]:
    at = 0
    while at < len(extra):
        kind, length = _EXTRA.unpack_from(extra, at)
        at += _EXTRA.size
        if kind == 1:
            return [number for (number,) in struct.iter_unpack("<Q", extra[at : at + length // 8 * 8])]
        at += length
    return []


def _data(window: Window, member: _Member) -> Range:
    magic, name, extra = _LOCAL.unpack(window.take(member.header, _LOCAL.size))
    if magic != b"PK\3\4":
        raise ValueError("no member where the directory says")
    start = member.header + _LOCAL.size + name + extra
    stop = start + member.length
    if member.stored and member.length >= len(npy.MAGIC) and window.take(start, len(npy.MAGIC)) == npy.MAGIC:
        return npy.array(window, start, stop)
    return Range(start, member.length)
