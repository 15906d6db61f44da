"""Guards as values: checked when they are made, unchanged ever after, the same when read from a record."""

import dataclasses
import json
import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelvault import Guard
from modelvault.errors import Code, InvalidInput
from modelvault.serving.guards import listed, seconds_in, spec_of

EXAMPLES = [
    Guard.errors(limit=0.01),
    Guard.latency(over=0.05, limit=0.01, alpha=0.01, min_bad=7),
    Guard.rate("wrong", limit="baseline+25%", action="dry-run", confirm=None, replicas=16),
    Guard.mean("brier", low=-1, high=3, limit=1, action="alert", probation=60, cooldown="1.5h"),
]


@pytest.mark.parametrize("guard", EXAMPLES, ids=str)
def test_a_guard_is_the_same_when_read_from_a_record(guard):
    assert spec_of(json.loads(json.dumps(guard.record()))) == guard
    assert pickle.loads(pickle.dumps(guard)) == guard


def test_a_guard_does_not_change_and_has_a_hash():
    with pytest.raises(dataclasses.FrozenInstanceError):
        EXAMPLES[0].limit = 0.5
    assert len({*EXAMPLES, *EXAMPLES}) == 4


def test_what_it_says():
    assert [str(each) for each in EXAMPLES] == [
        "errors at most 1 %",
        "calls over 0.05 s at most 1 %",
        "wrong at most baseline+25%",
        "mean brier at most 1.0",
    ]


def test_limits_between_nought_and_one():
    assert EXAMPLES[0].m == 0.01
    assert EXAMPLES[2].m is None
    assert EXAMPLES[2].tolerance == 0.25
    assert EXAMPLES[3].m == 0.5
    assert EXAMPLES[0].tolerance is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: Guard.errors(limit=0),
        lambda: Guard.errors(limit=1),
        lambda: Guard.errors(limit=math.nan),
        lambda: Guard.errors(limit=True),
        lambda: Guard.errors(limit=None),
        lambda: Guard.errors(limit="baseline"),
        lambda: Guard.errors(limit="baseline+-5%"),
        lambda: Guard.errors(limit="baseline+25%\n"),
        lambda: Guard.errors(limit=10**5_000),
        lambda: Guard.errors(limit=5e-324),
        lambda: Guard.errors(limit=0.1, alpha=0),
        lambda: Guard.errors(limit=0.1, alpha=0.5),
        lambda: Guard.errors(limit=0.1, min_bad=0),
        lambda: Guard.errors(limit=0.1, min_bad=2.5),
        lambda: Guard.errors(limit=0.1, probation="1 week"),
        lambda: Guard.errors(limit=0.1, probation=0),
        lambda: Guard.errors(limit=0.1, cooldown=None),
        lambda: Guard.errors(limit=0.1, action="retire"),
        lambda: Guard.errors(limit=0.1, confirm=True),
        lambda: Guard.errors(limit=0.1, replicas=0),
        lambda: Guard.errors(limit=0.1, source=5),
        lambda: Guard.latency(over=0, limit=0.1),
        lambda: Guard.latency(over="50ms", limit=0.1),
        lambda: Guard.rate("", limit=0.1),
        lambda: Guard.rate("\x1b[2J", limit=0.1),
        lambda: Guard.rate(5, limit=0.1),
        lambda: Guard.mean("x", low=1, high=1, limit=1),
        lambda: Guard.mean("x", low=-1e308, high=1e308, limit=1),
        lambda: Guard.mean("x", low=0, high=5, limit=5),
        lambda: Guard.mean("x", limit=0.5, source=lambda: (1, 1)),
        lambda: listed([Guard.errors(limit=0.1), Guard.errors(limit=0.2)]),
        lambda: listed("errors"),
        lambda: listed([5]),
        lambda: listed([Guard.rate(f"r{n}", limit=0.1) for n in range(65)]),
        lambda: spec_of({}),
        lambda: spec_of({"kind": "rate", "name": "x", "limit": [], "low": {}}),
    ],
)
def test_what_is_no_guard_is_refused_with_a_hint(make):
    with pytest.raises(InvalidInput) as caught:
        make()
    assert caught.value.code == Code.BAD_VALUE
    assert caught.value.message.isprintable()


def test_one_guard_or_a_list_of_them():
    assert listed(EXAMPLES[0]) == (EXAMPLES[0],)
    assert listed(EXAMPLES) == tuple(EXAMPLES)
    assert listed(()) == ()


def test_spans_of_time():
    assert [seconds_in(each, "x") for each in ("24h", "90s", "1.5 m", "2d", 5)] == [86_400, 90, 90, 172_800, 5]


ANY = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.lists(st.integers())
    | st.dictionaries(st.text(), st.none())
)


@given(st.dictionaries(st.sampled_from([each.name for each in dataclasses.fields(Guard)]), ANY))
def test_a_record_of_anything_is_a_guard_or_refused(record):
    try:
        assert 0 < (spec_of(record).m or 0.5) < 1
    except InvalidInput as error:
        assert error.code == Code.BAD_VALUE
