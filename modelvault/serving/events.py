"""What happens to a model in service, told to hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, Protocol, runtime_checkable

__all__ = ["Event", "Exporter", "Hook", "Hooks", "Kind"]

Kind = Literal["loaded", "swapped", "held", "stale", "recovered", "guard_alert", "rolled_back", "quarantined"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something has happened.

    `version` is in service from here on.  `wanted` is what the alias points to, or what was left; `reason` says why.
    `seconds` has how long each phase of a swap took: fetch, isolate, load, warmup, check.
    """

    kind: Kind
    model: str
    alias: str
    version: str = ""
    digest: str = ""
    wanted: str = ""
    reason: str = ""
    cause: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __str__(self) -> str:
        wanted = f", not {self.wanted}" if self.wanted else ""
        return f"{self.model}@{self.alias} {self.kind.replace('_', ' ')}: {self.version}{wanted} {self.reason}".rstrip()


Hook = Callable[[Event], object]


@runtime_checkable
class Exporter(Protocol):
    """A hook that is told of requests, too.  Each method is called in the background, and may take its time."""

    def __call__(self, event: Event) -> object:
        """An event."""
        ...

    def requests(self, model: str, alias: str, version: str, outcome: str, seconds: Sequence[float]) -> None:
        """So many calls of `version` ended with ``"ok"`` or ``"error"``, and took so long."""
        ...

    def age(self, model: str, alias: str, seconds: float) -> None:
        """The store has confirmed where the alias points so long ago."""
        ...


class Hooks:
    """Hooks, one after the other.  What one raises is logged, and goes no further."""

    def __init__(self, hooks: Sequence[Hook]) -> None:
        self.all = tuple(hooks)
        self.exporters = tuple(hook for hook in self.all if isinstance(hook, Exporter))

    def tell(self, event: Event) -> None:
        """Call each with the event."""
        for hook in self.all:
            _harmless(hook, event)

    def requests(self, *calls: object) -> None:
        """Call each exporter with requests."""
        for exporter in self.exporters:
            _harmless(exporter.requests, *calls)

    def age(self, *said: object) -> None:
        """Call each exporter with the age of what is known."""
        for exporter in self.exporters:
            _harmless(exporter.age, *said)

    def evidence(self, model: str, alias: str, version: str, guards: Iterable[Mapping[str, object]]) -> None:
        """Call each exporter that wants it with the evidence of guards, as powers of ten."""
        for exporter in self.exporters:
            take = getattr(exporter, "evidence", None)
            for guard in guards:
                if take is not None and "evidence" in guard:
                    _harmless(take, model, alias, version, guard["name"], guard["evidence"])


def _harmless(call: Callable[..., object], *arguments: object) -> None:
    try:
        call(*arguments)
    except Exception:  # a hook's own code
        import logging

        logging.getLogger("modelvault.serving").exception("a hook of a live handle failed")
