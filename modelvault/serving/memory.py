"""The last move of an alias whose version was brought into service on this host: what a start falls back on."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from modelvault.cache import folders
from modelvault.errors import VaultError
from modelvault.reference import AliasRef
from modelvault.wire import Move, read_sealed

__all__ = ["LastGood"]

_LIMIT = 16 * 1024 * 1024


class LastGood:
    """A file in the folder of one vault, which is replaced each time.  No failure leaves: it is a memory, not a record."""

    def __init__(self, folder: Path | None, ref: AliasRef) -> None:
        self._folder = folder
        self._ref = ref

    @property
    def _path(self) -> Path | None:
        return self._folder and self._folder / f"{self._ref.model}@{self._ref.alias}.json"

    def read(self) -> Move | None:
        """The move; None if nothing that can be used is remembered."""
        path = self._path
        with suppress(OSError, VaultError):
            if path and path.stat().st_size <= _LIMIT:
                move = read_sealed(Move, path.read_bytes(), str(path))
                if (move.model, move.alias) == (self._ref.model, self._ref.alias) and move.target:
                    return move
        return None

    def write(self, raw: bytes) -> None:
        """`raw` are the stored bytes of a move that was followed."""
        path = self._path
        if path is None:
            return
        new = path.with_name(f".tmp-{os.urandom(8).hex()}")
        with suppress(OSError, VaultError):
            folders.own(path.parent)
            try:
                new.write_bytes(raw)
                os.replace(new, path)
            except OSError:
                new.unlink(missing_ok=True)
                raise
