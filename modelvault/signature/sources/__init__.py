"""What data and models say of themselves: one small module for each kind, imported when such an object is met.

Which module that is follows from the package that the object's class comes from.  No package is imported for it.
"""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Final, Literal, cast

from modelvault.errors import shown
from modelvault.wire import FieldRecord, record

__all__ = ["CATEGORIES", "Said", "about", "described", "field", "scalar_type", "whose"]

CATEGORIES: Final = 1000
"""So many categories of a field are recorded; of more, it is said that there are more."""

_DATA: Final = {"numpy": "arrays", "pandas": "frames", "polars": "polars", "pyarrow": "arrow", "torch": "tensors"}
_MODELS: Final = {"sklearn": "estimators", "torch": "modules", "onnx": "graphs", "xgboost": "boosters"}


@dataclass(frozen=True, slots=True)
class Said:
    """What was found out: fields, None if not even those; how they are told apart; and in words what was not."""

    fields: tuple[FieldRecord, ...] | None = None
    by: Literal["name", "position"] = "name"
    extra: Literal["ignore", "forbid"] = "ignore"
    unknown: tuple[str, ...] = ()

    def named(self, name: str) -> Said:
        """The same as part of something larger, where it is called `name`."""
        fields = tuple(
            one.model_copy(update={"name": f"{name}.{one.name}" if one.name else name}) for one in self.fields or ()
        )
        return replace(self, fields=fields, unknown=tuple(f"{name}: {one}" for one in self.unknown))


def field(name: object, **members: Any) -> FieldRecord:
    """A field, of what was found; texts are cut to what a record can hold."""
    dtype = members.pop("dtype", None)
    return record(FieldRecord, name=_storable(name), dtype=None if dtype is None else _storable(dtype), **members)


def _storable(text: object) -> str:
    return str(text).encode("utf-8", "replace").decode()[:1000]


def whose(obj: object) -> Iterator[str]:
    """The packages that the class of `obj` and its bases come from, the nearest first."""
    yield from dict.fromkeys(kind.__module__.partition(".")[0] for kind in type(obj).__mro__)


def described(data: object, *, given: bool = False) -> Said:
    """The fields of `data`: an array, a frame, a table, a list, a dict, a value.

    `given`: what the data itself holds, not what its types could; that is what is validated.
    """
    try:
        return _described(data, given=given)
    except Exception as error:  # whatever the data's own code raises, and what no field can say
        return Said(unknown=(f"fields: {shown(type(error).__name__)}: {shown(error)}",))


def _described(data: object, *, given: bool) -> Said:
    for package in whose(data):
        if package in _DATA:
            module: Any = import_module(f"modelvault.signature.sources.{_DATA[package]}")
            return cast("Callable[..., Said]", module.described)(data, given=given)
    from modelvault.signature.sources.values import described as plain

    return plain(data, given=given)


def about(obj: object) -> tuple[Said, Said]:
    """What a model tells of its inputs and outputs, without being called."""
    for package in whose(obj):
        if package in _MODELS:
            module: Any = import_module(f"modelvault.signature.sources.{_MODELS[package]}")
            try:
                return cast("Callable[..., tuple[Said, Said]]", module.about)(obj)
            except Exception as error:  # the model's own code, or another release of its package
                return nothing(f"{shown(type(error).__name__)}: {shown(error)}")
    return nothing(f"a {shown(type(obj).__qualname__)} does not tell")


def nothing(why: str) -> tuple[Said, Said]:
    """Neither inputs nor outputs."""
    return Said(unknown=(f"inputs: {why}",)), Said(unknown=(f"outputs: {why}",))


_SCALARS: Final[dict[type, str]] = {
    bool: "bool",
    int: "int64",
    float: "float64",
    complex: "complex128",
    str: "string",
    bytes: "bytes",
    dt.datetime: "timestamp[us]",
    dt.date: "date32",
    dt.time: "time64[us]",
    dt.timedelta: "duration[us]",
    decimal.Decimal: "decimal",
}


def scalar_type(kind: type) -> str | None:
    """The dtype of values of a type of Python; None if there is none for it."""
    return next((_SCALARS[each] for each in kind.__mro__ if each in _SCALARS), None)
