"""A canary beside the version in service: who gets which, which is worse, and what becomes of it."""

import itertools
import time

import numpy as np
import pytest

from modelvault import Guard
from modelvault.errors import InvalidInput, NotFound, Refused
from modelvault.serving.canary import Arms, Split, paired_loss
from modelvault.serving.evidence import Sums, log_bound
from modelvault.stores.local import LocalStore
from modelvault.vault import Vault

from .test_guarded import Answers, asked, until

ALPHA = 0.001
WORSE = Guard.errors(limit="baseline+25%")


def test_a_key_always_gets_the_same_and_a_larger_share_has_all_of_a_smaller_one():
    small, large = Split(0.05, "m@canary"), Split(0.2, "m@canary")
    keys = [f"user-{n}" for n in range(20_000)]
    some, more = {key for key in keys if small.takes(key)}, {key for key in keys if large.takes(key)}
    assert some <= more
    assert len(some) / 20_000 == pytest.approx(0.05, abs=0.006)
    assert len(more) / 20_000 == pytest.approx(0.2, abs=0.012)
    assert some == {key for key in keys if small.takes(key)}
    assert Split(0.05, "other").takes("user-1") in {True, False}
    assert {key for key in keys if Split(0.05, "other").takes(key)} != some
    assert {type(key) for key in (5, b"x", None, "\ud800") if small.takes(key) in {True, False}} == {
        int,
        bytes,
        type(None),
        str,
    }


@pytest.mark.parametrize("share", [0, 1, -1, 2, "a", None, True, float("nan")])
def test_a_share_lies_between_nought_and_one(share):
    with pytest.raises(InvalidInput):
        Split(share)


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_arms_with_the_same_weather_are_not_told_apart(share):
    """Both arms swing from 1 to 8 %, and the new one is worse by exactly what is allowed: 300 runs of 20,000 requests."""
    rng = np.random.default_rng(5)
    rate = 0.01 + 0.07 * (np.sin(np.arange(20_000) / 3_000) > 0)
    fired = 0
    for _ in range(300):
        new = rng.random(20_000) < share
        bad = rng.random(20_000) < np.where(new, 1.25 * rate, rate)
        arms = Arms(share, 0.25)
        for at in range(500, 20_001, 500):
            arms.see(int((bad & new)[:at].sum()), int((bad & ~new)[:at].sum()))
            fired += arms.look(0.05).reached
    assert fired <= 300 * 0.05


def test_an_arm_that_is_much_worse_is_found_and_one_that_is_not_worse_too():
    worse = Arms(0.5, 0.25)
    worse.see(60, 5)
    assert worse.look(ALPHA).reached
    assert worse.no_worse() < 0
    fine = Arms(0.5, 0.25)
    fine.see(40, 160)
    assert not fine.look(ALPHA).reached
    assert fine.no_worse() > log_bound(ALPHA, 0)


def test_pairs():
    assert [paired_loss(*each) for each in itertools.product((0, 1), (0, 1))] == [0.5, 0, 1, 0.5]
    with pytest.raises(InvalidInput):
        paired_loss(2, 0)
    sums = Sums(0.505)
    sums.add([paired_loss(1, 0)] * 30 + [paired_loss(1, 1)] * 70)
    assert sums.look(ALPHA).reached
    equal = Sums(0.505)
    equal.add([paired_loss(1, 1)] * 500)
    assert not equal.look(ALPHA).reached


# --- in a live handle


@pytest.fixture
def vault(tmp_path):
    vault = Vault(LocalStore(tmp_path / "vault"), cache=tmp_path / "cache")
    vault.publish("m", Answers(0, 5), version="1.0.0")
    vault.publish("m", Answers(1, 1, 3, 5, 7), version="1.1.0")
    vault.publish("m", Answers(2), version="1.2.0")
    vault.promote("m@prod", "1.0.0", reason="first")
    return vault


def live(vault, **options):
    how = {"refresh": 0.05, "isolate": False, "guard": [WORSE], "canary": "m@canary", "share": 0.5}
    return vault.live("m@prod", **how | options)


def serves(handle, version):
    until(lambda: handle.status()["canary"]["serves"] == version)


