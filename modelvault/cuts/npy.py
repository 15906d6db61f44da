"""NumPy's npy: a header that is a literal of Python, and one array (numpy.lib.format; NEP 1)."""

from __future__ import annotations

import re

from modelvault.cuts.rules import Layout, Range
from modelvault.cuts.window import Window

__all__ = ["MAGIC", "array", "layout"]

MAGIC = b"\x93NUMPY"
_DESCR = re.compile(rb"""['"]descr['"]\s*:\s*['"]<f([248])['"]""")
_FLOATS = {b"2": "F16", b"4": "F32", b"8": "F64"}
_HEADER_LIMIT = 64 * 1024  # as long as one of version 1 can be; NumPy itself reads no more than 10,000 bytes


def layout(window: Window) -> Layout:
    """The header, and the array.

    Raises:
        ValueError: No header.
    """
    values = array(window, 0, window.size)
    return Layout(values.offset, [values])


def array(window: Window, start: int, stop: int) -> Range:
    """Where the values lie of an array that is stored from `start` to `stop`.

    Raises:
        ValueError: No header there.
    """
    head = window.take(start, 12)
    first = 10 if head[6] == 1 else 12
    length = int.from_bytes(head[8:first], "little")
    if length > _HEADER_LIMIT or not head.startswith(MAGIC):
        raise ValueError("not an array")
    header = window.take(start + first, length)
    offset = start + first + length
    found = _DESCR.search(header)
    return Range(offset, stop - offset, _FLOATS[found[1]] if found else "")
