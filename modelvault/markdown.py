"""Markdown in which stored text stays text: no markup, no HTML, no link, no mention comes of it."""

from __future__ import annotations

import html
import sys
from collections.abc import Iterable, Sequence

from modelvault.errors import shown

__all__ = ["code", "prose", "table"]

_LIMIT = 500


def code(value: object, limit: int = _LIMIT) -> str:
    """`value` as code on one line; what a span of backticks could not hold, as entities."""
    text = shown(value, limit)
    if not text.strip():
        return ""
    if not set(text) & set("`|\\"):
        return f"`{text}`"
    return f"<code>{''.join(map(_entity, text))}</code>"


def _entity(character: str) -> str:
    plain = character.isalnum() or character == " " or not character.isascii()
    return html.escape(character) if plain else f"&#{ord(character)};"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table; its cells are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def prose(text: str) -> str:
    """Lines that are meant as Markdown, without what could move the cursor of a terminal."""
    return "\n".join(shown(line.rstrip("\r"), sys.maxsize) for line in text.split("\n"))
