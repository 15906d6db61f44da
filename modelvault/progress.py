"""Progress of long work: how much has gone through, told to a function a few times a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal, NamedTuple

__all__ = ["Meter", "Progress", "Show", "Stopped"]

_PAUSE = 0.1
"""Seconds between two reports of one task."""


Task = Literal["read", "store", "fetch", "page"]


class Progress(NamedTuple):
    """How far a task has come."""

    task: Task
    """Files are read and hashed; what is new is stored; what is lacking is fetched and verified; pages are written."""
    done: int
    """Bytes; of pages, versions."""
    total: int
    """In the same unit; what is found to be there already is not waited for, so a task may end before it has done them all."""
    ended: bool
    """There will be no other report of this task."""


Show = Callable[[Progress], object]
"""Is called from several threads, never by two at once."""


class Stopped(Exception):
    """Ends work that nobody waits for any more."""


class Meter:
    """The work of one verb, task after task.  Safe for threads."""

    def __init__(self, show: Show | None = None) -> None:
        self._show = show
        self._lock = threading.Lock()
        self._now: Progress | None = None
        self._told = 0.0
        self._stopped = False

    def begin(self, task: Task, total: int) -> None:
        """The task before has ended, and this one begins."""
        self.end()
        self._now = Progress(task, 0, total, ended=False) if total else None

    def add(self, count: int) -> None:
        """So much more has gone through.

        Raises:
            Stopped: the verb has failed elsewhere, or was interrupted.
        """
        if self._stopped:
            raise Stopped
        with self._lock:
            if self._now is not None:
                self._now = self._now._replace(
                    done=min(self._now.done + count, self._now.total)
                )  # what is sent again, too
                if self._show and time.monotonic() - self._told >= _PAUSE:
                    self._told = time.monotonic()
                    self._show(self._now)

    def end(self) -> None:
        """The task has ended, however it did."""
        with self._lock:
            ended, self._now = self._now, None
            if ended and self._show:
                self._show(ended._replace(ended=True))

    def stop(self) -> None:
        """What still goes through for the task is in vain: `add` raises `Stopped`, in all threads."""
        self._stopped = self._now is not None
