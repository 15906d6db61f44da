"""The verbs that make versions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelvault.cli.verb import METRIC, MODEL, Answer, Given, Named, arg, json_or_text, opened, verb

if TYPE_CHECKING:
    from modelvault.estimate import Estimate


@verb(
    "publish fraud ./model.onnx --bump minor --metric auc=0.947 --notes 'Merchant features.'",
    MODEL,
    arg("path", metavar="PATH", type=Path, help="a file or folder, stored as it is"),
    arg("--version", metavar="NUMBER", help="such as 1.4.0 or 2.0.0-rc.1"),
    arg("--bump", choices=("major", "minor", "patch", "auto"), help="instead: how far from the latest stable version"),
    arg("--base", metavar="NUMBER", help="with --bump: the version to go on from"),
    arg("--param", metavar="NAME=VALUE", action=Named, const=json_or_text, help="JSON or text; may be repeated"),
    METRIC,
    arg("--data", metavar="PATH|URL", action="append", default=[], help="what it was trained on; may be repeated"),
    arg("--notes", metavar="TEXT", default="", help="what changed, known issues"),
    arg("--keep-diff", action="store_true", help="keep what is not committed of the working directory as a patch"),
    arg("--compress", action="store_true", help="store what is new smaller, where that pays"),
    arg("--dry-run", action="store_true", help="write nothing, and say what would be done"),
)
def publish(given: Given) -> Answer:
    """Store a file or folder as a new version, for ever."""
    from modelvault.display.data import version_data

    label = {"version": given.version, "bump": given.bump, "base": given.base}
    said = {"params": given.param, "metrics": given.metric, "data": given.data, "notes": given.notes}
    said["keep_diff"] = given.keep_diff
    vault, what = opened(given), label | said | {"actor": given.actor, "compress": given.compress}
    if given.dry_run:
        return _estimated(vault.publish(given.model, given.path, **what, dry_run=True))
    version = vault.publish(given.model, given.path, **what)
    return Answer(version_data(version.manifest, version.claim), f"{version.ref} is published, {version.digest}")


@verb("suggest fraud ./model.onnx", MODEL, arg("path", metavar="PATH", type=Path, help="a file or folder"))
def suggest(given: Given) -> Answer:
    """Say which bump a file or folder needs, and why."""
    bump = opened(given).suggest_bump(given.model, given.path)
    found = [{"path": one.path, "level": one.level, "reason": one.reason} for one in bump.findings]
    return Answer({"level": bump.level, "base": bump.base, "findings": found}, str(bump))


def _estimated(estimate: Estimate) -> Answer:
    from dataclasses import asdict

    from modelvault.display.records import size_text
    from modelvault.display.text import Card

    sizes = [(name, [size_text(getattr(estimate, name))]) for name in ("size", "new", "saved", "shared", "inline")]
    counts = [(name, [str(getattr(estimate, name))]) for name in ("files", "blobs", "requests")]
    return Answer(asdict(estimate), Card(f"{estimate.model}:{estimate.number} would be published", sizes + counts))
