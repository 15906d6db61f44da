"""What following an alias needs of a vault."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, Self

from modelvault.catalog import Catalog
from modelvault.wire import JsonValue, Manifest, Move

__all__ = ["Source"]


class Source(Protocol):
    """A vault, as a live handle sees it: with records of its own, so that no lock is shared with other users of the vault.

    It pickles, to go to a process that tries a version first.
    """

    @property
    def catalog(self) -> Catalog:
        """The records."""
        ...

    @property
    def shared(self) -> bool:
        """Its heads are on disk, for all processes of this user."""
        ...

    def renewed(self) -> Self:
        """The same, with nothing remembered: for the child of a fork."""
        ...

    def folder(self) -> Path | None:
        """Where this user's processes keep what they know of the vault; None if there is no such place."""
        ...

    def fetch(self, move: Move) -> Manifest:
        """Bring the files that `move` points to into the cache, if there is one, verified."""
        ...

    def load(self, manifest: Manifest, move: Move) -> Any:
        """The object, every byte of which is verified, if the reader trusts its format."""
        ...

    def retire(self, move: Move, *, reason: str, evidence: Mapping[str, JsonValue]) -> Move:
        """Retire the alias, if `move` is its newest: one compare-and-set.  Raises Conflict if it is not."""
        ...

    def quarantine(self, move: Move, made: Move, *, reason: str) -> bool:
        """Keep the content that `move` brought from use, because of the rollback `made`; False if that restored the same."""
        ...

    def rollback(self, move: Move, *, reason: str, evidence: Mapping[str, JsonValue]) -> Move:
        """Undo `move`, if it is still the newest: one compare-and-set.  Raises Conflict if it is not."""
        ...
