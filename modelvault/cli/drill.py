"""The verb that rehearses a rollback."""

from __future__ import annotations

from pathlib import Path

from modelvault.cli.exits import STEP_FAILED
from modelvault.cli.verb import ALIAS, Answer, Given, arg, opened, verb
from modelvault.errors import Code, InvalidInput, shown


@verb(
    "drill fraud@prod --junit drill.xml",
    ALIAS,
    arg("--to", metavar="NUMBER", help="go back as far as this version"),
    arg("--quick", action="store_true", help="compare sizes, and use what the cache has"),
    arg("--faults", choices=("standard", "none"), default="standard", help="default: standard"),
    arg(
        "--budget", metavar="SECONDS", type=float, default=60.0, help="a step that would begin later fails; default: 60"
    ),
    arg("--junit", metavar="FILE", help="write the report as XML of JUnit, too"),
    arg("--markdown", action="store_true", help="as a table for the summary of a job"),
)
def drill(given: Given) -> Answer:
    """Rehearse the rollback of an alias, without touching it; the exit code is 7 if a step fails."""
    report = opened(given).drill(
        given.alias, to=given.to, quick=given.quick, faults=given.faults, budget=given.budget, actor=given.actor
    )
    if given.junit is not None:
        _write(given.junit, report.to_junit())
    view = report.to_markdown().rstrip("\n") if given.markdown else str(report)
    return Answer(report.data(), view, 0 if report.passed else STEP_FAILED)


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{shown(path)} cannot be written: {shown(error)}", code=Code.BAD_VALUE) from error
