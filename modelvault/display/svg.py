"""Pictures as SVG: where an alias was, and a metric from version to version.  In the colour of the text around them.

What differs differs in shape, too, and each mark has a title.  The numbers stand in tables beside the pictures.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from modelvault.display.html import Html, element, joined, text
from modelvault.reference import Number, newest_first
from modelvault.wire import Move, Note

__all__ = ["NOTED", "Point", "events", "legend", "line", "timeline"]

_EVENTS, _TITLE = 40, 120
_STEP, _LANE, _TOP, _LETTER = 30, 24, 16, 7
_WIDTH, _HEIGHT, _MARGIN = 280, 90, 8
_MARKED = 60
"""Points of a line that are still told apart."""
_POINTS = 400
_SHAPES = {
    "promote": "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0Z",
    "rollback": "M-6 0L5 -6V6Z",
    "retire": "M-5 -5L5 5M5 -5L-5 5",
    "drill": "M0 -6L6 0L0 6L-6 0Z",
    "failed drill": "M-6 0L0 -6L6 0L0 6ZM-6 -6L6 6M-6 6L6 -6",
    "quarantine": "M-5 -5H5V5H-5Z",
    "yank": "M-5 -2H5V2H-5Z",
}
_DRAWN = {"retire", "failed drill"}
"""Shapes that are lines."""
_OTHER = "M-3 0a3 3 0 1 0 6 0a3 3 0 1 0 -6 0Z"
NOTED = ("drill", "quarantine", "yank", "unyank", "release")
"""The kinds of notes that stand on a timeline."""


class Point(NamedTuple):
    """A value of a metric, and the version that has it."""

    name: str
    value: float
    marked: bool = False


def events(moves: Sequence[Move], notes: Iterable[Note] = ()) -> list[Move | Note]:
    """The last moves, newest first as they are given, and what was noted on their versions among them; oldest first."""
    found = {move.version for move in moves}
    said = [note for note in notes if note.kind in NOTED and note.version in found]
    both: list[Move | Note] = [*reversed(moves), *said]
    return sorted(both, key=lambda one: (one.at, isinstance(one, Note), one.seq))[-_EVENTS:]


def timeline(shown: Sequence[Move | Note], label: str) -> Html:
    """A lane for each version, a mark for each event, and a line along the versions that the alias pointed to."""
    lanes: list[str | None] = [*newest_first({Number(one.version) for one in shown if one.version is not None})]
    lanes += [None] if any(one.version is None for one in shown) else []
    left = _LETTER * min(max((len(lane or "nothing") for lane in lanes), default=0), 24) + 20
    heights = {lane: _TOP + _LANE * at for at, lane in enumerate(lanes)}
    width, height = left + _STEP * len(shown) + 40, _TOP + _LANE * len(lanes) + 12
    right = left + _STEP * len(shown)
    guides = "".join(f"M{left - 8} {y}H{right}" for y in heights.values())
    names = [
        element("text", _short(lane or "nothing"), x=left - 14, y=y + 4, text_anchor="end")
        for lane, y in heights.items()
    ]
    marks = [_mark(_kind(one), _said(one), left + _STEP * at + 6, heights[one.version]) for at, one in enumerate(shown)]
    return element(
        "svg",
        element("path", d=guides, stroke="currentColor", stroke_opacity="0.15", fill="none"),
        element("path", d=_steps(shown, heights, left), stroke="currentColor", stroke_opacity="0.55", fill="none"),
        *names,
        *marks,
        *_dates(shown, left, height),
        **_drawing(width, height, label),
    )


def _steps(shown: Sequence[Move | Note], heights: dict[str | None, int], left: int) -> str:
    """The line: level while the alias stays, up and down where it moves."""
    path = ""
    for at, one in enumerate(shown):
        if isinstance(one, Move):
            x, y = left + _STEP * at + 6, heights[one.version]
            path += f"H{x}V{y}" if path else f"M{x} {y}"
    return path + f"H{left + _STEP * len(shown)}" if path else ""


def _said(one: Move | Note) -> str:
    what, why = (one.version or "nothing", one.reason) if isinstance(one, Move) else (one.version, one.text)
    return f"{_kind(one)} {what}, {one.at.astimezone(UTC):%Y-%m-%d %H:%MZ}, {one.actor}: {why}"


def _dates(shown: Sequence[Move | Note], left: int, height: int) -> list[Html]:
    """A date below the first event, and below each new day for which there is room."""
    found: list[Html] = []
    last: datetime | None = None
    free = 0
    for at, one in enumerate(shown):
        x = left + _STEP * at
        if x >= free and (last is None or one.at.date() != last.date()):
            found.append(element("text", f"{one.at.astimezone(UTC):%Y-%m-%d}", x=x, y=height - 4, opacity="0.75"))
            free, last = x + 12 * _LETTER, one.at
    return found


def _mark(kind: str, title: str, x: float, y: float) -> Html:
    shape = _SHAPES.get(kind, _OTHER)
    drawn = {"stroke": "currentColor", "stroke_width": "2"} if kind in _DRAWN else {}
    return element(
        "path",
        element("title", text(title, _TITLE)),
        d=shape,
        transform=f"translate({x} {y})",
        fill="none" if kind == "failed drill" else "currentColor",
        **drawn,
    )


def _kind(one: Move | Note) -> str:
    """What it is called: a drill that failed is another thing than one that passed."""
    return "failed drill" if one.kind == "drill" and one.evidence.get("passed") is False else one.kind


def legend(shown: Sequence[Move | Note]) -> Html:
    """The shapes that occur, with their names."""
    kinds = dict.fromkeys(map(_kind, shown))
    return joined(
        joined(
            [
                element("svg", _mark(kind, kind, 8, 8), width=16, height=16, viewBox="0 0 16 16", aria_hidden="true"),
                f" {kind}  ",
            ]
        )
        for kind in kinds
    )


def line(points: Sequence[Point], label: str) -> Html:
    """The values from the first version to the last; those that an alias points to stand out."""
    drawn = _thinned(points)
    values = [point.value / 2 for point in drawn]  # the difference of two halves is finite
    low, high = min(values), max(values)
    span = high - low
    across = (_WIDTH - 2 * _MARGIN) / max(len(drawn) - 1, 1)
    places = [
        (
            round(_MARGIN + across * at, 1),
            round(_MARGIN + (_HEIGHT - 2 * _MARGIN) * ((high - value) / span if span else 0.5), 1),
        )
        for at, value in enumerate(values)
    ]
    path = element(
        "polyline",
        points=Html(" ".join(f"{x:g},{y:g}" for x, y in places)),
        stroke="currentColor",
        stroke_opacity="0.55",
        fill="none",
    )
    dots = [
        element(
            "circle",
            element("title", f"{point.name}: {point.value:.6g}"),
            cx=x,
            cy=y,
            r=4 if point.marked else 2,
            fill="currentColor",
        )
        for point, (x, y) in zip(drawn, places, strict=True)
        if len(drawn) <= _MARKED or point.marked
    ]
    return element("svg", path, *dots, **_drawing(_WIDTH, _HEIGHT, label))


def _thinned(points: Sequence[Point]) -> Sequence[Point]:
    """Few enough to draw: of each piece the least and the greatest, and all that are marked."""
    if len(points) <= _POINTS:
        return points
    size = -(-len(points) * 2 // _POINTS)
    kept: list[Point] = []
    for begin in range(0, len(points), size):
        piece = points[begin : begin + size]
        ends = {min(piece, key=lambda one: one.value), max(piece, key=lambda one: one.value)}
        kept += [one for one in piece if one.marked or one in ends]
    return kept


def _drawing(width: int, height: int, label: str) -> dict[str, object]:
    return {
        "role": "img",
        "aria_label": label,
        "width": width,
        "height": height,
        "viewBox": f"0 0 {width} {height}",
        "font_size": "12",
        "font_family": "system-ui,sans-serif",
        "fill": "currentColor",
    }


def _short(name: str) -> str:
    return name if len(name) <= 24 else name[:23] + "…"
