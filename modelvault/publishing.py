"""From files to a version: pick the number, store the bytes, take the label."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from modelvault import layout, reference
from modelvault.blobs import Blobs
from modelvault.blobs.sources import Source, described, sources
from modelvault.blobs.storing import measured, store_files
from modelvault.cache.measures import Measures
from modelvault.canonical import Json, digest_of, free_text, plain, refuse_secret, refuse_secrets, storable
from modelvault.catalog import Catalog
from modelvault.errors import AlreadyExists, Code, Conflict, InvalidInput, VaultError, shown
from modelvault.journal import pauses
from modelvault.paths import OURS, is_ours
from modelvault.progress import Meter
from modelvault.provenance import data_refs, environment, provenance
from modelvault.reference import Level, Number
from modelvault.stores import Key, KeyMissing, Stages, Taken
from modelvault.stores.commit import commit
from modelvault.wire import (
    Claim,
    File,
    JsonValue,
    Manifest,
    Target,
    read_sealed,
    record,
    seal,
    write_manifest,
)

__all__ = ["Label", "content", "evidence_of", "metrics_of", "publish"]

Clock = Callable[[], datetime]
Suit = Callable[["Label", list[Number]], "Label"]
"""The label that will do, given the numbers that are taken; or an error that says why the one asked for will not."""
Found = TypeVar("Found")

_WORTH_A_LOOK = 1024 * 1024
"""Bytes of a version from which on those before it are looked at for parts that it has, too: less is sent as quickly."""

_INLINE_MANIFEST = 24 * 1024
"""A manifest of up to this many bytes stands in its claim, and in every move to it: no request of its own."""


@dataclass(frozen=True, slots=True)
class Label:
    """Which number a version is to have: `version` exactly, or `bump` from the latest stable one (in the line of `base`).

    Raises:
        InvalidInput: `bad-version`, none was asked for, or both.
    """

    version: str | None
    bump: Level | Literal["auto"] | None
    base: str | None

    def __post_init__(self) -> None:
        if self.version is not None and (self.bump is not None or self.base is not None):
            raise InvalidInput(
                "version= names the number, bump= and base= derive one: give one or the other", code=Code.BAD_VERSION
            )
        if self.bump is not None and storable(self.bump, "bump") not in {"major", "minor", "patch", "auto"}:
            raise InvalidInput(
                f"bump={shown(self.bump)!r} is no level", code=Code.BAD_VERSION, hint="major, minor, patch or auto"
            )

    @property
    def silent(self) -> bool:
        """Nothing was said."""
        return self.version is None and self.bump is None

    @property
    def exact(self) -> bool:
        """The number does not depend on what is there."""
        return self.version is not None

    def number(self, model: str, numbers: Iterable[Number]) -> Number:
        """The number, given those that are taken."""
        if self.version is not None:
            return reference.number(self.version)
        taken = list(numbers)
        if self.bump is None and taken:
            raise InvalidInput(
                f"{model} has versions already, the newest {taken[0]}: which is this one?",
                code=Code.BAD_VERSION,
                hint='say bump="major" (callers must change), "minor" (predictions change), "patch" (they do not) or "auto", '
                "or version=…",
                ref=model,
            )
        base = None if self.base is None else reference.number(self.base)
        level = "patch" if self.bump is None or self.bump == "auto" else self.bump  # of the first version: any will do
        return reference.next_number(taken, level, base=base)


def content(
    format: str,
    modules: Iterable[str],
    params: Mapping[str, object] | None,
    metrics: Mapping[str, float] | None,
    data: Any,
    notes: str,
    obj: object = None,
) -> dict[str, Any]:
    """The members of a manifest that do not depend on number and files.

    Raises:
        InvalidInput: `bad-value`, or `secret-found` in what is to be kept for ever, with the name of the member.
    """
    said = cast("dict[str, JsonValue]", plain(_by_name(params, "params")))
    refuse_secrets(cast("Json", said), "params")
    return {
        "format": format,
        "params": said,
        "metrics": metrics_of(metrics),
        "data": data_refs(data),
        "notes": free_text(notes, "notes"),
        "environment": environment(modules),
        "provenance": provenance(obj, said),
    }


def metrics_of(metrics: Mapping[str, float] | None) -> dict[str, float]:
    """Metrics as plain finite floats; numbers of array libraries are taken.

    Raises:
        InvalidInput: `bad-value`, one is no number, or not finite.
    """
    named = _by_name(metrics, "metrics")
    try:
        return {free_text(name, "the name of a metric"): _number(value) for name, value in named.items()}
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput(f"a metric is no number: {shown(error)}", code=Code.BAD_VALUE) from error


def evidence_of(evidence: Mapping[str, object] | None) -> dict[str, JsonValue]:
    """Evidence as JSON can say it, for ever.

    Raises:
        InvalidInput: `bad-value`, it is not by name; `secret-found`.
    """
    said = cast("dict[str, JsonValue]", plain(_by_name(evidence, "evidence")))
    refuse_secrets(cast("Json", said), "evidence")
    return said


def _number(value: object) -> float:
    if isinstance(value, str | bytes | bytearray):
        raise TypeError("text")
    return float(cast("float", value))


def _by_name(values: Mapping[str, Any] | None, what: str) -> Mapping[str, Any]:
    given: object = values
    if given is None or isinstance(given, Mapping):
        return values or {}
    raise InvalidInput(f"{what} is a dict by name, not {shown(type(given).__name__)}", code=Code.BAD_VALUE)


def publish(
    catalog: Catalog,
    root: Path,
    *,
    model: str,
    label: Label,
    content: Mapping[str, Any],
    actor: str,
    clock: Clock,
    meter: Meter,
    measures: Callable[[], Measures],
    beside: Mapping[str, Path],
    suit: Suit | None = None,
    compress: bool = False,
) -> tuple[Manifest, Claim]:
    """Store what lies at `root` as a version, and the files of our own `beside` it.  Commit point: the create of its claim.

    `suit` has a say in the label.

    Raises:
        AlreadyExists: `version-exists`.
        Conflict: `journal-busy`, others took each number that came next.
        Refused, InvalidInput: as `suit`.
    """
    found = _all_sources(model, root, beside)
    large = sum(source.size for source in found) >= _WORTH_A_LOOK
    first = (
        large and not compress and isinstance(catalog.store, Stages) and not catalog.numbers(model)
    )  # with nothing to share bytes with
    make = partial(record, Manifest, model=model, **content)
    blobs = catalog.blobs.metered(meter)
    with measured(blobs, found, measures() if large else Measures(), stage=first):
        likely = partial(_likely, catalog, model, label) if large and not first else tuple
        store = partial(store_files, blobs, found, compress=compress)
        return _labelled(
            catalog, described(found), make, store, likely, suit, model=model, label=label, actor=actor, clock=clock
        )


def _all_sources(model: str, root: Path, beside: Mapping[str, Path]) -> list[Source]:
    found = sources(root)
    if not found:
        raise InvalidInput("there are no files to publish", code=Code.BAD_VALUE, ref=model)
    if taken := next((source.name for source in found if is_ours(source.name)), None):
        raise InvalidInput(
            f"the path {shown(taken)!r} is reserved",
            code=Code.BAD_PATH,
            hint=f"call the folder something else: {OURS} holds what is recorded of a version",
            ref=model,
        )
    refuse_secret("\n".join(source.name for source in found), "the name of a file")
    return sorted([*found, *(Source(path, name) for name, path in beside.items())], key=lambda one: one.name)


def _labelled(
    catalog: Catalog,
    files: tuple[File, ...],
    make: Callable[..., Manifest],
    store: Callable[[tuple[File, ...], Iterable[File]], tuple[File, ...]],
    likely: Callable[[], Iterable[File]],
    suit: Suit | None,
    *,
    model: str,
    label: Label,
    actor: str,
    clock: Clock,
) -> tuple[Manifest, Claim]:
    """Store what was measured, the `files`, under the first number that is free."""
    stored = False
    if label.exact and any(file.parts for file in files):
        _spare_the_upload(catalog, make(version=label.number(model, ()), files=files))
    for pause in pauses():
        numbers = [] if label.exact and not suit else catalog.numbers(model)
        if label.silent and numbers:
            again = _published(catalog, make(version=numbers[0], files=files))
            if again is not None:
                return again
        number = (suit(label, numbers) if suit else label).number(model, numbers)
        make(version=number, files=files)  # refuses what cannot be recorded before anything is stored
        if not stored:
            files, stored = store(files, likely()), True
        try:
            return _take(catalog, make(version=number, files=files), actor, clock, exact=label.exact)
        except Taken:
            pause()
    raise Conflict(f"too many publishers of {model} at once", code=Code.JOURNAL_BUSY, hint="run it again", ref=model)


def _published(catalog: Catalog, manifest: Manifest) -> tuple[Manifest, Claim] | None:
    """What stands under the number of `manifest`, if it is of equal content: publishing it again changes nothing."""
    claim = catalog.claim(manifest.model, manifest.version)
    return (catalog.manifest(manifest.model, claim.target), claim) if _same(catalog, claim, manifest) else None


def _spare_the_upload(catalog: Catalog, manifest: Manifest) -> None:
    """Fail before gigabytes are uploaded, if the number is taken by other content."""
    try:
        claim = catalog.records.read(Claim, layout.claim(manifest.model, manifest.version)).record
    except KeyMissing:
        return
    if not _same(catalog, claim, manifest):
        raise _exists(claim)


def _likely(catalog: Catalog, model: str, label: Label) -> list[File]:
    """The files of the versions that are likely to share parts with a new one.

    They are the newest, or what `base` names, and what the aliases point to.  What cannot be read shares nothing.
    """
    base = [reference.number(label.base)] if label.base else catalog.numbers(model)[:1]
    looks = [partial(_claimed, catalog, model, number) for number in base]
    looks += [partial(_pointed, catalog, model, alias) for alias in catalog.aliases(model)]
    targets = {target.digest: target for look in looks if (target := _unless_damaged(look))}
    manifests = [_unless_damaged(partial(catalog.manifest, model, target)) for target in targets.values()]
    return [file for manifest in manifests if manifest for file in manifest.files]


def _claimed(catalog: Catalog, model: str, number: str) -> Target | None:
    return catalog.claim(model, number).target


def _pointed(catalog: Catalog, model: str, alias: str) -> Target | None:
    return catalog.newest(model, alias).target


def _unless_damaged(look: Callable[[], Found | None]) -> Found | None:
    try:
        return look()
    except VaultError:
        return None


def _take(catalog: Catalog, manifest: Manifest, actor: str, clock: Clock, *, exact: bool) -> tuple[Manifest, Claim]:
    """Claim the number for the manifest; `Taken` where another has it, and another number would do."""
    target = _target(catalog.blobs, manifest)
    claim = record(Claim, model=manifest.model, target=target, txn=os.urandom(16).hex(), created=clock(), actor=actor)
    key, raw = layout.claim(manifest.model, manifest.version), seal(claim)
    try:
        commit(catalog.store, Key(key), raw, txn=claim.txn)
    except Taken as taken:
        theirs = read_sealed(Claim, taken.existing, key)
        if _same(catalog, theirs, manifest):
            return catalog.manifest(manifest.model, theirs.target), theirs
        if exact:
            raise _exists(theirs) from None
        raise
    catalog.records.keep(key, claim, raw)
    return manifest, claim


def _same(catalog: Catalog, claim: Claim, manifest: Manifest) -> bool:
    """The claim is of equal content, wherever its bytes stand: one who met a torn blob has put them beside it."""
    if claim.target.digest == digest_of(write_manifest(manifest)):
        return True
    return _placeless(catalog.manifest(manifest.model, claim.target)) == _placeless(manifest)


def _placeless(manifest: Manifest) -> bytes:
    """The manifest without where its bytes stand, and without how it was made this time."""
    files = tuple(file.model_copy(update={"inline": None, "parts": ()}) for file in manifest.files)
    made = manifest.provenance and manifest.provenance.model_copy(update={"run": None, "lock": "", "locks": ()})
    return write_manifest(manifest.model_copy(update={"files": files, "provenance": made}))


def _target(blobs: Blobs, manifest: Manifest) -> Target:
    raw = write_manifest(manifest)
    where = {"inline": raw.decode()} if len(raw) <= _INLINE_MANIFEST else {"blob": blobs.put(raw)}
    return record(Target, version=manifest.version, digest=digest_of(raw), size=len(raw), **where)


def _exists(claim: Claim) -> AlreadyExists:
    ref = f"{claim.model}:{claim.target.version}"
    return AlreadyExists(
        f"{ref} was published by {shown(claim.actor)} on {claim.created:%Y-%m-%d %H:%M:%S} UTC, with other content",
        code=Code.VERSION_EXISTS,
        hint='a number is never used twice: take another, or bump="patch"',
        ref=ref,
    )
