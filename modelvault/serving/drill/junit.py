"""A drill as XML of JUnit: a test for each step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from modelvault.errors import shown

if TYPE_CHECKING:
    from modelvault.serving.drill.report import DrillReport, Step

__all__ = ["junit"]

_LIMIT = 10_000


def junit(report: DrillReport) -> str:
    """The document, with its declaration."""
    outcomes = [step.outcome for step in report.steps]
    counts = {
        "tests": len(outcomes),
        "failures": outcomes.count("fail"),
        "errors": 0,
        "skipped": outcomes.count("skip"),
    }
    said = {"name": f"drill {report.alias}", **counts, "time": f"{report.seconds:.3f}"}
    root = Element("testsuites", _texts(said))
    suite = SubElement(root, "testsuite", _texts(said | {"timestamp": f"{report.at:%Y-%m-%dT%H:%M:%S}"}))
    for step in report.steps:
        _case(suite, report.alias, step)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _case(suite: Element, alias: str, step: Step) -> None:
    case = SubElement(
        suite, "testcase", _texts({"classname": f"drill.{alias}", "name": step.name, "time": f"{step.seconds:.3f}"})
    )
    if step.outcome != "pass":
        fault = SubElement(case, "failure" if step.outcome == "fail" else "skipped", _texts({"message": step.reason}))
        fault.text = shown(step.title, _LIMIT)
    if step.figures:
        SubElement(case, "system-out").text = shown(json.dumps(dict(step.figures), ensure_ascii=True), _LIMIT)


def _texts(values: Mapping[str, object]) -> dict[str, str]:
    """Printable: XML has no way to write most control characters."""
    return {name: shown(value, _LIMIT) for name, value in values.items()}
