"""A store may fail, lose a reply, or answer twice: what a verb reports is what has happened."""

import itertools
import math
import random
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from modelvault import layout
from modelvault.blobs import Blobs
from modelvault.canonical import digest_of
from modelvault.errors import AlreadyExists, Code, CommitUncertain, StoreError, VaultError
from modelvault.stores import Data, Key, KeyExists, Store
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import Operation, Recording, Wrapper
from modelvault.testing.faults import Fault, FaultStore
from modelvault.vault import Vault

from .scene import BLOB, VERBS, Shown, Verb, added, call_again, copied, no_object_was_removed, seen

FAULTS = (Fault.ERROR_BEFORE, Fault.ERROR_AFTER, Fault.EXISTS_AFTER)
every_verb = pytest.mark.parametrize("verb", VERBS, ids=str)


def _outcome(verb: Verb, vault: Vault) -> VaultError | None:
    try:
        verb.call(vault)
    except VaultError as error:
        return error
    return None


def _is_true(outcome: VaultError | None, done: int) -> bool:
    """Success is said where the effect is there, failure where it is not; "uncertain" may be either."""
    match outcome:
        case None:
            return done == 1
        case CommitUncertain():
            return done in (0, 1)
        case StoreError():
            return done == 0
        case _:
            return False


def _reported(verb: Verb, store: Recording, faulty: Wrapper, before: Shown) -> VaultError | None:
    """What the verb reports on the faulty store, after a proof that it is true, and that it can be called again."""
    outcome = _outcome(verb, Vault(faulty))
    assert _is_true(outcome, len(added(before, seen(store)))), repr(outcome)
    call_again(verb, Vault(store), store, before)
    assert no_object_was_removed(store)
    return outcome


def _operations(verb: Verb, base: MemoryStore) -> list[Operation]:
    store = copied(base)
    verb.call(Vault(store))
    return store.operations


def _strikes(
    verb: Verb, base: MemoryStore, fault: Fault, *, lasting: bool = False
) -> Iterator[tuple[Recording, FaultStore]]:
    """A copy of `base`, and the same with a fault, for each operation of the verb that it can happen to."""
    possible = [operation for operation in _operations(verb, base) if operation.verb in fault.verbs]
    for at in range(1, len(possible) + 1):
        store = copied(base)
        faulty = FaultStore(store, fault, at=at, lasting=lasting)
        yield store, faulty
        assert faulty.struck


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@every_verb
def test_one_fault_at_any_operation_is_reported_for_what_it_is(verb: Verb, fault: Fault) -> None:
    base = verb.store()
    before = seen(base)
    for store, faulty in _strikes(verb, base, fault):
        outcome = _reported(verb, store, faulty, before)
        assert not isinstance(outcome, CommitUncertain)  # whoever can read back, knows
        assert fault is not Fault.EXISTS_AFTER or outcome is None


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@every_verb
def test_the_same_vault_goes_on_once_a_fault_is_over(verb: Verb, fault: Fault) -> None:
    base = verb.store()
    before = seen(base)
    for store, faulty in _strikes(verb, base, fault):
        vault = Vault(faulty)
        _outcome(verb, vault)
        call_again(verb, vault, store, before)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@every_verb
def test_a_store_that_fails_from_some_operation_on_is_reported_for_what_it_is(verb: Verb, fault: Fault) -> None:
    base = verb.store()
    before = seen(base)
    for store, faulty in _strikes(verb, base, fault, lasting=True):
        _reported(verb, store, faulty, before)


@pytest.mark.parametrize("first", [Fault.ERROR_BEFORE, Fault.ERROR_AFTER], ids=lambda fault: fault.name)
@every_verb
def test_a_commit_whose_reply_and_read_back_are_lost_is_uncertain_and_says_how_to_find_out(
    verb: Verb, first: Fault
) -> None:
    base = verb.store()
    before = seen(base)
    commit = len(_operations(verb, base))
    store = copied(base)
    cut_off = FaultStore(FaultStore(store, first, at=commit), Fault.ERROR_BEFORE, at=commit + 1, lasting=True)
    outcome = _outcome(verb, Vault(cut_off))
    assert isinstance(outcome, CommitUncertain)
    there = outcome.key in store.inner._objects and outcome.txn.encode() in store.read(Key(outcome.key))
    assert there == (first is Fault.ERROR_AFTER) == bool(added(before, seen(store)))
    call_again(verb, Vault(store), store, before)
    assert no_object_was_removed(store)


def _fail_twice(verb: Verb, chosen: Callable[[], bool]) -> int:
    base = verb.store()
    before = seen(base)
    pairs = 0
    last = len(_operations(verb, base)) + 4
    for first, second in itertools.combinations(range(1, last), 2):
        for faults in filter(lambda _: chosen(), itertools.product(FAULTS[:2], repeat=2)):
            store = copied(base)
            inner = Recording(FaultStore(store, faults[0], at=first))
            outcome = _reported(verb, store, FaultStore(inner, faults[1], at=second), before)
            if isinstance(outcome, CommitUncertain):
                assert (
                    first < second
                )  # a create, and its read-back; files are stored in parallel, so others come between
                assert ("create", outcome.key) in {(one.verb, one.key) for one in inner.operations}
            pairs += 1
    return pairs


