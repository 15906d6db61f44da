"""From a model and an example to a signature."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from modelvault.errors import shown
from modelvault.signature.sources import Said, about, described, whose
from modelvault.wire import FieldRecord

__all__ = ["from_example", "from_model", "inputs_of", "outputs_of"]


def from_model(model: object) -> tuple[Said, Said]:
    """What a model tells by itself: an estimator, a module, a graph, a file of ONNX."""
    if isinstance(model, Path):
        return _of_path(model)
    return about(model)


def _of_path(path: Path) -> tuple[Said, Said]:
    from modelvault.signature.sources import nothing
    from modelvault.signature.sources.graphs import of_file

    try:
        found = [path] if path.is_file() else sorted(path.glob("*.onnx"))
        if len(found) == 1 and found[0].suffix == ".onnx":
            return of_file(found[0])
    except (OSError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
        return nothing(f"the file cannot be read: {shown(error)}")
    return nothing("these files do not tell")


def from_example(model: object, example: object, outputs: Mapping[str, object]) -> tuple[Said, Said]:
    """What the example shows, and what the model answered to it, with what the model itself knows better."""
    return inputs_of(model, example), outputs_of(model, outputs)


def inputs_of(model: object, example: object) -> Said:
    """The inputs that an example shows."""
    from modelvault.signature.sources import estimators

    return estimators.refined(described(example), model)


def outputs_of(model: object, outputs: Mapping[str, object]) -> Said:
    """The outputs that a model gave, by the names of its methods."""
    from modelvault.signature.sources import estimators

    parts = [_output(name, value) for name, value in outputs.items()]
    found = estimators.classes(model) if "sklearn" in _packages(model) else None
    fields = tuple(_with_classes(one, found) for one in chain.from_iterable(part.fields or () for part in parts))
    unknown = tuple(chain.from_iterable(part.unknown for part in parts))
    alone = len(parts) == 1 and parts[0].by == "position" and len(fields) > 1
    return Said(fields if parts else None, "position" if alone else "name", unknown=unknown)


def _packages(model: object) -> set[str]:
    return set(whose(model))


def _output(name: str, value: object) -> Said:
    said = described(value)
    if name != "__call__":
        return said.named(name)
    return said.named("output") if _nameless(said.fields or ()) else said


def _nameless(fields: Iterable[FieldRecord]) -> bool:
    return any(not one.name for one in fields)


def _with_classes(one: FieldRecord, classes: tuple[Any, ...] | None) -> FieldRecord:
    """The labels that there are, and the order of probabilities, which are silent in their types."""
    if classes is None or one.categories is not None or one.name not in {"predict", "predict_proba"}:
        return one
    if one.name == "predict_proba" and (one.shape is None or one.shape[-1:] != (len(classes),)):
        return one
    return one.model_copy(update={"categories": classes})
