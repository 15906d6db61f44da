"""The way of a call to the model in service.  Nothing here waits, and nothing asks the store."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from modelvault.errors import VaultError
from modelvault.reference import AliasRef
from modelvault.serving.events import Hooks
from modelvault.serving.snapshot import Snapshot

if TYPE_CHECKING:
    from modelvault.serving.beside import Beside
    from modelvault.serving.following import Following
    from modelvault.serving.watch import Monitor

__all__ = ["Calls", "follower"]

_NOTHING: Any = object()
_MOST = 1_000_000
"""Calls that are remembered until they are exported; what is older goes."""


class Calls:
    """What is told of each call: to whom watches, and, together with others, to exporters."""

    def __init__(self, watch: Monitor | None, hooks: Hooks) -> None:
        self._watch = watch
        self._hooks = hooks
        self._seen: deque[tuple[str, bool, float]] = deque(maxlen=_MOST)
        self.beside: Beside | None = None

    @property
    def counted(self) -> bool:
        """Somebody wants to know."""
        return self._watch is not None or self.beside is not None or bool(self._hooks.exporters)

    def saw(self, now: Snapshot, seconds: float, error: BaseException | None, *call: Any) -> None:
        """A `call` to `now`, a method with its arguments, took so long, and failed with `error`, or not at all."""
        watch = self._watch
        if watch is not None and watch.saw(now.digest, seconds, error):
            name, x, more, named = call
            watch.remember(now.digest, seconds, error, (name, _all(x, more), named))
        if self.beside is not None:
            name, x, more, named = call
            self.beside.saw(now, seconds, error, (name, _all(x, more), named))
        if self._hooks.exporters:
            self._seen.append((now.version, error is None, seconds))

    def export(self, ref: AliasRef) -> None:
        """Tell the exporters of the calls since the last time."""
        if not self._seen:
            return
        grouped: dict[tuple[str, str], list[float]] = defaultdict(list)
        for _ in range(len(self._seen)):
            version, well, seconds = self._seen.popleft()
            grouped[version, "ok" if well else "error"].append(seconds)
        for (version, outcome), some in grouped.items():
            self._hooks.requests(ref.model, ref.alias, version, outcome, some)


def follower(following: Following, name: str) -> Callable[..., Any]:
    """The method `name` of whatever serves when it is called."""
    if following.calls.counted:
        made = _counted(following, name)
    elif following.options.refresh == "lazy":
        made = _lazy(following, name)
    else:
        made = _plain(following, name)
    made.__name__ = made.__qualname__ = name
    made.__doc__ = f"`{name}` of the model in service."
    return made


def _plain(following: Following, name: str) -> Callable[..., Any]:
    slot = following.slot

    def call(x: Any = _NOTHING, /, *more: Any, **named: Any) -> Any:
        if not more and not named and x is not _NOTHING:  # the usual call; to pass on what is empty takes time, too
            return getattr(slot.now.model, name)(x)
        return getattr(slot.now.model, name)(*_all(x, more), **named)

    return call


def _lazy(following: Following, name: str) -> Callable[..., Any]:
    slot, clock = following.slot, time.monotonic

    def call(x: Any = _NOTHING, /, *more: Any, **named: Any) -> Any:
        if clock() >= following.due:
            following.ask_soon()
        if not more and not named and x is not _NOTHING:
            return getattr(slot.now.model, name)(x)
        return getattr(slot.now.model, name)(*_all(x, more), **named)

    return call


def _counted(following: Following, name: str) -> Callable[..., Any]:
    slot, clock, beside = following.slot, time.perf_counter, following.calls.beside

    def call(x: Any = _NOTHING, /, *more: Any, **named: Any) -> Any:
        if following.options.refresh == "lazy" and time.monotonic() >= following.due:
            following.ask_soon()
        now = slot.now if beside is None else beside.pick(slot.now, x)
        method = getattr(now.model, name)
        began = clock()
        try:
            answer = method(x) if not more and not named and x is not _NOTHING else method(*_all(x, more), **named)
        except Exception as error:
            took = clock() - began
            if not _is_callers(now, x):
                following.calls.saw(now, took, error, name, x, more, named)
            raise
        following.calls.saw(now, clock() - began, None, name, x, more, named)
        return answer

    return call


def _all(x: Any, more: tuple[Any, ...]) -> tuple[Any, ...]:
    return more if x is _NOTHING else (x, *more)


def _is_callers(now: Snapshot, x: Any) -> bool:
    """The input is not what the model takes: then the model is not to blame."""
    if now.signature is None or now.signature.inputs is None or x is _NOTHING:
        return False
    try:
        now.signature.validate(x)
    except VaultError:
        return True
    except Exception:  # values of strange types
        return True
    return False
