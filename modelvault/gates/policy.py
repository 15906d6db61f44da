"""From a policy to the gates that it names.  What cannot be judged must not pass."""

from __future__ import annotations

from modelvault.errors import InvalidInput, shown
from modelvault.gates.named import Named, made
from modelvault.gates.proposal import Gate, Proposal, Verdict
from modelvault.wire import GateRule, Policy

__all__ = ["demands", "in_force"]


def in_force(policy: Policy | None) -> Policy | None:
    """The policy, if it asks for anything."""
    return None if policy is None or policy.kind == "unprotect" else policy


def demands(policy: Policy) -> list[Gate]:
    """The gates of a policy.  What this release does not know becomes a gate that refuses."""
    unknown = [f"the member {shown(name)}" for name in policy.model_extra or ()]
    if policy.kind not in {"protect", "unprotect"}:
        unknown.append(f"the kind {shown(policy.kind)}")
    return [*map(_gate, policy.gates), *(_refusing("policy", what) for what in unknown)]


def _gate(rule: GateRule) -> Gate:
    if rule.model_extra:
        return _refusing(rule.gate, f"the member {shown(next(iter(rule.model_extra)))}")
    try:
        return made(rule.gate, rule.arguments)
    except InvalidInput as error:
        return _refusing(rule.gate, error.message)


def _refusing(name: str, what: str) -> Gate:
    def check(_: Proposal) -> Verdict:
        return Verdict(passed=False, reason=f"this release cannot judge it: {what}")

    return Named(name, {}, check)
