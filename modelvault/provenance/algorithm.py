"""What was trained, as far as it says so itself: nothing of it is called but ``get_params``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from modelvault.canonical import Json, canonical, plain
from modelvault.provenance.hiding import hidden
from modelvault.wire import TEXT_LIMIT, Algorithm, record

__all__ = ["algorithm"]

_DEPTH = 8
"""Estimators within estimators; a record has no room for more."""
_LIMIT = 16 * 1024
"""Bytes of parameters: of an algorithm that has more, only the name is recorded."""
_DATA = {"builtins", "collections", "pathlib", "numpy", "pandas.core.frame", "polars.dataframe.frame"}
"""Modules of what was not trained."""


def algorithm(obj: object) -> Algorithm | None:
    """The class of `obj`, and the parameters of the algorithm; None of plain data, and where it cannot be said."""
    if type(obj).__module__ in _DATA:
        return None
    try:
        params = hidden(_params(obj))
        if len(canonical(params)) > _LIMIT:
            params = {}
        layers = hidden(_layers(obj)[:TEXT_LIMIT])
        return record(Algorithm, name=_name(type(obj)), params=params, layers=layers)
    except Exception:  # the object's own code: that a model tells nothing of itself is no reason not to publish it
        return None


def _params(obj: Any) -> dict[str, Json]:
    if _is(obj, "xgboost.core", "Booster"):
        return dict(json.loads(obj.save_config()))
    if _is(obj, "lightgbm.basic", "Booster"):
        return _members(obj.params, 0)
    return _members(obj.get_params(deep=False), 0) if _has_params(obj) else {}


def _members(params: Mapping[str, Any], depth: int) -> dict[str, Json]:
    return {str(name): _said(value, depth + 1) for name, value in params.items()}


def _said(value: Any, depth: int) -> Json:
    """`value` as JSON, an estimator as the tree of what it is made of."""
    if _has_params(value) and depth < _DEPTH:
        return {"class": _name(type(value)), "params": _members(value.get_params(deep=False), depth)}
    if isinstance(value, list | tuple):
        return [_said(each, depth + 1) for each in value] if depth < _DEPTH else plain(value)
    if isinstance(value, Mapping):
        return _members(value, depth) if depth < _DEPTH else plain(value)
    return _name(value) if callable(value) and hasattr(value, "__qualname__") else plain(value)


def _has_params(value: Any) -> bool:
    return not isinstance(value, type) and callable(getattr(value, "get_params", None))


def _layers(obj: object) -> str:
    return repr(obj) if _is(obj, "torch.nn.modules.module", "Module") else ""


def _is(obj: object, module: str, name: str) -> bool:
    return any((one.__module__, one.__name__) == (module, name) for one in type(obj).__mro__)


def _name(kind: Any) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
