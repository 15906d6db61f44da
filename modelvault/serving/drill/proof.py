"""The first steps: there is a way back, what it leads to is there and intact, and its callers can go along."""

from __future__ import annotations

from modelvault.errors import shown
from modelvault.serving.drill.bench import Drill, Failed, Figures, Skipped
from modelvault.serving.environment import mismatches
from modelvault.signature.bump import Bump, contract_bump
from modelvault.wire import JsonValue, Manifest

__all__ = ["compatible", "plan", "present", "verified"]


def plan(drill: Drill) -> Figures:
    """A rollback has a target."""
    drill.plan = found = drill.bench.plan()
    said: dict[str, JsonValue] = {"current": found.current.version, "target": found.target.version, "entry": found.seq}
    return said | ({"passed_over": [*found.skipped]} if found.skipped else {})


def present(drill: Drill) -> Figures:
    """All its blobs are there, with their sizes."""
    stage = drill.bench.stage(f"{drill.name}-present")
    whole = {_ref(one): one for one in (drill.target, *drill.parts.values())}
    problems = [one for ref in whole for one in stage.vault.verify(ref, level="presence").problems]
    if problems:
        first, *more = problems
        raise Failed(f"{first.code}: {first}" + f"; and {len(more)} more" * bool(more))
    return {"files": sum(len(one.files) for one in whole.values()), "bytes": sum(one.size for one in whole.values())}


def verified(drill: Drill) -> Figures:
    """Every byte of it, hashed anew into a fresh folder."""
    if drill.quick:
        raise Skipped("sizes alone were asked for")
    drill.folders = {name: drill.bench.files(part, kept=False) for name, part in drill.parts.items()}
    return {"bytes": sum(part.size for part in drill.parts.values())}


def compatible(drill: Drill) -> Figures:
    """Whoever calls the current version can call it."""
    new = drill.parts
    bumps = [_bump(name, old, new.get(name)) for name, old in drill.bench.parts(drill.current).items()]
    against = [reason for bump in bumps if bump.level == "major" for reason in bump.reasons]
    if against:
        raise Failed("; ".join(against))
    found = [one for part in new.values() for one in mismatches(part.environment)]
    grave = [str(one) for one in found if one.grave]
    if grave and drill.answered.get("answered") != []:  # that it answers as before says more than any number
        raise Failed("; ".join(grave))
    unknown = [reason for bump in bumps for reason in bump.unknown]
    said: dict[str, list[JsonValue]] = {"unknown": [*unknown], "environment": [*map(str, found)]}
    level = "minor" if any(bump.level == "minor" for bump in bumps) else "patch"
    return {"level": level} | {name: words for name, words in said.items() if words}


def _bump(name: str, old: Manifest, new: Manifest | None) -> Bump:
    if new is None:
        raise Failed(f"there is no '{shown(name)}' in the target")
    return contract_bump(old.signature, new.signature, old.version)


def _ref(manifest: Manifest) -> str:
    return f"{manifest.model}:{manifest.version}"
