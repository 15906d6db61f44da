"""Values, lists and dicts of Python."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from modelvault.errors import shown
from modelvault.signature.dtypes import step
from modelvault.signature.sources import Said, field, scalar_type, whose
from modelvault.signature.sources import described as any_data
from modelvault.wire import FieldRecord

__all__ = ["described", "of_objects"]

_DEEPEST = 64
"""Dimensions, and lists within lists that are looked at."""
_WHOLE = ("int8", "int16", "int32", "int64", "uint64")
_DATA = ("numpy", "pandas", "polars", "pyarrow", "torch")


def described(data: object, *, given: bool = False) -> Said:
    """A dict is fields by name; a list of dicts is rows of them; a tuple is fields by position; all else one field."""
    if hasattr(type(data), "model_fields") and callable(getattr(data, "model_dump", None)):  # an object of pydantic
        return any_data(data.model_dump(), given=given)  # type: ignore[attr-defined] # it is callable
    if isinstance(data, Mapping):
        return _all((any_data(value, given=given).named(_text(name)) for name, value in data.items()), "name")
    if isinstance(data, list | tuple) and data and all(isinstance(row, Mapping) for row in data):
        return _rows(data, given=given)
    if isinstance(data, tuple) or (isinstance(data, list) and data and all(map(_is_data, data))):
        parts = (any_data(value, given=given).named(str(at)) for at, value in enumerate(data))
        return _all(parts, "position")
    if isinstance(data, list):
        return _nested(data, given=given)
    if data is None:
        return Said((field("", shape=(), nullable=True),), "position", unknown=("type: the only value is None",))
    dtype, _, unknown = of_objects([data], given=given)
    return Said((field("", dtype=dtype, shape=(), nullable=_missing(data)),), "position", unknown=unknown)


def of_objects(items: Iterable[object], *, given: bool = False) -> tuple[str | None, bool, tuple[str, ...]]:
    """The dtype of `items`, whether some are missing, and what is not known of them."""
    kinds: dict[type, None] = {}
    missing, low, high = False, 0, 0
    for item in items:
        if _missing(item):
            missing = True
            kinds.update({float: None} if isinstance(item, float) else {})
            continue
        kinds[type(item)] = None
        if given and type(item) is int:
            low, high = min(low, item), max(high, item)
    found = {kind: _dtype(kind) for kind in kinds}
    if not found:
        return None, missing, ("type: there is no value",)
    strange = [kind.__qualname__ for kind, dtype in found.items() if dtype is None]
    if strange:
        return "object", missing, (f"type: values of {shown(', '.join(strange))}",)
    if given:
        found |= {kind: _least(kind, low, high) for kind in found if kind in {int, float}}
    dtype = _common({str(dtype) for dtype in found.values()})
    mixed = ", ".join(sorted(str(dtype) for dtype in found.values()))
    return dtype or "object", missing, () if dtype else (f"type: a mixture of {mixed}",)


def _dtype(kind: type) -> str | None:
    if kind.__module__ == "numpy":  # a scalar is an array of no dimensions
        return str(any_data(kind()).fields[0].dtype) if issubclass(kind, _scalars()) else None  # type: ignore[index]
    return scalar_type(kind)


def _scalars() -> tuple[type, ...]:
    import sys

    numpy = sys.modules["numpy"]
    return numpy.number, numpy.bool_, numpy.str_, numpy.bytes_


def _least(kind: type, low: int, high: int) -> str:
    """The smallest type that holds the numbers: a number of Python has none of its own."""
    if kind is float:
        return "float32"
    bounds = {"uint64": (0, 2**64 - 1)} | {
        f"int{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)
    }
    return next((name for name in _WHOLE if bounds[name][0] <= low and high <= bounds[name][1]), "object")


def _common(dtypes: set[str]) -> str | None:
    """The one of `dtypes` that holds all others."""
    return next((one for one in dtypes if all(step(other, one) in {None, "widened"} for other in dtypes)), None)


def _missing(value: object) -> bool:
    return (
        value is None
        or (isinstance(value, float) and math.isnan(value))
        or type(value).__name__ in {"NAType", "NaTType"}
    )


def _is_data(value: object) -> bool:
    """An array or a frame, not a scalar of the package."""
    return any(package in _DATA for package in whose(value)) and getattr(value, "shape", ()) != ()


def _text(name: object) -> str:
    return name if isinstance(name, str) else str(name)


def _all(parts: Iterable[Said], by: Any) -> Said:
    found = list(parts)
    fields = tuple(chain.from_iterable(part.fields or () for part in found))
    unknown = tuple(chain.from_iterable(part.unknown for part in found))
    names = [one.name for one in fields]
    if by == "name" and len(set(names)) != len(names):
        return Said(fields, "position", unknown=(*unknown, "names: two fields have one, so they are known by position"))
    return Said(fields, by, unknown=unknown)


def _rows(rows: Iterable[Mapping[Any, Any]], *, given: bool) -> Said:
    """Rows of values by name: what a row has not is optional."""
    rows = list(rows)
    names = dict.fromkeys(chain.from_iterable(rows))
    parts = []
    for name in names:
        column = [row[name] for row in rows if name in row]
        part = described(column, given=given).named(_text(name))
        whole = len(column) == len(rows)
        parts.append(Said(tuple(_if(one, whole) for one in part.fields or ()), unknown=part.unknown))
    return _all(parts, "name")


def _if(one: FieldRecord, required: bool) -> FieldRecord:  # noqa: FBT001 - it is the word
    return one.model_copy(update={"required": one.required and required})


def _nested(data: list[Any], *, given: bool) -> Said:
    """A list of numbers, or of lists of equal lengths, and so on: an array."""
    shape, level = [len(data)], data
    while (
        level
        and len(shape) <= _DEEPEST
        and all(isinstance(one, list | tuple) for one in level)
        and len({len(one) for one in level}) == 1
    ):
        shape.append(len(level[0]))
        level = list(chain.from_iterable(level))
    if any(isinstance(one, list | tuple) for one in level):
        said = "shape: lists of different lengths"
        dtype, missing, unknown = of_objects(_leaves(level), given=given)
        return Said((field("", dtype=dtype, shape=None, nullable=missing),), "position", unknown=(*unknown, said))
    dtype, missing, unknown = of_objects(level, given=given)
    return Said((field("", dtype=dtype, shape=(None, *shape[1:]), nullable=missing),), "position", unknown=unknown)


def _leaves(level: Iterable[Any]) -> Iterator[Any]:
    for one in level:
        if isinstance(one, list | tuple):
            yield from _leaves(one)
        else:
            yield one
