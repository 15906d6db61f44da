"""The way of a call to the model in service.  Nothing here waits, and nothing asks the store."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from modelvault.errors import VaultError
from modelvault.reference import AliasRef
from modelvault.serving.events import Hooks
from modelvault.serving.replay import Call
from modelvault.serving.snapshot import Snapshot

if TYPE_CHECKING:
    from modelvault.serving.following import Following
    from modelvault.serving.watch import Monitor

__all__ = ["Calls", "follower"]

_NOTHING: Any = object()
_MOST = 1_000_000
"""Calls that are remembered until they are exported; what is older goes."""


class Calls:
    """What is told of each call: to `watch`, and to exporters, for whom they are kept in `seen`."""

    def __init__(self, watch: Monitor | None, hooks: Hooks) -> None:
        self.watch = watch
        self.seen: deque[tuple[str, bool, float]] | None = deque(maxlen=_MOST) if hooks.exporters else None
        self._hooks = hooks

    def export(self, ref: AliasRef) -> None:
        """Tell the exporters of the calls since the last time."""
        if not self.seen:
            return
        grouped: dict[tuple[str, str], list[float]] = defaultdict(list)
        for _ in range(len(self.seen)):
            version, well, seconds = self.seen.popleft()
            grouped[version, "ok" if well else "error"].append(seconds)
        for (version, outcome), some in grouped.items():
            self._hooks.requests(ref.model, ref.alias, version, outcome, some)


def follower(following: Following, name: str) -> Callable[..., Any]:
    """The method `name` of whatever serves when it is called."""
    calls, lazy = following.calls, following.options.refresh == "lazy"
    if calls.watch is not None or calls.seen is not None or following.beside is not None:
        made = _counted(following, name, lazy=lazy)
    elif lazy:
        made = _lazy(following, name)
    else:
        made = _predict(following) if name == "predict" else _plain(following, name)
    made.__name__ = made.__qualname__ = name
    made.__doc__ = f"`{name}` of the model in service."
    return made


# Each of these passes on one argument, the usual call, as it is: to collect more of them, even none, takes time, too.


def _predict(following: Following) -> Callable[..., Any]:
    """As `_plain`, without looking for a name: half as long a way."""
    slot = following.slot

    def call(x: Any = _NOTHING, /, *more: Any, **named: Any) -> Any:
        if more or named or x is _NOTHING:
            return slot.now.model.predict(*_all(x, more), **named)
        return slot.now.model.predict(x)

    return call


def _plain(following: Following, name: str) -> Callable[..., Any]:
    slot = following.slot

    def call(x: Any = _NOTHING, /, *more: Any, **named: Any) -> Any:
        if more or named or x is _NOTHING:
            return getattr(slot.now.model, name)(*_all(x, more), **named)
        return getattr(slot.now.model, name)(x)

    return call


def _lazy(following: Following, name: str) -> Callable[..., Any]:
    slot, clock = following.slot, time.monotonic

    def call(x: Any = _NOTHING, /, *more: Any, **named: Any) -> Any:
        if clock() >= following.due:
            following.ask_soon()
        if more or named or x is _NOTHING:
            return getattr(slot.now.model, name)(*_all(x, more), **named)
        return getattr(slot.now.model, name)(x)

    return call


def _counted(following: Following, name: str, *, lazy: bool) -> Callable[..., Any]:
    slot, clock, beside = following.slot, time.perf_counter, following.beside

    def call(x: Any = _NOTHING, /, *more: Any, **named: Any) -> Any:
        if lazy and time.monotonic() >= following.due:
            following.ask_soon()
        now, calls = slot.now, following.calls
        if beside is not None:
            now = beside.pick(now, x)
        method = getattr(now.model, name)
        began = clock()
        try:
            answer = method(*_all(x, more), **named) if more or named or x is _NOTHING else method(x)
        except Exception as error:
            took = clock() - began
            if not _is_callers(now, x):
                _saw(following, now, took, error, (name, _all(x, more), named))
            raise
        took = clock() - began
        if beside is not None:
            _saw(following, now, took, None, (name, _all(x, more), named))
            return answer
        if calls.watch is not None and calls.watch.saw(now.digest, took, None):
            calls.watch.remember(now.digest, took, None, (name, _all(x, more), named))
        if calls.seen is not None:
            calls.seen.append((now.version, True, took))
        return answer

    return call


def _saw(following: Following, now: Snapshot, took: float, error: Exception | None, call: Call) -> None:
    """Tell all who want to know of a call to `now`."""
    calls = following.calls
    if following.beside is not None:
        following.beside.saw(now, took, error, call)
    if calls.watch is not None and calls.watch.saw(now.digest, took, error):
        calls.watch.remember(now.digest, took, error, call)
    if calls.seen is not None:
        calls.seen.append((now.version, error is None, took))


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
