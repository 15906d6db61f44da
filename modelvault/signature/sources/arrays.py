"""Arrays of numpy.  Their first dimension is the rows: any number of them."""

from __future__ import annotations

from typing import Any

from modelvault.signature.sources import Said, field
from modelvault.signature.sources.values import described as of_values
from modelvault.signature.sources.values import of_objects

__all__ = ["described", "dtype_name"]

_TEXT = {"U": "string", "T": "string", "S": "bytes", "M": "timestamp", "m": "duration"}


def described(data: Any, *, given: bool = False) -> Said:
    """One field without a name; of a structured array one for each of its own."""
    if not hasattr(data, "dtype"):
        return of_values(data, given=given)
    if data.dtype.names:
        parts = [described(data[name], given=given).named(name) for name in data.dtype.names]
        fields = tuple(one for part in parts for one in part.fields or ())
        return Said(fields, unknown=tuple(one for part in parts for one in part.unknown))
    shape = (None, *data.shape[1:]) if data.shape else ()
    if data.dtype.kind == "O":
        dtype, missing, unknown = of_objects(data.flat, given=given)
        return Said((field("", dtype=dtype, shape=shape, nullable=missing),), "position", unknown=unknown)
    return Said((field("", dtype=dtype_name(data.dtype), shape=shape, nullable=_missing(data)),), "position")


def dtype_name(dtype: Any) -> str:
    """In the words of a signature: ``float64``, ``string``, ``timestamp[ns]``."""
    name = _TEXT.get(dtype.kind)
    if name is None:
        return str(dtype.name)
    if dtype.kind in "Mm":
        unit = dtype.str.partition("[")[2].rstrip("]")
        return f"{name}[{unit}]"
    return name


def _missing(data: Any) -> bool:
    return data.dtype.kind in "fcMm" and bool((data != data).any())  # noqa: PLR0124 - only NaN and NaT differ from themselves
