"""The memory store keeps the laws, and names are shared within a process only through `connect`."""

import pickle

import pytest

from modelvault.stores import Key, connect
from modelvault.stores.memory import MemoryStore
from modelvault.testing import StoreSuite


class TestMemory(StoreSuite):
    streams = False

    @pytest.fixture
    def store(self):
        return MemoryStore()

    def opener(self, store):
        return None


def test_connect_shares_by_name():
    one, same, other = connect("memory://one"), connect("memory://one"), connect("memory://other")
    one.create(Key("a"), b"x")
    assert same.read(Key("a")) == b"x"
    assert [*other.list("")] == []
    assert one.url == "memory://one"


def test_two_of_one_name_are_two_stores():
    MemoryStore("n").create(Key("a"), b"x")
    assert [*MemoryStore("n").list("")] == []


def test_memory_is_private_and_does_not_travel():
    store = MemoryStore()
    assert store.private(Key("a"))
    with pytest.raises(TypeError):
        pickle.dumps(store)
