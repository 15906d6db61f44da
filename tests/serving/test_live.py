"""A live handle on one vault: what it does at the start, when the alias moves, and when that goes wrong."""

import asyncio
import gc
import json
import pickle
import threading
import time
import weakref

import numpy as np
import pytest

from modelvault.errors import Code, Corrupt, InvalidInput, NotFound, Refused, StoreError
from modelvault.serving import Event, Live
from modelvault.stores.local import LocalStore
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import Recording
from modelvault.vault import Vault

from .models import ROWS, Fails, Says, classifier, classifiers, numbers, until


@pytest.fixture
def vault(tmp_path):
    return Vault(LocalStore(tmp_path / "vault"), cache=tmp_path / "cache")


QUICK = {"refresh": 0.05, "isolate": False}


def test_it_is_loaded_and_checked_when_the_verb_returns(vault):
    classifiers(vault)
    with vault.live("m@prod", refresh=None) as live:
        assert isinstance(live, Live)
        assert (live.version, live.status()["state"], live.status()["checked"]) == ("1.0.0", "serving", True)
        assert np.array_equal(live.predict(ROWS), vault.load("m@prod").predict(ROWS))
        assert np.array_equal(live.classes_, [0, 1])
        assert live.predict_proba(X=ROWS).shape == (64, 2)
        assert live.get_params()["C"] == 0.1
        assert not hasattr(live, "nothing_of_the_kind")
        assert {"predict", "classes_", "pin"} <= set(dir(live))


def test_what_can_be_called_is_called(vault):
    vault.publish("m", np.negative, version="1.0.0")
    vault.publish("m", np.abs, version="1.1.0")
    vault.promote("m@prod", "1.0.0", reason="x")
    with vault.live("m@prod", refresh=None) as live:
        assert live(3) == -3
        vault.promote("m@prod", "1.1.0", reason="x")
        live.refresh()
        assert live(-3) == 3


def test_it_follows_and_so_does_a_method_that_was_kept(vault):
    numbers(vault)
    seen = list[Event]()
    with vault.live("m@prod", **QUICK, on_event=seen.append) as live:
        kept = live.number
        vault.promote("m@prod", "1.1.0", reason="better")
        until(lambda: live.version == "1.1.0")
        assert kept() == live.number() == 1
        vault.rollback("m@prod", reason="worse")
        until(lambda: kept() == 0 and len(seen) == 3)
        assert [(event.kind, event.version) for event in seen] == [
            ("loaded", "1.0.0"),
            ("swapped", "1.1.0"),
            ("swapped", "1.0.0"),
        ]
        assert {"fetch", "load"} <= set(seen[1].seconds)


def test_pin_holds_one_version_for_several_calls(vault):
    numbers(vault)
    with vault.live("m@prod", refresh=None) as live, live.pin() as pinned:
        vault.promote("m@prod", "1.1.0", reason="better")
        live.refresh()
        assert (pinned.model.number(), pinned.version, pinned.ref) == (0, "1.0.0", "m:1.0.0")
        assert (live.model.number(), live.version) == (1, "1.1.0")


def test_refresh_says_what_it_did(vault):
    numbers(vault)
    live = vault.live("m@prod", refresh=None)
    assert live.refresh() is None
    vault.promote("m@prod", "1.1.0", reason="better")
    time.sleep(0.1)
    assert live.version == "1.0.0", "nobody asked"
    swap = live.refresh()
    assert (swap.result, swap.version, swap.previous) == ("swapped", "1.1.0", "1.0.0")
    live.close()
    vault.promote("m@prod", "1.2.0", reason="better")
    assert live.refresh() is None
    assert (live.version, live.status()["state"]) == ("1.1.0", "closed")


def test_lazy_asks_behind_a_call(vault, monkeypatch):
    monkeypatch.setattr("modelvault.serving.following._LAZY", 0.05)
    numbers(vault)
    with vault.live("m@prod", refresh="lazy", isolate=False) as live:
        assert "modelvault-live" not in {thread.name for thread in threading.enumerate()}
        vault.promote("m@prod", "1.1.0", reason="better")
        time.sleep(0.2)
        assert live.version == "1.0.0"
        until(lambda: live.number() == 1)


def test_a_version_that_cannot_serve_is_held_and_the_one_before_goes_on(vault):
    classifiers(vault, 2)
    vault.publish("m", Fails(), version="1.2.0")
    seen = list[Event]()
    with vault.live("m@prod", **QUICK, on_event=seen.append) as live:
        vault.promote("m@prod", "1.2.0", reason="careless")
        until(lambda: live.status()["state"] == "held")
        status = live.status()
        assert (status["version"], status["wanted"]) == ("1.0.0", "1.2.0")
        assert "no such luck" in status["reason"]
        assert "no such luck" in status["rejected"]["1.2.0"]
        assert live.predict(ROWS).shape == (64,)
        assert live.refresh().result == "held"
        time.sleep(0.3)
        assert [event.kind for event in seen] == ["loaded", "held", "held"], "it is not tried at each look"
        vault.promote("m@prod", "1.1.0", reason="repaired")
        until(lambda: live.version == "1.1.0")
        assert live.status()["state"] == "serving"


