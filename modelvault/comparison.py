"""The versions of a model side by side, by their metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from modelvault import markdown
from modelvault.display.figures import Measured
from modelvault.display.text import Table, rendered
from modelvault.errors import Code, InvalidInput, shown
from modelvault.metrics import direction
from modelvault.wire import Claim, Manifest, Move

__all__ = ["Compared", "Comparison", "compared"]

_BARS = "▁▂▃▄▅▆▇█"
_WIDE = 60
"""Versions that a line shows."""

_WORDS = {1: "more is better", -1: "less is better", 0: ""}


class Compared(NamedTuple):
    """A version in a comparison: when it was published, its metrics, the aliases that point to it now."""

    number: str
    created: datetime
    metrics: Mapping[str, float]
    aliases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The versions of `model`, newest first, by `metrics`.  Prints as a table, and for each metric a line from old to new."""

    model: str
    metrics: tuple[str, ...]
    versions: tuple[Compared, ...]

    def points(self, metric: str) -> list[tuple[str, float]]:
        """The numbers of the versions that have `metric`, oldest first, each with its value."""
        return [(one.number, one.metrics[metric]) for one in reversed(self.versions) if metric in one.metrics]

    def data(self) -> dict[str, Any]:
        """The same as JSON."""
        versions = [one._asdict() | {"created": _iso(one.created), "aliases": [*one.aliases]} for one in self.versions]
        directions = {name: _WORDS[direction(name)] or None for name in self.metrics}
        return {"model": self.model, "metrics": directions, "versions": versions}

    def to_markdown(self) -> str:
        """The same for a pull request or an issue."""
        head = ("version", "published", *map(markdown.code, self.metrics), "aliases")
        rows = [
            (markdown.code(number), *(markdown.code(cell) for cell in rest))
            for number, *rest in map(self._row, self.versions)
        ]
        lines = [f"### {markdown.code(self.model)}", "", *markdown.table(head, rows)]
        for name in self.metrics:
            lines += [
                "",
                f"{markdown.code(name)} {_WORDS[direction(name)]}".rstrip(),
                "",
                "```text",
                *self._line(name),
                "```",
            ]
        return "\n".join(lines) + "\n"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """What a notebook shows."""
        from modelvault.display import notebook

        marked = [one.number for one in self.versions if one.aliases]
        return notebook.comparison(self.model, str(self), self._table(), self._measured(), marked) | {
            "text/markdown": self.to_markdown()
        }

    def _measured(self) -> list[Measured]:
        some = (
            Measured(one.number, {name: one.metrics[name] for name in self.metrics if name in one.metrics})
            for one in self.versions
        )
        return [*some]

    def _table(self) -> Table:
        return Table(("VERSION", "PUBLISHED", *self.metrics, "ALIASES"), [self._row(one) for one in self.versions])

    def __str__(self) -> str:
        lines = [rendered(self._table())]
        for name in self.metrics:
            words = ", ".join(filter(None, (shown(name), _WORDS[direction(name)])))
            lines += ["", words, *(f"  {line}" for line in self._line(name))]
        return "\n".join(lines)

    def _row(self, one: Compared) -> tuple[str, ...]:
        values = [f"{one.metrics[name]:.6g}" if name in one.metrics else "-" for name in self.metrics]
        return one.number, f"{one.created:%Y-%m-%d %H:%MZ}", *values, ", ".join(one.aliases)

    def _line(self, metric: str) -> list[str]:
        """A bar for each version, oldest first; below it, which of them the aliases point to."""
        some = self.versions[:_WIDE][::-1]
        values = [one.metrics[metric] for one in some if metric in one.metrics]
        low, high = min(values, default=0.0), max(values, default=0.0)
        bars = "".join(_bar(one.metrics.get(metric), low, high) for one in some)
        more = f" (the newest {_WIDE} of {len(self.versions)})" if len(self.versions) > _WIDE else ""
        marks = [(at, f"{one.number} {', '.join(one.aliases)}") for at, one in enumerate(some) if one.aliases]
        return [f"{bars}  {low:.6g} to {high:.6g}{more}", *_legend(marks)]


def _bar(value: float | None, low: float, high: float) -> str:
    if value is None:
        return "·"
    share = value / 2 - low / 2, high / 2 - low / 2  # halves: the whole range may be more than a float holds
    return _BARS[round(share[0] / share[1] * (len(_BARS) - 1))] if share[1] > 0 else _BARS[len(_BARS) // 2]


def _legend(marks: Sequence[tuple[int, str]]) -> Iterator[str]:
    """A line to each mark from its place, the last first, so that none crosses another."""
    for left in range(len(marks) - 1, -1, -1):
        at, words = marks[left]
        before = "".join("│" if any(place == column for place, _ in marks[:left]) else " " for column in range(at))
        yield f"{before}└ {words}"


def compared(
    model: str,
    versions: Iterable[tuple[Manifest, Claim]],
    aliases: Mapping[str, Move],
    metrics: Sequence[str] = (),
) -> Comparison:
    """The `versions`, newest first, by `metrics`, or by all that there are.

    Raises:
        InvalidInput: `bad-value`, none has such a metric.
    """
    rows = [
        Compared(
            manifest.version,
            claim.created,
            manifest.metrics,
            tuple(name for name, move in aliases.items() if move.version == manifest.version),
        )
        for manifest, claim in versions
    ]
    known = sorted({name for row in rows for name in row.metrics})
    for name in metrics:
        if name not in known:
            raise InvalidInput(
                f"no version of {model} has the metric {shown(name)}",
                code=Code.BAD_VALUE,
                hint=f"metrics of {model}: {shown(', '.join(known)) or 'none'}",
                ref=model,
            )
    return Comparison(model, tuple(dict.fromkeys(metrics)) or tuple(known), tuple(rows))


def _iso(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
