"""In doubt, `commit` reads back: its truth table, and that it is right whatever fails."""

import errno
import itertools
import os
import stat

import pytest

from modelvault.errors import Code, CommitUncertain, Corrupt, InvalidInput, StoreError, Untrusted
from modelvault.stores import READ_LIMIT, Key, KeyExists, KeyMissing, Taken
from modelvault.stores.commit import commit
from modelvault.stores.local import LocalStore
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import Recording, Wrapper
from modelvault.testing import Crash, Fault, FaultStore

KEY = Key("models/fraud/aliases/prod/9999999998.json")
OURS, THEIRS = b'{"txn":"ours"}', b'{"txn":"theirs"}'


class Scripted(Wrapper):
    """Raises what the script says for each create, before or after doing it; None lets it pass."""

    def __init__(self, inner, *script, read=None):
        super().__init__(inner)
        self.script = list(script)
        self.failure = read

    def create(self, key, data):
        error, done = self.script.pop(0) if self.script else (None, True)
        if done:
            self.inner.create(key, data)
        if error:
            raise error

    def read(self, key):
        if self.failure:
            raise self.failure
        return self.inner.read(key)


def failed(code=Code.STORE_FAILED):
    return StoreError("it failed", code=code)


def committed(store):
    """Commit our record; what was waited for in between."""
    waits = []
    commit(store, KEY, OURS, txn="ours", sleep=waits.append)
    assert store.inner.read(KEY) == OURS
    return waits


def test_what_is_created_is_not_read_back():
    store = Recording(MemoryStore())
    assert committed(store) == []
    assert store.counts == {"create": 1}


def test_our_own_bytes_are_success_where_the_store_says_they_exist():
    store = Recording(Scripted(MemoryStore(), (KeyExists(KEY), True)))
    commit(store, KEY, OURS, txn="ours", sleep=pytest.fail)
    assert store.counts == {"create": 1, "read": 1}


@pytest.mark.parametrize("failures", [1, 2, 3])
@pytest.mark.parametrize("code", [Code.STORE_FAILED, Code.STORE_FULL, Code.STORE_DENIED])
def test_our_own_bytes_after_a_failure_are_created_again_until_the_store_says_that_they_last(failures, code):
    script = [(failed(code), True), *[(failed(code), False)] * (failures - 1)]
    store = Recording(Scripted(MemoryStore(), *script))
    waits = []
    commit(store, KEY, OURS, txn="ours", sleep=waits.append)
    assert store.read(KEY) == OURS
    assert (failures + 1, failures) == (store.counts["create"], len(waits))


@pytest.mark.parametrize("last", [failed(), failed(Code.STORE_FULL), failed(Code.STORE_DENIED)])
def test_our_own_bytes_after_four_failures_are_uncertain(last):
    store, waits = Scripted(MemoryStore(), (failed(), True), (failed(), False), (failed(), False), (last, False)), []
    with pytest.raises(CommitUncertain) as doubt:
        commit(store, KEY, OURS, txn="ours", sleep=waits.append)
    assert (doubt.value.key, doubt.value.txn, len(waits)) == (KEY, "ours", 3)
    assert store.script == []


@pytest.mark.parametrize("last", [failed(), None])
def test_what_another_put_there_between_two_tries_is_taken(last):
    class Late(Scripted):
        def read(self, key):
            try:
                return self.inner.read(key)
            finally:
                if self.script:
                    self.inner.create(key, THEIRS)

    store = Late(MemoryStore(), (failed(), False), (last, last is None))
    with pytest.raises(Taken):
        commit(store, KEY, OURS, txn="ours", sleep=lambda _: None)


@pytest.mark.parametrize("error", [failed(), failed(Code.STORE_FULL), None])
def test_other_bytes_are_taken(error):
    store = MemoryStore()
    store.create(KEY, THEIRS)
    with pytest.raises(Taken) as lost:
        commit(Scripted(store, (error, error is None)), KEY, OURS, txn="ours", sleep=pytest.fail)
    assert (lost.value.ref, lost.value.existing, lost.value.code) == (KEY, THEIRS, Code.KEY_EXISTS)
    assert store.read(KEY) == THEIRS


@pytest.mark.parametrize("other", [b"", OURS[:-1], OURS + b" "])
def test_nearly_our_bytes_are_others(other):
    store = MemoryStore()
    store.create(KEY, other)
    with pytest.raises(Taken):
        commit(store, KEY, OURS, txn="ours")


@pytest.mark.parametrize("error", [failed(), KeyExists(KEY), failed(Code.STORE_FULL)])
@pytest.mark.parametrize(
    "unreadable",
    [failed(), failed(Code.STORE_DENIED), Corrupt("", code=Code.TOO_LARGE), Untrusted("", code=Code.UNSAFE_FOLDER)],
)
@pytest.mark.parametrize("done", [True, False])
def test_what_cannot_be_read_back_is_uncertain(error, unreadable, done):
    with pytest.raises(CommitUncertain) as doubt:
        commit(Scripted(MemoryStore(), (error, done), read=unreadable), KEY, OURS, txn="ours", sleep=pytest.fail)
    assert (doubt.value.key, doubt.value.txn, doubt.value.code) == (KEY, "ours", Code.COMMIT_UNCERTAIN)
    assert unreadable is doubt.value.__cause__
    assert "ours" in doubt.value.hint


