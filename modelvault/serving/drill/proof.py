"""The first steps: there is a way back, what it leads to is there and intact, and its callers can go along."""

from __future__ import annotations

from modelvault.serving.drill.bench import Drill, Failed, Figures, Skipped
from modelvault.serving.environment import mismatches
from modelvault.signature.bump import contract_bump
from modelvault.wire import JsonValue

__all__ = ["compatible", "plan", "present", "verified"]


def plan(drill: Drill) -> Figures:
    """A rollback has a target."""
    drill.plan = found = drill.bench.plan()
    said: dict[str, JsonValue] = {"current": found.current.version, "target": found.target.version, "entry": found.seq}
    return said | ({"passed_over": [*found.skipped]} if found.skipped else {})


def present(drill: Drill) -> Figures:
    """All its blobs are there, with their sizes."""
    stage = drill.bench.stage(f"{drill.name}-present")
    report = stage.vault.verify(f"{drill.model}:{drill.target.version}", level="presence")
    if not report.ok:
        first = report.problems[0]
        raise Failed(f"{first.code}: {first}" + (f"; and {len(report.problems) - 1} more" * (len(report.problems) > 1)))
    return {"files": len(drill.target.files), "bytes": drill.target.size}


def verified(drill: Drill) -> Figures:
    """Every byte of it, hashed anew into a fresh folder."""
    if drill.quick:
        raise Skipped("sizes alone were asked for")
    drill.folder = drill.bench.files(drill.target, kept=False)
    return {"bytes": drill.target.size}


def compatible(drill: Drill) -> Figures:
    """Whoever calls the current version can call it."""
    bump = contract_bump(drill.current.signature, drill.target.signature, drill.current.version)
    if bump.level == "major":
        raise Failed("; ".join(bump.reasons))
    found = mismatches(drill.target.environment)
    grave = [str(one) for one in found if one.grave]
    if grave and drill.answered.get("answered") != []:  # that it answers as before says more than any number
        raise Failed("; ".join(grave))
    said: dict[str, list[JsonValue]] = {"unknown": [*bump.unknown], "environment": [*map(str, found)]}
    return {"level": bump.level} | {name: words for name, words in said.items() if words}
