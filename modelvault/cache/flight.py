"""Single flight: of the processes that lack the same bytes at the same time, one downloads them.

A hint, and nothing else: content is verified, and put in its place by an exclusive create, whoever brings it.  So nobody
waits for one who shows no life, be it stopped, stuck or on a file system whose locks outlive their holders; and where
there are no locks, each downloads on its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from modelvault.cache import folders
from modelvault.errors import VaultError

__all__ = ["alone"]

_PATIENCE = 10.0
"""Seconds without a sign of life, after which a holder is waited for no longer."""

_HOLDERS = 2
"""So many are waited for: when the first does not move, all but one of its waiters wait for that one."""

_BEAT = 1.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 0.25
"""Seconds."""


@contextmanager
def alone(locks: Path | None, name: str, come: Callable[[], bool]) -> Iterator[Callable[[], None]]:
    """Hold the lock `name` in the folder `locks`, or go on without it: when `come` says so, or its holder shows no life.

    Gives a function to be called whenever bytes arrive.  For threads too: each call has a descriptor of its own.
    """
    beat = _Beat(_taken(locks, name, come) if locks else None)
    try:
        yield beat.show
    finally:
        beat.end()


class _Beat:
    """The signs of life of the holder of a lock: the time of its file, seen by whoever waits for it."""

    def __init__(self, held: tuple[Path, int] | None) -> None:
        self._held = held
        self._last = 0.0

    def show(self) -> None:
        """Show one, unless that was done a moment ago."""
        now = time.monotonic()
        if self._held and now - self._last >= _BEAT:
            self._last = now
            with suppress(OSError):
                os.utime(self._held[1])

    def end(self) -> None:
        """Let the lock go: at once, even if a forked child has the descriptor too."""
        held, self._held = self._held, None
        if held:
            import fcntl

            path, file = held
            with suppress(OSError):
                _drop(path, file)
                fcntl.flock(file, fcntl.LOCK_UN)
            os.close(file)


def _taken(locks: Path, name: str, come: Callable[[], bool]) -> tuple[Path, int] | None:
    """The lock, held; None where there can be none, or there is no need of it any more."""
    with suppress(OSError, VaultError, ImportError):
        path = folders.own(locks) / name
        for _ in range(_HOLDERS):
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                held = _waited(file, come)
                if not held and not come():
                    _drop(path, file)  # the next to open it gets another, and all others wait for that one
            except BaseException:
                os.close(file)
                raise
            if held:
                return path, file
            os.close(file)
            if come():
                break
    return None


def _waited(file: int, come: Callable[[], bool]) -> bool:
    """The lock is ours; or it is not, and there is nothing more to wait for."""
    import fcntl

    sign, since, pause = -1, time.monotonic(), _FIRST_PAUSE
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if come():
            return False
        shown, now = os.fstat(file).st_mtime_ns, time.monotonic()
        if shown != sign:
            sign, since = shown, now
        elif now - since > _PATIENCE:
            return False
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def _drop(path: Path, file: int) -> None:
    """Remove the lock's file, if it is still this one."""
    with suppress(FileNotFoundError):
        if os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(file)):
            path.unlink()
