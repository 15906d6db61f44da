"""The verbs that read versions, and list what there is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from modelvault.cli.verb import ALIAS, MODEL, REF, Answer, Given, arg, opened, verb
from modelvault.errors import Code, InvalidInput

if TYPE_CHECKING:
    from modelvault.display.records import Published
    from modelvault.version import Version

_AT_ONCE = 8 * 1024 * 1024
"""Bytes that are copied at once."""


@verb(
    "fetch fraud@prod --to ./fraud",
    REF,
    arg("--to", metavar="DIR", help="a new or empty folder; if left out, a read-only one of the cache"),
    arg("--only", metavar="PATTERN", action="append", default=[], help="such as '*.json'; may be repeated"),
)
def fetch(given: Given) -> Answer:
    """Put the verified files of a version in a folder."""
    path = str(opened(given).fetch(given.ref, given.to, only=given.only))
    return Answer({"path": path}, path)


@verb(
    "cat fraud@prod config.json",
    REF,
    arg("path", metavar="PATH", help="of the file in the version"),
)
def cat(given: Given) -> Answer:
    """Write the bytes of one file of a version to standard output, each part verified before it is written."""
    import shutil

    if given.json:
        raise InvalidInput("cat writes the bytes as they are", code=Code.BAD_VALUE, hint="leave out --json")
    with opened(given).version(given.ref).open(given.path) as file:
        shutil.copyfileobj(file, sys.stdout.buffer, _AT_ONCE)
    return Answer(None, "")


@verb("show fraud@prod", REF)
def show(given: Given) -> Answer:
    """Show all that is known of a version."""
    from modelvault.display import data, records

    vault = opened(given)
    version = vault.version(given.ref)
    if version.stale is not None:  # what has been said of it since cannot be asked for
        since = {"aliases": None, "yanked": None, "quarantined": None, "remarks": None, "stale": version.stale}
        return Answer(data.version_data(version.manifest, version.claim) | since, str(version))
    found, aliases = _published(version), vault.aliases(version.model)
    return Answer(data.published_data(found, aliases) | {"stale": None}, records.version_card(found, aliases))


@verb("signature fraud@prod", REF)
def signature(given: Given) -> Answer:
    """Show what a version takes and what it answers with."""
    from modelvault.display.records import signature_view
    from modelvault.wire import as_json

    version = opened(given).version(given.ref)
    found = version.manifest.signature
    return Answer(None if found is None else as_json(found), signature_view(version.ref, found))


@verb("models")
def models(given: Given) -> Answer:
    """List the models."""
    from modelvault.display.text import Table

    vault = opened(given)
    names = vault.models()
    return Answer(names, "\n".join(names) or Table((), (), empty=f"there are no models in {vault.url}"))


@verb("versions fraud", MODEL)
def versions(given: Given) -> Answer:
    """List the versions of a model, newest first."""
    from modelvault.display import data, records

    vault = opened(given)
    aliases = vault.aliases(given.model)
    found = [_published(version) for version in vault.versions(given.model)]
    said = [data.published_data(version, aliases) for version in found]
    return Answer(said, records.version_table(found, aliases))


@verb("aliases fraud", MODEL)
def aliases(given: Given) -> Answer:
    """List the aliases of a model, and where they point."""
    from modelvault.display import data, records

    found = opened(given).aliases(given.model)
    return Answer({name: data.move_data(found[name]) for name in found}, records.alias_table(given.model, found))


@verb("history fraud@prod", ALIAS)
def history(given: Given) -> Answer:
    """List the moves of an alias, newest first."""
    from modelvault.display import data, records

    moves = opened(given).history(given.alias)
    return Answer([data.move_data(move) for move in moves], records.history_table(moves))


@verb(
    "prefetch fraud@prod fraud:1.4.2",
    arg("refs", metavar="REF", nargs="+", help="what is to be loaded later, perhaps where the store cannot be reached"),
)
def prefetch(given: Given) -> Answer:
    """Bring all that loading these versions needs into the cache."""
    from modelvault.display.records import size_text
    from modelvault.display.text import Table

    found = opened(given).prefetch(*given.refs)
    said = [
        {"ref": one.ref, "digest": one.digest, "files": len(one.files), "size": one.size, "asked": ref}
        for one, ref in zip(found, given.refs, strict=True)
    ]
    rows = [(one["ref"], one["files"], size_text(int(str(one["size"]))), one["digest"]) for one in said]
    return Answer(said, Table(("VERSION", "FILES", "SIZE", "DIGEST"), rows))


def _published(version: Version) -> Published:
    from modelvault.display.records import Published

    return Published(version.manifest, version.claim, version.remarks())