def test_a_version_that_answers_otherwise_here_is_held(vault):
    class Forgets(Says):
        def __setstate__(self, state):
            self.__dict__ = state | {"first": state["first"] + 1}

    numbers(vault, 1)
    vault.publish("m", Forgets(5), version="2.0.0", example=ROWS[:4])
    with vault.live("m@prod", refresh=None, isolate=False) as live:
        vault.promote("m@prod", "2.0.0", reason="x")
        swap = live.refresh()
        assert swap.result == "held"
        assert "check-failed" in swap.reason
        assert live.number() == 0
    with vault.live("m@prod", refresh=None, isolate=False, check=False, offline="fail") as live:
        assert live.version == "2.0.0"


def test_the_application_refuses_what_it_does_not_expect(vault):
    classifiers(vault, 2)
    wide = np.hstack([ROWS, ROWS])
    vault.publish("m", classifier().fit(wide, wide[:, 0] > 0), version="2.0.0", example=wide[:4])
    expects = vault.version("m:1.0.0").signature
    for given in (expects, expects.contract, expects.model_dump()):
        vault.promote("m@prod", "1.0.0", reason="x")
        with vault.live("m@prod", refresh=None, expects=given, isolate=False) as live:
            vault.promote("m@prod", "2.0.0", reason="too early")
            assert live.refresh().result == "held"
            assert "gate-refused" in live.status()["reason"]
            vault.promote("m@prod", "1.1.0", reason="x")
            assert live.refresh().result == "swapped"
    vault.promote("m@prod", "2.0.0", reason="too early")
    with pytest.raises(Refused) as refused:
        vault.live("m@prod", refresh=None, expects=expects, offline="fail")
    assert refused.value.code == Code.GATE_REFUSED
    vault.publish("n", {"a": 1}, version="1.0.0")
    vault.promote("n@prod", "1.0.0", reason="x")
    with pytest.raises(Refused, match="no signature"):
        vault.live("n@prod", refresh=None, expects=expects)


def test_a_retired_or_missing_alias_does_not_start(vault):
    numbers(vault)
    with pytest.raises(NotFound):
        vault.live("m@canary")
    with pytest.raises(InvalidInput):
        vault.live("m:1.0.0")


def test_what_was_replaced_is_freed_by_nobody_who_calls(vault):
    numbers(vault)
    with vault.live("m@prod", **QUICK) as live:
        gone = weakref.ref(live.model)
        freed = list[str]()
        weakref.finalize(live.model, lambda: freed.append(threading.current_thread().name))
        vault.promote("m@prod", "1.1.0", reason="x")
        until(lambda: live.version == "1.1.0")
        until(lambda: gone() is None)
        assert freed[0].startswith("modelvault-")


def test_the_version_before_is_kept_if_that_is_wanted_and_taken_again_without_a_load(vault):
    numbers(vault)
    with vault.live("m@prod", refresh=None, keep_previous=True, isolate=False) as live:
        first = live.model
        vault.promote("m@prod", "1.1.0", reason="x")
        live.refresh()
        assert live.status()["previous"] == "1.0.0"
        vault.rollback("m@prod", reason="x")
        assert live.refresh().seconds == {}
        assert live.model is first
        assert live.status()["previous"] == "1.1.0"


def test_a_handle_that_nobody_holds_is_looked_after_no_more(vault):
    numbers(vault)
    live = vault.live("m@prod", **QUICK)
    gone = weakref.ref(live._following)
    del live
    until(lambda: gc.collect() is not None and gone() is None)


def test_a_hook_that_fails_harms_nobody(vault, caplog):
    numbers(vault)
    with vault.live("m@prod", refresh=None, isolate=False, on_event=lambda event: 1 / 0) as live:
        vault.promote("m@prod", "1.1.0", reason="x")
        assert live.refresh().result == "swapped"
    assert "a hook of a live handle failed" in caplog.text


def test_to_another_process_it_goes_as_its_ref_and_options(vault):
    numbers(vault)
    with vault.live("m@prod", refresh=None, env="off") as live:
        vault.promote("m@prod", "1.1.0", reason="x")
        with pickle.loads(pickle.dumps(live)) as other:
            assert (live.version, other.version) == ("1.0.0", "1.1.0")
            assert other._following.options.env == "off"


