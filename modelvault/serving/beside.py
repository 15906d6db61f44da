"""A canary: a version that serves a share of the calls, or a shadow that serves none, beside the one in service."""

from __future__ import annotations

import queue
import random
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from modelvault.errors import Code, InvalidInput, VaultError, shown
from modelvault.reference import AliasRef
from modelvault.serving.background import known, look_after, stop_looking
from modelvault.serving.canary import Split
from modelvault.serving.comparing import Comparing
from modelvault.serving.following import Following
from modelvault.serving.replay import Call
from modelvault.serving.snapshot import Snapshot
from modelvault.serving.source import Source
from modelvault.serving.threads import ending, start
from modelvault.wire import JsonValue, Move

__all__ = ["Beside", "Canary"]

_TICK: Final = 0.2
_TRY_AGAIN: Final = 25
"""Beats after which an alias that was not there is looked for again."""
_WAITING: Final = 64
"""Calls that wait for the shadow; those above are not compared."""


@dataclass(frozen=True, slots=True)
class Canary:
    """Which alias, what share of the keys, what the key of a call is; `shadow` is the share that a shadow answers again."""

    ref: AliasRef
    share: float
    key: Callable[..., object] | None
    shadow: float | None

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            InvalidInput: `bad-value`.
        """
        Split(self.share)
        if self.shadow is not None:
            Split(self.shadow)
        if self.key is not None and not callable(self.key):
            raise InvalidInput(
                f"canary_key is a function, not {shown(self.key)}",
                code=Code.BAD_VALUE,
                hint='canary_key=lambda x: x["user"]',
            )


class Beside:
    """What follows the alias of the canary, chooses who answers, and compares."""

    def __init__(self, main: Following, source: Source, canary: Canary) -> None:
        self.main, self.canary, self._source = main, canary, source
        self.serves: Snapshot | None = None
        """What the canary serves; None while there is none, or it was retired."""
        self.split = Split(canary.share, str(canary.ref))
        self._begin()
        known(self)
        look_after(self)

    def _begin(self) -> None:
        self.other: Following | None = None
        self._beats = 0
        self._left: int | None = None
        self._waiting: queue.Queue[tuple[Snapshot, Call, bool]] = queue.Queue(_WAITING)
        self._worker: threading.Thread | None = None
        share = self.canary.share if self.canary.shadow is None else 0.5
        shadow = self.canary.shadow is not None
        guards = self.main.options.guard
        self.watch = Comparing(guards, share, shadow=shadow, undo=self._retire, tell=self.main.tell)
        self._follow()

    def forked(self) -> None:
        """This is the child of a fork."""
        self._source = self._source.renewed()
        self._begin()

    # --- on the way of a call

    def pick(self, now: Snapshot, x: Any) -> Snapshot:
        """Who answers: the canary, for its share of the keys."""
        new = self.serves
        if new is None or self.canary.shadow is not None:
            return now
        try:
            mine = self.split.takes(self.canary.key(x)) if self.canary.key else random.random() < self.split.share  # noqa: S311
        except Exception:  # of the application's own function
            return now
        return new if mine else now

    def saw(self, now: Snapshot, seconds: float, error: BaseException | None, call: Call) -> None:
        """`now` has answered, or failed; the shadow may be asked the same."""
        self.watch.saw(now.digest, seconds, error)
        if self.canary.shadow is not None and self.serves and random.random() < self.canary.shadow:  # noqa: S311
            with suppress(queue.Full):
                self._waiting.put_nowait((self.serves, call, error is not None))

    # --- in the background

    def beat(self) -> float:
        """What is due."""
        self._beats += 1
        other = self.other
        if other is None:
            if self._beats % _TRY_AGAIN == 0:
                start(self._follow, "modelvault-canary")
            return _TICK
        now = self.main.slot.now
        open = (
            other.wanted.target is not None and other.wanted.seq != self._left and other.slot.now.digest != now.digest
        )
        new = other.slot.now if open else None
        if new is not None:
            self.watch.faces(now, new, other.wanted)
        self.serves = new
        with suppress(Exception):  # of a guard's own code
            self.watch.tick()
        if self.canary.shadow is not None and (self._worker is None or not self._worker.is_alive()):
            self._worker = start(self._shadow, "modelvault-shadow")
        return _TICK

    def _follow(self) -> None:
        """Follow the alias of the canary, if there is one."""
        options = replace(self.main.options, guard=(), hooks=(), offline="fail")
        made = Following(self._source, self.canary.ref, options)
        with suppress(VaultError):
            made.start()
            self.other = made

    def _shadow(self) -> None:
        while self.serves is not None and not ending.is_set():
            with suppress(queue.Empty):
                new, (name, arguments, named), failed = self._waiting.get(timeout=_TICK)
                try:
                    getattr(new.model, name)(*arguments, **named)
                    worse = False
                except Exception:  # the model's own
                    worse = True
                self.watch.paired(new=worse, old=failed)

    def _retire(self, reason: str, evidence: Mapping[str, JsonValue], move: Move) -> bool:
        """The canary serves no more, at once; its alias is retired, once, unless somebody has moved it since."""
        self.serves, self._left = None, move.seq
        with suppress(VaultError):  # another was faster; or the store is away, and then it stays with us
            self._source.retire(move, reason=reason, evidence=evidence)
        self.main.tell("guard_alert", f"the canary is retired: {reason}", cause="guard")
        return True

    def refresh(self) -> None:
        """Ask the store now."""
        self._follow() if self.other is None else self.other.refreshed()
        self.beat()

    def status(self) -> dict[str, JsonValue]:
        """What is known of the canary."""
        serves = self.serves
        return {"ref": str(self.canary.ref), "serves": serves.version if serves else None} | self.watch.status()

    def close(self) -> None:
        """No more."""
        self.serves = None
        stop_looking(self)
        if self.other:
            self.other.close()
