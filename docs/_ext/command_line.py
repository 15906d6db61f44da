"""The directive `command-line`: the reference of the command, made of its own parser."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from modelvault import cli


class CommandLine(SphinxDirective):
    """Every verb, with its arguments and options."""

    def run(self) -> list[nodes.Node]:
        root = nodes.Element()
        parser = cli._parser()  # noqa: SLF001 - the one source of truth
        self.state.nested_parse(StringList(list(_page(parser)), source="modelvault/cli"), 0, root, match_titles=True)
        return root.children


def _page(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield from ("## Options of every verb", "", *_options(parser, {"-h", "--help"}))
    for name, verb in _verbs(parser).items():
        yield from (f"## {name}", "", f"{(verb.description or '').rstrip('.')}.", "")
        yield from ("```text", *_usage(verb), "```", "", *_options(verb, _COMMON))
        yield from ("For example:", "", "```text", *_example(verb), "```", "")


_COMMON = {"-h", "--help", "--vault", "--json", "--actor"}


def _usage(verb: argparse.ArgumentParser) -> list[str]:
    words = " ".join(verb.format_usage().split()).removeprefix("usage: ")
    for common in (" [-h]", " [--vault URL]", " [--json]", " [--actor NAME]"):
        words = words.replace(common, "")
    return _wrapped(words)


def _example(verb: argparse.ArgumentParser) -> list[str]:
    return " \\\n".join(_wrapped(" ".join((verb.epilog or "").split()[1:]))).splitlines()


def _wrapped(words: str) -> list[str]:
    return textwrap.wrap(words, 86, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


def _verbs(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    actions = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001
    return dict(actions[0].choices)


def _options(parser: argparse.ArgumentParser, hidden: set[str]) -> Iterator[str]:
    for action in parser._actions:  # noqa: SLF001
        if _listed(action, hidden):
            yield from (_spelt(action), f": {_capital(action.help or '')}.{_choices(action)}", "")


def _listed(action: argparse.Action, hidden: set[str]) -> bool:
    return not (hidden & set(action.option_strings)) and not isinstance(action, argparse._SubParsersAction)  # noqa: SLF001


def _spelt(action: argparse.Action) -> str:
    value: Any = action.metavar or (action.dest.upper() if action.nargs != 0 else "")
    names = action.option_strings or [""]
    text = ", ".join(f"{name} {value}".strip() if action.nargs != 0 else name for name in names)
    return f"`{text}`" + (" (required)" if action.required and action.option_strings else "")


def _choices(action: argparse.Action) -> str:
    return f" One of {', '.join(f'`{choice}`' for choice in action.choices)}." if action.choices else ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("command-line", CommandLine)
    return {"parallel_read_safe": True, "version": "1"}
