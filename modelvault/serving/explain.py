"""Why an alias was moved, as its record says, computed again from the record alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from modelvault.errors import VaultError, shown
from modelvault.serving.evidence import ALTERNATIVES, log_bound, log_evidence, log_mean_exp
from modelvault.serving.guards import spec_of
from modelvault.serving.record import LOG_10, Baseline, limit_of, share_of_alpha
from modelvault.wire import JsonValue, Move

__all__ = ["Explanation", "Said", "explained"]

_NEAR: Final = 1e-9


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
