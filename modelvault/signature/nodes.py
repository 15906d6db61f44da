"""Values as nodes of JSON, and back: scalars, lists, dicts, arrays, frames, tensors.

The packages that values are of are imported when nodes of theirs are read, and not before.
"""

from __future__ import annotations

import base64
import datetime as dt
import math
import re
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final

from modelvault.errors import Code, Unsupported, shown
from modelvault.signature.sources import whose

__all__ = ["ABSOLUTE", "RELATIVE", "NotStorable", "alike", "decoded", "encoded"]

RELATIVE, ABSOLUTE = 1e-5, 1e-8
"""Numbers that differ by less are the same: of the one recorded, and at all."""
_DTYPE: Final = re.compile(r"[<|][biufc]\d{1,2}|<[Mm]8(\[\d{0,5}[A-Za-z]{1,3}\])?", re.ASCII)
_TIMES: Final[dict[str, Any]] = {"datetime": dt.datetime, "date": dt.date, "time": dt.time}


class NotStorable(ValueError):
    """A value has no node."""


def encoded(value: Any) -> Any:
    """The node of a value.

    Raises:
        NotStorable: there is none for its type.
    """
    if value is None or type(value) in {bool, int, str}:
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if type(value) is list:
        return [encoded(one) for one in value]
    if type(value) is tuple:
        return {"tuple": [encoded(one) for one in value]}
    if isinstance(value, Mapping):
        return {"dict": [[encoded(name), encoded(one)] for name, one in value.items()]}
    if type(value) is bytes:
        return {"bytes": base64.b64encode(value).decode()}
    for name, kind in _TIMES.items():
        if type(value) is kind:
            return {name: value.isoformat()}
    return _of_package(value)


def _of_package(value: Any) -> Any:
    for package in whose(value):
        if package in _ENCODERS:
            return _ENCODERS[package](value)
    raise _not_storable(value)


def _not_storable(value: Any, what: str = "") -> NotStorable:
    return NotStorable(f"{what or 'values'} of the type {shown(type(value).__qualname__)} are not stored")


def _array(value: Any) -> Any:
    """The bytes of an array, little-endian; of text and objects the items."""
    import numpy as np

    found = np.asarray(value)
    if found.dtype.kind in "OUT":
        flat = [one.item() if isinstance(one, np.generic) else one for one in found.ravel().tolist()]
        return {
            "items": {"dtype": found.dtype.kind, "shape": list(found.shape), "items": [encoded(one) for one in flat]}
        }
    plain = found.astype(found.dtype.newbyteorder("<"), copy=False) if found.dtype.byteorder == ">" else found
    if not _DTYPE.fullmatch(plain.dtype.str):
        raise NotStorable(f"arrays of the type {shown(found.dtype)} are not stored")
    data = base64.b64encode(plain.tobytes()).decode()
    return {"array": {"dtype": plain.dtype.str, "shape": list(found.shape), "data": data}}


def _pandas(value: Any) -> Any:
    if not hasattr(value, "columns"):
        if not hasattr(value, "iloc"):
            raise _not_storable(value)
        return {"series": {"name": encoded(value.name), "column": _pandas_column(value)}}
    columns = [[encoded(name), _pandas_column(value.iloc[:, at])] for at, name in enumerate(value.columns)]
    return {"pandas": {"columns": columns}}


def _pandas_column(column: Any) -> Any:
    kind = type(column.dtype).__name__
    if kind == "CategoricalDtype":
        codes, dtype = column.cat.codes.to_numpy(), column.dtype
        return {
            "codes": _array(codes),
            "categories": encoded(dtype.categories.tolist()),
            "ordered": bool(dtype.ordered),
        }
    if type(column.dtype).__module__.partition(".")[0] == "numpy":
        return _array(column.to_numpy())
    if kind == "DatetimeTZDtype":
        return {"times": _array(column.dt.tz_convert(None).to_numpy()), "zone": str(column.dtype.tz)}
    missing = column.isna().tolist()
    items = [None if gone else encoded(_plain(one)) for one, gone in zip(column.tolist(), missing, strict=True)]
    return {"of": str(column.dtype), "items": items}


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _polars(value: Any) -> Any:
    if not hasattr(value, "get_columns"):
        if not hasattr(value, "to_list"):
            raise _not_storable(value)
        return {"polars": {"series": _polars_column(value)}}
    return {"polars": {"columns": [_polars_column(column) for column in value.get_columns()]}}


