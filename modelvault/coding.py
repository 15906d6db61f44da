"""Coding: the bytes of a part as they lie in a store, smaller.  Bytes in, bytes out.

What lies there is a run of Zstandard frames (RFC 8878) and nothing else, so ``zstd -d`` undoes the last step of any coding,
and no parser of our own meets hostile bytes.  The steps before it work on blocks of 1 MiB, of which the last is filled up
with zeros to whole words; each plane of a block is a frame:

    zstd             the block as it is, one plane
    planesN+zstd     its little-endian words of N = 2, 4, 8 bytes, turned left by 1, 1, 4 bits, which puts the exponent of a
                     float into the top byte; then the top bytes of all words, their next bytes, and so on: N planes
    deltaN+zstd      its words of N = 1, 2, 4, 8 bytes less those of the base, modulo 2**(8 N), as zigzag (Protocol Buffers,
                     "Signed Integers": 0, -1, 1, -2 become 0, 1, 2, 3); then N planes likewise

The identity of a part is the digest of what it decodes to.  Nothing here knows it: whoever decodes must verify.
The only module that imports zstd.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, TypeVar

from modelvault.errors import Code, Corrupt, InvalidInput, Unsupported, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Coded", "decode", "encode", "knows", "require"]

Buffer: TypeAlias = bytes | bytearray | memoryview
Result = TypeVar("Result")

_BLOCK: Final = 1024 * 1024
_RUN: Final = 8 * _BLOCK
"""A part that is larger is coded on several cores; of smaller ones several are under way."""
_WORTH: Final = 0.97
_SAMPLE: Final = 64 * 1024
_SAMPLES: Final = 8
_EXPANSION: Final = 128 * 1024 // 4
"""A block of a frame gives at most 128 KiB and takes at least 4 bytes."""
_WINDOW_LOG: Final = 23
"""No frame may ask for more than the 8 MiB that RFC 8878 wants of every decoder."""

_WIDTHS: Final = {"BF16": 2, "F16": 2, "F32": 4, "F64": 8}
_TURNS: Final = {1: 0, 2: 1, 4: 1, 8: 4}


class Coded(NamedTuple):
    """A part as it is stored: how it is coded, and the coded bytes."""

    enc: str
    data: bytes

    @property
    def on_base(self) -> bool:
        """It takes the base to decode it."""
        return _CODINGS[self.enc].on_base


class _Coding(NamedTuple):
    width: int
    on_base: bool = False


_CODINGS: Final = {
    "zstd": _Coding(1),
    **{f"planes{width}+zstd": _Coding(width) for width in (2, 4, 8)},
    **{f"delta{width}+zstd": _Coding(width, on_base=True) for width in (1, 2, 4, 8)},
}


def knows(enc: str) -> bool:
    """This release can decode it."""
    return enc in _CODINGS


def require() -> None:
    """Nothing, where parts can be coded.

    Raises:
        Unsupported: `extra-missing`.
    """
    _tools()


def encode(raw: Buffer, *, dtype: str = "", base: Buffer | None = None) -> Coded | None:
    """The smallest coding found for a part; None unless it saves more than 3 %.

    A few samples of 64 KiB, at most an eighth of a large part, decide which coding is tried on all of it, if any.

    Args:
        raw: The bytes of the part, contiguous.
        dtype: What they are, as safetensors names it: `BF16`, `F16`, `F32` or `F64`; anything else is bytes.
        base: As many bytes that may resemble them: the same tensor of an earlier version.  To decode takes them again.

    Raises:
        InvalidInput: `bad-value`, the base is not as long as the part.
        Unsupported: `extra-missing`.
    """
    part, other = _octets(raw), None if base is None else _octets(base)
    if other is not None and len(other) != len(part):
        raise InvalidInput(f"a base of {len(other)} bytes for a part of {len(part)}", code=Code.BAD_VALUE)
    enc = _promising(part, _WIDTHS.get(dtype, 1), other)
    if enc is None:
        return None
    coding = _CODINGS[enc]
    data = b"".join(_each(lambda run: b"".join(_frames(coding, part[run], _at(other, run))), _runs(len(part))))
    return Coded(enc, data) if len(data) < _WORTH * len(part) else None


def decode(enc: str, data: Buffer, size: int, base: Buffer | None = None) -> bytes | memoryview:
    """What was encoded: exactly `size` bytes, not verified; a view of them is read-only.

    Beside them it takes no more than 16 MiB of memory, whatever `data` holds.

    Args:
        enc: How it is coded.
        data: The coded bytes, to their end.
        size: How many bytes they stand for.
        base: What it was encoded with; ignored by codings that need none.

    Raises:
        Corrupt: `digest-mismatch`, the data is damaged or stands for another number of bytes; `bad-record`, its base is
            missing or of another size.
        Unsupported: `newer-format`, this release does not know `enc`; `extra-missing`.
    """
    coding = _CODINGS.get(enc)
    if coding is None:
        message = f"a part is coded as {shown(enc)!r}, which this release does not know"
        raise Unsupported(message, code=Code.NEWER_FORMAT, hint="upgrade modelvault")
    other = _base(base, size, enc) if coding.on_base else None
    frames = memoryview(data).cast("B")
    if size > len(frames) * _EXPANSION:
        raise _damaged(f"{len(frames)} bytes cannot stand for {size}")
    return _decoded(coding, frames, size, other).data[:size].toreadonly()


def _base(base: Buffer | None, size: int, enc: str) -> NDArray[Any]:
    if base is None or memoryview(base).nbytes != size:
        found = "nothing" if base is None else f"{memoryview(base).nbytes} bytes"
        raise Corrupt(f"a part of {size} bytes coded as {enc} has {found} for its base", code=Code.BAD_RECORD)
    return _octets(base)


def _promising(part: NDArray[Any], width: int, base: NDArray[Any] | None) -> str | None:
    """The coding under which the samples of `part` are smallest, if that is worth it."""
    samples = list(_samples(len(part)))
    sizes = {
        enc: sum(len(frame) for spot in samples for frame in _frames(coding, part[spot], _at(base, spot)))
        for enc, coding in _CODINGS.items()
        if (coding.width == width or enc == "zstd") and (base is not None or not coding.on_base)
    }
    best = min(sizes, key=sizes.__getitem__)
    return best if sizes[best] < _WORTH * sum(len(part[spot]) for spot in samples) else None


def _samples(size: int) -> Iterator[slice]:
    apart = _SAMPLE * max(_SAMPLES, size // (_SAMPLE * _SAMPLES))
    return (slice(at, at + _SAMPLE) for at in range(0, size, apart))


def _at(base: NDArray[Any] | None, spot: slice) -> NDArray[Any] | None:
    return None if base is None else base[spot]


# --- words and planes


def _frames(coding: _Coding, part: NDArray[Any], base: NDArray[Any] | None) -> Iterator[bytes]:
    width = coding.width
    for at in range(0, len(part), _BLOCK):
        spot = slice(at, at + _BLOCK)
        words = _words(part[spot], width)
        if coding.on_base and base is not None:
            words = _zigzag(words - _words(base[spot], width))
        else:
            words = _turned(words, _TURNS[width])
        for place in reversed(range(width)):
            yield _packed((words >> 8 * place).astype("u1"), width)


def _decoded(coding: _Coding, frames: memoryview, size: int, base: NDArray[Any] | None) -> NDArray[Any]:
    """The part, filled up to whole words."""
    np, _ = _tools()
    width = coding.width
    part: NDArray[Any] = np.empty(size + -size % width, "u1")
    planes = list(_cut(frames, width * len(range(0, len(part), _BLOCK))))

    def decode(run: slice) -> None:
        for at in range(run.start, min(run.stop, len(part)), _BLOCK):
            words = part[at : at + _BLOCK].view(f"<u{width}")
            first = at // _BLOCK * width
            for place, plane in enumerate(planes[first : first + width]):
                octets = np.frombuffer(_unpacked(plane, len(words)), "u1")
                if place:
                    words <<= 8
                    words |= octets
                else:
                    words[:] = octets
            if base is None:
                _turn_back(words, _TURNS[width])
            else:
                _unzigzag(words)
                words += _words(base[at : at + _BLOCK], width)

    for _ in _each(decode, _runs(len(part))):
        pass
    return part


def _runs(size: int) -> list[slice]:
    """Blocks that are coded by one thread."""
    return [slice(at, at + _RUN) for at in range(0, size, _RUN)]


def _each(work: Callable[[slice], Result], runs: list[slice]) -> Iterable[Result]:
    """What `work` makes of each run, in order, on all cores where there are several."""
    if len(runs) < 2:
        return map(work, runs)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(len(runs), os.cpu_count() or 1)) as pool:
        return list(pool.map(work, runs))


def _octets(buffer: Buffer) -> NDArray[Any]:
    np, _ = _tools()
    octets: NDArray[Any] = np.frombuffer(buffer, "u1")
    return octets


def _words(octets: NDArray[Any], width: int) -> NDArray[Any]:
    if short := -len(octets) % width:
        np, _ = _tools()
        octets = np.pad(octets, (0, short))
    words: NDArray[Any] = octets.view(f"<u{width}")
    return words


def _turned(words: NDArray[Any], bits: int) -> NDArray[Any]:
    """Rotated to the left."""
    if bits:
        words = words << bits | words >> (8 * words.itemsize - bits)
    return words


def _turn_back(words: NDArray[Any], bits: int) -> None:
    """Undo `_turned`, in place: a block stays in the caches of a processor."""
    if bits:
        low = words << (8 * words.itemsize - bits)
        words >>= bits
        words |= low


def _zigzag(differences: NDArray[Any]) -> NDArray[Any]:
    signs = differences.view(f"<i{differences.itemsize}") >> (8 * differences.itemsize - 1)
    doubled: NDArray[Any] = differences << 1
    doubled ^= signs.view(differences.dtype)
    return doubled


def _unzigzag(words: NDArray[Any]) -> None:
    """Undo `_zigzag`, in place."""
    signs = -(words & 1)
    words >>= 1
    words ^= signs


# --- frames


def _packed(plane: NDArray[Any], width: int) -> bytes:
    """One frame.  What cannot be coded zstd stores raw, and finds that out at the speed of memory.

    Bytes of floats have a skewed distribution and no repeats: a table of 64 entries and matches of seven bytes leave
    little but the entropy coder, which is several times faster than to look for what is not there, and smaller.
    """
    _, zstd = _tools()
    name = zstd.CompressionParameter
    tuned = {name.compression_level: 1, name.min_match: 7, name.hash_log: 6}
    frame: bytes = zstd.compress(plane, options={name.compression_level: 3} if width == 1 else tuned)
    return frame


def _cut(frames: memoryview, count: int) -> Iterator[memoryview]:
    """So many frames, to which there must be nothing more."""
    _, zstd = _tools()
    for _ in range(count):
        try:
            length = zstd.get_frame_size(frames)
        except zstd.ZstdError as error:
            raise _damaged(shown(error)) from error
        yield frames[:length]
        frames = frames[length:]
    if frames:
        raise _damaged(f"{len(frames)} bytes too many")


def _unpacked(plane: memoryview, size: int) -> bytes:
    """The content of a frame, which must have `size` bytes."""
    _, zstd = _tools()
    try:
        frame = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})
        content: bytes = frame.decompress(plane, max_length=size + 1)
    except zstd.ZstdError as error:
        raise _damaged(shown(error)) from error
    if not frame.eof or len(content) != size:
        raise _damaged(f"a frame does not hold {size} bytes")
    return content


def _damaged(what: str) -> Corrupt:
    hint = "do not use it; run 'modelvault verify' and restore the object from a copy"
    return Corrupt(f"the coded bytes of a part are damaged: {what}", code=Code.DIGEST_MISMATCH, hint=hint)


def _tools() -> tuple[Any, Any]:
    """What the extra `compress` brings: numpy and zstd."""
    try:
        import numpy as np

        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
    except ImportError as error:
        raise Unsupported(
            "numpy or zstd is not installed, and coded parts need both",
            code=Code.EXTRA_MISSING,
            hint="pip install 'modelvault-sdk[compress]'",
        ) from error
    return np, zstd
