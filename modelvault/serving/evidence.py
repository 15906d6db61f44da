"""How strongly counts speak against a limit, however often one looks: an e-process on a bounded mean.

The null is that each observation, given those before it, is at most `m` in the mean.  It is tested by a mixture of
bets on 16 alternatives above `m`: the evidence E is what a stake of 1 has become.  While the null holds E is a
non-negative supermartingale, so P(E ever reaches 1/alpha) <= alpha (Ville's inequality): for any number of looks and any
rule of stopping, and no independence is assumed.

Bets on what was good lose, so that after long good service a fault would have to win much back.  Evidence is therefore
gathered twice: over the whole life, which may use 0.9 of alpha, and in epochs that begin anew, which share the rest: epoch
w must reach (pi²/6) w² / (0.1 alpha), and the sum of 1/w² is pi²/6.  All of them together stay within alpha.  An epoch
ends at the first look after its length: any rule that does not see the future may end it.

Sources: Ville (1939); Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting, arXiv 2010.09686;
Howard, Ramdas, McAuliffe and Sekhon, arXiv 1810.08240; Podkopaev and Ramdas, Tracking the risk of a deployed model, ICLR
2022; Lindon and Malek, Anytime-valid inference for multinomial count data, NeurIPS 2022.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

__all__ = [
    "ALTERNATIVES",
    "LIFE",
    "Counts",
    "Look",
    "Sums",
    "concurrent_limit",
    "epoch_length",
    "log_bound",
    "log_evidence",
    "log_mean_exp",
    "log_steps",
    "upper_bound",
]

ALTERNATIVES: Final = 16
LIFE: Final = 0
"""The epoch that is all of them."""
_OF_LIFE: Final = 0.9
_EPOCH: Final = 1_000
_EPOCH_BAD: Final = 50
_LEAST, _MOST = 1.2, 1e4
_RATIOS: Final = tuple(_LEAST * (_MOST / _LEAST) ** (j / (ALTERNATIVES - 1)) for j in range(ALTERNATIVES))
"""The odds of the alternatives, in odds of the limit: by odds, so that one grid serves every limit."""
_LOG_RATIOS: Final = tuple(map(math.log, _RATIOS))


def log_evidence(n: int, bad: float, m: float) -> float:
    """The log of the evidence of `bad` out of `n` against a limit of `m`.

    ``E = 1/J sum_j (p_j/m)^bad ((1-p_j)/(1-m))^(n-bad)``: the likelihood ratio, mixed over the alternatives p_j.
    """
    return log_mean_exp([bad * ratio + n * good for ratio, good in zip(_LOG_RATIOS, _log_good(m), strict=True)])


def log_steps(x: float, m: float) -> list[float]:
    """What an observation of `x`, from 0 to 1, adds to the log of each bet: ``log(1 + L_j (x - m))``.

    ``L_j = (p_j - m) / (m (1 - m))``, so that 0 and 1 give what they give in `log_evidence`.
    """
    return [good + math.log1p(x * math.expm1(ratio)) for ratio, good in zip(_LOG_RATIOS, _log_good(m), strict=True)]


@lru_cache(64)
def _log_good(m: float) -> tuple[float, ...]:
    """``log((1-p_j)/(1-m))`` for each alternative: its odds are those of `m` times its ratio."""
    odds = m / (1 - m)
    return tuple(math.log1p(odds) - math.log1p(ratio * odds) for ratio in _RATIOS)


def log_mean_exp(logs: Sequence[float]) -> float:
    """The log of the mean of what `logs` are the logs of."""
    top = max(logs)
    return top + math.log(math.fsum(math.exp(each - top) for each in logs) / len(logs))


def log_bound(alpha: float, epoch: int) -> float:
    """The log of what the evidence of an epoch, counted from 1, must reach; epoch 0 is the whole life."""
    if epoch == LIFE:
        return -math.log(_OF_LIFE * alpha)
    return math.log(math.pi**2 / 6) + 2 * math.log(epoch) - math.log((1 - _OF_LIFE) * alpha)


def epoch_length(m: float) -> int:
    """The observations of an epoch: 1,000, or as many as hold 50 bad ones at the limit.

    To tell twice the limit from the limit takes about ``ln(1/alpha) / (0.39 m)`` of them.
    """
    return max(_EPOCH, math.ceil(_EPOCH_BAD / m))


def upper_bound(n: int, total: float, alpha: float) -> float:
    """What the mean of `n` observations from 0 to 1 that add up to `total` is at most, at any time, but for `alpha`.

    The largest p that a bet on all alternatives alike does not refute: ``B(total+1, n-total+1) / (p^total
    (1-p)^(n-total)) < 1/alpha`` (Robbins 1970; for values between 0 and 1 by convexity).  It holds at every n at once, so
    it does not matter who chose the moment, or why.
    """
    beta = math.lgamma(total + 1) + math.lgamma(n - total + 1) - math.lgamma(n + 2)
    low, high = (total / n if n else 1.0), 1.0
    while high - low > 1e-12 * high:
        p = (low + high) / 2
        if not low < p < high:
            break
        against = beta - total * math.log(p) - (n - total) * math.log1p(-p)
        low, high = (p, high) if against < -math.log(alpha) else (low, p)
    return high


def concurrent_limit(share: float, tolerance: float) -> float:
    """The limit on how many of the bad events of two arms are the new one's, which has `share` of the traffic.

    Under "its rate is at most (1 + tolerance) times that of the other" a bad event is the new one's with at most this
    probability, whatever the rate is at the time: ``s(1+d) / (s(1+d) + 1 - s)`` (Lindon and Malek 2022).
    """
    weighed = share * (1 + tolerance)
    return weighed / (weighed + 1 - share)


class Look(NamedTuple):
    """What is seen when one looks: the epoch whose evidence is nearest to its bound, or furthest above it."""

    epoch: int
    n: int
    bad: float
    log_evidence: float
    log_bound: float
    logs: tuple[float, ...] = ()
    """The log of each bet, where observations are not just bad or good."""

    @property
    def reached(self) -> bool:
        """The evidence reaches the bound."""
        return self.log_evidence >= self.log_bound


@dataclass(slots=True)
class Counts:
    """Observations that are bad or good: two integers, and what they were when the epoch began.  Those of replicas add up."""

    n: int = 0
    bad: int = 0
    epoch: int = 1
    begun: tuple[int, int] = (0, 0)

    def add(self, n: int, bad: int) -> None:
        """Count `n` observations more, of which `bad` were bad."""
        self.n += n
        self.bad += bad

    def look(self, m: float, alpha: float) -> Look:
        """The evidence against `m`."""
        return max(
            (
                Look(epoch, n, bad, log_evidence(n, bad, m), log_bound(alpha, epoch))
                for epoch, n, bad in (
                    (LIFE, self.n, self.bad),
                    (self.epoch, self.n - self.begun[0], self.bad - self.begun[1]),
                )
            ),
            key=_margin,
        )

    def turn(self, m: float) -> None:
        """After a look: begin the next epoch, if this one is long enough."""
        if self.n - self.begun[0] >= epoch_length(m):
            self.epoch, self.begun = self.epoch + 1, (self.n, self.bad)


@dataclass(slots=True)
class Sums:
    """Observations from 0 to 1 against the limit `m`: the log of each bet.  Those of replicas add up."""

    m: float
    n: int = 0
    bad: float = 0.0
    """What they add up to."""
    logs: tuple[float, ...] = (0.0,) * ALTERNATIVES
    epoch: int = 1
    begun: tuple[int, float, tuple[float, ...]] = (0, 0.0, (0.0,) * ALTERNATIVES)

    def add(self, values: Sequence[float]) -> None:
        """Take `values` into account."""
        steps = [log_steps(x, self.m) for x in values]
        self.n += len(steps)
        self.bad = math.fsum([self.bad, *values])
        self.logs = tuple(map(math.fsum, zip(self.logs, *steps, strict=True)))

    def look(self, alpha: float) -> Look:
        """The evidence against `m`."""
        n, bad, logs = self.begun
        late = tuple(now - then for now, then in zip(self.logs, logs, strict=True))
        return max(
            Look(LIFE, self.n, self.bad, log_mean_exp(self.logs), log_bound(alpha, LIFE), self.logs),
            Look(self.epoch, self.n - n, self.bad - bad, log_mean_exp(late), log_bound(alpha, self.epoch), late),
            key=_margin,
        )

    def turn(self) -> None:
        """After a look: begin the next epoch, if this one is long enough."""
        if self.n - self.begun[0] >= epoch_length(self.m):
            self.epoch, self.begun = self.epoch + 1, (self.n, self.bad, self.logs)


def _margin(look: Look) -> float:
    return look.log_evidence - look.log_bound
