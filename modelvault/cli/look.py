"""The verbs that compare, search and show."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

from modelvault import errors
from modelvault.cli.exits import EXITS
from modelvault.cli.verb import MODEL, REF, Answer, Given, arg, opened, verb
from modelvault.errors import Code, InvalidInput, shown

_MARKDOWN = arg("--markdown", action="store_true", help="as a table for a pull request")


_TEXT = 1024 * 1024
"""Bytes of a text that are read; no note holds as much."""


@verb(
    "diff fraud:1.4.0 fraud@prod",
    arg("a", metavar="A", help="a ref"),
    arg("b", metavar="B", help="a ref"),
    _MARKDOWN,
)
def diff(given: Given) -> Answer:
    """Show what version B changes against version A."""
    from modelvault.display import data, records

    found = opened(given).diff(given.a, given.b)
    return Answer(data.diff_data(found), found.to_markdown() if given.markdown else records.diff_table(found))


@verb(
    "compare fraud auc",
    MODEL,
    arg("metrics", metavar="METRIC", nargs="*", help="if left out, all"),
    _MARKDOWN,
)
def compare(given: Given) -> Answer:
    """Show the versions of a model side by side, by their metrics."""
    found = opened(given).compare(given.model, *given.metrics)
    return Answer(found.data(), found.to_markdown() if given.markdown else str(found))


@verb(
    "find \"metrics.auc > 0.9 and alias == 'prod'\"",
    arg("expression", metavar="EXPRESSION", help="what must be true of a version"),
    arg("--limit", metavar="COUNT", type=int, help="how many, at most"),
)
def find(given: Given) -> Answer:
    """List the versions of which an expression is true."""
    from modelvault.display import data, records

    found = [(one.manifest, one.claim) for one in opened(given).find(given.expression, limit=given.limit)]
    return Answer([data.version_data(*one) for one in found], records.found_table(found))


@verb(
    "card fraud@prod --edit README.md",
    REF,
    arg("--edit", metavar="FILE", help="first make its text that of the card, as a note; - for standard input"),
)
def card(given: Given) -> Answer:
    """Show the model card of a version, in Markdown."""
    vault = opened(given)
    if given.edit is not None:
        vault.note(given.ref, _read(given.edit), kind="card", actor=given.actor)
    text = vault.card(given.ref)
    return Answer({"card": text}, text.rstrip("\n"))


@verb(
    "page -o site",
    arg("models", metavar="MODEL", nargs="*", help="of these alone; default: of all"),
    arg("-o", "--output", metavar="DIR", required=True, help="a new or empty folder, or one of earlier pages"),
)
def page(given: Given) -> Answer:
    """Write pages for a browser: models, versions, aliases, metrics; no server is needed."""
    site = opened(given).page(given.output, given.models)
    path = os.path.join(site.path, "index.html")
    said = {"path": path, "models": site.models, "versions": site.versions, "files": site.files}
    return Answer(said, f"{site.models} models and {site.versions} versions are shown in {path}")


@verb(
    "reproduce fraud:1.4.2 -o ./again --check",
    REF,
    arg(
        "-o", "--output", metavar="DIR", help="a new or empty folder; default: MODEL-NUMBER, unless it is only a check"
    ),
    arg("--check", action="store_true", help="say what no longer matches in this folder and interpreter"),
)
def reproduce(given: Given) -> Answer:
    """Write the recipe of a version: code, environment, command, data."""
    recipe = opened(given).reproduce(given.ref, given.output)
    path = given.output or (None if given.check else str(recipe.write(Path(recipe.ref.replace(":", "-")))))
    found = recipe.check() if given.check else []
    said = recipe.data() | {"path": path}
    if not given.check:
        return Answer(said, f"the recipe of {recipe.ref} is in {path}")
    from modelvault.display.records import finding_card

    fits = all(one.state in {"same", "unknown"} for one in found)
    said |= {"ok": fits, "findings": [one._asdict() for one in found]}
    return Answer(said, finding_card(recipe.ref, found), 0 if fits else EXITS[errors.Conflict])


@verb("demo", arg("--dir", metavar="DIR", type=Path, help="for its vault; if left out, a new temporary folder"))
def demo(given: Given) -> Answer:
    """Train, publish, promote, break and roll back a real model."""
    from modelvault.demo import run

    return Answer(run(given.dir, partial(print, file=sys.stderr if given.json else sys.stdout, flush=True)), "")


def _read(path: str) -> str:
    try:
        raw = sys.stdin.buffer.read(_TEXT + 1) if path == "-" else _head(path)
        return raw.decode()
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{shown(path)} cannot be read as text: {shown(error)}", code=Code.BAD_VALUE) from error


def _head(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(_TEXT + 1)
