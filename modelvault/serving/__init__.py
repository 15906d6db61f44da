"""Models in service: a handle that follows an alias while the process runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["Event", "Exporter", "Live", "Snapshot", "Status", "Swap"]

if TYPE_CHECKING:
    from modelvault.serving.events import Event, Exporter
    from modelvault.serving.live import Live
    from modelvault.serving.snapshot import Snapshot
    from modelvault.serving.status import Status
    from modelvault.serving.swap import Swap

_HOME = {
    "Event": "events",
    "Exporter": "events",
    "Live": "live",
    "Snapshot": "snapshot",
    "Status": "status",
    "Swap": "swap",
}


def __getattr__(name: str) -> object:
    """The names of `__all__`, when they are first used."""
    if name not in _HOME:
        raise AttributeError(f"module 'modelvault.serving' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"modelvault.serving.{_HOME[name]}"), name)
