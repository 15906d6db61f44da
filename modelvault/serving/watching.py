"""The seam between a live handle and what watches the model in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from modelvault.errors import Code, InvalidInput
from modelvault.serving.events import Kind
from modelvault.serving.snapshot import Snapshot
from modelvault.wire import JsonValue, Move

__all__ = ["Tell", "Undo", "Watch", "watched"]

Undo = Callable[[str, Mapping[str, JsonValue]], bool]
"""``undo(reason, evidence)``: the version before serves from now on, if it is still in memory (then it is True), and the
alias is rolled back in the background, once, unless somebody has moved it since."""

Tell = Callable[[Kind, str], None]
"""``tell(kind, reason)``: an event for the hooks."""


class Watch(Protocol):
    """What a live handle tells of the model in service.  Safe for threads."""

    def saw(self, digest: str, seconds: float, error: BaseException | None) -> None:
        """The version `digest` was called, on the thread of the caller: this takes less than a microsecond."""
        ...

    def observe(self, name: str, value: Any, version: str | None) -> None:
        """The application has measured `value`, or several, of a version; of the one in service, if None."""
        ...

    def swapped(self, snapshot: Snapshot, previous: Snapshot | None, move: Move) -> None:
        """`snapshot` serves from now on.  `previous` is still in memory; None if it is not."""
        ...

    def tick(self) -> None:
        """Decide.  Called in the background about five times a second; it may call `undo`."""
        ...

    def status(self) -> Mapping[str, JsonValue]:
        """What is known.  ``probation`` is False once an automatic rollback is out of the question."""
        ...


def watched(guards: Sequence[Any], *, undo: Undo, tell: Tell) -> Watch | None:  # noqa: ARG001 - for what is to come
    """What watches for `guards`; None if there are none.

    Raises:
        InvalidInput: `bad-value`, they are no guards.
    """
    if not guards:
        return None
    raise InvalidInput("guard takes a list of guards", code=Code.BAD_VALUE, hint="there are none in this release")
