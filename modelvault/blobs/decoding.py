"""Coded parts as they are read: fetched as they lie, decoded on threads, and verified before anyone has a byte of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from modelvault.blobs.content import Range, check, placed
from modelvault.blobs.workers import ahead
from modelvault.errors import Corrupt
from modelvault.wire import Part

__all__ = ["decode", "decoded"]

_CHUNK = 1024 * 1024
"""Bytes that are handed on at once, as they are held by others for a while; a raw part may be too large to hold at all."""


class _Piece(NamedTuple):
    """Bytes as they came: of `part`, with those of its base if it has one; or what needs no decoding."""

    data: bytes
    part: Part | None = None
    base: bytes = b""


class _Stream:
    """Chunks as one row of bytes, of which so many are taken at a time."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def take(self, size: int) -> bytes:
        """The next bytes; fewer at the end."""
        taken = list[memoryview]()
        while size and (self._rest or self._more()):
            taken.append(self._rest[:size])
            self._rest = self._rest[size:]
            size -= len(taken[-1])
        return b"".join(taken)

    def _more(self) -> bool:
        self._rest = memoryview(next(self._chunks, b""))
        return len(self._rest) > 0


def decoded(
    parts: Sequence[Part], begin: int, fetched: Callable[[Iterable[Range]], Iterator[bytes]]
) -> Iterator[bytes]:
    """The bytes of `parts` from `begin` of all of them on; what was coded is verified, what was not is not.

    Raises:
        Corrupt: `digest-mismatch`, a coded part or its base is damaged; `bad-record`, its base is not what it needs.
        Unsupported: `newer-format`, a part is coded as this release does not know; `extra-missing`.
    """
    wanted, begin = _from(parts, begin)
    for data in ahead(_made, _pieces(wanted, fetched), _weight):
        yield from (bytes(data[at : at + _CHUNK]) for at in range(begin, len(data), _CHUNK))
        begin = max(begin - len(data), 0)


def decode(part: Part, data: bytes, base: bytes = b"") -> bytes | memoryview:
    """What `data`, which lies where `part` says, stands for, verified; `base` is what lies where its base is.

    Raises as `decoded`.
    """
    if part.enc is None:
        check(placed(part), data)
        return data
    from modelvault import coding

    other = decode(part.base, base) if part.base else None
    try:
        made = coding.decode(part.enc, data, part.size, other)
    except Corrupt as error:
        where = placed(part)
        message = f"{where.key} does not hold the bytes of {part.digest}: {error.message}"
        raise Corrupt(message, code=error.code, hint=error.hint, ref=where.key) from error
    check(placed(part), made)
    return made


def _made(piece: _Piece) -> bytes | memoryview:
    return piece.data if piece.part is None else decode(piece.part, piece.data, piece.base)


def _weight(piece: _Piece) -> int:
    sizes = (piece.part.size, piece.part.base.size if piece.part.base else 0) if piece.part else ()
    return len(piece.data) + len(piece.base) + sum(sizes)


def _from(parts: Sequence[Part], begin: int) -> tuple[Sequence[Part], int]:
    """The parts without those before the byte `begin`, and where that is in the first of them."""
    number = 0
    while number < len(parts) and begin >= parts[number].size:
        begin -= parts[number].size
        number += 1
    return parts[number:], begin


def _pieces(parts: Sequence[Part], fetched: Callable[[Iterable[Range]], Iterator[bytes]]) -> Iterator[_Piece]:
    """All that is to be decoded, in order: two rows of requests run ahead, one for the parts and one for the bases."""
    coming = _Stream(fetched(placed(part) for part in parts))
    bases = _Stream(fetched(placed(part.base) for part in parts if part.base))
    for part in parts:
        if part.enc is None:
            for at in range(0, part.size, _CHUNK):
                yield _Piece(coming.take(min(_CHUNK, part.size - at)))
        else:
            base = bases.take(part.base.length) if part.base else b""
            yield _Piece(coming.take(part.length), part, base)
