"""Gates: checks that may refuse a move.  A plain function is a gate; those of this package can stand in a policy, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelvault.errors import Code, InvalidInput, Refused, shown
from modelvault.gates.contract import compatible, rollback_safe, signature
from modelvault.gates.measured import approved, drilled_within, no_worse, reason_like, soaked
from modelvault.gates.named import Named, spelled
from modelvault.gates.proposal import Gate, Past, Proposal, Verdict
from modelvault.wire import JsonValue

__all__ = [
    "Gate",
    "Named",
    "Past",
    "Proposal",
    "Verdict",
    "approved",
    "asked",
    "compatible",
    "drilled_within",
    "judge",
    "listed",
    "no_worse",
    "reason_like",
    "rollback_safe",
    "signature",
    "soaked",
    "spelled",
]


def judge(gates: Sequence[Gate], proposal: Proposal) -> list[JsonValue]:
    """Ask every gate; the verdicts as evidence for the move.

    A gate that raises, or answers with anything but a verdict or a boolean, refuses: what cannot be judged must not pass.

    Raises:
        Refused: `gate-refused`, with the reason of each gate that said no.
    """
    verdicts = asked(gates, proposal)
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


def asked(gates: Sequence[Gate], proposal: Proposal) -> list[tuple[str, Verdict]]:
    """What every gate says, by its name.  One that cannot say it says no."""
    return [(_name(gate), _asked(gate, proposal)) for gate in gates]


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
    return gate.name if isinstance(gate, Named) else shown(getattr(gate, "__name__", type(gate).__name__))


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
