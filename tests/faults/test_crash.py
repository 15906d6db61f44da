"""A process may die at any moment of any verb: what it did is there whole, or not at all, and it can be done again."""

import itertools
import os
import random
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from modelvault.errors import Corrupt
from modelvault.stores.local import LocalStore
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import Recording
from modelvault.testing.faults import Crash, Fault, FaultStore
from modelvault.vault import Vault

from .scene import VERBS, Far, Verb, added, call_again, copied, no_object_was_removed, past, seen

every_verb = pytest.mark.parametrize("verb", VERBS, ids=str)


def _operations(verb: Verb, base: MemoryStore) -> range:
    """The numbers of the operations that the verb takes on a copy of `base`."""
    store = copied(base)
    verb.call(Vault(store))
    return range(1, len(store.operations) + 1)


def _deaths(verb: Verb, base: MemoryStore, chosen: Callable[[], bool] = lambda: True) -> Iterator[Recording]:
    """Copies of `base`, in each of which the verb has died before or after one of its operations, in order."""
    for at, fault in itertools.product(_operations(verb, base), (Fault.CRASH_BEFORE, Fault.CRASH_AFTER)):
        if chosen():
            store = copied(base)
            faulty = FaultStore(store, fault, at=at)
            try:
                verb.call(Vault(faulty))
            except Crash:
                yield store
            assert faulty.struck  # a read that finds nothing may be survived


# --- between the operations of a store -----------------------------------------------------------------------------


@every_verb
def test_a_verb_that_dies_at_any_operation_is_done_or_not_and_can_be_called_again(verb: Verb) -> None:
    base = verb.store()
    before = seen(base)
    done = []
    for store in _deaths(verb, base):
        done.append(len(added(before, seen(store))))
        call_again(verb, Vault(store), store, before)
        assert no_object_was_removed(store)
    assert done == [0] * (len(done) - 1) + [1]  # the commit point is the last operation


def _die_twice(verb: Verb, chosen: Callable[[], bool]) -> int:
    base = verb.store()
    before = seen(base)
    pairs = 0
    for once in _deaths(verb, base):
        for twice in _deaths(verb, once.inner, chosen):
            done = len(added(before, seen(twice)))
            assert done <= (2 if verb.repeats else 1)
            if done < 2:
                call_again(verb, Vault(twice), twice, before)
            assert no_object_was_removed(twice)
            pairs += 1
    return pairs


@every_verb
def test_a_retry_may_die_as_well(verb: Verb) -> None:
    draws = random.Random(11)
    assert _die_twice(verb, lambda: draws.random() < 0.1) > 0


@pytest.mark.long
@every_verb
def test_a_retry_may_die_as_well_at_every_pair_of_operations(verb: Verb) -> None:
    assert _die_twice(verb, lambda: True) > 0


@every_verb
def test_half_a_blob_is_stepped_around_and_half_a_record_is_reported(verb: Verb) -> None:
    """A store that breaks its promise: what it tore is never taken for whole."""
    base = verb.store()
    before = seen(base)
    for at, key in enumerate(_created(verb, base), start=1):
        store = copied(base)
        with pytest.raises(Crash):
            verb.call(Vault(FaultStore(store, Fault.CRASH_TORN, at=at)))
        if key.startswith("blobs/"):
            assert added(before, seen(store)) == []
            call_again(verb, Vault(store), store, before)
            call_again(verb, Vault(store), store, before)  # whose blob stands elsewhere now, and is the same content
        else:
            assert not Vault(store).verify().ok
            assert verb.name == "publish-bump" or _is_refused(verb, store)  # the next number is free
            assert not Vault(store).verify().ok
        assert no_object_was_removed(store)


def _is_refused(verb: Verb, store: Recording) -> bool:
    with pytest.raises(Corrupt):
        verb.call(Vault(store))
    return True


def _created(verb: Verb, base: MemoryStore) -> list[str]:
    store = copied(base)
    verb.call(Vault(store))
    return [operation.key for operation in store.operations if operation.verb == "create"]


