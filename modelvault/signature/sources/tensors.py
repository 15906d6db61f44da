"""Tensors of torch.  Their first dimension is the rows."""

from __future__ import annotations

from typing import Any

from modelvault.signature.sources import Said, field
from modelvault.signature.sources.values import described as of_values

__all__ = ["described", "dtype_name"]


def described(data: Any, *, given: bool = False) -> Said:
    """One field without a name."""
    if not hasattr(data, "dtype"):
        return of_values(data, given=given)
    shape = (None, *map(int, data.shape[1:])) if data.dim() else ()
    missing = data.dtype.is_floating_point and bool(data.isnan().any())
    return Said((field("", dtype=dtype_name(data.dtype), shape=shape, nullable=missing),), "position")


def dtype_name(dtype: Any) -> str:
    """In the words of a signature."""
    return str(dtype).removeprefix("torch.")
