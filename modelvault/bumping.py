"""Which bump a version needs: its candidate beside the version that its number is counted from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from modelvault import reference
from modelvault.errors import Code, InvalidInput, Refused, shown
from modelvault.publishing import Label
from modelvault.reference import Level, Number
from modelvault.signature.bump import Bump, contract_bump, with_outputs

if TYPE_CHECKING:
    from modelvault.catalog import Catalog
    from modelvault.signature.recording import Candidate
    from modelvault.wire import Manifest

__all__ = ["needed", "suited"]

_MOST, _LONGEST = 20, 1500


def suited(catalog: Catalog, model: str, candidate: Candidate, label: Label, numbers: Iterable[Number]) -> Label:
    """`label`, where it is no less than the candidate needs; the label that it needs, for ``bump="auto"``.

    What asks for a major bump anyway is not compared, and nothing below 1.0.0, which promises nothing.

    Raises:
        Refused: `bump-too-small`, with every reason.
        InvalidInput: `bad-version`, the bump is to be found out, and cannot be.
    """
    base = _base(label, numbers)
    if base is None:
        return label
    asked = _asked(label, base)
    if asked == "auto":
        return replace(label, bump=_found_out(catalog, model, candidate, base))
    if candidate.signature is None or asked == "major" or base.startswith("0."):
        return label
    bump = needed(catalog, model, candidate, base, predictions=asked == "patch")
    if bump.exceeds(asked):
        raise Refused(
            f"{model}: a {asked} of {base} is too little, this is a {bump.level} change: {_few(bump.reasons)}",
            code=Code.BUMP_TOO_SMALL,
            hint=f'bump="{bump.level}", or "auto"; or mend what the reasons name',
            ref=f"{model}:{base}",
            verdicts=bump.reasons,
        )
    return label


def needed(catalog: Catalog, model: str, candidate: Candidate, base: str, *, predictions: bool = True) -> Bump:
    """What the candidate asks for beside version `base`; with `predictions`, these too, where the contracts leave it open."""
    manifest = catalog.manifest(model, catalog.claim(model, base).target)
    bump = contract_bump(manifest.signature, candidate.signature, base)
    return (
        with_outputs(bump, *_replayed(catalog, manifest, candidate)) if predictions and bump.level == "patch" else bump
    )


def _replayed(catalog: Catalog, manifest: Manifest, candidate: Candidate) -> tuple[tuple[str, ...] | None, str]:
    from modelvault.signature.recording import recorded, replayed

    example = recorded(manifest, catalog.blobs.read)
    return replayed(candidate.model, example) if example else (None, f"{manifest.version} has no recorded examples")


def _found_out(catalog: Catalog, model: str, candidate: Candidate, base: str) -> Level:
    bump = needed(catalog, model, candidate, base)
    if bump.unknown:
        raise InvalidInput(
            f"{model}: how much changed since {base} cannot be found out: {_few(bump.unknown)}",
            code=Code.BAD_VERSION,
            hint='say bump="major", "minor" or "patch"; with example=, there is more to compare the next time',
            ref=f"{model}:{base}",
        )
    return bump.level


def _few(reasons: Sequence[str]) -> str:
    """As many as a message takes."""
    more = f"; and {len(reasons) - _MOST} more" if len(reasons) > _MOST else ""
    return shown("; ".join(reasons[:_MOST]), _LONGEST) + more


def _base(label: Label, numbers: Iterable[Number]) -> Number | None:
    """The version that the number is counted from, or comes after; None if there is none."""
    if label.base is not None:
        return reference.number(label.base)
    stable = [one for one in numbers if not reference.is_prerelease(one)]
    if label.version is not None:
        wanted = reference.order(reference.number(label.version))
        stable = [one for one in stable if reference.order(one) < wanted]
    return max(stable, key=reference.order, default=None)


def _asked(label: Label, base: Number) -> Level | Literal["auto"]:
    """The level that the label stands for."""
    if label.version is None:
        return label.bump or "major"  # which is refused elsewhere
    old, new = (one.partition("-")[0].split(".") for one in (base, reference.number(label.version)))
    return "major" if old[0] != new[0] else "minor" if old[1] != new[1] else "patch"
