"""HTML as values: the one door through which text becomes markup, printable, cut and escaped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from itertools import groupby

from modelvault.display.text import Card, Line, Table
from modelvault.errors import shown

__all__ = ["INLINE", "PAGE", "ROWS", "Html", "Look", "card", "element", "joined", "lines", "more", "table", "text"]

ROWS = 50
"""Of a table, or below a label of a card."""
_LIMIT = 300
"""Characters of a text, unless it is said otherwise."""
_LONG = 24
_OFTEN = 32
_VOID = frozenset({"br", "input", "link", "meta"})

Look = Callable[[str], dict[str, str]]
"""The attributes that give an element the look of that name: a class, or a style where there is no style sheet."""


@dataclass(frozen=True, slots=True)
class Html:
    """Markup that was made here.  All else is text, and is escaped when it is put into an element."""

    markup: str


def text(value: object, limit: int = _LIMIT) -> Html:
    """`value` as it may stand between tags and in quotes: at most `limit` characters, ``***`` for secrets, nothing unseen."""
    if isinstance(value, str) and len(value) <= _OFTEN:
        return _again(value, limit)
    return Html(escape(shown(value, limit)))


@lru_cache(4096)
def _again(value: str, limit: int) -> Html:
    """What is short comes often: names of looks, people, kinds."""
    return Html(escape(shown(value, limit)))


def element(name: str, /, *children: object, **attributes: object) -> Html:
    """An element of `Html` and of text.  An attribute that is None is left out; ``aria_label`` is ``aria-label``."""
    said = "".join(
        f' {key.strip("_").replace("_", "-")}="{_markup(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{said}>" + ("" if name in _VOID else joined(children).markup + f"</{name}>"))


def joined(children: Iterable[object]) -> Html:
    """One after the other."""
    return Html("".join(map(_markup, children)))


def lines(value: str, limit: int) -> Html:
    """A text of several lines, of about `limit` characters at most."""
    cut = value[:limit] + "…" * (len(value) > limit)
    return Html("<br>".join(text(line, limit + 1).markup for line in cut.split("\n")))


def more(count: int) -> str:
    """That there are so many that are not shown."""
    return f"… and {count:,} more"


def table(view: Table, look: Look, rows: int = ROWS) -> Html:
    """The first `rows` of a table."""
    if not view.rows:
        return element("p", view.empty, **look("quiet"))
    head = element("tr", *(element("th", _titled(cell), scope="col", **look("head")) for cell in view.head))
    body = [element("tr", *_cells(row, view.strong, look)) for row in view.rows[:rows]]
    made = element("table", element("thead", head), element("tbody", *body), **look("table"))
    left = len(view.rows) - rows
    return joined([made, element("p", more(left), **look("quiet"))]) if left > 0 else made


def _titled(head: str) -> str:
    return head.capitalize() if head.isupper() else head


def _cells(row: Sequence[object], strong: int, look: Look) -> Iterator[Html]:
    """Only what is long is broken into lines: a date or a number is not."""
    for at, cell in enumerate(row):
        is_long = not isinstance(cell, Html) and len(str(cell)) > _LONG
        yield element("td", cell, **look("long" if is_long else "strong" if at == strong else "cell"))


def card(view: Card, look: Look, rows: int = ROWS) -> Html:
    """What stands under each label of a card, `rows` of it at most."""
    fields = [
        joined([element("dt", label, **look("label")), element("dd", *_below(some, look, rows), **look("field"))])
        for label, some in view.fields
        if some
    ]
    return element("dl", *fields, **look("card")) if fields else Html("")


def _below(some: Sequence[Line], look: Look, rows: int) -> Iterator[Html]:
    for are_cells, group in groupby(some[:rows], lambda line: isinstance(line, tuple)):
        if are_cells:
            found = [element("tr", *_cells(line, -1, look)) for line in group]
            yield element("table", element("tbody", *found), **look("table"))
        else:
            yield from (element("div", line) for line in group)
    if len(some) > rows:
        yield element("div", more(len(some) - rows), **look("quiet"))


def _markup(value: object) -> str:
    return value.markup if isinstance(value, Html) else text(value).markup


_CELL = "text-align:left;vertical-align:top;padding:2px 1em 2px 0;white-space:nowrap"
_STYLES = {
    "view": "font-family:system-ui,sans-serif;font-size:13px;line-height:1.45;max-width:72em;"
    "overflow-x:auto;color:inherit",
    "title": "font-weight:600;font-size:15px;margin:4px 0",
    "quiet": "opacity:.75;margin:2px 0",
    "table": "border-collapse:collapse;margin:2px 0;border:0;font-size:inherit;color:inherit",
    "head": _CELL + ";font-weight:400;opacity:.75;border-bottom:1px solid",
    "cell": _CELL,
    "strong": _CELL + ";font-weight:600",
    "long": _CELL.replace("nowrap", "normal") + ";overflow-wrap:anywhere;min-width:9em",
    "card": "display:grid;grid-template-columns:max-content minmax(0,1fr);gap:4px 16px;margin:4px 0",
    "label": "opacity:.75;font-weight:400;margin:0;padding:2px 0;float:none;width:auto;white-space:nowrap",
    "field": "margin:0;padding:2px 0;float:none;width:auto;overflow-wrap:anywhere",
    "code": "font-family:ui-monospace,monospace;white-space:pre-wrap;margin:2px 0;background:none;color:inherit",
    "figure": "display:inline-block;margin:4px 24px 4px 0;vertical-align:top",
    "wide": "overflow-x:auto;margin:4px 0",
}


def INLINE(name: str) -> dict[str, str]:  # noqa: N802 - a constant that is a function
    """For a notebook: colours are the notebook's, be it light or dark."""
    return {"style": _STYLES[name]}


def PAGE(name: str) -> dict[str, str]:  # noqa: N802 - a constant that is a function
    """For a page that has a style sheet."""
    return {} if name == "cell" else {"class_": name}
