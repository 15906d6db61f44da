"""What a guard saw, as it stands in the move that it made."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, Final, NamedTuple

from modelvault.serving.evidence import (
    ALTERNATIVES,
    Look,
    concurrent_limit,
    upper_bound,
)
from modelvault.serving.guards import Guard, spec_of
from modelvault.wire import JsonValue, Move

__all__ = [
    "Baseline",
    "Case",
    "actor",
    "cooldown_of",
    "limit_of",
    "share_of_alpha",
]

LOG_10: Final = math.log(10)


class Baseline(NamedTuple):
    """What was counted of the version before."""

    version: str
    n: int
    bad: float


@dataclass(frozen=True, slots=True)
class Case:
    """What a guard holds against a version: all that its evidence is computed from."""

    guard: Guard
    guards: int
    """How many share alpha."""
    version: str
    digest: str
    m: float
    alpha: float
    look: Look
    seen: tuple[int, float]
    first: datetime
    last: datetime
    baseline: Baseline | None = None
    share: float | None = None
    """Of the traffic, where two versions serve at once: `look` then counts bad events, `bad` are the new one's."""

    @property
    def reason(self) -> str:
        """In words, with the figures."""
        look, name = self.look, self.guard.name
        what = f"{look.bad:g} bad of {look.n:,} ({look.bad / max(look.n, 1):.1%})"
        if self.guard.kind == "mean":
            mean = self.guard.low + look.bad / max(look.n, 1) * (self.guard.high - self.guard.low)
            what = f"mean {mean:.4g} of {look.n:,}"
        if self.share is not None:
            what = f"{look.bad:g} of {look.n:,} bad events are of the {self.share:.0%} that {self.version} serves"
        evidence, bound = look.log_evidence / LOG_10, look.log_bound / LOG_10
        return f"{name}: {what}, limit {_limit_text(self)}, evidence 10^{evidence:.1f} ≥ 10^{bound:.1f}"

    def record(self, move: Move, replay: Mapping[str, int] | None) -> dict[str, JsonValue]:
        """As a move keeps it; `move` is the one to be undone."""
        found: dict[str, Any] = {
            "version": self.version,
            "digest": self.digest,
            "undoes": move.seq,
            "spec": self.guard.record(),
            "guards": self.guards,
            "alpha": self.alpha,
            "m": self.m,
            "alternatives": ALTERNATIVES,
            "epoch": self.look.epoch,
            "n": self.look.n,
            "bad": self.look.bad,
            "log_evidence": self.look.log_evidence,
            "log_bound": self.look.log_bound,
            "seen": [*self.seen],
            "first": _instant(self.first),
            "last": _instant(self.last),
            "replay": None if replay is None else dict(replay),
            "library": import_module("modelvault").__version__,  # the package stands above
        }
        found |= {"logs": [*self.look.logs]} if self.look.logs else {}
        found |= {"share": self.share} if self.share is not None else {}
        return found | ({"baseline": self.baseline._asdict()} if self.baseline else {})


def actor() -> str:
    """Who acts, where a guard does."""
    return f"guard@{platform.node()[:100]}/{os.getpid()}"


def cooldown_of(evidence: Mapping[str, JsonValue]) -> float:
    """Seconds: of the guard in the evidence, if there is one."""
    told = evidence.get("guard")
    return spec_of(told["spec"]).cooldown_seconds if isinstance(told, Mapping) else 0.0  # type: ignore[arg-type] # checked


def share_of_alpha(guard: Guard, guards: int, *, bounded: bool) -> float:
    """What a guard may use of its alpha: guards and replicas share it, and half goes to the bound of a baseline."""
    return guard.alpha / guards / guard.replicas / (2 if bounded else 1)


def limit_of(guard: Guard, alpha: float, baseline: Baseline | None, share: float | None) -> float | None:
    """The limit from 0 to 1; None if there is none yet."""
    if guard.tolerance is None:
        return guard.m
    if share is not None:
        return concurrent_limit(share, guard.tolerance)
    if baseline is None:
        return None
    m = upper_bound(baseline.n, baseline.bad, alpha) * (1 + guard.tolerance)
    return m if 0 < m < 1 else None


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _limit_text(case: Case) -> str:
    guard = case.guard
    if guard.kind == "mean":
        return f"{guard.low + case.m * (guard.high - guard.low):.4g}"
    return f"{case.m:.3%}".replace(".000%", "%")
