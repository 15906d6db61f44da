"""The verbs that move aliases, and those that remark on versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, get_args

from modelvault import reference
from modelvault.canonical import storable
from modelvault.errors import Code, InvalidInput, shown
from modelvault.verbs.opened import Opened
from modelvault.version import Version
from modelvault.wire import Move, Note, NoteKind, record

if TYPE_CHECKING:
    from modelvault.gates import Gate


class Moving(Opened):
    """A vault whose aliases can be moved."""

    def promote(
        self,
        alias: str,
        to: Version | str,
        *,
        reason: str,
        expect: str | None = None,
        gates: Sequence[Gate] = (),
        actor: str | None = None,
    ) -> Move:
        """Point an alias at a version.  Commit point: the create of the alias's next entry.

        Takes exactly the version that is named, yanked or not.

        Args:
            alias: such as ``"fraud@prod"``; it is made by its first promotion.
            to: a version, its number, or a ref of the same model.
            reason: why; it stays in the history.
            expect: the number that the alias must point to now; ``""`` that it must not exist.
            gates: checks that may refuse; they see the current and the proposed manifest.
            actor: who promotes.

        Raises:
            Conflict: `alias-moved`, it does not point to what was expected.
            Refused: `gate-refused`, with every reason.
            NotFound: there is no such version.
            CommitUncertain: the store could not say whether it happened.
        """
        from modelvault import moving

        ref = reference.parse_alias(alias)
        target = self._within(ref.model, to).target
        return moving.promote(self._catalog, ref, target, self._who(actor, reason), expect=expect, gates=gates)

    def rollback(
        self,
        alias: str,
        *,
        reason: str,
        to: Version | str | None = None,
        expect: str | None = None,
        actor: str | None = None,
    ) -> Move:
        """Point an alias back at what it pointed to before.  Commit point: the create of the alias's next entry.

        An undo, not a swap: a second rollback goes one further back.  Yanked versions are passed over, and the move says
        so (``evidence["skipped"]``).  The target is proven present first, and up to 64 MiB every byte of it is verified.

        Args:
            alias: such as ``"fraud@prod"``.
            reason: why; it stays in the history.
            to: go back as far as this version, which the alias must have pointed to.
            expect: the number that the alias must point to now.
            actor: who rolls back.

        Raises:
            NotFound: `nothing-to-undo`; `alias-not-found`.
            Conflict: `alias-moved`, it does not point to what was expected.
            Refused: `yanked`, the version given as `to` is yanked.
            Corrupt: the target is damaged; the alias stays where it is.
        """
        from modelvault import moving

        ref = reference.parse_alias(alias)
        target = None if to is None else self._within(ref.model, to).target
        return moving.rollback(self._catalog, ref, self._who(actor, reason), to=target, expect=expect)

    def note(
        self,
        ref: str,
        text: str,
        *,
        kind: NoteKind = "remark",
        metrics: Mapping[str, float] | None = None,
        actor: str | None = None,
    ) -> Note:
        """Add a remark to a version, for ever.  Commit point: the create of the version's next note.

        Raises:
            NotFound: nothing answers to `ref`.
            InvalidInput: `bad-value`, there is no such kind, or a metric is not finite.
        """
        from modelvault.publishing import metrics_of

        if storable(kind, "a kind") not in get_args(NoteKind):
            raise InvalidInput(
                f"{shown(kind)} is no kind of note", code=Code.BAD_VALUE, hint=", ".join(get_args(NoteKind))
            )
        found = self._catalog.resolve(reference.parse(ref))
        who = self._who(actor, text)
        journal = self._catalog.notes(found.model, found.target.version)
        return journal.append(
            lambda _, slot: record(
                Note,
                model=found.model,
                version=found.target.version,
                seq=slot.seq,
                prev=slot.prev,
                txn=who.txn,
                kind=kind,
                text=who.reason,
                metrics=metrics_of(metrics),
                actor=who.actor,
                at=slot.at(who.clock),
            )
        )

    def yank(self, ref: str, *, reason: str, actor: str | None = None) -> Note:
        """Take a version out of ranges and rollbacks; whoever names it exactly still gets it.  Raises as `note`."""
        return self.note(ref, reason, kind="yank", actor=actor)

    def unyank(self, ref: str, *, reason: str, actor: str | None = None) -> Note:
        """Undo a yank.  Raises as `note`."""
        return self.note(ref, reason, kind="unyank", actor=actor)
