"""What a verb of the command is made of: its arguments and its answer."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from modelvault.display.text import View
    from modelvault.gates import Gate
    from modelvault.vault import Vault


class Answer(NamedTuple):
    """What a verb did or found: as data, as a view, and the exit code."""

    data: Any
    view: View
    code: int = 0


Given = argparse.Namespace
Run = Callable[[Given], Answer]
Argument = tuple[tuple[str, ...], dict[str, Any]]
"""Names and options, as `ArgumentParser.add_argument` takes them."""

VERBS: dict[str, tuple[Run, str, tuple[Argument, ...]]] = {}
"""By name: the function, whose docstring is the help; an example; the arguments."""


class Named(argparse.Action):
    """Collects NAME=VALUE; `const` reads the value.  A name that is given twice is an error, not a matter of order."""

    def __call__(self, parser: Any, given: Given, value: Any, option: str | None = None) -> None:
        """Take one more."""
        name, found, text = value.partition("=")
        members = getattr(given, self.dest) or {}
        if not (name and found):
            raise argparse.ArgumentError(self, f"'{value}' is not NAME=VALUE")
        if name in members:
            raise argparse.ArgumentError(self, f"'{name}' is given twice")
        try:
            setattr(given, self.dest, {**members, name: self.const(text)})
        except ValueError:
            raise argparse.ArgumentError(self, f"'{text}' is no number") from None


def json_or_text(text: str) -> Any:
    """What JSON says, else the text."""
    try:
        return json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        return text


def arg(*names: str, **options: Any) -> Argument:
    """One argument of a verb."""
    return names, options


MODEL = arg("model", metavar="MODEL", help="the name of a model")
REF = arg("ref", metavar="REF", help="such as fraud@prod, fraud:1.4.2, fraud:^1.4, fraud#9f86d081")
ALIAS = arg("alias", metavar="ALIAS", help="such as fraud@prod")
REASON = arg("--reason", metavar="TEXT", required=True, help="why; it is kept for ever")
EXPECT = arg("--expect", metavar="NUMBER", help="only if the alias points there now; '' if it must not exist")
METRIC = arg("--metric", metavar="NAME=NUMBER", action=Named, const=float, help="a metric; may be repeated")
GATES = arg("--gate", metavar="GATE", action="append", default=[], help="such as 'no_worse(auc)'; may be repeated")
KINDS = ("remark", "metrics", "issue", "approval", "card", "yank", "unyank", "quarantine", "release", "drill")


def verb(example: str, *arguments: Argument) -> Callable[[Run], Run]:
    """Makes a function a verb under its own name."""

    def add(run: Run) -> Run:
        VERBS[run.__name__] = (run, example, arguments)
        return run

    return add


def gates_of(given: Given) -> list[Gate]:
    """The gates that were spelled."""
    from modelvault.gates import spelled

    return [*map(spelled, given.gate)]


def opened(given: Given) -> Vault:
    """The vault that is meant."""
    from modelvault.vault import open

    return open(given.vault)
