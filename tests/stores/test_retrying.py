"""A failure that may pass is tried again, as often as it makes sense, and what has come is not asked for twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelvault.errors import Code, Corrupt, StoreError
from modelvault.stores import KeyMissing, Span
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import Retrying, Wrapper


class Failing(Wrapper):
    """Fails with each of `errors` in turn, in the middle of a fetch after `sound` chunks, then no more."""

    def __init__(self, inner, *errors, sound=0):
        super().__init__(inner)
        self.errors = [*errors]
        self.sound = sound
        self.calls = 0
        self.spans = []

    def around(self, operation, call):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return call()

    def fetch(self, key, spans, sink):
        self.calls += 1
        self.spans.append(spans)
        pieces = [
            Span(at, min(3, offset + size - at)) for offset, size in spans for at in range(offset, offset + size, 3)
        ]
        for number, piece in enumerate(pieces):
            if self.errors and number == self.sound:
                raise self.errors.pop(0)
            self.inner.fetch(key, [piece], sink)


def failed(code=Code.STORE_FAILED, retry_after=None):
    return StoreError("it failed", code=code, retry_after=retry_after)


def filled():
    store = MemoryStore()
    store.create("k", bytes(range(100)))
    return store


PASSING = [Code.STORE_FAILED, Code.STORE_BUSY, Code.STORE_UNREACHABLE]


@pytest.mark.parametrize("code", PASSING)
@pytest.mark.parametrize("verb", [lambda s: s.read("k"), lambda s: [*s.list("")], lambda s: s.delete("k")])
def test_what_may_pass_is_tried_again(verb, code):
    inner, waits = Failing(filled(), *[failed(code)] * 5), []
    verb(Retrying(inner, sleep=waits.append))
    assert inner.calls == 6
    assert all(0.05 * 2**n <= wait <= 0.1 * 2**n for n, wait in enumerate(waits))


def test_the_last_error_is_the_one_that_is_raised():
    errors = [failed() for _ in range(6)]
    inner = Failing(filled(), *errors)
    with pytest.raises(StoreError) as failure:
        Retrying(inner, sleep=lambda _: None).read("k")
    assert failure.value is errors[-1]


@pytest.mark.parametrize(
    "error",
    [
        failed(Code.STORE_DENIED),
        failed(Code.STORE_FULL),
        failed(Code.STORE_MISSING),
        KeyMissing("k"),
        Corrupt("", code=Code.TOO_LARGE),
    ],
)
def test_what_will_not_pass_is_not(error):
    inner = Failing(filled(), error)
    with pytest.raises(type(error)):
        Retrying(inner, sleep=pytest.fail).read("k")
    assert inner.calls == 1


def test_a_create_is_never_repeated_here_for_it_may_have_been_done():
    inner = Failing(MemoryStore(), failed())
    with pytest.raises(StoreError):
        Retrying(inner, sleep=pytest.fail).create("k", b"x")
    assert inner.calls == 1


def test_what_the_store_asks_for_is_waited_unless_it_is_past_the_deadline():
    waits = []
    Retrying(Failing(filled(), failed(Code.STORE_BUSY, 3.0)), sleep=waits.append).read("k")
    assert 3.0 <= waits[0] <= 4.5
    with pytest.raises(StoreError) as failure:
        Retrying(Failing(filled(), failed(Code.STORE_BUSY, 61.0)), sleep=pytest.fail).read("k")
    assert failure.value.retry_after == 61.0


@given(
    st.lists(st.tuples(st.integers(0, 90), st.integers(0, 10)).map(lambda pair: Span(*pair)), max_size=5),
    st.lists(st.integers(0, 6), max_size=4),
)
def test_a_fetch_goes_on_where_it_broke(spans, breaks):
    store = filled()

    class Breaking(Failing):
        def fetch(self, key, spans, sink):
            self.sound = breaks.pop(0) if breaks else 10**9
            self.errors = [failed()]
            super().fetch(key, spans, sink)

    got = []
    Retrying(Breaking(store), sleep=lambda _: None).fetch("k", spans, lambda at, chunk: got.append((at, chunk)))
    whole = store.read("k")
    assert all(whole[at : at + len(chunk)] == chunk for at, chunk in got)
    assert sorted(at + n for at, chunk in got for n in range(len(chunk))) == sorted(
        at for offset, size in spans for at in range(offset, offset + size)
    )


def test_what_a_sink_raises_is_not_the_stores_and_is_not_tried_again():
    full = failed()
    inner = Failing(filled())

    def sink(_at, _chunk):
        raise full

    with pytest.raises(StoreError) as failure:
        Retrying(inner, sleep=pytest.fail).fetch("k", [Span(0, 10)], sink)
    assert failure.value is full
