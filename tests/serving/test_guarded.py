"""A live handle with guards, on a real vault: a bad version is noticed, left at once, and rolled back once."""

import multiprocessing
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from modelvault import Guard
from modelvault.errors import Code, InvalidInput, StoreError
from modelvault.serving import Event
from modelvault.stores.local import LocalStore
from modelvault.stores.wrappers import Recording, Wrapper
from modelvault.vault import Vault

ERRORS = Guard.errors(limit=0.05)


class Answers:
    """Answers with its number, and fails for what it is told to."""

    def __init__(self, number: int, *fails: int) -> None:
        self.number, self.fails = number, fails

    def predict(self, x: int) -> int:
        if x % 10 in self.fails:
            raise ArithmeticError(x)
        return self.number


class Down(Wrapper):
    """A store that cannot be reached while it is `down`."""

    down = False

    def around(self, operation, call):
        if self.down:
            raise StoreError("nobody answers", code=Code.STORE_UNREACHABLE)
        return call()


def until(said, seconds=30):
    end = time.monotonic() + seconds
    while not said():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def filled(vault):
    vault.publish("m", Answers(0), version="1.0.0")
    vault.publish("m", Answers(1, 3, 7), version="1.1.0")
    vault.publish("m", Answers(2), version="1.2.0")
    vault.promote("m@prod", "1.0.0", reason="first")
    return vault


@pytest.fixture
def vault(tmp_path):
    return filled(Vault(LocalStore(tmp_path / "vault"), cache=tmp_path / "cache"))


def asked(live, numbers=range(100)):
    """Ask for each; how many failed."""
    failed = 0
    for number in numbers:
        try:
            live.predict(number)
        except ArithmeticError:
            failed += 1
    return failed


def promoted(live, vault, version="1.1.0"):
    vault.promote("m@prod", version, reason="careless")
    until(lambda: live.version == version)


def test_a_version_that_fails_is_left_at_once_and_rolled_back_with_its_evidence(vault):
    seen = list[Event]()
    with vault.live("m@prod", refresh=0.05, isolate=False, guard=ERRORS, on_event=seen.append) as live:
        assert asked(live) == 0
        promoted(live, vault)
        assert asked(live) == 20
        until(lambda: vault.history("m@prod")[0].kind == "rollback")
        until(lambda: seen[-1].kind == "quarantined")
        assert live.version == "1.0.0"
        assert asked(live) == 0
        move = vault.history("m@prod")[0]
        assert (move.seq, move.version) == (3, "1.0.0")
        assert move.actor.endswith(f"/{os.getpid()}")
        assert move.actor.startswith("guard@")
        assert move.evidence["guard"]["n"] == 100
        assert move.evidence["guard"]["replay"] == {"inputs": 20, "failed": 0}
        assert vault.explain("m@prod").holds
        assert seen[-1].cause == "guard"
        assert [event.kind for event in seen] == ["loaded", "swapped", "rolled_back", "quarantined"]
        assert live.status()["guard"]["probation"] is False
        assert live.status()["state"] == "serving"


def test_what_goes_wrong_on_the_version_before_too_is_no_reason(vault):
    seen = list[Event]()
    vault.publish("m", Answers(3, 3, 7), version="1.3.0")
    vault.promote("m@prod", "1.3.0", reason="as bad as the next")
    with vault.live("m@prod", refresh=0.05, isolate=False, guard=[ERRORS], on_event=seen.append) as live:
        promoted(live, vault)
        asked(live)
        until(lambda: [event for event in seen if event.kind == "guard_alert"])
        time.sleep(0.5)
        assert live.version == "1.1.0"
        assert vault.history("m@prod")[0].kind == "promote"
        assert "not the version" in seen[-1].reason


def test_labels_that_come_later(vault):
    with vault.live("m@prod", refresh=0.05, isolate=False, guard=[Guard.rate("wrong", limit=0.1)]) as live:
        promoted(live, vault)
        for at in range(60):
            live.observe("wrong", at % 2 == 0, version="1.1.0")
        until(lambda: vault.history("m@prod")[0].kind == "rollback")
        assert live.version == "1.0.0"
        assert vault.explain("m@prod").holds
        with pytest.raises(InvalidInput):
            live.observe("other", True)


def test_a_version_that_is_promoted_again_after_the_rollback_is_followed(vault):
    with vault.live("m@prod", refresh=0.05, isolate=False, guard=ERRORS) as live:
        promoted(live, vault)
        asked(live)
        until(lambda: vault.history("m@prod")[0].kind == "rollback")
        until(lambda: vault.notes("m:1.1.0"))
        vault.release("m:1.1.0", reason="once more")
        promoted(live, vault)
        asked(live)
        time.sleep(0.6)
        assert live.version == "1.1.0"  # so soon after one, there is no other
        promoted(live, vault, "1.2.0")
        assert asked(live) == 0


