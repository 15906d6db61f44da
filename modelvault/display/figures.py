"""Pictures with their captions: the history of an alias, and metrics from version to version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from modelvault.display.html import Html, Look, element, joined
from modelvault.display.svg import Point, events, legend, line, timeline
from modelvault.wire import Move, Note

__all__ = ["Measured", "history", "metrics"]


class Measured(NamedTuple):
    """The metrics of a version."""

    number: str
    metrics: Mapping[str, float]


def history(moves: Sequence[Move], notes: Iterable[Note], look: Look) -> Html:
    """The moves of an alias, newest first as they are given, and what was noted on its versions."""
    found = events(moves, notes)
    alias = f"{moves[0].model}@{moves[0].alias}"
    count = len(moves)
    label = f"{alias}: {count} move{'s' * (count > 1)}, now at {moves[0].version or 'nothing'}"
    picture = element(
        "div", timeline(found, label), tabindex=0, role="region", aria_label=f"History of {alias}", **look("wide")
    )
    return joined([picture, element("p", legend(found), **look("quiet"))])


def metrics(versions: Sequence[Measured], names: Iterable[str], marked: Iterable[str], look: Look) -> Html:
    """The metrics of these names, each from version to version; the `marked` versions stand out."""
    stand_out = {*marked}
    return joined(_figure(versions, name, stand_out, look) for name in names)


def _figure(versions: Sequence[Measured], name: str, marked: set[str], look: Look) -> Html:
    points = [
        Point(one.number, one.metrics[name], one.number in marked) for one in reversed(versions) if name in one.metrics
    ]
    if len(points) < 2:
        return Html("")
    values = [point.value for point in points]
    ends = f"{min(values):.6g} to {max(values):.6g} in {len(points):,} versions, {values[-1]:.6g} in {points[-1].name}"
    caption = element("figcaption", element("b", name), f" {ends}")
    return element("figure", caption, line(points, f"{name}: {ends}"), **look("figure"))
