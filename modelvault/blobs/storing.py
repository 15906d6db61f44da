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
    blobs: Blobs,
    found: list[Source],
    files: tuple[File, ...],
    likely: Iterable[File] = (),
    *,
    compress: bool = False,
) -> tuple[File, ...]:
    """Store what `described` said of `found`, and say where it lies; what is inline needs no storing.

    Parts that `likely` files have, too, are not stored again.  With `compress`, those that are new are coded where it pays.
    """
    stored = [source for source, file in zip(found, files, strict=True) if file.inline is None]
    earlier = list(likely)
    there = _there(blobs, known(earlier), stored)
    laid = (_coded if compress else _raw)(blobs, stored, there, earlier)
    blobs.meter.end()
    return tuple(
        file if file.inline is not None else file.model_copy(update={"parts": laid[file.path]}) for file in files
    )


def _raw(blobs: Blobs, stored: list[Source], there: dict[str, Part], _: Sequence[File]) -> dict[str, tuple[Part, ...]]:
    """The parts of each file by its path, where they lie: what was not there is, as it is."""
    planned = plan(stored, there)
    blobs.meter.begin("store", sum(pack.size for pack in planned.packs if not (pack.whole and pack.whole.staged)))
    names = parallel(lambda pack: _put(blobs, pack), planned.packs, _PACKS, blobs.meter.stop)
    lines = zip(stored, planned.places, strict=True)
    return {
        source.name: tuple(_laid(part, at, names) for part, at in zip(source.parts, line, strict=True))
        for source, line in lines
    }


def _coded(
    blobs: Blobs, stored: list[Source], there: dict[str, Part], earlier: Sequence[File]
) -> dict[str, tuple[Part, ...]]:
    """The same, where what was not there is coded."""
    from modelvault.blobs.encoding import bases, store_coded

    near = [file for file in earlier if file.path in {source.name for source in stored}]
    places = store_coded(blobs, stored, there, near, _lying(blobs, bases(near)))
    return {source.name: tuple(_laid(part, places[part.digest], ()) for part in source.parts) for source in stored}


def _there(blobs: Blobs, likely: dict[str, Part], found: list[Source]) -> dict[str, Part]:
    """Those of the `likely` parts that `found` has, too, and whose blobs are still there."""
    wanted = {part.digest: part.size for source in found for part in source.parts}
    shared = [part for digest, part in likely.items() if wanted.get(digest) == part.size]
    lying = _lying(blobs, (one for part in shared for one in (part, part.base) if one))
    return {part.digest: part for part in shared if {_blob(part), _blob(part.base or part)} <= lying}


def _lying(blobs: Blobs, parts: Iterable[Part]) -> set[str]:
    """The names of those blobs of `parts` that are there, and as long as they need."""
    furthest = {_blob(part): part for part in sorted(parts, key=lambda part: part.offset + part.length)}
    alone = [part.model_copy(update={"base": None}) for part in furthest.values()]
    there = zip(furthest, parallel(blobs.present, alone), strict=True)
    return {name for name, present in there if present}


def _blob(part: Part) -> str:
    return part.blob or part.digest


def _put(blobs: Blobs, pack: Pack) -> str:
    whole = pack.whole
    digest = whole.digest if whole else _digest(pack)
    return create(blobs.store, (whole and whole.staged) or _Counted(pack, blobs.meter), digest)


def _digest(pack: Pack) -> Digest:
    hasher = hashlib.sha256()
    for chunk in pack.chunks():
        hasher.update(chunk)
    return Digest("sha256:" + hasher.hexdigest())


def _laid(part: Part, at: Part | Fresh, names: Sequence[str]) -> Part:
    """`part` where it lies: where `at` says that it lies, or in the new blob of that number, whose name is in `names`."""
    lies = at if isinstance(at, Part) else part.model_copy(update={"offset": at.offset, "blob": names[at.pack]})
    return lies.model_copy(update={"blob": None}) if lies.blob == part.digest and lies.enc is None else lies
