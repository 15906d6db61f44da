"""What guards cost: counting on the way of a call, deciding in the background, going back.  Prints only.

    python -m benchmarks.guard

Times are the best of several rounds, in one process, on a machine that may be doing other things.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from modelvault import Guard
from modelvault.serving.evidence import Counts, Sums, log_evidence
from modelvault.serving.watch import Monitor
from modelvault.stores.local import LocalStore
from modelvault.vault import Vault

GUARDS = [Guard.errors(limit=0.01), Guard.latency(over=0.05, limit=0.01), Guard.rate("wrong", limit="baseline+25%")]


class Model:
    def predict(self, x: int) -> int:
        return x


class Broken(Model):
    def predict(self, x: int) -> int:
        raise ValueError(x)


def best(call: Callable[[], object], times: int, rounds: int = 7) -> float:
    """Seconds for one call."""
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        for _ in range(times):
            call()
        found.append((time.perf_counter() - began) / times)
    return min(found)


def rolled_back(vault: Vault) -> float:
    """Seconds from the tick that decides to the model that was there before, in service."""
    live = vault.live("m@prod", refresh=None, isolate=False, guard=GUARDS)
    vault.promote("m@prod", "1.1.0", reason="x")
    live.refresh()
    for at in range(50):
        try:
            live.predict(at)
        except ValueError:
            continue
    following = live._following  # noqa: SLF001 - measured from within
    following._thread = lambda _: None  # type: ignore[method-assign] # noqa: SLF001 - the alias is moved later
    following.watch._run = lambda work: work()  # noqa: SLF001
    began = time.perf_counter()
    following.watch.tick()
    took = time.perf_counter() - began
    assert live.version == "1.0.0"
    live.close()
    vault.rollback("m@prod", reason="x")
    return took


def main() -> None:
    logging.disable()
    with tempfile.TemporaryDirectory() as folder:
        vault = Vault(LocalStore(Path(folder) / "vault"), cache=Path(folder) / "cache")
        vault.publish("m", Model(), version="1.0.0")
        vault.publish("m", Broken(), version="1.1.0")
        move = vault.promote("m@prod", "1.0.0", reason="x")
        model = vault.load("m@prod")
        with vault.live("m@prod", refresh=None) as bare, vault.live("m@prod", refresh=None, guard=GUARDS) as live:
            direct, plain, guarded = (best(lambda one=one: one.predict(1), 200_000) for one in (model, bare, live))
        counts, sums = Counts(10_000, 93), Sums(0.2)
        monitor = Monitor(GUARDS, undo=lambda *_: False)
        monitor.swapped(SimpleNamespace(model=model, version="1.0.0", digest="d"), None, move)
        said = {
            "a call of the model": direct,
            "  through a live handle": plain,
            "  with three guards": guarded,
            "saw(), a good call": best(lambda: monitor.saw("d", 0.001, None), 500_000),
            "observe(), one label": best(lambda: monitor.observe("wrong", False), 50_000),
            "tick(), three guards": best(monitor.tick, 2_000),
            "evidence of two integers": best(lambda: log_evidence(10_000, 93, 0.01), 20_000),
            "a look, life and epoch": best(lambda: counts.look(0.01, 0.001), 20_000),
            "a bet on one number": best(lambda: sums.add([0.17]), 5_000),
            "back to the version before": min(rolled_back(vault) for _ in range(7)),
        }
    for what, seconds in said.items():
        print(f"{what:<28}{seconds * 1e9:>12,.0f} ns")


if __name__ == "__main__":
    main()
