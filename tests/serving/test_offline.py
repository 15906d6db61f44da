"""The store is away, slow or set back, the cache is damaged: what served goes on, and what can start does."""

import fcntl
import os
import shutil
import time

import pytest

from modelvault.errors import Code, Corrupt, NotFound, StoreError
from modelvault.serving import Event
from modelvault.stores.local import LocalStore
from modelvault.stores.memory import MemoryStore
from modelvault.vault import Vault

from .models import Fails, Far, Says, numbers, until

QUICK = {"refresh": 0.05, "isolate": False}


@pytest.fixture
def far():
    return Far(MemoryStore())


@pytest.fixture
def vault(far, tmp_path):
    return numbers(Vault(far, cache=tmp_path / "cache", trust="pickle"))


def again(vault):
    """The same vault, as a process that has just started opens it."""
    return Vault(vault._store, cache=vault._cached_in, trust="pickle")


def test_nothing_starts_that_never_has(vault, far, tmp_path):
    far.away = True
    with pytest.raises(StoreError) as error:
        again(vault).live("m@prod")
    assert error.value.code == Code.STORE_UNREACHABLE


def test_without_the_store_the_last_one_that_served_starts_and_follows_when_it_is_back(vault, far):
    vault.live("m@prod", refresh=None).close()
    vault.promote("m@prod", "1.1.0", reason="while that host was off")
    seen = list[Event]()
    far.away = True
    with again(vault).live("m@prod", **QUICK, on_event=seen.append) as live:
        assert (live.number(), live.status()["state"], live.status()["alias_seen_at"]) == (0, "stale", None)
        assert "store-unreachable" in live.status()["reason"]
        far.away = False
        until(lambda: live.number() == 1 and live.status()["state"] == "serving" and len(seen) == 4)
        assert [event.kind for event in seen] == ["loaded", "stale", "recovered", "swapped"]
    far.away = True
    with pytest.raises(StoreError):
        again(vault).live("m@prod", offline="fail")


def test_a_slow_store_is_waited_for_as_long_as_is_said(vault, far, monkeypatch):
    far.seconds = 3.0
    with pytest.raises(StoreError, match="within"):
        again(vault).live("m@prod", timeout=0.2)
    far.seconds = 0.0
    again(vault).live("m@prod", refresh=None).close()
    far.seconds = 3.0
    monkeypatch.setattr("modelvault.serving.bringing._PATIENCE", 0.2)
    began = time.monotonic()
    with again(vault).live("m@prod", refresh=None) as live:
        assert time.monotonic() - began < 2.5, "it does not wait where it has something to fall back on"
        assert (live.number(), live.status()["state"]) == (0, "stale")


def test_a_slow_store_slows_no_call(vault, far):
    with again(vault).live("m@prod", **QUICK) as live:
        far.seconds = 1.0
        asked = far.asked["aliases"]
        until(lambda: far.asked["aliases"] > asked)
        began = time.monotonic()
        for _ in range(100):
            live.number()
        assert time.monotonic() - began < 0.5


def test_a_version_that_cannot_be_fetched_is_fetched_when_the_store_is_back(vault, far):
    vault.publish("m", Says(5, 100_000), version="2.0.0")
    with again(vault).live("m@prod", **QUICK) as live:
        vault.promote("m@prod", "2.0.0", reason="x")
        far.away = True
        until(lambda: live.status()["state"] == "stale")
        assert (live.number(), live.status()["rejected"]) == (0, {})
        far.away = False
        until(lambda: live.number() == 5)


def test_a_broken_version_on_a_cold_host_leaves_the_last_good_one(vault):
    vault.live("m@prod", refresh=None).close()
    vault.publish("m", Fails(), version="2.0.0")
    vault.promote("m@prod", "2.0.0", reason="careless")
    with again(vault).live("m@prod", refresh=None) as live:
        status = live.status()
        assert (status["version"], status["state"], status["wanted"]) == ("1.0.0", "held", "2.0.0")
        assert "no such luck" in status["reason"]


def test_an_alias_that_went_backwards_is_told_from_a_rollback(vault, far, tmp_path):
    before = dict(far.inner._objects)
    vault.promote("m@prod", "1.1.0", reason="x")
    vault.live("m@prod", refresh=None).close()
    far.inner._objects.clear()
    far.inner._objects.update(before)
    with again(vault).live("m@prod", refresh=None) as live:
        assert (live.version, live.status()["state"]) == ("1.1.0", "held")
        assert "alias-went-backwards" in live.status()["reason"]
        with pytest.raises(Corrupt):
            live.refresh()
    with pytest.raises(Corrupt):
        again(vault).live("m@prod", offline="fail")


