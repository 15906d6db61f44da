"""Frames and series of polars."""

from __future__ import annotations

from typing import Any

from modelvault.signature.sources import CATEGORIES, Said, field
from modelvault.signature.sources.values import described as of_values

__all__ = ["described"]

_NAMES = {
    "Boolean": "bool",
    "String": "string",
    "Categorical": "string",
    "Enum": "string",
    "Binary": "bytes",
    "Date": "date32",
}
_NAMES |= {"Time": "time64[ns]", "Object": "object"}
_UNITED = {"Datetime": "timestamp", "Duration": "duration"}


def described(data: Any, *, given: bool = False) -> Said:
    """The columns, by name; of a lazy frame what its schema tells."""
    if hasattr(data, "collect_schema") and not hasattr(data, "get_columns"):
        fields = tuple(_field(name, dtype, nullable=True)[0] for name, dtype in data.collect_schema().items())
        return Said(fields, unknown=("missing values: a lazy frame does not tell, so all may be missing",))
    if not hasattr(data, "get_columns"):
        return _all([_column(data)]) if hasattr(data, "dtype") else of_values(data, given=given)
    return _all([_column(column) for column in data.get_columns()])


def _all(found: list[tuple[Any, tuple[str, ...]]]) -> Said:
    return Said(tuple(one for one, _ in found), unknown=tuple(text for _, texts in found for text in texts))


def _column(column: Any) -> tuple[Any, tuple[str, ...]]:
    missing = column.null_count() > 0 or (column.dtype.is_float() and bool(column.is_nan().any()))
    return _field(column.name, column.dtype, nullable=missing)


def _field(name: str, dtype: Any, *, nullable: bool) -> tuple[Any, tuple[str, ...]]:
    shape: list[int | None] = [None]
    if type(dtype).__name__ == "Array":
        shape += dtype.shape
        while type(dtype).__name__ == "Array":
            dtype = dtype.inner
    members: dict[str, Any] = {"dtype": _name(dtype), "shape": tuple(shape), "nullable": nullable}
    unknown: tuple[str, ...] = ()
    match type(dtype).__name__:
        case "Enum" if len(dtype.categories) <= CATEGORIES:
            members["categories"] = tuple(dtype.categories)
        case "Enum":
            unknown = (f"{name}: categories: too many to record",)
        case "Categorical":
            unknown = (f"{name}: categories: those of a Categorical are not fixed; an Enum's are",)
        case "Null":
            members["dtype"], unknown = None, (f"{name}: type: there is no value",)
    return field(name, **members), unknown


def _name(dtype: Any) -> str:
    kind = type(dtype).__name__
    if kind in _UNITED:
        zone = getattr(dtype, "time_zone", None)
        return f"{_UNITED[kind]}[{dtype.time_unit}{f', {zone}' if zone else ''}]"
    if kind == "List":
        return f"list<{_name(dtype.inner)}>"
    if kind == "Struct":
        return f"struct<{', '.join(f'{one.name}: {_name(one.dtype)}' for one in dtype.fields)}>"
    if kind == "Decimal":
        return f"decimal128({dtype.precision}, {dtype.scale})"
    return _NAMES.get(kind, kind.lower())
