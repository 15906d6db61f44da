"""The verbs that say what promotions of an alias are asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from modelvault import reference
from modelvault.errors import Code, InvalidInput, NotFound
from modelvault.reference import AliasRef
from modelvault.verbs.opened import Opened
from modelvault.wire import GateRule, Policy, record

if TYPE_CHECKING:
    from modelvault.gates import Gate


class Protecting(Opened):
    """A vault whose aliases can be protected."""

    def protect(self, alias: str, *, gates: Sequence[Gate], reason: str, actor: str | None = None) -> Policy:
        """Keep gates for an alias in the vault: every promotion of it, by whomever, is asked them from now on.

        What was asked before is replaced.  Rollbacks are asked nothing.  It is a guard-rail among those who use this library:
        who can write to the store can take it away.  Commit point: the create of the alias's next policy.

        Args:
            alias: such as ``"fraud@prod"``; it need not exist yet.
            gates: of `modelvault.gates`: a policy holds them by name, for others have no function of yours.
            reason: why; it is kept for ever.
            actor: who says so.

        Raises:
            InvalidInput: `bad-value`, a gate has no name that others know, or there is none.
            NotFound: `model-not-found`.
        """
        from modelvault.gates import listed
        from modelvault.gates.named import rule

        rules = [rule(gate) for gate in listed(gates)]
        if not rules:
            raise InvalidInput(
                "a policy asks for something", code=Code.BAD_VALUE, hint="gates=[…]; unprotect takes it away"
            )
        ref = reference.parse_alias(alias)
        if not self._catalog.published(ref.model):
            raise self._catalog.missing(ref.model, ref.model)
        return self._decreed(ref, "protect", rules, reason, actor)

    def unprotect(self, alias: str, *, reason: str, actor: str | None = None) -> Policy:
        """Ask nothing of promotions of an alias any more.  Commit point: the create of the alias's next policy.

        Raises:
            NotFound: `policy-not-found`, it never had one.
        """
        ref = reference.parse_alias(alias)
        if self._catalog.policies(ref.model, ref.alias).newest() is None:
            raise NotFound(
                f"{ref} has no policy",
                code=Code.POLICY_NOT_FOUND,
                hint=f"aliases of {ref.model} that have: {', '.join(self._catalog.protected(ref.model)) or 'none'}",
                ref=str(ref),
            )
        return self._decreed(ref, "unprotect", [], reason, actor)

    def policy(self, alias: str) -> Policy | None:
        """What promotions of an alias are asked, who said so, and why; None if nothing is."""
        from modelvault.gates.policy import in_force

        ref = reference.parse_alias(alias)
        return in_force(self._catalog.policies(ref.model, ref.alias).newest())

    def _decreed(
        self,
        ref: AliasRef,
        kind: Literal["protect", "unprotect"],
        rules: list[GateRule],
        reason: str,
        actor: str | None,
    ) -> Policy:
        who = self._who(actor, reason)
        return self._catalog.policies(ref.model, ref.alias).append(
            lambda _, slot: record(
                Policy,
                model=ref.model,
                alias=ref.alias,
                seq=slot.seq,
                prev=slot.prev,
                txn=who.txn,
                kind=kind,
                gates=rules,
                actor=who.actor,
                reason=who.reason,
                at=slot.at(who.clock),
            )
        )
