"""Blobs: bytes under their own digest.  Written once, read only to be verified.

A blob needs no record of who wrote it: its name proves its bytes.  So "it exists" is success for a writer (after a look
at its size), and a reader trusts nothing but the digests of the parts it was told to expect.
"""

from __future__ import annotations

import base64
import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any, TypeVar

from modelvault import layout
from modelvault.cache import content_key
from modelvault.canonical import Digest, digest_of
from modelvault.errors import Code, CommitUncertain, Corrupt, InvalidInput, StoreError, Unsupported, VaultError, shown
from modelvault.paths import portable_path, portable_paths
from modelvault.stores import Content, Key, KeyExists, KeyMissing, Span, Store
from modelvault.stores.pace import LONGEST_PAUSE, PASSING, TRIES, pause
from modelvault.wire import File, Part

__all__ = ["INLINE_LIMIT", "Blobs", "Source", "described", "parallel", "sources", "walk"]

Flight = Callable[[Key], AbstractContextManager[Callable[[], object]]]

INLINE_LIMIT = 8 * 1024
"""The smallest files of a version are kept in its manifest while they add up to no more than this many bytes."""

_CHUNK = 1024 * 1024
_WINDOW = 8 * _CHUNK
_WORKERS = 8

Item = TypeVar("Item")
Result = TypeVar("Result")


class Source:
    """A file to be published: read twice, once for its digest and once to be stored, and refused if it changed between."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name
        self.size, self.digest = _measured(path)

    def chunks(self) -> Iterator[bytes]:
        """The bytes; at the end InvalidInput `bad-value` if they are not those that were measured."""
        hasher = hashlib.sha256()
        for chunk in _chunks(self.path):
            hasher.update(chunk)
            yield chunk
        if "sha256:" + hasher.hexdigest() != self.digest:
            raise InvalidInput(
                f"{shown(self.path)} changed while it was published",
                code=Code.BAD_VALUE,
                hint="publish when nothing writes to it any more",
                ref=self.name,
            )


def sources(root: Path) -> list[Source]:
    """The files to publish: `root` itself, or all that lie below it, in order of their portable paths.

    Raises:
        InvalidInput: `bad-path`, a path cannot be stored or read, or something is neither a file nor a folder.
        NotFound: `file-not-found` is raised by the caller, who knows what was meant.
    """
    found = [(root, portable_path(root.name))] if root.is_file() else sorted(walk(root), key=lambda one: one[1])
    portable_paths(name for _, name in found)
    return parallel(lambda one: Source(*one), found)


def walk(folder: Path, above: str = "") -> Iterator[tuple[Path, str]]:
    """The files below `folder`, with their portable paths.

    Raises:
        InvalidInput: `bad-path`, as `sources`.
    """
    with _listing(folder) as listing:
        for one in listing:
            name = portable_path(above + one.name)
            if one.is_dir(follow_symlinks=False):
                yield from walk(Path(one.path), name + "/")
            elif one.is_file(follow_symlinks=False):
                yield Path(one.path), name
            else:
                raise InvalidInput(
                    f"{shown(name)} is neither a file nor a folder",
                    code=Code.BAD_PATH,
                    hint="links and special files are not published: put a copy in its place",
                    ref=name,
                )


def _listing(folder: Path) -> Any:
    try:
        return os.scandir(folder)
    except OSError as error:
        raise _unreadable(folder, error) from error


def _unreadable(path: Path, error: OSError) -> InvalidInput:
    message = f"cannot read {shown(path)}: {error.strerror}"
    return InvalidInput(message, code=Code.BAD_PATH, ref=shown(path))


def _chunks(path: Path) -> Iterator[bytes]:
    with _opened(path) as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _opened(path: Path) -> Any:
    try:
        return open(path, "rb", buffering=0)
    except OSError as error:
        raise _unreadable(path, error) from error


def _measured(path: Path) -> tuple[int, Digest]:
    hasher, size = hashlib.sha256(), 0
    for chunk in _chunks(path):
        hasher.update(chunk)
        size += len(chunk)
    return size, Digest("sha256:" + hasher.hexdigest())


def parallel(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """`work` done to each item, several at a time; the first failure is raised when all that had begun has ended."""
    listed = list(items)
    if len(listed) < 2:
        return [work(item) for item in listed]
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(min(_WORKERS, len(listed)))
    try:
        return list(pool.map(work, listed))
    finally:
        pool.shutdown(cancel_futures=True)


def described(found: list[Source]) -> tuple[File, ...]:
    """The file records of `found`: the smallest inline, in the order of their sizes, the others one part each."""
    room, inline = INLINE_LIMIT, set[str]()
    for source in sorted(found, key=lambda one: (one.size, one.name)):
        room -= source.size
        if room < 0:
            break
        inline.add(source.name)
    return tuple(_inline(one) if one.name in inline else _whole(one) for one in found)


def _inline(source: Source) -> File:
    text = base64.b64encode(b"".join(source.chunks())).decode("ascii")
    return File(path=source.name, size=source.size, digest=source.digest, inline=text)


def _whole(source: Source) -> File:
    part = Part(digest=source.digest, size=source.size)
    return File(path=source.name, size=source.size, digest=source.digest, parts=(part,))


class _Bytes:
    """Bytes in memory as a `Content`."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def chunks(self) -> Iterator[bytes]:
        yield self._data