# --- between the calls to the operating system ---------------------------------------------------------------------


_CHANGES = ("open", "write", "fsync", "link", "unlink", "mkdir", "rename", "rmdir")


def _mortal(at: int) -> None:
    """Make this process die at the moment `at`: before a call that changes a disk, or with half of a write done."""
    moments = itertools.count(1)

    def moment(last: Callable[[], object] = lambda: None) -> None:
        if next(moments) == at:
            last()
            os._exit(_DEAD)

    def counted(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def dying(*args: Any, **named: Any) -> Any:
            if name != "open" or args[1] & os.O_CREAT:
                moment()
            if name == "write":
                moment(lambda: call(args[0], args[1][: len(args[1]) // 2]))
            return call(*args, **named)

        return dying

    for name in _CHANGES:
        setattr(os, name, counted(name, getattr(os, name)))
    os.supports_dir_fd.add(os.open)


_DEAD, _DONE, _FAILED = 9, 0, 1


def _in_a_process(work: Callable[[], object]) -> int:
    """The exit code of a new process that does `work`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the threads of pytest: the child needs none of them
        child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            os._exit(_FAILED)
        os._exit(_DONE)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _dying(work: Callable[[Vault], object], vault: Vault, moment: int) -> Callable[[], object]:
    def die() -> None:
        _mortal(moment)
        work(vault)

    return die


def _kills(verb: Verb, at: Path, moments: Iterable[int]) -> Iterator[LocalStore]:
    """For each of `moments` a vault where a process has died at that moment of the verb, until one has survived."""
    base = at / "base"
    verb.given(Vault(LocalStore(base)))
    for moment in moments:
        root = at / f"died-{moment}"
        if base.exists():
            shutil.copytree(base, root)
        code = _in_a_process(_dying(verb.call, Vault(LocalStore(root)), moment))
        assert code in (_DEAD, _DONE)
        yield LocalStore(root)
        shutil.rmtree(root)
        if code == _DONE:
            return


def _survive(verb: Verb, at: Path, moments: Iterable[int]) -> list[int]:
    """Look at what each death left, and call the verb again; whether it had been done, for each."""
    done = []
    for store in _kills(verb, at, moments):
        before = seen(LocalStore(at / "base"))
        recording = Recording(store)
        done.append(len(added(before, seen(recording))))
        call_again(verb, Vault(recording), recording, before)
        assert no_object_was_removed(recording)
    return done


@every_verb
def test_a_killed_process_leaves_a_verb_done_or_not_on_a_disk(verb: Verb, tmp_path: Path) -> None:
    first = random.Random(verb.name).randrange(1, 6)
    done = _survive(verb, tmp_path, range(first, 1_000, 5))
    assert set(done) == {0, 1}
    assert done == sorted(done)


@pytest.mark.long
@every_verb
def test_a_killed_process_leaves_a_verb_done_or_not_on_a_disk_at_every_call(verb: Verb, tmp_path: Path) -> None:
    done = _survive(verb, tmp_path, itertools.count(1))
    assert set(done) == {0, 1}
    assert done == sorted(done)


READS = {
    "load": lambda vault: vault.load("fraud@prod"),
    "load-files": lambda vault: {path.name: path.read_bytes() for path in vault.load("fraud:2.0.0").glob("*.bin")},
    "load-pinned": lambda vault: vault.load("fraud:1.0.0"),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_killed_reader_leaves_a_cache_that_serves(read: Callable[[Vault], Any], tmp_path: Path) -> None:
    base = MemoryStore()
    past(Vault(base))
    Vault(base).publish("fraud", Path("trained"), version="2.0.0")
    expected = read(Vault(base, cache=tmp_path / "cache"))

    def opened(moment: int) -> Vault:
        return Vault(Far(base), cache=tmp_path / f"cache-{moment}", trust="pickle")

    for moment in itertools.count(1):
        code = _in_a_process(_dying(read, opened(moment), moment))
        assert expected == read(opened(moment))
        if code == _DONE:
            break
        assert code == _DEAD
    assert moment > 10
