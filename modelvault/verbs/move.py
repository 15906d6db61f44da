"""The verbs that move aliases, and those that remark on versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, get_args

from modelvault import reference
from modelvault.canonical import storable
from modelvault.errors import Code, InvalidInput, shown
from modelvault.marks import MARKS, content_of
from modelvault.verbs.opened import Opened, is_near
from modelvault.version import Version
from modelvault.wire import Move, Note, NoteKind, record

if TYPE_CHECKING:
    from modelvault.check import Check
    from modelvault.gates import Gate
    from modelvault.moving import Who
    from modelvault.proposing import Intent


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
        dry_run: bool = False,
    ) -> Move:
        """Point an alias at a version.  Commit point: the create of the alias's next entry.

        Where the alias is there already nothing is written, and its newest move is returned as it is.

        Takes exactly the version that is named, yanked or not; but nothing that is in quarantine.  The move keeps what
        the gates said, and whether callers of the one version can call the other, both ways (``evidence["backward"]``,
        ``["rollback_safe"]``, ``["because"]``).

        Args:
            alias: such as ``"fraud@prod"``; it is made by its first promotion.
            to: a version, its number, or a ref of the same model.
            reason: why; it stays in the history.
            expect: the number that the alias must point to now; ``""`` that it must not exist.
            gates: checks that may refuse, beside those of the alias's policy; they see the current and the proposed manifest.
            actor: who promotes.
            dry_run: write nothing, and return the move that would be made; raises what promoting would.

        Raises:
            Conflict: `alias-moved`, it does not point to what was expected.
            Refused: `gate-refused`, with every reason; `quarantined`.
            NotFound: there is no such version.
            CommitUncertain: the store could not say whether it happened.
        """
        return self._promoted(alias, to, reason, expect, gates, actor, dry_run)[0]

    def _promoted(
        self,
        alias: str,
        to: Version | str,
        reason: str,
        expect: str | None,
        gates: Sequence[Gate],
        actor: str | None,
        dry_run: object,
    ) -> tuple[Move, bool]:
        """The move, and whether it is new."""
        from modelvault import moving

        if not isinstance(dry_run, bool):
            raise InvalidInput("dry_run is True or False", code=Code.BAD_VALUE)
        who = self._who(actor, reason)
        move = moving.promote(self._catalog, self._meant(alias, to, who, gates), who, expect=expect, dry=dry_run)
        return move, move.txn == who.txn

    def check(self, to: Version | str, *, against: str, gates: Sequence[Gate] = (), actor: str | None = None) -> Check:
        """What would be said if a version were promoted: its signature both ways, the gates of the policy, and others.

        Nothing is written.

        Args:
            to: the candidate: a version, its number, or a ref of the same model.
            against: the alias that it would be promoted to.
            gates: others to be asked.
            actor: who would promote.

        Raises:
            NotFound: there is no such version.
            Corrupt: what is stored is not what was published.
        """
        from modelvault.check import checked
        from modelvault.proposing import proposed

        who = self._who(actor, "a check")
        intent = self._meant(against, to, who, gates)
        newest = self._catalog.journal(intent.ref.model, intent.ref.alias).newest()
        return checked(proposed(self._catalog, intent, newest, who.clock()))

    def _meant(self, alias: str, to: Version | str, who: Who, gates: Sequence[Gate]) -> Intent:
        from modelvault.gates import listed
        from modelvault.proposing import Intent

        ref, far = reference.parse_alias(alias), not is_near(self._store)
        return Intent(ref, self._within(ref.model, to).target, who.reason, who.actor, listed(gates), far)

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

        An undo, not a swap: a second rollback goes one further back.  What is yanked or in quarantine is passed over, and the
        move says so (``evidence["skipped"]``).  The target is proven present first, and up to 64 MiB every byte of it is verified.

        Args:
            alias: such as ``"fraud@prod"``.
            reason: why; it stays in the history.
            to: go back as far as this version, which the alias must have pointed to.
            expect: the number that the alias must point to now.
            actor: who rolls back.

        Raises:
            NotFound: `nothing-to-undo`; `alias-not-found`.
            Conflict: `alias-moved`, it does not point to what was expected.
            Refused: `yanked` or `quarantined`, the version given as `to` is.
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
        evidence: Mapping[str, object] | None = None,
        actor: str | None = None,
    ) -> Note:
        """Add a remark to a version, for ever.  Commit point: the create of the version's next note.

        Args:
            ref: the version.
            text: what there is to say.
            kind: what kind of remark it is; `yank`, `quarantine` and what takes them back do what the verbs of that name do.
            metrics: finite numbers by name.
            evidence: what the remark rests on, as JSON can say it.
            actor: who says so.

        Raises:
            NotFound: nothing answers to `ref`.
            InvalidInput: `bad-value`, there is no such kind, or a metric is not finite.
        """
        from modelvault.publishing import evidence_of, metrics_of

        if storable(kind, "a kind") not in get_args(NoteKind):
            raise InvalidInput(
                f"{shown(kind)} is no kind of note", code=Code.BAD_VALUE, hint=", ".join(get_args(NoteKind))
            )
        found = self._catalog.resolve(reference.parse(ref))
        who = self._who(actor, text)
        manifest = self._catalog.manifest(found.model, found.target)
        content = content_of(manifest) if kind in MARKS else ""
        catalog = self._catalog
        journal = catalog.marks(found.model, content) if content else catalog.notes(found.model, manifest.version)
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
                evidence=evidence_of(evidence),
                content=content,
                actor=who.actor,
                at=slot.at(who.clock),
            )
        )

    def yank(self, ref: str, *, reason: str, actor: str | None = None) -> Note:
        """Take a version out of ranges and rollbacks; whoever names it exactly still gets it.  Raises as `note`."""
        return self.note(ref, reason, kind="yank", actor=actor)

    def quarantine(
        self, ref: str, *, reason: str, evidence: Mapping[str, object] | None = None, actor: str | None = None
    ) -> Note:
        """Keep the content of a version from use, under this number and any other that it is published with.

        Ranges and rollbacks pass it over, and no alias can be promoted to it; whoever names it exactly still loads it, and
        aliases stay where they are.  Commit point: the create of the content's next mark.  Raises as `note`.

        Args:
            ref: the version.
            reason: why; it is kept for ever.
            evidence: what that rests on, as JSON can say it.
            actor: who says so.
        """
        return self.note(ref, reason, kind="quarantine", evidence=evidence, actor=actor)

    def release(self, ref: str, *, reason: str, actor: str | None = None) -> Note:
        """Take the content of a version out of quarantine.  Raises as `note`."""
        return self.note(ref, reason, kind="release", actor=actor)

    def unyank(self, ref: str, *, reason: str, actor: str | None = None) -> Note:
        """Undo a yank.  Raises as `note`."""
        return self.note(ref, reason, kind="unyank", actor=actor)
