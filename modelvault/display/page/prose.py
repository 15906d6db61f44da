"""Markdown that strangers wrote, as markup: no HTML of theirs, no picture, no script, nothing that is fetched.

The only module that imports markdown-it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from modelvault.display.html import Html, element
from modelvault.errors import shown

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

__all__ = ["prose"]

_BELOW = 2
"""Headings of the text stand so many levels below those of the page."""
_DEEPEST = 6


def prose(text: str, limit: int) -> Html:
    """The first `limit` characters of `text`, to a whole line, as a part of a page."""
    whole = len(text) <= limit
    lines = text[:limit].split("\n")
    cut = lines if whole else [*lines[:-1], "", "…"]
    made = _reader().render("\n".join(shown(line, limit) for line in cut))
    return element("div", Html(made), class_="prose")


def _reader() -> MarkdownIt:
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    reader.validateLink = lambda url: url.startswith("https://")  # type: ignore[method-assign]
    reader.core.ruler.push("tamed", lambda state: _tame(state.tokens))
    reader.core.ruler.push("outlined", lambda state: _outline(state.tokens))
    return reader


def _tame(tokens: Iterable[Token]) -> None:
    """Of attributes only where a link leads is the writer's."""
    for token in tokens:
        token.attrs = {"href": token.attrs["href"], "rel": "noreferrer"} if "href" in token.attrs else {}
        token.info = ""
        _tame(token.children or ())


def _outline(tokens: Iterable[Token]) -> None:
    """Headings go below that of the page, and none is more than one level deeper than the one before."""
    level = _BELOW
    for token in tokens:
        if token.type == "heading_open":
            level = min(int(token.tag[1:]) + _BELOW, level + 1, _DEEPEST)
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{level}"
