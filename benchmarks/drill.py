"""Drills of models of three sizes in a local vault, with all faults: prints what each step took.

    python -m benchmarks.drill [--only small] [--gib 1]

The large model is an array in a pickle; the forest needs scikit-learn.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import modelvault
from benchmarks import machine


class Linear:
    """A model that is a number, and an array that it carries along."""

    def __init__(self, slope: float, weights: object = None) -> None:
        self.slope = slope
        self.weights = weights

    def predict(self, rows: Any) -> list[float]:
        return [self.slope * row[0] for row in rows]


def small(_: float) -> Iterator[tuple[Any, Any]]:
    yield from ((Linear(slope), [[1.0], [2.0]]) for slope in (1.0, 2.0))


def forest(_: float) -> Iterator[tuple[Any, Any]]:
    from sklearn.datasets import make_classification
    from sklearn.ensemble import RandomForestClassifier

    x, y = make_classification(2_000, random_state=0)
    for trees in (50, 60):
        yield RandomForestClassifier(trees, random_state=0).fit(x, y), x[:16]


def large(gib: float) -> Iterator[tuple[Any, Any]]:
    import numpy as np

    for seed in (1, 2):
        values = np.random.default_rng(seed).integers(0, 2**63, int(gib * 2**30) // 8, np.int64)
        yield Linear(float(seed), values), [[1.0], [2.0]]


KINDS: dict[str, Callable[[float], Iterator[tuple[Any, Any]]]] = {"small": small, "forest": forest, "large": large}


def drilled(kind: str, gib: float, folder: Path) -> modelvault.DrillReport:
    vault = modelvault.open(folder / "vault", cache=folder / "cache")
    for model, example in KINDS[kind](gib):
        version = vault.publish("model", model, bump="minor", example=example)
        vault.promote("model@prod", version, reason="benchmark")
        print(f"{version.ref}: {version.size:,} bytes", file=sys.stderr)
    return vault.drill("model@prod")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=KINDS, action="append")
    parser.add_argument("--gib", type=float, default=1.0)
    given = parser.parse_args()
    said = machine.described(Path(tempfile.gettempdir()), machine.load())
    print("\n".join(f"{name}: {value}" for name, value in said))
    for kind in given.only or KINDS:
        with tempfile.TemporaryDirectory() as folder:
            print(f"\n{kind}: {drilled(kind, given.gib, Path(folder))}")
    print(f"\npeak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB")


if __name__ == "__main__":
    main()
