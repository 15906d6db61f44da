"""The verbs that look after what is stored, and what is kept of it here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelvault import errors
from modelvault.cli.exits import EXITS, error_data, exit_code
from modelvault.cli.verb import Answer, Given, arg, opened, verb
from modelvault.errors import Code, InvalidInput, shown

if TYPE_CHECKING:
    from modelvault.cache import Cache
    from modelvault.upkeep.cached import Checked
    from modelvault.upkeep.verify import Report


@verb(
    "verify fraud@prod --level presence",
    arg("ref", metavar="REF", nargs="?", help="a version or alias; if left out, all that the vault holds"),
    arg("--level", choices=("structure", "presence", "bytes"), default="bytes", help="how deep; default: bytes"),
)
def verify(given: Given) -> Answer:
    """Check what is stored, and report all that is wrong."""
    return _reported(opened(given).verify(given.ref, level=given.level))


@verb(
    "cache prune --to 10GB",
    arg("what", metavar="WHAT", choices=("ls", "verify", "prune", "forget"), help="ls, verify, prune or forget"),
    arg("url", metavar="URL", nargs="?", help="with forget: the vault that was made anew, or set back on purpose"),
    arg("--to", metavar="SIZE", help="with prune: such as 10GB or 512MiB; 0 for all; default: the limit"),
)
def cache(given: Given) -> Answer:
    """List, verify or prune what is kept of remote vaults."""
    from modelvault.verbs.opened import cache_at

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


def _reported(report: Report | Checked) -> Answer:
    from dataclasses import fields

    from modelvault.display.records import problem_card

    outage = all(isinstance(problem, errors.StoreError) for problem in report.problems)
    code = 0 if report.ok else min(map(exit_code, report.problems)) if outage else EXITS[errors.Corrupt]
    said = {one.name: getattr(report, one.name) for one in fields(report)} | {"ok": report.ok}
    said["problems"] = [error_data(problem) for problem in report.problems]
    return Answer(said, problem_card(str(report).partition("\n")[0], report.problems), code)


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
