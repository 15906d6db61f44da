"""Versions, moves, notes and differences as tables and cards."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice, zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

from modelvault.diff import Diff
from modelvault.display.drawn import lanes, sparks
from modelvault.display.text import Card, Line, Table, columns
from modelvault.errors import VaultError
from modelvault.marks import standing
from modelvault.signature import field_words
from modelvault.wire import Claim, Manifest, Move, Note, SignatureRecord

if TYPE_CHECKING:
    from modelvault.provenance.check import Finding

__all__ = [
    "Published",
    "alias_table",
    "diff_table",
    "finding_card",
    "found_table",
    "history_table",
    "minute",
    "move_card",
    "problem_card",
    "signature_view",
    "size_text",
    "version_card",
    "version_table",
]

_NOTHING = "-"
_FEW, _WIDE = 3, 40


class Published(NamedTuple):
    """A version as its records say: what it is, who published it, and what was said of it since, newest first."""

    manifest: Manifest
    claim: Claim
    notes: Sequence[Note]

    @property
    def yanked(self) -> bool:
        """The newest word on it."""
        return "yank" in standing(self.notes)

    @property
    def quarantined(self) -> bool:
        """The newest word on its content."""
        return "quarantine" in standing(self.notes)

    @property
    def marks(self) -> list[str]:
        """What speaks against it, in words."""
        return ["yanked"] * self.yanked + ["quarantined"] * self.quarantined

    def pointing(self, aliases: Mapping[str, Move]) -> list[str]:
        """The names of those `aliases` that point to it."""
        return [name for name, move in aliases.items() if move.version == self.manifest.version]


def version_table(versions: Sequence[Published], aliases: Mapping[str, Move]) -> Table:
    """The versions of a model, with the aliases that point to them."""
    rows = [
        (
            version.manifest.version,
            _marks(version, aliases),
            minute(version.claim.created),
            version.claim.actor,
            size_text(version.manifest.size),
            _metrics(version.manifest.metrics),
            version.manifest.notes.partition("\n")[0],
        )
        for version in versions
    ]
    head = ("VERSION", "ALIASES", "PUBLISHED", "BY", "SIZE", "METRICS", "NOTES")
    return Table(head, rows, picture=sparks([version.manifest.metrics for version in versions]))


def found_table(versions: Iterable[tuple[Manifest, Claim]]) -> Table:
    """Versions of several models."""
    rows = [
        (
            f"{manifest.model}:{manifest.version}",
            f"{claim.created.astimezone(UTC):%Y-%m-%d %H:%MZ}",
            claim.actor,
            _metrics(manifest.metrics),
            manifest.notes.partition("\n")[0],
        )
        for manifest, claim in versions
    ]
    return Table(("VERSION", "PUBLISHED", "BY", "METRICS", "NOTES"), rows, empty="no version is like that")


def version_card(version: Published, aliases: Mapping[str, Move]) -> Card:
    """All that is known of a version."""
    manifest, claim, notes = version
    marks = _marks(version, aliases)
    data = [
        (ref.uri, "" if ref.size is None else size_text(ref.size), ref.digest or ref.etag or ref.how)
        for ref in manifest.data
    ]
    fields: list[tuple[str, Sequence[Line]]] = [
        ("published", [f"{_second(claim.created)} by {claim.actor}"]),
        ("digest", [claim.target.digest]),
        ("aliases", [marks] if marks else []),
        ("metrics", [*manifest.metrics.items()]),
        ("params", [*manifest.params.items()]),
        ("data", data),
        ("notes", manifest.notes.split("\n") if manifest.notes else []),
        ("remarks", [*map(_remark, notes)]),
        *_origin(manifest),
        *_contract(manifest.signature),
        ("format", [manifest.format]),
        ("files", [(file.path, size_text(file.size), file.digest) for file in manifest.files]),
    ]
    return Card(f"{manifest.model}:{manifest.version}", fields)


def signature_view(ref: str, signature: SignatureRecord | None) -> Card | Table:
    """What a version takes and what it answers with."""
    if signature is None:
        return Table((), (), empty=f"{ref} has no signature")
    return Card(ref, list(_contract(signature)))


def _contract(signature: SignatureRecord | None) -> Iterator[tuple[str, Sequence[Line]]]:
    if signature is None:
        return
    for name, fields, by in (
        ("inputs", signature.inputs, signature.inputs_by),
        ("outputs", signature.outputs, signature.outputs_by),
    ):
        told: Sequence[Line] = ["not known"] if fields is None else [*map(tuple, map(field_words, fields)), f"by {by}"]
        yield name, told
    if signature.unknown:
        yield "not known", list(signature.unknown)


def alias_table(model: str, aliases: Mapping[str, Move]) -> Table:
    """Where each alias of a model points, and since when."""
    rows = [
        (f"{model}@{alias}", move.version or _NOTHING, minute(move.at), move.kind, move.actor, move.reason)
        for alias, move in aliases.items()
    ]
    return Table(("ALIAS", "VERSION", "SINCE", "MOVE", "BY", "REASON"), rows, empty=f"{model} has no aliases")


def history_table(moves: Sequence[Move]) -> Table:
    """The moves of an alias, newest first, each with where it came from."""
    rows = [
        (
            move.seq,
            minute(move.at),
            move.kind,
            (before and before.version) or _NOTHING,
            move.version or _NOTHING,
            move.actor,
            move.reason,
        )
        for move, before in zip_longest(moves, moves[1:])
    ]
    return Table(("#", "WHEN", "MOVE", "FROM", "TO", "BY", "REASON"), rows, strong=4, picture=lanes(moves))


def move_card(move: Move) -> Card:
    """A move that was just made, with the versions that it passed over."""
    skipped: Any = move.evidence.get("skipped", ())
    return Card(str(move), [("passed over", [*map(_passed_over, skipped)])])


def _passed_over(skipped: Mapping[str, str]) -> str:
    kind = "yanked" if "yanked" in skipped else "quarantined"
    return f"{skipped['version']}, {kind}: {skipped[kind]}"


def diff_table(diff: Diff) -> Table:
    """What differs between two versions."""
    rows = [
        (one.section, one.name, "  ".join(filter(None, (_sides(one.old, one.new), one.meaning))))
        for one in diff.changes
    ]
    rows += [("issue", f"{note.model}:{note.version}", note.text) for note in diff.issues or ()]
    rows += [("issue", "", "not known: the store cannot be reached")] * (diff.issues is None)
    return Table(("", "", f"{diff.old} → {diff.new}"), rows, strong=1, empty=f"{diff.old} and {diff.new} do not differ")


def problem_card(summary: str, problems: Iterable[VaultError]) -> Card:
    """What was looked at, and each thing that is wrong."""
    return Card(summary, [(problem.code, [problem.message]) for problem in problems])


def finding_card(ref: str, findings: Sequence[Finding]) -> Card:
    """What is no longer as it was when `ref` was made, and what cannot be told."""
    rest = [one for one in findings if one.state != "same"]
    title = f"{ref}: {len(findings) - len(rest)} of {len(findings)} are as they were"
    sections = {one.section: [each for each in rest if each.section == one.section] for one in rest}
    rows = {
        name: [(one.state, one.name, f"{_cut(one.expected)} → {_cut(one.found)}") for one in some]
        for name, some in sections.items()
    }
    return Card(title, [(name, columns(some)) for name, some in rows.items()])


def _cut(text: str) -> str:
    return text if len(text) <= _WIDE else text[:_WIDE] + "…"


def size_text(size: int) -> str:
    """`size` bytes, in units of 1000, to three digits."""
    amount, units = float(size), iter(("kB", "MB", "GB", "TB", "PB", "EB"))
    unit = "B"
    while amount >= 999.5:
        amount, unit = amount / 1000, next(units)
    return f"{amount:.3g} {unit}"


def _marks(version: Published, aliases: Mapping[str, Move]) -> str:
    return ", ".join(version.pointing(aliases) + [f"({mark})" for mark in version.marks])


def minute(at: datetime) -> str:
    """An instant, to the minute, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%MZ}"


