"""Gates: checks that may refuse a move.  A plain function is a gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from modelvault.errors import Code, InvalidInput, Refused, shown
from modelvault.wire import JsonValue, Manifest, Move

__all__ = ["Gate", "Proposal", "Verdict", "judge", "listed"]


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
    """What a gate says."""

    passed: bool
    reason: str = ""


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
    return [{"gate": name, "passed": True, "reason": verdict.reason} for name, verdict in verdicts]


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
        passed, reason = answer if isinstance(answer, Verdict) else (answer, "")
        passed = passed.item() if hasattr(passed, "item") else passed  # an array library's bool
    except Exception as error:  # a gate is the user's code and may raise anything
        return Verdict(passed=False, reason=f"raised {shown(type(error).__name__)}: {shown(error)}")
    if isinstance(passed, bool):
        return Verdict(passed, shown(reason))
    return Verdict(passed=False, reason=f"answered {shown(type(passed).__name__)}, not a verdict")
