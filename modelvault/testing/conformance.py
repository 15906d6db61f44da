"""The laws of the store port, as tests that any store can be put to.

    class TestMine(StoreSuite):
        @pytest.fixture
        def store(self, tmp_path):
            return MyStore(tmp_path)

That is all, where `connect(store.url)` opens the same place from another process; else see `StoreSuite.opener`.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import threading
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelvault.errors import Code, Corrupt, InvalidInput
from modelvault.stores import READ_LIMIT, Data, Entry, Key, KeyExists, KeyMissing, Span, Store, connect
from modelvault.stores.memory import MemoryStore

__all__ = ["StoreSuite", "Streamed"]

KEY = Key("models/fraud/versions/1.4.0.json")
MEBIBYTE = 1024 * 1024
SIZES = [0, 1, 700, 8 * MEBIBYTE + 17]
MALFORMED = [
    "",
    "/",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "a/../b",
    "./a",
    ".tmp-a",
    "a/.b",
    "a b",
    "a\\b",
    "ä",
    "a\0",
    "a\n",
]
MALFORMED += ["_a", "a:b", "a" * 201, "/".join(["a" * 150] * 4)]


class Streamed:
    """`Content` of `size` pseudo-random bytes in chunks of `step`, which raises `error` after `sound` of them."""

    def __init__(self, size: int, *, step: int = 64 * 1024, sound: int | None = None, error: Exception | None = None):
        self.size = size
        self._step = step
        self._sound = size if sound is None else sound
        self._error = error

    def chunks(self) -> Iterator[bytes]:
        for at in range(0, self._sound, self._step):
            yield pattern(at, min(self._step, self._sound - at))
        if self._error:
            raise self._error


def pattern(at: int, length: int) -> bytes:
    """Bytes that tell where they stand, whatever the cut."""
    start = at % len(_BLOCK)
    return (_BLOCK * ((start + length) // len(_BLOCK) + 1))[start : start + length]


_BLOCK = bytes(range(251)) + bytes(range(250, 0, -1))


class StoreSuite:
    """Every promise of `modelvault.stores.port`.  `many`, `rounds` and `contenders` may be lowered for a slow store."""

    streams = True
    """`Content` is passed on chunk by chunk, never held whole."""
    large = 24 * MEBIBYTE
    """The size of such a `Content`, of which less than half may be held: more for a store that holds a window of parts."""
    sweeps = True
    """A folder is no longer listed as soon as its last object is deleted; some servers sweep later."""
    many = 1_050
    """The keys of a long listing: more than a page of most stores."""
    rounds = 20
    contenders = 4

    @pytest.fixture
    def store(self) -> Store:
        """An empty store."""
        raise NotImplementedError

    def opener(self, store: Store) -> Callable[[], Store] | None:
        """A call, fit to be pickled, that opens the same place in another process; None where only threads share it."""
        return partial(connect, store.url)

    # What is there, and what it says of itself

    def test_it_has_all_verbs_and_says_where_it_is(self, store: Store) -> None:
        assert isinstance(store, Store)
        assert "@" not in store.url
        assert isinstance(store.exclusive, bool)
        store.create(KEY, b"x")
        assert isinstance(store.private(KEY), bool)

    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("form", ["bytes", "content"])
    def test_what_was_created_is_read_fetched_and_listed(self, store: Store, size: int, form: str) -> None:
        whole = pattern(0, size)
        store.create(KEY, whole if form == "bytes" else Streamed(size))
        assert whole == store.read(KEY)
        assert whole == _fetched(store, KEY, [Span(0, size)])
        assert [Entry(KEY, size)] == [*store.list(KEY)]

    def test_a_second_handle_sees_it_at_once(self, store: Store) -> None:
        opened = self.opener(store)
        if opened is None:
            pytest.skip("only threads share it")
        other = opened()
        assert [*other.list("")] == []
        store.create(KEY, b"one")
        assert other.read(KEY) == b"one"
        assert [Entry(Key("models/"), 0)] == [*other.list("")]
        other.delete(KEY)
        assert [*store.list("models/fraud/versions/")] == []

    def test_what_is_not_there_is_missing(self, store: Store) -> None:
        store.create(Key("a/b"), b"x")
        for key in map(Key, ["b", "a/c", "a/b0", "a", "a/b/c", "c/b", "c/d/e"]):
            with pytest.raises(KeyMissing) as refusal:
                store.read(key)
            assert (Code.KEY_MISSING, key) == (refusal.value.code, refusal.value.ref)
            with pytest.raises(KeyMissing):
                store.fetch(key, [Span(0, 1)], _ignore)

    @pytest.mark.parametrize("key", MALFORMED)
    def test_a_malformed_key_is_refused_by_every_verb(self, store: Store, key: str) -> None:
        store.create(KEY, b"x")
        bad = Key(key)
        verbs: list[Callable[[], Any]] = [
            lambda: store.read(bad),
            lambda: store.create(bad, b"y"),
            lambda: store.create(bad, Streamed(1)),
            lambda: store.fetch(bad, [], _ignore),
            lambda: store.delete(bad),
            lambda: store.private(bad),
        ]
        for verb in verbs:
            with pytest.raises(InvalidInput):
                verb()
        assert _tree(store) == {KEY: 1}

    @pytest.mark.parametrize(
        "prefix", [bad for bad in MALFORMED if bad not in ("", "a/")] + ["a//", "a/./", ".", "a/.t"]
    )
    def test_a_malformed_prefix_is_refused_at_the_call(self, store: Store, prefix: str) -> None:
        with pytest.raises(InvalidInput):
            store.list(prefix)

    # Creating

    @pytest.mark.parametrize("second", [b"", b"one", b"two", Streamed(MEBIBYTE)])
    def test_nothing_is_ever_replaced(self, store: Store, second: Data) -> None:
        store.create(KEY, b"one")
        with pytest.raises(KeyExists) as refusal:
            store.create(KEY, second)
        assert (refusal.value.code, refusal.value.ref) == (Code.KEY_EXISTS, KEY)
        assert store.read(KEY) == b"one"
        assert _tree(store) == {KEY: 3}

    def test_an_empty_object_is_not_replaced_either(self, store: Store) -> None:
        store.create(KEY, b"")
        with pytest.raises(KeyExists):
            store.create(KEY, b"two")
        assert store.read(KEY) == b""

    @pytest.mark.parametrize("sound", [0, 1, MEBIBYTE // 2, 3 * MEBIBYTE])
    @pytest.mark.parametrize("error", [RuntimeError("changed"), OSError(28, "a full disk of the source")], ids=repr)
    def test_a_source_that_raises_leaves_nothing(self, store: Store, sound: int, error: Exception) -> None:
        with pytest.raises(type(error)) as raised:
            store.create(KEY, Streamed(3 * MEBIBYTE, sound=sound, error=error))
        assert error is raised.value
        with pytest.raises(KeyMissing):
            store.read(KEY)
        assert _tree(store) == {}
        store.create(KEY, b"another")
        assert store.read(KEY) == b"another"

    @pytest.mark.parametrize("sound", [0, 99, 101])
    def test_a_source_that_miscounts_leaves_nothing(self, store: Store, sound: int) -> None:
        with pytest.raises(InvalidInput):
            store.create(KEY, Streamed(100, sound=sound))
        assert _tree(store) == {}

    def test_a_source_is_not_held_whole(self, store: Store) -> None:
        if not self.streams:
            pytest.skip("it holds what it stores")
        size = self.large
        tracemalloc.start()
        try:
            store.create(KEY, _Zeros(size))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < size // 2

    # Reading

    def test_an_object_too_large_for_a_record_is_fetched_and_not_read(self, store: Store) -> None:
        store.create(Key("most"), _Zeros(READ_LIMIT))
        assert len(store.read(Key("most"))) == READ_LIMIT
        store.create(Key("more"), _Zeros(READ_LIMIT + 1))
        with pytest.raises(Corrupt) as refusal:
            store.read(Key("more"))
        assert refusal.value.code == Code.TOO_LARGE
        assert _fetched(store, Key("more"), [Span(READ_LIMIT, 1)]) == b"\0"

    def test_spans_are_fetched_whole_and_each_in_order(self, store: Store) -> None:
        size = 3 * MEBIBYTE
        whole = pattern(0, size)
        store.create(KEY, whole)
        spans = [Span(size - 1, 1), Span(5, MEBIBYTE + 7), Span(0, 1), Span(7, 0), Span(MEBIBYTE, 2 * MEBIBYTE)]
        got: list[tuple[int, bytes]] = []
        store.fetch(KEY, spans, lambda at, chunk: got.append((at, bytes(chunk))))
        assert all(whole[at : at + len(chunk)] == chunk for at, chunk in got)
        for span in spans:
            inside = [(at, len(chunk)) for at, chunk in got if span.offset <= at < span.offset + span.length]
            assert span.length <= sum(length for _, length in inside)
        assert sum(span.length for span in spans) == sum(len(chunk) for _, chunk in got)

    def test_the_chunks_of_a_span_come_in_order(self, store: Store) -> None:
        store.create(KEY, Streamed(5 * MEBIBYTE))
        got: list[tuple[int, int]] = []
        store.fetch(KEY, [Span(3, 5 * MEBIBYTE - 3)], lambda at, chunk: got.append((at, len(chunk))))
        assert got[0][0] == 3
        assert all(at + length == following for (at, length), (following, _) in pairwise(got))
        assert sum(got[-1]) == 5 * MEBIBYTE

    @pytest.mark.parametrize("span", [Span(0, 11), Span(10, 1), Span(11, 1), Span(2**70, 1), Span(5, 2**70)])
    def test_an_object_that_ends_before_a_span_is_corrupt(self, store: Store, span: Span) -> None:
        store.create(KEY, b"0123456789")
        with pytest.raises(Corrupt) as refusal:
            store.fetch(KEY, [Span(0, 10), span], _ignore)
        assert refusal.value.code == Code.DIGEST_MISMATCH

    def test_what_a_sink_raises_comes_out_unchanged(self, store: Store) -> None:
        store.create(KEY, b"0123456789")
        error = OSError(28, "a full disk of the reader")

        def full(_at: int, _chunk: bytes) -> None:
            raise error

        with pytest.raises(OSError, match="reader") as raised:
            store.fetch(KEY, [Span(0, 10)], full)
        assert error is raised.value

    # Deleting

    def test_deleting_twice_is_deleting_once(self, store: Store) -> None:
        store.create(KEY, b"one")
        store.create(Key("models/fraud/versions/1.4.1.json"), b"")
        for _ in range(2):
            store.delete(KEY)
            assert {Key("models/fraud/versions/1.4.1.json"): 0} == _tree(store)
        with pytest.raises(KeyMissing):
            store.read(KEY)
        store.delete(Key("models/fraud"))
        store.delete(Key("models/fraud/versions/1.4.1.json/deeper"))
        store.delete(Key("never/was"))
        assert {Key("models/fraud/versions/1.4.1.json"): 0} == _tree(store)

    def test_a_folder_is_listed_while_an_object_is_below_it(self, store: Store) -> None:
        if not self.sweeps:
            pytest.skip("it sweeps later")
        store.create(KEY, b"one")
        assert [Entry(Key("models/"), 0)] == [*store.list("")]
        store.delete(KEY)
        assert [*store.list("")] == []
        assert [*store.list("models/fraud/")] == []
        store.create(KEY, b"two")
        assert [Entry(Key("models/fraud/"), 0)] == [*store.list("models/")]

    # Listing

    def test_a_listing_is_one_level_in_order(self, store: Store) -> None:
        for key in ["b/1", "b/10", "b/2", "b/a/x", "b/a/y/z", "b/a-b", "b/a.b", "b/B", "a", "bb", "b-/q"]:
            store.create(Key(key), key.encode())
        assert _keys(store, "") == ["a", "b-/", "b/", "bb"]
        assert _keys(store, "b/") == ["b/1", "b/10", "b/2", "b/B", "b/a-b", "b/a.b", "b/a/"]
        assert _keys(store, "b/1") == ["b/1", "b/10"]
        assert _keys(store, "b/a") == ["b/a-b", "b/a.b", "b/a/"]
        assert _keys(store, "b/a/") == ["b/a/x", "b/a/y/"]
        assert _keys(store, "b") == ["b-/", "b/", "bb"]
        assert _keys(store, "b/10/") == []
        assert _keys(store, "c/") == []
        assert [Entry(Key("b/a-b"), 5), Entry(Key("b/a.b"), 5), Entry(Key("b/a/"), 0)] == [*store.list("b/a")]

    @pytest.mark.parametrize("limit", [0, 1, 2, 3, 4])
    def test_a_limit_takes_the_first(self, store: Store, limit: int) -> None:
        for key in ["c", "a/x", "b"]:
            store.create(Key(key), b"")
        assert ["a/", "b", "c"][:limit] == [entry.key for entry in store.list("", limit=limit)]

    def test_a_long_listing_is_whole(self, store: Store) -> None:
        keys = [Key(f"models/fraud/aliases/prod/{n:010}.json") for n in range(self.many)]

        def create(me: int) -> None:
            for key in keys[me::8]:
                store.create(key, b"{}")

        _together(8, create)
        assert [Entry(key, 2) for key in keys] == [*store.list("models/fraud/aliases/prod/")]
        assert [keys[0]] == [entry.key for entry in store.list("models/fraud/aliases/prod/", limit=1)]
        assert [keys[-1]] == [entry.key for entry in store.list(keys[-1])]

    def test_a_listing_is_what_the_model_says(self, store: Store) -> None:
        fresh = (f"round-{n}/" for n in count())

        @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.sets(_paths, max_size=8), st.lists(_prefixes, max_size=6), st.none() | st.integers(0, 4), st.data())
        def law(paths: set[str], prefixes: list[str], limit: int | None, data: st.DataObject) -> None:
            root, model = next(fresh), MemoryStore()
            for path in sorted(paths):
                for each in (store, model):
                    each.create(Key(root + path), path.encode())
            for path in data.draw(st.sets(st.sampled_from(sorted(paths)))) if paths and self.sweeps else ():
                for each in (store, model):
                    each.delete(Key(root + path))
            for prefix in prefixes:
                assert [*model.list(root + prefix, limit=limit)] == [*store.list(root + prefix, limit=limit)]

        law()

    # Together

    def test_of_many_threads_one_creates(self, store: Store) -> None:
        race(store, lambda: store, threading, queue.SimpleQueue(), contenders=self.contenders, rounds=self.rounds)

    def test_of_many_processes_one_creates(self, store: Store) -> None:
        opened = self.opener(store)
        if opened is None:
            pytest.skip("only threads share it")
        context = multiprocessing.get_context("spawn")
        race(store, opened, context, context.SimpleQueue(), contenders=self.contenders, rounds=self.rounds)

    def test_it_works_in_a_forked_child(self, store: Store) -> None:
        if not hasattr(os, "fork"):
            pytest.skip("no fork here")
        store.create(KEY, b"parent")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that other threads exist, which is the point
            child = os.fork()
        if child == 0:
            os._exit(0 if _works(store) else 1)
        assert os.waitpid(child, 0)[1] == 0
        if self.opener(store) is not None:
            assert store.read(Key("child")) == b"child"


class _Zeros:
    def __init__(self, size: int) -> None:
        self.size = size

    def chunks(self) -> Iterator[bytes]:
        for at in range(0, self.size, 256 * 1024):
            yield bytes(min(256 * 1024, self.size - at))


_names = st.sampled_from(["a", "b", "a-b", "a.b", "ab", "B", "1", "10"])
_paths = st.tuples(st.sampled_from(["", "x/", "x/y/", "z-/", "z/"]), _names).map("".join)
_prefixes = st.sampled_from(["", "a", "ab", "x", "x/", "x/a", "x/y", "x/y/", "z", "z/1", "q/", "a/"])


def race(store: Store, opened: Callable[[], Store], kind: Any, wins: Any, *, contenders: int, rounds: int) -> None:
    """Contenders create the same keys at the same time, while this thread reads: one wins each, nobody sees a part.

    `kind` has the `Thread` or `Process` and the `Barrier` to race with, and `wins` is a queue between such.
    """
    if not store.exclusive:
        pytest.skip("it does not decide between writers")
    gate, runner = kind.Barrier(contenders), kind.Thread if kind is threading else kind.Process
    rivals = [runner(target=contend, args=(opened, me, rounds, gate, wins), daemon=True) for me in range(contenders)]
    for rival in rivals:
        rival.start()
    while wins.empty():
        assert all(_whole_or_missing(store, number) for number in range(rounds))
    won: list[tuple[int, int]] = []
    for _ in rivals:
        me, numbers = wins.get()
        if isinstance(numbers, BaseException):
            raise numbers
        won += [(number, me) for number in numbers]
    for rival in rivals:
        rival.join()
    assert [*range(rounds)] == sorted(number for number, _ in won)
    assert all(_banner(me, number) == store.read(Key(f"race/{number:04}")) for number, me in won)
    assert rounds == len(_tree(store))


def contend(opened: Callable[[], Store], me: int, rounds: int, gate: Any, wins: Any) -> None:
    """Create the key of every round when all others do, and report which of them were won."""
    try:
        store, won = opened(), []
        for number in range(rounds):
            gate.wait(120)
            try:
                store.create(Key(f"race/{number:04}"), _banner(me, number))
            except KeyExists:
                continue
            won.append(number)
        wins.put((me, won))
    except BaseException as error:  # the test reports it
        wins.put((me, error))
        gate.abort()


def _banner(me: int, number: int) -> bytes:
    return f"{me} {number};".encode() * 20_000


def _whole_or_missing(store: Store, number: int) -> bool:
    try:
        data = store.read(Key(f"race/{number:04}"))
    except KeyMissing:
        return True
    owner = data.partition(b" ")[0]
    return owner.isdigit() and data == _banner(int(owner), number)


def _works(store: Store) -> bool:
    try:
        store.create(Key("child"), b"child")
        return store.read(KEY) == b"parent" and store.read(Key("child")) == b"child"
    except BaseException:  # a child must not run the tests of its parent
        return False


def _together(runners: int, act: Callable[[int], object]) -> None:
    errors: list[BaseException] = []

    def run(me: int) -> None:
        try:
            act(me)
        except BaseException as error:  # raised again below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(me,)) for me in range(runners)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in errors:
        raise error


def _fetched(store: Store, key: Key, spans: list[Span]) -> bytes:
    got: list[bytes] = []
    store.fetch(key, spans, lambda _at, chunk: got.append(bytes(chunk)))
    return b"".join(got)


def _tree(store: Store, folder: str = "") -> dict[Key, int]:
    found: dict[Key, int] = {}
    for entry in store.list(folder):
        found |= _tree(store, entry.key) if entry.key.endswith("/") else {entry.key: entry.size}
    return found


def _keys(store: Store, prefix: str) -> list[str]:
    return [entry.key for entry in store.list(prefix)]


def _ignore(_at: int, _chunk: bytes) -> None: ...
