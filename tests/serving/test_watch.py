"""The monitor of a live handle: what it counts, when it undoes a move, and when it does not."""

import asyncio
import json
import math
import threading
from datetime import UTC, datetime

import numpy as np
import pytest

from modelvault import Guard, Verdict
from modelvault.errors import Code, InvalidInput, Refused
from modelvault.serving.explain import explained
from modelvault.serving.watch import Monitor
from tests.serving.scene import Scene

ERRORS = Guard.errors(limit=0.05)


def test_a_model_that_fails_is_rolled_back_once_with_the_evidence():
    scene = Scene(ERRORS)
    scene.calls(40, 20)
    for _ in range(3):
        scene.monitor.tick()
    assert scene.version == "1.0.0"
    assert len(scene.undone) == 1
    move = scene.undone[0]
    assert move.evidence["guard"]["n"] == 40
    assert move.evidence["guard"]["bad"] == 20
    assert move.evidence["restores"] == 1
    assert move.reason.startswith("errors: 20 bad of 40 (50.0%), limit 5%, evidence 10^")
    assert explained(move, scene.vault.history("m@prod")[1]).holds


def test_a_healthy_model_stays():
    scene = Scene(ERRORS)
    for _ in range(50):
        scene.calls(100, 4)
        scene.monitor.tick()
    assert scene.undone == []
    assert scene.told == []
    said = scene.monitor.status()["guards"][0]
    assert (said["n"], said["bad"], said["state"]) == (5_000, 200, "watching")
    assert said["evidence"] < said["bound"]


def test_nothing_seen_says_nothing():
    scene = Scene(ERRORS, Guard.rate("wrong", limit=0.1), Guard.rate("other", limit="baseline+25%"))
    scene.monitor.tick()
    scene.monitor.observe("wrong", [None, math.nan, np.nan])
    scene.monitor.tick()
    states = {each["name"]: (each["n"], each["missing"], each["state"]) for each in scene.monitor.status()["guards"]}
    assert states == {"errors": (0, 0, "watching"), "wrong": (0, 3, "watching"), "other": (0, 0, "no baseline")}
    assert scene.undone == []


def test_fewer_bad_ones_than_the_least_are_never_enough():
    scene = Scene(Guard.errors(limit=0.001, min_bad=8))
    scene.calls(7, 7)
    scene.monitor.tick()
    assert scene.undone == []
    scene.calls(1, 1)
    scene.monitor.tick()
    assert len(scene.undone) == 1


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (RuntimeError(), True),
        (ValueError("of the model"), True),
        (InvalidInput("what is passed is not what it takes", code=Code.SIGNATURE_MISMATCH), False),
        (KeyboardInterrupt(), False),
        (asyncio.CancelledError(), False),
        (GeneratorExit(), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_the_models_fault_does_not_count(error, counts):
    scene = Scene(ERRORS)
    scene.calls(30, 30, error=error)
    scene.monitor.tick()
    assert (scene.version == "1.0.0") == counts
    assert scene.monitor.status()["guards"][0]["n"] == (30 if counts else 0)


def test_the_application_may_say_who_is_to_blame():
    scene = Scene(ERRORS, blame=lambda error: isinstance(error, KeyError))
    scene.calls(30, 30, error=KeyError())
    scene.calls(15, 15)
    scene.monitor.tick()
    assert scene.monitor.status()["guards"][0]["n"] == 15


def test_slow_calls():
    scene = Scene(Guard.latency(over=0.05, limit=0.01, confirm=None), Guard.latency(over=0.5, limit=0.01, confirm=None))
    scene.calls(50, 0, seconds=0.01)
    scene.calls(10, 0, seconds=0.06)
    scene.monitor.tick()
    bad = {each["name"]: each["bad"] for each in scene.monitor.status()["guards"]}
    assert bad == {"latency.0.05s": 10, "latency.0.5s": 0}
    assert scene.undone[0].evidence["guard"]["spec"]["over"] == 0.05


def test_labels_go_to_the_version_that_predicted():
    scene = Scene(Guard.rate("wrong", limit=0.1, action="alert"))
    scene.monitor.observe("wrong", [True] * 30, version="1.1.0")
    scene.vault.rollback("m@prod", reason="by hand")
    scene.serve()
    scene.monitor.observe("wrong", np.ones(50, bool), version="1.1.0")
    scene.monitor.observe("wrong", [False] * 20)
    scene.monitor.observe("wrong", np.zeros(5), version=scene.snapshot("1.0.0").digest)
    scene.monitor.observe("wrong", True, version="7.0.0")  # served by another process, long ago
    scene.monitor.tick()
    said = scene.monitor.status()
    assert (said["version"], said["guards"][0]["n"], said["guards"][0]["bad"]) == ("1.0.0", 25, 0)
    assert scene.told == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("wrong", 2), ("wrong", "yes"), ("wrong", [0, 0.5]), ("score", 11), ("score", object()), ("nothing", 1), (5, 1), ("errors", 1)],
)  # fmt: skip
def test_what_no_guard_observes_is_refused(name, value):
    scene = Scene(ERRORS, Guard.rate("wrong", limit=0.1), Guard.mean("score", low=0, high=10, limit=3))
    with pytest.raises(InvalidInput) as caught:
        scene.monitor.observe(name, value)
    assert caught.value.code == Code.BAD_VALUE


