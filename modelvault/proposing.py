"""A promotion before it is made: what it is of, what speaks against it, and what gates are to be asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from modelvault.blobs import parallel
from modelvault.catalog import Catalog, Objection
from modelvault.errors import Corrupt, shown
from modelvault.gates import Gate, Proposal
from modelvault.gates.contract import ways
from modelvault.gates.policy import demands, in_force
from modelvault.reference import AliasRef
from modelvault.wire import JsonValue, Manifest, Move, Note, Policy, Target

__all__ = ["Intent", "Proposed", "proposed"]


@dataclass(frozen=True, slots=True)
class Intent:
    """What somebody means to do: point `ref` at `target`, by gates of their own."""

    ref: AliasRef
    target: Target
    reason: str
    actor: str
    gates: Sequence[Gate]
    far: bool
    """The store is far: it is asked two things at a time."""


@dataclass(frozen=True, slots=True)
class Proposed:
    """What is found of an intent."""

    proposal: Proposal
    objection: Objection | None
    policy: Policy | None
    gates: Sequence[Gate]
    """Those of the policy, then the caller's own."""
    ways: dict[str, JsonValue]
    """Whether callers of the one version can call the other, both ways."""


def proposed(catalog: Catalog, intent: Intent, newest: Move | None, at: datetime) -> Proposed:
    """Look at what is to be moved, where the alias is at `newest`."""
    ref, manifest = intent.ref, catalog.manifest(intent.ref.model, intent.target)
    objection, policy = _spoken(catalog, ref, manifest, far=intent.far)
    gates = [*(demands(policy) if policy else ()), *intent.gates]
    current, open = _current(catalog, ref, newest, manifest, judged=bool(gates))
    said = (newest, current, manifest, intent.reason, intent.actor, intent.target.digest, at, _Past(catalog, ref.model))
    return Proposed(Proposal(ref.model, ref.alias, *said), objection, policy, gates, open)


def _spoken(
    catalog: Catalog, ref: AliasRef, manifest: Manifest, *, far: bool
) -> tuple[Objection | None, Policy | None]:
    """What speaks against the version, and what the policy of the alias asks."""
    policies = catalog.policies(ref.model, ref.alias)
    asked: list[Callable[[], object]] = [
        lambda: catalog.objection(manifest, to_yanked=False),
        lambda: in_force(policies.newest()),
    ]
    objection, policy = parallel(lambda ask: ask(), asked) if far else [ask() for ask in asked]
    return cast("Objection | None", objection), cast("Policy | None", policy)


def _current(
    catalog: Catalog, ref: AliasRef, newest: Move | None, manifest: Manifest, *, judged: bool
) -> tuple[Manifest | None, dict[str, JsonValue]]:
    """What the alias points to, and which ways are open; one that is damaged can be left, unless gates are to judge it."""
    if newest is None or newest.target is None:
        return None, {}
    try:
        current = catalog.manifest(ref.model, newest.target)
    except Corrupt as error:
        if judged:
            raise
        return None, {"backward": None, "rollback_safe": None, "because": [shown(error)]}
    return current, ways(current, manifest)


class _Past:
    """Notes and histories of a model, for gates."""

    def __init__(self, catalog: Catalog, model: str) -> None:
        self._catalog = catalog
        self._model = model

    def history(self, alias: str, /) -> Sequence[Move]:
        return self._catalog.journal(self._model, alias).entries()

    def notes(self, number: str, /) -> Sequence[Note]:
        return self._catalog.notes(self._model, number).entries()
