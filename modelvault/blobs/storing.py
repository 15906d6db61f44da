"""Store the files of a version: what the vault has of them already stays where it lies, and the rest goes into few blobs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

from modelvault import layout
from modelvault.blobs import Blobs
from modelvault.blobs.creating import create
from modelvault.blobs.plan import Fresh, Pack, known, plan
from modelvault.blobs.sources import Source
from modelvault.blobs.workers import parallel
from modelvault.cache.measures import Measures
from modelvault.canonical import Digest
from modelvault.progress import Meter
from modelvault.stores import Content, Stages
from modelvault.wire import File, Part

__all__ = ["measured", "store_files"]

_PACKS = 4
"""Blobs that are stored at once; each has several requests under way."""

_SHARES = 64
"""What is measured is dealt out in so many shares: of many small files each alone would cost as much again."""

_LARGE = 1024 * 1024
"""A file of so many bytes may be staged, and what it measures is remembered."""
_STAGED = 64
"""Files that are, at most: each is open meanwhile."""


@contextmanager
def measured(blobs: Blobs, found: list[Source], measures: Measures, *, stage: bool) -> Iterator[None]:
    """Measure all that was found, but for what `measures` knows.

    With `stage`, what is large is written meanwhile, by a store that can name it later.  Within the ``with`` block
    `store_files` makes blobs of that, or it is dropped at its end.
    """
    meter = blobs.meter
    for source in found:
        if source.size >= _LARGE:
            source.recall(measures)
    unread = [source for source in found if not source.parts]
    meter.begin("read", sum(source.size for source in unread))
    with ExitStack() as stack:
        if stage and isinstance(blobs.store, Stages):
            large = [source for source in unread if source.size >= _LARGE][:_STAGED]
            parallel(partial(_stage, blobs.store, stack, meter), large, _PACKS, meter.stop)
        shares = [share for at in range(_SHARES) if (share := unread[at::_SHARES])]
        parallel(partial(_measure, meter), shares, stop=meter.stop)
        yield


def _measure(meter: Meter, some: list[Source]) -> None:
    for source in some:
        source.measure(meter.add)


def _stage(store: Stages, stack: ExitStack, meter: Meter, source: Source) -> None:
    source.staged = stack.enter_context(store.stage(layout.BLOBS, _Counted(source, meter)))


class _Counted:
    """Content whose bytes are counted as they are read."""

    def __init__(self, content: Content, meter: Meter) -> None:
        self.size = content.size
        self._content = content
        self._meter = meter

    def chunks(self) -> Iterator[bytes]:
        for chunk in self._content.chunks():
            self._meter.add(len(chunk))
            yield chunk


def store_files(
    blobs: Blobs, found: list[Source], files: tuple[File, ...], likely: Iterable[File] = ()
) -> tuple[File, ...]:
    """Store what `described` said of `found`, and say where it lies; what is inline needs no storing.

    Parts that `likely` files have, too, are not stored again.
    """
    stored = [source for source, file in zip(found, files, strict=True) if file.inline is None]
    planned = plan(stored, _there(blobs, known(likely), stored))
    blobs.meter.begin("store", sum(pack.size for pack in planned.packs if not (pack.whole and pack.whole.staged)))
    names = parallel(lambda pack: _put(blobs, pack), planned.packs, _PACKS, blobs.meter.stop)
    blobs.meter.end()
    laid = dict(zip((source.name for source in stored), planned.places, strict=True))
    return tuple(file if file.inline is not None else _placed(file, laid[file.path], names) for file in files)


def _there(blobs: Blobs, likely: dict[str, Part], found: list[Source]) -> dict[str, Part]:
    """Those of the `likely` parts that `found` has, too, and whose blobs are still there."""
    wanted = {part.digest for source in found for part in source.parts}
    shared = {digest: part for digest, part in likely.items() if digest in wanted}
    furthest = {part.blob: part for part in sorted(shared.values(), key=lambda part: part.offset + part.size)}
    there = dict(zip(furthest, parallel(blobs.present, furthest.values()), strict=True))
    return {digest: part for digest, part in shared.items() if there[part.blob]}


def _put(blobs: Blobs, pack: Pack) -> str:
    whole = pack.whole
    digest = whole.digest if whole else _digest(pack)
    return create(blobs.store, (whole and whole.staged) or _Counted(pack, blobs.meter), digest)


def _digest(pack: Pack) -> Digest:
    hasher = hashlib.sha256()
    for chunk in pack.chunks():
        hasher.update(chunk)
    return Digest("sha256:" + hasher.hexdigest())


def _placed(file: File, places: Sequence[Part | Fresh], names: Sequence[str]) -> File:
    """The record of a file whose parts lie at `places`, in new blobs of these names or in those of before."""
    parts = tuple(_laid(part, at, names) for part, at in zip(file.parts, places, strict=True))
    return file.model_copy(update={"parts": parts})


def _laid(part: Part, at: Part | Fresh, names: Sequence[str]) -> Part:
    blob = at.blob if isinstance(at, Part) else names[at.pack]
    return Part(digest=part.digest, size=part.size, offset=at.offset, blob=None if blob == part.digest else blob)
