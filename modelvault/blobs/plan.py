"""Where the parts of new files go: what is known stays where it lies, and what is new goes into few new blobs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from modelvault import coding
from modelvault.blobs.sources import Source
from modelvault.wire import File, Part

__all__ = ["Fresh", "Pack", "Plan", "bare", "known", "plan"]

_SMALL = 128 * 1024
"""A file of fewer bytes goes into the pack of its version."""
_LITTLE = 8 * 1024 * 1024
"""So does what is new in a file that is mostly known, up to so many bytes."""
_WORTH = 32
"""A file is stored whole, where a copy of it costs but one such share more than what is new in it: it can be mapped then."""


class Fresh(NamedTuple):
    """A range of a blob that will be: which of the new ones, from where on."""

    pack: int
    offset: int


@dataclass
class Pack:
    """A blob that will be: parts of files, one behind another."""

    ranges: list[tuple[Source, Part]] = field(default_factory=list)
    size: int = 0

    def add(self, source: Source, part: Part) -> int:
        """Put `part` of `source` behind the others; its offset."""
        offset = self.size
        self.ranges.append((source, part))
        self.size += part.size
        return offset

    def chunks(self) -> Iterator[bytes]:
        """The bytes.  InvalidInput `bad-value` if a source is not what it was when it was measured."""
        for source, part in self.ranges:
            yield from source.part(part)

    @property
    def whole(self) -> Source | None:
        """The source that this is, if it is all of one."""
        first = self.ranges[0][0]
        same = self.size == first.size and all(source is first for source, _ in self.ranges)
        return first if same else None


class Plan(NamedTuple):
    """The new blobs, and for each file where its parts will lie."""

    packs: list[Pack]
    places: list[list[Part | Fresh]]


def known(files: Iterable[File]) -> dict[str, Part]:
    """The parts of published files, by digest: where their bytes lie already, coded in no way but those of this release."""
    parts = (part for file in files for part in file.parts)
    return {part.digest: bare(part) for part in parts if part.enc is None or coding.knows(part.enc)}


def bare(part: Part) -> Part:
    """`part` without members that this release does not know, naming its blob."""
    return Part(
        digest=part.digest,
        size=part.size,
        offset=part.offset,
        blob=part.blob or part.digest,
        enc=part.enc,
        stored=part.stored,
        base=part.base and bare(part.base),
    )


def plan(found: Sequence[Source], there: Mapping[str, Part]) -> Plan:
    """Place the parts of `found`, of which those in `there` lie in the store already."""
    joint, packs = Pack(), list[Pack]()
    places: dict[str, Part | tuple[Pack, int]] = dict(there)
    lines = []
    for source in found:
        new = sum(part.size for part in source.parts if part.digest not in places)
        whole = (source.size - new) * _WORTH < source.size
        joins = source.size < _SMALL or (not whole and new <= _LITTLE)
        pack = joint if joins else Pack()
        line: list[Part | tuple[Pack, int]] = []
        for part in source.parts:
            if whole or part.digest not in places:
                line.append((pack, pack.add(source, part)))
                places.setdefault(part.digest, line[-1])
            else:
                line.append(places[part.digest])
        lines.append(line)
        packs += [pack] if not joins and pack.ranges else []
    packs += [joint] if joint.ranges else []
    numbers = {id(pack): number for number, pack in enumerate(packs)}
    return Plan(packs, [[_fresh(at, numbers) for at in line] for line in lines])


def _fresh(at: Part | tuple[Pack, int], numbers: Mapping[int, int]) -> Part | Fresh:
    return at if isinstance(at, Part) else Fresh(numbers[id(at[0])], at[1])