def test_a_local_vault_that_was_set_back_is_noticed_by_what_has_served(tmp_path):
    vault = numbers(Vault(LocalStore(tmp_path / "vault"), cache=tmp_path / "cache"))
    shutil.copytree(tmp_path / "vault", tmp_path / "copy")
    vault.promote("m@prod", "1.1.0", reason="x")
    vault.live("m@prod", refresh=None).close()
    shutil.rmtree(tmp_path / "vault")
    (tmp_path / "copy").rename(tmp_path / "vault")
    with Vault(LocalStore(tmp_path / "vault"), cache=tmp_path / "cache").live("m@prod", refresh=None) as live:
        assert (live.version, live.status()["state"]) == ("1.1.0", "held")
        assert "alias-went-backwards" in live.status()["reason"]


def test_a_cache_that_is_damaged_is_no_obstacle(vault, far, tmp_path):
    vault.publish("m", Says(5, 100_000), version="2.0.0")
    vault.promote("m@prod", "2.0.0", reason="x")
    vault.live("m@prod", refresh=None).close()
    for path in (tmp_path / "cache").rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            path.write_bytes(os.urandom(path.stat().st_size))
    with again(vault).live("m@prod", refresh=None) as live:
        assert (live.number(), live.torn(), live.status()["state"]) == (5, False, "serving")
    for path in (tmp_path / "cache" / "live").rglob("*.json"):
        path.write_text('{"hostile":true}')
    far.away = True
    with pytest.raises(StoreError):
        again(vault).live("m@prod", refresh=None)


def test_without_a_cache_it_follows_all_the_same(far):
    vault = numbers(Vault(far, cache=False, trust="pickle"))
    with vault.live("m@prod", **QUICK) as live:
        vault.promote("m@prod", "1.1.0", reason="x")
        until(lambda: live.number() == 1)


def test_the_store_is_asked_once_per_interval_however_many_follow(vault, far):
    lives = [again(vault).live("m@prod", refresh=1.0, isolate=False) for _ in range(6)]
    time.sleep(1.3)
    began, asked = time.monotonic(), far.asked["aliases"]
    time.sleep(5.0)
    count, took = far.asked["aliases"] - asked, time.monotonic() - began
    assert 2 <= count <= took / 1.0 + 1
    vault.promote("m@prod", "1.1.0", reason="x")
    until(lambda: all(live.version == "1.1.0" for live in lives), 10)
    for live in lives:
        live.close()


def test_a_lock_that_is_never_let_go_stops_nobody(vault, tmp_path):
    with again(vault).live("m@prod", **QUICK) as live:
        lock = until(lambda: next((tmp_path / "cache" / "live").rglob("*.lock"), None))
        with open(lock) as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            vault.promote("m@prod", "1.1.0", reason="x")
            until(lambda: live.number() == 1)


def test_failures_are_followed_by_longer_pauses(vault, far):
    from modelvault.serving.poll import pause

    assert all(0.75 * 5 <= pause(5.0) <= 1.25 * 5 for _ in range(100))
    assert all(5 <= pause(5.0, shared=True) <= 1.25 * 5 for _ in range(100))
    assert all(0.75 * 40 <= pause(5.0, failures=3) <= 1.25 * 40 for _ in range(100))
    assert all(pause(5.0, failures=1000) <= 1.25 * 300 for _ in range(100))
    assert all(0.75 * 30 <= pause(5.0, since_move=86_400) for _ in range(100))
    assert all(0.75 * 600 <= pause(600.0, failures=5) for _ in range(100))


def test_an_alias_that_is_retired_does_not_start_and_stops_nobody(vault):
    from modelvault import layout
    from modelvault.stores import Key
    from modelvault.wire import Move, record, seal

    with again(vault).live("m@prod", refresh=None, isolate=False) as live:
        catalog = again(vault)._catalog
        newest = catalog.newest("m", "prod")
        stored = catalog.records.read(Move, layout.entry(layout.journal("m", "prod"), newest.seq))
        said = {"model": "m", "alias": "prod", "seq": newest.seq + 1, "prev": stored.digest, "txn": "0" * 32}
        retired = record(Move, **said, kind="retire", undo=1, actor="a", reason="no more", at=newest.at)
        vault._store.create(Key(layout.entry(layout.journal("m", "prod"), newest.seq + 1)), seal(retired))
        assert live.refresh() is None
        assert (live.number(), live.status()["state"]) == (0, "held")
        assert "is retired: no more" in live.status()["reason"]
        with pytest.raises(NotFound):
            again(vault).live("m@prod")
        vault.promote("m@prod", "1.1.0", reason="back")
        live.refresh()
        assert (live.number(), live.status()["state"]) == (1, "serving")
