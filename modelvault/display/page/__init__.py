"""The static page: what a vault says of its models, as files for a browser.  No build, no server, no script needed to read.

It is made of records alone.  Nothing in it depends on when or where it is made: equal vaults give equal bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from modelvault import reference
from modelvault.catalog import Catalog
from modelvault.display.page.folder import Folder
from modelvault.display.page.model import Overview, write_model
from modelvault.display.page.overview import index, search_data
from modelvault.errors import Code, InvalidInput, shown
from modelvault.progress import Meter
from modelvault.reference import Number

__all__ = ["Site", "write"]

_ASSETS = Path(__file__).parent / "assets"


class Site(NamedTuple):
    """What was written: the folder, and how many models, versions and files it has."""

    path: str
    models: int
    versions: int
    files: int


def write(catalog: Catalog, to: Path, models: Sequence[str], meter: Meter) -> Site:
    """The pages of `models`, or of all that there are, in the folder `to`.

    Raises:
        NotFound: `model-not-found`.
        InvalidInput: `bad-name`; `bad-value`, `models` is no list.
        AlreadyExists: `target-exists`, `to` holds what is not of these pages.
        StoreError: `to` cannot be written.
    """
    numbers = {name: _numbers(catalog, name) for name in _named(models) or catalog.models()}
    meter.begin("page", sum(map(len, numbers.values())))
    with Folder(to) as folder:
        for name in ("style.css", "search.js"):
            folder.put(name, (_ASSETS / name).read_text(encoding="utf-8"))
        found: list[Overview] = [write_model(folder, catalog, name, numbers[name], meter) for name in numbers]
        folder.put("data.js", search_data(found))
        folder.put("index.html", index(found))
    return Site(str(to), len(found), sum(len(one.rows) for one in found), len(folder.written))


def _numbers(catalog: Catalog, model: str) -> list[Number]:
    found = catalog.numbers(model)
    if not found:
        raise catalog.missing(model, model)
    return found


def _named(models: object) -> list[str]:
    if isinstance(models, str | bytes) or not isinstance(models, Sequence):
        raise InvalidInput("models is a list of names", code=Code.BAD_VALUE, hint=f"[{shown(models)!r}]")
    return list(dict.fromkeys(reference.model_name(name) for name in models))