def _polars_column(column: Any) -> Any:
    kind = type(column.dtype).__name__
    if kind not in _POLARS:
        raise NotStorable(f"columns of the type {shown(column.dtype)} are not stored")
    of = column.dtype.categories.to_list() if kind == "Enum" else getattr(column.dtype, "time_unit", None)
    zone = getattr(column.dtype, "time_zone", None)
    items = column.to_physical().to_list() if kind in _PHYSICAL else column.to_list()
    return {"name": column.name, "kind": kind, "of": of, "zone": zone, "items": [encoded(one) for one in items]}


_PHYSICAL: Final = {"Date", "Time", "Datetime", "Duration"}
_POLARS: Final = {
    "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float32", "Float64", "Boolean", "String", "Binary",
    "Categorical", "Enum", *_PHYSICAL,
}  # fmt: skip


def _arrow(value: Any) -> Any:
    pa = _package("pyarrow")
    if not hasattr(value, "schema"):
        raise _not_storable(value)
    columns = []
    for one, column in zip(value.schema, value.columns, strict=True):
        indexed = hasattr(one.type, "index_type")
        kind = str(one.type.value_type if indexed else one.type)
        try:
            pa.type_for_alias(kind)
        except ValueError:
            raise NotStorable(f"columns of the type {shown(kind)} are not stored") from None
        items = [encoded(item) for item in column.to_pylist()]
        columns.append({"name": one.name, "kind": kind, "indexed": indexed, "items": items})
    return {"arrow": {"kind": type(value).__name__, "columns": columns}}


def _torch(value: Any) -> Any:
    torch = _package("torch")
    if not isinstance(value, torch.Tensor):
        raise _not_storable(value)
    found = value.detach().cpu().contiguous()
    if found.dtype is torch.bfloat16:
        return {"bfloat16": _array(found.view(torch.int16).numpy())}
    return {"torch": _array(found.numpy())}


_ENCODERS: Final[dict[str, Callable[[Any], Any]]] = {
    "numpy": _array,
    "pandas": _pandas,
    "polars": _polars,
    "pyarrow": _arrow,
    "torch": _torch,
}


# --- back ----------------------------------------------------------------------------------------------------------


def decoded(node: Any) -> Any:
    """The value of a node; ValueError, or what a package raises, if it is none.

    Raises:
        Unsupported: `extra-missing`, the package that it is of is not installed.
    """
    if isinstance(node, list):
        return [decoded(one) for one in node]
    if not isinstance(node, dict):
        return node
    [(kind, body)] = node.items()
    return _DECODERS[kind](body)


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise Unsupported(
            f"the recorded example is of {name}, which is not installed",
            code=Code.EXTRA_MISSING,
            hint=f"pip install {name}",
        ) from error


def _as_array(body: Any) -> Any:
    np = _package("numpy")
    if not _DTYPE.fullmatch(body["dtype"]):
        raise ValueError("no dtype")
    return np.frombuffer(base64.b64decode(body["data"], validate=True), body["dtype"]).reshape(body["shape"]).copy()


def _as_items(body: Any) -> Any:
    np = _package("numpy")
    items = [decoded(one) for one in body["items"]]
    if body["dtype"] == "U":
        return np.array(items, dtype=str).reshape(body["shape"])
    found = np.empty(len(items), dtype=object)
    for at, item in enumerate(items):
        found[at] = item
    return found.reshape(body["shape"])


def _as_pandas(body: Any) -> Any:
    pd = _package("pandas")
    columns = [decoded(name) for name, _ in body["columns"]]
    frame = pd.DataFrame({at: _as_column(pd, node) for at, (_, node) in enumerate(body["columns"])})
    frame.columns = columns
    return frame


