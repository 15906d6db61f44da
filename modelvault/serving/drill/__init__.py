"""A rehearsal of a rollback: ten steps, on a copy of the vault of which nothing stays."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import NamedTuple

from modelvault.errors import VaultError, shown
from modelvault.serving.drill import detection, faults, process, proof, rehearsal
from modelvault.serving.drill.bench import Bench, Drill, Failed, Figures, Skipped
from modelvault.serving.drill.report import DrillReport, Outcome, Step

__all__ = ["Bench", "Drill", "DrillReport", "Step", "drilled"]

_REASON = 1_000


class _Task(NamedTuple):
    """A step: what it does, and the step that must not have failed."""

    name: str
    run: Callable[[Drill], Figures]
    needs: str = ""


_TASKS = (
    _Task("plan", proof.plan),
    _Task("present", proof.present, "plan"),
    _Task("verified", proof.verified, "present"),
    _Task("loads", process.loads, "verified"),
    _Task("answers", process.answers, "loads"),
    _Task("compatible", proof.compatible, "plan"),
    _Task("rollback", rehearsal.rollback, "answers"),
    _Task("forward", rehearsal.forward, "rollback"),
    _Task("detection", detection.detection, "rollback"),
    _Task("faults", faults.faults, "rollback"),
)


def drilled(drill: Drill, alias: str, current: str, clock: Callable[[], datetime]) -> DrillReport:
    """Make the steps of `drill`, for the alias that points to `current`."""
    at, began = clock(), time.perf_counter()
    with drill.ending:
        made = tuple(_steps(drill))
    target = drill.plan.target.version if drill.plan else ""
    return DrillReport(alias, current, target, drill.quick, at, time.perf_counter() - began, made)


def _steps(drill: Drill) -> Iterator[Step]:
    """Make each step, as far as those before allow."""
    broken: set[str] = set()
    for task in _TASKS:
        if task.needs == "present" and "present" not in broken:  # from here on there is time for what takes long
            faults.begin(drill)
        step = _unreached(task) if task.needs in broken else _made(task, drill)
        if step.outcome == "fail" or task.needs in broken:
            broken.add(task.name)
        yield step


def _unreached(task: _Task) -> Step:
    return Step(task.name, _title(task), "skip", 0.0, f"needs '{task.needs}'")


def _made(task: _Task, drill: Drill) -> Step:
    began = time.perf_counter()
    outcome: Outcome = "pass"
    reason = ""
    figures: Figures = {}
    try:
        if not drill.left:
            raise Failed("the budget is used up")
        figures = task.run(drill)
    except Skipped as error:
        outcome, reason, figures = "skip", str(error), {}
    except Failed as error:
        outcome, reason, figures = "fail", str(error), error.figures
    except VaultError as error:
        outcome, reason, figures = "fail", f"{error.code}: {error}", {}
    except Exception as error:  # the model's own code runs in some of them
        outcome, reason, figures = "fail", f"{type(error).__name__}: {error}", {}
    took = time.perf_counter() - began
    return Step(task.name, _title(task), outcome, took, shown(reason, _REASON), figures)


def _title(task: _Task) -> str:
    return (task.run.__doc__ or "").rstrip(".")
