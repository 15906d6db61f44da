"""The command ``modelvault``: the verbs of a vault, one to one.

Each verb answers with data, for ``--json``, and a view of it, for people.  The exit code says what a caller may do: see
`EXITS`.  The names in this module come when they are used, so that ``--help`` is quick.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from modelvault import __version__, errors
from modelvault.errors import Code, InvalidInput, VaultError

if TYPE_CHECKING:
    from modelvault.display.text import View
    from modelvault.vault import Vault

__all__ = ["EXITS", "main"]

Given = argparse.Namespace

EXITS: dict[type[VaultError], int] = {
    errors.InvalidInput: 2,
    errors.NotFound: 3,
    errors.Conflict: 4,
    errors.Refused: 5,
    errors.Corrupt: 6,
    errors.AlreadyExists: 8,
    errors.Untrusted: 9,
    errors.Unsupported: 10,
    errors.CommitUncertain: 11,
    errors.StoreError: 75,
}
"""The exit code of each category of error; 0 is done, 1 is a fault of this program.  75 is the "try again" of sendmail."""

INTERRUPTED, PIPE_CLOSED = 130, 141
"""As a shell reports SIGINT and SIGPIPE."""


class Answer(NamedTuple):
    """What a verb did or found: as data, as a view of it, and the exit code."""

    data: Any
    view: View
    code: int = 0


class Verb(NamedTuple):
    """A verb of the command line."""

    run: Callable[[Given], Answer]
    help: str
    example: str
    arguments: tuple[_Argument, ...]


class _Argument(NamedTuple):
    names: tuple[str, ...]
    options: dict[str, Any]


VERBS: dict[str, Verb] = {}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code.  `argv` is without the name of the program."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _answer(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read us has seen enough; the interpreter must not fail on its last flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    return code


def _answer(arguments: list[str]) -> int:
    parser = _parser()
    if not arguments:
        parser.print_help()
        return EXITS[InvalidInput]
    in_json = "--json" in arguments
    try:
        given = parser.parse_args(arguments)
        in_json = given.json
        answer = VERBS[given.verb].run(given)
    except SystemExit as done:  # --help and --version
        return int(done.code or 0)
    except KeyboardInterrupt:
        return _fail(in_json, INTERRUPTED, category="Interrupted", code="interrupted", message="interrupted")
    except BrokenPipeError:
        raise
    except VaultError as error:
        return _fail(in_json, EXITS[_category(error)], **_error_data(error))
    except Exception as error:  # a fault of ours: the traceback is for the report
        import traceback

        traceback.print_exc()
        return _fail(in_json, 1, category="Unexpected", code="unexpected", message=f"{type(error).__name__}: {error}")
    _print_json(answer.data) if in_json else _print_view(answer.view)
    return answer.code


def _print_json(data: object) -> None:
    print(json.dumps(data, indent=2))  # in ASCII: whatever was stored, no terminal acts on it


def _print_view(view: View) -> None:
    from modelvault.display.text import Table, rendered, style_of

    text, encoding = rendered(view, style_of(sys.stdout, os.environ)), sys.stdout.encoding
    if text:
        print(text.encode(encoding, "backslashreplace").decode(encoding))
    elif isinstance(view, Table):
        print(errors.shown(view.empty), file=sys.stderr)


def _fail(in_json: bool, exit_code: int, *, category: str, **said: Any) -> int:  # noqa: FBT001
    if in_json:
        _print_json({"error": {"category": category, "hint": "", "ref": "", **said}})
    for label, text in (("error", said["message"]), ("hint", said.get("hint"))):
        if text:
            print(f"{label}: {errors.shown(text, sys.maxsize)}", file=sys.stderr)
    return exit_code


def _category(error: VaultError) -> type[VaultError]:
    return next(kind for kind in type(error).__mro__ if kind in EXITS)


def _error_data(error: VaultError) -> dict[str, Any]:
    said = {name: value for name, value in vars(error).items() if not name.startswith("_")}
    return {"category": _category(error).__name__, **said}


# --- arguments -----------------------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are like all others."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def error(self, message: str) -> NoReturn:
        raise InvalidInput(message, code=Code.BAD_VALUE, hint=f"see '{self.prog} --help'")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="modelvault",
        description="A model registry in any folder: immutable versions, aliases, safe rollback.",
        epilog="exit codes: 0 done, 1 unexpected, "
        + ", ".join(f"{code} {kind.__name__}" for kind, code in EXITS.items())
        + f",\n{INTERRUPTED} interrupted",
    )
    parser.add_argument("--version", action="version", version=f"modelvault {__version__}")
    _add_common(parser, vault=None, json=False, actor=None)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs", required=True)
    for name, verb in VERBS.items():
        below = verbs.add_parser(name, help=verb.help, description=verb.help, epilog=f"example:\n  {verb.example}")
        for argument in verb.arguments:
            below.add_argument(*argument.names, **argument.options)
        _add_common(below, vault=argparse.SUPPRESS, json=argparse.SUPPRESS, actor=argparse.SUPPRESS)
    return parser


def _add_common(parser: argparse.ArgumentParser, *, vault: object, json: object, actor: object) -> None:
    """The options that stand before or after the verb: only before it do they have defaults."""
    common = parser.add_argument_group("everywhere")
    where = "where the vault is; $MODELVAULT_URL, else your own local vault, if left out"
    common.add_argument("--vault", metavar="URL", default=vault, help=where)
    common.add_argument("--json", action="store_true", default=json, help="answer with one JSON document")
    common.add_argument("--actor", metavar="NAME", default=actor, help="who does it; $MODELVAULT_ACTOR or the login name")


def _pair(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not (found and name):
        raise argparse.ArgumentTypeError(f"'{text}' is not name=value")
    return name, value


def _param(text: str) -> tuple[str, Any]:
    name, value = _pair(text)
    try:
        return name, json.loads(value, parse_constant=str)
    except (ValueError, RecursionError):
        return name, value


def _metric(text: str) -> tuple[str, float]:
    name, value = _pair(text)
    try:
        return name, float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{value}' is no number") from None


def _named(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """The pairs by name.

    Raises:
        InvalidInput: `bad-value`, a name stands twice.
    """
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise InvalidInput(f"'{errors.shown(name)}' is given twice", code=Code.BAD_VALUE)
        found[name] = value
    return found


def _arg(*names: str, **options: Any) -> _Argument:
    return _Argument(names, options)


def _many(name: str, metavar: str, help: str, type: Callable[[str], Any] = str) -> _Argument:
    return _arg(name, metavar=metavar, help=f"{help}; may be repeated", type=type, action="append", default=[])


_REF = _arg("ref", metavar="REF", help="fraud@prod, fraud:1.4.2, fraud:^1.4, fraud#9f86d081")
_MODEL = _arg("model", metavar="MODEL", help="the name of a model")
_ALIAS = _arg("alias", metavar="ALIAS", help="such as fraud@prod")
_REASON = _arg("--reason", required=True, help="why; the history keeps it")
_EXPECT = _arg("--expect", metavar="VERSION", help="only if the alias points there now; '' if it must not exist")
_METRIC = _many("--metric", "NAME=NUMBER", "a metric", _metric)


def _verb(example: str, *arguments: _Argument) -> Callable[[Callable[[Given], Answer]], Callable[[Given], Answer]]:
    """Makes a verb of a function: its name is the verb's, its docstring the help."""

    def add(run: Callable[[Given], Answer]) -> Callable[[Given], Answer]:
        VERBS[run.__name__] = Verb(run, (run.__doc__ or "").rstrip("."), f"modelvault {example}", arguments)
        return run

    return add


