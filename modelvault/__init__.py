"""A model registry in any folder: immutable versions, aliases, and rollback as one safe verb.

    import modelvault as mv

    vault = mv.open("./models")
    version = vault.publish("fraud", model, metrics={"auc": 0.947}, notes="first")
    vault.promote("fraud@prod", version, reason="first release")
    model = vault.load("fraud@prod")
    vault.rollback("fraud@prod", reason="latency")

Names are imported when they are first used, so that ``import modelvault`` itself costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = [
    "Bump",
    "Change",
    "Check",
    "Comparison",
    "Diff",
    "Draft",
    "DrillReport",
    "Estimate",
    "Field",
    "Finding",
    "Gate",
    "Guard",
    "Manifest",
    "Move",
    "Note",
    "Policy",
    "Progress",
    "Proposal",
    "Recipe",
    "ReleaseSet",
    "Report",
    "Signature",
    "Vault",
    "Verdict",
    "Version",
    "errors",
    "gates",
    "load",
    "open",
]

if TYPE_CHECKING:
    from modelvault import errors, gates
    from modelvault.check import Check
    from modelvault.comparison import Comparison
    from modelvault.diff import Change, Diff
    from modelvault.estimate import Estimate
    from modelvault.formats.release_set import ReleaseSet
    from modelvault.gates import Gate, Proposal, Verdict
    from modelvault.progress import Progress
    from modelvault.provenance.check import Finding
    from modelvault.provenance.recipe import Recipe
    from modelvault.serving.drill.report import DrillReport
    from modelvault.serving.guards import Guard
    from modelvault.signature import Field, Signature
    from modelvault.signature.bump import Bump
    from modelvault.submission import Draft
    from modelvault.upkeep.verify import Report
    from modelvault.vault import Vault, load, open
    from modelvault.version import Version
    from modelvault.wire import Manifest, Move, Note, Policy

_HOME = {
    "Bump": "signature.bump",
    "Change": "diff",
    "Check": "check",
    "Comparison": "comparison",
    "Diff": "diff",
    "Draft": "submission",
    "DrillReport": "serving.drill.report",
    "Estimate": "estimate",
    "Finding": "provenance.check",
    "Field": "signature",
    "Gate": "gates",
    "Guard": "serving.guards",
    "Manifest": "wire",
    "Move": "wire",
    "Note": "wire",
    "Policy": "wire",
    "Progress": "progress",
    "Proposal": "gates",
    "Recipe": "provenance.recipe",
    "ReleaseSet": "formats.release_set",
    "Report": "upkeep.verify",
    "Signature": "signature",
    "Vault": "vault",
    "Verdict": "gates",
    "Version": "version",
    "load": "vault",
    "open": "vault",
}


def __getattr__(name: str) -> object:
    if name in {"errors", "gates"}:
        return import_module(f"modelvault.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'modelvault' has no attribute {name!r}")
    value = getattr(import_module(f"modelvault.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
