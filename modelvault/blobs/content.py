"""The bytes of a file as they come from a store: windows of its parts, several under way at once, each part verified."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from modelvault import layout
from modelvault.blobs.hashing import Whole, hasher_of
from modelvault.blobs.workers import ordered
from modelvault.errors import Code, Corrupt, StoreError, Unsupported, shown
from modelvault.stores import Key, KeyMissing, Span, Store
from modelvault.stores.port import Local
from modelvault.wire import Part

__all__ = ["WINDOWS", "Range", "Stored", "Wanted", "check", "placed", "verified", "window"]

_WINDOW = 8 * 1024 * 1024
"""Bytes that are asked for at once."""
WINDOWS = 4
"""Of a file, under way at once, where nobody says how many."""
_NEAR = 1024 * 1024
"""Bytes that are read at once where nothing is gained by asking ahead."""


class Wanted(NamedTuple):
    """What a file, or anything that is stored like one, must be.  `name` is for people."""

    name: str
    digest: str
    size: int
    parts: Sequence[Part]


class Range(NamedTuple):
    """A range of an object, and the digest of what it should hold, if there is one."""

    key: Key
    offset: int
    size: int
    digest: str = ""


class Stored:
    """The bytes of `wanted` as a `Content`: its parts where they lie in `store`; or all of it, where `at` names an object.

    `Corrupt` at the end, if they are not what they should be.
    """

    def __init__(self, store: Store, wanted: Wanted, at: Key | None = None, windows: int = WINDOWS) -> None:
        self._store = store
        self._wanted = wanted
        self._coded = at is None and any(part.enc for part in wanted.parts)
        self._ranges = (
            [placed(part) for part in wanted.parts if part.enc is None]
            if at is None
            else [Range(at, 0, wanted.size, wanted.digest)]
        )
        self._windows = windows
        self.size = wanted.size
        self.arrived: Callable[[int], object] = lambda _: None  # told how many bytes have come
        self.failure: StoreError | None = None  # of the store, if it failed

    def chunks(self) -> Iterator[bytes]:
        """The bytes, all of them verified once this has ended."""
        return self.rest(iter(()))

    def rest(self, first: Iterator[bytes]) -> Iterator[bytes]:
        """The bytes that follow the `first` ones, which came before; they and these are verified once this has ended."""
        begin = 0
        with Whole(self._wanted.digest.partition(":")[0]) as whole:
            for chunk in first:
                whole.update(chunk)
                begin += len(chunk)
            for chunk in self.raw(begin):
                whole.update(chunk)
                yield chunk
            if whole.digest() != self._wanted.digest:
                raise self._mismatch() if begin else self._damage()

    def raw(self, begin: int = 0) -> Iterator[bytes]:
        """The bytes from `begin` on, not verified, but for those of coded parts."""
        return self._decoded(begin) if self._coded else self._fetched(_past(begin, self._ranges))

    def _decoded(self, begin: int) -> Iterator[bytes]:
        from modelvault.blobs.decoding import decoded

        fetched = partial(self._fetched, arrived=lambda _: self.arrived(0))  # what counts is what it stands for
        for chunk in decoded(self._wanted.parts, begin, fetched):
            self.arrived(len(chunk))
            yield chunk

    def _damage(self) -> Corrupt:
        """What is wrong with it: the first part that is not what it should be, or their sum."""
        with suppress(Unsupported):  # without the package for a part's digest nothing can be said of the part
            for range in self._ranges:
                hasher = hasher_of(range.digest)
                for chunk in self._fetched([range]):
                    hasher.update(chunk)
                if hasher.hexdigest() != range.digest.partition(":")[2]:
                    return _mismatch(range)
        return self._mismatch()

    def _mismatch(self) -> Corrupt:
        return Corrupt(
            f"the parts of {shown(self._wanted.name)} are not the file with the digest {self._wanted.digest}",
            code=Code.DIGEST_MISMATCH,
            hint="its manifest was forged, or its writer was wrong: publish it as a new version",
            ref=self._wanted.name,
        )

    def _fetched(self, ranges: Iterable[Range], arrived: Callable[[int], object] | None = None) -> Iterator[bytes]:
        """The bytes of the ranges: of a store that answers from far away several windows ahead."""
        counted = partial(self._window, arrived=arrived or self.arrived)
        if isinstance(self._store, Local):
            for range in _windows(ranges, _NEAR):
                yield from counted(range)
        else:
            for chunks in ordered(counted, _windows(ranges, _WINDOW), self._windows):
                yield from chunks

    def _window(self, range: Range, arrived: Callable[[int], object]) -> list[bytes]:
        try:
            return window(self._store, range, arrived)
        except StoreError as error:
            self.failure = error
            raise


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
        check(placed(part), data)
        yield data


def window(store: Store, range: Range, arrived: Callable[[int], object] = lambda _: None) -> list[bytes]:
    """The bytes of a range, in chunks, not verified; `arrived` is told the bytes of each as it comes.

    Raises:
        Corrupt: `blob-missing`; `digest-mismatch`, the object is shorter.
    """
    chunks: list[bytes] = []

    def sink(_: int, chunk: bytes) -> None:
        chunks.append(bytes(chunk))
        arrived(len(chunk))

    try:
        store.fetch(range.key, [Span(range.offset, range.size)], sink)
    except KeyMissing:
        raise Corrupt(
            f"the blob {range.key} is missing",
            code=Code.BLOB_MISSING,
            hint="restore it from a copy of the vault; 'modelvault verify' lists what else is gone",
            ref=range.key,
        ) from None
    return chunks


def placed(part: Part) -> Range:
    """Where the bytes of `part` lie, coded or not, and the digest of what they stand for."""
    return Range(Key(layout.blob(part.blob or part.digest)), part.offset, part.length, part.digest)


def check(range: Range, data: bytes | memoryview) -> None:
    """`data` is what `range` should hold.

    Raises:
        Corrupt: `digest-mismatch`.
    """
    hasher = hasher_of(range.digest)
    hasher.update(data)
    if hasher.hexdigest() != range.digest.partition(":")[2]:
        raise _mismatch(range)


def _mismatch(range: Range) -> Corrupt:
    return Corrupt(
        f"{range.key} does not hold the bytes of {range.digest}",
        code=Code.DIGEST_MISMATCH,
        hint="do not use it; run 'modelvault verify' and restore the object from a copy",
        ref=range.key,
    )


def _past(begin: int, ranges: Iterable[Range]) -> Iterator[Range]:
    """What is left of the ranges from byte `begin` of all of them on."""
    for key, offset, size, _ in ranges:
        if size > begin:
            yield Range(key, offset + begin, size - begin)
        begin = max(begin - size, 0)


def _windows(ranges: Iterable[Range], most: int) -> Iterator[Range]:
    """The ranges, in order: those that touch joined, and then cut, so that each is asked for at once, `most` bytes of it."""
    held: Range | None = None
    for key, offset, size, _ in ranges:
        if not size:
            continue
        if held and held.key == key and held.offset + held.size == offset:
            held = Range(key, held.offset, held.size + size)
        else:
            yield from [held] if held else []
            held = Range(key, offset, size)
        while held.size > most:
            yield Range(key, held.offset, most)
            held = Range(key, held.offset + most, held.size - most)
    if held:
        yield held
