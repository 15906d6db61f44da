"""Pictures of characters, for terminals: where an alias was, and metrics from version to version."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from modelvault.errors import shown
from modelvault.reference import Number, newest_first
from modelvault.wire import Move

__all__ = ["SIGNS", "lanes", "sparks"]

SIGNS = {"promote": "●", "rollback": "◀", "retire": "✕"}
_OTHER = "◦"
_BARS = "▁▂▃▄▅▆▇█"
_LANES, _METRICS = 12, 3
_NAMED = 20
"""Characters of a name."""


def lanes(moves: Sequence[Move]) -> Callable[[int], list[str]]:
    """A line for each version that the alias pointed to; `moves` are newest first."""
    return partial(_lanes, moves)


def _lanes(moves: Sequence[Move], width: int) -> list[str]:
    some = [*reversed(moves[: max((width - _NAMED - 3) // 2, 1)])]
    while len({move.version for move in some}) > _LANES:
        some.pop(0)
    names: list[str | None] = [*newest_first({Number(move.version) for move in some if move.version})]
    names += [None] if any(move.version is None for move in some) else []
    rows = [names.index(move.version) for move in some]
    grid = [[" "] * (2 * len(some)) for _ in names]
    for at, (row, move) in enumerate(zip(rows, some, strict=True)):
        if at and row != rows[at - 1]:
            _climb(grid, 2 * at, rows[at - 1], row)
        grid[row][2 * at] = SIGNS.get(move.kind, _OTHER)
        grid[row][2 * at + 1] = "─"
    labels = [shown(name or "nothing", _NAMED - 1) for name in names]
    room = max(map(len, labels), default=0)
    drawn = [f"{label:>{room}}  {''.join(line).rstrip()}" for label, line in zip(labels, grid, strict=True)]
    return [*drawn, "  ".join(f"{SIGNS.get(kind, _OTHER)} {kind}" for kind in {move.kind: 0 for move in some}), ""]


def _climb(grid: list[list[str]], column: int, begin: int, end: int) -> None:
    """From the lane `begin` up or down to the lane `end`, in one column."""
    grid[begin][column] = "╯" if end < begin else "╮"
    for row in range(min(begin, end) + 1, max(begin, end)):
        grid[row][column] = "│"


def sparks(metrics: Sequence[Mapping[str, float]]) -> Callable[[int], list[str]]:
    """A line for each of the first metrics of the newest version; `metrics` are of versions, newest first."""
    return partial(_sparks, metrics)


def _sparks(metrics: Sequence[Mapping[str, float]], width: int) -> list[str]:
    names = [*(metrics[0] if metrics else ())][:_METRICS]
    labels = [shown(name, _NAMED - 1) for name in names]
    room = max(map(len, labels), default=0)
    told = []
    for name, label in zip(names, labels, strict=True):
        values = [each[name] for each in metrics if name in each][: max(width - room - 40, 8)]
        if len(values) > 1:
            ends = f"{values[-1]:.6g} → {values[0]:.6g}"
            told.append(f"{label:<{room}}  {_spark([*reversed(values)])}  {ends}")
    return [*told, ""] if told else []


def _spark(values: Sequence[float]) -> str:
    halves = [value / 2 for value in values]  # the difference of two halves is finite
    low, span = min(halves), max(halves) - min(halves)
    return "".join(_BARS[round((half - low) / span * 7) if span else 3] for half in halves)
