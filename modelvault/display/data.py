"""Versions, moves, notes and differences as JSON data: the fields of their records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelvault.diff import Diff
from modelvault.display.records import Published
from modelvault.wire import Claim, Manifest, Move, as_json

__all__ = ["diff_data", "move_data", "published_data", "version_data"]


def version_data(manifest: Manifest, claim: Claim) -> dict[str, Any]:
    """What was published: it never changes.  The names are those of a `Version`."""
    said, claimed = as_json(manifest), as_json(claim)
    del said["record"]
    model, number = said.pop("model"), said.pop("version")
    names = {"ref": f"{model}:{number}", "model": model, "number": number, "digest": claim.target.digest}
    return {**names, "created": claimed["created"], "actor": claimed["actor"], "size": manifest.size, **said}


def published_data(version: Published, aliases: Mapping[str, Move]) -> dict[str, Any]:
    """What was published, and what has been done with it and said of it since."""
    marks = {"yanked": version.yanked, "quarantined": version.quarantined}
    since = {"aliases": version.pointing(aliases), **marks}
    return {**version_data(version.manifest, version.claim), **since, "remarks": [*map(as_json, version.notes)]}


def move_data(move: Move) -> dict[str, Any]:
    """A move, with the number that its alias points to from there on."""
    return {**as_json(move), "version": move.version}


def diff_data(diff: Diff) -> dict[str, Any]:
    """The differences between two versions."""
    issues = None if diff.issues is None else [as_json(note) for note in diff.issues]
    return {"old": diff.old, "new": diff.new, "changes": [one._asdict() for one in diff.changes], "issues": issues}
