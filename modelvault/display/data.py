"""Versions, moves, notes and differences as JSON data: the fields of their records, under their names in Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelvault.diff import Diff
from modelvault.display.records import is_yanked, pointing
from modelvault.version import Version
from modelvault.wire import Move, Note, as_json

__all__ = ["diff_data", "move_data", "standing_data", "version_data"]


def version_data(version: Version) -> dict[str, Any]:
    """What was published: it never changes."""
    manifest = as_json(version.manifest)
    manifest["number"] = manifest.pop("version")
    manifest.pop("record")
    made = {"digest": version.digest, "created": as_json(version.claim)["created"], "actor": version.actor}
    return {"ref": version.ref, **made, "size": version.size, **manifest}


def standing_data(version: Version, aliases: Mapping[str, Move], remarks: Sequence[Note]) -> dict[str, Any]:
    """What was published, and what has been said and done since."""
    standing = {"aliases": pointing(aliases, version.number), "yanked": is_yanked(remarks)}
    return {**version_data(version), **standing, "remarks": [as_json(note) for note in remarks]}


def move_data(move: Move) -> dict[str, Any]:
    """A move."""
    return {**as_json(move), "version": move.version}


def diff_data(diff: Diff) -> dict[str, Any]:
    """The differences between two versions."""
    return {"old": diff.old, "new": diff.new, "changes": [change._asdict() for change in diff.changes]}
