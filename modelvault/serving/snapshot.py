"""What answers a call: one version, loaded.  It never changes; following an alias replaces it by another."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from modelvault.wire import Move

if TYPE_CHECKING:
    from modelvault.signature import Signature

__all__ = ["Slot", "Snapshot"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A version in service: the object `model`, its number `version`, and what it was loaded by."""

    model: Any
    version: str
    digest: str
    signature: Signature | None
    loaded_at: datetime
    move: Move = field(repr=False)
    """The move of the alias that it was loaded for."""
    checked: bool = False
    """It answered to recorded examples as it did when it was published."""
    environment: tuple[str, ...] = ()
    """What is of another version here than where it was published."""

    @property
    def ref(self) -> str:
        """Such as ``"fraud:1.4.0"``."""
        return f"{self.move.model}:{self.version}"


class Slot:
    """The place that every call looks at once.  A swap is one store of `now`."""

    __slots__ = ("now",)

    def __init__(self, now: Snapshot) -> None:
        self.now = now
