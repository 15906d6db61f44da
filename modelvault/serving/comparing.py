"""What watches two versions at once: the one in service, and a canary beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from modelvault.gates import Gate, Proposal, Verdict
from modelvault.serving.canary import Arms, paired_loss
from modelvault.serving.evidence import LIFE, log_bound
from modelvault.serving.guards import Guard
from modelvault.serving.record import LOG_10, Case, share_of_alpha
from modelvault.serving.tally import Tally
from modelvault.serving.watch import Monitor, Served
from modelvault.wire import JsonValue, Move

__all__ = ["SHADOW", "Comparing"]

SHADOW: Final = Guard.mean("shadow", limit=0.505)
"""Of pairs of calls: the new version may fail in one of a hundred more."""


class Comparing(Monitor):
    """The guards of a canary.

    A fixed limit is held against the canary alone; one by the baseline against both arms, bad events only.
    """

    def __init__(self, guards: Sequence[Guard], share: float, *, shadow: bool, **how: Any) -> None:
        super().__init__((*guards, *([SHADOW] if shadow else ())), **how)
        self.share, self.shadow = share, shadow
        self._old: Tally | None = None
        self._arms: dict[str, Arms] = {}

    def faces(self, old: Served, new: Served, move: Move) -> None:
        """`new` serves beside `old`, because of `move`; what was counted of other pairs is over."""
        now, was = self._now, self._old
        if now and was and (was.digest, now.digest, now.move.seq) == (old.digest, new.digest, move.seq):
            return
        at = self._clock()
        self._old = Tally(self.guards, old.version, old.digest, move, {}, at)
        self._now = Tally(self.guards, new.version, new.digest, move, {}, at)
        self._tallies = {old.digest: self._old, new.digest: self._now}
        self._arms = {
            guard.name: Arms(self.share, guard.tolerance)
            for guard in self.guards
            if guard.tolerance is not None and guard.kind != "mean"
        }

    def paired(self, *, new: bool, old: bool) -> None:
        """The canary has answered an input that the other has answered, too; whether they failed."""
        if self._now is not None:
            self._now.observed[SHADOW.name].append([paired_loss(float(new), float(old))])

    def tick(self) -> None:
        """Take what was counted into account, and decide."""
        super().tick()
        now, old = self._now, self._old
        if now is None or old is None:
            return
        for mine, other in zip(now.weighed, old.weighed, strict=True):
            arms = self._arms.get(mine.guard.name)
            if arms is None or now.acted:
                continue
            arms.share = max(self.share, now.n / max(now.n + old.n, 1))
            arms.see(int(mine.counts.bad), int(other.counts.bad))
            look = arms.look(share_of_alpha(mine.guard, len(self.guards), bounded=False))
            mine.look = look
            if look.reached and look.bad >= mine.guard.min_bad and not mine.fired:
                mine.fired = True
                first, last = (datetime.fromtimestamp(each, UTC) for each in (mine.first, self._clock()))
                alpha = share_of_alpha(mine.guard, len(self.guards), bounded=False)
                case = Case(
                    mine.guard, len(self.guards), now.version, now.digest, arms.m, alpha, look,
                    (arms.counts.n, arms.counts.bad), first, last, None, arms.share,
                )  # fmt: skip
                self._fired(now, case)

    def why_not(self, tally: Tally, guard: Guard) -> str:
        """A canary may go at any time; only what the guard is told to do counts."""
        return {"rollback": "", "alert": "alert", "dry-run": "dry run, the canary would be retired"}[guard.action]

    def _replayed(self, tally: Tally, guard: Guard) -> dict[str, int] | None:
        return None  # the other arm has the same weather

    @property
    def no_worse(self) -> Gate:
        """A gate that lets the canary pass if it is beyond doubt that it is no worse, by each guard with a baseline."""

        def no_worse(proposal: Proposal) -> Verdict:
            now = self._now
            if now is None or now.version != proposal.proposed.version:
                return Verdict(passed=False, reason=f"{proposal.proposed.version} is no canary here")
            told = self._verdicts()
            open = [name for name, each in told.items() if not each["reached"]]
            against = f"not yet beyond doubt: {', '.join(open)}" if open else "" if told else "no guard has a baseline"
            return Verdict(not against, against, {"canary": dict(told)})

        return no_worse

    def _verdicts(self) -> Mapping[str, dict[str, JsonValue]]:
        found: dict[str, dict[str, JsonValue]] = {}
        for guard in self.guards:
            arms = self._arms.get(guard.name)
            if arms is None:
                continue
            alpha = share_of_alpha(guard, len(self.guards), bounded=False)
            evidence, bound = arms.no_worse(), log_bound(alpha, LIFE)
            found[guard.name] = {
                "bad": arms.counts.n,
                "of_canary": arms.counts.bad,
                "share": arms.share,
                "tolerance": arms.tolerance,
                "evidence": evidence / LOG_10,
                "bound": bound / LOG_10,
                "reached": evidence >= bound,
            }
        return found

    def status(self) -> dict[str, JsonValue]:
        """What is known of the canary: its guards, and the evidence that it is no worse."""
        return super().status() | {"share": self.share, "no_worse": dict(self._verdicts())}
