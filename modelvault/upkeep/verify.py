"""Verify: is what is stored what was published?  All that is wrong is reported, not the first thing alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from modelvault import layout
from modelvault.blobs import Blobs
from modelvault.canonical import storable
from modelvault.catalog import Catalog
from modelvault.errors import Code, Corrupt, InvalidInput, VaultError, shown
from modelvault.reference import AliasRef, Ref
from modelvault.stores import Key, KeyMissing
from modelvault.wire import Claim, File, Manifest, Move, VaultRecord, read_sealed

__all__ = ["Level", "Report", "prove", "verify"]

Level = Literal["structure", "presence", "bytes"]


@dataclass
class Report:
    """What `verify` looked at, and what is wrong with it: `problems` is empty if all is well.  Prints as a list."""

    level: Level
    versions: int = 0
    moves: int = 0
    notes: int = 0
    files: int = 0
    bytes: int = 0
    problems: list[VaultError] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Nothing is wrong."""
        return not self.problems

    def __str__(self) -> str:
        looked = f"{self.versions} versions, {self.moves} moves, {self.notes} notes, {self.files} files"
        if self.level == "bytes":
            looked += f", {self.bytes:,} bytes"
        lines = [f"{looked}: " + ("all well" if self.ok else f"{len(self.problems)} problems")]
        return "\n".join(lines + [f"  {one.code}: {one}" for one in self.problems])


def prove(blobs: Blobs, manifest: Manifest, level: Level) -> Iterator[File]:
    """Each file of `manifest`, once it has proved to be there (``"presence"``), or to be byte for byte what it claims.

    Raises:
        Corrupt: `blob-missing` or `digest-mismatch`.
    """
    for file in manifest.files:
        if level == "bytes":
            for _ in blobs.chunks(file):
                pass
        for part in file.parts if level == "presence" else ():
            if not blobs.present(part):
                raise Corrupt(
                    f"{manifest.model}:{manifest.version}: the blob of {file.path} is missing or too short",
                    code=Code.BLOB_MISSING,
                    hint="restore it from a copy of the vault; 'modelvault verify' lists what else is gone",
                    ref=layout.blob(part.blob or part.digest),
                )
        yield file


def verify(catalog: Catalog, ref: Ref | None, level: Level) -> Report:
    """Check one version or alias, or everything that a vault holds."""
    if storable(level, "a level") not in get_args(Level):
        raise InvalidInput(f"{shown(level)} is no level", code=Code.BAD_VALUE, hint=", ".join(get_args(Level)))
    report = Report(level)
    if ref is None:
        _attempt(report, lambda: _root(catalog))
        for model in _listed(report, catalog.models):
            _model(catalog, model, report)
    else:
        if isinstance(ref, AliasRef):
            _attempt(report, lambda: _alias(catalog, ref.model, ref.alias, report))
        _attempt(report, lambda: _version(catalog, ref.model, catalog.resolve(ref).target.version, report))
    return report


def _root(catalog: Catalog) -> None:
    try:
        read_sealed(VaultRecord, catalog.store.read(Key(layout.VAULT)), layout.VAULT)
    except KeyMissing:
        if catalog.models():
            raise Corrupt(
                f"{layout.VAULT} is missing", code=Code.BAD_RECORD, hint="restore it from a copy", ref=layout.VAULT
            ) from None


def _model(catalog: Catalog, model: str, report: Report) -> None:
    for number in _listed(report, lambda: catalog.numbers(model)):
        _attempt(report, lambda number=number: _version(catalog, model, number, report))  # type: ignore[misc]
    for alias in _listed(report, lambda: catalog.aliases(model)):
        _attempt(report, lambda alias=alias: _alias(catalog, model, alias, report))  # type: ignore[misc]


def _version(catalog: Catalog, model: str, number: str, report: Report) -> None:
    claim: Claim = catalog.claim(model, number)
    manifest = catalog.manifest(model, claim.target)
    for file in prove(catalog.blobs, manifest, report.level):
        report.files += 1
        report.bytes += file.size
    report.versions += 1
    report.notes += len(catalog.notes(model, number).entries())


def _alias(catalog: Catalog, model: str, alias: str, report: Report) -> None:
    moves: list[Move] = catalog.journal(model, alias).entries()
    if not moves:
        raise Corrupt(f"{model}@{alias} has a folder and no entry", code=Code.JOURNAL_BROKEN, ref=f"{model}@{alias}")
    for move in moves:
        if move.target is not None:
            _same_target(catalog, move)
    report.moves += len(moves)


def _same_target(catalog: Catalog, move: Move) -> None:
    assert move.target is not None
    claim = catalog.claim(move.model, move.target.version)
    if claim.target.digest != move.target.digest:
        raise Corrupt(
            f"entry {move.seq} of {move.model}@{move.alias} names another digest than the claim of {move.target.version}",
            code=Code.DIGEST_MISMATCH,
            ref=f"{move.model}@{move.alias}",
        )
    catalog.manifest(move.model, move.target)


def _listed(report: Report, names: Callable[[], Sequence[str]]) -> Sequence[str]:
    try:
        return names()
    except VaultError as error:
        report.problems.append(error)
        return []


def _attempt(report: Report, check: Callable[[], None]) -> None:
    try:
        check()
    except VaultError as error:
        report.problems.append(error)