class _PartContent:
    """The bytes of a part as they come from a store; `Corrupt` at the end unless they are what the part says."""

    def __init__(self, store: Store, key: Key, part: Part, offset: int) -> None:
        self._store = store
        self._key = key
        self._part = part
        self._offset = offset
        self.size = part.size
        self.arrived: Callable[[], object] = _ignored  # called whenever bytes have come
        self.failure: StoreError | None = None  # of the store, if it failed

    def chunks(self) -> Iterator[bytes]:
        hasher = _hasher(self._part.digest)
        for begin in range(0, self.size, _WINDOW):
            for chunk in self.window(begin):
                hasher.update(chunk)
                yield chunk
        if hasher.hexdigest() != self._part.digest.partition(":")[2]:
            raise Corrupt(
                f"{self._key} does not hold the bytes of {self._part.digest}",
                code=Code.DIGEST_MISMATCH,
                hint="do not use it; run 'modelvault verify' and restore the object from a copy",
                ref=self._key,
            )

    def window(self, begin: int) -> list[bytes]:
        """The bytes from `begin` on, as many as are asked for at once; not verified."""
        chunks: list[bytes] = []

        def sink(_: int, chunk: bytes) -> None:
            chunks.append(bytes(chunk))
            self.arrived()

        span = Span(self._offset + begin, min(_WINDOW, self.size - begin))
        try:
            self._store.fetch(self._key, [span], sink)
        except KeyMissing:
            raise Corrupt(
                f"the blob {self._key} is missing",
                code=Code.BLOB_MISSING,
                hint="restore it from a copy of the vault; 'modelvault verify' lists what else is gone",
                ref=self._key,
            ) from None
        except StoreError as error:
            self.failure = error
            raise
        return chunks


def _ignored() -> None:
    pass


def _hasher(digest: str) -> Any:
    if digest.startswith("sha256:"):
        return hashlib.sha256()
    try:
        from blake3 import blake3
    except ImportError as error:
        raise Unsupported(
            "this version has parts with BLAKE3 digests, and the package blake3 is not installed",
            code=Code.EXTRA_MISSING,
            hint="pip install 'modelvault-sdk[blake3]'",
        ) from error
    return blake3()