def test_a_mean_that_is_too_high():
    scene = Scene(Guard.mean("score", low=0, high=10, limit=3))
    rng = np.random.default_rng(1)
    scene.monitor.observe("score", rng.uniform(0, 5.8, 500))
    scene.monitor.tick()
    assert scene.undone == []
    scene.monitor.observe("score", rng.uniform(2, 8, 200))
    scene.monitor.tick()
    move = scene.undone[0]
    assert len(move.evidence["guard"]["logs"]) == 16
    assert explained(move).holds
    assert "score: mean 3." in move.reason


def test_a_limit_by_the_version_before():
    scene = Scene(Guard.errors(limit="baseline+25%", confirm=None))
    scene.calls(2_000, 100)
    scene.monitor.tick()
    assert scene.undone == []  # what came before it was not counted here
    scene.vault.publish("m", "1.2.0", version="1.2.0")
    scene.vault.promote("m@prod", "1.2.0", reason="next")
    scene.serve()
    limit = scene.monitor.status()["guards"][0]["m"]
    assert 0.05 * 1.25 < limit < 0.12
    scene.calls(100, 40)
    scene.monitor.tick()
    told = scene.undone[0].evidence["guard"]
    assert told["baseline"] == {"version": "1.1.0", "n": 2_000, "bad": 100}
    assert explained(scene.undone[0]).holds
    assert scene.version == "1.1.0"


def test_replicas_and_guards_share_alpha():
    scene = Scene(Guard.errors(limit=0.05, replicas=4), *(Guard.rate(f"r{n}", limit=0.05) for n in range(4)))
    scene.calls(30, 20)
    scene.monitor.tick()
    assert scene.undone[0].evidence["guard"]["alpha"] == pytest.approx(0.001 / 4 / 5)
    assert explained(scene.undone[0]).holds


# --- what is not undone


def alerted(scene, because):
    scene.calls(40, 40)
    scene.monitor.tick()
    scene.monitor.tick()
    assert scene.undone == []
    assert [kind for kind, _ in scene.told] == ["guard_alert"]
    assert because in scene.told[0][1]
    assert "errors: 40 bad of 40" in scene.told[0][1]


def test_an_alert_is_an_alert():
    alerted(Scene(Guard.errors(limit=0.05, action="alert")), "alert")


def test_a_dry_run_does_nothing():
    alerted(Scene(Guard.errors(limit=0.05, action="dry-run")), "dry run")


