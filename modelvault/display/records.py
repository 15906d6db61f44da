"""Versions, moves, notes and differences as tables and cards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any, NamedTuple

from modelvault.diff import Diff
from modelvault.display.text import Card, Table, columns
from modelvault.errors import VaultError
from modelvault.wire import Claim, Manifest, Move, Note

__all__ = [
    "Published",
    "alias_table",
    "diff_table",
    "history_table",
    "move_card",
    "problem_card",
    "size_text",
    "version_card",
    "version_table",
]

_NOTHING = "-"


class Published(NamedTuple):
    """A version as its records say: what it is, who published it, and what was said of it since, newest first."""

    manifest: Manifest
    claim: Claim
    notes: Sequence[Note]

    @property
    def yanked(self) -> bool:
        """The newest word on it."""
        return next((note.kind == "yank" for note in self.notes if note.kind in {"yank", "unyank"}), False)

    def _marks(version: Published, aliases: Mapping[str, Move]) -> str:
    return ", ".join(version.pointing(aliases) + ["(yanked)"] * version.yanked)


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
