"""ONNX: the tensors inside a model, and those it keeps in other files (github.com/onnx/onnx, onnx.proto, IR 3 to 13)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from modelvault.cuts.protobuf import field, fields, number
from modelvault.cuts.rules import Layout, Range
from modelvault.cuts.window import Window

__all__ = ["external", "layout"]

_MESSAGES = {  # what messages are made of, as far as there are tensors in them
    "model": {field(7): "graph", field(25): "function"},
    "function": {field(7): "node"},
    "graph": {field(1): "node", field(5): "tensor", field(15): "sparse"},
    "sparse": {field(1): "tensor", field(2): "tensor"},
    "node": {field(5): "attribute"},
    "attribute": {
        field(5): "tensor",
        field(6): "graph",
        field(10): "tensor",
        field(11): "graph",
        field(22): "sparse",
        field(23): "sparse",
    },
}
_DEPTH = 32  # ten graphs within each other
_TYPE, _FLOATS, _RAW, _DOUBLES, _EXTERNAL = number(2), field(4), field(9), field(10), field(13)
_KEY, _VALUE = field(1), field(2)
_TEXT_LIMIT = 4_096
_DTYPES = {1: "F32", 10: "F16", 11: "F64", 16: "BF16"}


class _Tensor(NamedTuple):
    data: Range | None
    elsewhere: dict[str, str]
    dtype: str


def layout(window: Window) -> Layout:
    """The tensors of a model.

    Raises:
        ValueError: Not a model, or one without tensors; as `IndexError`.
    """
    ranges = [tensor.data for tensor in _tensors(window, "model", 0, window.size) if tensor.data]
    return Layout(min(one.offset for one in ranges), ranges)


def external(window: Window) -> dict[str, list[Range]]:
    """The ranges of the tensors in other files, by location.

    Raises:
        ValueError: Not a model; as `IndexError`.
    """
    found: dict[str, dict[Range, None]] = {}
    for _, elsewhere, dtype in _tensors(window, "model", 0, window.size):
        if "location" in elsewhere and "length" in elsewhere:
            one = Range(int(elsewhere.get("offset", "0")), int(elsewhere["length"]), dtype)
            found.setdefault(elsewhere["location"], {})[one] = None
    return {location: list(ranges) for location, ranges in found.items()}


def _tensors(window: Window, message: str, at: int, end: int, depth: int = 0) -> Iterator[_Tensor]:
    if depth > _DEPTH:
        raise ValueError("nested too deep")
    if message == "tensor":
        yield _tensor(window, at, end)
        return
    inside = _MESSAGES[message]
    for key, first, last in fields(window, at, end):
        if key in inside:
            yield from _tensors(window, inside[key], first, last, depth + 1)


def _tensor(window: Window, at: int, end: int) -> _Tensor:
    data, elsewhere, dtype = None, {}, ""
    for key, first, last in fields(window, at, end):
        if key == _TYPE:
            dtype = _DTYPES.get(first, "")
        elif key in {_RAW, _FLOATS, _DOUBLES}:
            data = Range(first, last - first, {_FLOATS: "F32", _DOUBLES: "F64"}.get(key, ""))
        elif key == _EXTERNAL:
            elsewhere.update(_pair(window, first, last))
    return _Tensor(data and data._replace(dtype=data.dtype or dtype), elsewhere, dtype)


def _pair(window: Window, at: int, end: int) -> dict[str, str]:
    texts = {key: _text(window, first, last) for key, first, last in fields(window, at, end)}
    return {texts[_KEY]: texts[_VALUE]}


def _text(window: Window, first: int, last: int) -> str:
    if last - first > _TEXT_LIMIT:
        raise ValueError("too long a text")
    return window.take(first, last - first).decode()
