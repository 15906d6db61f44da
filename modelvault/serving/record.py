"""What a guard saw, as it stands in the move that it made; and the same computed again from the move alone."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, Final, NamedTuple

from modelvault.errors import VaultError, shown
from modelvault.serving.evidence import (
    ALTERNATIVES,
    Look,
    concurrent_limit,
    log_bound,
    log_evidence,
    log_mean_exp,
    upper_bound,
)
from modelvault.serving.guards import Guard, spec_of
from modelvault.wire import JsonValue, Move

__all__ = [
    "Baseline",
    "Case",
    "Explanation",
    "Said",
    "actor",
    "cooldown_of",
    "explained",
    "limit_of",
    "share_of_alpha",
]

_NEAR: Final = 1e-9
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


# --- computed again


class Said(NamedTuple):
    """One thing that a record says, and whether it is so."""

    what: str
    holds: bool
    words: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a move was made, as its record says, and whether that holds when it is computed again.

    `holds` is None where no guard made the move: then there is nothing to compute.
    """

    move: Move
    verdicts: tuple[Said, ...]

    @property
    def holds(self) -> bool | None:
        """Everything that is said is so."""
        return all(each.holds for each in self.verdicts) if self.verdicts else None

    def data(self) -> dict[str, JsonValue]:
        """As values of JSON."""
        move = self.move
        told: dict[str, JsonValue] = {"seq": move.seq, "kind": move.kind, "version": move.version, "actor": move.actor}
        return told | {
            "alias": f"{move.model}@{move.alias}",
            "reason": move.reason,
            "holds": self.holds,
            "verdicts": [each._asdict() for each in self.verdicts],
        }

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        from modelvault.display.notebook import explanation

        told = self.move.evidence.get("guard")
        figures: dict[str, object] = {"name": "evidence"}
        if isinstance(told, Mapping):
            for name in ("evidence", "bound"):
                log = told.get(f"log_{name}")
                figures |= {name: log / LOG_10} if isinstance(log, int | float) else {}
        verdicts = [(f"{'✓' if each.holds else '✗'} {each.what}", each.words) for each in self.verdicts]
        return explanation(figures, str(self), verdicts)

    def __str__(self) -> str:
        lines = [str(self.move)]
        lines += [f"  {'✓' if each.holds else '✗'} {each.what}: {shown(each.words)}" for each in self.verdicts]
        end = {None: "no guard made this move", True: "the evidence holds", False: "the evidence does not hold"}
        return "\n".join([*lines, end[self.holds]])


def explained(move: Move, before: Move | None = None) -> Explanation:
    """What `move` says, computed again from it alone; and from the one `before` it, if that is given."""
    told = move.evidence.get("guard")
    if told is None:
        return Explanation(move, ())
    if not isinstance(told, Mapping):
        return Explanation(move, (Said("record", holds=False, words="the evidence is no object"),))
    return Explanation(move, (*_again(told), *_fits(move, before, told)))


_STEPS: list[tuple[str, Callable[[Mapping[str, Any]], tuple[bool, str]]]] = []


def _step(what: str) -> Callable[[Any], Any]:
    def add(check: Callable[[Mapping[str, Any]], tuple[bool, str]]) -> Any:
        _STEPS.append((what, check))
        return check

    return add


