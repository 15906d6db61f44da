"""Digests of what goes through: of a large whole on a thread of its own while a core has nothing to do.

The only module that imports blake3.
"""

from __future__ import annotations

import hashlib
import os
import threading
from contextlib import ExitStack
from typing import Any, Self

from modelvault.blobs.workers import Aside
from modelvault.canonical import Digest
from modelvault.errors import Code, Unsupported

__all__ = ["PARTS", "Whole", "hasher_of"]

PARTS = "blake3:"
"""How the digests begin of the parts of what is published."""

_LARGE = 8 * 1024 * 1024
"""Bytes after which a thread pays."""
_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def hasher_of(digest: str) -> Any:
    """A new hasher of the algorithm of `digest`.

    Raises:
        Unsupported: `extra-missing`, it is BLAKE3, and the package is not installed.
    """
    if digest.startswith("sha256:"):
        return hashlib.sha256()
    try:
        from blake3 import blake3
    except ImportError as error:
        raise Unsupported(
            "this version has parts with BLAKE3 digests, and the package blake3 is not installed",
            code=Code.EXTRA_MISSING,
            hint="pip install blake3",
        ) from error
    return blake3()


class Whole:
    """A digest, within a ``with`` block: of a file, say, piece by piece."""

    _begun = 0
    """How many there are in this process."""
    _counting = threading.Lock()

    def __init__(self, algorithm: str = "sha256") -> None:
        self._algorithm = algorithm
        self._hasher = hasher_of(algorithm + ":")
        self._seen = 0
        self._aside: Aside | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._count(1)
        self._stack.callback(self._count, -1)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def update(self, chunk: bytes) -> None:
        """Take the next bytes; they must not be changed afterwards."""
        self._seen += len(chunk)
        if self._aside is None and self._seen > _LARGE and Whole._begun < _CORES:
            self._aside = self._stack.enter_context(Aside())
        if self._aside:
            self._aside.do(self._hasher.update, chunk)
        else:
            self._hasher.update(chunk)

    def digest(self) -> Digest:
        """Of all bytes so far."""
        if self._aside:
            self._aside.done()
        return Digest(f"{self._algorithm}:{self._hasher.hexdigest()}")

    @classmethod
    def _count(cls, more: int) -> None:
        with cls._counting:
            Whole._begun += more
