"""Verify a cache: all that is kept is hashed, and what is damaged is dropped, to be fetched again when it is needed.

No reader needs this, for each checks what it uses.  It is for disks that are doubted, and for layers before they ship.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from modelvault.blobs import Blobs, Wanted
from modelvault.cache import Cache, content_key, folders, room
from modelvault.cache.known import Known
from modelvault.cache.room import Kept
from modelvault.cache.shelf import Shelf
from modelvault.canonical import Digest
from modelvault.errors import Code, Corrupt, NotFound, Unsupported, VaultError, shown
from modelvault.folder import measured, walk
from modelvault.stores import Key
from modelvault.stores.wrappers import Wrapper
from modelvault.wire import File, Part, Target, read_manifest

__all__ = ["Checked", "verify"]

_ANY = "sha256:" + "0" * 64


@dataclass(frozen=True, slots=True)
class Checked:
    """What was looked at, and what was damaged, which is gone now.  `unknown` could not be checked: readers will."""

    content: int = 0
    trees: int = 0
    records: int = 0
    bytes: int = 0
    unknown: int = 0
    problems: tuple[VaultError, ...] = ()

    @property
    def ok(self) -> bool:
        """Nothing is wrong."""
        return not self.problems

    def __str__(self) -> str:
        looked = f"{self.content} parts, {self.trees} folders, {self.records} records, {self.bytes:,} bytes"
        looked += f", {self.unknown} unknown" if self.unknown else ""
        return f"{looked}: " + ("all well" if self.ok else f"damaged, and dropped: {len(self.problems)}")


def verify(cache: Cache) -> Checked:
    """Hash what is in `cache` itself, and drop what is damaged.  Layers are not looked at: verify them as caches."""
    counts, problems = Counter[str](), list[VaultError]()

    def look(name: str, size: int, check: Callable[[], object]) -> None:
        try:
            check()
        except (NotFound, Unsupported):  # nothing here says what should be in it, or a package is missing
            counts["unknown"] += 1
        except VaultError as error:
            problems.append(error)
        counts.update({name: 1, "bytes": size})

    vaults = cache.vaults()
    for path in (path for one in vaults for path in one.damaged):
        look("records", 0, partial(_drop_record, path))
    counts["records"] += sum(len(one.claims) + len(one.heads) for one in vaults)
    targets = dict(_targets(vaults))
    for one in reversed(cache.entries()):  # content first: it tells what should be in the folders
        if one.kind == "content":
            look("content", one.size, partial(_check_content, cache, one))
        else:
            look("trees", one.size, partial(_check_tree, cache, targets, one))
    return Checked(problems=tuple(problems), **counts)


def _targets(vaults: Iterable[Known]) -> Iterator[tuple[str, Target]]:
    for one in vaults:
        yield from ((claim.target.digest, claim.target) for claim in one.claims)
        yield from ((move.target.digest, move.target) for move, _ in one.heads if move.target)


def _drop_record(path: Path) -> None:
    folders.remove(path)
    raise Corrupt(f"the cached record {shown(path)} was damaged", code=Code.BAD_RECORD, ref=shown(path))


class _Drops(Wrapper):
    """Knows whether something was dropped: what is not there any more may be the work of others."""

    dropped = False

    def delete(self, key: Key) -> None:
        self.dropped = True
        super().delete(key)


def _check_content(cache: Cache, one: Kept) -> None:
    """As any reader does, but with no store to ask for what is missing."""
    assert cache.blobs.own is not None
    kept = _Drops(cache.blobs.own)
    try:
        part = Part(digest=one.digest, size=one.size, blob=_ANY)
        Blobs(Shelf(None, ()), kept).keep(Wanted(one.digest, one.digest, one.size, (part,)))
    except Corrupt:
        if kept.dropped:
            raise _damaged(one) from None


def _check_tree(cache: Cache, targets: dict[str, Target], one: Kept) -> None:
    before = _inode(one.path)
    try:
        files = {file.path: file for file in _files(cache, targets, one.digest)}
        found = {name: path for path, name in walk(one.path)}
        if found.keys() == files.keys() and all(_holds(found[name], file) for name, file in files.items()):
            return
    except (Corrupt, OSError, ValueError):
        pass
    if before and before == _inode(one.path):  # else others have removed or replaced it meanwhile
        room.drop(one)
        raise _damaged(one)


def _inode(path: Path) -> int | None:
    try:
        return path.lstat().st_ino
    except FileNotFoundError:
        return None


def _files(cache: Cache, targets: dict[str, Target], digest: Digest) -> tuple[File, ...]:
    """What should be in the folder of the version `digest`; NotFound if nothing here says so."""
    target = targets.get(digest)
    raw = cache.blobs.read(content_key(digest)) if target is None or target.inline is None else target.inline.encode()
    return read_manifest(raw, digest, digest).files


def _holds(path: Path, file: File) -> bool:
    return path.stat().st_size == file.size and measured(path) == (file.size, file.digest)


def _damaged(one: Kept) -> Corrupt:
    return Corrupt(f"the cached {one.kind} {one.digest} was damaged", code=Code.DIGEST_MISMATCH, ref=one.digest)
