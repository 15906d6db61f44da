"""Where a file is cut, so that a later version of it can share the pieces that did not change.

Structured files are cut at their tensors, whatever their names are: safetensors, GGUF, npy, npz and other ZIP archives
(PyTorch's), ONNX.  All other files are cut where their content says so, or every so many bytes.  Cuts are advice: no
reader needs to know them, and a file that lies about itself is cut in worse places, no more.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable

from modelvault.cuts import content, gguf, npy, onnx, safetensors, zipped
from modelvault.cuts.rules import Layout, Piece, Range, fixed, planned
from modelvault.cuts.window import RandomAccess, Window

__all__ = ["Piece", "RandomAccess", "Range", "cuts", "external"]

_FORMATS: tuple[tuple[int, bytes, Callable[[Window], Layout]], ...] = (
    (0, b"PK\3\4", zipped.layout),
    (0, b"GGUF", gguf.layout),
    (0, b"\x93NUMPY", npy.layout),
    (8, b"{", safetensors.layout),
    (0, b"\x08", onnx.layout),  # the first field, and every writer begins with it
)
_FAULTS = (ArithmeticError, LookupError, RecursionError, TypeError, ValueError, struct.error)  # of bytes that lie


def cuts(file: RandomAccess, size: int, *, ranges: Iterable[tuple[int, int, str]] | None = None) -> Iterable[Piece]:
    """The pieces of a file of `size` bytes, in order; their sizes add up to `size`.  Those by content come as they are found.

    Args:
        file: reads bytes: `file(offset, length)`.
        size: of the file, in bytes.
        ranges: offset, length and dtype of the tensors in it, where another file says so (see `external`).

    Raises:
        OSError: from `file`; nothing for what is in it.
    """
    layout = _layout(file, size) if ranges is None else Layout(0, [Range(*one) for one in ranges])
    pieces = planned(layout, size) if layout else []
    return pieces or content.pieces(file, size) or fixed(size)


def external(file: RandomAccess, size: int) -> dict[str, list[Range]]:
    """The ranges of the tensors that an ONNX model keeps in other files, by their locations as the model spells them.

    A location is text of a stranger: it is a path only after it was checked.  No ranges if the file is no such model.

    Raises:
        OSError: from `file`.
    """
    try:
        return onnx.external(Window(file, size))
    except _FAULTS:
        return {}


def _layout(file: RandomAccess, size: int) -> Layout | None:
    head = file(0, 16) if size else b""
    for offset, magic, layout in _FORMATS:
        if head.startswith(magic, offset):
            try:
                return layout(Window(file, size))
            except _FAULTS:
                continue
    return None