@every_verb
def test_two_faults_are_reported_for_what_they_are(verb: Verb) -> None:
    draws = random.Random(12)
    assert _fail_twice(verb, lambda: draws.random() < 0.1) > 0


@pytest.mark.long
@every_verb
def test_two_faults_at_every_pair_of_operations_are_reported_for_what_they_are(verb: Verb) -> None:
    assert _fail_twice(verb, lambda: True) > 0


class _Answering(Wrapper):
    """A store that says `answer` to its creates number `at` to `until`, and does nothing."""

    def __init__(self, inner: Store, answer: Callable[[str], VaultError], at: int, until: float) -> None:
        super().__init__(inner)
        self.creates: list[str] = []
        self._answer = answer
        self._at = at
        self._until = until

    def create(self, key: Key, data: Data) -> None:
        self.creates.append(key)
        if self._at <= len(self.creates) <= self._until:
            raise self._answer(key)
        super().create(key, data)


def _creates(verb: Verb, base: MemoryStore) -> list[str]:
    return [operation.key for operation in _operations(verb, base) if operation.verb == "create"]


@every_verb
def test_a_key_that_is_said_to_exist_and_does_not_is_created_again(verb: Verb) -> None:
    base = verb.store()
    before = seen(base)
    for at in range(1, len(_creates(verb, base)) + 1):
        store = copied(base)
        assert _reported(verb, store, _Answering(store, KeyExists, at, at), before) is None


@pytest.mark.parametrize("code", [Code.STORE_FAILED, Code.STORE_FULL, Code.STORE_BUSY])
@pytest.mark.parametrize("failures", [1, 3, 4])
def test_a_blob_that_is_there_after_a_failure_is_created_again_until_it_lasts(code: Code, failures: int) -> None:
    store = MemoryStore()
    answer = partial(StoreError, "not flushed", code=code)
    failing = _Answering(store, lambda key: answer(ref=key), 1, failures)
    store.create(Key(layout.blob(digest_of(BLOB))), BLOB)
    if failures < 4:
        assert Blobs(failing).put(BLOB) == digest_of(BLOB)
    else:
        with pytest.raises(StoreError):
            Blobs(failing).put(BLOB)
    assert len(failing.creates) == min(failures + 1, 4)
    assert len(store._objects) == 1


def test_a_blob_that_is_there_is_used_by_one_who_may_not_create_it() -> None:
    """Some services refuse who may only create, where the key is taken."""
    store = MemoryStore()
    failing = _Answering(store, lambda key: StoreError("403", code=Code.STORE_DENIED, ref=key), 1, 4)
    with pytest.raises(StoreError):
        Blobs(failing).put(BLOB)
    store.create(Key(layout.blob(digest_of(BLOB))), BLOB)
    assert Blobs(failing).put(BLOB) == digest_of(BLOB)
    assert len(failing.creates) == 2


def test_a_version_whose_blob_stands_elsewhere_is_equal_to_the_same_content_and_to_no_other() -> None:
    store = MemoryStore()
    publish = partial(Vault.publish, model="fraud", obj=BLOB, version="1.0.0")
    first = publish(Vault(_Answering(store, KeyExists, 2, 2)), params={"deep": True})
    assert first.files[0].parts[0].blob != first.files[0].digest
    assert first == publish(Vault(store), params={"deep": True})
    assert first.load() == BLOB
    for other in ({"deep": 1}, {"deep": 1.0}, {}):
        with pytest.raises(AlreadyExists):
            publish(Vault(store), params=other)
    with pytest.raises(AlreadyExists):
        publish(Vault(store), obj=BLOB[1:], params={"deep": True})


@every_verb
def test_a_key_that_is_always_said_to_exist_and_never_does_ends_in_doubt(verb: Verb) -> None:
    base = verb.store()
    before = seen(base)
    for at, key in enumerate(_creates(verb, base), start=1):
        store = copied(base)
        outcome = _reported(verb, store, _Answering(store, KeyExists, at, math.inf), before)
        assert isinstance(outcome, StoreError if key.startswith("blobs/") else CommitUncertain)


@pytest.mark.parametrize("code", [Code.STORE_FULL, Code.STORE_DENIED])
@every_verb
def test_a_store_that_refuses_is_asked_once(verb: Verb, code: Code) -> None:
    base = verb.store()
    before = seen(base)
    for at in range(1, len(_creates(verb, base)) + 1):
        store = copied(base)
        refusing = _Answering(store, lambda key: StoreError(f"{key}: no", code=code, ref=key), at, at)
        outcome = _reported(verb, store, refusing, before)
        assert isinstance(outcome, StoreError)
        assert outcome.code == code
        assert refusing.creates.count(outcome.ref) == 1
