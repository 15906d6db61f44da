"""A bar for each task, in a terminal or a notebook, where tqdm is installed.  The only module that imports it."""

from __future__ import annotations

import os
import sys
from typing import Any

from modelvault.progress import Progress, Show

__all__ = ["bar"]

_DELAY = 0.5
"""Seconds: what takes less shows no bar."""


def bar() -> Show | None:
    """A bar on standard error; None where nobody would see it (a file, a pipe, CI), or tqdm is not installed."""
    seen = "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())
    if not seen or os.environ.get("CI"):
        return None
    try:
        import tqdm.auto  # noqa: F401 - its absence shows here
    except ImportError:
        return None
    return _Bar()


class _Bar:
    def __init__(self) -> None:
        self._bar: Any = None

    def __call__(self, progress: Progress) -> None:
        if self._bar is None:
            if progress.ended:
                return
            self._bar = _made(progress)
        self._bar.update(progress.done - self._bar.n)
        if progress.ended:
            self._bar.close()
            self._bar = None


def _made(progress: Progress) -> Any:
    from tqdm.auto import tqdm

    what: dict[str, Any] = {"unit": "B", "unit_scale": True, "unit_divisor": 1024}
    if progress.task == "page":
        what = {"unit": " versions"}
    return tqdm(
        desc=progress.task,
        total=progress.total,
        **what,
        delay=_DELAY,
        leave=False,
    )
