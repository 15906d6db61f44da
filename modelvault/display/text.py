"""Tables and cards for a terminal; the same without colour, and never cut, in a pipe or a log.

Whatever is shown passes through `errors.shown`: stored text cannot move a cursor or forge a line.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, zip_longest
from typing import NamedTuple, TextIO

from modelvault.errors import shown

__all__ = ["PLAIN", "Card", "Line", "Style", "Table", "View", "columns", "rendered", "style_of"]

_BOLD, _DIM, _RESET = "\x1b[1m", "\x1b[2m", "\x1b[0m"
_GAP = "  "
_NARROWEST = 8
"""The last column of a table is not cut below this."""


class Table(NamedTuple):
    """Rows under a head.  The column `strong` stands out; `empty` says what it means that there are no rows.

    `picture` draws them in so many columns: a terminal shows it above them, a pipe does not.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[object]]
    strong: int = 0
    empty: str = ""
    picture: Callable[[int], Sequence[str]] | None = None


Line = str | tuple[object, ...]
"""A tuple is cells, which stand below those of the tuples around it."""


class Card(NamedTuple):
    """A title, and under each label its lines; a label without lines is left out."""

    title: str
    fields: Sequence[tuple[str, Sequence[Line]]]


View = Table | Card | str
"""A `str` is lines."""


class Style(NamedTuple):
    """How a stream likes its text: cut to `width` columns (0: not at all), and with bold and dim if `coloured`."""

    width: int = 0
    coloured: bool = False

    def bold(self, text: str) -> str:
        """`text`, standing out."""
        return f"{_BOLD}{text}{_RESET}" if self.coloured and text else text

    def dim(self, text: str) -> str:
        """`text`, standing back."""
        return f"{_DIM}{text}{_RESET}" if self.coloured and text else text


PLAIN = Style()


def style_of(stream: TextIO, environ: Mapping[str, str]) -> Style:
    """The style for `stream`: only a terminal has a width, and colour unless ``NO_COLOR`` or ``TERM=dumb`` forbid it."""
    if not stream.isatty():
        return PLAIN
    from shutil import get_terminal_size

    return Style(get_terminal_size().columns, not environ.get("NO_COLOR") and environ.get("TERM") != "dumb")


def rendered(view: View, style: Style = PLAIN) -> str:
    """The lines of `view`, without a newline at the end; none for a table without rows."""
    if isinstance(view, Table):
        return "\n".join(_table(view, style))
    if isinstance(view, Card):
        return "\n".join(_card(view, style))
    return "\n".join(map(_safe, view.split("\n")))


def _aligned(rows: Iterable[Sequence[object]]) -> list[list[str]]:
    """The cells of `rows`, safe to print, padded so that those of a column stand below each other; the last as it is."""
    safe = [[_safe(cell) for cell in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip_longest(*safe, fillvalue="")]
    return [[*map(_padded, cells[:-1], widths), *cells[-1:]] for cells in safe]


def columns(rows: Iterable[Sequence[object]]) -> list[str]:
    """`rows` as lines."""
    return [_GAP.join(cells).rstrip() for cells in _aligned(rows)]


def _table(table: Table, style: Style) -> list[str]:
    if not table.rows:
        return []
    head, *rows = _aligned([table.head, *table.rows])
    room = max(style.width - sum(_width(cell) + len(_GAP) for cell in head[:-1]), _NARROWEST) if style.width else 0
    for cells in rows:
        cells[-1] = _cut(cells[-1], room)
        cells[table.strong] = style.bold(cells[table.strong])
    drawn = map(_safe, table.picture(style.width)) if table.picture and style.width else ()
    return [*drawn, style.dim(_GAP.join(head).rstrip()), *(_GAP.join(cells).rstrip() for cells in rows)]


def _card(card: Card, style: Style) -> list[str]:
    fields = [(label, lines) for label, lines in card.fields if lines]
    width = max((_width(label) for label, _ in fields), default=0)
    printed = [style.bold(_safe(card.title))]
    for label, lines in fields:
        for number, line in enumerate(_level(lines)):
            name = _padded("" if number else label, width)
            printed.append(f"{_GAP}{style.dim(name)}{_GAP}{_safe(line)}".rstrip())
    return printed


def _level(lines: Iterable[Line]) -> Iterator[str]:
    """The lines, the cells of tuples that follow each other below each other."""
    for _, group in groupby(lines, type):
        some = [*group]
        yield from columns([line for line in some if isinstance(line, tuple)]) or map(str, some)


def _safe(value: object) -> str:
    return shown(value, sys.maxsize)


def _width(text: str) -> int:
    """The columns that `text` takes: wide characters take two, combining ones none."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def _cut(text: str, room: int) -> str:
    """`text` in at most `room` columns, if that is any limit."""
    if not room or _width(text) <= room:
        return text
    kept = text[:room]
    while _width(kept) >= room:
        kept = kept[:-1]
    return kept + "…"