def test_who_may_neither_write_nor_read_is_told_so():
    denied = failed(Code.STORE_DENIED)
    with pytest.raises(StoreError) as failure:
        commit(Scripted(MemoryStore(), (denied, False), read=failed(Code.STORE_DENIED)), KEY, OURS, txn="ours")
    assert denied is failure.value


def test_a_wait_that_the_store_asks_for_is_kept_to():
    store = Scripted(MemoryStore(), (StoreError("busy", code=Code.STORE_BUSY, retry_after=7.0), False))
    (wait,) = committed(store)
    assert 7.0 <= wait <= 10.5


def test_a_store_that_asks_for_an_hour_gets_no_other_try():
    busy = StoreError("busy", code=Code.STORE_BUSY, retry_after=3600.0)
    with pytest.raises(StoreError) as failure:
        commit(Scripted(MemoryStore(), (busy, False)), KEY, OURS, txn="ours", sleep=pytest.fail)
    assert busy is failure.value


@pytest.mark.parametrize("code", [Code.STORE_FULL, Code.STORE_DENIED])
def test_a_refusal_of_the_store_is_final(code):
    store = Scripted(MemoryStore(), (failed(code), False))
    with pytest.raises(StoreError) as failure:
        commit(store, KEY, OURS, txn="ours", sleep=pytest.fail)
    assert code == failure.value.code


@pytest.mark.parametrize("failures", [1, 2, 3])
@pytest.mark.parametrize("error", [failed(), KeyExists(KEY)])
def test_what_is_absent_is_created_again(failures, error):
    waits = committed(Scripted(MemoryStore(), *[(error, False)] * failures))
    assert failures == len(waits)
    assert all(0.05 * 2**n <= wait <= 0.1 * 2**n for n, wait in enumerate(waits))


def test_four_failures_are_the_last_of_them():
    errors = [failed(), failed(), KeyExists(KEY), failed()]
    store, waits = Scripted(MemoryStore(), *[(error, False) for error in errors]), []
    with pytest.raises(StoreError) as failure:
        commit(store, KEY, OURS, txn="ours", sleep=waits.append)
    assert errors[3] is failure.value
    assert len(waits) == 3
    assert store.script == []


def test_a_store_that_says_exists_and_has_nothing_is_uncertain():
    store, waits = Scripted(MemoryStore(), *[(KeyExists(KEY), False)] * 4), []
    with pytest.raises(CommitUncertain):
        commit(store, KEY, OURS, txn="ours", sleep=waits.append)
    assert len(waits) == 3


def test_a_record_that_could_not_be_read_back_is_not_written():
    store = Recording(MemoryStore())
    with pytest.raises(InvalidInput) as refusal:
        commit(store, KEY, bytes(READ_LIMIT + 1), txn="ours")
    assert refusal.value.code == Code.TOO_LARGE
    assert store.operations == []


def test_a_malformed_key_is_no_doubt():
    with pytest.raises(InvalidInput):
        commit(MemoryStore(), Key("a//b"), OURS, txn="ours")


@pytest.mark.parametrize("theirs", [None, THEIRS])
@pytest.mark.parametrize(
    "fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.ERROR_BEFORE, Fault.ERROR_AFTER, Fault.EXISTS_AFTER]
)
@pytest.mark.parametrize("lasting", [False, True])
def test_what_commit_says_is_so_wherever_a_fault_strikes(fault, lasting, theirs):
    for at in itertools.count(1):
        inner = MemoryStore()
        if theirs:
            inner.create(KEY, theirs)
        record = Recording(inner)
        store = FaultStore(record, fault, at=at, lasting=lasting)
        said = outcome(store)
        stored = inner._objects.get(KEY)
        assert stored in {theirs or OURS, theirs}
        assert said != "done" or stored == OURS
        assert said != "taken" or stored == THEIRS
        assert said != "failed" or stored is None
        assert record.counts["delete"] == 0
        if not store.struck:
            assert ("taken" if theirs else "done") == said
            break
    assert at <= 10


def outcome(store):
    try:
        commit(store, KEY, OURS, txn="ours", sleep=lambda _: None)
    except Crash:
        return "dead"
    except Taken:
        return "taken"
    except StoreError:
        return "failed"
    except CommitUncertain:
        return "uncertain"
    return "done"


@pytest.mark.parametrize("lasting", [False, True])
def test_a_folder_that_could_not_be_flushed_is_flushed_again_or_it_is_uncertain(tmp_path, monkeypatch, lasting):
    store, fsync, flushed = LocalStore(tmp_path), os.fsync, []
    store.create(Key(f"{KEY}.old"), b"")  # so that the folders are there

    def failing(descriptor):
        fsync(descriptor)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            flushed.append(descriptor)
            if lasting or len(flushed) == 1:
                raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", failing)
    assert outcome(store) == ("uncertain" if lasting else "done")
    assert len(flushed) == (4 if lasting else 2)
    assert store.read(KEY) == OURS


def test_a_lying_store_is_found_out():
    store = FaultStore(FaultStore(MemoryStore(), Fault.TORN), Fault.ERROR_AFTER, verbs=["create"])
    with pytest.raises(Taken) as lost:
        commit(store, KEY, OURS, txn="ours")
    assert OURS[:7] == lost.value.existing


def test_missing_is_not_an_error_of_the_store():
    assert not issubclass(KeyMissing, StoreError)  # a read-back of nothing must not be taken for a failure
