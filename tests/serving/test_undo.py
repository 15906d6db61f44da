"""What watches the model may undo a move: here at once, and in the vault once."""

import threading
import time

import pytest

from modelvault.errors import Code, Refused, StoreError
from modelvault.serving import Event
from modelvault.stores.local import LocalStore
from modelvault.vault import Vault

from .models import ROWS, Says, classifiers, numbers, until


class Watch:
    """Undoes when it is told to."""

    probation = True

    def __init__(self, guards, *, undo, tell):
        self.undo, self.tell = undo, tell
        self.calls, self.observed, self.swaps, self.ticks, self.fire = [], [], [], 0, False
        guards[0].append(self)

    def saw(self, digest, seconds, error):
        self.calls.append((digest, seconds, error))

    def observe(self, name, value, version):
        self.observed.append((name, value, version))

    def swapped(self, snapshot, previous, move):
        self.swaps.append((snapshot.version, previous and previous.version, move.seq, move.kind))

    def tick(self):
        self.ticks += 1
        if self.fire:
            self.fire = False
            self.undo("errors: 5 bad of 5", {"bad": 5, "of": 5})

    def status(self):
        return {"probation": True, "calls": len(self.calls)}


@pytest.fixture
def vault(tmp_path):
    return numbers(Vault(LocalStore(tmp_path / "vault"), cache=tmp_path / "cache"))


@pytest.fixture
def watch(monkeypatch):
    """The watches that are made, the newest last."""
    monkeypatch.setattr(
        "modelvault.serving.service.watched", lambda guards, **how: Watch(guards, **how) if guards else None
    )
    return []


def promoted(vault, watch, **options):
    """A handle that has followed a move to 1.1.0, and knows the version before."""
    live = vault.live("m@prod", guard=[watch], isolate=False, **{"refresh": 0.05} | options)
    vault.promote("m@prod", "1.1.0", reason="careless")
    live.refresh()
    assert live.version == "1.1.0"
    return live


def test_calls_are_seen_and_what_the_caller_does_wrong_is_not(tmp_path, watch):
    vault = classifiers(Vault(LocalStore(tmp_path / "other")))
    with vault.live("m@prod", guard=[watch], refresh=None) as live:
        live.predict(ROWS)
        with pytest.raises(ValueError, match="features"):
            live.predict(ROWS[:, :2])
        assert [error for _, _, error in watch[0].calls] == [None]
        assert watch[0].calls[0][0] == vault.version("m@prod").digest
        assert 0 < watch[0].calls[0][1] < 1
        live.model.coef_ = None
        with pytest.raises((AttributeError, TypeError)) as broken:
            live.predict(ROWS)
        assert watch[0].calls[1][2] is broken.value
        live.observe("wrong", True, version="1.0.0")
        assert watch[0].observed == [("wrong", True, "1.0.0")]
        assert live.status()["guard"]["calls"] == 2


def test_it_ticks_several_times_a_second_even_without_polling(vault, watch):
    with vault.live("m@prod", guard=[watch], refresh=None):
        until(lambda: watch[0].ticks >= 3, 5)


def test_an_undo_is_here_at_once_and_in_the_vault_once(vault, watch):
    seen = list[Event]()
    live = promoted(vault, watch, on_event=seen.append)
    assert live.status()["previous"] == "1.0.0"
    watch[0].fire = True
    until(lambda: len(vault.history("m@prod")) == 3)
    assert live.version == "1.0.0"
    move = vault.history("m@prod")[0]
    assert (move.kind, move.version, move.reason) == ("rollback", "1.0.0", "errors: 5 bad of 5")
    assert (move.evidence["bad"], move.evidence["restores"]) == (5, 1)
    until(lambda: live.status()["state"] == "serving")
    until(lambda: watch[0].swaps[-1] == ("1.0.0", None, 3, "rollback") and len(seen) == 4)
    assert [event.kind for event in seen] == ["loaded", "swapped", "rolled_back", "quarantined"]
    assert {(event.version, event.wanted, event.cause) for event in seen[2:]} == {("1.0.0", "1.1.0", "guard")}
    time.sleep(0.2)
    assert len(vault.history("m@prod")) == 3
    live.close()


def test_an_undo_asks_nothing_of_the_store_before_it_is_done(vault, watch):
    live = promoted(vault, watch)
    answers = threading.Event()

    def away(*_, **__):
        answers.wait(60)
        raise StoreError("away")

    live._following.source.rollback = away
    assert live._following.undo("x", {})
    assert live.version == "1.0.0"
    assert not answers.is_set()
    live.close()
    answers.set()


def test_of_many_that_undo_at_once_one_moves_the_alias(vault, watch):
    lives = [vault.live("m@prod", guard=[watch], isolate=False, refresh=0.05) for _ in range(8)]
    vault.promote("m@prod", "1.1.0", reason="careless")
    until(lambda: all(live.version == "1.1.0" for live in lives))
    for each in watch:
        each.fire = True
    until(lambda: all(live.version == "1.0.0" and live.status()["state"] == "serving" for live in lives))
    assert [move.version for move in vault.history("m@prod")] == ["1.0.0", "1.1.0", "1.0.0"]
    for live in lives:
        live.close()