def test_while_the_store_is_down_it_serves_the_version_before_and_rolls_back_later(tmp_path):
    store = Down(LocalStore(tmp_path / "vault"))
    vault = filled(Vault(store, cache=tmp_path / "cache"))
    with vault.live("m@prod", refresh=0.05, isolate=False, guard=ERRORS) as live:
        promoted(live, vault)
        store.down = True
        asked(live)
        until(lambda: live.version == "1.0.0")
        assert asked(live) == 0
        assert live.status()["state"] == "held"
        assert "rolled back here" in live.status()["reason"]
        store.down = False
        until(lambda: vault.history("m@prod")[0].kind == "rollback")
        until(lambda: live.status()["state"] == "serving")
        assert live.version == "1.0.0"


def test_the_way_back_asks_the_store_nothing(tmp_path):
    store = Recording(LocalStore(tmp_path / "vault"))
    vault = filled(Vault(store, cache=tmp_path / "cache"))
    live = vault.live("m@prod", refresh=None, isolate=False, guard=ERRORS)
    vault.promote("m@prod", "1.1.0", reason="careless")
    live.refresh()
    following = live._following
    following._thread = lambda work: None  # what is done in the background is not done
    asked(live)
    following.watch._run = lambda work: work()
    before = dict(store.counts)
    began = time.perf_counter()
    following.watch.tick()
    took = time.perf_counter() - began
    assert live.version == "1.0.0"
    assert dict(store.counts) == before
    assert took < 0.5  # a millisecond, by the benchmark; here it is only not forever
    live.close()


def test_no_guard_is_refused(vault):
    for wrong in ("errors", [5], {"errors": 1}):
        with pytest.raises(InvalidInput):
            vault.live("m@prod", refresh=None, guard=wrong)


# --- many at once


def _served(place, cache, count, ready, promoted, fire):
    """One process with `count` handles, each with guards, all of which fire."""
    vault = Vault(LocalStore(place), cache=cache)
    lives = [vault.live("m@prod", refresh=0.5, isolate=False, guard=ERRORS) for _ in range(count)]
    ready.release()
    until(lambda: all(live.version == "1.1.0" for live in lives), 240)
    promoted.release()
    fire.wait()
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(asked, lives))
    until(lambda: all(live.version == "1.0.0" for live in lives), 240)
    until(lambda: vault.history("m@prod")[0].kind == "rollback", 240)  # a process that ends at once may not get to it
    for live in lives:
        live.close()


def _one_move(tmp_path, processes, each):
    vault = filled(Vault(LocalStore(tmp_path / "vault"), cache=tmp_path / "cache"))
    context = multiprocessing.get_context("spawn")
    ready, promoted, fire = context.Semaphore(0), context.Semaphore(0), context.Event()
    workers = [
        context.Process(target=_served, args=(tmp_path / "vault", tmp_path / "cache", each, ready, promoted, fire))
        for _ in range(processes)
    ]
    for worker in workers:
        worker.start()
    for _ in workers:
        assert ready.acquire(timeout=480)
    vault.promote("m@prod", "1.1.0", reason="careless")
    for _ in workers:
        assert promoted.acquire(timeout=480)
    fire.set()  # not before all are there: one who comes late finds the alias rolled back
    for worker in workers:
        worker.join(timeout=480)
        assert worker.exitcode == 0
    moves = vault.history("m@prod")
    assert [move.kind for move in moves] == ["rollback", "promote", "promote"]
    assert vault.explain("m@prod").holds


def test_of_eight_guards_that_fire_at_once_one_moves_the_alias(tmp_path):
    vault = filled(Vault(LocalStore(tmp_path / "vault"), cache=tmp_path / "cache"))
    lives = [vault.live("m@prod", refresh=0.3, isolate=False, guard=ERRORS) for _ in range(8)]
    vault.promote("m@prod", "1.1.0", reason="careless")
    until(lambda: all(live.version == "1.1.0" for live in lives))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(asked, lives))
    until(lambda: all(live.version == "1.0.0" for live in lives))
    until(lambda: vault.history("m@prod")[0].kind == "rollback")
    time.sleep(0.5)
    assert [move.kind for move in vault.history("m@prod")] == ["rollback", "promote", "promote"]
    for live in lives:
        live.close()


@pytest.mark.long
@pytest.mark.timeout(900)
def test_of_64_guards_in_16_processes_that_fire_at_once_one_moves_the_alias(tmp_path):
    _one_move(tmp_path, processes=16, each=4)


def test_exporters_are_told_the_evidence(vault):
    told = []

    class Exported:
        def __call__(self, event):
            pass

        def requests(self, model, alias, version, outcome, seconds):
            pass

        def age(self, model, alias, seconds):
            pass

        def evidence(self, *said):
            told.append(said)

    with vault.live("m@prod", refresh=0.05, isolate=False, guard=ERRORS, on_event=Exported()) as live:
        asked(live)
        until(lambda: told)
        assert told[-1][:4] == ("m", "prod", "1.0.0", "errors")
        assert told[-1][4] < 0
