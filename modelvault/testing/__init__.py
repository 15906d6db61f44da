"""What proves a store, for this package and for the stores of others.  Needs the extra ``testing``."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelvault.testing.conformance import StoreSuite
    from modelvault.testing.faults import Crash, Fault, FaultStore
    from modelvault.testing.machine import VaultMachine

__all__ = ["Crash", "Fault", "FaultStore", "StoreSuite", "VaultMachine"]

_HOMES = {
    "Crash": "faults",
    "Fault": "faults",
    "FaultStore": "faults",
    "StoreSuite": "conformance",
    "VaultMachine": "machine",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
