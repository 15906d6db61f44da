"""A version is tried in a fresh process first, so that one that crashes or hangs does it there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from modelvault.serving.source import Source
from modelvault.wire import Manifest, Move

__all__ = ["tried"]


def tried(source: Source, manifest: Manifest, move: Move, folder: Path | None, ended: Callable[[], bool]) -> None:
    """Load the version that `move` points to in a process of its own."""
