"""The bytes of a file as they come from a store: windows of its parts, several under way at once, each part verified."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from modelvault import layout
from modelvault.blobs.workers import ordered
from modelvault.errors import Code, Corrupt, StoreError, Unsupported, shown
from modelvault.stores import Key, KeyMissing, Span, Store
from modelvault.wire import Part

__all__ = ["PARTS", "Stored", "Wanted", "hasher_of", "verified"]

PARTS = "blake3:"
"""How the digests begin of the parts of what is published."""

_WINDOW = 8 * 1024 * 1024
"""Bytes that are asked for at once."""
_WINDOWS = 4
"""Of a file, under way at once."""


class Wanted(NamedTuple):
    """What a file, or anything that is stored like one, must be.  `name` is for people."""

    name: str
    digest: str
    size: int
    parts: Sequence[Part]


class _Range(NamedTuple):
    """A range of an object, and the digest of what it should hold, if there is one."""

    key: Key
    offset: int
    size: int
    digest: str = ""


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


class Stored:
    """The bytes of `wanted` as a `Content`: its parts where they lie in `store`; or all of it, where `at` names an object.

    `Corrupt` at the end of a part that is not what it should be.
    """

    def __init__(self, store: Store, wanted: Wanted, at: Key | None = None) -> None:
        self._store = store
        self._wanted = wanted
        self._ranges = (
            [_range(part) for part in wanted.parts] if at is None else [_Range(at, 0, wanted.size, wanted.digest)]
        )
        self.size = wanted.size
        self.arrived: Callable[[], object] = lambda: None  # called whenever bytes have come
        self.failure: StoreError | None = None  # of the store, if it failed

    def chunks(self) -> Iterator[bytes]:
        """The bytes, all of them verified once this has ended."""
        one = [range.digest for range in self._ranges] == [self._wanted.digest]
        whole = None if one else hashlib.sha256()
        for chunk in self._verified():
            if whole:
                whole.update(chunk)
            yield chunk
        if whole and "sha256:" + whole.hexdigest() != self._wanted.digest:
            raise Corrupt(
                f"the parts of {shown(self._wanted.name)} are not the file with the digest {self._wanted.digest}",
                code=Code.DIGEST_MISMATCH,
                hint="its manifest was forged, or its writer was wrong: publish it as a new version",
                ref=self._wanted.name,
            )

    def raw(self, begin: int = 0) -> Iterator[bytes]:
        """The bytes from `begin` on, not verified."""
        return self._fetched(_past(begin, self._ranges))

    def _verified(self) -> Iterator[bytes]:
        coming = self._fetched(self._ranges)
        rest = memoryview(b"")
        for range in self._ranges:
            hasher, left = hasher_of(range.digest), range.size
            while left and (rest := rest or memoryview(next(coming, b""))):
                chunk, rest = rest[:left], rest[left:]
                hasher.update(chunk)
                left -= len(chunk)
                yield bytes(chunk)
            _check(range, hasher)

    def _fetched(self, ranges: Iterable[_Range]) -> Iterator[bytes]:
        """The bytes of the ranges, several windows ahead."""
        for chunks in ordered(self._window, _windows(ranges), _WINDOWS):
            yield from chunks

    def _window(self, window: _Range) -> list[bytes]:
        chunks: list[bytes] = []

        def sink(_: int, chunk: bytes) -> None:
            chunks.append(bytes(chunk))
            self.arrived()

        try:
            self._store.fetch(window.key, [Span(window.offset, window.size)], sink)
        except KeyMissing:
            raise Corrupt(
                f"the blob {window.key} is missing",
                code=Code.BLOB_MISSING,
                hint="restore it from a copy of the vault; 'modelvault verify' lists what else is gone",
                ref=window.key,
            ) from None
        except StoreError as error:
            self.failure = error
            raise
        return chunks


def verified(parts: Iterable[Part], coming: Iterator[bytes]) -> Iterator[bytes]:
    """The bytes of each of `parts`, which lie one behind another in what is `coming`, verified.

    Raises:
        Corrupt: `digest-mismatch`, they are not what the part should be.
    """
    held = bytearray()
    for part in parts:
        while len(held) < part.size and (chunk := next(coming, b"")):
            held += chunk
        data = bytes(memoryview(held)[: part.size])
        del held[: part.size]
        hasher = hasher_of(part.digest)
        hasher.update(data)
        _check(_range(part), hasher)
        yield data


def _range(part: Part) -> _Range:
    return _Range(Key(layout.blob(part.blob or part.digest)), part.offset, part.size, part.digest)


def _check(range: _Range, hasher: Any) -> None:
    if hasher.hexdigest() != range.digest.partition(":")[2]:
        raise Corrupt(
            f"{range.key} does not hold the bytes of {range.digest}",
            code=Code.DIGEST_MISMATCH,
            hint="do not use it; run 'modelvault verify' and restore the object from a copy",
            ref=range.key,
        )


def _past(begin: int, ranges: Iterable[_Range]) -> Iterator[_Range]:
    """What is left of the ranges from byte `begin` of all of them on."""
    for key, offset, size, _ in ranges:
        if size > begin:
            yield _Range(key, offset + begin, size - begin)
        begin = max(begin - size, 0)


def _windows(ranges: Iterable[_Range]) -> Iterator[_Range]:
    """The ranges, in order: those that touch joined, and then cut, so that each is asked for at once."""
    held: _Range | None = None
    for key, offset, size, _ in ranges:
        if not size:
            continue
        if held and held.key == key and held.offset + held.size == offset:
            held = _Range(key, held.offset, held.size + size)
        else:
            yield from [held] if held else []
            held = _Range(key, offset, size)
        while held.size > _WINDOW:
            yield _Range(key, held.offset, _WINDOW)
            held = _Range(key, held.offset + _WINDOW, held.size - _WINDOW)
    if held:
        yield held