# --- verbs ---------------------------------------------------------------------------------------------------------


@_verb(
    "publish fraud ./model.onnx --bump minor --metric auc=0.947 --notes 'Merchant features.'",
    _MODEL,
    _arg("path", metavar="PATH", type=Path, help="a file or folder, stored as it is"),
    _arg("--version", metavar="NUMBER", help="the number, such as 1.4.0 or 2.0.0-rc.1"),
    _arg("--bump", choices=("major", "minor", "patch"), help="instead: how far from the latest stable version"),
    _arg("--base", metavar="NUMBER", help="with --bump, the version to go on from"),
    _many("--param", "NAME=VALUE", "a parameter; JSON if it is JSON, else text", _param),
    _METRIC,
    _many("--data", "PATH|URL", "what it was trained on; a path is hashed, a URL named"),
    _arg("--notes", metavar="TEXT", default="", help="what changed, known issues"),
)
def publish(given: Given) -> Answer:
    """Store a file or folder as a new version, for ever."""
    version = _vault(given).publish(
        given.model,
        given.path,
        version=given.version,
        bump=given.bump,
        base=given.base,
        params=_named(given.param),
        metrics=_named(given.metric),
        data=given.data,
        notes=given.notes,
        actor=given.actor,
    )
    return Answer(_version(version), f"{version.ref} is published: {version.digest}")


