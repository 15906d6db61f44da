"""Estimators of scikit-learn, and of packages that follow its rules."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from modelvault.errors import shown
from modelvault.signature.sources import CATEGORIES, Said, field, nothing, scalar_type
from modelvault.signature.sources.arrays import dtype_name

__all__ = ["about", "classes", "refined"]


def about(obj: Any) -> tuple[Said, Said]:
    """Names and number of its inputs, its classes; never the types of its inputs."""
    if not hasattr(obj, "__sklearn_tags__"):
        return nothing(f"a {shown(type(obj).__qualname__)} does not tell")
    count, names = _told(obj, "n_features_in_"), _told(obj, "feature_names_in_")
    if count is None:
        inputs = Said(unknown=("inputs: the estimator does not tell; it may not be fitted",))
    elif names is None:
        inputs = Said((field("", shape=(None, int(count))),), "position", unknown=("inputs: their type",))
    else:
        fields = tuple(field(name, shape=(None,)) for name in names)
        inputs = refined(Said(fields, unknown=("inputs: their types",)), obj)
    return _nullable(inputs, obj, whole=True), _outputs(obj)


def refined(inputs: Said, obj: Any) -> Said:
    """`inputs`, as an example shows them, with what the estimator itself knows better."""
    if not hasattr(obj, "__sklearn_tags__"):
        return inputs
    if inputs.by == "name" and _told(obj, "feature_names_in_") is not None and not _picks_columns(obj):
        inputs = replace(inputs, by="position", extra="forbid")
    return _nullable(inputs, obj, whole=False)


def classes(obj: Any) -> tuple[Any, ...] | None:
    """The classes of a classifier, in the order of its probabilities; None if it has none, or more than one set."""
    found = _told(obj, "classes_")
    if found is None or getattr(found, "ndim", 0) != 1 or len(found) > CATEGORIES:
        return None
    values = tuple(found.tolist())
    plain = {"bool", "int64", "float64", "string"}
    return values if all(scalar_type(type(one)) in plain for one in values) else None


def _outputs(obj: Any) -> Said:
    found = classes(obj)
    if found is not None and hasattr(obj, "predict"):
        fields = [field("predict", dtype=dtype_name(_told(obj, "classes_").dtype), shape=(None,), categories=found)]
        if hasattr(obj, "predict_proba"):
            fields.append(field("predict_proba", shape=(None, len(found)), categories=found))
        return Said(tuple(fields), unknown=("outputs: the type of probabilities",) if len(fields) > 1 else ())
    return Said(unknown=("outputs: the estimator does not tell",))


def _nullable(inputs: Said, obj: Any, *, whole: bool) -> Said:
    """Fractions may be missing where the estimator says so; `whole`: types are not known, and none may where it does not."""
    takes = _takes_missing(obj)
    if takes is None or inputs.fields is None:
        return inputs
    fields = tuple(
        one.model_copy(update={"nullable": one.nullable or takes})
        if whole or (one.dtype or "").startswith("float")
        else one
        for one in inputs.fields
    )
    return replace(inputs, fields=fields)


def _takes_missing(obj: Any) -> bool | None:
    try:
        return bool(obj.__sklearn_tags__().input_tags.allow_nan)
    except Exception:  # the estimator's own code, or an older release
        return None


def _picks_columns(obj: Any) -> bool:
    """It takes its columns by their names, in any order, among others: a ColumnTransformer stands first."""
    steps = getattr(obj, "steps", None)
    first = steps[0][1] if steps else obj
    return type(first).__name__ == "ColumnTransformer"


def _told(obj: Any, name: str) -> Any:
    try:
        return getattr(obj, name, None)
    except Exception:  # a property of the estimator's, which may raise anything
        return None
