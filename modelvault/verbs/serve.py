"""The verbs of models in service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelvault import reference
from modelvault.errors import Code, InvalidInput, NotFound, shown
from modelvault.verbs.opened import Opened

if TYPE_CHECKING:
    from modelvault.serving.record import Explanation


class Serving(Opened):
    """A vault whose models are in service."""

    def explain(self, alias: str, seq: int | None = None) -> Explanation:
        """Why an alias was moved; for a rollback by a guard, its evidence, computed again from the record alone.

        Args:
            alias: such as ``"fraud@prod"``.
            seq: the number of the entry in its history; the newest, if left out.

        Raises:
            NotFound: `alias-not-found`, there is no such alias or entry.
            Corrupt: a record is damaged.
        """
        from modelvault.serving.record import explained

        ref = reference.parse_alias(alias)
        if seq is not None and (type(seq) is not int or seq < 1):
            raise InvalidInput(f"{shown(seq)} is no number of an entry", code=Code.BAD_VALUE, hint="seq=1 is the first")
        journal = self._catalog.journal(ref.model, ref.alias)
        newest = journal.newest()
        last = newest.seq if newest else 0
        if not last or (seq or last) > last:
            raise NotFound(
                f"{ref} has {last:,} entries" if last else f"there is no {ref}",
                code=Code.ALIAS_NOT_FOUND,
                hint=f"'modelvault history {ref}'",
                ref=str(ref),
            )
        move, *before = journal.chain(seq or last, max((seq or last) - 1, 1))
        return explained(move, before[0] if before else None)