@_verb(
    "fetch fraud@prod --to ./fraud",
    _REF,
    _arg("--to", metavar="DIR", help="a new or empty folder; a read-only one in the cache if left out"),
    _many("--only", "PATTERN", "only files like this, such as '*.json'"),
)
def fetch(given: Given) -> Answer:
    """Put the verified files of a version in a folder, and print where."""
    path = str(_vault(given).fetch(given.ref, given.to, only=given.only))
    return Answer({"path": path}, path)


@_verb("show fraud@prod", _REF)
def show(given: Given) -> Answer:
    """Show all that is known of a version."""
    from modelvault.display.records import version_card

    vault = _vault(given)
    version = vault.version(given.ref)
    aliases, remarks = vault.aliases(version.model), version.remarks()
    data = _version(version, aliases, remarks) | {"remarks": _records(remarks)}
    return Answer(data, version_card(version, aliases, remarks, yanked=_is_yanked(remarks)))


@_verb("models")
def models(given: Given) -> Answer:
    """List the models."""
    from modelvault.display.text import Table

    vault = _vault(given)
    names = vault.models()
    return Answer(names, "\n".join(names) if names else Table((), (), empty=f"{vault.url} holds no models"))


@_verb("versions fraud", _MODEL)
def versions(given: Given) -> Answer:
    """List the versions of a model, newest first, with the aliases that point to them."""
    from modelvault.display.records import version_table

    vault = _vault(given)
    aliases = vault.aliases(given.model)
    found = [(version, version.remarks()) for version in vault.versions(given.model)]
    yanked = {version.number for version, remarks in found if _is_yanked(remarks)}
    data = [_version(version, aliases, remarks) for version, remarks in found]
    return Answer(data, version_table(given.model, [version for version, _ in found], aliases, yanked))


@_verb("aliases fraud", _MODEL)
def aliases(given: Given) -> Answer:
    """List the aliases of a model, and where they point."""
    from modelvault.display.records import alias_table

    found = _vault(given).aliases(given.model)
    return Answer({name: _move(move) for name, move in found.items()}, alias_table(given.model, found))


@_verb(
    "promote fraud@prod 1.5.0 --reason 'AUC +0.8 pt' --expect 1.4.0",
    _ALIAS,
    _arg("to", metavar="TO", help="a version's number, or a ref of the same model"),
    _REASON,
    _EXPECT,
)
def promote(given: Given) -> Answer:
    """Point an alias at a version."""
    from modelvault.display.records import move_card

    move = _vault(given).promote(given.alias, given.to, reason=given.reason, expect=given.expect, actor=given.actor)
    return Answer(_move(move), move_card(move))


@_verb(
    "rollback fraud@prod --reason latency",
    _ALIAS,
    _REASON,
    _arg("--to", metavar="VERSION", help="go back as far as this one"),
    _EXPECT,
)
def rollback(given: Given) -> Answer:
    """Point an alias back at the last good version that it pointed to before."""
    from modelvault.display.records import move_card

    said = {"reason": given.reason, "to": given.to, "expect": given.expect, "actor": given.actor}
    move = _vault(given).rollback(given.alias, **said)
    return Answer(_move(move), move_card(move))