def _second(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"


def _sides(old: object, new: object) -> str:
    return "" if old is new is None else f"{_side(old)} → {_side(new)}"


def _side(value: object) -> str:
    return _NOTHING if value is None else str(value)


def _metrics(metrics: Mapping[str, float]) -> str:
    """The first few, which is what fits beside other things."""
    some = [f"{name}={value:.6g}" for name, value in islice(metrics.items(), _FEW)]
    return ", ".join(some + ["…"] * (len(metrics) > _FEW))


def _remark(note: Note) -> tuple[str, ...]:
    metrics = [f"{name}={value:.6g}" for name, value in note.metrics.items()]
    return (minute(note.at), note.kind, note.actor, ", ".join([note.text, *metrics]))


def _origin(manifest: Manifest) -> Iterator[tuple[str, Sequence[Line]]]:
    git = manifest.provenance.git if manifest.provenance else None
    if git:
        commit = git.commit + (" and uncommitted changes" if git.dirty else "")
        yield "code", [commit, git.remote] if git.remote else [commit]
    if manifest.provenance and manifest.provenance.algorithm:
        yield "algorithm", [manifest.provenance.algorithm.name]
    run = manifest.provenance.run if manifest.provenance else None
    if run:
        yield "command", [shlex.join(run.command)] if run.command else []
        yield "notebook", [run.notebook] if run.notebook else []
        yield "run", [*run.tracking.items()]
    if manifest.environment:
        found = manifest.environment
        yield "python", [f"{found.implementation} {found.python}, {found.platform}"]
        yield "packages", [*found.packages.items()]
