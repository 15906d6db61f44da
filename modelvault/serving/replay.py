"""Inputs that failed, run again on the version before: if it fails alike, the version is not to blame."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

__all__ = ["RING", "Call", "replayed"]

RING: Final = 32
"""Inputs that are remembered, in memory only."""
_BUDGET: Final = 2.0
"""Seconds after which no other input is run."""

Call = tuple[str, tuple[Any, ...], dict[str, Any]]
"""A call: the method, and what it was called with."""


def replayed(model: Any, calls: Sequence[tuple[Call, float, bool]], over: float | None) -> dict[str, int] | None:
    """How many of the `calls` that count were run on `model`, and how many failed; None if there was none.

    With `over`, a number of seconds, those count that took longer, and failing is to take longer again.
    """
    inputs = failed = 0
    until = time.monotonic() + _BUDGET
    for (name, arguments, named), seconds, raised in calls:
        if (seconds <= over) if over is not None else not raised:
            continue
        if time.monotonic() > until:
            break
        began = time.perf_counter()
        try:
            getattr(model, name)(*arguments, **named)
            bad = False
        except Exception:  # the model's own
            bad = over is None
        inputs += 1
        failed += bad if over is None else time.perf_counter() - began > over
    return {"inputs": inputs, "failed": failed} if inputs else None
