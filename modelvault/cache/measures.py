"""Measures: the digests of files that were published, as long as these are as they were; what its index is to git.

A measure is a small file.  Its name is the hash of what tells that a file is the same: device, inode, size, the times of
its last write and of the last change of its inode, which nobody can set back.  It holds digest and parts, behind a hash of
them, for a crash can garble it.  It is a hint, of its user alone; what is stored is hashed all the same.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from modelvault.cache.stamps import CLEAR

__all__ = ["Measure", "Measures"]

_SEAL = 32


class Measure(NamedTuple):
    """Of a file: its digest; of each of its parts, in order, the digest, the size, and the dtype if it is of floats."""

    digest: str
    parts: list[tuple[str, int, str]]


class Measures:
    """The measures in `folder`, which is its user's alone; with no folder nothing is known, and all is read."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def of(self, found: os.stat_result, how: str) -> Measure | None:
        """What the file `found` measures, if it was noted down; `how` is all else that its parts depend on."""
        with suppress(OSError, ValueError):
            raw = Path(self._name(found, how)).read_bytes() if self._folder else b""
            if hashlib.sha256(raw[_SEAL:]).digest() == raw[:_SEAL]:
                digest, parts = json.loads(raw[_SEAL:])
                return Measure(digest, [(one, size, dtype) for one, size, dtype in parts])
        return None

    def note(self, found: os.stat_result, how: str, began: int, measure: Measure) -> None:
        """Note down what the file measures that was `found` when its reading ended; it began at `began` (nanoseconds).

        Nothing is, where it was written to shortly before, for a write within one tick of the clock moves no time.
        """
        if not self._folder or max(found.st_mtime_ns, found.st_ctime_ns) >= began - CLEAR:
            return
        body = json.dumps(measure).encode()
        stage = f"{self._folder}/.tmp-{os.urandom(16).hex()}"
        with suppress(OSError):  # a full disk, say: it is read again
            try:
                Path(stage).write_bytes(hashlib.sha256(body).digest() + body)
                os.replace(stage, self._name(found, how))
            except OSError:
                os.unlink(stage)

    def drop(self, found: os.stat_result, how: str) -> None:
        """Read the file `found` when it is published again."""
        if self._folder:
            with suppress(OSError):
                os.unlink(self._name(found, how))

    def _name(self, found: os.stat_result, how: str) -> str:
        same = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, how)
        return f"{self._folder}/{hashlib.sha256(repr(same).encode()).hexdigest()}"