@_verb("history fraud@prod", _ALIAS)
def history(given: Given) -> Answer:
    """List the moves of an alias, newest first."""
    from modelvault.display.records import history_table

    moves = _vault(given).history(given.alias)
    return Answer([_move(move) for move in moves], history_table(moves))


@_verb(
    "note fraud:1.5.0 'Slow on large baskets.' --kind issue --metric p99_ms=180",
    _REF,
    _arg("text", metavar="TEXT", help="what there is to say"),
    _arg("--kind", choices=KINDS, default="remark", help="what sort of note it is (default: remark)"),
    _METRIC,
)
def note(given: Given) -> Answer:
    """Add a remark to a version, for ever."""
    return _noted(partial(_vault(given).note, text=given.text, kind=given.kind, metrics=_named(given.metric)), given)


@_verb("yank fraud:1.5.0 --reason 'trained on the test set'", _REF, _REASON)
def yank(given: Given) -> Answer:
    """Take a version out of ranges and rollbacks; whoever names it exactly still gets it."""
    return _noted(partial(_vault(given).yank, reason=given.reason), given)


@_verb("unyank fraud:1.5.0 --reason 'the test set was sound'", _REF, _REASON)
def unyank(given: Given) -> Answer:
    """Undo a yank."""
    return _noted(partial(_vault(given).unyank, reason=given.reason), given)


@_verb("diff fraud:1.4.0 fraud@prod", _arg("a", metavar="A", help="a ref"), _arg("b", metavar="B", help="a ref"))
def diff(given: Given) -> Answer:
    """Show what version B changes against version A."""
    from modelvault.display.records import diff_table

    found = _vault(given).diff(given.a, given.b)
    changes = [change._asdict() for change in found.changes]
    return Answer({"old": found.old, "new": found.new, "changes": changes}, diff_table(found))


@_verb(
    "verify fraud@prod --level bytes",
    _arg("ref", metavar="REF", nargs="?", help="a version or alias; everything if left out"),
    _arg("--level", choices=("structure", "presence", "bytes"), default="bytes", help="how deep (default: bytes)"),
)
def verify(given: Given) -> Answer:
    """Check what is stored, and report all that is wrong."""
    from modelvault.display.records import problem_card

    report = _vault(given).verify(given.ref, level=given.level)
    problems = [_error_data(problem) for problem in report.problems]
    outage = problems and all(isinstance(problem, errors.StoreError) for problem in report.problems)
    code = EXITS[errors.StoreError if outage else errors.Corrupt] if problems else 0
    summary = str(report).partition("\n")[0]
    return Answer(vars(report) | {"ok": report.ok, "problems": problems}, problem_card(summary, report.problems), code)


@_verb("demo", _arg("--dir", metavar="DIR", type=Path, help="for the vault; a new temporary folder if left out"))
def demo(given: Given) -> Answer:
    """Train, publish, promote, break and roll back a real model, in under a minute."""
    from modelvault.demo import run

    return Answer(run(given.dir, partial(print, flush=True, file=sys.stderr if given.json else sys.stdout)), "")


# --- what they share -----------------------------------------------------------------------------------------------


def _vault(given: Given) -> Vault:
    from modelvault.vault import open

    return open(given.vault)


def _noted(make: Callable[..., Note], given: Given) -> Answer:
    made = make(ref=given.ref, actor=given.actor)
    return Answer(_record(made), str(made))


def _record(record: Any) -> dict[str, Any]:
    from modelvault.wire import as_json

    return dict(as_json(record))


def _move(move: Move) -> dict[str, Any]:
    return {**_record(move), "version": move.version}


def _version(version: Version, aliases: Mapping[str, Move] | None = None, remarks: Sequence[Note] = ()) -> dict[str, Any]:
    names = [name for name, move in (aliases or {}).items() if move.version == version.number]
    return {
        **_record(version.manifest),
        "record": "version",
    }


def _is_yanked(notes: Sequence[Note]) -> bool:
    """The newest word on it, of notes that stand newest first."""
    return next((note.kind == "yank" for note in notes if note.kind in {"yank", "unyank"}), False)
