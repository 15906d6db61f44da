"""The verbs of models in service."""

from __future__ import annotations

from modelvault import errors
from modelvault.cli.exits import EXITS
from modelvault.cli.verb import ALIAS, Answer, Given, arg, opened, verb


@verb(
    "explain fraud@prod",
    ALIAS,
    arg("--seq", metavar="N", type=int, help="the number of the entry in the history; if left out, the newest"),
)
def explain(given: Given) -> Answer:
    """Say why an alias was moved, and compute a guard's evidence again."""
    found = opened(given).explain(given.alias, given.seq)
    return Answer(found.data(), str(found), EXITS[errors.Corrupt] if found.holds is False else 0)
