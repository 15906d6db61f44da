"""What a model answers to an example: its usual methods, called as its users call them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from modelvault.errors import shown
from modelvault.signature.sources import whose

__all__ = ["Answers", "answers"]


class Answers(NamedTuple):
    """What each method gave, and in words which failed."""

    given: dict[str, Any]
    faults: tuple[str, ...]


def answers(model: object, example: object) -> Answers:
    """``predict`` and ``predict_proba``, else ``transform``, else the model itself, called with the example.

    A module of torch is called in evaluation mode and without gradients, with the members of a tuple or dict as arguments.
    """
    given, faults = dict[str, Any](), list[str]()
    for name, method in _methods(model):
        try:
            given[name] = method(example)
        except Exception as error:  # the model's own code
            faults.append(f"{name}: it failed on the example: {shown(type(error).__name__)}: {shown(error)}")
    return Answers(
        given, tuple(faults) or (() if given else (f"outputs: what is of the type {_kind(model)} cannot be called",))
    )


def _kind(model: object) -> str:
    return shown(type(model).__qualname__)


def _methods(model: Any) -> Iterator[tuple[str, Callable[[Any], Any]]]:
    if "torch" in whose(model):
        if callable(model):
            yield "__call__", lambda example: _module(model, example)
        return
    if isinstance(model, type):
        return
    for names in (("predict", "predict_proba"), ("transform",), ("inplace_predict",), ("__call__",)):
        found = [(name, method) for name in names if callable(method := _member(model, name))]
        if names == ("predict", "predict_proba") and _member(model, "inplace_predict"):
            continue  # a booster's predict takes matrices of its own
        if found:
            yield from found
            return


def _member(model: Any, name: str) -> Any:
    try:
        return getattr(model, name, None)
    except Exception:  # a property of the model's
        return None


def _module(module: Any, example: Any) -> Any:
    torch = sys.modules["torch"]
    with torch.no_grad(), _evaluating(module):
        if isinstance(example, tuple | list):
            return module(*example)
        return module(**example) if isinstance(example, dict) else module(example)


@contextlib.contextmanager
def _evaluating(module: Any) -> Iterator[None]:
    """In evaluation mode, each part of it, and afterwards as before."""
    parts = [part for part in module.modules() if part.training] if hasattr(module, "modules") else []
    for part in parts:
        part.training = False
    try:
        yield
    finally:
        for part in parts:
            part.training = True
