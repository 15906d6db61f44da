"""Gates: checks that may refuse a move.  A plain function is a gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from modelvault.errors import Code, InvalidInput, Refused, shown
from modelvault.wire import JsonValue, Manifest, Move

__all__ = ["Gate", "Proposal", "Verdict", "compatible", "judge", "listed", "rollback_safe", "signature"]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A move that has not been made: `current` and `proposed` are manifests, with metrics, params, files and the rest."""

    model: str
    alias: str
    newest: Move | None
    """The newest move of the alias; None if it has none."""
    current: Manifest | None
    """What the alias points to; None if nothing."""
    proposed: Manifest
    reason: str
    actor: str


class Verdict(NamedTuple):
    """What a gate says; `evidence`, by name, is kept with the move."""

    passed: bool
    reason: str = ""
    evidence: Mapping[str, JsonValue] = MappingProxyType({})


class Gate(Protocol):
    """Takes a proposal; answers with a verdict, or plain True or False."""

    def __call__(self, proposal: Proposal, /) -> Verdict | bool:
        """The move may be made."""
        ...


def judge(gates: Sequence[Gate], proposal: Proposal) -> list[JsonValue]:
    """Ask every gate; the verdicts as evidence for the move.

    A gate that raises, or answers with anything but a verdict or a boolean, refuses: what cannot be judged must not pass.

    Raises:
        Refused: `gate-refused`, with the reason of each gate that said no.
    """
    verdicts = [(_name(gate), _asked(gate, proposal)) for gate in gates]
    against = tuple(f"{name}: {verdict.reason or 'no'}" for name, verdict in verdicts if not verdict.passed)
    if against:
        raise Refused(
            f"{proposal.model}@{proposal.alias} stays where it is: {'; '.join(against)}",
            code=Code.GATE_REFUSED,
            hint="mend what the gates name, or promote another version",
            ref=f"{proposal.model}@{proposal.alias}",
            verdicts=against,
        )
    return [{**verdict.evidence, "gate": name, "passed": True, "reason": verdict.reason} for name, verdict in verdicts]


def signature(proposal: Proposal) -> Verdict:
    """The version has a signature, with inputs and outputs."""
    found = proposal.proposed.signature
    if found is None:
        return Verdict(passed=False, reason=f"{proposal.proposed.version} has no signature")
    missing = [side for side in ("inputs", "outputs") if getattr(found, side) is None]
    if missing:
        return Verdict(passed=False, reason=f"its signature does not know the {' and '.join(missing)}")
    return Verdict(passed=True, reason="", evidence={"unknown": list(found.unknown)} if found.unknown else {})


def compatible(proposal: Proposal) -> Verdict:
    """Those who call the version in place can call the one proposed; whether the way back is open, too, is evidence."""
    forth, back = _against(proposal.current, proposal.proposed), _against(proposal.proposed, proposal.current)
    evidence: dict[str, JsonValue] = {"backward": not forth, "rollback_safe": not back}
    return Verdict(not forth, "; ".join(forth), evidence | ({"because": [*back]} if back else {}))


def rollback_safe(proposal: Proposal) -> Verdict:
    """Those who call the version proposed can call the one in place: the way back is open."""
    back = _against(proposal.proposed, proposal.current)
    return Verdict(not back, f"on the way back, {'; '.join(back)}" if back else "", {"rollback_safe": not back})


def _against(old: Manifest | None, new: Manifest | None) -> tuple[str, ...]:
    """Why `new` cannot stand in for `old`, or why that is not known."""
    from modelvault.signature.bump import contract_bump

    if old is None or new is None:
        return ()
    bump = contract_bump(old.signature, new.signature, old.version)
    return bump.reasons if bump.level == "major" else bump.unknown


def listed(gates: Sequence[Gate]) -> tuple[Gate, ...]:
    """`gates`, if they are a list.

    Raises:
        InvalidInput: `bad-value`.
    """
    given: object = gates
    if isinstance(given, Sequence) and not isinstance(given, str | bytes):
        return tuple(gates)
    raise InvalidInput("gates is a list of functions", code=Code.BAD_VALUE, hint="gates=[gate]")


def _name(gate: Gate) -> str:
    return shown(getattr(gate, "__name__", type(gate).__name__))


def _asked(gate: Gate, proposal: Proposal) -> Verdict:
    try:
        answer: Any = gate(proposal)
        passed, reason, evidence = answer if isinstance(answer, Verdict) else (answer, "", {})
        passed = passed.item() if hasattr(passed, "item") else passed  # an array library's bool
    except Exception as error:  # a gate is the user's code and may raise anything
        return Verdict(passed=False, reason=f"raised {shown(type(error).__name__)}: {shown(error)}")
    if isinstance(passed, bool) and isinstance(evidence, Mapping):
        return Verdict(passed, shown(reason, 1000), evidence)
    return Verdict(passed=False, reason=f"answered {shown(type(passed).__name__)}, not a verdict")
