"""Store new parts smaller where that pays: encoded on threads, on a part of an earlier version where they resemble it.

What they are encoded to is known when it is done, and a blob is named by its bytes.  So the parts of a blob are written
where they wait for its name: by a store that can name content later, else in a temporary file.
"""

from __future__ import annotations

import errno
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import Any, NamedTuple

from modelvault import layout
from modelvault.blobs import Blobs
from modelvault.blobs.content import Stored, Wanted, verified
from modelvault.blobs.creating import create
from modelvault.blobs.hashing import Whole
from modelvault.blobs.plan import bare
from modelvault.blobs.sources import Source
from modelvault.blobs.workers import ahead, ordered
from modelvault.canonical import Digest
from modelvault.coding import encode
from modelvault.errors import Code, StoreError, VaultError
from modelvault.folder import ranged
from modelvault.progress import Meter
from modelvault.stores import Content, Stages, Store, posix
from modelvault.wire import CODED_LIMIT, File, Part

__all__ = ["bases", "store_coded"]

_PACK = 256 * 1024 * 1024
"""A blob of coded parts is complete when it has so many bytes."""
_PACKS = 2
"""Blobs that are written or stored at once."""
_LEAST = 4 * 1024
"""A part of fewer bytes is stored as it is: what is said of its coding is no shorter than what that saves."""
_TRIES = 4
"""Parts of a file that are compared with the version before: where not one of them resembles it, the others will not."""
_CHUNK = 1024 * 1024


class _New(NamedTuple):
    """A part that is to be stored: where it comes from, and what it may be a difference to: a part of which file."""

    source: Source
    part: Part
    dtype: str
    earlier: tuple[File, int] | None


def bases(files: Iterable[File]) -> list[Part]:
    """The parts of published files that others may be stored as differences to: they have no base themselves."""
    return [part.base or part for file in files for part in file.parts]


def store_coded(
    blobs: Blobs, found: Sequence[Source], there: Mapping[str, Part], likely: Iterable[File], lying: set[str]
) -> dict[str, Part]:
    """Store the parts of `found` that are not `there`; where each part lies, by its digest.

    They may be differences to parts of the `likely` files at the same paths, in blobs that are `lying` in the store.

    Raises:
        Unsupported: `extra-missing`.
        StoreError: the store failed, or there is no room for a temporary file.
    """
    new = list(_new(found, there, likely))
    blobs.meter.begin("store", sum(one.part.size for one in new))
    places, encoder = dict(there), _Encoder(blobs, lying)
    with ExitStack() as stack:
        coming = stack.enter_context(closing(ahead(encoder.encoded, new, _weight)))
        packs = _packs(blobs.store, coming, blobs.meter, stack)
        for name, parts in ordered(partial(_put, blobs.store), packs, _PACKS):
            places |= {part.digest: part.model_copy(update={"blob": name}) for part in parts}
    return places


def _new(found: Sequence[Source], there: Mapping[str, Part], likely: Iterable[File]) -> Iterator[_New]:
    """The parts that are to be stored, each once, in the order in which they lie in the files."""
    files, seen = dict[str, File](), set(there)
    for file in likely:
        files.setdefault(file.path, file)
    for source in found:
        earlier = files.get(source.name)
        for number, part in enumerate(source.parts):
            if part.digest not in seen:
                seen.add(part.digest)
                yield _New(source, part, source.dtypes[number], _counterpart(earlier, source, number))


def _counterpart(earlier: File | None, source: Source, number: int) -> tuple[File, int] | None:
    """The part of the file as it was earlier at the same place, from its start or from its end, if it is as large."""
    size, behind = source.parts[number].size, len(source.parts) - number
    for at in (number, len(earlier.parts) - behind) if earlier else ():
        if earlier and 0 <= at < len(earlier.parts) and earlier.parts[at].size == size:
            return earlier, at
    return None


def _weight(new: _New) -> int:
    return (3 if new.earlier else 2) * new.part.size if new.part.size <= CODED_LIMIT else 0


