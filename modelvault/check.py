"""A check: what would be said if a version were promoted, and nothing is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelvault.errors import shown
from modelvault.gates import Verdict, asked
from modelvault.markdown import code, table
from modelvault.proposing import Proposed
from modelvault.signature.bump import Bump, contract_bump
from modelvault.wire import JsonValue

__all__ = ["Check", "checked"]


@dataclass(frozen=True, slots=True)
class Check:
    """What was found of a candidate against an alias.  `ok` is true where a promotion would be made."""

    candidate: str
    against: str
    current: str | None
    """The version in place; None if there is none."""
    bump: Bump | None
    """What the two signatures ask for; None if there is nothing to compare with."""
    ways: Mapping[str, JsonValue]
    objection: str
    verdicts: Sequence[tuple[str, Verdict]]

    @property
    def ok(self) -> bool:
        """Nothing speaks against it, and every gate passes."""
        return not self.objection and all(verdict.passed for _, verdict in self.verdicts)

    def data(self) -> dict[str, Any]:
        """All of it, as JSON can say it."""
        verdicts = [{"gate": name, "passed": one.passed, "reason": one.reason} for name, one in self.verdicts]
        named = {"candidate": self.candidate, "against": self.against, "current": self.current, "ok": self.ok}
        bump = self.bump.level if self.bump and not self.bump.unknown else None
        return {**named, "bump": bump, **self.ways, "objection": self.objection, "gates": verdicts}

    def to_markdown(self) -> str:
        """As a table for a pull request."""
        head = f"**{self.candidate}** against **{self.against}**" + (f", at {self.current}" if self.current else "")
        rows = [(code(name), passed, code(said) if said else "") for name, passed, said in self._rows()]
        return "\n".join([f"{head}: {'fine' if self.ok else 'not yet'}", "", *table(("asked", "passes", ""), rows)])

    def __str__(self) -> str:
        head = f"{self.candidate} against {self.against}" + (f", at {self.current}" if self.current else "")
        rows = [f"  {passed:3}  {name}" + (f": {said}" if said else "") for name, passed, said in self._rows()]
        return "\n".join([f"{head}: {'fine' if self.ok else 'not yet'}", *rows])

    def _rows(self) -> list[tuple[str, str, str]]:
        """What was asked, whether it passes, and what was said.  What no gate asks for does not fail."""
        rows = [("not in quarantine", _word(not self.objection), shown(self.objection))]
        if self.bump is not None:
            because: Any = self.ways.get("because", [])
            words = {True: "yes", False: "no", None: "not known"}
            said = [f"forth {words[self.ways['backward']]}", f"back {words[self.ways['rollback_safe']]}"]  # type: ignore[index]
            level = "" if self.bump.unknown else f"signatures ask for {self.bump.level}"
            rows.append(
                (
                    "callers can follow",
                    "yes" if self.ways["backward"] else "-",
                    "; ".join(filter(None, [*said, level, *because])),
                )
            )
        return [*rows, *((name, _word(one.passed), one.reason) for name, one in self.verdicts)]


def _word(passed: bool) -> str:  # noqa: FBT001
    return "yes" if passed else "no"


def checked(found: Proposed) -> Check:
    """What is said of a proposal."""
    proposal, objection = found.proposal, found.objection
    current, candidate = proposal.current, proposal.proposed
    bump = contract_bump(current.signature, candidate.signature, current.version) if current else None
    return Check(
        f"{candidate.model}:{candidate.version}",
        f"{proposal.model}@{proposal.alias}",
        current.version if current else None,
        bump,
        found.ways,
        f"{objection.ref} is {objection.kind}: {objection.text}" if objection else "",
        asked(found.gates, proposal),
    )
