"""What each process must make for itself: connections do not survive a fork."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

__all__ = ["PerProcess"]

T = TypeVar("T")


class PerProcess(Generic[T]):
    """What `make` makes, once in each process; that of a parent is neither used nor closed."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: tuple[int, T] | None = None

    def get(self) -> T:
        """This process's own."""
        made = self._made
        if made is not None and made[0] == os.getpid():
            return made[1]
        with _making:
            if self._made is None or self._made[0] != os.getpid():
                new = self._make()
                _of_this_process[id(new)] = weakref.ref(new)
                self._made = (os.getpid(), new)
            return self._made[1]

    def __getstate__(self) -> dict[str, Any]:
        return {"_make": self._make, "_made": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = state


_making = threading.Lock()
_of_this_process: dict[int, weakref.ref[Any]] = {}
_inherited = list[Any]()
"""What a parent has made.  To drop one would close what the parent uses."""


def _after_fork() -> None:
    """What a parent has made stays as it is: its finalizers, which wait for threads that are not here, never run."""
    global _making  # noqa: PLW0603 - it may be held by a thread that is not here
    _making = threading.Lock()
    theirs = [each for known in _of_this_process.values() if (each := known()) is not None]
    _of_this_process.clear()
    _inherited.extend(theirs)
    for finalizer in tuple(weakref.finalize._registry):  # type: ignore[attr-defined] # noqa: SLF001 - no other way
        peeked = finalizer.peek()
        if peeked and any(peeked[0] is one for one in theirs):
            finalizer.detach()


os.register_at_fork(after_in_child=_after_fork)
