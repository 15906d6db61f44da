"""Verify: is what is stored what was published?  All that is wrong is reported, not the first thing alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

from modelvault import layout
from modelvault.blobs import Blobs
from modelvault.canonical import storable
from modelvault.catalog import Catalog
from modelvault.errors import Code, Corrupt, InvalidInput, VaultError, shown
from modelvault.marks import content_of
from modelvault.reference import AliasRef, Ref
from modelvault.stores import Key, KeyMissing
from modelvault.wire import File, Manifest, Move, Target, VaultRecord, read_sealed

__all__ = ["Level", "Report", "prove", "verify"]

Level = Literal["structure", "presence", "bytes"]


@dataclass(frozen=True, slots=True)
class Report:
    """What `verify` looked at, and what is wrong with it: `problems` is empty if all is well.  Prints as a list."""

    level: Level
    versions: int = 0
    moves: int = 0
    notes: int = 0
    files: int = 0
    bytes: int = 0
    problems: tuple[VaultError, ...] = ()

    @property
    def ok(self) -> bool:
        """Nothing is wrong."""
        return not self.problems

    def __str__(self) -> str:
        looked = f"{self.versions} versions, {self.moves} moves, {self.notes} notes, {self.files} files"
        if self.level == "bytes":
            looked += f", {self.bytes:,} bytes"
        lines = [f"{looked}: " + ("all well" if self.ok else f"problems: {len(self.problems)}")]
        return "\n".join(lines + [f"  {one.code}: {one}" for one in self.problems])


class _Findings:
    """A report in the making."""

    def __init__(self, level: Level) -> None:
        self.level = level
        self.counts: Counter[str] = Counter()
        self.problems: list[VaultError] = []

    def attempt(self, check: Callable[[], object]) -> None:
        """Do `check`, and note the problem if it raises one."""
        try:
            check()
        except VaultError as error:
            self.problems.append(error)

    def listed(self, names: Callable[[], Sequence[str]]) -> Sequence[str]:
        """`names()`; none, and the problem noted, if it raises one."""
        try:
            return names()
        except VaultError as error:
            self.problems.append(error)
            return ()


def prove(blobs: Blobs, manifest: Manifest, level: Level) -> Iterator[File]:
    """Each file of `manifest`, once it has proved to be there (``"presence"``), or to be byte for byte what it claims.

    Raises:
        Corrupt: `blob-missing` or `digest-mismatch`.
    """
    for file in manifest.files:
        prove_file(blobs, file, level)
        yield file


def prove_file(blobs: Blobs, file: File, level: Level) -> None:
    """Prove one file.  Raises as `prove`."""
    if level == "bytes":
        for _ in blobs.chunks(file):
            pass
    lying = (one for part in file.parts for one in (part.base, part) if one) if level == "presence" else ()
    for part in lying:
        if not blobs.present(part):
            raise Corrupt(
                f"the blob of {shown(file.path)} is missing or too short",
                code=Code.BLOB_MISSING,
                hint="restore it from a copy of the vault; 'modelvault verify' lists what else is gone",
                ref=layout.blob(part.blob or part.digest),
            )


def verify(catalog: Catalog, ref: Ref | None, level: Level) -> Report:
    """Check one version or alias, or everything that a vault holds.

    Raises:
        NotFound: nothing answers to `ref`.
        InvalidInput: `bad-value`, there is no such level.
    """
    if storable(level, "a level") not in get_args(Level):
        raise InvalidInput(f"{shown(level)} is no level", code=Code.BAD_VALUE, hint=", ".join(get_args(Level)))
    found = _Findings(level)
    if ref is None:
        found.attempt(lambda: _root(catalog))
        for model in found.listed(catalog.models):
            _model(catalog, model, found)
    else:
        _named(catalog, ref, found)
    counts: dict[str, Any] = dict(found.counts)
    return Report(level, problems=tuple(found.problems), **counts)


def _named(catalog: Catalog, ref: Ref, found: _Findings) -> None:
    """What `ref` names.  That there is no such thing is no damage, and is raised."""
    try:
        number = catalog.resolve(ref).target.version
    except Corrupt as error:
        found.problems.append(error)
        return
    found.attempt(lambda: _version(catalog, ref.model, number, found))
    found.attempt(lambda: _members(catalog, _manifest(catalog, ref.model, number), found))
    found.attempt(lambda: _marks(catalog, ref.model, content_of(_manifest(catalog, ref.model, number)), found))
    if isinstance(ref, AliasRef):
        found.attempt(catalog.policies(ref.model, ref.alias).entries)
        found.attempt(lambda: _alias(catalog, ref.model, ref.alias, found))


def _root(catalog: Catalog) -> None:
    try:
        read_sealed(VaultRecord, catalog.store.read(Key(layout.VAULT)), layout.VAULT)
    except KeyMissing:
        if catalog.models():
            raise Corrupt(
                f"{layout.VAULT} is missing", code=Code.BAD_RECORD, hint="restore it from a copy", ref=layout.VAULT
            ) from None


def _model(catalog: Catalog, model: str, found: _Findings) -> None:
    for number in found.listed(partial(catalog.numbers, model)):
        found.attempt(partial(_version, catalog, model, number, found))
    for alias in found.listed(partial(catalog.aliases, model)):
        found.attempt(partial(_alias, catalog, model, alias, found))
    for alias in found.listed(partial(catalog.protected, model)):
        found.attempt(catalog.policies(model, alias).entries)
    for content in found.listed(lambda: sorted(catalog.marked(model))):
        found.attempt(partial(_marks, catalog, model, f"sha256:{content}", found))


def _marks(catalog: Catalog, model: str, content: str, found: _Findings) -> None:
    found.counts["notes"] += len(catalog.marks(model, content).entries())


def _version(catalog: Catalog, model: str, number: str, found: _Findings) -> None:
    found.attempt(lambda: _notes(catalog, model, number, found))
    manifest = _manifest(catalog, model, number)
    for file in manifest.files:
        found.attempt(partial(prove_file, catalog.blobs, file, found.level))
        found.counts["files"] += 1
        found.counts["bytes"] += file.size
    found.attempt(lambda: catalog.followed(manifest))
    found.counts["versions"] += 1


def _members(catalog: Catalog, manifest: Manifest, found: _Findings) -> None:
    """The members of a release set, if it is one."""
    for member in catalog.members(manifest).values():
        found.attempt(partial(_version, catalog, member.model, member.version, found))


def _manifest(catalog: Catalog, model: str, number: str) -> Manifest:
    return catalog.manifest(model, catalog.claim(model, number).target)


def _notes(catalog: Catalog, model: str, number: str, found: _Findings) -> None:
    found.counts["notes"] += len(catalog.notes(model, number).entries())


def _alias(catalog: Catalog, model: str, alias: str, found: _Findings) -> None:
    moves = catalog.journal(model, alias).entries()
    if not moves:
        raise Corrupt(f"{model}@{alias} has a folder and no entry", code=Code.JOURNAL_BROKEN, ref=f"{model}@{alias}")
    for move in moves:
        if move.target is not None:
            found.attempt(partial(_same_target, catalog, move, move.target))
    found.counts["moves"] += len(moves)


def _same_target(catalog: Catalog, move: Move, target: Target) -> None:
    if catalog.claim(move.model, target.version).target.digest != target.digest:
        raise Corrupt(
            f"entry {move.seq} of {move.model}@{move.alias} names another digest than the claim of {target.version}",
            code=Code.DIGEST_MISMATCH,
            ref=f"{move.model}@{move.alias}",
        )
    catalog.manifest(move.model, target)