def test_a_canary_that_is_worse_is_retired_with_the_evidence(vault):
    vault.promote("m@canary", "1.1.0", reason="try it")
    with live(vault, canary_key=lambda x: x // 10) as handle:
        serves(handle, "1.1.0")
        for _ in range(4):
            asked(handle, range(500))
        until(lambda: vault.history("m@canary")[0].kind == "retire")
        serves(handle, None)
        move = vault.history("m@canary")[0]
        assert move.evidence["guard"]["version"] == "1.1.0"
        assert move.evidence["guard"]["share"] >= 0.5
        assert vault.explain("m@canary").holds
        assert vault.history("m@prod")[0].seq == 1
        assert {handle.predict(x) for x in range(0, 500, 10)} == {0}
        assert len(vault.history("m@canary")) == 2
        vault.promote("m@canary", "1.2.0", reason="another")
        serves(handle, "1.2.0")


def test_each_key_gets_one_version_and_pin_gets_the_same(vault):
    vault.promote("m@canary", "1.2.0", reason="try it")
    with live(vault, canary_key=lambda x: x) as handle:
        serves(handle, "1.2.0")
        first = {x: handle.predict(x) for x in range(0, 400, 10)}
        assert set(first.values()) == {0, 2}
        assert first == {x: handle.predict(x) for x in range(0, 400, 10)}
        for x, answer in first.items():
            with handle.pin(x) as pinned:
                assert pinned.version == f"1.{answer}.0"


def test_one_that_is_no_worse_may_be_promoted_and_one_of_which_that_is_not_known_may_not(vault):
    vault.promote("m@canary", "1.2.0", reason="try it")
    with live(vault) as handle:
        serves(handle, "1.2.0")
        with pytest.raises(Refused, match="not yet beyond doubt: errors"):
            vault.promote("m@prod", "m@canary", reason="no worse", gates=[handle.no_worse])
        with pytest.raises(Refused, match="is no canary here"):
            vault.promote("m@prod", "1.1.0", reason="no worse", gates=[handle.no_worse])
        asked(handle, range(2_000))
        until(lambda: handle.status()["canary"]["no_worse"]["errors"]["reached"])
        move = vault.promote("m@prod", "m@canary", reason="no worse", gates=[handle.no_worse])
        told = move.evidence["gates"][0]
        assert told["gate"] == "no_worse"
        assert told["canary"]["errors"]["of_canary"] == 0
        until(lambda: handle.version == "1.2.0")
        serves(handle, None)  # it is what serves


def test_labels_go_to_the_arm_that_predicted(vault):
    vault.promote("m@canary", "1.2.0", reason="try it")
    with live(vault, guard=[Guard.rate("wrong", limit="baseline+25%")]) as handle:
        serves(handle, "1.2.0")
        for _ in range(60):
            handle.observe("wrong", True, version="1.2.0")
            handle.observe("wrong", False)
        until(lambda: vault.history("m@canary")[0].kind == "retire")
        assert vault.explain("m@canary").holds


def test_a_fixed_limit_is_held_against_the_canary_alone(vault):
    vault.promote("m@canary", "1.1.0", reason="try it")
    with live(vault, guard=[Guard.errors(limit=0.2)]) as handle:
        serves(handle, "1.1.0")
        asked(handle, range(1_000))
        until(lambda: vault.history("m@canary")[0].kind == "retire")
        assert vault.history("m@prod")[0].seq == 1


def test_a_shadow_answers_nobody_and_is_compared(vault):
    vault.promote("m@canary", "1.1.0", reason="try it")
    with live(vault, shadow=0.99, guard=[]) as handle:
        serves(handle, "1.1.0")
        answers = set()
        for x in itertools.islice(itertools.cycle(range(10_000)), 100_000):
            if x % 10 != 5:
                answers.add(handle.predict(x))
            if x % 20 == 0:
                time.sleep(0.005)
                if vault.history("m@canary")[0].kind == "retire":
                    break
        assert answers == {0}
        assert vault.history("m@canary")[0].kind == "retire"
        assert vault.explain("m@canary").holds


def test_an_alert_only_tells(vault):
    seen = []
    vault.promote("m@canary", "1.1.0", reason="try it")
    guard = Guard.errors(limit="baseline+25%", action="alert")
    with live(vault, guard=[guard], on_event=seen.append) as handle:
        serves(handle, "1.1.0")
        asked(handle, range(2_000))
        until(lambda: [event for event in seen if event.kind == "guard_alert"])
        assert handle.status()["canary"]["serves"] == "1.1.0"
        assert vault.history("m@canary")[0].kind == "promote"


def test_an_alias_that_is_not_there_yet_is_followed_when_it_is(vault):
    with pytest.raises(NotFound):
        vault.load("m@canary")
    with live(vault) as handle:
        assert handle.status()["canary"]["serves"] is None
        assert asked(handle) == 10
        vault.promote("m@canary", "1.2.0", reason="try it")
        serves(handle, "1.2.0")


@pytest.mark.parametrize(
    "options",
    [
        {"canary": "m@prod"},
        {"canary": "other@canary"},
        {"canary": 5},
        {"share": 1.5},
        {"share": "half"},
        {"canary_key": "user"},
        {"shadow": 0},
    ],
    ids=str,
)
def test_what_is_no_canary_is_refused(vault, options):
    with pytest.raises(InvalidInput):
        live(vault, **options)


def test_it_is_asked_for_by_hand_too(vault):
    with live(vault, refresh=None) as handle:
        vault.promote("m@canary", "1.2.0", reason="try it")
        handle.refresh()
        assert handle.status()["canary"]["serves"] == "1.2.0"


def test_there_is_no_gate_without_a_canary(vault):
    with vault.live("m@prod", refresh=None) as handle, pytest.raises(InvalidInput):
        _ = handle.no_worse
