"""Graphs of ONNX, read from their bytes: the package itself is not needed for a file.

The numbers of fields are those of onnx/onnx.proto3.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modelvault.cuts.protobuf import field as message
from modelvault.cuts.protobuf import fields, number
from modelvault.cuts.window import Window
from modelvault.errors import shown
from modelvault.signature.sources import Said, field, nothing
from modelvault.wire import FieldRecord

__all__ = ["about", "of_file"]

_GRAPH, _INITIALIZER, _INPUT, _OUTPUT = message(7), message(5), message(11), message(12)
_TYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string", 9: "bool", 10: "float16",
    11: "float64", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128", 16: "bfloat16", 17: "float8_e4m3fn",
    18: "float8_e4m3fnuz", 19: "float8_e5m2", 20: "float8_e5m2fnuz", 21: "uint4", 22: "int4", 23: "float4_e2m1fn",
    24: "float8_e8m0", 25: "uint2", 26: "int2", 27: "float6_e2m3", 28: "float6_e3m2",
}  # fmt: skip
_LONGEST = 1024 * 1024
"""Bytes of the description of one input."""
_DEEPEST = 16


def about(obj: Any) -> tuple[Said, Said]:
    """Inputs and outputs of a model in memory; inputs that have an initial value are optional."""
    graph = getattr(obj, "graph", None)
    if graph is None:
        return nothing(f"a {shown(type(obj).__qualname__)} does not tell")
    inputs = [one.SerializeToString() for one in graph.input]
    outputs = [one.SerializeToString() for one in graph.output]
    return _said(inputs, outputs, {one.name for one in graph.initializer})


def of_file(path: Path) -> tuple[Said, Said]:
    """Inputs and outputs of the model in a file."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        window = Window(lambda at, length: os.pread(file.fileno(), length, at), size)
        inputs, outputs, initial = list[bytes](), list[bytes](), set[str]()
        for begin, end in _messages(window, 0, size, _GRAPH):
            inputs += [_bytes(window, *each) for each in _messages(window, begin, end, _INPUT)]
            outputs += [_bytes(window, *each) for each in _messages(window, begin, end, _OUTPUT)]
            initial |= {_name(window, *each) for each in _messages(window, begin, end, _INITIALIZER)}
    if not outputs:
        return nothing("the file holds no graph")
    return _said(inputs, outputs, initial)


def _said(inputs: list[bytes], outputs: list[bytes], initial: set[str]) -> tuple[Said, Said]:
    return _fields(inputs, initial), _fields(outputs, set())


def _fields(described: list[bytes], optional: set[str]) -> Said:
    found = tuple(_field(one, optional) for one in described)
    return Said(found, extra="forbid", unknown=tuple(f"{one.name}: type" for one in found if one.dtype is None))


def _field(raw: bytes, optional: set[str]) -> FieldRecord:
    window = _window(raw)
    name = _text(window, 0, len(raw), 1)
    found = next(_messages(window, 0, len(raw), message(2)), None)
    dtype, shape = (None, None) if found is None else _type(window, *found)
    return field(
        name,
        dtype=dtype,
        shape=shape,
        required=name not in optional,
        nullable=dtype is not None and dtype.startswith("optional<"),
    )


_Shape = tuple[int | None, ...]


def _type(window: Window, begin: int, end: int, depth: int = 0) -> tuple[str | None, _Shape | None]:
    """The words for a TypeProto."""
    if depth > _DEEPEST:
        raise ValueError("types within types")
    for key, at, stop in fields(window, begin, end):
        if key in {message(1), message(8)}:
            dtype = _type_name(_number(window, at, stop, 1))
            return dtype if key == message(1) or dtype is None else f"sparse<{dtype}>", _shape(window, at, stop)
        if key in {message(4), message(9)}:
            inner = next(_messages(window, at, stop, message(1)))
            return f"{'sequence' if key == message(4) else 'optional'}<{_type(window, *inner, depth + 1)[0]}>", None
        if key == message(5):
            inner = next(_messages(window, at, stop, message(2)))
            return f"map<{_type_name(_number(window, at, stop, 1))}, {_type(window, *inner, depth + 1)[0]}>", None
    return None, None


def _type_name(number: int) -> str | None:
    """None for 0, which is undefined."""
    return _TYPES.get(number, f"onnx.{number}") if number else None


def _shape(window: Window, begin: int, end: int) -> _Shape | None:
    found = next(_messages(window, begin, end, message(2)), None)
    if found is None:
        return None
    return tuple(_dimension(window, *each) for each in _messages(window, *found, message(1)))


def _dimension(window: Window, begin: int, end: int) -> int | None:
    return next((value for key, value, _ in fields(window, begin, end) if key == number(1) and value < 2**63), None)


def _window(raw: bytes) -> Window:
    return Window(lambda at, length: raw[at : at + length], len(raw))


def _messages(window: Window, begin: int, end: int, which: int) -> Iterator[tuple[int, int]]:
    return ((at, stop) for key, at, stop in fields(window, begin, end) if key == which)


def _number(window: Window, begin: int, end: int, of: int) -> int:
    return next((value for key, value, _ in fields(window, begin, end) if key == number(of)), 0)


def _text(window: Window, begin: int, end: int, of: int) -> str:
    found = next(_messages(window, begin, end, message(of)), (0, 0))
    return _bytes(window, *found).decode("utf-8", "replace")


def _name(window: Window, begin: int, end: int) -> str:
    return _text(window, begin, end, 8)


def _bytes(window: Window, begin: int, end: int) -> bytes:
    if end - begin > _LONGEST:
        raise ValueError("a description is too long")
    return window.take(begin, end - begin) if end > begin else b""