class _Encoder:
    """Encodes parts, and remembers which files resemble those of earlier versions."""

    def __init__(self, blobs: Blobs, lying: set[str]) -> None:
        self._blobs = blobs
        self._lying = lying
        self._tried: dict[str, list[bool]] = {}

    def encoded(self, new: _New) -> tuple[Part, Iterable[bytes]]:
        """The part as it will be stored, and the bytes of it."""
        part = new.part
        if part.size > CODED_LIMIT:
            return part, new.source.part(part)
        raw = b"".join(new.source.part(part))
        if part.size < _LEAST:
            return part, [raw]
        base, data = self._base(new) or (None, None)
        coded = encode(raw, dtype=new.dtype, base=data)
        used = base if coded and coded.on_base else None
        if base:
            self._tried.setdefault(new.source.name, []).append(used is not None)
        if coded is None:
            return part, [raw]
        said = {"enc": coded.enc, "stored": len(coded.data), "base": used}
        return part.model_copy(update=said), [coded.data]

    def _base(self, new: _New) -> tuple[Part, bytes] | None:
        """What `new` may be a difference to, and its bytes, verified."""
        tried = self._tried.get(new.source.name, ())
        if new.earlier is None or (len(tried) >= _TRIES and not any(tried)):
            return None
        file, at = new.earlier
        base = file.parts[at].base or file.parts[at]
        if (base.blob or base.digest) not in self._lying:
            return None
        try:
            return bare(base), b"".join(self._read(file, at, base))
        except VaultError:  # what cannot be read is no base
            return None

    def _read(self, file: File, at: int, base: Part) -> Iterator[bytes]:
        if base is file.parts[at]:
            return self._blobs.parts(file, at, at + 1)  # which may be in the cache
        wanted = Wanted(file.path, base.digest, base.size, (base,))
        return verified(wanted.parts, Stored(self._blobs.store, wanted).raw())


class _Pack:
    """A blob in the making: parts as they come, until it is large enough; as a `Content` whose size is known at its end."""

    digest: Digest

    def __init__(self, coming: Iterable[tuple[Part, Iterable[bytes]]], meter: Meter) -> None:
        self.parts: list[Part] = []
        self.size = 0
        self._coming = coming
        self._meter = meter

    def chunks(self) -> Iterator[bytes]:
        """The bytes, once; digest and parts are known at their end."""
        with Whole() as whole:
            for part, data in self._coming:
                self.parts.append(part.model_copy(update={"offset": self.size}))
                for chunk in _cut(data):
                    whole.update(chunk)
                    self.size += len(chunk)
                    yield chunk
                self._meter.add(part.size)
                if self.size >= _PACK:
                    break
            self.digest = whole.digest()


def _cut(data: Iterable[bytes]) -> Iterator[bytes]:
    for each in data:
        yield from (each[at : at + _CHUNK] for at in range(0, len(each), _CHUNK))


class _Written(NamedTuple):
    """A pack, its bytes where they wait for their name, and what drops them there."""

    pack: _Pack
    content: Content
    dropped: ExitStack


def _packs(
    store: Store, coming: Iterator[tuple[Part, Iterable[bytes]]], meter: Meter, stack: ExitStack
) -> Iterator[_Written]:
    """All that is coming, in blobs that are written and have no name; what is left of them goes with `stack`."""
    for first in coming:
        pack, dropped = _Pack(itertools.chain([first], coming), meter), stack.enter_context(ExitStack())
        yield _Written(pack, dropped.enter_context(_written(store, pack)), dropped)


def _put(store: Store, written: _Written) -> tuple[str, list[Part]]:
    with written.dropped:
        return create(store, written.content, written.pack.digest), written.pack.parts


@contextmanager
def _written(store: Store, pack: _Pack) -> Iterator[Content]:
    """The bytes of `pack`, written, as long as the ``with`` block lasts."""
    if isinstance(store, Stages):
        with store.stage(layout.BLOBS, pack) as content:
            yield content
        return
    from tempfile import TemporaryFile

    with ExitStack() as stack:
        with _room():
            file = stack.enter_context(TemporaryFile(prefix="modelvault-", buffering=0))
        for chunk in pack.chunks():
            with _room():
                posix.write(file.fileno(), chunk)
        yield _Spooled(file, pack.size)


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"coded parts cannot be written to a temporary file: {error.strerror}",
            code=Code.STORE_FULL if error.errno in {errno.ENOSPC, errno.EDQUOT} else Code.STORE_DENIED,
            hint="free some space, or set TMPDIR to a folder with more",
        ) from error


class _Spooled(NamedTuple):
    """The bytes of a file without a name, as a `Content`."""

    file: Any
    size: int

    def chunks(self) -> Iterator[bytes]:
        """All of them, from the start."""
        return ranged(self.file, 0, self.size)
