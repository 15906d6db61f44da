"""Every fault strikes where it was told to, and nowhere else."""

import itertools

import pytest

from modelvault.errors import StoreError
from modelvault.stores import Key, KeyExists, Span
from modelvault.stores.memory import MemoryStore
from modelvault.testing import Crash, Fault, FaultStore, StoreSuite
from modelvault.testing.conformance import Streamed

KEY = Key("a/b")


class TestFaultStoreThatNeverStrikes(StoreSuite):
    streams = False

    @pytest.fixture
    def store(self):
        return FaultStore(MemoryStore(), Fault.ERROR_BEFORE, at=10**9)

    def opener(self, store):
        return None


@pytest.fixture
def inner():
    store = MemoryStore()
    store.create(Key("old"), b"0123456789")
    return store


def fetched(store):
    got = []
    store.fetch(Key("old"), [Span(0, 5), Span(5, 5)], lambda at, chunk: got.append((at, chunk)))
    return got


VERBS = {
    "read": lambda store: store.read(Key("old")),
    "create": lambda store: store.create(KEY, b"01234567"),
    "fetch": fetched,
    "list": lambda store: [*store.list("")],
    "delete": lambda store: store.delete(Key("old")),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER])
def test_a_crash_is_the_end_of_the_process(inner, verb, fault):
    store = FaultStore(inner, fault)
    with pytest.raises(Crash):
        VERBS[verb](store)
    for other in VERBS.values():
        with pytest.raises(Crash):
            other(store)
    assert (store.count, store.struck) == (1, True)


@pytest.mark.parametrize(
    ("fault", "error", "stored"),
    [
        (Fault.CRASH_BEFORE, Crash, None),
        (Fault.CRASH_AFTER, Crash, b"01234567"),
        (Fault.CRASH_TORN, Crash, b"0123"),
        (Fault.ERROR_BEFORE, StoreError, None),
        (Fault.ERROR_AFTER, StoreError, b"01234567"),
        (Fault.EXISTS_AFTER, KeyExists, b"01234567"),
        (Fault.TORN, None, b"0123"),
        (Fault.DELAY, None, b"01234567"),
    ],
)
def test_a_create_is_done_or_not_as_the_fault_says(inner, fault, error, stored):
    store = FaultStore(inner, fault, sleep=lambda _: None)
    if error:
        with pytest.raises(error):
            VERBS["create"](store)
    else:
        VERBS["create"](store)
    assert stored == (inner.read(KEY) if [*inner.list("a/")] else None)


def test_content_is_torn_in_the_middle(inner):
    FaultStore(inner, Fault.TORN).create(KEY, Streamed(100))
    assert b"".join(Streamed(100).chunks())[:50] == inner.read(KEY)


def test_a_crash_is_not_held_by_those_who_handle_errors():
    assert not issubclass(Crash, Exception)


def test_reads_are_cut_or_wrong_by_one_bit(inner):
    assert VERBS["read"](FaultStore(inner, Fault.SHORT)) == b"01234"
    assert VERBS["read"](FaultStore(inner, Fault.FLIP)) == b"0123446789"
    assert fetched(FaultStore(inner, Fault.SHORT)) == [(0, b"01"), (5, b"56789")]
    assert fetched(FaultStore(inner, Fault.FLIP)) == [(0, b"01334"), (5, b"56789")]
    inner.create(KEY, b"")
    assert FaultStore(inner, Fault.FLIP).read(KEY) == b""
    assert inner.read(Key("old")) == b"0123456789"


def test_a_stale_listing_is_the_last_one_given_or_nothing(inner):
    store = FaultStore(inner, Fault.STALE, at=2)
    first = [*store.list("")]
    inner.create(KEY, b"x")
    assert first == [*store.list("")]
    assert len([*store.list("")]) == 2
    assert [*FaultStore(inner, Fault.STALE).list("")] == []


def test_a_delay_waits_and_then_does_it(inner):
    waits = []
    store = FaultStore(inner, Fault.DELAY, at=2, seconds=7.0, sleep=waits.append)
    assert b"0123456789" == store.read(Key("old")) == store.read(Key("old")) == store.read(Key("old"))
    assert waits == [7.0]


def test_a_fault_strikes_once_at_its_number_or_from_there_on(inner):
    def strikes(**options):
        store = FaultStore(inner, Fault.ERROR_BEFORE, **options)
        return [not works(store) for _ in range(5)]

    def works(store):
        try:
            return bool(store.read(Key("old")))
        except StoreError:
            return False

    assert strikes() == [True, False, False, False, False]
    assert strikes(at=3) == [False, False, True, False, False]
    assert strikes(at=3, lasting=True) == [False, False, True, True, True]
    assert strikes(at=6) == [False] * 5


def test_only_the_verbs_that_are_meant_count(inner):
    store = FaultStore(inner, Fault.ERROR_BEFORE, at=2, verbs=["create"])
    store.read(Key("old"))
    store.create(Key("one"), b"")
    [*store.list("")]
    assert (store.count, store.struck) == (1, False)
    with pytest.raises(StoreError):
        store.create(Key("two"), b"")
    assert (store.count, store.struck) == (2, True)
    store = FaultStore(inner, Fault.FLIP)
    store.create(Key("three"), b"")
    assert store.count == 0


def test_a_fault_that_cannot_happen_to_a_verb_is_refused(inner):
    with pytest.raises(ValueError, match="TORN"):
        FaultStore(inner, Fault.TORN, verbs=["read"])


def test_a_lost_reply_and_a_failed_read_back_are_two_faults(inner):
    store = FaultStore(
        FaultStore(inner, Fault.ERROR_AFTER, verbs=["create"]), Fault.ERROR_BEFORE, verbs=["read"], lasting=True
    )
    with pytest.raises(StoreError):
        store.create(KEY, b"x")
    with pytest.raises(StoreError):
        store.read(KEY)
    assert inner.read(KEY) == b"x"


def test_all_operations_of_a_verb_are_tried_by_counting_up():
    def verb(store):
        store.create(Key("one"), b"1")
        store.read(Key("one"))
        store.create(Key("two"), b"2")

    seen = []
    for at in itertools.count(1):
        inner = MemoryStore()
        store = FaultStore(inner, Fault.CRASH_BEFORE, at=at)
        try:
            verb(store)
        except Crash:
            seen.append([entry.key for entry in inner.list("")])
        if not store.struck:
            break
    assert seen == [[], ["one"], ["one"]]