def test_a_move_that_a_person_made_since_is_not_undone(vault, watch):
    live = promoted(vault, watch, refresh=60)
    vault.promote("m@prod", "1.2.0", reason="repaired")
    watch[0].fire = True
    until(lambda: live.version == "1.2.0")
    assert [move.kind for move in vault.history("m@prod")] == ["promote"] * 3
    assert live.status()["rejected"].keys() == {"1.1.0"}
    live.close()


def test_a_person_who_releases_it_and_promotes_it_again_has_the_last_word(vault, watch):
    live = promoted(vault, watch)
    watch[0].fire = True
    until(lambda: vault.notes("m:1.1.0"))  # in quarantine, which comes after the move
    vault.release("m:1.1.0", reason="it was the network")
    vault.promote("m@prod", "1.1.0", reason="it was the network")
    until(lambda: live.version == "1.1.0")
    assert live.status()["state"] == "serving"
    live.close()


def test_while_the_store_is_down_it_stays_on_the_version_before(vault, watch, tmp_path):
    live = promoted(vault, watch)
    live._following.refresh = 0.05
    (tmp_path / "vault").rename(tmp_path / "away")
    (tmp_path / "vault").write_text("no folder")
    watch[0].fire = True
    until(lambda: live.version == "1.0.0")
    status = until(lambda: live.status()["state"] == "held" and live.status())
    assert "rolled back here" in status["reason"]
    with pytest.raises(StoreError):
        live.refresh()
    time.sleep(0.2)
    assert live.version == "1.0.0"
    (tmp_path / "vault").unlink()
    (tmp_path / "away").rename(tmp_path / "vault")
    until(lambda: len(vault.history("m@prod")) == 3)
    until(lambda: live.status()["state"] == "serving")
    live.close()


def test_with_nothing_before_it_in_memory_the_alias_alone_is_rolled_back(vault, watch):
    vault.promote("m@prod", "1.1.0", reason="careless")
    with vault.live("m@prod", guard=[watch], refresh=0.05, isolate=False) as live:
        watch[0].fire = True
        until(lambda: live.version == "1.0.0")
        assert len(vault.history("m@prod")) == 3


def test_where_there_is_no_way_back_that_is_said(vault, watch):
    seen = list[Event]()
    with vault.live("m@prod", guard=[watch], refresh=0.05, on_event=seen.append) as live:
        watch[0].fire = True
        until(lambda: len(seen) >= 2)
        assert "nothing-to-undo" in seen[1].reason
        assert live.number() == 0


def test_calls_during_an_undo_are_of_one_version_or_the_other(vault, watch):
    live = promoted(vault, watch)
    ended, answers = threading.Event(), set()

    def call():
        while not ended.is_set():
            answers.add(live.number())

    threads = [threading.Thread(target=call) for _ in range(4)]
    for each in threads:
        each.start()
    watch[0].fire = True
    until(lambda: len(vault.history("m@prod")) == 3)
    ended.set()
    for each in threads:
        each.join()
    assert answers <= {0, 1}
    assert isinstance(live.model, Says)
    live.close()


def test_a_watch_that_fails_stops_nobody_else(vault, watch, caplog):
    class Rude(Watch):
        def status(self):
            raise ZeroDivisionError

    with (
        vault.live("m@prod", guard=[watch], refresh=0.05, isolate=False) as rude,
        vault.live("m@prod", refresh=0.05, isolate=False) as live,
    ):
        watch[0].__class__ = Rude
        vault.promote("m@prod", "1.1.0", reason="x")
        until(lambda: live.version == "1.1.0")
        until(lambda: "could not be looked after" in caplog.text or rude.version == "1.1.0")


def test_what_a_guard_left_is_in_quarantine_until_it_is_released(vault, watch):
    told = []
    with promoted(vault, watch, on_event=told.append) as live:
        watch[-1].fire = True
        until(lambda: "quarantined" in [one.kind for one in told])
        assert live.version == "1.0.0"
    [mark] = [note for note in vault.notes("m:1.1.0") if note.kind == "quarantine"]
    assert mark.evidence == {"alias": "m@prod", "seq": 3}
    assert mark.actor.startswith("guard@")
    assert vault.history("m@prod")[0].seq == 3
    with pytest.raises(Refused) as refused:
        vault.promote("m@prod", "1.1.0", reason="once more")
    assert refused.value.code == Code.QUARANTINED
    vault.release("m:1.1.0", reason="it was the feed")
    assert vault.promote("m@prod", "1.1.0", reason="once more").version == "1.1.0"


def test_content_that_the_rollback_restored_is_not_in_quarantine(tmp_path, watch):
    vault = Vault(LocalStore(tmp_path / "other"))
    vault.promote("m@prod", vault.publish("m", Says(1), version="1.0.0"), reason="first")
    vault.publish("m", Says(1), version="1.1.0", notes="the same again")
    with promoted(vault, watch) as live:
        watch[-1].fire = True
        until(lambda: len(vault.history("m@prod")) == 3)
        until(lambda: live.version == "1.0.0")
    assert vault.notes("m:1.1.0") == []
