"""What was said of a version that holds until it is taken back: a yank of its number, a quarantine of its content."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from modelvault.canonical import Digest, canonical, digest_of
from modelvault.paths import is_ours
from modelvault.wire import Manifest, Note

__all__ = ["MARKS", "UNDONE_BY", "about", "content_of", "standing"]

UNDONE_BY: Final = {"yank": "unyank", "quarantine": "release"}
"""By kind of note: the kind that takes it back."""

MARKS: Final = frozenset({"quarantine", "release"})
"""The kinds that are of a content, whatever number it has."""


def content_of(manifest: Manifest) -> Digest:
    """The digest of what was published: of the canonical JSON array of the `[path, digest]` pairs of its files, by path.

    What is recorded beside the object does not count, so that equal bytes under another number are equal content.
    """
    pairs = sorted([file.path, file.digest] for file in manifest.files if not is_ours(file.path))
    return digest_of(canonical(pairs))


def about(manifest: Manifest, note: Note) -> bool:
    """The note is on this version, or on its content."""
    if note.model != manifest.model:
        return False
    return note.content == content_of(manifest) if note.content else note.version == manifest.version


def standing(notes: Iterable[Note]) -> dict[str, Note]:
    """The yank, and the quarantine, that hold: by kind, of notes that are given newest first."""
    last: dict[str, Note] = {}
    for note in notes:
        for kind, undo in UNDONE_BY.items():
            if note.kind in {kind, undo}:
                last.setdefault(kind, note)
    return {kind: note for kind, note in last.items() if note.kind == kind}
