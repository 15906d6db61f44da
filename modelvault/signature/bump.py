"""How far the number of a new version must go up.  Pure.

**Major**: callers must change.  **Minor**: predictions change.  **Patch**: they do not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from modelvault.errors import shown
from modelvault.reference import Level
from modelvault.signature.compat import Finding, compare, level
from modelvault.wire import SignatureRecord

__all__ = ["Bump", "contract_bump", "with_outputs"]

_LEVELS: tuple[Level, ...] = ("patch", "minor", "major")


@dataclass(frozen=True, slots=True)
class Bump:
    """The least `level` that a new version may be, counted from `base`, and all that was found."""

    level: Level
    base: str | None
    findings: tuple[Finding, ...] = ()

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why not less."""
        return tuple(finding.reason for finding in self.findings if finding.level == self.level)

    @property
    def unknown(self) -> tuple[str, ...]:
        """What could not be compared, and might ask for more; nothing, where more cannot be asked for."""
        if self.level == "major":
            return ()
        return tuple(finding.reason for finding in self.findings if finding.level == "unknown")

    def exceeds(self, asked: Level) -> bool:
        """`asked` is too little."""
        return _LEVELS.index(self.level) > _LEVELS.index(asked)

    def __str__(self) -> str:
        lines = [f"{self.level}, counted from {shown(self.base) if self.base else 'nothing'}"]
        lines += [f"  {finding}" for finding in self.findings]
        return "\n".join(lines)


def contract_bump(old: SignatureRecord | None, new: SignatureRecord | None, base: str) -> Bump:
    """What the two contracts alone ask for."""
    if old is None or new is None:
        which = f"{base} has no signature" if old is None else "the new version has no signature"
        return Bump("patch", base, (Finding("not known", "input", new=which),))
    findings = compare(old, new)
    return Bump(level(findings), base, findings)


def with_outputs(bump: Bump, differing: Iterable[str] | None, why: str = "") -> Bump:
    """`bump`, once predictions have been compared.

    `differing` are the outputs that changed, None if nobody can tell, because of `why`.
    """
    if differing is None:
        found = [Finding("not known", "output", new=why)]
    else:
        found = [Finding("predictions changed", "output", name) for name in differing]
    findings = (*bump.findings, *found)
    return Bump(level(findings), bump.base, findings)