def test_inputs_that_fail_on_the_version_before_too_are_not_the_versions_fault():
    scene = Scene(ERRORS)
    scene.models["1.0.0"].fails = lambda x: True
    alerted(scene, "not the version, 32 of 32 inputs fail on the version before, too")
    assert scene.models["1.0.0"].asked == [*range(8, 40)]


def test_the_replay_stands_in_the_move():
    scene = Scene(ERRORS)
    scene.models["1.0.0"].fails = lambda x: x % 4 == 0
    scene.calls(40, 40)
    scene.monitor.tick()
    assert scene.undone[0].evidence["guard"]["replay"] == {"inputs": 32, "failed": 8}


def test_slow_inputs_are_run_again_too():
    slow = Scene(Guard.latency(over=0.005, limit=0.01))
    slow.models["1.0.0"].slow = 0.006
    slow.calls(20, 0, seconds=0.006)
    slow.monitor.tick()
    assert slow.undone == []
    assert "not the version" in slow.told[0][1]
    quick = Scene(Guard.latency(over=0.2, limit=0.01))
    quick.calls(20, 0, seconds=0.3)
    quick.monitor.tick()
    assert quick.undone[0].evidence["guard"]["replay"] == {"inputs": 20, "failed": 0}


def test_without_the_version_before_nothing_is_run_again():
    scene = Scene(ERRORS, keep=False)
    scene.calls(40, 40)
    scene.monitor.tick()
    assert scene.undone[0].evidence["guard"]["replay"] is None


def test_after_probation_it_alerts():
    scene = Scene(Guard.errors(limit=0.05, probation="2h"))
    assert scene.monitor.status()["probation"] is True
    scene.now += 7_201
    assert scene.monitor.status()["probation"] is False
    alerted(scene, "probation")


def test_a_process_that_starts_after_probation_alerts_too():
    first = Scene(ERRORS)
    later = Scene(ERRORS, store=first.vault._store)
    later.now += 90_000
    alerted(later, "probation")


def test_the_first_version_stays_for_there_is_none_before():
    scene = Scene(ERRORS)
    scene.vault.publish("m", "x", version="2.0.0")
    scene.vault.promote("m@new", "2.0.0", reason="first")
    scene.monitor.swapped(scene.snapshot("2.0.0"), None, scene.vault.history("m@new")[0])
    scene.move = scene.vault.history("m@new")[0]
    alerted(scene, "nothing was there before")


def test_one_hop():
    scene = Scene(ERRORS)
    scene.calls(40, 40)
    scene.monitor.tick()
    scene.serve()
    assert scene.move.version == "1.0.0"
    undone, scene.undone = scene.undone, []
    alerted(scene, "reached by an automatic rollback")
    assert len(undone) == 1


def test_a_rollback_by_a_person_is_not_undone_either():
    scene = Scene(ERRORS)
    scene.vault.publish("m", "x", version="1.2.0")
    scene.vault.promote("m@prod", "1.2.0", reason="x")
    scene.vault.rollback("m@prod", reason="by hand")
    scene.serve()
    alerted(scene, "it is a rollback")


def test_a_way_back_that_a_gate_called_closed_is_not_gone():
    def closed(_):
        return Verdict(passed=True, reason="", evidence={"rollback_safe": False})

    alerted(Scene(ERRORS, gates=[closed]), "not compatible")


def test_cool_down_in_one_process_and_in_the_record():
    scene = Scene(ERRORS)
    scene.calls(40, 40)
    scene.monitor.tick()
    scene.vault.promote("m@prod", "1.1.0", reason="once more")
    scene.serve()
    undone, scene.undone = scene.undone, []
    alerted(scene, "another rollback was a moment ago")
    assert len(undone) == 1
    other = Scene(ERRORS, store=scene.vault._store)  # which knows only what is recorded
    other.calls(40, 40)
    with pytest.raises(Refused, match="was rolled back by a guard"):
        other.monitor.tick()
    late = Scene(ERRORS, store=scene.vault._store)
    late.now += 3_601
    late.calls(40, 40)
    late.monitor.tick()
    assert late.version == "1.0.0"


