"""Room: how much is kept, and what goes when that is too much."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from modelvault.cache import folders
from modelvault.canonical import Digest
from modelvault.errors import Code, InvalidInput, shown

__all__ = ["LIMIT", "Kept", "drop", "kept", "prune", "size", "size_of"]

LIMIT = 32 * 1024**3
"""Bytes that a cache keeps, if nobody says otherwise."""

_IN_USE = 600
"""Seconds: what was used since then stays."""

_ABANDONED = 3600
"""Seconds without a write, after which what was staged is garbage of a process that died."""

_STAMPED = 30 * 86_400
"""Seconds, after which a stamp, a measure or an index goes; what it was of is read once more if it is still in use."""

_SIZE = re.compile(r"(\d+(?:\.\d+)?) *(?:([kmgtp])(i)?)?b?", re.IGNORECASE | re.ASCII)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_HEX = re.compile(r"[0-9a-f]{64}")


class Kept(NamedTuple):
    """One thing that is kept: its bytes, and when it was used last, in seconds since the epoch."""

    kind: Literal["tree", "content"]
    digest: Digest
    size: int
    used: float
    path: Path


def size(text: str) -> int:
    """The bytes that `text` means: ``"500"``, ``"20GB"`` (units of 1000), ``"512MiB"`` (units of 1024).

    Raises:
        InvalidInput: `bad-value`.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise InvalidInput(f"'{shown(text)}' is no size", code=Code.BAD_VALUE, hint="such as 20GB or 500MiB")
    amount, unit, binary = found.groups("")
    return int(float(amount) * (1024 if binary else 1000) ** _POWERS[unit.lower()])


def kept(folder: Path) -> list[Kept]:
    """All content and trees of the cache in `folder`, in the order in which they go: trees first, the longest unused first."""
    found = [*_trees(folder / "trees"), *_content(folder / "content")]
    return sorted(found, key=lambda one: (one.kind == "content", one.used))


def prune(folder: Path, to: int) -> list[Kept]:
    """Remove the first of what is kept until no more than `to` bytes are; what is in use stays, unless `to` is 0."""
    _sweep(folder)
    all = kept(folder)
    total, since, gone = sum(one.size for one in all), time.time() - _IN_USE, []
    for one in all:
        if total <= to and to:
            break
        if (to and one.used > since) or not drop(one):
            continue
        total -= one.size
        gone.append(one)
    return gone


def drop(one: Kept) -> bool:
    """Remove it, if that can be.  It goes aside first, so that nobody finds a part of a folder."""
    aside = one.path.with_name(f".tmp-{os.urandom(16).hex()}.old")
    try:
        one.path.rename(aside)
    except OSError:  # gone already, or nothing can be changed here
        return False
    folders.remove(aside)
    return True


def size_of(folder: Path) -> int:
    """The bytes of all files below `folder`, but for those that have another name, which is content."""
    return sum(found.st_size for found in map(_found, _below(folder)) if found and found.st_nlink == 1)


def _trees(folder: Path) -> Iterator[Kept]:
    for one in folders.listed(folder):
        if _HEX.fullmatch(one.name) and (found := _found(one)):
            yield Kept("tree", Digest(f"sha256:{one.name}"), size_of(one), folders.used(found), one)


def _content(folder: Path) -> Iterator[Kept]:
    for algorithm in folders.listed(folder):
        for shelf in folders.listed(algorithm):
            for one in folders.listed(shelf):
                if _HEX.fullmatch(one.name) and (found := _found(one)):
                    digest = Digest(f"{algorithm.name}:{one.name}")
                    yield Kept("content", digest, found.st_size, folders.used(found), one)


def _below(folder: Path) -> Iterator[Path]:
    return (Path(above, name) for above, _, names in os.walk(folder) for name in names)


def _found(path: Path) -> os.stat_result | None:
    """None if it has gone meanwhile."""
    try:
        return path.lstat()
    except OSError:
        return None


def _sweep(folder: Path) -> None:
    """Remove what processes that died have left behind."""
    places = [folder / "trees", folder / "locks"]
    places += [shelf for algorithm in folders.listed(folder / "content") for shelf in folders.listed(algorithm)]
    for place in places:
        for one in folders.listed(place):
            if (place.name == "locks" or one.name.startswith(".tmp-")) and _last_write(one) < time.time() - _ABANDONED:
                folders.remove(one)
    for one in (one for name in ("stamps", "measures", "index") for one in folders.listed(folder / name)):
        if _last_write(one) < time.time() - _STAMPED:
            folders.remove(one)


def _last_write(path: Path) -> float:
    """Of a file, or of anything in a folder."""
    return max((found.st_mtime for found in map(_found, (path, *_below(path))) if found), default=0)
