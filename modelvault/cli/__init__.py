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
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from modelvault import __version__
from modelvault.cli import drill, look, move, protect, publish, read, serve, upkeep  # noqa: F401 - each adds its verbs
from modelvault.cli.exits import EXITS, EXITS_OF_CODES, INTERRUPTED, PIPE_CLOSED, STEP_FAILED, error_data, exit_code
from modelvault.cli.verb import VERBS, Given
from modelvault.errors import Code, InvalidInput, VaultError, shown

if TYPE_CHECKING:
    from modelvault.display.text import View

__all__ = ["EXITS", "EXITS_OF_CODES", "main"]


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
        return _fail(exit_code(error), error_data(error), as_json)
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
    """What `error_data` is for a `VaultError`."""
    return {"category": category, "code": category.lower(), "message": message, "hint": "", "ref": ""}


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
        + f"  {STEP_FAILED} a step of a drill failed\n"
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