class Blobs:
    """The blobs of a store, and the reader's cache of verified parts in front of them.

    `flight` is entered with the key of a part that the cache lacks, and gives a function to be called as bytes arrive.
    """

    def __init__(self, store: Store, cache: Store | None = None, flight: Flight | None = None) -> None:
        self.store = store
        self.cache = cache
        self._flight = flight or (lambda _: nullcontext(_ignored))

    def put(self, data: bytes) -> str:
        """Store `data`; the name of its blob."""
        return self._put(_Bytes(data), digest_of(data))

    def put_files(self, found: list[Source], files: tuple[File, ...]) -> tuple[File, ...]:
        """Store what `described` said of `found`, in parallel; what is inline needs no storing."""
        return tuple(parallel(lambda pair: self._put_file(*pair), zip(found, files, strict=True)))

    def chunks(self, file: File) -> Iterator[bytes]:
        """The bytes of `file`.  They are verified once the iterator has ended, and must not be used before.

        Raises:
            Corrupt: `digest-mismatch`, the stored bytes are not the file's; `blob-missing`, they are gone.
        """
        if file.inline is not None:
            yield file.data
            return
        hasher = None if [part.digest for part in file.parts] == [file.digest] else hashlib.sha256()
        for part in file.parts:
            for chunk in self._part(part):
                if hasher:
                    hasher.update(chunk)
                yield chunk
        if hasher and "sha256:" + hasher.hexdigest() != file.digest:
            raise Corrupt(
                f"the parts of {shown(file.path)} are not the file with the digest {file.digest}",
                code=Code.DIGEST_MISMATCH,
                hint="its manifest was forged, or its writer was wrong: publish it as a new version",
                ref=file.path,
            )

    def read(self, file: File) -> bytes:
        """All bytes of `file`, verified.  Raises as `chunks`."""
        if file.inline is not None:
            return file.data
        return b"".join(self.chunks(file))

    def write(self, file: File, path: Path) -> None:
        """Put `file` at `path`, which is new.  Raises as `chunks`, and then leaves what it wrote."""
        with open(path, "xb") as out:
            out.writelines(self.chunks(file))

    def present(self, part: Part) -> bool:
        """The blob of `part` is there, and long enough."""
        key = Key(layout.blob(part.blob or part.digest))
        found = next(iter(self.store.list(key, limit=1)), None)
        return found is not None and found.key == key and found.size >= part.offset + part.size

    def blob(self, name: str, size: int) -> bytes:
        """All bytes of a small blob, verified by its name.  Raises as `chunks`."""
        return b"".join(self._part(Part(digest=name.partition(".")[0], size=size, blob=name)))

    def keep(self, part: Part) -> None:
        """See to it that the cache, if there is one, holds the bytes of `part`, verified.

        Raises:
            Corrupt: as `chunks`.
            StoreError: the store cannot give them, or the cache cannot take them.
        """
        if self.cache is not None:
            self._kept(part, self._stored(part), self.cache)

    def _put_file(self, source: Source, file: File) -> File:
        if file.inline is not None or (name := self._put(source, source.digest)) == source.digest:
            return file
        return file.model_copy(update={"parts": (Part(digest=source.digest, size=source.size, blob=name),)})

    def _put(self, content: Content, digest: Digest) -> str:
        """Create the blob of `content`, whose digest is `digest`; one that is there already is not written again.

        Where an object of another size stands at the name (a torn write of a store that cannot do better), the bytes go
        under the same digest with a nonce, and the other is left for upkeep.  After a failure it is created again, even
        if it is there: only "ok" and "exists" say that it will outlive a crash.
        """
        name: str = digest
        failed: StoreError | None = None
        for tries in range(1, TRIES + 1):
            key = Key(layout.blob(name))
            try:
                self.store.create(key, content)
            except KeyExists:
                if self._size(key, failed) == content.size:
                    return name
                name = f"{digest}.{os.urandom(8).hex()}"
            except StoreError as error:
                failed, wait = error, pause(tries, error)
                if error.code == Code.STORE_UNREACHABLE:
                    self._reach(key, error)
                if wait > LONGEST_PAUSE:
                    raise
                if error.code not in PASSING:
                    if self._size(key, error) != content.size:
                        raise
                    if error.code == Code.STORE_DENIED:
                        return name  # so some services answer one who may only create, where the key is taken
                if tries < TRIES:
                    time.sleep(wait)
            else:
                return name
        raise failed or StoreError(f"no name is free for {digest}", code=Code.STORE_FAILED, ref=digest)

    def _reach(self, key: Key, failed: StoreError) -> None:
        """The store answers again; else what it failed with is all that there is to say: no blob is ever in doubt for long."""
        try:
            next(iter(self.store.list(key, limit=1)), None)
        except VaultError:
            raise failed from None

    def _size(self, key: Key, doubt: StoreError | None) -> int | None:
        try:
            found = next(iter(self.store.list(key, limit=1)), None)
        except VaultError as error:
            if doubt is None:
                raise
            if doubt.code == Code.STORE_DENIED and error.code == Code.STORE_DENIED:
                raise doubt from None
            raise CommitUncertain(
                f"the store could not say whether {key} was written",
                code=Code.COMMIT_UNCERTAIN,
                hint="run it again: a blob that is there already is not written twice",
                key=key,
                ref=key,
            ) from doubt
        return found.size if found is not None and found.key == key else None

    def _stored(self, part: Part) -> _PartContent:
        return _PartContent(self.store, Key(layout.blob(part.blob or part.digest)), part, part.offset)

    def _part(self, part: Part) -> Iterator[bytes]:
        """The bytes of a part: from the store, or the cache, where they go first, verified, if they are not there yet."""
        stored = self._stored(part)
        if self.cache is None:
            yield from stored.chunks()
            return
        try:
            kept = self._kept(part, stored, self.cache)
        except StoreError as error:
            if error is stored.failure:
                raise
            yield from stored.chunks()  # the cache cannot take it; the store may still give it
            return
        hasher, source = _hasher(part.digest), kept
        for begin in range(0, part.size, _WINDOW):
            try:
                chunks = source.window(begin)
            except (Corrupt, StoreError):
                if source is stored:
                    raise
                source = stored  # what was kept was removed meanwhile
                chunks = source.window(begin)
            for chunk in chunks:
                hasher.update(chunk)
                yield chunk
        if hasher.hexdigest() != part.digest.partition(":")[2]:
            message = f"the cached copy of {part.digest} changed while it was read"
            raise StoreError(message, code=Code.STORE_FAILED, hint="run it again", ref=part.digest)

    def _kept(self, part: Part, stored: _PartContent, cache: Store) -> _PartContent:
        """What the cache has of `part`; that is `stored`, verified, if it had nothing."""
        key = content_key(part.digest)
        kept = _PartContent(cache, key, part, 0)
        if not _intact(kept, cache, key):
            with self._flight(key) as stored.arrived:
                if not _intact(kept, cache, key):
                    with suppress(KeyExists):  # another process was faster; its bytes are verified when they are read
                        cache.create(key, stored)
        return kept


def _intact(kept: _PartContent, cache: Store, key: Key) -> bool:
    """The copy that `cache` has is right; one that is damaged is dropped, and there may be another behind it."""
    for _ in range(2):
        try:
            for _ in kept.chunks():
                pass
        except Corrupt as error:
            if error.code == Code.BLOB_MISSING:
                return False
            cache.delete(key)
        else:
            return True
    return False
