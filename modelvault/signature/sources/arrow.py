"""Tables, arrays and schemas of pyarrow."""

from __future__ import annotations

from typing import Any

from modelvault.signature.sources import CATEGORIES, Said, field
from modelvault.signature.sources.values import described as of_values

__all__ = ["described", "typed"]

_NAMES = {
    "halffloat": "float16",
    "float": "float32",
    "double": "float64",
    "large_string": "string",
    "string_view": "string",
    "binary": "bytes",
    "large_binary": "bytes",
    "binary_view": "bytes",
    "date32[day]": "date32",
    "date64[ms]": "date64",
}


def described(data: Any, *, given: bool = False) -> Said:
    """The columns, by name; of an array, one field."""
    schema = getattr(data, "schema", data if hasattr(data, "metadata") and hasattr(data, "names") else None)
    if schema is None:
        if not hasattr(data, "type") or not hasattr(data, "null_count"):
            return of_values(data.as_py() if hasattr(data, "as_py") else data, given=given)
        return _column("", data.type, bool(data.null_count), data)
    columns = [None] * len(schema) if schema is data else data.columns
    parts = [
        _column(one.name, one.type, one.nullable if column is None else bool(column.null_count), column)
        for one, column in zip(schema, columns, strict=True)
    ]
    names, unknown = list(schema.names), [one for part in parts for one in part.unknown]
    twice = len(set(names)) != len(names)
    if twice:
        unknown.append("names: two columns have one, so they are known by position")
    fields = tuple(one for part in parts for one in part.fields or ())
    return Said(fields, "position" if twice else "name", unknown=tuple(unknown))


def typed(kind: Any) -> dict[str, Any]:
    """`dtype` and `shape` of a column of this type."""
    shape: list[int | None] = [None]
    while hasattr(kind, "list_size"):
        shape.append(kind.list_size)
        kind = kind.value_type
    if hasattr(kind, "index_type"):  # a dictionary
        kind = kind.value_type
    text = str(kind)
    text = text.replace(", tz=", ", ").replace("list<item: ", "list<")
    return {"dtype": _NAMES.get(text, text), "shape": tuple(shape)}


def _column(name: str, kind: Any, missing: bool, column: Any) -> Said:  # noqa: FBT001 - it is the word
    members, unknown = typed(kind), tuple[str, ...]()
    if hasattr(kind, "index_type"):
        found = _dictionary(column)
        if found is None or len(found) > CATEGORIES:
            unknown = (f"{name}: categories: {'a schema does not tell' if found is None else 'too many to record'}",)
        else:
            members["categories"] = tuple(found)
    return Said((field(name, nullable=missing, **members),), unknown=unknown)


def _dictionary(column: Any) -> list[Any] | None:
    if column is None:
        return None
    found: dict[Any, None] = {}
    for chunk in getattr(column, "chunks", [column]):
        found |= dict.fromkeys(chunk.dictionary.to_pylist())
    found.pop(None, None)
    return list(found)
