"""Digests of what goes through: of a whole on a thread of its own where it is large, so that a file uses two cores.

The only module that imports blake3.
"""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from typing import Any, Self

from modelvault.blobs.workers import Aside
from modelvault.canonical import Digest
from modelvault.errors import Code, Unsupported

__all__ = ["PARTS", "Whole", "hasher_of"]

PARTS = "blake3:"
"""How the digests begin of the parts of what is published."""

_LARGE = 8 * 1024 * 1024
"""Bytes from which on a thread pays."""


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
    """The digest of `size` bytes, more or less, within a ``with`` block."""

    def __init__(self, size: int, algorithm: str = "sha256") -> None:
        self._algorithm = algorithm
        self._hasher = hasher_of(algorithm + ":")
        self._stack = ExitStack()
        self._aside = self._stack.enter_context(Aside()) if size > _LARGE else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def update(self, chunk: bytes) -> None:
        """Take the next bytes; they must not be changed afterwards."""
        if self._aside:
            self._aside.do(self._hasher.update, chunk)
        else:
            self._hasher.update(chunk)

    def digest(self) -> Digest:
        """Of all bytes so far."""
        if self._aside:
            self._aside.done()
        return Digest(f"{self._algorithm}:{self._hasher.hexdigest()}")
