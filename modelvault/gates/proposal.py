"""What a gate is asked, what it may look at, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import NamedTuple, Protocol

from modelvault.wire import JsonValue, Manifest, Move, Note

__all__ = ["Gate", "Past", "Proposal", "Verdict"]


class Past(Protocol):
    """What a gate may ask of the model's past.  It only reads; what is not there is empty."""

    def history(self, alias: str, /) -> Sequence[Move]:
        """The moves of an alias of the model, newest first."""
        ...

    def notes(self, number: str, /) -> Sequence[Note]:
        """The notes on a version of the model, newest first."""
        ...


class _Nothing:
    """Where there is no vault to ask."""

    def history(self, alias: str, /) -> Sequence[Move]:
        return ()

    def notes(self, number: str, /) -> Sequence[Note]:
        return ()


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
    digest: str = ""
    """The digest of the version that is proposed."""
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    """When it is proposed, by the clock of the one who does."""
    past: Past = field(default_factory=_Nothing)
    """Notes and histories of the model, for gates to which manifests say too little."""


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
