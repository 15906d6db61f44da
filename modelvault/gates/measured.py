"""Gates on what was measured and said of a version, and on where it has been."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from modelvault import reference
from modelvault.canonical import storable
from modelvault.errors import Code, InvalidInput, shown
from modelvault.gates.named import maker
from modelvault.gates.proposal import Proposal, Verdict
from modelvault.metrics import direction
from modelvault.wire import JsonValue, Manifest, Move

__all__ = ["approved", "drilled_within", "no_worse", "reason_like", "soaked"]

Check = Callable[[Proposal], Verdict]

_PATTERN, _NAME, _LISTED = 200, 1_000, 100


@maker
def no_worse(metric: str, tolerance: float = 0.0) -> Check:
    """The metric of the version proposed is no worse than that of the one in place, by more than `tolerance`.

    What a version does not record of itself is looked for in the notes on it.  Whether more is better, its name must tell.
    """
    name, allowed = storable(metric, "the name of a metric"), _number(tolerance, "a tolerance", 0)
    way = direction(name)
    if way == 0 or len(name) > _NAME:
        raise _wrong(f"the name {shown(name)} does not tell whether more of it is better", "write a gate of your own")

    def check(proposal: Proposal) -> Verdict:
        new = _measured(proposal, proposal.proposed, name)
        if new is None:
            return Verdict(passed=False, reason=f"{proposal.proposed.version} has no metric {name}")
        found: dict[str, JsonValue] = {"metric": name, "new": new}
        if proposal.current is None:
            return Verdict(passed=True, evidence=found)
        old = _measured(proposal, proposal.current, name)
        if old is None:
            return Verdict(passed=False, reason=f"{proposal.current.version}, in place, has no metric {name}: note it")
        worse = way * (old - new)
        passed = worse <= allowed or math.isclose(worse, allowed, rel_tol=1e-9)
        return Verdict(passed, f"{name} {old:.6g} → {new:.6g}", found | {"old": old})

    return check


@maker
def drilled_within(days: float) -> Check:
    """A drill of the alias has passed in the last `days`; not asked of the first promotion, which nothing can undo."""
    span = timedelta(days=_number(days, "days"))

    def check(proposal: Proposal) -> Verdict:
        if proposal.newest is None:
            return Verdict(passed=True, reason="nothing to roll back to")
        since = proposal.at - span
        numbers = dict.fromkeys([proposal.proposed.version, *_in_place(proposal.past.history(proposal.alias), since)])
        names = {proposal.alias, f"{proposal.model}@{proposal.alias}"}
        drills = [note for number in numbers for note in proposal.past.notes(number) if note.kind == "drill"]
        passed = [
            note for note in drills if note.evidence.get("passed") is True and note.evidence.get("alias") in names
        ]
        last = max((note.at for note in passed), default=None)
        if last is None or last < since:
            return Verdict(passed=False, reason=f"no drill has passed in the last {span / timedelta(days=1):g} days")
        return Verdict(passed=True, evidence={"drilled": f"{last:%Y-%m-%dT%H:%M:%SZ}"})

    return check


@maker
def soaked(alias: str, hours: float) -> Check:
    """The very version that is proposed has been what another alias pointed to, for so many hours on end."""
    name, wanted = reference.alias_name(alias), timedelta(hours=_number(hours, "hours"))

    def check(proposal: Proposal) -> Verdict:
        stay = _longest(proposal.past.history(name), proposal.digest, proposal.at)
        said = f"{stay / timedelta(hours=1):.3g} of {wanted / timedelta(hours=1):g} hours at {name}"
        return Verdict(stay >= wanted, said, {"alias": name, "hours": round(stay / timedelta(hours=1), 3)})

    return check


@maker
def approved(others: int) -> Check:
    """So many others than the promoter have noted their approval of the version."""
    count: object = others
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise _wrong("approved takes how many others", "approved(2)")

    def check(proposal: Proposal) -> Verdict:
        notes = proposal.past.notes(proposal.proposed.version)
        by = sorted({note.actor for note in notes if note.kind == "approval"} - {proposal.actor})
        said = f"{len(by)} of {others} others approve of {proposal.proposed.version}"
        return Verdict(len(by) >= others, said, {"by": [*by[:_LISTED]]})

    return check


@maker
def reason_like(pattern: str) -> Check:
    """The reason is like a pattern such as ``"*OPS-[0-9]*"``: ``*`` is any text, ``?`` any character, ``[…]`` one of some."""
    wanted = storable(pattern, "a pattern")
    if not 0 < len(wanted) <= _PATTERN:
        raise _wrong(f"a pattern has 1 to {_PATTERN} characters", 'reason_like("OPS-*")')

    def check(proposal: Proposal) -> Verdict:
        passed = fnmatchcase(proposal.reason, wanted)
        return Verdict(passed, "" if passed else f"the reason is not like {shown(wanted)!r}")

    return check


def _measured(proposal: Proposal, manifest: Manifest, metric: str) -> float | None:
    if metric in manifest.metrics:
        return manifest.metrics[metric]
    notes = proposal.past.notes(manifest.version)
    return next((note.metrics[metric] for note in notes if metric in note.metrics), None)


def _in_place(moves: Sequence[Move], since: datetime) -> Iterator[str]:
    """The versions that an alias pointed to at some time since."""
    for move in moves:
        if move.version:
            yield move.version
        if move.at < since:
            return


def _longest(moves: Sequence[Move], digest: str, now: datetime) -> timedelta:
    """How long, at most, an alias pointed to one version without a break; its moves are given newest first."""
    longest, until, end = timedelta(0), now, None
    for move in moves:
        here = move.target is not None and move.target.digest == digest
        end = (end or until) if here else None
        longest = max(longest, end - move.at) if end else longest
        until = move.at
    return longest


def _number(value: object, what: str, least: float = math.ulp(0)) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < 1e9:
        raise _wrong(f"{what} is a number from {'0' if least == 0 else 'above 0'}", "such as 0.5")
    return float(value)


def _wrong(message: str, hint: str) -> InvalidInput:
    return InvalidInput(message, code=Code.BAD_VALUE, hint=hint)
