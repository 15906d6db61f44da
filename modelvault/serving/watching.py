"""The seam between a live handle and what watches the model in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelvault.wire import JsonValue, Move

if TYPE_CHECKING:
    from modelvault.serving.watch import Monitor

__all__ = ["Tell", "Undo", "watched"]

Undo = Callable[[str, Mapping[str, JsonValue], Move], bool]
"""``undo(reason, evidence, move)``: the version before serves from now on, if it is still in memory (then it is True), and
the alias is rolled back in the background, once, unless somebody has moved it since."""

Tell = Callable[..., None]
"""``tell(kind, reason)``: an event for the hooks."""


def watched(guards: Sequence[Any], *, undo: Undo, tell: Tell) -> Monitor | None:
    """What watches for `guards`; None if there are none.

    Raises:
        InvalidInput: `bad-value`, they are no guards.
    """
    if not guards:
        return None
    from modelvault.serving.watch import Monitor

    return Monitor(guards, undo=undo, tell=tell)
