"""The verbs that say what promotions of an alias are asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelvault.cli.verb import ALIAS, GATES, REASON, Answer, Given, gates_of, opened, verb

if TYPE_CHECKING:
    from modelvault.wire import Policy


@verb(
    "protect fraud@prod --gate 'no_worse(auc)' --gate 'approved(1)' --reason 'on call asked for it'",
    ALIAS,
    GATES,
    REASON,
)
def protect(given: Given) -> Answer:
    """Keep gates for an alias in the vault, which all its promotions are asked."""
    made = opened(given).protect(given.alias, gates=gates_of(given), reason=given.reason, actor=given.actor)
    return _said(made)


@verb("unprotect fraud@prod --reason 'moved to fraud@live'", ALIAS, REASON)
def unprotect(given: Given) -> Answer:
    """Ask nothing of the promotions of an alias any more."""
    return _said(opened(given).unprotect(given.alias, reason=given.reason, actor=given.actor))


@verb("policy fraud@prod", ALIAS)
def policy(given: Given) -> Answer:
    """Show what promotions of an alias are asked."""
    found = opened(given).policy(given.alias)
    return Answer(None, f"{given.alias} is not protected") if found is None else _said(found)


def _said(policy: Policy) -> Answer:
    from modelvault.display.text import Card
    from modelvault.wire import as_json

    who = f"by {policy.actor}, {policy.at:%Y-%m-%d %H:%M:%S} UTC: {policy.reason}"
    fields = [("asks for", [*map(str, policy.gates)]), (policy.kind, [who])]
    return Answer(as_json(policy), Card(f"{policy.model}@{policy.alias}", fields))
