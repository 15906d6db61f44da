"""One daemon thread per process, which looks after all that follow an alias.  It does nothing that can take long."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from typing import Protocol

__all__ = ["known", "look_after", "stop_looking", "wake"]

_LONGEST, _AGAIN = 60.0, 1.0
"""Seconds."""


class Follower(Protocol):
    """What is looked after."""

    def beat(self) -> float:
        """Do what is due, and nothing that takes long; the seconds until the next time."""
        ...

    def forked(self) -> None:
        """This is the child of a fork: no thread but this one is here, and locks may be held by those that are not."""
        ...


class _Background:
    def __init__(self) -> None:
        self.followers: weakref.WeakSet[Follower] = weakref.WeakSet()
        self.moved = threading.Condition()
        self.thread: threading.Thread | None = None
        self.ended = False
        self.woken = False

    def add(self, follower: Follower) -> None:
        with self.moved:
            self.followers.add(follower)
            self._awake()

    def wake(self) -> None:
        with self.moved:
            self._awake()

    def _awake(self) -> None:
        self.woken = True
        if self.followers and not self.ended and (self.thread is None or not self.thread.is_alive()):
            self.thread = threading.Thread(target=self._run, name="modelvault-live", daemon=True)
            self.thread.start()
        self.moved.notify()

    def _run(self) -> None:
        while True:
            wait = self._beats()
            with self.moved:
                if self.ended or not self.followers:
                    self.thread = None
                    return
                if not self.woken:
                    self.moved.wait(wait)
                self.woken = False

    def _beats(self) -> float:
        """Each follower's beat.  None of them is held on to after."""
        return min((_beat(follower) for follower in tuple(self.followers)), default=_LONGEST)

    def end(self) -> None:
        with self.moved:
            self.ended = True
            self.moved.notify()


def _beat(follower: Follower) -> float:
    """One that fails must not keep the others from being looked after."""
    try:
        return follower.beat()
    except Exception:  # a guard's own code; no more threads
        import logging

        logging.getLogger("modelvault.serving").exception("a live handle could not be looked after")
        return _AGAIN


_background = _Background()
_known: weakref.WeakSet[Follower] = weakref.WeakSet()
"""All of this process, whether they are looked after or not."""
atexit.register(lambda: _background.end())  # noqa: PLW0108 - the one of this process


def known(follower: Follower) -> None:
    """Call its `forked` in the child of a fork."""
    _known.add(follower)


def look_after(follower: Follower) -> None:
    """Call its `beat` from now on, for as long as somebody else holds on to it."""
    _background.add(follower)


def stop_looking(follower: Follower) -> None:
    """No more."""
    _background.followers.discard(follower)


def wake() -> None:
    """Call each `beat` soon."""
    _background.wake()


def _after_fork() -> None:
    global _background  # noqa: PLW0603 - the parent's may be locked by a thread that is not here
    _background = _Background()
    for follower in list(_known):
        follower.forked()


os.register_at_fork(after_in_child=_after_fork)
