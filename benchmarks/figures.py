"""Rounds to figures, figures to tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import NamedTuple

NOTHING = "-"


class Figure(NamedTuple):
    """The best round and the median round, in seconds."""

    least: float
    middle: float

    def over(self, other: Figure) -> Figure:
        """What is above `other`."""
        return Figure(self.least - other.least, self.middle - other.middle)

    def times(self, other: Figure) -> float:
        """The ratio of the medians."""
        return self.middle / other.middle

    def __str__(self) -> str:
        return f"{milliseconds(self.least)} / {milliseconds(self.middle)}"


def figure(rounds: Sequence[float]) -> Figure | None:
    """The figure of a series, which has a number for each round; None if it has none."""
    return Figure(min(rounds), median(rounds)) if rounds else None


def milliseconds(seconds: float) -> str:
    """Three digits that count."""
    value = seconds * 1000
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3}f}"


def shown(value: Figure | float | str | None) -> str:
    """One cell."""
    if value is None:
        return NOTHING
    return f"{value:.2f}x" if isinstance(value, float) else str(value)


def table(head: Sequence[str], rows: Iterable[Sequence[Figure | float | str | None]]) -> str:
    """Markdown; all columns but the first to the right."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *([shown(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
