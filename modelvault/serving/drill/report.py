"""What a drill found: a result for each step, with what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from modelvault import markdown
from modelvault.errors import shown
from modelvault.wire import JsonValue

__all__ = ["DrillReport", "Outcome", "Step"]

Outcome = Literal["pass", "fail", "skip"]

_REASON = 1_000
_LISTED = 8


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a drill: `outcome` is ``pass``, ``fail`` or ``skip``, and `figures` what was measured."""

    name: str
    title: str
    outcome: Outcome
    seconds: float
    reason: str = ""
    figures: Mapping[str, JsonValue] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """The reason and the figures, on one line."""
        measured = [f"{name} {_figure(name, value)}" for name, value in self.figures.items()]
        return "; ".join(filter(None, [self.reason, ", ".join(measured)]))

    def data(self) -> dict[str, JsonValue]:
        """As JSON."""
        said: dict[str, JsonValue] = {"outcome": self.outcome, "seconds": round(self.seconds, 4)}
        return said | ({"reason": self.reason} if self.reason else {}) | dict(self.figures)


@dataclass(frozen=True, slots=True)
class DrillReport:
    """A rehearsal of the rollback of `alias`, from the version `current` to `target`.  Prints as a table.

    `quick` tells that sizes alone were compared, `note` which note on the version keeps the report; None if none does.
    """

    alias: str
    current: str
    target: str
    quick: bool
    at: datetime
    seconds: float
    steps: tuple[Step, ...]
    note: int | None = None

    @property
    def passed(self) -> bool:
        """No step failed."""
        return not self.failed

    @property
    def failed(self) -> tuple[Step, ...]:
        """The steps that failed.  Those that need them were not made."""
        return tuple(step for step in self.steps if step.outcome == "fail")

    @property
    def recovery_s(self) -> float | None:
        """Seconds from the decision to roll back until every request was answered by the target; None if that was not reached."""
        found = next((step.figures.get("recovery_s") for step in self.steps if step.name == "rollback"), None)
        return float(found) if isinstance(found, int | float) else None

    @property
    def summary(self) -> str:
        """All of it in a line."""
        where = f"{self.alias} {self.current} → {self.target or 'nothing'}"
        if not self.passed:
            return f"{where}: failed: {', '.join(step.name for step in self.failed)}"
        recovery = "" if self.recovery_s is None else f", recovered in {self.recovery_s:.2f} s"
        return f"{where}: passed in {self.seconds:.1f} s{recovery}"

    def kept(self, note: int) -> DrillReport:
        """The same, kept in that note."""
        return replace(self, note=note)

    def evidence(self) -> dict[str, JsonValue]:
        """What is kept in the note."""
        said: dict[str, JsonValue] = {"alias": self.alias, "passed": self.passed, "quick": self.quick}
        said |= {"current": self.current, "target": self.target, "seconds": round(self.seconds, 4)}
        said |= {} if self.recovery_s is None else {"recovery_s": self.recovery_s}
        return said | {"steps": {step.name: step.data() for step in self.steps}}

    def data(self) -> dict[str, Any]:
        """The same as JSON."""
        return {**self.evidence(), "recovery_s": self.recovery_s, "at": self.at.isoformat(), "note": self.note}

    def to_markdown(self) -> str:
        """The same for the summary of a job, or an issue."""
        rows = [
            (f"{number} {step.name}", step.outcome, f"{step.seconds:.2f} s", markdown.code(step.words, _REASON))
            for number, step in enumerate(self.steps, 1)
        ]
        head = ("step", "result", "time", "measured")
        return "\n".join([f"### {markdown.code(self.summary)}", "", *markdown.table(head, rows)]) + "\n"

    def to_junit(self) -> str:
        """The same as XML of JUnit, which CI shows as tests."""
        from modelvault.serving.drill.junit import junit

        return junit(self)

    def __str__(self) -> str:
        return self._shown()["text/plain"]

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """What a notebook shows."""
        return self._shown() | {"text/markdown": self.to_markdown()}

    def _shown(self) -> dict[str, str]:
        from modelvault.display import notebook

        rows = [
            (str(number), step.name, step.outcome, f"{step.seconds:.2f} s", step.words)
            for number, step in enumerate(self.steps, 1)
        ]
        return notebook.drill(self.summary, rows)


def _figure(name: str, value: JsonValue) -> str:
    if isinstance(value, Mapping):
        return f"({', '.join(f'{key}: {_figure(key, one)}' for key, one in value.items())})"
    if isinstance(value, list | tuple):
        return ", ".join(_figure(name, one) for one in value[:_LISTED]) + (", …" if len(value) > _LISTED else "")
    if name.endswith("_s") and isinstance(value, int | float):
        return f"{value:.3g} s"
    if name.endswith("bytes") and isinstance(value, int):
        return f"{value:,}"
    return shown(value)
