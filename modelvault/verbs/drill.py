"""The verb that rehearses a rollback."""

from __future__ import annotations

import math
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from modelvault import reference
from modelvault.errors import Code, InvalidInput, shown
from modelvault.verbs.move import Moving
from modelvault.version import Version

if TYPE_CHECKING:
    from modelvault.serving.drill import DrillReport

FAULTS = ("standard", "none")


class Drilling(Moving):
    """A vault whose rollbacks can be rehearsed."""

    def drill(
        self,
        alias: str,
        *,
        to: Version | str | None = None,
        quick: bool = False,
        faults: Literal["standard", "none"] = "standard",
        budget: float = 60.0,
        actor: str | None = None,
    ) -> DrillReport:
        """Rehearse the rollback of an alias, and measure it; the alias stays where it is.

        Ten steps are made on a copy of the vault that is written to in memory alone: is there a way back, is what it leads
        to there and intact, does it load in a fresh process and answer as when it was published, can its callers go along,
        is it rolled back under load and forward again without a failed request, does a guard notice, do faults do no harm.
        A step that fails does not raise: the report tells.  Commit point: the create of a note of the kind ``"drill"``
        on the version that the alias points to, with the report as its evidence.

        Args:
            alias: such as ``"fraud@prod"``.
            to: go back as far as this version.
            quick: compare sizes, and use what the cache has, rather than to fetch and hash all of the target anew.
            faults: ``"standard"`` plays all faults in the last step, ``"none"`` leaves it out.
            budget: seconds; a step that would begin later fails.
            actor: who drills.

        Raises:
            NotFound: `alias-not-found`, or there is no such version as `to`.
            InvalidInput: `bad-value`.
            StoreError: the report cannot be kept.
        """
        from modelvault.serving.drill import Drill, drilled
        from modelvault.verbs.bench import Bench

        ref = reference.parse_alias(alias)
        seconds = _checked(quick, faults, budget)
        self._who(actor, "rehearsal")
        target = None if to is None else self._within(ref.model, to).target
        with tempfile.TemporaryDirectory(prefix="modelvault-drill-", ignore_cleanup_errors=True) as scratch:
            bench = Bench(self, ref, target, Path(scratch), quick=quick)
            drill = Drill(
                bench=bench,
                model=ref.model,
                quick=quick,
                faults=faults == "standard",
                ends=time.monotonic() + seconds,
                name=f"drill-{os.urandom(4).hex()}",
            )
            report = drilled(drill, str(ref), bench.newest.version or "", self._clock)
        note = self.note(
            f"{ref.model}:{report.current}", report.summary, kind="drill", evidence=report.evidence(), actor=actor
        )
        return report.kept(note.seq)

    def _share(self, other: Drilling) -> None:
        """Look for content in the cache of `other`, too, and only look."""
        theirs = other._cache()
        if theirs is not None and theirs.own is not None and isinstance(self._cached_in, Path):
            from modelvault.cache import Cache

            self._opened = Cache(self._cached_in, layers=[theirs.own])
            self._catalog = self._read_anew()


def _checked(quick: object, faults: object, budget: object) -> float:
    if not isinstance(quick, bool):
        raise InvalidInput("quick is True or False", code=Code.BAD_VALUE)
    if not (isinstance(faults, str) and faults in FAULTS):
        raise InvalidInput(f"{shown(faults)} are no faults", code=Code.BAD_VALUE, hint=", ".join(FAULTS))
    if isinstance(budget, int | float) and not isinstance(budget, bool) and 0 < budget < 1e6 and math.isfinite(budget):
        return float(budget)
    raise InvalidInput("budget is a number of seconds", code=Code.BAD_VALUE, hint="budget=60")