def test_never_past_what_a_person_has_done_since():
    scene = Scene(ERRORS)
    scene.calls(40, 40)
    scene.vault.rollback("m@prod", reason="let me see")
    scene.vault.promote("m@prod", "1.1.0", reason="I have looked: it stays")
    scene.monitor.tick()
    assert scene.undone == [None]
    assert scene.version == "1.1.0"


def test_a_version_that_is_promoted_again_begins_anew():
    scene = Scene(ERRORS)
    scene.calls(40, 2)
    scene.vault.rollback("m@prod", reason="let me see")
    scene.vault.promote("m@prod", "1.1.0", reason="again")
    scene.serve()
    scene.monitor.tick()
    assert scene.monitor.status()["guards"][0]["n"] == 0


def test_the_first_of_several_guards_acts_and_the_others_are_quiet():
    scene = Scene(ERRORS, Guard.rate("wrong", limit=0.05))
    scene.calls(40, 40)
    scene.monitor.observe("wrong", [True] * 40)
    scene.monitor.tick()
    scene.monitor.tick()
    assert len(scene.undone) == 1


# --- sources


def test_a_source_is_counted_from_when_the_version_began():
    told = iter([(10_000, 900), (10_050, 940)])
    scene = Scene(Guard.rate("http", limit=0.05, source=lambda: next(told)))
    scene.monitor.tick()
    assert scene.undone == []
    scene.monitor._now.weighed[0]._asked = -math.inf
    scene.monitor.tick()
    assert (scene.undone[0].evidence["guard"]["n"], scene.undone[0].evidence["guard"]["bad"]) == (50, 40)


@pytest.mark.parametrize("answer", [None, (1,), ("a", "b"), (5, 6), (-1, -2), (math.nan, 0)])
def test_a_source_that_says_nothing_useful_is_missing_data(answer):
    scene = Scene(Guard.rate("http", limit=0.05, source=lambda: answer))
    scene.monitor.tick()
    assert scene.monitor.status()["guards"][0]["missing"] == 1
    assert scene.told == []


def test_a_source_that_is_set_back_begins_anew():
    told = iter([(1_000, 5), (10, 9), (60, 59)])
    scene = Scene(Guard.rate("http", limit=0.05, source=lambda: next(told), min_bad=100))
    for _ in range(3):
        scene.monitor._now.weighed[0]._asked = -math.inf
        scene.monitor.tick()
    assert scene.monitor.status()["guards"][0]["n"] == 50


# --- threads


def test_calls_of_many_threads_are_all_counted():
    scene = Scene(ERRORS)
    digest = scene.snapshot("1.1.0").digest

    def work():
        for at in range(20_000):
            scene.monitor.saw(digest, 0.001, RuntimeError() if at % 100 == 0 else None)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        scene.monitor.tick()
        said = scene.monitor.status()["guards"][0]
        assert said["bad"] <= said["n"]
    scene.monitor.tick()
    said = scene.monitor.status()["guards"][0]
    assert (said["n"], said["bad"]) == (80_000, 800)


def test_a_status_is_json():
    scene = Scene(ERRORS, Guard.mean("score", limit=0.5))
    scene.calls(10, 1)
    scene.monitor.tick()
    assert json.loads(json.dumps(scene.monitor.status())) == scene.monitor.status()
    assert {*scene.monitor.status()} == {"version", "probation", "guards"}
    assert Monitor((), undo=scene.undo).status()["guards"] == []


def test_a_move_dated_tomorrow_is_on_probation_all_the_same():
    scene = Scene(ERRORS)
    scene.now -= 100_000
    assert scene.monitor.status()["probation"] is True
    assert datetime.fromtimestamp(scene.now, UTC) < scene.move.at
