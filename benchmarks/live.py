"""What a live handle adds to a call, and what a swap costs those who call meanwhile: prints the figures.

    python -m benchmarks.live [--seconds N]

Each figure is the best of several rounds; the ways of calling take turns within a round.
"""

from __future__ import annotations

import argparse
import threading
import time
import timeit
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import modelvault
from benchmarks import machine
from benchmarks.figures import table

CALLS, ROUNDS = 50_000, 15
OBJECTS, FLOATS = 300_000, 12_500_000
"""Of the pickle of many small objects; of the array of 100 MB."""


class Model:
    """Answers at once: what is measured is the way to it."""

    def __init__(self, weights: object = None) -> None:
        self.weights = weights

    def predict(self, rows: object) -> object:
        return rows


class Watch:
    """What a guard of errors does to a call: two additions."""

    def __init__(self) -> None:
        self.calls = self.bad = 0

    def saw(self, digest: str, seconds: float, error: BaseException | None) -> None:
        self.calls += 1
        if error is not None:
            self.bad += 1

    def observe(self, name: str, value: Any, version: str | None) -> None: ...
    def swapped(self, *what: object) -> None: ...
    def tick(self) -> None: ...
    def status(self) -> Mapping[str, Any]:
        return {}


class Exporter:
    """Takes what it is given."""

    def __call__(self, event: object) -> None: ...
    def requests(self, *calls: object) -> None: ...
    def age(self, *said: object) -> None: ...


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="of calls around each swap")
    wanted = parser.parse_args()
    with TemporaryDirectory(prefix="benchmarks-") as scratch:
        for name, value in machine.described(Path(scratch), machine.load()):
            print(f"{name}: {value}")
        vault = modelvault.open(f"{scratch}/vault", cache=f"{scratch}/cache")
        print("\n" + calls(vault) + "\n\n" + swaps(vault, wanted.seconds))


def calls(vault: modelvault.Vault) -> str:
    """Nanoseconds of a call, each way."""
    from modelvault.serving import service

    vault.publish("calls", Model(), version="1.0.0")
    vault.promote("calls@prod", "1.0.0", reason="benchmark")
    handles = [vault.live("calls@prod"), vault.live("calls@prod", refresh="lazy")]
    watched, service.watched = service.watched, lambda *_, **__: Watch()  # type: ignore[assignment]
    try:
        handles += [vault.live("calls@prod"), vault.live("calls@prod", on_event=Exporter())]
    finally:
        service.watched = watched
    names = (
        "the model itself",
        "live",
        "live, refresh='lazy'",
        "live, with a guard",
        "live, with a guard and metrics",
    )
    models = dict(zip(names, (vault.load("calls@prod"), *handles), strict=True))
    rounds: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(ROUNDS):
        for name, model in models.items():
            rounds[name].append(timeit.timeit("model.predict(1)", globals={"model": model}, number=CALLS) / CALLS * 1e9)
    for live in handles:
        live.close()
    least = min(rounds["the model itself"])
    rows = [(name, f"{min(some):.0f}", f"{min(some) - least:+.0f}", f"{median(some):.0f}") for name, some in rounds.items()]  # fmt: skip
    return table(("a call", "ns, best", "over the model itself", "ns, median"), rows)


def swaps(vault: modelvault.Vault, seconds: float) -> str:
    """The longest gap between two calls of one thread: in quiet, during a bare load, during a swap."""
    import numpy as np

    kinds = {
        "an array of 100 MB": lambda: Model(np.zeros(FLOATS)),
        f"a pickle of {OBJECTS:,} objects": lambda: Model([{"a": each} for each in range(OBJECTS)]),
    }
    rows = []
    for at, (name, make) in enumerate(kinds.items()):
        model = f"swaps-{at}"
        for number in ("1.0.0", "1.1.0"):
            vault.publish(model, make(), version=number, bump=None)
        vault.promote(f"{model}@prod", "1.0.0", reason="benchmark")
        with vault.live(f"{model}@prod", refresh=None, isolate=False) as live:
            quiet, _ = _gap(live.predict, lambda: time.sleep(seconds))
            bare, load = _gap(live.predict, lambda model=model: vault.load(f"{model}:1.1.0"))
            vault.promote(f"{model}@prod", "1.1.0", reason="benchmark")
            swap, took = _gap(live.predict, live.refresh)
        rows.append((name, *(f"{each * 1000:.1f}" for each in (load, quiet, bare, took, swap))))
    head = ("a model", "load, ms", "longest gap in quiet, ms", "during a load", "swap, ms", "longest gap during it")
    return table(head, rows)


def _gap(call: Callable[[object], object], work: Callable[[], object]) -> tuple[float, float]:
    """The longest time between the ends of two calls while `work` is done, and how long that took."""
    ended = threading.Event()
    longest: Sequence[float] = [0.0]

    def run() -> None:
        most, before = 0.0, time.perf_counter()
        while not ended.is_set():
            call(1)
            now = time.perf_counter()
            most, before = max(most, now - before), now
        longest[0] = most  # type: ignore[index]

    thread = threading.Thread(target=run)
    thread.start()
    began = time.perf_counter()
    work()
    took = time.perf_counter() - began
    ended.set()
    thread.join()
    return longest[0], took


if __name__ == "__main__":
    main()
