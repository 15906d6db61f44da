"""Frames, series and indexes of pandas: a field for each column, whatever their index."""

from __future__ import annotations

from typing import Any

from modelvault.signature.sources import CATEGORIES, Said, field
from modelvault.signature.sources.arrays import described as of_array
from modelvault.signature.sources.arrays import dtype_name
from modelvault.signature.sources.values import described as of_values
from modelvault.signature.sources.values import of_objects

__all__ = ["described"]


def described(data: Any, *, given: bool = False) -> Said:
    """The columns, by name."""
    if not hasattr(data, "columns"):
        if not hasattr(data, "dtype"):
            return of_values(data, given=given)
        name = getattr(data, "name", None)
        return _column(data, "" if name is None else str(name), given=given)
    names = [str(name) for name in data.columns]
    parts = [_column(data.iloc[:, at], name, given=given) for at, name in enumerate(names)]
    unknown = [one for part in parts for one in part.unknown]
    if any(not isinstance(name, str) for name in data.columns):
        unknown.append("names: some are no text, and were made into text")
    twice = len(set(names)) != len(names)
    if twice:
        unknown.append("names: two columns have one, so they are known by position")
    fields = tuple(one for part in parts for one in part.fields or ())
    return Said(fields, "position" if twice else "name", unknown=tuple(unknown))


def _column(column: Any, name: str, *, given: bool) -> Said:
    dtype, unknown = column.dtype, list[str]()
    members: dict[str, Any] = {"shape": (None,)}
    kind = type(dtype).__name__
    missing = bool(column.isna().any())
    if kind == "CategoricalDtype":
        members |= _categories(dtype, unknown, given=given)
        members["dtype"], _, more = of_objects(dtype.categories.tolist())
        unknown += more
    elif kind == "ArrowDtype":
        from modelvault.signature.sources.arrow import typed

        members |= typed(dtype.pyarrow_dtype)
    elif kind == "StringDtype":
        members["dtype"] = "string"
        missing = missing or (not given and type(dtype.na_value).__name__ == "NAType")
    elif kind == "DatetimeTZDtype":
        members["dtype"] = f"timestamp[{dtype.unit}, {dtype.tz}]"
    elif kind == "SparseDtype":
        members["dtype"] = dtype_name(dtype.subtype)
    elif hasattr(dtype, "numpy_dtype"):  # Int64, Float64, boolean: they may always be missing
        members["dtype"] = dtype_name(dtype.numpy_dtype)
        missing = missing or not given
    elif not hasattr(dtype, "itemsize") or kind in {"PeriodDtype", "IntervalDtype"}:
        members["dtype"] = str(dtype)
    else:
        return (
            of_array(column.to_numpy(), given=given).named(name) if name else of_array(column.to_numpy(), given=given)
        )
    return Said((field(name, nullable=missing, **members),), unknown=tuple(f"{name}: {one}" for one in unknown))


def _categories(dtype: Any, unknown: list[str], *, given: bool) -> dict[str, Any]:
    from modelvault.signature.sources import scalar_type

    found = dtype.categories.tolist()
    if any(scalar_type(type(one)) not in {"bool", "int64", "float64", "string"} for one in found):
        unknown.append("categories: they are neither numbers nor text")
        return {}
    if len(found) > CATEGORIES and not given:
        unknown.append(f"categories: {len(found):,}, too many to record")
        return {}
    return {"categories": tuple(found)}
