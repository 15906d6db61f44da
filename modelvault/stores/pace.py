"""How long to wait before a store is asked again."""

from __future__ import annotations

from modelvault.errors import Code, StoreError, VaultError

__all__ = ["LONGEST_PAUSE", "PASSING", "TRIES", "again", "pause"]

TRIES = 4
"""How often one object is created at most."""

PASSING = frozenset({Code.STORE_BUSY, Code.STORE_UNREACHABLE, Code.STORE_FAILED})
"""What may be gone at the next try."""

LONGEST_PAUSE = 60.0
"""Seconds.  A store that asks for more gets no other try: its error says when to come back."""

_FIRST, _LAST = 0.1, 10.0
"""Seconds."""


def pause(tries: int, error: StoreError | None = None) -> float:
    """Seconds to wait after so many tries: doubled each time, spread so that rivals do not come back together.

    What the store asked for (``Retry-After``) is kept to, and spread upwards.
    """
    import random

    spread = random.uniform(0.5, 1.0)  # noqa: S311 - not a secret
    asked = error.retry_after if error and error.retry_after else 0.0
    return max(min(_FIRST * (1 << tries - 1), _LAST) * spread, asked * (0.5 + spread))


def again(tries: int, error: VaultError) -> float | None:
    """Seconds until another try makes sense; None, if there were enough, or `error` will not pass, or not for long."""
    if tries >= TRIES or error.code not in PASSING:
        return None
    wait = pause(tries, error if isinstance(error, StoreError) else None)
    return wait if wait <= LONGEST_PAUSE else None
