"""What is to be published: files of this machine, measured when they are met and proved unchanged when they are stored."""

from __future__ import annotations

import base64
import hashlib
import os
import posixpath
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import accumulate
from pathlib import Path
from typing import Any

from modelvault.blobs.hashing import PARTS, Whole, hasher_of
from modelvault.blobs.workers import prefetched
from modelvault.cache.measures import Measure, Measures
from modelvault.canonical import Digest
from modelvault.cuts import Piece, RandomAccess, Range, cuts, external
from modelvault.errors import Code, InvalidInput, shown
from modelvault.folder import found, opened, opening, ranged
from modelvault.stores import Content
from modelvault.wire import File, Part

__all__ = ["INLINE_LIMIT", "Source", "described", "sources"]

INLINE_LIMIT = 8 * 1024
"""The smallest files of a version are kept in its manifest while they add up to no more than this many bytes."""

_UNCUT = 1024 * 1024
"""A file of no more bytes is one part."""


_AHEAD = 32
"""Pieces that are looked for while those before them are hashed."""

_SMALL, _ROOM = 128 * 1024, 32 * 1024 * 1024
"""Files of up to so many bytes stay in memory, so many bytes of them: reading each again takes longer than all else."""


class Source:
    """A file to be published.  It is measured as it is read for the first time, as a `Content`."""

    digest: Digest
    """Of the file."""
    parts: tuple[Part, ...] = ()
    """As they lie in the file; none before it is measured."""
    dtypes: Sequence[str] = ("",)
    """Of each part: what its bytes are, as `Piece` says it."""
    staged: Content | None = None
    """All of it, where the store has it already under no name."""
    keeps = False
    """What is read stays in memory."""
    _measures = Measures()

    def __init__(self, path: Path, name: str, ranges: Sequence[Range] | None = None) -> None:
        """Look at the file; `ranges` is what another file says of what lies where in it.

        Raises:
            InvalidInput: `bad-path`, it cannot be read.
        """
        self.path = path
        self.name = name
        self._ranges = ranges
        self._kept = b""
        with opening(path):
            self._found = os.stat(path)
        self.size = self._found.st_size

    def recall(self, measures: Measures) -> None:
        """Take from `measures` what it knows of the file; what it is found to be is noted down there."""
        self._measures = measures
        if known := measures.of(self._found, self._how):
            self.digest = Digest(known.digest)
            self._divide(known.parts)

    def measure(self, count: Callable[[int], object] = lambda _: None) -> None:
        """Read the file once, unless that was done; `count` is told its bytes as they are read.  Raises as `chunks`."""
        if self.keeps:
            self._kept = b"".join(self.chunks())
            count(self.size)
        elif not self.parts:
            for chunk in self.chunks():
                count(len(chunk))

    def chunks(self) -> Iterator[bytes]:
        """The bytes; digest and parts are known at their end.

        Raises:
            InvalidInput: `bad-path`, it cannot be read; `bad-value`, it has changed, or does while it is read.
        """
        before, began = self.parts, time.time_ns()
        with opened(self.path) as file, closing(self._pieces(file)) as pieces:
            self.digest, parts = yield from self._hashed(file, pieces)
            found = os.fstat(file.fileno())
        self._divide(parts)
        if found.st_size != self.size or before not in ((), self.parts):
            raise self._changed()
        self._measures.note(found, self._how, began, Measure(self.digest, parts))

    def part(self, part: Part) -> Iterator[bytes]:
        """The bytes of `part`, again; at the end InvalidInput `bad-value` if they are not those that were measured."""
        if self._kept:
            yield self._kept[part.offset : part.offset + part.size]
            return
        hasher = hasher_of(part.digest)
        with opened(self.path) as file:
            for chunk in ranged(file, part.offset, part.size):
                hasher.update(chunk)
                yield chunk
            size = os.fstat(file.fileno()).st_size
        if size != self.size or hasher.hexdigest() != part.digest.partition(":")[2]:
            raise self._changed()

    @property
    def _how(self) -> str:
        return f"2 {PARTS} {hashlib.sha256(repr(self._ranges).encode()).hexdigest()}"

    def _divide(self, parts: Sequence[tuple[str, int, str]]) -> None:
        self.dtypes = [dtype for _, _, dtype in parts]
        if len(parts) == 1:
            self.parts = (Part(digest=self.digest, size=self.size),)
        else:
            ends = accumulate((size for _, size, _ in parts), initial=0)
            self.parts = tuple(
                Part(digest=one, size=size, offset=at, blob=self.digest)
                for (one, size, _), at in zip(parts, ends, strict=False)
            )

    def _pieces(self, file: Any) -> Generator[Piece, None, None]:
        if self.size <= _UNCUT:
            yield Piece(self.size)
            return
        pieces = cuts(_reader(file), self.size, ranges=self._ranges)
        yield from pieces if isinstance(pieces, list) else prefetched(pieces, _AHEAD)

    def _hashed(
        self, file: Any, pieces: Iterable[Piece]
    ) -> Generator[bytes, None, tuple[Digest, list[tuple[str, int, str]]]]:
        """The bytes; then the digest of the file, and digest, size and dtype of each of its parts."""
        parts, at = list[tuple[str, int, str]](), 0
        with Whole() as whole:
            for length, dtype in pieces:
                begin, hasher = at, None if length == self.size else hasher_of(PARTS)
                for chunk in ranged(file, at, length):
                    whole.update(chunk)
                    if hasher:
                        hasher.update(chunk)
                    at += len(chunk)
                    yield chunk
                if at != begin + length:
                    raise self._changed()
                parts.append((PARTS + hasher.hexdigest() if hasher else "", length, dtype))
            return whole.digest(), parts

    def _changed(self) -> InvalidInput:
        self._measures.drop(self._found, self._how)
        return InvalidInput(
            f"{shown(self.path)} changed while it was published",
            code=Code.BAD_VALUE,
            hint="publish when nothing writes to it any more",
            ref=self.name,
        )


