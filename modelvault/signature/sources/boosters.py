"""Boosters of xgboost.  Its estimators follow the rules of scikit-learn."""

from __future__ import annotations

from typing import Any

from modelvault.signature.sources import Said, estimators, field

__all__ = ["about"]

_TYPES = {"int": "int64", "i": "bool"}


def about(obj: Any) -> tuple[Said, Said]:
    """Names and number of its inputs, which may all be missing."""
    if not hasattr(obj, "num_features"):
        return estimators.about(obj)
    names, types = obj.feature_names, obj.feature_types
    outputs = Said(unknown=("outputs: a booster does not tell",))
    if not names:
        return Said(
            (field("", shape=(None, obj.num_features()), nullable=True),), "position", unknown=("inputs: their type",)
        ), outputs
    fields = tuple(
        field(name, dtype=_TYPES.get(kind), shape=(None,), nullable=True)
        for name, kind in zip(names, types or [""] * len(names), strict=True)
    )
    unknown = tuple(f"{one.name}: type" for one in fields if one.dtype is None)
    return Said(fields, "position", "forbid", unknown), outputs
