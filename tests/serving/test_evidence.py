"""Evidence: exact by enumeration, additive, and within its bound however often one looks."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelvault.serving.evidence import (
    LIFE,
    Counts,
    Sums,
    concurrent_limit,
    epoch_length,
    log_bound,
    log_evidence,
    log_mean_exp,
    log_steps,
    upper_bound,
)

LIMITS = (1e-6, 0.001, 0.01, 0.05, 0.3, 0.9, 1 - 1e-6)
limits = st.floats(1e-6, 1 - 1e-6)
shares = st.floats(0, 1)


@pytest.mark.parametrize("m", LIMITS)
@pytest.mark.parametrize("n", [1, 2, 10, 50])
def test_at_the_limit_the_mean_of_the_evidence_is_one(m, n):
    total = math.fsum(
        math.comb(n, bad) * m**bad * (1 - m) ** (n - bad) * math.exp(log_evidence(n, bad, m)) for bad in range(n + 1)
    )
    assert total == pytest.approx(1, rel=1e-9)


@given(limits, shares, st.integers(0, 200), st.integers(0, 200))
def test_one_more_request_leaves_it_the_same_in_the_mean_or_less_below_the_limit(m, part, good, bad):
    p, n = m * part, good + bad
    ahead = (1 - p) * math.exp(log_evidence(n + 1, bad, m) - log_evidence(n, bad, m))
    ahead += p * math.exp(log_evidence(n + 1, bad + 1, m) - log_evidence(n, bad, m))
    assert ahead <= 1 + 1e-9
    assert part < 1 or ahead == pytest.approx(1, rel=1e-6)


@given(limits, st.lists(st.tuples(shares, shares), min_size=1, max_size=4))
def test_what_lies_between_is_fair_whatever_its_distribution(m, pairs):
    """Each distribution of mean m that takes two values, after any past: all others of that mean are mixtures of them."""
    for at, more in pairs:
        low, high = m * at, m + (1 - m) * more
        if high - low < 1e-6:
            continue
        chance = (m - low) / (high - low)
        for down, up in zip(log_steps(low, m), log_steps(high, m), strict=True):
            assert (1 - chance) * math.exp(down) + chance * math.exp(up) == pytest.approx(1, rel=1e-6)


def test_supermartingale_by_enumeration_of_every_path_with_a_stop_at_the_bound():
    """Not P(E is high at the end) but P(E was ever high): every path of 14 requests, stopped where it is reached."""
    m, length, alpha = 0.3, 14, 0.05
    reached = 0.0
    for path in itertools.product((0, 1), repeat=length):
        steps = itertools.accumulate(path)
        if any(log_evidence(n, bad, m) >= -math.log(alpha) for n, bad in enumerate(steps, 1)):
            reached += m ** sum(path) * (1 - m) ** (length - sum(path))
    assert 0 < reached <= alpha


@given(limits, st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=6))
def test_the_counts_of_replicas_add_up(m, replicas):
    merged = Counts()
    for good, bad in replicas:
        merged.add(good + bad, bad)
    n, bad = sum(map(sum, replicas)), sum(bad for _, bad in replicas)
    look = merged.look(m, 0.001)
    assert (look.n, look.bad) == (n, bad)
    assert look.epoch == LIFE  # the first epoch has all of it, too, and a higher bound
    assert look.log_evidence == log_evidence(n, bad, m)


@given(limits, st.lists(shares, max_size=30), st.lists(shares, max_size=30))
def test_the_logs_of_bets_add_up(m, some, others):
    both, one, other = Sums(m), Sums(m), Sums(m)
    both.add(some + others)
    one.add(some)
    other.add(others)
    assert both.logs == pytest.approx([a + b for a, b in zip(one.logs, other.logs, strict=True)], rel=1e-9, abs=1e-9)
    assert both.n == one.n + other.n


@given(limits, st.lists(st.booleans(), min_size=1, max_size=60))
def test_bets_on_nought_and_one_are_counts(m, path):
    sums = Sums(m)
    sums.add([float(bad) for bad in path])
    expected = log_evidence(len(path), sum(path), m)
    assert sums.look(0.001).log_evidence == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_evidence_grows_with_each_bad_one_and_falls_with_each_good_one():
    for m, n in itertools.product(LIMITS, (10, 1_000)):
        grown = [log_evidence(n, bad, m) for bad in range(0, n + 1, n // 10)]
        assert grown == sorted(grown)
        assert log_evidence(n + 1, 0, m) < log_evidence(n, 0, m) < 0


def test_the_bounds_of_all_epochs_share_alpha():
    spent = sum(math.exp(-log_bound(0.001, epoch)) for epoch in range(20_000))
    assert 0.000_999 < spent <= 0.001


def test_an_epoch_ends_at_the_first_look_after_its_length_and_the_life_goes_on():
    counts = Counts()
    counts.add(999, 40)
    counts.turn(0.05)
    assert (counts.epoch, counts.begun) == (1, (0, 0))
    counts.add(500, 20)
    assert counts.look(0.05, 0.001).n == 1_499
    counts.turn(0.05)
    assert (counts.epoch, counts.begun, counts.n) == (2, (1_499, 60), 1_499)
    counts.add(100, 60)
    look = counts.look(0.05, 0.001)
    assert (look.epoch, look.n, look.bad) == (2, 100, 60)
    assert look.reached
    sums = Sums(0.5)
    sums.add([0.4] * 1_000)
    sums.turn()
    sums.add([0.9] * 100)
    look = sums.look(0.001)
    assert (sums.epoch, look.epoch, look.n) == (2, 2, 100)
    assert look.bad == pytest.approx(90)
    assert look.log_evidence == pytest.approx(log_mean_exp(look.logs))


def test_an_epoch_holds_enough_to_tell_twice_the_limit():
    for m in (0.001, 0.01, 0.05, 0.2):
        apart = 2 * m * math.log(2) + (1 - 2 * m) * math.log((1 - 2 * m) / (1 - m))
        assert epoch_length(m) >= math.log(1_000) / apart


@pytest.mark.parametrize("p", [0.001, 0.04, 0.3, 0.9])
def test_the_upper_bound_of_a_baseline_holds_at_all_times_at_once(p):
    """2,000 runs of 1,000 observations, looked at 40 times: it fails in fewer than 5 % of them, though it may each time."""
    rng, alpha = np.random.default_rng(3), 0.05
    looks = np.unique(np.geomspace(1, 1_000, 40).astype(int))
    bads = np.cumsum(rng.random((2_000, 1_000)) < p, axis=1)[:, looks - 1]
    known = {
        (n, bad): upper_bound(int(n), int(bad), alpha) for n, some in zip(looks, bads.T, strict=True) for bad in {*some}
    }
    bounds = np.array([[known[n, bad] for n, bad in zip(looks, run, strict=True)] for run in bads])
    missed = (bounds < p).any(axis=1).mean()
    assert missed <= alpha
    assert np.median(bounds[:, -1]) < p + 4 * math.sqrt(p * (1 - p) / 1_000) + 0.012


def test_the_upper_bound_of_nothing_is_one_and_narrows():
    assert upper_bound(0, 0, 0.001) == 1
    assert upper_bound(10, 10, 0.001) == 1
    found = [upper_bound(n, n // 100, 0.0005) for n in (100, 10_000, 1_000_000, 10**9)]
    assert found == sorted(found, reverse=True)
    assert found[-1] == pytest.approx(0.01, rel=1e-2)


def test_the_share_of_bad_events_of_an_arm():
    assert concurrent_limit(0.05, 0) == pytest.approx(0.05)
    assert concurrent_limit(0.5, 0.25) == pytest.approx(1.25 / 2.25)
    for share, rate in itertools.product((0.05, 0.5, 0.95), (0.01, 0.4)):  # each arm has its rate, at the tolerance
        new, old = share * rate * 1.25, (1 - share) * rate
        assert concurrent_limit(share, 0.25) == pytest.approx(new / (new + old))


def test_numbers_far_out_are_numbers():
    for n, bad, m in ((10**9, 0, 1e-6), (10**9, 10**9, 1e-6), (10**15, 10**14, 0.5), (0, 0, 0.5)):
        assert math.isfinite(log_evidence(n, bad, m))
        assert 0 < upper_bound(n, bad, 1e-9) <= 1
