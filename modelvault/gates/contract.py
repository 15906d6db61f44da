"""Gates on what callers rely on: signatures, both ways."""

from __future__ import annotations

from modelvault.gates.proposal import Proposal, Verdict
from modelvault.wire import JsonValue, Manifest

__all__ = ["compatible", "rollback_safe", "signature", "ways"]

_REASONS = 20


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
    """Those who call the version in place can call the one proposed."""
    forth = _against(proposal.current, proposal.proposed)
    return Verdict(not forth, "; ".join(forth))


def rollback_safe(proposal: Proposal) -> Verdict:
    """Those who call the version proposed can call the one in place: the way back is open."""
    back = _against(proposal.proposed, proposal.current)
    return Verdict(not back, f"on the way back, {'; '.join(back)}" if back else "")


def ways(current: Manifest, proposed: Manifest) -> dict[str, JsonValue]:
    """Whether callers of the one can call the other, both ways, as evidence; None where that is not known.

    Whether a rollback is safe is decided when what it is to undo is promoted.
    """
    sides = (("backward", current, proposed), ("rollback_safe", proposed, current))
    found: dict[str, JsonValue] = {name: _can(old, new) for name, old, new in sides}
    forth, back = (_against(old, new) for _, old, new in sides)
    because = [*forth, *(f"on the way back, {reason}" for reason in back)]
    more = [f"… and {len(because) - _REASONS} more"] if len(because) > _REASONS else []
    return found | ({"because": [*because[:_REASONS], *more]} if because else {})


def _can(old: Manifest, new: Manifest) -> bool | None:
    """Callers of `old` can call `new`; None if that is not known."""
    from modelvault.signature.bump import contract_bump

    bump = contract_bump(old.signature, new.signature, old.version)
    return False if bump.level == "major" else None if bump.unknown else True


def _against(old: Manifest | None, new: Manifest | None) -> tuple[str, ...]:
    """Why `new` cannot stand in for `old`, or why that is not known."""
    from modelvault.signature.bump import contract_bump

    if old is None or new is None:
        return ()
    bump = contract_bump(old.signature, new.signature, old.version)
    return bump.reasons if bump.level == "major" else bump.unknown
