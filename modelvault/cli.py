"""The command ``modelvault``: the verbs of a vault, one to one.

Each verb answers with data, for ``--json``, and a view of it, for people.  The exit code says what the caller may do:
see `EXITS` and `EXITS_OF_CODES`.  Most of the package is imported by the verbs that use it, so that ``--help`` is quick.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from modelvault import __version__, errors
from modelvault.errors import Code, InvalidInput, VaultError, shown

if TYPE_CHECKING:
    from modelvault.cache import Cache
    from modelvault.display.records import Published
    from modelvault.display.text import View
    from modelvault.estimate import Estimate
    from modelvault.upkeep.cached import Checked
    from modelvault.upkeep.verify import Report
    from modelvault.vault import Vault
    from modelvault.version import Version
    from modelvault.wire import Note

__all__ = ["EXITS", "EXITS_OF_CODES", "main"]

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
"""The exit code of each category of error.  0 is done; 1 is a fault of this program; 75 means "try later" since sendmail."""

EXITS_OF_CODES: dict[str, int] = {Code.STORE_DENIED: 77}
"""Where a category says too little: who is denied now is denied later.  77 means "no permission" since sendmail."""

INTERRUPTED, PIPE_CLOSED = 130, 141
"""As a shell reports SIGINT and SIGPIPE."""

_TEXT = 1024 * 1024
"""Bytes of a text that are read; no note holds as much."""

_AT_ONCE = 8 * 1024 * 1024
"""Bytes that are copied at once."""


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


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb, and return the exit code.  `argv` has no name of the program."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read us has seen enough; the last flush of the interpreter must not fail on it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    return code


def _run(arguments: list[str]) -> int:
    as_json = "--json" in arguments
    try:
        given = _given(arguments)
        as_json = given.json
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            answer = VERBS[given.verb][0](given)
    except SystemExit as done:  # --help and --version
        return int(done.code or 0)
    except KeyboardInterrupt:
        return _fail(INTERRUPTED, _fault("Interrupted", "interrupted"), as_json)
    except VaultError as error:
        return _fail(_exit(error), _data(error), as_json)
    except BrokenPipeError:
        raise
    except Exception as error:  # a fault of this program, whose traceback goes into the report of it
        import traceback

        from modelvault.secrets import redacted

        print(redacted(traceback.format_exc()), file=sys.stderr, end="")
        return _fail(1, _fault("Unexpected", redacted(f"{type(error).__name__}: {error}")), as_json)
    _say(answer.data) if as_json else _show(answer.view)
    return answer.code


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    print(f"warning: {shown(message, sys.maxsize)}", file=sys.stderr)


def _say(data: object) -> None:
    print(json.dumps(data, indent=2))  # ASCII: whatever was stored, no terminal acts on it


def _show(view: View) -> None:
    from modelvault.display.text import Table, rendered, style_of

    text, encoding = rendered(view, style_of(sys.stdout, os.environ)), sys.stdout.encoding or "utf-8"
    if text:
        print(text.encode(encoding, "backslashreplace").decode(encoding))
    elif isinstance(view, Table):
        print(shown(view.empty), file=sys.stderr)


def _fail(code: int, said: dict[str, Any], as_json: bool) -> int:  # noqa: FBT001
    if as_json:
        _say({"error": said})
    for label, text in (("error", said["message"]), ("hint", said["hint"])):
        if text:
            print(f"{label}: {shown(text, sys.maxsize)}", file=sys.stderr)
    return code


def _fault(category: str, message: str) -> dict[str, Any]:
    """What `_data` is for a `VaultError`."""
    return {"category": category, "code": category.lower(), "message": message, "hint": "", "ref": ""}


def _category(error: VaultError) -> type[VaultError]:
    return next(kind for kind in type(error).__mro__ if kind in EXITS)


def _exit(error: VaultError) -> int:
    return EXITS_OF_CODES.get(error.code, EXITS[_category(error)])


def _data(error: VaultError) -> dict[str, Any]:
    said = {name: value for name, value in vars(error).items() if not name.startswith("_")}
    return {"category": _category(error).__name__, "code": error.code, **said}


# --- arguments -----------------------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are like all others."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def error(self, message: str) -> NoReturn:
        from modelvault.secrets import redacted

        raise InvalidInput(redacted(message), code=Code.BAD_VALUE, hint=f"see '{self.prog} --help'")


def _given(arguments: list[str]) -> Given:
    if arguments:
        return _parser().parse_args(arguments)
    _parser().print_help()
    raise SystemExit(EXITS[InvalidInput])


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="modelvault",
        description="A model registry in any folder: immutable versions, aliases, safe rollback.",
        epilog="exit codes:\n  0 done\n  1 unexpected\n"
        + "".join(f"  {exit} {kind.__name__}\n" for kind, exit in EXITS.items())
        + "".join(f"  {exit} {code}\n" for code, exit in EXITS_OF_CODES.items())
        + f"  {INTERRUPTED} interrupted",
    )
    parser.add_argument("--version", action="version", version=f"modelvault {__version__}")
    _add_common(parser, vault=None, json=False, actor=None)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs", required=True)
    for name, (run, example, extra) in VERBS.items():
        help = (run.__doc__ or "").rstrip(".")
        verb = verbs.add_parser(name, help=help, description=f"{help}.", epilog=f"example:\n  modelvault {example}")
        for names, options in extra:
            verb.add_argument(*names, **options)
        _add_common(verb, **dict.fromkeys(("vault", "json", "actor"), argparse.SUPPRESS))
    return parser


def _add_common(parser: argparse.ArgumentParser, *, vault: Any, json: Any, actor: Any) -> None:
    """The options that may stand before the verb, where they have defaults, or after it."""
    common = parser.add_argument_group("everywhere")
    common.add_argument(
        "--vault", metavar="URL", default=vault, help="default: $MODELVAULT_URL, else your own local vault"
    )
    common.add_argument("--json", action="store_true", default=json, help="answer with one JSON document")
    common.add_argument(
        "--actor", metavar="NAME", default=actor, help="default: $MODELVAULT_ACTOR, else the login name"
    )


class _Named(argparse.Action):
    """Collects NAME=VALUE; `const` reads the value.  A name that is given twice is an error, not a matter of order."""

    def __call__(self, parser: Any, given: Given, value: Any, option: str | None = None) -> None:
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


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        return text


def _arg(*names: str, **options: Any) -> Argument:
    return names, options


_MODEL = _arg("model", metavar="MODEL", help="the name of a model")
_REF = _arg("ref", metavar="REF", help="such as fraud@prod, fraud:1.4.2, fraud:^1.4, fraud#9f86d081")
_ALIAS = _arg("alias", metavar="ALIAS", help="such as fraud@prod")
_REASON = _arg("--reason", metavar="TEXT", required=True, help="why; it is kept for ever")
_EXPECT = _arg("--expect", metavar="NUMBER", help="only if the alias points there now; '' if it must not exist")
_METRIC = _arg("--metric", metavar="NAME=NUMBER", action=_Named, const=float, help="a metric; may be repeated")
_KINDS = ("remark", "metrics", "issue", "approval", "card", "yank", "unyank", "quarantine", "release", "drill")


def _verb(example: str, *arguments: Argument) -> Callable[[Run], Run]:
    """Makes a function a verb under its own name."""

    def add(run: Run) -> Run:
        VERBS[run.__name__] = (run, example, arguments)
        return run

    return add


# --- verbs ---------------------------------------------------------------------------------------------------------


def _vault(given: Given) -> Vault:
    from modelvault.vault import open

    return open(given.vault)


@_verb(
    "publish fraud ./model.onnx --bump minor --metric auc=0.947 --notes 'Merchant features.'",
    _MODEL,
    _arg("path", metavar="PATH", type=Path, help="a file or folder, stored as it is"),
    _arg("--version", metavar="NUMBER", help="such as 1.4.0 or 2.0.0-rc.1"),
    _arg("--bump", choices=("major", "minor", "patch", "auto"), help="instead: how far from the latest stable version"),
    _arg("--base", metavar="NUMBER", help="with --bump: the version to go on from"),
    _arg("--param", metavar="NAME=VALUE", action=_Named, const=_json_or_text, help="JSON or text; may be repeated"),
    _METRIC,
    _arg("--data", metavar="PATH|URL", action="append", default=[], help="what it was trained on; may be repeated"),
    _arg("--notes", metavar="TEXT", default="", help="what changed, known issues"),
    _arg("--keep-diff", action="store_true", help="keep what is not committed of the working directory as a patch"),
    _arg("--compress", action="store_true", help="store what is new smaller, where that pays"),
    _arg("--dry-run", action="store_true", help="write nothing, and say what would be done"),
)
def publish(given: Given) -> Answer:
    """Store a file or folder as a new version, for ever."""
    from modelvault.display.data import version_data

    label = {"version": given.version, "bump": given.bump, "base": given.base}
    said = {"params": given.param, "metrics": given.metric, "data": given.data, "notes": given.notes}
    said["keep_diff"] = given.keep_diff
    vault, what = _vault(given), label | said | {"actor": given.actor, "compress": given.compress}
    if given.dry_run:
        return _estimated(vault.publish(given.model, given.path, **what, dry_run=True))
    version = vault.publish(given.model, given.path, **what)
    return Answer(version_data(version.manifest, version.claim), f"{version.ref} is published, {version.digest}")


def _estimated(estimate: Estimate) -> Answer:
    from dataclasses import asdict

    from modelvault.display.records import size_text
    from modelvault.display.text import Card

    sizes = [(name, [size_text(getattr(estimate, name))]) for name in ("size", "new", "saved", "shared", "inline")]
    counts = [(name, [str(getattr(estimate, name))]) for name in ("files", "blobs", "requests")]
    return Answer(asdict(estimate), Card(f"{estimate.model}:{estimate.number} would be published", sizes + counts))


@_verb(
    "fetch fraud@prod --to ./fraud",
    _REF,
    _arg("--to", metavar="DIR", help="a new or empty folder; if left out, a read-only one of the cache"),
    _arg("--only", metavar="PATTERN", action="append", default=[], help="such as '*.json'; may be repeated"),
)
def fetch(given: Given) -> Answer:
    """Put the verified files of a version in a folder."""
    path = str(_vault(given).fetch(given.ref, given.to, only=given.only))
    return Answer({"path": path}, path)


@_verb(
    "cat fraud@prod config.json",
    _REF,
    _arg("path", metavar="PATH", help="of the file in the version"),
)
def cat(given: Given) -> Answer:
    """Write the bytes of one file of a version to standard output, each part verified before it is written."""
    import shutil

    if given.json:
        raise InvalidInput("cat writes the bytes as they are", code=Code.BAD_VALUE, hint="leave out --json")
    with _vault(given).version(given.ref).open(given.path) as file:
        shutil.copyfileobj(file, sys.stdout.buffer, _AT_ONCE)
    return Answer(None, "")


@_verb("show fraud@prod", _REF)
def show(given: Given) -> Answer:
    """Show all that is known of a version."""
    from modelvault.display import data, records

    vault = _vault(given)
    version = vault.version(given.ref)
    if version.stale is not None:  # what has been said of it since cannot be asked for
        since = {"aliases": None, "yanked": None, "remarks": None, "stale": version.stale}
        return Answer(data.version_data(version.manifest, version.claim) | since, str(version))
    found, aliases = _published(version), vault.aliases(version.model)
    return Answer(data.published_data(found, aliases) | {"stale": None}, records.version_card(found, aliases))


@_verb("signature fraud@prod", _REF)
def signature(given: Given) -> Answer:
    """Show what a version takes and what it answers with."""
    from modelvault.display.records import signature_view
    from modelvault.wire import as_json

    version = _vault(given).version(given.ref)
    found = version.manifest.signature
    return Answer(None if found is None else as_json(found), signature_view(version.ref, found))


@_verb("suggest fraud ./model.onnx", _MODEL, _arg("path", metavar="PATH", type=Path, help="a file or folder"))
def suggest(given: Given) -> Answer:
    """Say which bump a file or folder needs, and why."""
    bump = _vault(given).suggest_bump(given.model, given.path)
    found = [{"path": one.path, "level": one.level, "reason": one.reason} for one in bump.findings]
    return Answer({"level": bump.level, "base": bump.base, "findings": found}, str(bump))


@_verb("models")
def models(given: Given) -> Answer:
    """List the models."""
    from modelvault.display.text import Table

    vault = _vault(given)
    names = vault.models()
    return Answer(names, "\n".join(names) or Table((), (), empty=f"there are no models in {vault.url}"))


@_verb("versions fraud", _MODEL)
def versions(given: Given) -> Answer:
    """List the versions of a model, newest first."""
    from modelvault.display import data, records

    vault = _vault(given)
    aliases = vault.aliases(given.model)
    found = [_published(version) for version in vault.versions(given.model)]
    said = [data.published_data(version, aliases) for version in found]
    return Answer(said, records.version_table(found, aliases))


def _published(version: Version) -> Published:
    from modelvault.display.records import Published

    return Published(version.manifest, version.claim, version.remarks())


@_verb("aliases fraud", _MODEL)
def aliases(given: Given) -> Answer:
    """List the aliases of a model, and where they point."""
    from modelvault.display import data, records

    found = _vault(given).aliases(given.model)
    return Answer({name: data.move_data(found[name]) for name in found}, records.alias_table(given.model, found))


@_verb(
    "promote fraud@prod 1.5.0 --reason 'AUC +0.8 pt' --expect 1.4.0",
    _ALIAS,
    _arg("to", metavar="TO", help="a number, or a ref of the same model"),
    _REASON,
    _EXPECT,
)
def promote(given: Given) -> Answer:
    """Point an alias at a version."""
    return _moved(_vault(given).promote, given)


@_verb(
    "rollback fraud@prod --reason latency --expect 1.5.0",
    _ALIAS,
    _REASON,
    _arg("--to", metavar="NUMBER", help="go back as far as this version"),
    _arg(
        "--expect",
        metavar="NUMBER",
        help="only if the alias points there now; pass it where this may run twice: a repetition goes one further back",
    ),
)
def rollback(given: Given) -> Answer:
    """Point an alias back at the last good version before."""
    return _moved(_vault(given).rollback, given)


def _moved(make: Callable[..., Any], given: Given) -> Answer:
    from modelvault.display import data, records

    move = make(given.alias, to=given.to, reason=given.reason, expect=given.expect, actor=given.actor)
    return Answer(data.move_data(move), records.move_card(move))


@_verb("history fraud@prod", _ALIAS)
def history(given: Given) -> Answer:
    """List the moves of an alias, newest first."""
    from modelvault.display import data, records

    moves = _vault(given).history(given.alias)
    return Answer([data.move_data(move) for move in moves], records.history_table(moves))


@_verb(
    "note fraud:1.5.0 'Slow on large baskets.' --kind issue --metric p99_ms=180",
    _REF,
    _arg("text", metavar="TEXT", help="what there is to say"),
    _arg("--kind", choices=_KINDS, default="remark", help="default: remark"),
    _METRIC,
)
def note(given: Given) -> Answer:
    """Add a note to a version, for ever."""
    return _noted(_vault(given).note(given.ref, given.text, kind=given.kind, metrics=given.metric, actor=given.actor))


@_verb("yank fraud:1.5.0 --reason 'trained on the test set'", _REF, _REASON)
def yank(given: Given) -> Answer:
    """Take a version out of ranges and rollbacks."""
    return _noted(_vault(given).yank(given.ref, reason=given.reason, actor=given.actor))


@_verb("unyank fraud:1.5.0 --reason 'the test set was sound'", _REF, _REASON)
def unyank(given: Given) -> Answer:
    """Undo a yank."""
    return _noted(_vault(given).unyank(given.ref, reason=given.reason, actor=given.actor))


def _noted(note: Note) -> Answer:
    from modelvault.wire import as_json

    return Answer(as_json(note), str(note))


_MARKDOWN = _arg("--markdown", action="store_true", help="as a table for a pull request")


@_verb(
    "diff fraud:1.4.0 fraud@prod",
    _arg("a", metavar="A", help="a ref"),
    _arg("b", metavar="B", help="a ref"),
    _MARKDOWN,
)
def diff(given: Given) -> Answer:
    """Show what version B changes against version A."""
    from modelvault.display import data, records

    found = _vault(given).diff(given.a, given.b)
    return Answer(data.diff_data(found), found.to_markdown() if given.markdown else records.diff_table(found))


@_verb(
    "compare fraud auc",
    _MODEL,
    _arg("metrics", metavar="METRIC", nargs="*", help="if left out, all"),
    _MARKDOWN,
)
def compare(given: Given) -> Answer:
    """Show the versions of a model side by side, by their metrics."""
    found = _vault(given).compare(given.model, *given.metrics)
    return Answer(found.data(), found.to_markdown() if given.markdown else str(found))


@_verb(
    "find \"metrics.auc > 0.9 and alias == 'prod'\"",
    _arg("expression", metavar="EXPRESSION", help="what must be true of a version"),
    _arg("--limit", metavar="COUNT", type=int, help="how many, at most"),
)
def find(given: Given) -> Answer:
    """List the versions of which an expression is true."""
    from modelvault.display import data, records

    found = [(one.manifest, one.claim) for one in _vault(given).find(given.expression, limit=given.limit)]
    return Answer([data.version_data(*one) for one in found], records.found_table(found))


@_verb(
    "card fraud@prod --edit README.md",
    _REF,
    _arg("--edit", metavar="FILE", help="first make its text that of the card, as a note; - for standard input"),
)
def card(given: Given) -> Answer:
    """Show the model card of a version, in Markdown."""
    vault = _vault(given)
    if given.edit is not None:
        vault.note(given.ref, _read(given.edit), kind="card", actor=given.actor)
    text = vault.card(given.ref)
    return Answer({"card": text}, text.rstrip("\n"))


def _read(path: str) -> str:
    try:
        raw = sys.stdin.buffer.read(_TEXT + 1) if path == "-" else _head(path)
        return raw.decode()
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{shown(path)} cannot be read as text: {shown(error)}", code=Code.BAD_VALUE) from error


def _head(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(_TEXT + 1)


@_verb(
    "reproduce fraud:1.4.2 -o ./again --check",
    _REF,
    _arg(
        "-o", "--output", metavar="DIR", help="a new or empty folder; default: MODEL-NUMBER, unless it is only a check"
    ),
    _arg("--check", action="store_true", help="say what no longer matches in this folder and interpreter"),
)
def reproduce(given: Given) -> Answer:
    """Write the recipe of a version: code, environment, command, data."""
    recipe = _vault(given).reproduce(given.ref, given.output)
    path = given.output or (None if given.check else str(recipe.write(Path(recipe.ref.replace(":", "-")))))
    found = recipe.check() if given.check else []
    said = recipe.data() | {"path": path}
    if not given.check:
        return Answer(said, f"the recipe of {recipe.ref} is in {path}")
    from modelvault.display.records import finding_card

    fits = all(one.state in {"same", "unknown"} for one in found)
    said |= {"ok": fits, "findings": [one._asdict() for one in found]}
    return Answer(said, finding_card(recipe.ref, found), 0 if fits else EXITS[errors.Conflict])


@_verb(
    "verify fraud@prod --level presence",
    _arg("ref", metavar="REF", nargs="?", help="a version or alias; if left out, all that the vault holds"),
    _arg("--level", choices=("structure", "presence", "bytes"), default="bytes", help="how deep; default: bytes"),
)
def verify(given: Given) -> Answer:
    """Check what is stored, and report all that is wrong."""
    return _reported(_vault(given).verify(given.ref, level=given.level))


def _reported(report: Report | Checked) -> Answer:
    from dataclasses import fields

    from modelvault.display.records import problem_card

    outage = all(isinstance(problem, errors.StoreError) for problem in report.problems)
    code = 0 if report.ok else min(map(_exit, report.problems)) if outage else EXITS[errors.Corrupt]
    said = {one.name: getattr(report, one.name) for one in fields(report)} | {"ok": report.ok}
    said["problems"] = [_data(problem) for problem in report.problems]
    return Answer(said, problem_card(str(report).partition("\n")[0], report.problems), code)


@_verb(
    "prefetch fraud@prod fraud:1.4.2",
    _arg(
        "refs", metavar="REF", nargs="+", help="what is to be loaded later, perhaps where the store cannot be reached"
    ),
)
def prefetch(given: Given) -> Answer:
    """Bring all that loading these versions needs into the cache."""
    from modelvault.display.records import size_text
    from modelvault.display.text import Table

    found = _vault(given).prefetch(*given.refs)
    said = [
        {"ref": one.ref, "digest": one.digest, "files": len(one.files), "size": one.size, "asked": ref}
        for one, ref in zip(found, given.refs, strict=True)
    ]
    rows = [(one["ref"], one["files"], size_text(int(str(one["size"]))), one["digest"]) for one in said]
    return Answer(said, Table(("VERSION", "FILES", "SIZE", "DIGEST"), rows))


@_verb(
    "cache prune --to 10GB",
    _arg("what", metavar="WHAT", choices=("ls", "verify", "prune", "forget"), help="ls, verify, prune or forget"),
    _arg("url", metavar="URL", nargs="?", help="with forget: the vault that was made anew, or set back on purpose"),
    _arg("--to", metavar="SIZE", help="with prune: such as 10GB or 512MiB; 0 for all; default: the limit"),
)
def cache(given: Given) -> Answer:
    """List, verify or prune what is kept of remote vaults."""
    from modelvault.vault import cache_at

    if (given.url is None) == (given.what == "forget") or (given.to is not None and given.what != "prune"):
        raise InvalidInput(
            "URL goes with forget, and --to with prune", code=Code.BAD_VALUE, hint="see 'modelvault cache --help'"
        )
    kept = cache_at()
    match given.what:
        case "ls":
            return _cached(kept)
        case "verify":
            from modelvault.upkeep.cached import verify

            return _reported(verify(kept))
        case "prune":
            return _pruned(kept, given.to)
        case _:
            return _forgotten(kept, given.url)


def _cached(kept: Cache) -> Answer:
    from modelvault.display import cached

    entries, vaults = kept.entries(), kept.vaults()
    return Answer(cached.cache_data(kept, entries, vaults), cached.cache_card(kept, entries, vaults))


def _pruned(kept: Cache, to: str | None) -> Answer:
    from modelvault.cache import room
    from modelvault.display import cached

    gone = kept.prune(None if to is None else room.size(to))
    left = kept.entries()
    return Answer(cached.pruned_data(gone, left), cached.pruned_text(gone, left))


def _forgotten(kept: Cache, url: str) -> Answer:
    if kept.forget(url):
        return Answer({"forgotten": url}, f"forgot what was seen of {url}")
    known = ", ".join(one.url for one in kept.vaults() if one.url) or "none"
    message, hint = f"nothing is remembered of {shown(url)}", f"vaults: {shown(known)}"
    raise errors.NotFound(message, code=Code.KEY_MISSING, hint=hint, ref=url)


@_verb(
    "page -o site",
    _arg("models", metavar="MODEL", nargs="*", help="of these alone; default: of all"),
    _arg("-o", "--output", metavar="DIR", required=True, help="a new or empty folder, or one of earlier pages"),
)
def page(given: Given) -> Answer:
    """Write pages for a browser: models, versions, aliases, metrics; no server is needed."""
    site = _vault(given).page(given.output, given.models)
    path = os.path.join(site.path, "index.html")
    said = {"path": path, "models": site.models, "versions": site.versions, "files": site.files}
    return Answer(said, f"{site.models} models and {site.versions} versions are shown in {path}")


@_verb("demo", _arg("--dir", metavar="DIR", type=Path, help="for its vault; if left out, a new temporary folder"))
def demo(given: Given) -> Answer:
    """Train, publish, promote, break and roll back a real model."""
    from modelvault.demo import run

    return Answer(run(given.dir, partial(print, file=sys.stderr if given.json else sys.stdout, flush=True)), "")
