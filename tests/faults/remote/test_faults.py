"""Servers that die, throttle, stall, refuse and run full: what is said is true, nothing is half there, and it can go on."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelvault.errors import Code, CommitUncertain, Corrupt, StoreError, VaultError
from modelvault.stores import remote
from modelvault.vault import Vault

from ...servers.gcs import FakeGCSOnDisk
from ...servers.proxy import (
    Action,
    Answer,
    Cut,
    CutBody,
    Delay,
    Hang,
    HTTPProxy,
    Pass,
    Request,
    Rule,
    always,
    expired_token,
    first,
    nth,
    slow_down,
    too_many_requests,
    writes,
)
from ...servers.s3 import SeaweedFS
from ...servers.server import Place, free_port
from ..scene import BLOB, past, seen
from .lines import Line, Spot, on, onward, torn

GUARD = 30.0
"""Seconds within which a call ends whose requests have one second each: nothing hangs, on however busy a machine."""

THROTTLES = {"SeaweedFS": slow_down, "fake-gcs-server": too_many_requests, "Azurite": too_many_requests}


def _outcome(call: Callable[[], object]) -> VaultError | None:
    try:
        call()
    except VaultError as error:
        return error
    return None


def _files(count: int, size: int) -> Path:
    """A folder of so many files that are different."""
    folder = Path("files")
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.bin").write_bytes(hashlib.shake_256(bytes([number])).digest(size + number))
    return folder


def _uploads(requests: list[Request]) -> list[Request]:
    """Those that brought blobs and were taken."""
    return [each for each in requests if "/blobs" in _target(each) and each.writes and each.status in {200, 201}]


def _target(request: Request) -> str:
    return request.path + "?" + request.query


# --- throttled


def _throttled(line: Line, seconds: int | None = None) -> Answer:
    return THROTTLES[line.server.title](seconds)


class Clock:
    """A rule that notes when each request came."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self.times: list[float] = []

    def __call__(self, request: Request) -> Action:
        self.times.append(time.monotonic())
        return self._rule(request)


def _publish_and_promote(vault: Vault) -> None:
    vault.publish("fraud", BLOB, version="2.0.0")
    vault.promote("fraud@prod", "2.0.0", reason="better")


@on("s3", "gcs", "azure")
def test_a_store_that_throttles_now_and_then_is_asked_again(line: Line) -> None:
    spot = _prepared(line)
    numbers = itertools.count()
    with line.rule(lambda _: _throttled(line) if next(numbers) % 3 != 2 else Pass()) as requests:
        _publish_and_promote(Vault(spot.broken, trust="pickle"))
    assert len(requests) > 15
    vault = Vault(spot.copy())
    assert vault.load("fraud@prod") == BLOB
    assert vault.verify().ok


@on("s3", "gcs", "azure")
def test_a_store_that_always_throttles_is_busy_after_a_bounded_number_of_tries(line: Line) -> None:
    spot = _prepared(line)
    vault = Vault(spot.broken, trust="pickle")
    with line.rule(always(_throttled(line))) as requests:
        outcome = _outcome(lambda: vault.load("fraud@prod"))
    assert _is_busy(outcome, None)
    assert len(requests) <= 6
    with line.rule(always(_throttled(line), writes)) as requests:
        outcome = _outcome(lambda: vault.promote("fraud@prod", "1.0.0", reason="x"))
    assert _is_busy(outcome, None)
    assert sum(request.writes for request in requests) == 4
    with line.rule(always(_throttled(line), writes)) as requests:
        outcome = _outcome(lambda: vault.publish("fraud", BLOB, version="2.0.0"))
    assert _is_busy(outcome, None)
    assert sum(request.writes for request in requests) <= 4
    assert len(vault.history("fraud@prod")) == 4


def _is_busy(outcome: VaultError | None, retry_after: float | None) -> bool:
    assert isinstance(outcome, StoreError), repr(outcome)
    return (outcome.code, outcome.retry_after) == (Code.STORE_BUSY, retry_after)


@on("s3", "gcs", "azure")
def test_who_is_told_when_to_come_back_does_not_come_before(line: Line) -> None:
    spot = _prepared(line)
    vault = Vault(spot.broken, trust="pickle")
    for when, call in (
        (lambda request: not request.writes, lambda: vault.load("fraud@prod")),
        (writes, lambda: vault.promote("fraud@prod", "1.0.0", reason="x")),
    ):
        clock = Clock(first(_throttled(line, 1), 1, when))
        with line.rule(clock) as requests:
            call()
        at = next(each.index for each in requests if isinstance(each.action, Answer))
        again = next(each.index for each in requests[at + 1 :] if each.method == requests[at].method)
        assert clock.times[again] - clock.times[at] >= 1


@on("s3", "gcs", "azure")
def test_who_is_told_to_come_back_too_late_says_so_at_once(line: Line, part: int) -> None:
    spot = _prepared(line)
    vault = Vault(spot.broken, trust="pickle")
    large = hashlib.shake_256(b"large").digest(2 * part + 17)
    for call, when in (
        (lambda: vault.load("fraud@prod"), lambda request: True),
        (lambda: vault.promote("fraud@prod", "1.0.0", reason="x"), writes),
        (lambda: vault.publish("fraud", {"n": 1}, version="2.0.0"), writes),
        (lambda: vault.publish("fraud", BLOB, version="2.0.0"), lambda each: "/blobs" in _target(each) and each.writes),
        (lambda: vault.publish("fraud", large, version="2.0.0"), lambda each: "upload" in each.query.lower()),
        (lambda: vault.publish("fraud", BLOB, version="2.0.0"), lambda request: "/blobs" in _target(request)),
    ):
        with line.rule(always(_throttled(line, 3600), when)) as requests:
            outcome = _outcome(call)
        assert _is_busy(outcome, 3600)
        assert sum(isinstance(each.action, Answer) for each in requests) <= 2
    assert seen(spot.copy()) == spot.past


class Prepared(Spot):
    """A spot with a past."""

    past: dict[str, Any]


def _prepared(line: Line) -> Any:
    spot = line.spot()
    past(Vault(spot.straight))
    spot.past = seen(spot.copy())  # type: ignore[attr-defined]
    return spot
