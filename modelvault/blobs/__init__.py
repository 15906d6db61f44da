"""Blobs: bytes under their own digest.  Written once, read only to be verified.

A blob needs no record of who wrote it: its name proves its bytes.  So "it exists" is success for a writer (after a look
at its size), and a reader trusts nothing but the digests of the parts it was told to expect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING

from modelvault import layout
from modelvault.blobs.content import WINDOWS, Stored, Wanted, verified
from modelvault.blobs.hashing import hasher_of
from modelvault.blobs.together import Batch, batches, each
from modelvault.blobs.workers import parallel
from modelvault.cache import content_key
from modelvault.canonical import digest_of
from modelvault.errors import Code, Corrupt, StoreError
from modelvault.progress import Meter
from modelvault.stores import Key, KeyExists, Store
from modelvault.wire import File, Part

if TYPE_CHECKING:
    from modelvault.cache.stamps import Stamps

__all__ = ["Blobs", "Wanted", "parallel"]

_FILES = 4
"""Files that are written at once: each holds four windows of 8 MiB, and eight if it is one of two."""
_MAPPED = 1024 * 1024
"""A file of fewer bytes is read as quickly as it is mapped."""

Flight = Callable[[Key], AbstractContextManager[Callable[[], object]]]


def _ignored() -> None:
    pass


class Blobs:
    """The blobs of a store, and the reader's cache of verified parts in front of them.

    `flight` is entered with the key of a part that the cache lacks, and gives a function to be called as bytes arrive.
    `stamps` gives what says which files were verified before.
    """

    def __init__(
        self,
        store: Store,
        cache: Store | None = None,
        flight: Flight | None = None,
        stamps: Callable[[], Stamps] | None = None,
    ) -> None:
        self.store = store
        self.meter = Meter()
        self.cache = cache
        self._flight = flight or (lambda _: nullcontext(_ignored))
        self._stamps = stamps
        self.windows = WINDOWS

    def among(self, files: int) -> Blobs:
        """The same, to bring large ones of so many files at once: the fewer there are, the more requests for each."""
        other = copy(self)
        other.windows = 2 * WINDOWS if files < 3 else WINDOWS
        return other

    def metered(self, meter: Meter) -> Blobs:
        """The same, where all bytes that go through are counted."""
        other = copy(self)
        other.meter = meter
        return other

    def put(self, data: bytes) -> str:
        """Store `data`; the name of its blob.  Raises as `modelvault.blobs.creating.create`."""
        from modelvault.blobs.creating import create

        return create(self.store, data, digest_of(data))

    def chunks(self, file: File) -> Iterator[bytes]:
        """The bytes of `file`.  They are verified once the iterator has ended, and must not be used before.

        Raises:
            Corrupt: `digest-mismatch`, the stored bytes are not the file's; `blob-missing`, they are gone.
        """
        if file.inline is not None:
            yield file.data
            return
        yield from self._chunks(_wanted(file))

    def read(self, file: File) -> bytes:
        """All bytes of `file`, verified.  Raises as `chunks`."""
        if file.inline is not None:
            return file.data
        return b"".join(self.chunks(file))

    def write_all(self, files: Iterable[File], folder: Path) -> None:
        """Put each of `files` at its path in `folder`, which has the folders for them, and none of the files.  Raises as `chunks`."""
        listed = list(files)
        with suppress(StoreError):  # of the cache, which may be full; of the store, which the next one meets
            self.bring(listed)
        together, apart = batches(listed) if self.cache is None else ([], listed)
        among = self.among(len(apart))
        parallel(lambda batch: self._write_batch(batch, folder), together, _FILES, self.meter.stop)
        parallel(lambda file: among.write(file, folder / file.path), apart, _FILES, self.meter.stop)

    def parts(self, file: File, begin: int, end: int) -> Iterator[bytes]:
        """The bytes of each part of `file` from number `begin` to `end` (not included), verified before it is given.

        What is inline is one part.  That the parts make up the file is what its manifest says, and is not checked here.
        They come from the cache where it has the file; what it lacks is not put there.  Raises as `chunks`.
        """
        if file.inline is not None:
            yield file.data
            return
        if self.cache is not None:
            with suppress(Corrupt, StoreError):
                for data in _cached(self.cache, file, begin, end):
                    yield data
                    begin += 1
        wanted = Wanted(file.path, file.digest, 0, file.parts[begin:end])
        yield from verified(wanted.parts, Stored(self.store, wanted).raw())

    def map(self, file: File) -> memoryview:
        """All bytes of `file`, verified, writable for this process alone.  Raises as `chunks`.

        They are mapped where they lie, in one piece, in the cache or in a local vault that nobody else can write; else read.
        """
        if file.inline is not None:
            return memoryview(bytearray(file.data))
        from modelvault.blobs.mapped import joined

        found = self._mapped(file) if file.size >= _MAPPED else None
        return found or joined(self.chunks(file))

    def write(self, file: File, path: Path) -> None:
        """Put `file` at `path`, which is new.  Raises as `chunks`, and then leaves what it wrote."""
        with open(path, "xb") as out:
            out.writelines(self.chunks(file))

    def present(self, part: Part) -> bool:
        """The blob of `part` is there, and long enough; so is that of its base, if it has one."""
        key = Key(layout.blob(part.blob or part.digest))
        found = next(iter(self.store.list(key, limit=1)), None)
        there = found is not None and found.key == key and found.size >= part.offset + part.length
        return there and (part.base is None or self.present(part.base))

    def blob(self, name: str, size: int) -> bytes:
        """All bytes of a small blob, verified by its name.  Raises as `chunks`."""
        digest = name.partition(".")[0]
        return b"".join(self._chunks(Wanted(name, digest, size, (Part(digest=digest, size=size, blob=name),))))

    def keep(self, file: File | Wanted) -> None:
        """See to it that the cache, if there is one, holds the bytes of `file`, verified.

        Raises:
            Corrupt: as `chunks`.
            StoreError: the store cannot give them, or the cache cannot take them.
        """
        wanted = _wanted(file) if isinstance(file, File) else file
        if self.cache is not None and wanted.parts:
            self._kept(wanted, Stored(self.store, wanted, windows=self.windows), self.cache)

    def bring(self, files: Iterable[File]) -> None:
        """Have the cache, if there is one, hold those of `files` that are small and lie together: many come with a request.

        Raises:
            Corrupt: as `chunks`.
            StoreError: the store cannot give them, or the cache cannot take them.
        """
        if self.cache is not None:
            together, _ = batches(file for file in files if not self._holds(file))
            parallel(self._bring, together, _FILES)

    def _bring(self, batch: Batch) -> None:
        assert self.cache
        with self._flight(content_key(batch.files[0].digest)) as beat:
            coming = () if all(map(self._holds, batch.files)) else each(self.store, batch, self._counted(beat))
            for file, data in coming:
                with suppress(KeyExists):
                    self.cache.create(content_key(file.digest), bytes(data))

    def _counted(self, beat: Callable[[], object]) -> Callable[[int], object]:
        def arrived(count: int) -> None:
            beat()
            self.meter.add(count)

        return arrived

    def _holds(self, file: File) -> bool:
        key = content_key(file.digest)
        return any(entry.key == key for entry in self.cache.list(key, limit=1)) if self.cache else False

    def _write_batch(self, batch: Batch, folder: Path) -> None:
        for file, data in each(self.store, batch, self.meter.add):
            with open(folder / file.path, "xb", buffering=0) as out:
                out.write(data)

    def _mapped(self, file: File) -> memoryview | None:
        from modelvault.blobs.mapped import mapped, whole
        from modelvault.cache.stamps import Stamps
        from modelvault.stores.port import Local

        kept = content_key(file.digest)
        place, key = (self.store, whole(file)) if self.cache is None else (self.cache, kept)
        if key is None or not isinstance(place, Local) or (self.cache is None and not place.private(key)):
            return None
        with suppress(StoreError):  # of the cache, which may be full; of the store, which is met again
            self.keep(file)
        stamps = self._stamps() if self._stamps else Stamps()
        return mapped(place, key, file.digest, file.size, stamps, kept)

    def _chunks(self, wanted: Wanted) -> Iterator[bytes]:
        """The bytes: from the store, or the cache, where they go first, verified, if they are not there yet."""
        stored = Stored(self.store, wanted, windows=self.windows)
        if self.cache is None:
            stored.arrived = self.meter.add
            yield from stored.chunks()
            return
        try:
            kept = self._kept(wanted, stored, self.cache)
        except StoreError as error:
            if error is stored.failure:
                raise
            yield from stored.chunks()  # the cache cannot take it; the store may still give it
            return
        hasher = hasher_of(wanted.digest)
        for chunk in _resumed(kept, stored):
            hasher.update(chunk)
            yield chunk
        if hasher.hexdigest() != wanted.digest.partition(":")[2]:
            self.cache.delete(content_key(wanted.digest))
            message = f"the cached copy of {wanted.digest} changed while it was read"
            raise StoreError(message, code=Code.STORE_FAILED, hint="run it again", ref=wanted.digest)

    def _kept(self, wanted: Wanted, stored: Stored, cache: Store) -> Stored:
        """What the cache has of it; that is `stored`, verified, if it had nothing."""
        key = content_key(wanted.digest)
        kept = Stored(cache, wanted, key)
        if not _intact(kept, cache, key):
            with self._flight(key) as beat:
                stored.arrived = self._counted(beat)
                if not _intact(kept, cache, key):
                    with suppress(KeyExists):  # another process was faster; its bytes are verified when they are read
                        cache.create(key, stored)
                        _sound(cache, key, lambda: True)  # it was verified on its way
        return kept


def _cached(cache: Store, file: File, begin: int, end: int) -> Iterator[bytes]:
    """The bytes of the parts from `begin` to `end`, verified, out of the copy of `file` that `cache` has."""
    first, last = (sum(part.size for part in file.parts[:number]) for number in (begin, end))
    copy = Stored(cache, Wanted(file.path, file.digest, last, ()), content_key(file.digest))
    yield from verified(file.parts[begin:end], copy.raw(first))


def _wanted(file: File) -> Wanted:
    return Wanted(file.path, file.digest, file.size, file.parts)


def _resumed(kept: Stored, stored: Stored) -> Iterator[bytes]:
    """The bytes of `kept`, not verified; and from where it stops, for it was removed meanwhile, of `stored`."""
    given = 0
    try:
        for chunk in kept.raw():
            given += len(chunk)
            yield chunk
    except (Corrupt, StoreError):
        if kept is stored:
            raise
        yield from stored.raw(given)


def _intact(kept: Stored, cache: Store, key: Key) -> bool:
    """The copy that `cache` has is right; one that is damaged is dropped, and there may be another behind it."""
    for _ in range(2):
        try:
            return _sound(cache, key, lambda: _drained(kept))
        except Corrupt as error:
            if error.code == Code.BLOB_MISSING:
                return False
            cache.delete(key)
    return False


def _sound(cache: Store, key: Key, check: Callable[[], bool]) -> bool:
    """As `Shelf.sound`, where the cache is one."""
    sound: Callable[[Key, Callable[[], bool]], bool] | None = getattr(cache, "sound", None)
    return sound(key, check) if sound else check()


def _drained(kept: Stored) -> bool:
    for _ in kept.chunks():
        pass
    return True
