"""The suite finds what is wrong with a store: each broken store fails the law that it breaks."""

import time

import pytest

from modelvault.errors import StoreError
from modelvault.stores import KeyExists, KeyMissing, Span
from modelvault.stores.memory import MemoryStore
from modelvault.testing import StoreSuite


class Overwrites(MemoryStore):
    def create(self, key, data):
        self.delete(key)
        super().create(key, data)


class LooksThenWrites(MemoryStore):
    def create(self, key, data):
        if [*self.list(key)]:
            raise KeyExists(key)
        data = data if isinstance(data, bytes) else b"".join(data.chunks())
        time.sleep(0.001)  # as a request takes
        self._objects[key] = data


class WritesInPieces(MemoryStore):
    def create(self, key, data):
        super().create(key, b"")
        data = data if isinstance(data, bytes) else b"".join(data.chunks())
        for cut in range(0, len(data) + 1, len(data) // 8 or 1):
            self._objects[key] = data[:cut]
            time.sleep(0.001)
        self._objects[key] = data


class KeepsHalfOfAFailure(MemoryStore):
    def create(self, key, data):
        if not isinstance(data, bytes):
            got = []
            try:
                got.extend(data.chunks())
            finally:
                super().create(key, b"".join(got))
        else:
            super().create(key, data)


class BelievesTheSize(MemoryStore):
    def create(self, key, data):
        super().create(key, data if isinstance(data, bytes) else b"".join(data.chunks()))


class HoldsAll(MemoryStore):
    pass


class ReplacesWhatIsEmpty(MemoryStore):
    def create(self, key, data):
        if self._objects.get(key) == b"":
            self.delete(key)
        super().create(key, data)


class TakesAnyKey(MemoryStore):
    def delete(self, key):
        self._objects.pop(key, None)


class ChecksPrefixesLate(MemoryStore):
    def list(self, prefix, *, limit=None):
        yield from super().list(prefix, limit=limit)


class SaysStoreErrorForMissing(MemoryStore):
    def read(self, key):
        try:
            return super().read(key)
        except KeyMissing:
            raise StoreError("404", code="store-failed") from None


class ReadsAnything(MemoryStore):
    def read(self, key):
        return self._object(key)


class ReadsShort(MemoryStore):
    def fetch(self, key, spans, sink):
        data = self._object(key)
        for at, length in spans:
            sink(at, data[at : at + length])


class FetchesTheFirstSpan(MemoryStore):
    def fetch(self, key, spans, sink):
        super().fetch(key, spans[:1], sink)


class FetchesBackwards(MemoryStore):
    def fetch(self, key, spans, sink):
        pieces = [Span(at, min(1000, o + n - at)) for o, n in spans for at in range(o, o + n, 1000)]
        super().fetch(key, pieces[::-1], sink)


class SwallowsErrorsOfSinks(MemoryStore):
    def fetch(self, key, spans, sink):
        try:
            super().fetch(key, spans, sink)
        except OSError as error:
            raise StoreError("failed", code="store-failed") from error


class DeletesOnce(MemoryStore):
    def delete(self, key):
        self.read(key)
        super().delete(key)


class DeletesFolders(MemoryStore):
    def delete(self, key):
        super().delete(key)
        for below in [k for k in self._objects if k.startswith(key + "/")]:
            super().delete(below)


class ListsInAnyOrder(MemoryStore):
    def list(self, prefix, *, limit=None):
        return iter([*super().list(prefix, limit=limit)][::-1])


class ListsAPage(MemoryStore):
    def list(self, prefix, *, limit=None):
        return super().list(prefix, limit=min(limit or 1000, 1000))


class ListsAll(MemoryStore):
    def list(self, prefix, *, limit=None):
        return super().list(prefix)


class RemembersFolders(MemoryStore):
    def __init__(self):
        super().__init__()
        self.folders = set()

    def create(self, key, data):
        super().create(key, data)
        self.folders.add(key.partition("/")[0] + "/")

    def list(self, prefix, *, limit=None):
        found = {*super().list(prefix)} | ({(folder, 0) for folder in self.folders} if prefix == "" else set())
        return iter(sorted(found)[:limit])


class SaysItsPassword(MemoryStore):
    def __init__(self):
        super().__init__("user:secret@host")


KEY_TOO_MANY = "a//b"
BROKEN = [
    (Overwrites, "nothing_is_ever_replaced", {"second": b"two"}),
    (LooksThenWrites, "of_many_threads_one_creates", {}),
    (WritesInPieces, "of_many_threads_one_creates", {}),
    (KeepsHalfOfAFailure, "a_source_that_raises_leaves_nothing", {"sound": 1, "error": RuntimeError()}),
    (BelievesTheSize, "a_source_that_miscounts_leaves_nothing", {"sound": 99}),
    (HoldsAll, "a_source_is_not_held_whole", {}),
    (ReplacesWhatIsEmpty, "an_empty_object_is_not_replaced_either", {}),
    (TakesAnyKey, "a_malformed_key_is_refused_by_every_verb", {"key": KEY_TOO_MANY}),
    (ChecksPrefixesLate, "a_malformed_prefix_is_refused_at_the_call", {"prefix": KEY_TOO_MANY}),
    (SaysStoreErrorForMissing, "what_is_not_there_is_missing", {}),
    (ReadsAnything, "an_object_too_large_for_a_record_is_fetched_and_not_read", {}),
    (ReadsShort, "an_object_that_ends_before_a_span_is_corrupt", {"span": Span(0, 11)}),
    (FetchesTheFirstSpan, "spans_are_fetched_whole_and_each_in_order", {}),
    (FetchesBackwards, "the_chunks_of_a_span_come_in_order", {}),
    (SwallowsErrorsOfSinks, "what_a_sink_raises_comes_out_unchanged", {}),
    (DeletesOnce, "deleting_twice_is_deleting_once", {}),
    (DeletesFolders, "deleting_twice_is_deleting_once", {}),
    (ListsInAnyOrder, "a_listing_is_one_level_in_order", {}),
    (ListsInAnyOrder, "a_listing_is_what_the_model_says", {}),
    (ListsAPage, "a_long_listing_is_whole", {}),
    (ListsAll, "a_limit_takes_the_first", {"limit": 1}),
    (RemembersFolders, "a_folder_is_listed_while_an_object_is_below_it", {}),
    (SaysItsPassword, "it_has_all_verbs_and_says_where_it_is", {}),
]


@pytest.mark.parametrize(("broken", "law", "given"), BROKEN, ids=[f"{b.__name__}-{law}" for b, law, _ in BROKEN])
def test_a_broken_store_fails_the_law_it_breaks(broken, law, given):
    suite = StoreSuite()
    suite.rounds = 5
    with pytest.raises((Exception, pytest.fail.Exception)) as verdict:
        getattr(suite, f"test_{law}")(broken(), **given)
    assert not isinstance(verdict.value, TypeError)


@pytest.mark.parametrize(("broken", "law", "given"), BROKEN, ids=[f"{b.__name__}-{law}" for b, law, _ in BROKEN])
def test_a_sound_store_keeps_it(broken, law, given):
    suite = StoreSuite()
    suite.streams = False
    if law != "a_source_is_not_held_whole":
        getattr(suite, f"test_{law}")(MemoryStore(), **given)


def test_a_store_that_does_not_decide_is_not_raced():
    store = MemoryStore()
    store.exclusive = False
    with pytest.raises(pytest.skip.Exception):
        StoreSuite().test_of_many_threads_one_creates(store)
