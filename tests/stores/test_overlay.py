"""An overlay is a store, and what happens in it happens to nobody."""

import os

import pytest

from modelvault.errors import StoreError
from modelvault.stores import Key, KeyExists, KeyMissing
from modelvault.stores.local import LocalStore
from modelvault.stores.memory import MemoryStore
from modelvault.stores.overlay import overlay
from modelvault.stores.port import Local
from modelvault.testing import StoreSuite
from modelvault.vault import Vault

ORIGIN = Key("modelvault.json")


class TestOverlay(StoreSuite):
    streams = False

    @pytest.fixture
    def store(self):
        return overlay(MemoryStore(), "try", ORIGIN)

    def opener(self, store):
        return None


@pytest.fixture(params=["memory", "local"])
def inner(request, tmp_path):
    store = MemoryStore("x") if request.param == "memory" else LocalStore(str(tmp_path / "vault"))
    vault = Vault(store)
    vault.publish("fraud", os.urandom(100_000), version="1.0.0")
    vault.promote("fraud@prod", "1.0.0", reason="first")
    return store


def keys(store, prefix=""):
    for entry in store.list(prefix):
        yield from keys(store, entry.key) if entry.key.endswith("/") else [entry.key]


def test_the_store_below_is_read_and_never_written_to(inner):
    before = list(keys(inner))
    store = overlay(inner, "try", ORIGIN)
    vault = Vault(store)
    assert list(keys(store)) == before
    vault.publish("fraud", os.urandom(100_000), version="2.0.0")
    vault.promote("fraud@prod", "2.0.0", reason="better")
    vault.rollback("fraud@prod", reason="worse")
    vault.publish("other", 1)
    assert [move.version for move in vault.history("fraud@prod")] == ["1.0.0", "2.0.0", "1.0.0"]
    assert vault.models() == ["fraud", "other"]
    assert vault.verify().ok
    assert list(keys(inner)) == before
    assert sorted([*before, *store.created]) == list(keys(store))
    assert Vault(inner).models() == ["fraud"]
    assert Vault(overlay(inner, "next", ORIGIN)).models() == ["fraud"]


def test_both_are_listed_as_one(inner):
    store = overlay(inner, "try", ORIGIN)
    store.create(Key("models/fraud/versions/0.9.0.json"), b"a")
    store.create(Key("models/abc/versions/1.0.0.json"), b"abc")
    assert [entry.key for entry in store.list("models/")] == ["models/abc/", "models/fraud/"]
    assert [entry.key[-10:] for entry in store.list("models/fraud/versions/")] == ["0.9.0.json", "1.0.0.json"]
    assert [entry.key for entry in store.list("models/", limit=1)] == ["models/abc/"]
    assert [entry.key for entry in store.list("models/fraud/versions/1", limit=1)] == [
        "models/fraud/versions/1.0.0.json"
    ]


def test_what_is_below_is_not_created_again_and_not_deleted(inner):
    store = overlay(inner, "try", ORIGIN)
    with pytest.raises(KeyExists):
        store.create(ORIGIN, b"x")
    with pytest.raises(StoreError):
        store.delete(ORIGIN)
    store.create(Key("a"), b"x")
    store.delete(Key("a"))
    with pytest.raises(KeyMissing):
        store.read(Key("a"))
    assert store.created == ()


def test_what_is_created_is_as_private_as_what_it_follows(tmp_path):
    for mode, private in ((0o700, True), (0o777, False)):
        folder = tmp_path / str(private)
        inner = LocalStore(str(folder))
        Vault(inner).publish("fraud", 1)
        store = overlay(inner, "try", ORIGIN)
        store.create(Key("a"), b"x")
        folder.chmod(mode)
        assert inner.private(ORIGIN) is store.private(Key("a")) is private
        assert not overlay(inner, "try", Key("nothing")).private(Key("nothing"))


def test_files_are_mapped_where_they_lie_and_only_over_files(inner):
    store = overlay(inner, "try", ORIGIN)
    assert isinstance(store, Local) is isinstance(inner, Local)
    if isinstance(store, Local):
        with store.open(ORIGIN) as file:
            assert os.pread(file, 9, 0) == inner.read(ORIGIN)[:9]
        store.create(Key("a"), b"x")
        with pytest.raises(KeyMissing), store.open(Key("a")):
            pass


def test_trouble_is_met_before_each_operation(inner):
    store = overlay(inner, "try", ORIGIN)
    met = []
    store.trouble = met.append
    store.read(ORIGIN)
    list(store.list("models/"))
    store.create(Key("a"), b"x")
    assert [(one.verb, one.key) for one in met] == [("read", ORIGIN), ("list", "models/"), ("create", "a")]
