"""Versions, moves, notes and differences as tables and cards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any

from modelvault.diff import Diff
from modelvault.display.text import Card, Table, columns
from modelvault.errors import VaultError
from modelvault.version import Version
from modelvault.wire import Manifest, Move, Note

__all__ = [
    "alias_table",
    "diff_table",
    "history_table",
    "is_yanked",
    "move_card",
    "pointing",
    "problem_card",
    "size_text",
    "version_card",
    "version_table",
]

_NOTHING = "-"


def version_table(
    model: str, versions: Iterable[tuple[Version, Sequence[Note]]], aliases: Mapping[str, Move]
) -> Table:
    """The versions of a model, each given with its notes; the aliases that point to it stand as marks beside it."""
    rows = [
        (
            version.number,
            _marks(version.number, aliases, remarks),
            _minute(version.created),
            version.actor,
            size_text(version.size),
            ", ".join(f"{name}={value:.6g}" for name, value in version.metrics.items()),
            version.notes.partition("\n")[0],
        )
        for version, remarks in versions
    ]
    head = ("VERSION", "ALIASES", "PUBLISHED", "BY", "SIZE", "METRICS", "NOTES")
    return Table(head, rows, empty=f"{model} has no versions")


def version_card(version: Version, aliases: Mapping[str, Move], remarks: Sequence[Note]) -> Card:
    """All that is known of a version."""
    marks = _marks(version.number, aliases, remarks)
    data = [(ref.uri, "" if ref.size is None else size_text(ref.size), ref.digest or ref.how) for ref in version.data]
    fields = [
        ("published", [f"{_second(version.created)} by {version.actor}"]),
        ("digest", [version.digest]),
        ("aliases", [marks] if marks else []),
        ("metrics", columns(version.metrics.items())),
        ("params", columns(version.params.items())),
        ("data", columns(data)),
        ("notes", version.notes.split("\n") if version.notes else []),
        ("remarks", columns(map(_remark, remarks))),
        *_origin(version.manifest),
        ("format", [version.format]),
        ("files", columns((file.path, size_text(file.size), file.digest) for file in version.files)),
    ]
    return Card(version.ref, fields)


def alias_table(model: str, aliases: Mapping[str, Move]) -> Table:
    """Where each alias of a model points, and since when."""
    rows = [
        (f"{model}@{alias}", move.version or _NOTHING, _minute(move.at), move.kind, move.actor, move.reason)
        for alias, move in aliases.items()
    ]
    return Table(("ALIAS", "VERSION", "SINCE", "MOVE", "BY", "REASON"), rows, empty=f"{model} has no aliases")


def history_table(moves: Sequence[Move]) -> Table:
    """The moves of an alias, newest first, each with where it came from."""
    rows = [
        (
            move.seq,
            _minute(move.at),
            move.kind,
            (before and before.version) or _NOTHING,
            move.version or _NOTHING,
            move.actor,
            move.reason,
        )
        for move, before in zip_longest(moves, moves[1:])
    ]
    return Table(("#", "WHEN", "MOVE", "FROM", "TO", "BY", "REASON"), rows, strong=4)


def move_card(move: Move) -> Card:
    """A move that was just made, with the yanked versions that it passed over."""
    skipped: Any = move.evidence.get("skipped", ())
    return Card(str(move), [("passed over", [f"{one['version']}, yanked: {one['yanked']}" for one in skipped])])


def diff_table(diff: Diff) -> Table:
    """What differs between two versions, side by side."""
    rows = [(change.section, change.name, _side(change.old), _side(change.new)) for change in diff.changes]
    return Table(("", "", diff.old, diff.new), rows, strong=1, empty=f"{diff.old} and {diff.new} do not differ")


def problem_card(summary: str, problems: Iterable[VaultError]) -> Card:
    """What was looked at, and each thing that is wrong."""
    return Card(summary, [(problem.code, [problem.message]) for problem in problems])


def size_text(size: int) -> str:
    """`size` bytes, in units of 1000, to three digits."""
    amount, units = float(size), iter(("B", "kB", "MB", "GB", "TB", "PB"))
    unit = next(units)
    while amount >= 999.5:
        amount, unit = amount / 1000, next(units, "EB")
    return f"{amount:.3g} {unit}"


def pointing(aliases: Mapping[str, Move], number: str) -> list[str]:
    """The names of those `aliases` that point to the version `number`."""
    return [name for name, move in aliases.items() if move.version == number]


def is_yanked(notes: Iterable[Note]) -> bool:
    """The newest word on it in the notes on a version, which stand newest first."""
    return next((note.kind == "yank" for note in notes if note.kind in {"yank", "unyank"}), False)


def _marks(number: str, aliases: Mapping[str, Move], notes: Iterable[Note]) -> str:
    return ", ".join(pointing(aliases, number) + ["(yanked)"] * is_yanked(notes))


def _minute(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%MZ}"


def _second(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"


def _side(value: object) -> str:
    return _NOTHING if value is None else str(value)


def _remark(note: Note) -> tuple[str, ...]:
    metrics = "".join(f", {name}={value:.6g}" for name, value in note.metrics.items())
    return (_minute(note.at), note.kind, note.actor, note.text + metrics)


def _origin(manifest: Manifest) -> Iterator[tuple[str, list[str]]]:
    git = manifest.provenance.git if manifest.provenance else None
    if git:
        commit = git.commit + (" and uncommitted changes" if git.dirty else "")
        yield "code", [commit, git.remote] if git.remote else [commit]
    if manifest.environment:
        found = manifest.environment
        yield "python", [f"{found.implementation} {found.python}, {found.platform}"]
        yield "packages", columns(found.packages.items())
