"""The verbs that move aliases, and those that remark on versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from modelvault.cli.verb import ALIAS, EXPECT, KINDS, METRIC, REASON, REF, Answer, Given, arg, opened, verb

if TYPE_CHECKING:
    from modelvault.wire import Note


@verb(
    "promote fraud@prod 1.5.0 --reason 'AUC +0.8 pt' --expect 1.4.0",
    ALIAS,
    arg("to", metavar="TO", help="a number, or a ref of the same model"),
    REASON,
    EXPECT,
)
def promote(given: Given) -> Answer:
    """Point an alias at a version."""
    return _moved(opened(given).promote, given)


@verb(
    "rollback fraud@prod --reason latency --expect 1.5.0",
    ALIAS,
    REASON,
    arg("--to", metavar="NUMBER", help="go back as far as this version"),
    arg(
        "--expect",
        metavar="NUMBER",
        help="only if the alias points there now; pass it where this may run twice: a repetition goes one further back",
    ),
)
def rollback(given: Given) -> Answer:
    """Point an alias back at the last good version before."""
    return _moved(opened(given).rollback, given)


@verb(
    "note fraud:1.5.0 'Slow on large baskets.' --kind issue --metric p99_ms=180",
    REF,
    arg("text", metavar="TEXT", help="what there is to say"),
    arg("--kind", choices=KINDS, default="remark", help="default: remark"),
    METRIC,
)
def note(given: Given) -> Answer:
    """Add a note to a version, for ever."""
    return _noted(opened(given).note(given.ref, given.text, kind=given.kind, metrics=given.metric, actor=given.actor))


@verb("yank fraud:1.5.0 --reason 'trained on the test set'", REF, REASON)
def yank(given: Given) -> Answer:
    """Take a version out of ranges and rollbacks."""
    return _noted(opened(given).yank(given.ref, reason=given.reason, actor=given.actor))


@verb("quarantine fraud:1.5.0 --reason 'answers with NaN'", REF, REASON)
def quarantine(given: Given) -> Answer:
    """Keep the content of a version from use, under any number."""
    return _noted(opened(given).quarantine(given.ref, reason=given.reason, actor=given.actor))


@verb("release fraud:1.5.0 --reason 'the input was wrong'", REF, REASON)
def release(given: Given) -> Answer:
    """Take the content of a version out of quarantine."""
    return _noted(opened(given).release(given.ref, reason=given.reason, actor=given.actor))


@verb("unyank fraud:1.5.0 --reason 'the test set was sound'", REF, REASON)
def unyank(given: Given) -> Answer:
    """Undo a yank."""
    return _noted(opened(given).unyank(given.ref, reason=given.reason, actor=given.actor))


def _moved(make: Callable[..., Any], given: Given) -> Answer:
    from modelvault.display import data, records

    move = make(given.alias, to=given.to, reason=given.reason, expect=given.expect, actor=given.actor)
    return Answer(data.move_data(move), records.move_card(move))


def _noted(note: Note) -> Answer:
    from modelvault.wire import as_json

    return Answer(as_json(note), str(note))
