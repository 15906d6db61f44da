"""Which types of numbers hold all values of which others.  The names are those of numpy and Arrow."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Literal

__all__ = ["Step", "exact", "step"]

Step = Literal["widened", "narrowed", "changed"]

_SIGNED: Final = {"int8": 7, "int16": 15, "int32": 31, "int64": 63}
_UNSIGNED: Final = {"uint8": 8, "uint16": 16, "uint32": 32, "uint64": 64}
_BITS: Final = _SIGNED | _UNSIGNED
"""The magnitudes that each type of whole numbers holds: below two to that."""

_FRACTIONS: Final = {"float16": (11, 15), "bfloat16": (8, 127), "float32": (24, 127), "float64": (53, 1023)}
"""Of each type of fractions: up to two to what it holds every whole number, and up to two to what any."""

_COMPLEX: Final = {"complex64": "float32", "complex128": "float64"}


@lru_cache(maxsize=1024)
def step(old: str, new: str) -> Step | None:
    """What `new` does to values of `old`: holds them all and more, not all, or neither; None if they are equal."""
    if old == new:
        return None
    if _holds(new, old):
        return "widened"
    return "narrowed" if _holds(old, new) else "changed"


def exact(old: str, new: str) -> int | None:
    """Two to what: the whole numbers of `old` up to which `new`, of fractions, holds exactly; None if it holds all."""
    bits = _FRACTIONS[new][0] if new in _FRACTIONS and old in _BITS else 64
    return bits if _BITS.get(old, 0) > bits else None


def _holds(wide: str, narrow: str) -> bool:
    """Every value of `narrow` is one of `wide`, whole numbers rounded."""
    if wide in _COMPLEX:
        inner = _COMPLEX[wide]
        return _holds_or_is(inner, _COMPLEX.get(narrow, narrow))
    if narrow in _BITS:
        if wide in _FRACTIONS:
            return _BITS[narrow] <= _FRACTIONS[wide][1]
        return wide in _BITS and _BITS[narrow] <= _BITS[wide] and (wide in _SIGNED or narrow in _UNSIGNED)
    if narrow in _FRACTIONS and wide in _FRACTIONS:
        return all(a <= b for a, b in zip(_FRACTIONS[narrow], _FRACTIONS[wide], strict=True))
    return False


def _holds_or_is(wide: str, narrow: str) -> bool:
    return wide == narrow or _holds(wide, narrow)
