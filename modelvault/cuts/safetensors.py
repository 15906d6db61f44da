"""Safetensors: the length of a header, the header in JSON, the tensors (huggingface.co/docs/safetensors)."""

from __future__ import annotations

import json
from typing import Any

from modelvault.cuts.rules import WIDTHS, Layout, Range
from modelvault.cuts.window import HEADER_LIMIT, Window

__all__ = ["layout"]

_VALUES = 1_000_000  # a small value takes fifty times its text in memory


def layout(window: Window) -> Layout:
    """The header, and the tensors it names.

    Raises:
        ValueError: No header, or one that costs too much to read; as other errors of `json`.
    """
    length = int.from_bytes(window.take(0, 8), "little")
    if length > HEADER_LIMIT:
        raise ValueError("the header is too long")
    raw = window.take(8, length)
    if raw.count(b",") + raw.count(b"[") + raw.count(b"{") > _VALUES:
        raise ValueError("the header has too many values")
    # Latin-1: names do not matter here, and take no more memory than their bytes.
    tensors = json.loads(raw.decode("latin-1"), object_hook=_tensor)
    start = 8 + length
    return Layout(start, [Range(start + offset, size, dtype) for offset, size, dtype in tensors])


def _tensor(members: dict[str, Any]) -> Range | list[Range]:
    """What a JSON object is reduced to as soon as it is read: a tensor, or the tensors in it."""
    offsets = members.get("data_offsets")
    if not isinstance(offsets, list):
        return [value for value in members.values() if isinstance(value, Range)]
    start, stop = offsets
    if not type(start) is type(stop) is int:
        raise ValueError("an offset is an integer")
    dtype = members.get("dtype")
    return Range(start, stop - start, dtype if isinstance(dtype, str) and dtype in WIDTHS else "")
