"""Models that are small and real, and vaults that hold them.  Some of them misbehave when they are loaded."""

import os
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from modelvault.errors import Code, StoreError
from modelvault.stores import Store
from modelvault.stores.wrappers import Operation, Wrapper
from modelvault.vault import Vault

ROWS = np.random.default_rng(7).normal(size=(64, 3))
LABELS = (ROWS[:, 0] > 0).astype(int)


class Says:
    """Answers each row with its number, and holds two arrays that must belong together."""

    def __init__(self, number: int, size: int = 8) -> None:
        self.first = np.full(size, number)
        self.second = np.full(size, number)

    def predict(self, rows: Any) -> Any:
        return np.full(len(rows), self.first[0])

    def torn(self) -> bool:
        return bool(self.first[0] != self.second[-1])

    def number(self) -> int:
        return int(self.first[0])


class Fails:
    """Cannot be loaded."""

    def __reduce__(self) -> Any:
        return _fail, ()


class Exits:
    """Ends the process that loads it."""

    def __reduce__(self) -> Any:
        return os._exit, (7,)


class Hangs:
    """Is never loaded."""

    def __reduce__(self) -> Any:
        return time.sleep, (3600,)


def _fail() -> None:
    raise RuntimeError("no such luck")


def classifier(strength: float = 1.0) -> Any:
    from sklearn.linear_model import (
        LogisticRegression,
    )  # which takes its time in each process that loads a model from here

    return LogisticRegression(C=strength).fit(ROWS, LABELS)


def classifiers(vault: Vault, count: int = 3) -> Vault:
    """Versions 1.0.0, 1.1.0, … of a model with recorded examples; the alias is at the first."""
    for each in range(count):
        vault.publish("m", classifier(10.0 ** (each - 1)), version=f"1.{each}.0", example=ROWS[:8])
    vault.promote("m@prod", "1.0.0", reason="first")
    return vault


def numbers(vault: Vault, count: int = 3, size: int = 8) -> Vault:
    """Versions 1.0.0, 1.1.0, … that answer with 0, 1, …; the alias is at the first."""
    for each in range(count):
        vault.publish("m", Says(each, size), version=f"1.{each}.0")
    vault.promote("m@prod", "1.0.0", reason="first")
    return vault


def until(said: Callable[[], Any], seconds: float = 20.0) -> Any:
    """What `said` says, once that is true."""
    end = time.monotonic() + seconds
    while not (found := said()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)
    return found


class Far(Wrapper):
    """A store behind a network, which can be away or slow; it counts what it is asked."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.away = False
        self.seconds = 0.0
        self.asked = Counter[str]()

    @property
    def url(self) -> str:
        return "far://away/vault"

    def around(self, operation: Operation, call: Callable[[], Any]) -> Any:
        self.asked["aliases" if "/aliases/" in operation.key else operation.verb] += 1
        time.sleep(self.seconds)
        if self.away:
            raise StoreError("it is away", code=Code.STORE_UNREACHABLE)
        return super().around(operation, call)
