"""Small files that lie near one another in a blob: many of them come with one request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

from modelvault import layout
from modelvault.blobs.content import Range, check, window
from modelvault.stores import Key, Store
from modelvault.wire import File

__all__ = ["Batch", "batches", "each"]

_SMALL = 1024 * 1024
"""A file of up to so many bytes comes with others, if it is one part, and not a difference to another."""
_BATCH = 8 * 1024 * 1024
"""Bytes that are asked for at once."""
_GAP = 64 * 1024
"""So many bytes that nobody asked for are read rather than making another request."""


class Batch(NamedTuple):
    """A range of an object, and the files in it, in the order in which they lie there."""

    range: Range
    files: list[File]


def batches(files: Iterable[File]) -> tuple[list[Batch], list[File]]:
    """The batches of `files`, and the files that are in none: large ones, those of several parts, and those that lie alone."""
    listed = list(files)
    apart = [file for file in listed if not _fits(file)]
    found = list[Batch]()
    fitting = sorted(filter(_fits, listed), key=_place)
    for name, near in groupby(fitting, key=lambda file: file.parts[0].blob):
        for together in _cut(near):
            if name is None or len(together) == 1:
                apart += together
            else:
                begin, end = together[0].parts[0].offset, max(map(_end, together))
                found.append(Batch(Range(Key(layout.blob(name)), begin, end - begin), together))
    return found, apart


def each(
    store: Store, batch: Batch, arrived: Callable[[int], object] = lambda _: None
) -> Iterator[tuple[File, memoryview]]:
    """Each file of a batch, with its verified bytes; `arrived` is told how many bytes have come.

    Raises:
        Corrupt: `digest-mismatch`, the stored bytes are not the file's; `blob-missing`, they are gone.
    """
    data = memoryview(b"".join(window(store, batch.range, arrived)))
    for file in batch.files:
        part = file.parts[0]
        begin = part.offset - batch.range.offset
        found = data[begin : begin + part.length]
        if part.enc:
            from modelvault.blobs.decoding import decode

            found = memoryview(decode(part, bytes(found)))
            arrived(part.size - part.length)
        check(Range(batch.range.key, part.offset, part.size, file.digest), found)
        yield file, found


def _fits(file: File) -> bool:
    return file.inline is None and len(file.parts) == 1 and file.size <= _SMALL and file.parts[0].base is None


def _place(file: File) -> tuple[str, int]:
    return file.parts[0].blob or "", file.parts[0].offset


def _end(file: File) -> int:
    return file.parts[0].offset + file.parts[0].length


def _cut(files: Iterable[File]) -> Iterator[list[File]]:
    """The files of one blob, in the order in which they lie there, in runs of near ones."""
    run = list[File]()
    for file in files:
        begin = file.parts[0].offset
        if run and (begin - _end(run[-1]) > _GAP or _end(file) - run[0].parts[0].offset > _BATCH):
            yield run
            run = []
        run.append(file)
    if run:
        yield run
