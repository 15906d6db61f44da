"""The verbs that move aliases, and those that remark on versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from modelvault import errors
from modelvault.cli.exits import EXITS
from modelvault.cli.verb import (
    ALIAS,
    EXPECT,
    GATES,
    KINDS,
    METRIC,
    REASON,
    REF,
    Answer,
    Given,
    arg,
    gates_of,
    opened,
    verb,
)

if TYPE_CHECKING:
    from modelvault.wire import Note


@verb(
    "promote fraud@prod 1.5.0 --reason 'AUC +0.8 pt' --expect 1.4.0",
    ALIAS,
    arg("to", metavar="TO", help="a number, or a ref of the same model"),
    REASON,
    EXPECT,
    GATES,
    arg("--dry-run", action="store_true", help="write nothing, and say what would be done"),
)
def promote(given: Given) -> Answer:
    """Point an alias at a version."""
    from modelvault.display import data, records

    said = (given.reason, given.expect, gates_of(given), given.actor, given.dry_run)
    move, changed = opened(given)._promoted(given.alias, given.to, *said)  # noqa: SLF001 - of its own kind
    found = data.move_data(move) | {"changed": changed, "dry_run": given.dry_run}
    title = f"{given.alias} is there already: " if not changed else "would be made: " if given.dry_run else ""
    card = records.move_card(move)
    return Answer(found, card._replace(title=title + card.title))


@verb(
    "check fraud:1.5.0 --against fraud@prod --markdown",
    REF,
    arg("--against", metavar="ALIAS", required=True, help="what it would be promoted to"),
    GATES,
    arg("--markdown", action="store_true", help="as a table for a pull request"),
)
def check(given: Given) -> Answer:
    """Say what would be said if a version were promoted."""
    found = opened(given).check(given.ref, against=given.against, gates=gates_of(given), actor=given.actor)
    code = 0 if found.ok else EXITS[errors.Refused]
    return Answer(found.data(), found.to_markdown() if given.markdown else str(found), code)


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
    return Answer(data.move_data(move) | {"changed": True}, records.move_card(move))


def _noted(note: Note) -> Answer:
    from modelvault.wire import as_json

    return Answer(as_json(note), str(note))
