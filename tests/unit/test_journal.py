"""Journals: contiguous, chained, contended."""

import os
import signal
import threading
from datetime import UTC, datetime, timedelta

import pytest

from modelvault import journal as module
from modelvault import layout
from modelvault.cache import Records
from modelvault.errors import Code, Conflict, Corrupt
from modelvault.journal import Journal
from modelvault.stores import Key, KeyMissing
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import Wrapper
from modelvault.wire import Note, record, seal

NOW = datetime(2026, 11, 23, tzinfo=UTC)
FOLDER = layout.notes("fraud", "1.0.0")
NAMES = {"model": "fraud", "version": "1.0.0"}


def opened(store) -> Journal[Note]:
    return Journal(Records(store), FOLDER, Note, NAMES)


def note(slot, text="x", **changes):
    members = {"model": "fraud", "version": "1.0.0", "txn": "0" * 32, "kind": "remark", "actor": "a", "at": NOW}
    return record(Note, **(members | {"seq": slot.seq, "prev": slot.prev, "text": text} | changes))


def add(journal, text, txn="0" * 32):
    return journal.append(lambda _, slot: note(slot, text, txn=txn))


def texts(journal):
    return [entry.text for entry in journal.entries()]


def test_a_new_journal_is_empty():
    journal = opened(MemoryStore())
    assert journal.newest() is None
    assert journal.entries() == []


@pytest.mark.parametrize("count", [1, 3, 40])
def test_entries_come_newest_first(count):
    store = MemoryStore()
    for number in range(count):
        add(opened(store), str(number))
    assert texts(opened(store)) == [str(number) for number in reversed(range(count))]
    assert opened(store).newest().seq == count
    assert opened(store).entry(1).text == "0"


def test_one_who_remembers_sees_what_others_added():
    store = MemoryStore()
    mine, theirs = opened(store), opened(store)
    add(mine, "a")
    add(theirs, "b")
    add(theirs, "c")
    assert mine.newest().text == "c"
    add(mine, "d")
    assert texts(theirs) == ["d", "c", "b", "a"]


def test_eight_threads_add_without_a_gap():
    store = MemoryStore()

    def work(who):
        journal = opened(store)
        for number in range(10):
            add(journal, f"{who}.{number}", txn=f"{who:016x}{number:016x}")

    threads = [threading.Thread(target=work, args=(who,)) for who in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(texts(opened(store))) == sorted(f"{who}.{number}" for who in range(8) for number in range(10))


def test_one_who_always_loses_is_told_at_last(monkeypatch):
    monkeypatch.setattr(module, "_TRIES", 3)
    store = MemoryStore()
    rival = opened(store)

    class Beaten(Wrapper):
        def create(self, key, data):
            add(rival, "faster")
            super().create(key, data)

    with pytest.raises(Conflict) as caught:
        add(opened(Beaten(store)), "slower", txn="1" * 32)
    assert caught.value.code == Code.JOURNAL_BUSY
    assert texts(rival) == ["faster"] * 3


def written(store, seq):
    return store.read(Key(layout.entry(FOLDER, seq)))


def replaced(store, seq, raw):
    key = Key(layout.entry(FOLDER, seq))
    store.delete(key)
    store.create(key, raw)


def broken(action):
    with pytest.raises(Corrupt) as caught:
        action()
    return caught.value.code


@pytest.fixture
def three() -> MemoryStore:
    store = MemoryStore()
    for text in "abc":
        add(opened(store), text)
    return store


def test_a_missing_entry_is_seen(three):
    three.delete(Key(layout.entry(FOLDER, 2)))
    assert broken(opened(three).entries) == Code.JOURNAL_BROKEN
    assert broken(lambda: opened(three).entry(2)) == Code.JOURNAL_BROKEN


def test_an_entry_at_another_place_is_seen(three):
    replaced(three, 3, written(three, 2))
    assert broken(opened(three).newest) == Code.JOURNAL_BROKEN


def test_an_entry_of_another_journal_is_seen(three):
    slot = opened(three).entry(3)
    replaced(three, 3, seal(note(slot, model="other")))
    assert broken(opened(three).newest) == Code.JOURNAL_BROKEN


def test_a_rewritten_entry_breaks_the_chain(three):
    slot = opened(three).entry(2)
    replaced(three, 2, seal(note(slot, "forged")))
    assert broken(opened(three).entries) == Code.JOURNAL_BROKEN


def test_one_who_has_seen_more_does_not_write_after_less(three):
    journal = opened(three)
    journal.newest()
    three.delete(Key(layout.entry(FOLDER, 3)))
    assert broken(lambda: add(journal, "d")) == Code.ALIAS_WENT_BACKWARDS
    assert texts(opened(three)) == ["b", "a"]


def test_one_who_has_seen_another_past_refuses_this_one(three):
    journal = opened(three)
    journal.newest()
    three.delete(Key(layout.entry(FOLDER, 3)))
    for text in "CDE":
        add(opened(three), text)
    assert broken(journal.newest) == Code.JOURNAL_BROKEN
    assert broken(lambda: add(journal, "f")) == Code.JOURNAL_BROKEN


def test_one_who_remembers_another_entry_does_not_build_on_it(three):
    journal = opened(three)
    journal.newest()
    three.delete(Key(layout.entry(FOLDER, 3)))
    add(opened(three), "another past")
    assert broken(lambda: add(journal, "d")) == Code.JOURNAL_BROKEN
    assert texts(opened(three)) == ["another past", "b", "a"]


def test_times_do_not_go_back_though_a_clock_does():
    journal = opened(MemoryStore())
    for clock in (lambda: NOW, lambda: NOW - timedelta(days=1), lambda: NOW + timedelta(days=1)):
        journal.append(lambda _, slot, clock=clock: note(slot, at=slot.at(clock)))
    assert [entry.at for entry in journal.entries()] == [NOW + timedelta(days=1), NOW, NOW]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_child_that_is_forked_while_a_thread_reads_can_read(three):
    reading, go_on = threading.Event(), threading.Event()

    class Slow(Wrapper):
        def list(self, prefix, *, limit=None):
            if threading.current_thread() is not threading.main_thread():
                reading.set()
                go_on.wait(60)
            return super().list(prefix, limit=limit)

    journal = opened(Slow(three))
    thread = threading.Thread(target=journal.newest)
    thread.start()
    reading.wait(60)
    child = os.fork()
    if not child:
        signal.alarm(20)
        os._exit(0 if journal.newest().text == "c" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    go_on.set()
    thread.join()


def test_an_entry_that_is_listed_and_not_there_is_seen(three):
    class Gone(Wrapper):
        gone = ""

        def read(self, key):
            if key == self.gone:
                raise KeyMissing(key)
            return super().read(key)

    store = Gone(three)
    journal = opened(store)
    journal.newest()
    store.gone = layout.entry(FOLDER, 3)
    assert broken(lambda: add(journal, "d")) == Code.JOURNAL_BROKEN
    assert texts(opened(three)) == ["c", "b", "a"]


def test_what_another_thread_has_seen_since_is_not_forgotten(three):
    journal = opened(three)
    old = journal._listed()
    add(journal, "d")
    journal._saw(old)
    assert journal.newest().text == "d"