def _again(told: Mapping[str, Any]) -> Iterator[Said]:
    """Each verdict; what cannot be computed does not hold."""
    for what, check in _STEPS:
        try:
            holds, words = check(told)
        except (VaultError, KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
            holds, words = False, f"cannot be computed: {type(error).__name__}: {shown(error)}"
        yield Said(what, holds, words)


@_step("guard")
def _guard(told: Mapping[str, Any]) -> tuple[bool, str]:
    guard = spec_of(told["spec"])
    return guard.action == "rollback", f"{guard}; {guard.action}"


@_step("alpha")
def _alpha(told: Mapping[str, Any]) -> tuple[bool, str]:
    guard = spec_of(told["spec"])
    alpha = share_of_alpha(guard, _count(told["guards"]), bounded="baseline" in told)
    return _same(alpha, told["alpha"]), f"{guard.alpha:g}, shared: {alpha:.3g}"


@_step("limit")
def _limit(told: Mapping[str, Any]) -> tuple[bool, str]:
    baseline = Baseline(**told["baseline"]) if "baseline" in told else None
    if baseline and not 0 <= baseline.bad <= _count(baseline.n):
        raise ValueError("more bad ones than all")
    m = limit_of(spec_of(told["spec"]), told["alpha"], baseline, told.get("share"))
    against = f", of {shown(baseline.version)}: {baseline.bad:g} bad of {baseline.n:,}" if baseline else ""
    return m is not None and _same(m, told["m"]), f"{told['m']:.6g}{against}"


@_step("evidence")
def _evidence(told: Mapping[str, Any]) -> tuple[bool, str]:
    n, bad, m = _count(told["n"]), told["bad"], told["m"]
    mean = spec_of(told["spec"]).kind == "mean"
    if not (told["alternatives"] == ALTERNATIVES and 0 < m < 1 and 0 <= bad <= n and mean == ("logs" in told)):
        raise ValueError("the figures do not fit together")
    if mean and len(told["logs"]) != ALTERNATIVES:
        raise ValueError("not a log for each bet")
    found = log_mean_exp(told["logs"]) if mean else log_evidence(n, _count(bad), m)
    return _same(found, told["log_evidence"]), f"10^{found / LOG_10:.2f}, of {bad:g} in {n:,}"


@_step("bound")
def _bound(told: Mapping[str, Any]) -> tuple[bool, str]:
    epoch = _count(told["epoch"])
    bound = log_bound(told["alpha"], epoch)
    reached = _same(bound, told["log_bound"]) and told["log_evidence"] >= bound
    which = f"epoch {epoch}" if epoch else "the whole life"
    return reached, f"10^{bound / LOG_10:.2f} for {which}: {'reached' if reached else 'not reached'}"


@_step("bad ones")
def _enough(told: Mapping[str, Any]) -> tuple[bool, str]:
    guard = spec_of(told["spec"])
    counted = told["n"] if guard.kind == "mean" else told["bad"]
    return counted >= guard.min_bad, f"{counted:g}, at least {guard.min_bad}"


@_step("replay")
def _replay(told: Mapping[str, Any]) -> tuple[bool, str]:
    replay = told["replay"]
    if replay is None:
        return True, "nothing was run on the version before"
    inputs, failed = _count(replay["inputs"]), _count(replay["failed"])
    return failed * 2 < inputs, f"{failed} of {inputs} failed on the version before, too"


def _fits(move: Move, before: Move | None, told: Mapping[str, Any]) -> Iterator[Said]:
    """What the move is, beside what its evidence is about."""
    undoes = told.get("undoes")
    right = move.kind in {"rollback", "retire"} and undoes == move.seq - 1
    yield Said("move", right, f"a {shown(move.kind)} that undoes entry {shown(undoes)}")
    if before is not None and before.target is not None:
        named = (told.get("version"), told.get("digest")) == (before.target.version, before.target.digest)
        by = f"entry {before.seq}, a {shown(before.kind)} to {before.target.version} by {shown(before.actor)}"
        yield Said("what was undone", named and before.kind == "promote", by)


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{shown(value)} is no count")
    return value


def _same(found: float, told: float) -> bool:
    return math.isclose(found, told, rel_tol=_NEAR, abs_tol=_NEAR * _NEAR)


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _limit_text(case: Case) -> str:
    guard = case.guard
    if guard.kind == "mean":
        return f"{guard.low + case.m * (guard.high - guard.low):.4g}"
    return f"{case.m:.3%}".replace(".000%", "%")
