"""Does a guard notice a version that is worse, how soon, and is it rolled back once, however many notice?"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterable
from contextlib import ExitStack
from itertools import repeat
from statistics import median
from typing import Any, Final

from modelvault.serving.drill.bench import Drill, Failed, Figures, wait
from modelvault.serving.evidence import Counts
from modelvault.serving.guards import Guard

__all__ = ["detection"]

GUARD: Final = Guard.rate("rehearsal", limit=0.05)
"""What an application may well have: at most 5 % are bad."""
_WORSE, _RUNS, _LONGEST = 5, 101, 10_000
_SLACK: Final = 1.4
_GUARDS, _BAD, _PATIENCE = 8, 50, 20.0
_EVERY = 0.5
_SIZE = 1_000
"""Bytes of each of the two versions that stand in for the model: it is the guard that is looked at."""


def detection(drill: Drill) -> Figures:
    """Guards notice bad events within the predicted count, and eight of them make one move."""
    every, often = _until_noticed(repeat(True)), _median_until_noticed()
    figures = {"limit": 0.05, "all_bad": every, "five_times": often, "predicted": _predicted()}
    if every > GUARD.min_bad or often > figures["predicted"]:
        raise Failed("a guard notices too late", figures)
    return figures | _race(drill)


def _until_noticed(events: Iterable[bool]) -> int:
    """How many events it takes, looking after each."""
    assert GUARD.m is not None
    counts = Counts()
    for bad in events:
        counts.n, counts.bad = counts.n + 1, counts.bad + bad
        look = counts.look(GUARD.m, GUARD.alpha)
        if (look.reached and look.bad >= GUARD.min_bad) or counts.n == _LONGEST:
            break
        counts.turn(GUARD.m)
    return counts.n


def _median_until_noticed() -> int:
    """Where bad events are five times as frequent as the limit allows: the median of many runs, the same each time."""
    assert GUARD.m is not None
    rate, chance = _WORSE * GUARD.m, random.Random(0)  # noqa: S311 - not a secret
    return int(median(_until_noticed(chance.random() < rate for _ in repeat(None)) for _ in range(_RUNS)))


def _predicted() -> int:
    """What no rule can do with much fewer: ``ln(1/alpha) / KL(5m, m)``, and 40 % for not knowing how bad it is."""
    assert GUARD.m is not None
    m, p = GUARD.m, _WORSE * GUARD.m
    divergence = p * math.log(p / m) + (1 - p) * math.log((1 - p) / (1 - m))
    return math.ceil(_SLACK * math.log(1 / GUARD.alpha) / divergence)


def _race(drill: Drill) -> dict[str, Any]:
    """Eight handles with a guard each are told of the same bad events."""
    stage = drill.bench.stage(f"{drill.name}-detection")
    good, bad = (drill.stand_in(stage, _SIZE) for _ in range(2))
    stage.vault.promote(drill.alias, good, reason="rehearsal")
    with ExitStack() as ending:
        lives = [
            ending.enter_context(stage.vault.live(drill.alias, refresh=_EVERY, isolate=False, guard=[GUARD]))
            for _ in range(_GUARDS)
        ]
        stage.vault.promote(drill.alias, bad, reason="rehearsal")
        for live in lives:
            live.refresh()
        began = time.perf_counter()
        for live in lives:
            live.observe(GUARD.name, [True] * _BAD)
        patience = min(drill.left, _PATIENCE)
        flipped = wait(patience, lambda: all(live.version == good for live in lives), "all guards act")
        wait(patience, lambda: stage.vault.history(drill.alias)[0].version == good, "the alias is rolled back")
        took = time.perf_counter() - began
        wait(patience, lambda: all(live.status()["wanted"] == good for live in lives), "all are told")
        newest, before, *_ = stage.vault.history(drill.alias)
    if newest.kind != "rollback" or "guard" not in newest.evidence or before.version != bad:
        raise Failed(f"not one move by a guard: {newest}")
    return {"guards": _GUARDS, "moves": 1, "left_s": round(flipped, 4), "rolled_back_s": round(took, 4)}
