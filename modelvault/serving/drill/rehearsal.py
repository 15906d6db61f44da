"""The rehearsal: the current version serves under load, is rolled back, and brought forward again."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple, Self

from modelvault.errors import VaultError, shown
from modelvault.serving.drill.bench import Drill, Failed, Figures, Verbs, wait
from modelvault.signature.calls import answers
from modelvault.signature.examples import Example, differing
from modelvault.signature.nodes import NotStorable
from modelvault.signature.recording import recorded
from modelvault.wire import Manifest

__all__ = ["Traffic", "forward", "rollback"]

_EVERY = 0.5
"""Seconds between two looks at the alias: an application's are those of its `refresh`."""
_THREADS, _PAUSE, _AROUND = 2, 0.001, 0.1
_PATIENCE = 30.0


class Request(NamedTuple):
    """When it began and ended, which version answered, and what was wrong with the answer."""

    began: float
    ended: float
    version: str
    fault: str
    torn: bool


class Traffic:
    """Threads that call whatever serves, with the examples of its version, and look at each answer."""

    def __init__(self, live: Any, examples: Mapping[str, Example | None]) -> None:
        self._live = live
        self._examples = examples
        self._any = next((one for one in examples.values() if one), None)
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(_THREADS)]
        self.requests: list[Request] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while not self._over.wait(_PAUSE):
            began = time.perf_counter()
            with self._live.pin() as now:
                fault, torn = self._asked(now.model, now.version)
            self.requests.append(Request(began, time.perf_counter(), now.version, fault, torn))

    def _asked(self, model: Any, version: str) -> tuple[str, bool]:
        """What was wrong with the answer; and whether it was not that of `version`."""
        own = self._examples.get(version)
        example = own or self._any
        if example is None:
            return "", False
        given, faults = answers(model, example.inputs)
        if faults:
            return faults[0], False
        with suppress(NotStorable):
            return "", own is not None and bool(differing(own.outputs, given))
        return "", False

    def figures(self) -> dict[str, Any]:
        """Counts, and the longest of them."""
        failed = sum(bool(one.fault) for one in self.requests)
        longest = max((one.ended - one.began for one in self.requests), default=0.0)
        torn = sum(one.torn for one in self.requests)
        return {"requests": len(self.requests), "failed": failed, "torn": torn, "longest_s": round(longest, 4)}


def rollback(drill: Drill) -> Figures:
    """It is rolled back while it serves, and no request fails."""
    stage = drill.staged("rollback")
    live = drill.opened(stage.vault.live(drill.alias, refresh=_EVERY, isolate=False))
    drill.service = (stage.vault, live)
    if live.version != drill.current.version:
        raise Failed(f"{drill.current.version} does not come into service: {live.status()['reason']}")
    return _moved(drill, live, drill.target, lambda: _undone(drill, stage.vault))


def forward(drill: Drill) -> Figures:
    """The version that was left is brought forward again."""
    assert drill.service is not None
    vault, live = drill.service
    number = drill.current.version
    return _moved(drill, live, drill.current, lambda: vault.promote(drill.alias, number, reason="rehearsal"))


def _undone(drill: Drill, vault: Verbs) -> None:
    vault.rollback(drill.alias, reason="rehearsal", expect=drill.current.version)


def _moved(drill: Drill, live: Any, to: Manifest, move: Any) -> Figures:
    """Make the move under load; how long it took until every request was answered by `to`."""
    with Traffic(live, _examples(drill)) as traffic:
        time.sleep(_AROUND)
        decided = time.perf_counter()
        move()
        moved = time.perf_counter() - decided
        wait(min(drill.left, _PATIENCE), lambda: live.version == to.version or _held(live), f"{to.version} in service")
        time.sleep(_AROUND)
    said = traffic.figures()
    if live.version != to.version:
        raise Failed(f"{to.version} does not come into service: {live.status()['reason']}", said)
    took = _last(traffic, to.version) - decided
    figures = {"recovery_s": round(took, 4), "move_s": round(moved, 4), **said, "refresh_s": _EVERY}
    if said["failed"] or said["torn"]:
        fault = next((one.fault for one in traffic.requests if one.fault), "an answer was that of another version")
        raise Failed(f"requests failed: {shown(fault)}", figures)
    return figures


def _last(traffic: Traffic, version: str) -> float:
    """When the last request ended that another version answered, and the first that `version` did."""
    first = min((one.ended for one in traffic.requests if one.version == version), default=0.0)
    return max([first, *(one.ended for one in traffic.requests if one.version != version)])


def _held(live: Any) -> bool:
    return bool(live.status()["state"] == "held")


def _examples(drill: Drill) -> dict[str, Example | None]:
    """By number, what was recorded of both versions."""
    found: dict[str, Example | None] = {}
    for manifest in (drill.current, drill.target):
        found[manifest.version] = None
        with suppress(VaultError):
            found[manifest.version] = recorded(manifest, drill.bench.read)
    return found