def _as_column(pd: Any, node: Any) -> Any:
    if "codes" in node:
        return pd.Categorical.from_codes(decoded(node["codes"]), decoded(node["categories"]), node["ordered"])
    if "times" in node:
        return pd.Series(decoded(node["times"])).dt.tz_localize("UTC").dt.tz_convert(node["zone"])
    if "of" in node:
        return pd.array([decoded(one) for one in node["items"]], dtype=node["of"])
    return decoded(node)


def _as_series(body: Any) -> Any:
    pd = _package("pandas")
    return pd.Series(_as_column(pd, body["column"]), name=decoded(body["name"]))


def _as_polars(body: Any) -> Any:
    pl = _package("polars")
    if "series" in body:
        return _polars_series(pl, body["series"])
    return pl.DataFrame([_polars_series(pl, one) for one in body["columns"]])


def _polars_series(pl: Any, node: Any) -> Any:
    if node["kind"] not in _POLARS:
        raise ValueError("no type of a column")
    dtype = getattr(pl, node["kind"])
    match node["kind"]:
        case "Enum":
            dtype = dtype(node["of"])
        case "Datetime":
            dtype = dtype(node["of"], node["zone"])
        case "Duration":
            dtype = dtype(node["of"])
    items = [decoded(one) for one in node["items"]]
    if node["kind"] not in _PHYSICAL:
        return pl.Series(node["name"], items, dtype=dtype)
    return pl.Series(node["name"], items, dtype=pl.Int32 if node["kind"] == "Date" else pl.Int64).cast(dtype)


def _as_arrow(body: Any) -> Any:
    pa = _package("pyarrow")
    arrays = [
        pa.array([decoded(one) for one in each["items"]], pa.type_for_alias(each["kind"])) for each in body["columns"]
    ]
    indexed = [
        array.dictionary_encode() if each["indexed"] else array
        for array, each in zip(arrays, body["columns"], strict=True)
    ]
    made = pa.RecordBatch if body["kind"] == "RecordBatch" else pa.Table
    return made.from_arrays(indexed, names=[each["name"] for each in body["columns"]])


def _as_tensor(body: Any) -> Any:
    return _package("torch").from_numpy(decoded(body))


def _as_bfloat16(body: Any) -> Any:
    torch = _package("torch")
    return torch.from_numpy(decoded(body)).view(torch.bfloat16)


_DECODERS: Final[dict[str, Callable[[Any], Any]]] = {
    "float": float,
    "tuple": lambda items: tuple(decoded(one) for one in items),
    "dict": lambda pairs: {decoded(name): decoded(one) for name, one in pairs},
    "bytes": lambda text: base64.b64decode(text, validate=True),
    "datetime": dt.datetime.fromisoformat,
    "date": dt.date.fromisoformat,
    "time": dt.time.fromisoformat,
    "array": _as_array,
    "items": _as_items,
    "pandas": _as_pandas,
    "series": _as_series,
    "polars": _as_polars,
    "arrow": _as_arrow,
    "torch": _as_tensor,
    "bfloat16": _as_bfloat16,
}


# --- compared ------------------------------------------------------------------------------------------------------


def alike(one: Any, other: Any) -> bool:
    """Two nodes hold the same, numbers up to a small difference."""
    if isinstance(one, dict) and isinstance(other, dict):
        if "array" in one and "array" in other:
            return _close(_as_array(one["array"]), _as_array(other["array"]))
        return one.keys() == other.keys() and all(alike(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, float) or isinstance(other, float):
        return (
            type(other) in {int, float}
            and type(one) in {int, float}
            and math.isclose(other, one, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
        )
    return type(one) is type(other) and bool(one == other)


def _close(one: Any, other: Any) -> bool:
    np = _package("numpy")
    if one.shape != other.shape or one.dtype.kind in "Mm" or other.dtype.kind in "Mm":
        return one.shape == other.shape and bool((one.astype("<i8") == other.astype("<i8")).all())
    return bool(np.isclose(other, one, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True).all())
