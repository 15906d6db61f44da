"""What is in a vault: every read of a claim, a manifest or a journal, and the one resolver of refs."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from heapq import merge
from typing import TYPE_CHECKING, Literal, NamedTuple

from modelvault import layout, reference
from modelvault.blobs import Blobs
from modelvault.cache import Records
from modelvault.errors import Code, Corrupt, InvalidInput, NotFound, StaleAlias, StoreError, shown
from modelvault.journal import Journal
from modelvault.marks import UNDONE_BY, content_of
from modelvault.reference import AliasRef, DigestRef, Number, NumberRef, RangeRef, Ref
from modelvault.stores import KeyMissing, Store
from modelvault.wire import (
    RELEASE_SET,
    RELEASE_SET_FILE,
    Claim,
    Manifest,
    Member,
    Move,
    Note,
    Policy,
    Target,
    read_manifest,
    read_release_set,
)

if TYPE_CHECKING:
    from modelvault.cache.heads import Heads

__all__ = ["Catalog", "Found", "Objection", "age"]

_MANIFESTS = 256
_JOURNALS = 4096
_SET_LIMIT = 1024 * 1024
"""Bytes of the file that names the members of a release set."""


class Found(NamedTuple):
    """A version that a ref resolved to.  `key` is the record that pins its digest: a claim or a move.

    `stale` is None, or how many seconds ago the store confirmed it, where it could not be asked now.
    """

    model: str
    target: Target
    key: str
    stale: float | None = None


class Objection(NamedTuple):
    """What speaks against choosing a version: who names it exactly still gets it."""

    ref: str
    kind: Literal["yanked", "quarantined"]
    text: str


class Catalog:
    """The records of a vault, as nouns."""

    def __init__(self, records: Records, blobs: Blobs, heads: Heads | None = None) -> None:
        self.records = records
        self.blobs = blobs
        self.heads = heads
        self._manifests: dict[str, Manifest] = {}
        self._journals: dict[tuple[str, str], Journal[Move]] = {}

    @property
    def store(self) -> Store:
        """Where they are."""
        return self.records.store

    def fresh(self) -> Catalog:
        """The same store, with nothing remembered and no cache: for proofs."""
        return Catalog(Records(self.store), Blobs(self.store))

    def models(self) -> list[str]:
        """The names of all models, in order."""
        return self._folders(layout.MODELS)

    def numbers(self, model: str) -> list[Number]:
        """The numbers of a model's versions, newest first."""
        return reference.newest_first(layout.number_of(entry.key) for entry in self.store.list(layout.versions(model)))

    def published(self, model: str) -> bool:
        """The model has a version."""
        return any(True for _ in self.store.list(layout.versions(model), limit=1))

    def aliases(self, model: str) -> list[str]:
        """The names of a model's aliases, in order."""
        return self._folders(layout.aliases(model))

    def journal(self, model: str, alias: str) -> Journal[Move]:
        """The moves of an alias; the same journal each time, so that it remembers what it has seen."""
        known = self._journals.get((model, alias))
        if known is not None:
            return known
        names = {"model": model, "alias": alias}
        made = Journal(self.records, layout.journal(model, alias), Move, names, self.heads)
        if len(self._journals) >= _JOURNALS:
            self._journals.clear()
        return self._journals.setdefault((model, alias), made)

    def seen(self) -> list[tuple[Move, float]]:
        """The newest moves that this process has seen, and how many seconds ago; nothing is asked of the store."""
        known = (self._journals[names].remembered() for names in sorted(self._journals))
        return [one for one in known if one is not None]

    def noted(self, model: str) -> set[str]:
        """The numbers of a model's versions on which there are notes."""
        return set(self._folders(layout.noted(model)))

    def notes(self, model: str, number: str) -> Journal[Note]:
        """The notes on a version."""
        names = {"model": model, "version": number, "content": ""}
        return Journal(self.records, layout.notes(model, number), Note, names)

    def marked(self, model: str) -> set[str]:
        """The contents of a model, in hex, on which there are marks."""
        return set(self._folders(layout.marked(model)))

    def marks(self, model: str, content: str) -> Journal[Note]:
        """The marks on a content: quarantines and releases."""
        return Journal(self.records, layout.marks(model, content), Note, {"model": model, "content": content})

    def policies(self, model: str, alias: str) -> Journal[Policy]:
        """What promotions of an alias were and are asked."""
        return Journal(self.records, layout.policy(model, alias), Policy, {"model": model, "alias": alias})

    def protected(self, model: str) -> list[str]:
        """The aliases of a model that have, or had, a policy."""
        return self._folders(layout.policies(model))

    def said(self, manifest: Manifest) -> list[Note]:
        """All that was said of a version since: the notes on it, and the marks on its content; newest first."""
        notes = self.notes(manifest.model, manifest.version).entries()
        marks = self.marks(manifest.model, content_of(manifest)).entries()
        return [*merge(notes, marks, key=lambda note: note.at, reverse=True)]

    def claim(self, model: str, number: str) -> Claim:
        """The claim of a version.

        Raises:
            NotFound: `model-not-found` or `version-not-found`.
            Corrupt: `bad-record`, it is damaged or another version's.
        """
        key = layout.claim(model, number)
        try:
            claim = self.records.read(Claim, key).record
        except KeyMissing:
            raise self.missing(model, f"{model}:{number}") from None
        if claim.model != model or claim.target.version != number:
            raise Corrupt(
                f"{key} holds the claim of {claim.model}:{claim.target.version}",
                code=Code.BAD_RECORD,
                hint="an object was swapped; compare with a copy of the vault",
                ref=key,
            )
        return claim

    def manifest(self, model: str, target: Target) -> Manifest:
        """The manifest that `target` pins.

        Raises:
            Corrupt: `digest-mismatch`, `bad-record` or `blob-missing`; it is damaged, or another version's.
        """
        manifest = self._manifests.get(target.digest)
        if manifest is None:
            where = f"{model}:{target.version}"
            raw = target.inline.encode() if target.inline is not None else self._stored_manifest(target)
            manifest = read_manifest(raw, target.digest, where)
            if len(self._manifests) >= _MANIFESTS:
                self._manifests.clear()
            self._manifests[target.digest] = manifest
        if manifest.model != model or manifest.version != target.version:
            raise Corrupt(
                f"{model}:{target.version} has the manifest of {manifest.model}:{manifest.version}",
                code=Code.BAD_RECORD,
                hint="a record was forged or swapped; compare with a copy of the vault",
                ref=f"{model}:{target.version}",
            )
        return manifest

    def newest(self, model: str, alias: str) -> Move:
        """The newest move of an alias.

        Raises:
            NotFound: `alias-not-found`, with the aliases that there are.
        """
        move = self.journal(model, alias).newest()
        if move is None:
            names = self.aliases(model)
            if not names and not self.numbers(model):
                raise self.missing(model, f"{model}@{alias}")
            hint = f"aliases of {model}: {', '.join(names)}" if names else f"{model} has no alias: promote a version"
            raise NotFound(
                f"there is no alias {model}@{alias}", code=Code.ALIAS_NOT_FOUND, hint=hint, ref=f"{model}@{alias}"
            )
        return move

    def members(self, manifest: Manifest) -> Mapping[str, Member]:
        """What a release set consists of; nothing, if it is none.

        Raises:
            Corrupt: `bad-record`, it does not say so.
        """
        if manifest.format != RELEASE_SET:
            return {}
        where = f"{manifest.model}:{manifest.version}"
        file = next((one for one in manifest.files if one.path == RELEASE_SET_FILE), None)
        if file is None or file.size > _SET_LIMIT:
            raise Corrupt(f"{where} does not name its members", code=Code.BAD_RECORD, ref=where)
        return read_release_set(self.blobs.read(file), where).members

    def followed(self, manifest: Manifest) -> dict[str, Found]:
        """The versions that a release set names, each still what it was.

        Raises:
            Corrupt: `bad-record`, one is gone, or a set itself; `digest-mismatch`, it is another.
        """
        return {name: self._member(manifest, member) for name, member in self.members(manifest).items()}

    def _member(self, manifest: Manifest, member: Member) -> Found:
        ref, owner = f"{member.model}:{member.version}", f"{manifest.model}:{manifest.version}"
        try:
            claim = self.claim(member.model, member.version)
        except NotFound as error:
            raise Corrupt(f"{ref}, a member of {owner}, is gone", code=Code.BAD_RECORD, ref=ref) from error
        if claim.target.digest != member.digest:
            fault = f"{ref} is not what it was when {owner} took it as a member"
            raise Corrupt(fault, code=Code.DIGEST_MISMATCH, hint="compare with a copy of the vault", ref=ref)
        if self.manifest(member.model, claim.target).format == RELEASE_SET:
            raise Corrupt(f"{ref}, a member of {owner}, is a set itself", code=Code.BAD_RECORD, ref=ref)
        return Found(member.model, claim.target, layout.claim(member.model, member.version))

    def objection(self, manifest: Manifest, *, to_yanked: bool = True) -> Objection | None:
        """Why a version is not to be chosen, if it is not: its number is yanked, or its content in quarantine; or a member's."""
        members = (self.manifest(found.model, found.target) for found in self.followed(manifest).values())
        found = (self._objection(one, to_yanked=to_yanked) for one in (manifest, *members))
        return next((one for one in found if one), None)

    def _objection(self, manifest: Manifest, *, to_yanked: bool) -> Objection | None:
        yank = _holding(self.notes(manifest.model, manifest.version), "yank") if to_yanked else None
        note = yank or _holding(self.marks(manifest.model, content_of(manifest)), "quarantine")
        if note is None:
            return None
        return Objection(f"{manifest.model}:{manifest.version}", "yanked" if yank else "quarantined", note.text)

    def resolve(self, ref: Ref, *, offline: bool = False) -> Found:
        """The version that `ref` names: exactly that, or an error.

        With `offline`, where the store cannot be reached, a plain alias means what it last meant, and `StaleAlias` says so.
        For readers alone: who writes must know what is there.

        Raises:
            NotFound: nothing answers to it; the hint lists what there is.
            Corrupt: what does is damaged.
        """
        match ref:
            case NumberRef(model, number):
                return self._claimed(model, number)
            case AliasRef(model, alias):
                journal = self.journal(model, alias)
                try:
                    move = journal.newest()
                except StoreError as error:
                    if error.code == Code.STORE_UNREACHABLE and offline and not (ref.back or ref.at):
                        return self._remembered(ref, journal, error)
                    raise
                if ref.back or ref.at or move is None:
                    move = self._past(ref, journal, move or self.newest(model, alias))
                if move.target is None:
                    raise _retired(ref, move)
                return Found(model, move.target, layout.entry(journal.folder, move.seq))
            case RangeRef(model, range):
                return self._claimed(model, self._best(model, range))
            case DigestRef():
                return self._pinned(ref)

    def _of(self, model: str, number: str) -> Manifest:
        return self.manifest(model, self.claim(model, number).target)

    def _claimed(self, model: str, number: str) -> Found:
        return Found(model, self.claim(model, number).target, layout.claim(model, number))

    def _remembered(self, ref: AliasRef, journal: Journal[Move], error: StoreError) -> Found:
        """What the alias meant when the store last answered; `error` if nobody has seen that."""
        known = journal.remembered()
        if known is None:
            raise error
        move, stale = known
        if move.target is None:
            raise _retired(ref, move)
        warning = StaleAlias(
            f"{ref} is {ref.model}:{move.version} as of {age(stale)} ago: the store at {shown(self.store.url)} "
            f"cannot be reached ({shown(error)})"
        )
        warnings.warn(warning, stacklevel=4)  # whoever called a verb of the vault
        return Found(ref.model, move.target, layout.entry(journal.folder, move.seq), stale)

    def _past(self, ref: AliasRef, journal: Journal[Move], newest: Move) -> Move:
        """The move that `ref` means, at or before the newest."""
        if ref.back < newest.seq and ref.at is None:
            return journal.chain(newest.seq, newest.seq - ref.back)[-1]
        for seq in range(newest.seq, 0, -1) if ref.at else ():
            move = journal.entry(seq)
            if ref.at and move.at <= ref.at:
                return journal.chain(newest.seq, seq)[-1]
        raise NotFound(
            f"{ref} is before the first of the {newest.seq} moves of {ref.model}@{ref.alias}",
            code=Code.ALIAS_NOT_FOUND,
            hint=f"'modelvault history {ref.model}@{ref.alias}' lists them",
            ref=str(ref),
        )

    def _best(self, model: str, range: str) -> Number:
        numbers = self.numbers(model)
        for number in reference.matching(range, numbers):
            if self.objection(self._of(model, number)) is None:
                return number
        raise self.missing(model, f"{model}:{range}")

    def _pinned(self, ref: DigestRef) -> Found:
        claims = [self.claim(ref.model, number) for number in self.numbers(ref.model)]
        found = [claim for claim in claims if claim.target.digest.partition(":")[2].startswith(ref.prefix)]
        if len(found) > 1:
            raise InvalidInput(
                f"{ref} is ambiguous: {', '.join(claim.target.version for claim in found)}",
                code=Code.BAD_REF,
                hint="give more digits",
                ref=str(ref),
            )
        if not found:
            raise self.missing(ref.model, str(ref))
        return self._claimed(ref.model, found[0].target.version)

    def _stored_manifest(self, target: Target) -> bytes:
        assert target.blob is not None
        return self.blobs.blob(target.blob, target.size)

    def missing(self, model: str, ref: str) -> NotFound:
        """The error for `ref`, of which there is nothing: it says what there is."""
        numbers = self.numbers(model)
        if numbers:
            some = ", ".join(numbers[:5]) + (", …" if len(numbers) > 5 else "")
            return NotFound(
                f"there is no {ref}", code=Code.VERSION_NOT_FOUND, hint=f"versions of {model}: {some}", ref=ref
            )
        models = ", ".join(self.models()[:5]) or "none"
        hint = f"models in the vault at {shown(self.store.url)}: {models}"
        return NotFound(f"there is no model {model}", code=Code.MODEL_NOT_FOUND, hint=hint, ref=ref)

    def _folders(self, prefix: str) -> list[str]:
        return [layout.folder_name(entry.key) for entry in self.store.list(prefix) if entry.key.endswith("/")]


def _holding(journal: Journal[Note], kind: Literal["yank", "quarantine"]) -> Note | None:
    """The newest note of this kind, if none has taken it back since."""
    for note in _downwards(journal):
        if note.kind in {kind, UNDONE_BY[kind]}:
            return note if note.kind == kind else None
    return None


def _downwards(journal: Journal[Note]) -> Iterator[Note]:
    newest = journal.newest()
    for seq in range(newest.seq if newest else 0, 0, -1):
        yield journal.entry(seq)


def age(seconds: float) -> str:
    """A span of time, in words."""
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def _retired(ref: AliasRef, move: Move) -> NotFound:
    return NotFound(
        f"{ref} is retired: {shown(move.reason)}",
        code=Code.ALIAS_NOT_FOUND,
        hint="promote a version to bring it back",
        ref=str(ref),
    )
