"""Models of pydantic: a field for each of theirs, those of models within them with a dot.

They describe a row, which may be given alone or with others: so a single value has any shape.
"""

from __future__ import annotations

import enum
import types
import typing
from typing import Any

from modelvault.signature.sources import Said, field, scalar_type
from modelvault.signature.sources.values import of_objects

__all__ = ["described", "is_schema"]

_LISTS = {list, tuple, set, frozenset}


def is_schema(obj: object) -> bool:
    """It is a class of pydantic's."""
    return isinstance(obj, type) and hasattr(obj, "model_fields") and hasattr(obj, "model_json_schema")


def described(schema: Any) -> Said:
    """The fields, by the names that callers use."""
    fields, unknown = list[Any](), list[str]()
    _add("", schema, (), fields, unknown)
    extra: typing.Literal["ignore", "forbid"] = "forbid" if schema.model_config.get("extra") == "forbid" else "ignore"
    return Said(tuple(fields), "name", extra, tuple(unknown))


def _add(path: str, schema: Any, within: tuple[Any, ...], fields: list[Any], unknown: list[str], **all: Any) -> None:
    """The fields of a model that stands at `path`, within others; `all` is said of each of them."""
    for name, info in schema.model_fields.items():
        place = f"{path}{info.alias or name}"
        kind, nullable = _not_none(info.annotation)
        limits = list(info.metadata)
        while typing.get_origin(kind) is typing.Annotated:
            kind, *more = typing.get_args(kind)
            limits += more
        said = {"required": info.is_required()} | all
        if is_schema(kind) and kind not in (*within, schema):
            optional = {} if said["required"] and not nullable else {"required": False}
            _add(f"{place}.", kind, (*within, schema), fields, unknown, **optional)
            continue
        shape: tuple[int | None, ...] = ()
        while typing.get_origin(kind) in _LISTS or kind in _LISTS:
            kind, shape = (typing.get_args(kind) or (None,))[0], (*shape, None)
        members = _typed(kind)
        if members.get("dtype") is None:
            unknown.append(f"{place}: type: {kind}")
        fields.append(field(place, shape=shape or None, nullable=nullable, **said, **members, **_range(limits)))


def _not_none(kind: Any) -> tuple[Any, bool]:
    """``X | None`` is X that may be missing."""
    if typing.get_origin(kind) not in {typing.Union, types.UnionType}:
        return kind, False
    others = [one for one in typing.get_args(kind) if one is not type(None)]
    missing = len(others) != len(typing.get_args(kind))
    return (others[0] if len(others) == 1 else typing.Union[tuple(others)]), missing  # noqa: UP007 - made at run time


def _typed(kind: Any) -> dict[str, Any]:
    if typing.get_origin(kind) is typing.Literal:
        values: Any = typing.get_args(kind)
    elif isinstance(kind, type) and issubclass(kind, enum.Enum):
        values = tuple(one.value for one in kind)
    else:
        return {"dtype": scalar_type(kind) if isinstance(kind, type) else None}
    if all(scalar_type(type(one)) in {"bool", "int64", "float64", "string"} for one in values):
        return {"dtype": of_objects(values)[0], "categories": tuple(values)}
    return {"dtype": None}


def _range(limits: Any) -> dict[str, Any]:
    """From ``ge``, ``gt``, ``le`` and ``lt``."""
    ends = {"ge": "low", "gt": "low", "le": "high", "lt": "high"}
    told = {end: getattr(limit, name) for limit in limits for name, end in ends.items() if hasattr(limit, name)}
    return {end: value for end, value in told.items() if type(value) in {int, float}}
