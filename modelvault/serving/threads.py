"""Threads for what takes long.  The interpreter waits for them, a little, before it ends.

A daemon thread that is ended inside a library of another language may take the whole process with it (SIGABRT).
"""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections.abc import Callable
from typing import Final

__all__ = ["ending", "start"]

_PATIENCE: Final = 2.0
ending: Final = threading.Event()
"""The interpreter ends: who loops, stops."""
_running: Final[weakref.WeakSet[threading.Thread]] = weakref.WeakSet()


def start(work: Callable[[], object], name: str) -> threading.Thread:
    """Do `work` on a thread of its own."""
    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    _running.add(thread)  # now: one that has not begun cannot be waited for
    return thread


@atexit.register
def _end() -> None:
    ending.set()
    until = time.monotonic() + _PATIENCE
    for thread in tuple(_running):
        thread.join(max(until - time.monotonic(), 0))
