"""Wrappers pass on what they do not change."""

import threading

import pytest

from modelvault.errors import Code, StoreError
from modelvault.stores import Key, KeyExists, KeyMissing, Span, Store
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import Latency, Operation, ReadOnly, Recording, Wrapper
from modelvault.testing import StoreSuite
from modelvault.testing.conformance import Streamed

KEY = Key("a/b")


class Wrapped(StoreSuite):
    streams = False

    def opener(self, store):
        return None


class TestWrapper(Wrapped):
    @pytest.fixture
    def store(self):
        return Wrapper(MemoryStore())


class TestRecording(Wrapped):
    @pytest.fixture
    def store(self):
        return Recording(MemoryStore())


class TestLatency(Wrapped):
    @pytest.fixture
    def store(self):
        return Latency(MemoryStore(), 1.0, sleep=lambda _: None)


def every_verb(store):
    store.create(KEY, b"0123456789")
    store.read(KEY)
    store.fetch(KEY, [Span(0, 3), Span(2, 4)], lambda _at, _chunk: None)
    [*store.list("a/", limit=3)]
    store.delete(KEY)


def test_a_wrapper_says_of_itself_what_the_inner_store_says():
    inner = MemoryStore("here")
    inner.exclusive = False
    inner.private = lambda key: False
    store = ReadOnly(Latency(Recording(inner), 0.0))
    assert (store.url, store.exclusive, store.private(KEY)) == ("memory://here", False, False)
    assert isinstance(store, Store)


def test_operations_are_recorded_in_order_with_their_sizes():
    store = Recording(MemoryStore())
    every_verb(store)
    store.create(KEY, Streamed(123))
    assert [
        Operation("create", "a/b", 10),
        Operation("read", "a/b"),
        Operation("fetch", "a/b", 7),
        Operation("list", "a/"),
        Operation("delete", "a/b"),
        Operation("create", "a/b", 123),
    ] == store.operations
    assert store.counts == {"create": 2, "read": 1, "fetch": 1, "list": 1, "delete": 1}


def test_operations_that_fail_are_recorded_too():
    store = Recording(MemoryStore())
    with pytest.raises(KeyMissing):
        store.read(KEY)
    store.create(KEY, b"")
    with pytest.raises(KeyExists):
        store.create(KEY, b"x")
    assert [operation.verb for operation in store.operations] == ["read", "create", "create"]


def test_no_operation_of_many_threads_is_lost():
    store = Recording(MemoryStore())

    def work(me):
        for n in range(200):
            store.create(Key(f"{me}/{n}"), b"")
            assert store.counts["create"] > n

    threads = [threading.Thread(target=work, args=(me,)) for me in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.counts == {"create": 800}


def test_latency_waits_once_for_each_operation():
    waits = []
    every_verb(Latency(MemoryStore(), 0.25, sleep=waits.append))
    assert waits == [0.25] * 5


def test_what_is_read_only_is_read_and_not_changed():
    inner = MemoryStore()
    inner.create(KEY, b"x")
    store = ReadOnly(inner)
    for change in (lambda: store.create(Key("c"), b"y"), lambda: store.create(KEY, b"y"), lambda: store.delete(KEY)):
        with pytest.raises(StoreError) as refusal:
            change()
        assert refusal.value.code == Code.STORE_DENIED
    assert store.read(KEY) == b"x"
    assert [entry.key for entry in store.list("a/")] == ["a/b"]
