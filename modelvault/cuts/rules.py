"""From the tensors of a file to its pieces.

A large tensor is a piece of its own, and a huge one several, cut from its own start: neither what stands before it nor
its neighbours change its pieces.  Small neighbours are joined, and the joining begins anew behind every large tensor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice, pairwise
from typing import Final, NamedTuple

__all__ = ["MOST", "WIDTHS", "Layout", "Piece", "Range", "fixed", "joined", "planned"]

MOST: Final = 8_192
"""Pieces of one file."""

WIDTHS: Final = {"BF16": 2, "F16": 2, "F32": 4, "F64": 8}
"""The dtypes that a piece can have, and the bytes of one number."""

_LEAST = 64 * 1024  # of a tensor that is a piece of its own
_JOINED, _SLICE = 16, 512  # in that unit: 1 MiB of small ones, 32 MiB of a huge one
_FIXED, _FIXED_MOST = 4 * 1024 * 1024, 4_096


class Piece(NamedTuple):
    """So many bytes of a file; `dtype` is BF16, F16, F32 or F64 if they are little-endian floats of one tensor."""

    size: int
    dtype: str = ""


class Range(NamedTuple):
    """Where in a file a tensor lies, in bytes."""

    offset: int
    length: int
    dtype: str = ""


class Layout(NamedTuple):
    """What a file says about itself: a header of so many bytes, and tensors behind it."""

    header: int
    ranges: list[Range]


def planned(layout: Layout, size: int) -> list[Piece]:
    """The pieces of a file of that layout; none if the layout explains less than half of the file."""
    ranges = list(_sound(layout, size))
    if 2 * (layout.header + sum(one.length for one in ranges)) < size or not ranges:
        return []
    areas = list(_areas(layout.header, ranges, size))
    least = _LEAST
    while len(pieces := list(islice(_pieces(layout.header, areas, least), MOST + 1))) > MOST:
        least *= 2
    return pieces


def _sound(layout: Layout, size: int) -> Iterator[Range]:
    """The tensors in their order in the file, without those that overlap or lie outside: headers lie."""
    end = layout.header
    for offset, length, dtype in sorted(layout.ranges):
        if length > 0 and end <= offset <= size - length:
            end = offset + length
            yield Range(offset, length, dtype if dtype in WIDTHS and length % WIDTHS[dtype] == 0 else "")


def _areas(at: int, ranges: list[Range], size: int) -> Iterator[Piece]:
    """The tensors, and what lies before, between and behind them."""
    for offset, length, dtype in [*ranges, Range(size, 0)]:
        if offset > at:
            yield Piece(offset - at)
        if length:
            yield Piece(length, dtype)
        at = offset + length


def _pieces(header: int, areas: Iterable[Piece], least: int) -> Iterator[Piece]:
    yield from _sliced(Piece(header), least)
    run = Piece(0)
    for area in areas:
        if run.size and (area.size >= least or run.size + area.size > _JOINED * least):
            yield run
            run = Piece(0)
        if area.size >= least:
            yield from _sliced(area, least)
        else:
            run = Piece(run.size + area.size) if run.size else area
    if run.size:
        yield run


def _sliced(area: Piece, least: int) -> Iterator[Piece]:
    step = _SLICE * least
    return (Piece(min(step, area.size - at), area.dtype) for at in range(0, area.size, step))


def fixed(size: int) -> list[Piece]:
    """Pieces of 4 MiB, or of twice that, and so on, while there are more than 4,096."""
    step = _FIXED
    while size > step * _FIXED_MOST:
        step *= 2
    return [Piece(stop - start) for start, stop in pairwise([*range(0, size, step), size])]


def joined(pieces: Iterable[Piece], least: int) -> Iterator[Piece]:
    """Neighbours joined up to a size: at least so many bytes each, but for the last.

    After a change the joining falls into step again, as content-defined cutting itself does.
    """
    run = 0
    for piece in pieces:
        run += piece.size
        if run >= least:
            yield Piece(run)
            run = 0
    if run:
        yield Piece(run)