def sources(root: Path) -> list[Source]:
    """The files at `root`, not measured: itself, or all that lie below it, in order of their portable paths.

    Raises:
        InvalidInput: `bad-path`, a path cannot be stored or read, or something is neither a file nor a folder.
        NotFound: `file-not-found` is raised by the caller, who knows what was meant.
    """
    files = found(root)
    ranges = _external(files)
    made, room = [Source(path, name, ranges.get(name)) for path, name in files], _ROOM
    for source in made:
        source.keeps = source.size <= min(_SMALL, room)
        room -= source.size if source.keeps else 0
    return made


def _external(files: list[tuple[Path, str]]) -> dict[str, list[Range]]:
    """By path, what the ONNX models among `files` say of the tensors in the files beside them."""
    said = dict[str, list[Range]]()
    for path, name in files:
        if name.endswith(".onnx"):
            with opened(path) as file:
                size = os.fstat(file.fileno()).st_size
                for location, ranges in external(_reader(file), size).items():
                    beside = posixpath.normpath(posixpath.join(posixpath.dirname(name), location))
                    said.setdefault(beside, []).extend(ranges)
    return said


def _reader(file: Any) -> RandomAccess:
    return lambda offset, length: os.pread(file.fileno(), length, offset)


def described(found: list[Source]) -> tuple[File, ...]:
    """The file records of `found`, each in a blob of its own, the smallest inline, in the order of their sizes."""
    room, inline = INLINE_LIMIT, set[str]()
    for source in sorted(found, key=lambda one: (one.size, one.name)):
        room -= source.size
        if room < 0:
            break
        inline.add(source.name)
    return tuple(_inline(one) if one.name in inline else _own(one) for one in found)


def _inline(source: Source) -> File:
    data = b"".join(chunk for part in source.parts for chunk in source.part(part))
    text = base64.b64encode(data).decode("ascii")
    return File(path=source.name, size=source.size, digest=source.digest, inline=text)


def _own(source: Source) -> File:
    return File(path=source.name, size=source.size, digest=source.digest, parts=source.parts)
