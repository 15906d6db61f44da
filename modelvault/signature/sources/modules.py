"""Modules of torch: a graph that was exported tells all, others the names of what they take."""

from __future__ import annotations

import inspect
from typing import Any

from modelvault.errors import shown
from modelvault.signature.sources import Said, field, nothing
from modelvault.signature.sources.tensors import dtype_name
from modelvault.wire import FieldRecord

__all__ = ["about"]


def about(obj: Any) -> tuple[Said, Said]:
    """Inputs and outputs, by position."""
    if hasattr(obj, "graph_signature"):
        return _exported(obj)
    if not hasattr(obj, "forward"):
        return nothing(f"a {shown(type(obj).__qualname__)} does not tell")
    try:
        taken = inspect.signature(obj.forward).parameters.values()
    except (ValueError, TypeError):
        return nothing("its forward does not tell")
    if any(one.kind in {one.VAR_POSITIONAL, one.VAR_KEYWORD} for one in taken):
        return nothing("its forward takes any number of arguments")
    fields = tuple(field(one.name, required=one.default is one.empty) for one in taken)
    unknown = ("inputs: types and shapes, which a module does not tell",)
    return Said(fields, "position", "forbid", unknown), Said(unknown=("outputs: a module does not tell",))


def _exported(obj: Any) -> tuple[Said, Said]:
    said = obj.graph_signature
    values = {node.name: node.meta.get("val") for node in obj.graph.nodes}
    sides = []
    for names in (said.user_inputs, said.user_outputs):
        fields = tuple(_tensor(str(name), values.get(name)) for name in names)
        unknown = tuple(f"{one.name}: type and shape" for one in fields if one.dtype is None)
        sides.append(Said(fields, "position", "forbid", unknown))
    return sides[0], sides[1]


def _tensor(name: str, value: Any) -> FieldRecord:
    if not hasattr(value, "dtype"):
        return field(name)
    return field(
        name, dtype=dtype_name(value.dtype), shape=tuple(one if type(one) is int else None for one in value.shape)
    )
