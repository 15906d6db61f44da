"""Before the first write to a vault its store must show that it refuses to replace what is there."""

import json

import pytest

from modelvault.errors import Code, Unsupported
from modelvault.stores import KeyExists
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import Wrapper
from modelvault.vault import Vault


class Far(Wrapper):
    """A store that is behind a network, as its URL says."""

    url = "s3://bucket"


class Overwrites(Far):
    def create(self, key, data):
        self.inner.delete(key)
        self.inner.create(key, data)


class RefusesAndReplaces(Overwrites):
    def create(self, key, data):
        there = [*self.inner.list(key)]
        super().create(key, data)
        if there:
            raise KeyExists(key)


def refused(vault, verb=lambda vault: vault.publish("m", 1)):
    with pytest.raises(Unsupported) as refusal:
        verb(vault)
    assert refusal.value.code == Code.NO_EXCLUSIVE_CREATE
    assert "single_writer=True" in refusal.value.hint
    return str(refusal.value)


@pytest.mark.parametrize("kind", [Overwrites, RefusesAndReplaces])
def test_a_store_that_replaces_is_refused_before_there_is_a_vault(kind):
    store = kind(MemoryStore())
    assert "replaced" in refused(Vault(store))
    assert [entry.key for entry in store.list("")] == ["self-test.json"]


def test_a_single_writer_may_use_it_and_the_vault_says_so():
    store = Overwrites(MemoryStore())
    refused(Vault(store))
    assert Vault(store, single_writer=True).publish("m", 1).number == "1.0.0"
    assert json.loads(store.read("modelvault.json"))["single_writer"] is True


def test_whoever_does_not_say_so_cannot_publish_there_even_through_a_store_that_decides():
    inner = MemoryStore()
    Vault(Overwrites(inner), single_writer=True).publish("m", 1)
    assert "single writer" in refused(Vault(Far(inner)), lambda vault: vault.publish("m", 2, bump="major"))
    assert Vault(inner, single_writer=True).publish("m", 2, bump="major").number == "2.0.0"


def test_a_vault_that_was_moved_to_such_a_store_is_refused_and_nothing_is_lost():
    inner = MemoryStore()
    Vault(Far(inner)).publish("m", 1)
    before = inner.read("modelvault.json")
    assert "replaced" in refused(Vault(Overwrites(inner)), lambda vault: vault.publish("m", 2, bump="major"))
    assert inner.read("modelvault.json") == before
    assert [version.number for version in Vault(inner).versions("m")] == ["1.0.0"]


def test_the_proof_stays_and_another_first_publisher_goes_on_from_it():
    inner = MemoryStore()
    inner.create("self-test.json", b"of one who died")
    assert Vault(Far(inner)).publish("m", 1).number == "1.0.0"
    assert inner.read("self-test.json") == b"of one who died"
    assert Vault(inner).verify().problems == ()


def test_a_store_near_by_needs_no_proof():
    store = MemoryStore()
    Vault(store).publish("m", 1)
    assert [entry.key for entry in store.list("")] == ["models/", "modelvault.json"]


@pytest.mark.parametrize("server", ["nanio", "pys3local"])
def test_a_real_server_that_overwrites_is_refused(server, request):
    place = request.getfixturevalue(f"{server}_server").place()
    assert "replaced" in refused(Vault(place.connect()))
    alone = Vault(place.connect(), single_writer=True)
    assert alone.publish("m", 1).number == "1.0.0"


@pytest.mark.parametrize("server", ["s3", "gcs", "azure", "sftp"])
def test_a_real_server_that_decides_is_not(server, request):
    place = request.getfixturevalue(f"{server}_server").place()
    Vault(place.connect()).publish("m", 1)
    again = Vault(place.connect()).publish("m", 2, bump="minor")
    assert again.number == "1.1.0"
    assert "self-test.json" in place.server.objects(place)