def test_with_asyncio_it_takes_a_thread_to_start_and_none_to_call(vault):
    numbers(vault)

    async def serve():
        live = await asyncio.to_thread(vault.live, "m@prod", refresh=None)
        vault.promote("m@prod", "1.1.0", reason="x")
        await asyncio.to_thread(live.refresh)
        return live.number()

    assert asyncio.run(serve()) == 1


def test_swaps_under_load_fail_no_call_and_tear_none(vault):
    served = under_load(vault, swaps=50, threads=8)
    assert served > 10_000


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_thousand_swaps_under_load(vault):
    assert under_load(vault, swaps=1000, threads=8, least=1_000_000) >= 1_000_000


def under_load(vault, *, swaps, threads, least=0):
    """So many calls were served without a failure, and memory holds two models at most when it is over."""
    numbers(vault, 4, size=100_000)
    failed, counts, ended = [], [0] * threads, threading.Event()
    alive: weakref.WeakSet[Says] = weakref.WeakSet()
    with vault.live("m@prod", refresh=None, isolate=False) as live:

        def call(mine):
            try:
                while not ended.is_set():
                    for _ in range(100):
                        if live.torn():
                            raise AssertionError("torn")
                    counts[mine] += 100
                    time.sleep(0.001)  # or those who call never let the one who swaps have a turn
            except BaseException as error:
                failed.append(error)
                raise

        callers = [threading.Thread(target=call, args=[each]) for each in range(threads)]
        for each in callers:
            each.start()
        try:
            for each in range(1, swaps + 1):
                vault.promote("m@prod", f"1.{each % 4}.0", reason="x")
                assert live.refresh().result == "swapped"
                alive.add(live.model)
            until(lambda: sum(counts) >= least or failed, 900)
        finally:
            ended.set()
            for each in callers:
                each.join()
        assert not failed
        live._following.sweep()
        gc.collect()
        assert len(alive) <= 2
    return sum(counts)


def test_the_store_going_down_is_said_and_coming_back_too(vault, tmp_path):
    numbers(vault)
    seen = list[Event]()
    with vault.live("m@prod", **QUICK, on_event=seen.append) as live:
        (tmp_path / "vault").chmod(0)
        (tmp_path / "vault").rename(tmp_path / "away")
        (tmp_path / "vault").write_text("no folder")
        until(lambda: live.status()["state"] == "stale")
        assert live.number() == 0
        with pytest.raises(StoreError):
            live.refresh()
        (tmp_path / "vault").unlink()
        (tmp_path / "away").rename(tmp_path / "vault")
        (tmp_path / "vault").chmod(0o755)
        vault.promote("m@prod", "1.1.0", reason="x")
        until(lambda: live.version == "1.1.0" and len(seen) == 4)
        assert [event.kind for event in seen] == ["loaded", "stale", "recovered", "swapped"]


def test_a_damaged_version_is_held(vault, tmp_path):
    vault.publish("m", Says(0), version="1.0.0")
    vault.publish("m", Says(1, 100_000), version="1.1.0")
    vault.promote("m@prod", "1.0.0", reason="x")
    for blob in (tmp_path / "vault" / "blobs").rglob("*"):
        if blob.is_file():
            blob.chmod(0o600)
            blob.write_bytes(bytes(blob.stat().st_size))
    with vault.live("m@prod", refresh=None, isolate=False) as live:
        vault.promote("m@prod", "1.1.0", reason="x")
        assert "digest-mismatch" in live.refresh().reason
        assert live.number() == 0
    with pytest.raises(Corrupt):
        vault.live("m@prod", refresh=None, offline="fail")


def test_a_look_at_an_alias_that_stands_still_is_one_request(tmp_path):
    store = Recording(MemoryStore())
    vault = numbers(Vault(store, cache=False, trust="pickle"))
    with vault.live("m@prod", refresh=None, isolate=False) as live:
        before = dict(store.counts)
        for _ in range(5):
            live.refresh()
        assert {verb: count - before.get(verb, 0) for verb, count in store.counts.items() if count != before.get(verb)} == {"read": 5}  # fmt: skip
        vault.promote("m@prod", "1.1.0", reason="x")
        before = sum(store.counts.values())
        live.refresh()
        assert sum(store.counts.values()) - before <= 4
        before = sum(store.counts.values())
        for _ in range(100):
            live.number()
        assert sum(store.counts.values()) == before


def test_what_a_handle_says_of_itself_is_json(vault):
    numbers(vault)
    vault.publish("m", Fails(), version="2.0.0")
    with vault.live("m@prod", refresh=None, isolate=False) as live:
        vault.promote("m@prod", "2.0.0", reason="x")
        live.refresh()
        assert json.loads(json.dumps(live.status())) == live.status()
