"""Fingerprints of tables and arrays in memory: pandas, polars, Arrow, NumPy.  None of them is imported."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from typing import Any

from modelvault.canonical import plain
from modelvault.wire import DataRef, record

__all__ = ["is_table", "table_ref"]

_CELLS = 20_000_000
"""Of a larger table some rows are hashed, evenly spread."""
_TEXTS = 2_000_000
"""The same, if it has columns of text or objects, which are ten times slower."""
_ROWS = 100_000

_KINDS = {
    ("pandas", "DataFrame"), ("pandas", "Series"), ("polars", "DataFrame"), ("polars", "Series"), ("pyarrow", "Table"),
    ("numpy", "ndarray"),
}  # fmt: skip


def is_table(source: object) -> bool:
    """A table or an array of a library that this module knows."""
    return _kind(source) is not None


def table_ref(source: Any) -> DataRef:
    """The digest of what is in `source`: the names, types and values of its columns, and the index of pandas.

    ``how="content"``, or ``how="sample"`` where only 100,000 rows of many were hashed.  Equal content gives an equal digest
    in the same library and release; another release may have other types.
    """
    kind = _kind(source)
    columns = [*_columns(source)]
    rows = len(source)
    cells = rows * max(1, len(columns)) if kind != ("numpy", "ndarray") else int(source.size)
    whole = cells <= (_TEXTS if any(_is_text(values) for _, values in columns) else _CELLS)
    step = 1 if whole else -(-rows // _ROWS)
    hasher = hashlib.sha256(f"{rows}".encode())
    for name, values in columns:
        hasher.update(f"\0{name}\0{_type(values)}\0".encode("utf-8", "surrogatepass"))
        _update(hasher, values if step == 1 else values[::step])
    return record(
        DataRef,
        uri=".".join(kind or ()),
        how="content" if whole else "sample",
        digest=f"sha256:{hasher.hexdigest()}",
        rows=rows,
        columns=_width(source, len(columns)),
    )


def _kind(source: object) -> tuple[str, str] | None:
    """The library and class, if the class is that library's: looked up, never imported."""
    for kind in ((one.__module__.partition(".")[0], one.__name__) for one in type(source).__mro__):
        if kind in _KINDS and isinstance(source, getattr(sys.modules.get(kind[0]), kind[1], ())):
            return kind if getattr(source, "ndim", 1) else None
    return None


def _columns(source: Any) -> Iterator[tuple[str, Any]]:
    """Names and NumPy arrays."""
    match _kind(source):
        case ("pandas", kind):
            if not _counts(source.index):
                yield "index", source.index.to_numpy()
            frame = source if kind == "DataFrame" else source.to_frame()
            for at, name in enumerate(frame.columns):
                yield f"{name!r}", frame.iloc[:, at].to_numpy()
        case ("polars", "DataFrame"):
            for column in source.get_columns():
                yield column.name, column.to_numpy()
        case ("polars", _):
            yield source.name, source.to_numpy()
        case ("pyarrow", _):
            for name, column in zip(source.column_names, source.columns, strict=True):
                yield name, column.to_numpy()
        case _:
            yield "", source


def _counts(index: Any) -> bool:
    """Rows are numbered, as they are where nobody said anything."""
    return type(index).__name__ == "RangeIndex" and (index.start, index.step) == (0, 1)


def _width(source: Any, columns: int) -> int:
    shape = getattr(source, "shape", (0, columns))
    return int(shape[1]) if len(shape) > 1 else 1


def _type(values: Any) -> str:
    return f"{values.dtype.str}{values.shape[1:]}"


def _is_text(values: Any) -> bool:
    return bool(values.dtype.hasobject)


def _update(hasher: Any, values: Any) -> None:
    if not _is_text(values):
        hasher.update(values.tobytes())
        return
    for value in values.ravel().tolist():
        text = value if isinstance(value, str) else f"{type(value).__name__}\0{plain(value)}"
        raw = text.encode("utf-8", "surrogatepass")
        hasher.update(len(raw).to_bytes(8, "big") + raw)
