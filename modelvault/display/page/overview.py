"""The first page, of all models, and what the search looks through."""

from __future__ import annotations

import json
from collections.abc import Sequence

from modelvault.display.html import PAGE, element, table
from modelvault.display.page.model import PER, Overview
from modelvault.display.page.shell import shell, wide
from modelvault.display.records import minute, size_text
from modelvault.display.text import Table

__all__ = ["index", "search_data"]

_FEW = 3


def index(found: Sequence[Overview]) -> str:
    """The page of all models."""
    rows = [_row(one) for one in found]
    head = ("MODEL", "LATEST", "ALIASES", "PUBLISHED", "VERSIONS", "SIZE", "METRICS")
    view = Table(head, rows, empty="There are no models.")
    made = table(view, PAGE, len(rows))
    state = minute(max(one.state for one in found)) if found else ""
    return shell("Models", "", wide("Models", made) if rows else made, state=state)


def _row(one: Overview) -> tuple[object, ...]:
    latest = one.latest
    aliases = ", ".join(f"{name} {move.version}" for name, move in one.aliases.items() if move.version)
    metrics = ", ".join(f"{name}={value:.6g}" for name, value in [*latest.metrics.items()][:_FEW])
    link = element("a", one.model, href=f"models/{one.model}.html")
    return (link, latest.number, aliases, minute(latest.created), f"{len(one.rows):,}", size_text(latest.size), metrics)


def search_data(found: Sequence[Overview]) -> str:
    """What can be found, as a script: a page on a disk may load no data."""
    models = [[one.model, [[row.number, row.words] for row in one.rows]] for one in found]
    said = json.dumps({"per": PER, "models": models}, separators=(",", ":"))
    return f"globalThis.modelvault={said};\n"
