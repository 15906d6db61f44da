"""Examples and the outputs on them, as JSON that runs nothing when it is read.

    {"inputs": node, "outputs": {method: node}}

A node is null, a boolean, an integer, a finite float or a text as it is; a list of nodes; or an object with one member that
names its kind: see `docs/spec/v1.md`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from modelvault.canonical import Frozen, canonical
from modelvault.errors import Code, Corrupt, VaultError, shown
from modelvault.paths import OURS
from modelvault.signature.nodes import NotStorable, alike, decoded, encoded

__all__ = ["LIMIT", "PATH", "ROWS", "Example", "differing", "read", "rows", "sample", "stored"]

PATH: Final = f"{OURS}/example.json"
LIMIT: Final = 1024 * 1024
"""Bytes of the file, which holds inputs and outputs."""
ROWS: Final = 64
"""That are kept at most."""


class Example(NamedTuple):
    """Inputs as they were given, and what each method of the model answered, as nodes."""

    inputs: Any
    outputs: Mapping[str, Any]

    @classmethod
    def of(cls, raw: bytes) -> Example:
        """What a file holds; ValueError and others if it holds none."""
        found = json.loads(raw, object_hook=Frozen)
        return cls(decoded(found["inputs"]), found["outputs"])


def sample(data: Any, most: int = ROWS) -> Any:
    """At most so many rows of `data`, evenly spread: what is sorted by class keeps all classes."""
    count = rows(data)
    if count is None or count <= most:
        return data
    picked = [at * count // most for at in range(most)]
    if isinstance(data, Mapping):
        return {name: _taken(value, picked) for name, value in data.items()}
    if isinstance(data, tuple):
        return tuple(_taken(value, picked) for value in data)
    return _taken(data, picked)


def rows(data: Any) -> int | None:
    """How many rows there are; None where that is no number, or not that of all parts."""
    if isinstance(data, Mapping) or (isinstance(data, tuple) and data and all(hasattr(one, "shape") for one in data)):
        counts = {rows(value) for value in (data.values() if isinstance(data, Mapping) else data)}
        return counts.pop() if len(counts) == 1 else None
    shape = getattr(data, "shape", None)
    if shape is not None and not callable(shape):
        return int(shape[0]) if len(shape) else None
    return len(data) if isinstance(data, list) or hasattr(data, "to_pylist") else None


def _taken(data: Any, picked: Sequence[int]) -> Any:
    if hasattr(data, "iloc"):
        return data.iloc[picked]
    if isinstance(data, list):
        return [data[at] for at in picked]
    return data.take(picked) if hasattr(data, "to_pylist") else data[list(picked)]


def stored(inputs: Any, outputs: Mapping[str, Any]) -> bytes:
    """The bytes of the file.

    Raises:
        NotStorable: something is of a type that is not stored; with words.
    """
    body = {"inputs": encoded(inputs), "outputs": {name: encoded(value) for name, value in outputs.items()}}
    try:
        return canonical(body)
    except VaultError as error:
        raise NotStorable(error.message) from error


def read(raw: bytes, ref: str) -> Example:
    """The example in a file.

    Raises:
        Corrupt: `bad-record`, it holds none.
        Unsupported: `extra-missing`, a package that it needs is not installed.
    """
    try:
        return Example.of(raw)
    except VaultError:
        raise
    except Exception as error:  # nobody knows what packages raise for hostile values
        raise Corrupt(f"the example of {ref} cannot be read: {shown(error)}", code=Code.BAD_RECORD, ref=ref) from error


def differing(recorded: Mapping[str, Any], outputs: Mapping[str, Any]) -> tuple[str, ...]:
    """Those of the `recorded` outputs, nodes by method, that `outputs`, values by method, have not or have otherwise.

    Numbers are equal if they differ by less than 1e-8, or by 1e-5 of the one recorded; all else if it is the same.
    """
    return tuple(
        name for name, node in recorded.items() if name not in outputs or not alike(node, encoded(outputs[name]))
    )
