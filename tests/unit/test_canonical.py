"""One byte form: canonical JSON."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelvault.canonical import DEPTH_LIMIT, RECORD_LIMIT, canonical, digest_of, parse, plain
from modelvault.errors import Code, InvalidInput

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**19), 10**19)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=20,
)
OBJECTS = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), JSON, max_size=5)


@given(OBJECTS)
def test_what_was_written_is_read(value):
    assert parse(canonical(value)) == value


@given(OBJECTS)
def test_equal_values_have_equal_bytes(value):
    again = json.loads(json.dumps(value), object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    assert canonical(again) == canonical(value)


@given(OBJECTS, st.sampled_from([" ", "\n", "\t"]))
def test_any_other_spelling_is_refused(value, space):
    raw = canonical(value)
    spelt = [raw + space.encode(), space.encode() + raw, raw[:1] + space.encode() + raw[1:], b"\xef\xbb\xbf" + raw]
    for other in spelt:
        with pytest.raises(ValueError, match=r"."):
            parse(other)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1,"a":1}',
        b'{"b":1,"a":1}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":1e400}',
        b'{"a":1.0e0}',
        b'{"a":01}',
        b'{"a":"\\ud800"}',
        b'{"a":"\\u0061"}',
        b'{"a":"\xff"}',
        b'{"a":' + b"9" * 21 + b"}",
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a":' + b"[" * 40 + b"]" * 40 + b"}",
        b"[]",
        b'"text"',
        b"1",
        b"",
        b"{",
        b'{"a":"' + b"x" * RECORD_LIMIT + b'"}',
    ],
    ids=lambda raw: raw[:20],
)
def test_bad_json_is_a_value_error_in_words(raw):
    with pytest.raises(ValueError, match=r"."):
        parse(raw)


def test_nesting_up_to_the_limit_is_read():
    deep: object = 1
    for _ in range(DEPTH_LIMIT - 2):
        deep = [deep]
    assert parse(canonical({"a": deep})) == {"a": deep}


@pytest.mark.parametrize("value", [math.nan, math.inf, "\ud800", {1: 2, "1": 3}, object(), {"a": {1, 2}}])
def test_what_json_cannot_say_is_not_written(value):
    with pytest.raises(InvalidInput) as caught:
        canonical({"a": value} if not isinstance(value, dict) else value)
    assert caught.value.code == Code.BAD_VALUE


def test_a_digest_names_its_algorithm():
    assert digest_of(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


class Odd:
    def __repr__(self):
        return "<Odd object at 0x7f00>"


class Scalar:
    shape = ()

    def item(self):
        return 2.5


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, 1),
        (True, True),
        (None, None),
        ("a", "a"),
        (1.5, 1.5),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (10**30, str(10**30)),
        ((1, [2, {"a": (3,)}]), [1, [2, {"a": [3]}]]),
        ({1: 2}, {"1": 2}),
        (Scalar(), 2.5),
        (range(3), "range(0, 3)"),
        (b"ab", "b'ab'"),
    ],
)
def test_parameters_are_said_as_json_can(value, expected):
    assert plain(value) == expected


def test_an_address_never_enters_a_record():
    assert plain(Odd()) == f"<{__name__}.Odd>"
    assert plain(Odd) == f"<class '{__name__}.Odd'>"


def test_a_huge_repr_becomes_the_name_of_the_type():
    assert plain(set(range(10_000))) == "<builtins.set>"


def test_endless_parameters_end():
    endless: list = []
    endless.append(endless)
    canonical({"a": plain(endless)})


@given(
    st.recursive(
        st.one_of(SCALARS, st.floats(), st.integers(), st.binary()), lambda one: st.lists(one) | st.tuples(one)
    )
)
def test_whatever_is_made_plain_can_be_written(value):
    parse(canonical({"a": plain(value)}))
