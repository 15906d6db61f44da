"""Traffic with known faults, and the rules that watch it: every rule looks after every request, or each window."""

from collections.abc import Callable

import numpy as np

from modelvault.serving.evidence import LIFE, epoch_length, log_bound, log_evidence

NEVER = np.iinfo(np.int64).max
MIN_BAD = 5


def needed(m: float, bound: float, length: int) -> np.ndarray:
    """The bad ones that it takes among the first 1, 2, …, `length` observations for the evidence to reach `bound`."""
    found, bad = np.empty(length, np.int64), 0
    for n in range(1, length + 1):
        while bad <= n and log_evidence(n, bad, m) < bound:
            bad += 1
        found[n - 1] = max(bad, MIN_BAD)
    return found


class EProcess:
    """The rule of a guard, after each of `length` requests: as `Counts.look` does, by tables of what it takes."""

    def __init__(self, m: float, alpha: float, length: int, first: int = 1) -> None:
        size, self.m = epoch_length(m), m
        epochs = range(first, first + -(-length // size))
        self.life = needed(m, log_bound(alpha, LIFE), length)
        self.epoch = np.concatenate([needed(m, log_bound(alpha, each), size) for each in epochs])[:length]
        self.start = np.arange(length) // size * size

    def __call__(self, bad: np.ndarray) -> np.ndarray:
        """The request after which it fires, for each run (a row of booleans); `NEVER` if it does not."""
        count = np.cumsum(bad, axis=1, dtype=np.int32)
        before = np.where(self.start > 0, count[:, self.start - 1], 0)
        return first((count >= self.life) | (count - before >= self.epoch))


def first(fires: np.ndarray, step: int = 1) -> np.ndarray:
    """For each row the number of requests until the first True, of looks that are `step` requests apart."""
    return np.where(fires.any(axis=1), (fires.argmax(axis=1) + 1) * step, NEVER)


def worse(bad: np.ndarray, limit: float, window: int) -> np.ndarray:
    """For each run and each window of requests: its share of bad ones is above the limit."""
    runs, length = bad.shape
    return bad[:, : length // window * window].reshape(runs, -1, window).mean(axis=2) > limit


def failure_limit(bad: np.ndarray, limit: float, window: int = 100, most: int = 3) -> np.ndarray:
    """More than `most` windows have failed, ever: as the analysis of Argo Rollouts counts."""
    return first(np.cumsum(worse(bad, limit, window), axis=1) > most, window)


def threshold(bad: np.ndarray, limit: float, window: int = 100, most: int = 10) -> np.ndarray:
    """`most` windows have failed, ever: as the checks of Flagger count."""
    return first(np.cumsum(worse(bad, limit, window), axis=1) >= most, window)


def in_a_row(bad: np.ndarray, limit: float, window: int = 100, most: int = 3) -> np.ndarray:
    """`most` windows in a row have failed."""
    failed = worse(bad, limit, window)
    fires = np.ones_like(failed)
    for back in range(most):
        fires[:, back:] &= failed[:, : failed.shape[1] - back]
        fires[:, :back] = False
    return first(fires, window)


def z_test(bad: np.ndarray, limit: float, at_least: int = 30) -> np.ndarray:
    """A one-sided z-test of 5 %, looked at after every request from the thirtieth on."""
    n = np.arange(1, bad.shape[1] + 1)
    z = (np.cumsum(bad, axis=1) - n * limit) / np.sqrt(n * limit * (1 - limit))
    return first((z > 1.6448536) & (n >= at_least))


def chance(m: float, p: float, alpha: float, length: int) -> float:
    """Exactly how probable it is that the rule of a guard fires within `length` requests, each bad with probability `p`.

    The states are the bad ones when the epoch began, and those since.
    """
    rule = EProcess(m, alpha, length)
    chances, fired = {0: np.array([1.0])}, 0.0  # by the bad ones when the epoch began: of those in the epoch
    for at in range(length):
        if at and rule.start[at] == at:
            chances = _folded(chances)
        for begun, was in list(chances.items()):
            of = np.append(was, 0.0) * (1 - p) + np.append(0.0, was) * p
            stop = int(min(rule.life[at] - begun, rule.epoch[at]))
            fired += of[max(stop, 0) :].sum()
            chances[begun] = of[: max(stop, 0)]
    return fired


def _folded(chances: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
    found: dict[int, float] = {}
    for begun, of in chances.items():
        for more, chance in enumerate(of):
            if chance > 1e-15:
                found[begun + more] = found.get(begun + more, 0.0) + chance
    return {begun: np.array([chance]) for begun, chance in found.items()}


RULES: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "failure limit of 3": failure_limit,
    "threshold of 10": threshold,
    "three in a row": in_a_row,
    "z-test, each request": z_test,
}
