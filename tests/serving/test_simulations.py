"""What the documentation says of guards, by simulation with fixed seeds and by exact computation."""

import numpy as np
import pytest

from modelvault.serving.evidence import Counts
from tests.serving.traffic import NEVER, RULES, EProcess, chance, z_test

ALPHA = 0.001


def traffic(p, runs, length, seed):
    return np.random.default_rng(seed).random((runs, length)) < p


@pytest.fixture(scope="module")
def rule():
    return EProcess(0.05, ALPHA, 20_000)


def test_the_tables_of_the_simulation_are_the_rule_of_a_guard():
    rule = EProcess(0.05, ALPHA, 3_000)
    for bad in [*traffic(0.09, 5, 3_000, 1), *(traffic(0.02, 3, 3_000, 2) | (np.arange(3_000) > 2_200))]:
        counts, fired = Counts(), NEVER
        for n, each in enumerate(bad, 1):
            counts.add(1, int(each))
            if counts.look(0.05, ALPHA).reached and counts.bad >= 5:
                fired = n
                break
            counts.turn(0.05)
        assert rule(bad[None])[0] == fired


def test_false_rollbacks_at_the_limit_looked_at_after_every_request(rule):
    fired = sum((rule(traffic(0.05, 100, 20_000, seed)) < NEVER).sum() for seed in range(3))
    assert fired == 0  # of 300 runs; of 2,000 and more: below


@pytest.mark.long
@pytest.mark.parametrize("m", [0.01, 0.05, 0.3, 0.9])
def test_false_rollbacks_for_life_are_at_most_alpha(m):
    """10,000 runs of 20,000 requests, each bad with exactly the probability that is allowed, looked at after each."""
    rule = EProcess(m, ALPHA, 20_000)
    fired = sum((rule(traffic(m, 100, 20_000, seed)) < NEVER).sum() for seed in range(100))
    assert fired / 10_000 <= ALPHA


@pytest.mark.parametrize("m", [0.01, 0.05, 0.3])
def test_the_probability_of_a_false_rollback_computed_exactly(m):
    assert 0 < chance(m, m, ALPHA, 3_000) <= ALPHA


def test_below_the_limit_it_does_not_happen(rule):
    assert (rule(traffic(0.04, 300, 20_000, 5)) == NEVER).all()
    assert chance(0.05, 0.04, ALPHA, 2_000) < 5e-5


@pytest.mark.parametrize(("times", "most"), [(20, 5), (5, 45), (2, 450)])
def test_how_many_requests_it_takes_to_notice(rule, times, most):
    bad = traffic(min(1, 0.05 * times), 1_000, 20_000 if times == 2 else 4_000, 7)
    short = EProcess(0.05, ALPHA, bad.shape[1])
    assert np.median(short(bad)) <= most


def late(offset, runs=300):
    """From 4 to 25 % after 50,000 good requests and `offset`: only the two epochs of the change are simulated.

    What the life lost in 50,000 requests it does not win back in these, so the epochs alone decide.
    """
    rng = np.random.default_rng(11)
    rule = EProcess(0.05, ALPHA, 2_000, first=51)
    rule.life[:] = NEVER
    bad = rng.random((runs, 2_000)) < np.where(np.arange(2_000) < offset, 0.04, 0.25)
    return np.median(rule(bad)) - offset


def test_a_change_after_long_good_service_is_noticed():
    assert late(0) <= 200
    assert np.median([late(offset, 100) for offset in range(0, 1_000, 100)]) <= 250


def test_what_rules_of_windows_do_with_a_healthy_service():
    """4 % of the requests are bad and 5 % are allowed, 10,000 requests."""
    bad = traffic(0.04, 300, 10_000, 13)
    fired = {name: (rule(bad, 0.05) < NEVER).mean() for name, rule in RULES.items()}
    assert fired["failure limit of 3"] > 0.99
    assert fired["threshold of 10"] > 0.98
    assert 0.4 < fired["three in a row"] < 0.62
    assert 0.3 < (z_test(traffic(0.05, 300, 10_000, 14), 0.05) < NEVER).mean() < 0.5
    assert (EProcess(0.05, ALPHA, 10_000)(bad) == NEVER).all()
