"""What two models answered on the same examples, compared as it is recorded: no model is loaded, and none is called."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from importlib import import_module
from typing import Any, NamedTuple

from modelvault.errors import VaultError, shown
from modelvault.signature.nodes import ABSOLUTE, RELATIVE, alike, decoded

__all__ = ["Shift", "shifts"]


class Shift(NamedTuple):
    """How far one output has moved: the rows compared, those that differ, the largest absolute difference of a number.

    `largest` is None where nothing can be subtracted, `why` says what kept all of it from being compared.
    """

    output: str
    rows: int
    differing: int
    largest: float | None
    why: str = ""


def shifts(old: bytes, new: bytes) -> tuple[Shift, ...]:
    """The outputs in which the files of examples `old` and `new` differ; numbers may differ as little as `alike` allows."""
    try:
        before, after = json.loads(old), json.loads(new)
        if before["inputs"] != after["inputs"]:
            return (Shift("", 0, 0, None, "other examples were recorded"),)
        pairs = [(name, before["outputs"].get(name), after["outputs"].get(name)) for name in _names(before, after)]
        return tuple(found for pair in pairs if (found := _shift(*pair)).differing or found.why)
    except VaultError as error:
        return (Shift("", 0, 0, None, shown(error)),)
    except Exception as error:  # nobody knows what packages raise for hostile values
        return (Shift("", 0, 0, None, f"they cannot be read: {shown(error)}"),)


def _names(before: Any, after: Any) -> list[str]:
    return sorted(before["outputs"].keys() | after["outputs"].keys())


def _shift(output: str, old: Any, new: Any) -> Shift:
    if old is None or new is None:
        return Shift(output, 0, 0, None, "it was not recorded before" if old is None else "it is not recorded any more")
    before, after = dict(_columns(old)), dict(_columns(new))
    counts = {len(column) for column in (*before.values(), *after.values())}
    if before.keys() != after.keys() or len(counts) != 1:
        return Shift(output, 0, 0, None, "it has another form")
    compared = [_compared(before[name], after[name]) for name in before]
    differing = sum(any(flags) for flags in zip(*(flags for flags, _ in compared), strict=True))
    return Shift(output, counts.pop(), differing, max((most for _, most in compared if most is not None), default=None))


def _columns(node: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The columns of an output, each an array or a list of nodes, as long as there are rows."""
    match node:
        case {"array": _}:
            found = decoded(node)
            yield name, found if found.ndim else found.reshape(1)
        case {"torch": inner}:
            yield from _columns(inner, name)
        case {"bfloat16": inner}:
            bits = decoded(inner).astype("<u4") << 16
            yield name, (bits if bits.ndim else bits.reshape(1)).view("<f4")
        case {"items": {"shape": shape, "items": items}}:
            yield name, _by_rows(items, shape)
        case {"pandas": {"columns": columns}}:
            for label, column in columns:
                yield from _columns(column, json.dumps(label))
        case {"series": {"column": column}}:
            yield from _columns(column, name)
        case {"codes": codes, "categories": categories}:
            yield name, [categories[one] if one >= 0 else None for one in decoded(codes).tolist()]
        case {"times": times}:
            yield from _columns(times, name)
        case {"polars": {"series": column}}:
            yield name, column["items"]
        case {"polars": {"columns": columns}} | {"arrow": {"columns": columns}}:
            for column in columns:
                yield column["name"], column["items"]
        case {"of": _, "items": items}:
            yield name, items
        case list():
            yield name, node
        case _:
            yield name, [node]


def _by_rows(items: list[Any], shape: list[int]) -> list[Any]:
    rows = shape[0] if shape else 1
    wide = len(items) // rows if rows else 0
    return [items[at * wide : (at + 1) * wide] for at in range(rows)]


def _compared(old: Any, new: Any) -> tuple[list[bool], float | None]:
    """For each row whether it differs; and the largest difference."""
    if hasattr(old, "dtype") and hasattr(new, "dtype") and old.shape == new.shape:
        if old.dtype.kind in "biufc" and new.dtype.kind in "biufc":
            return _subtracted(old, new)
        unequal = (old != new) & ~((old != old) & (new != new))  # noqa: PLR0124 - what is no time is equal to what is none
        return unequal.reshape(len(old), -1).any(axis=1).tolist(), None
    rows = list(zip(_nodes(old), _nodes(new), strict=True))
    apart = [_distance(*row) for row in rows if not alike(*row)]
    return [not alike(*row) for row in rows], max((one for one in apart if one is not None), default=None)


def _subtracted(old: Any, new: Any) -> tuple[list[bool], float | None]:
    kind = "complex128" if "c" in old.dtype.kind + new.dtype.kind else "float64"
    before, after = (one.astype(kind).reshape(len(one), -1) for one in (old, new))
    with import_module("numpy").errstate(all="ignore"):
        apart = abs(after - before)
        near = (apart <= ABSOLUTE + RELATIVE * abs(before)) | (before == after)
    missing = (before != before) & (after != after)  # noqa: PLR0124 - that is what NaN is
    known = apart[apart == apart]  # noqa: PLR0124
    flags = (~(near | missing)).any(axis=1).tolist()
    return flags, float(known.max()) if known.size else None


def _nodes(column: Any) -> Any:
    return column.tolist() if hasattr(column, "dtype") else column


def _distance(old: Any, new: Any) -> float | None:
    """Between two numbers, or the farthest two within lists of the same length."""
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        found = [each for each in map(_distance, old, new) if each is not None]
        return max(found, default=None)
    if type(old) in {int, float} and type(new) in {int, float}:
        apart = abs(new - old)
        return float(apart) if math.isfinite(apart) else None
    return None
