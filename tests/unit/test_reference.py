"""The grammar of refs, versions and ranges: laws of semver.org and npm first, then examples and what people mistype."""

import json
import re
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from enum import Enum
from pathlib import Path
from unittest.mock import NonCallableMagicMock

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from semver import Version

from modelvault.errors import Code, InvalidInput
from modelvault.reference import (
    AliasRef,
    DigestRef,
    NumberRef,
    RangeRef,
    alias_name,
    is_number,
    is_prerelease,
    matching,
    model_name,
    newest_first,
    next_number,
    number,
    order,
    parse,
    parse_alias,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "ranges.json").read_text(encoding="utf-8"))
LEVELS = ("major", "minor", "patch")
law = settings(deadline=None)


def midnight(day):
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


parts = st.integers(0, 3) | st.integers(0, 10**15 - 1)
alphanumerics = st.from_regex(r"[0-9]{0,2}[a-z-][0-9a-z-]{0,4}", fullmatch=True)
identifiers = parts.map(str) | alphanumerics
prereleases = st.lists(identifiers, min_size=1, max_size=3).map(".".join)
triples = st.tuples(parts, parts, parts)
releases = triples.map(lambda triple: ".".join(map(str, triple)))
numbers = releases | st.builds("{}-{}".format, releases, prereleases)
near_releases = st.tuples(*[st.integers(0, 2)] * 3).map(lambda triple: ".".join(map(str, triple)))
near = near_releases | st.builds("{}-{}".format, near_releases, st.sampled_from(["0", "alpha", "beta.2", "rc.1"]))
histories = st.lists(near, unique=True, max_size=30)
ranges = st.sampled_from([text for text, _ in VECTORS["ranges"]])
names = st.from_regex(r"[a-z0-9]([a-z0-9._-]{0,8}[a-z0-9_-])?", fullmatch=True).filter(
    lambda name: not re.match(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", name)
)
refs = st.one_of(
    st.builds(AliasRef, names, names, st.integers(0, 9_999_999_998)),
    st.builds(AliasRef, names, names, at=st.datetimes(timezones=st.just(UTC)) | st.dates().map(midnight)),
    st.builds(NumberRef, names, numbers),
    st.builds(RangeRef, names, ranges.filter(lambda text: not is_number(text))),
    st.builds(DigestRef, names, st.from_regex(r"[0-9a-f]{8,64}", fullmatch=True)),
)


class Stage(str, Enum):  # noqa: UP042 -- a StrEnum prints its value, this one does not
    PROD = "fraud@prod"
    NAME = "fraud"


class Shouting(str):
    __slots__ = ()

    def __str__(self):
        raise RuntimeError

    __eq__ = __hash__ = __len__ = __format__ = lower = strip = __str__


def refused(call, *args, **kwargs):
    with pytest.raises(InvalidInput) as caught:
        call(*args, **kwargs)
    return caught.value


def refusal(call, *args):
    try:
        call(*args)
    except InvalidInput as error:
        return error


texts = st.text() | st.text("fraud@prod:#~{}0123.-x*^<>=| +v\n\ud800é", max_size=40)
things = st.one_of(
    st.none(),
    st.integers(),
    st.floats(),
    st.binary(),
    st.lists(st.text()),
    st.dictionaries(st.text(), st.none()),
    st.sampled_from([str, object(), ..., Stage.PROD, type("odd\nname", (), {})()]),
)
FUNCTIONS = {
    "model_name": model_name,
    "alias_name": alias_name,
    "number": number,
    "parse": parse,
    "parse_alias": parse_alias,
    "matching": lambda text: matching(text, ["1.0.0", "1.0.0-rc.1"]),
    "next_number, level": lambda text: next_number(["1.0.0"], text),
    "next_number, base": lambda text: next_number(["1.0.0"], "minor", base=text if text is not None else ""),
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS.keys())
@law
@given(anything=texts | things)
def test_any_text_or_object_is_taken_or_is_invalid_input(function, anything):
    error = refusal(function, anything)
    assert error is None or error.hint or "is text, not" in error.message
    assert error is None or (error.message + error.hint + error.ref).isprintable()


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_objects_that_pretend_or_refuse_to_be_text_are_taken_or_are_invalid_input(function):
    assert refused(function, NonCallableMagicMock(spec=str)).message.endswith("is text, not NonCallableMagicMock")
    for text in ("fraud", "fraud@prod", "1.0.0", "minor"):
        refusal(function, Shouting(text))


HOSTILE = [
    "a" * 400 + "!",
    "1." * 240 + "!",
    "1.0.0-" + "0" * 400 + "!",
    "1.0.0-" + "a." * 240 + "!",
    "1.0.0-" + "-" * 400 + "!",
    "1.0.0-" + "0a" * 200 + "!",
    "^" * 490,
    "> " * 240,
    ">" + " " * 490,
    " " * 250 + "||" + " " * 240,
    "||" * 240,
    "x.x." * 120,
    "1 - " * 120,
    "~" * 490,
    "@{" * 240,
    "sha256:" * 70,
]


@pytest.mark.parametrize("times", [1, 1000])
@pytest.mark.parametrize("prefix", ["", "fraud:", "fraud@", "fraud#"])
def test_hostile_text_is_refused_without_long_thought(prefix, times):
    for text in HOSTILE:
        for function in FUNCTIONS.values():
            refused(function, (prefix + text) * times)


def test_a_text_subclass_becomes_plain_text():
    assert type(model_name(Stage.NAME)) is str
    assert model_name(Shouting("fraud")) == "fraud"
    assert parse(Stage.PROD) == AliasRef("fraud", "prod")
    assert parse_alias(Shouting("fraud@prod")) == AliasRef("fraud", "prod")
    assert type(parse(Shouting("fraud:1.0.0")).number) is str


def test_semver_is_not_imported_before_versions_are_compared():
    script = """
import sys
from modelvault.reference import is_number, matching, next_number, number, parse
parse("fraud@prod"), parse("fraud:^1.4"), parse("fraud:1.4.2"), number("1.4.2"), next_number([], "patch")
assert "semver" not in sys.modules
matching("^1.4", ["1.4.2"])
assert "semver" in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize(
    "name", ["a", "0", "fraud", "fraud-eu_2.v1", "a" * 100, "console", "con-1", "com10", "a.con", "nul-", "x_"]
)
def test_a_name_is_lower_case_letters_digits_dots_underscores_and_hyphens(name):
    assert model_name(name) == name
    assert alias_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "-a",
        "_a",
        ".a",
        "a.",
        "A",
        "a b",
        "a/b",
        "a\\b",
        "a\n",
        "é",
        "٣",
        "a" * 101,
        "a:b",
        "a@b",
        "a#b",
        "..",
        "a\x00",
        "con",
        "prn",
        "aux",
        "nul",
        "com0",
        "com9",
        "lpt0",
        "lpt9",
        "con.txt",
        "aux.",
        "nul.a.b",
    ],
)
def test_any_other_name_is_refused(name):
    assert refused(model_name, name).code == Code.BAD_NAME
    assert refused(alias_name, name).code == Code.BAD_NAME


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("Fraud", "fraud"),
        ("fraud model", "fraud-model"),
        ("team/fraud", "team-fraud"),
        (" fraud.", "fraud"),
        ("A" * 200, "a" * 100),
    ],
)
def test_a_refused_name_gets_a_suggestion(name, suggestion):
    assert refused(model_name, name).hint.startswith(f"try '{suggestion}'; a name is")


@law
@given(texts)
@example("CON")
@example("aux.")
def test_a_suggested_name_is_a_name(text):
    error = refusal(model_name, text)
    suggestion = error and re.match("try '(.*?)'", error.hint)
    assert not suggestion or model_name(suggestion[1]) == suggestion[1]


def test_messages_say_what_is_wrong_and_escape_control_characters():
    assert refused(model_name, "a\x1b[2J").message == "'a\\x1b[2J' is not a model name"
    assert refused(alias_name, 3).message == "an alias name is text, not int"
    assert refused(number, 1.4).message == "a version is text, not float"


@law
@given(
    numbers
    | st.from_regex(r"v?[0-9]{1,3}\.[0-9]{1,3}(\.[0-9]{1,17})?(-[0-9a-zA-Z.-]{1,8})?(\+[a-z]*)?\n?", fullmatch=True)
)
@example("1.0.0-" + "a" * 94)
@example("1.0.0-" + "a" * 95)
@example("1.0.0-" + "9" * 15)
@example("1.0.0-" + "9" * 16)
@example("9" * 15 + ".0.0")
@example("9" * 16 + ".0.0")
@example("1.0.0-٣")
@example("1.0.٣")
def test_a_version_is_semver_in_lower_case_without_build_metadata_and_of_bounded_size(text):
    core, _, prerelease = text.partition("-")
    digits = [part for part in [*core.split("."), *prerelease.split(".")] if part.isdigit()]
    bounded = len(text) <= 100 and all(len(part) <= 15 for part in digits)
    accepted = Version.is_valid(text) and text == text.lower() and "+" not in text
    assert is_number(text) == (bounded and accepted)


@law
@given(numbers)
def test_a_version_is_its_own_spelling(text):
    assert is_number(text)
    assert number(text) == text == str(order(text))
    assert is_prerelease(text) == (order(text).prerelease is not None)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("v1.4.0", "drop the 'v': '1.4.0'"),
        ("1.4.0+gpu", "build metadata is no part of a version: '1.4.0'"),
        ("1.0.0-RC.1", "use lower case, as some disks do not tell the cases apart: '1.0.0-rc.1'"),
        ("1.4", "give all three numbers: '1.4.0'"),
        ("2", "give all three numbers: '2.0.0'"),
        ("V1+a", "drop the 'v'; build metadata is no part of a version; give all three numbers: '1.0.0'"),
    ],
)
def test_a_misspelt_version_gets_its_spelling(text, hint):
    error = refused(number, text)
    assert (error.code, error.hint) == (Code.BAD_VERSION, hint)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "latest",
        "01.0.0",
        "1.0.0-01",
        "1.0.0-",
        "1.0.0-a..b",
        "1.0.0.0",
        "-1.0.0",
        "1.0.0\n",
        " 1.0.0",
        "1.0.0-é",
        "1.0.0_a",
    ],
)
def test_any_other_version_is_refused_with_the_grammar(text):
    error = refused(number, text)
    assert error.code == Code.BAD_VERSION
    assert error.hint.startswith("a version is three numbers")


def ordered(texts):
    return sorted(texts, key=order)


@law
@given(triples, triples)
def test_precedence_compares_major_minor_and_patch_as_numbers(left, right):
    spelt = [".".join(map(str, triple)) for triple in (left, right)]
    assert (order(spelt[0]) < order(spelt[1])) == (left < right)


@law
@given(releases, prereleases)
def test_a_prerelease_comes_before_its_release(release, prerelease):
    assert order(f"{release}-{prerelease}") < order(release)


@law
@given(st.lists(identifiers, max_size=2), parts, parts)
def test_numeric_identifiers_compare_as_numbers(common, left, right):
    spelt = ["1.0.0-" + ".".join([*common, str(each)]) for each in (left, right)]
    assert (order(spelt[0]) < order(spelt[1])) == (left < right)


@law
@given(st.lists(identifiers, max_size=2), alphanumerics, alphanumerics)
def test_other_identifiers_compare_as_ascii_text(common, left, right):
    spelt = ["1.0.0-" + ".".join([*common, each]) for each in (left, right)]
    assert (order(spelt[0]) < order(spelt[1])) == (left.encode() < right.encode())


@law
@given(st.lists(identifiers, max_size=2), parts, alphanumerics)
def test_a_numeric_identifier_comes_before_any_other(common, numeric, other):
    spelt = ["1.0.0-" + ".".join([*common, str(each)]) for each in (numeric, other)]
    assert order(spelt[0]) < order(spelt[1])


@law
@given(prereleases, prereleases)
def test_more_identifiers_come_after_fewer_where_the_first_are_equal(common, more):
    assert order(f"1.0.0-{common}") < order(f"1.0.0-{common}.{more}")


@law
@given(numbers, numbers)
@example("1.0.0-0", "1.0.0--0")
def test_two_versions_rank_the_same_only_if_they_are_the_same_text(left, right):
    assert (order(left) == order(right)) == (left == right)


@given(histories)
def test_the_newest_first_is_the_order_backwards(texts):
    assert [order(each) for each in newest_first(texts)] == sorted(map(order, texts), reverse=True)


def test_the_example_of_the_specification_is_in_order():
    tail = ["alpha", "alpha.1", "alpha.beta", "beta", "beta.2", "beta.11", "rc.1"]
    expected = [*(f"1.0.0-{each}" for each in tail), "1.0.0", "2.0.0", "2.1.0", "2.1.1"]
    assert expected == ordered(reversed(expected))


@law
@given(st.permutations(VECTORS["versions"]))
def test_versions_are_in_the_order_of_npm(shuffled):
    assert VECTORS["versions"] == ordered(shuffled)


def test_ranges_admit_what_they_admit_in_npm():
    pool = VECTORS["versions"]
    expected = {text: [pool[at] for at in reversed(admitted)] for text, admitted in VECTORS["ranges"]}
    assert expected == {text: matching(text, pool) for text in expected}


@pytest.mark.parametrize("text", VECTORS["malformed"])
def test_what_is_no_range_in_npm_is_none_here(text):
    assert refused(matching, text, []).code == Code.BAD_REF


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "^1 ||",
        "|| 1",
        "1 || || 2",
        " 1",
        "1 ",
        "1\t2",
        "1\n",
        "v1.2",
        "1.2.3+a",
        "1.2.3-RC",
        "1.x.3",
        "x.1",
        "x.x.1",
        "1.2.x-rc",
        "==1.2",
        "~>1.2",
        "> =1",
        "= =1",
        "^=1",
        "1*",
        "٣",
        "1." + "9" * 16,
        "1 || " * 100 + "1",
    ],
)
def test_what_npm_would_read_as_something_else_is_no_range(text):
    assert refused(matching, text, []).code == Code.BAD_REF


@law
@given(ranges, histories)
def test_matches_are_some_of_the_versions_newest_first(range_, versions):
    found = matching(range_, versions)
    assert found == ordered(found)[::-1]
    assert set(found) <= set(versions)


@law
@given(ranges, ranges, histories)
@example("*", "^1.0.0-rc.1", ["1.0.0-rc.1", "1.0.0"])
def test_an_alternative_adds_its_own_matches_and_takes_none(left, right, versions):
    both = set(matching(f"{left} || {right}", versions))
    assert both == set(matching(left, versions)) | set(matching(right, versions))


@law
@given(ranges, ranges, histories)
def test_a_stable_version_satisfies_two_ranges_side_by_side_if_it_satisfies_each(left, right, versions):
    assume("||" not in left + right and " - " not in left + right)
    stable = [each for each in versions if not is_prerelease(each)]
    assert matching(f"{left} {right}", stable) == [
        each for each in matching(left, stable) if each in matching(right, stable)
    ]


@law
@given(numbers, histories)
def test_a_version_is_the_range_of_itself(one, versions):
    assert matching(one, {*versions, one}) == [one]


@law
@given(histories)
def test_a_star_is_every_stable_version_and_no_prerelease(versions):
    assert matching("*", versions) == ordered(each for each in versions if not is_prerelease(each))[::-1]


@law
@given(near, histories)
def test_less_and_not_less_divide_the_stable_versions(bound, versions):
    stable = [each for each in versions if not is_prerelease(each)]
    assert matching(f">={bound}", stable) + matching(f"<{bound}", stable) == matching("*", stable)
    assert matching(f">{bound}", stable) + matching(f"<={bound}", stable) == matching("*", stable)


@pytest.mark.parametrize("sign", ["^", "~", ">", "<=", ""])
def test_a_range_up_to_the_highest_number_does_not_overflow(sign):
    nines = "9" * 15
    assert matching(f"{sign}{nines}", [f"{nines}.0.0"]) == ([] if sign == ">" else [f"{nines}.0.0"])


@law
@given(histories, st.sampled_from(LEVELS))
@example(["1.5.0", "2.0.0-rc.1"], "major")
def test_the_next_version_is_new_stable_and_above_all_that_is_stable(versions, level):
    result = next_number(versions, level)
    assert number(result) == result
    assert result not in versions
    assert not is_prerelease(result)
    assert all(order(each) < order(result) for each in versions if not is_prerelease(each))


@law
@given(histories.filter(bool), st.sampled_from(LEVELS), st.data())
def test_the_next_version_in_a_line_is_new_stable_in_the_line_and_above_all_that_is_stable_there(versions, level, data):
    base = data.draw(st.sampled_from(versions))
    result = next_number(versions, level, base=base)
    kept = LEVELS.index(level)
    line = [each for each in versions if order(each).to_tuple()[:kept] == order(base).to_tuple()[:kept]]
    assert result not in versions
    assert order(result).to_tuple()[:kept] == order(base).to_tuple()[:kept]
    assert all(order(each) < order(result) for each in line if not is_prerelease(each))
    assert result == next_number(line, level)


@law
@given(histories, st.sampled_from(LEVELS))
def test_a_prerelease_does_not_change_the_version_after_a_stable_one(versions, level):
    stable = [each for each in versions if not is_prerelease(each)]
    assume(stable)
    assert next_number(versions, level) == next_number(stable, level)


def test_after_a_single_version_comes_what_npm_says():
    expected = {(one, level): after for one, row in VECTORS["inc"] for level, after in zip(LEVELS, row, strict=True)}
    assert expected == {(one, level): next_number([one], level) for one, level in expected}


@pytest.mark.parametrize(
    ("versions", "base", "row"),
    [
        ([], None, ["1.0.0", "1.0.0", "1.0.0"]),
        (["1.5.0"], None, ["2.0.0", "1.6.0", "1.5.1"]),
        (["1.5.0", "2.0.0-rc.1", "1.6.0-rc.1", "1.5.1-rc.1"], None, ["2.0.0", "1.6.0", "1.5.1"]),
        (["1.0.0-rc.1"], None, ["1.0.0", "1.0.0", "1.0.0"]),
        (["0.9.3-rc.2", "0.9.3-rc.10"], None, ["1.0.0", "0.10.0", "0.9.3"]),
        (["1.4.2", "1.5.0", "2.1.0"], "1.4.2", ["3.0.0", "1.6.0", "1.4.3"]),
        (["1.4.2", "1.4.3", "1.5.0", "2.1.0"], "1.4.2", ["3.0.0", "1.6.0", "1.4.4"]),
        (["1.4.2", "1.5.0-rc.1"], "1.5.0-rc.1", ["2.0.0", "1.5.0", "1.5.0"]),
    ],
)
def test_the_next_version_counts_from_the_newest_stable_one_in_line(versions, base, row):
    assert row == [next_number(versions, level, base=base) for level in LEVELS]


def test_a_base_that_does_not_exist_is_refused_with_those_near_it():
    versions = [f"1.{minor}.0" for minor in range(12)]
    assert (
        refused(next_number, versions, "patch", base="1.5.5").hint
        == "versions near it: 1.4.0, 1.5.0, 1.6.0, 1.7.0, 1.8.0"
    )
    assert (
        refused(next_number, versions, "patch", base="0.1.0").hint
        == "versions near it: 1.0.0, 1.1.0, 1.2.0, 1.3.0, 1.4.0"
    )
    assert (
        refused(next_number, versions, "patch", base="9.0.0").hint
        == "versions near it: 1.7.0, 1.8.0, 1.9.0, 1.10.0, 1.11.0"
    )
    assert refused(next_number, ["1.0.0"], "patch", base="1.0.1").hint == "versions near it: 1.0.0"
    assert refused(next_number, [], "patch", base="1.0.1").hint == "versions near it: none"
    assert refused(next_number, [], "patch", base="1.0.1").code == Code.BAD_VERSION
    assert refused(next_number, ["1.0.0"], "patch", base="1.0").hint == "give all three numbers: '1.0.0'"


def test_numbers_run_out_with_an_error_and_not_with_a_longer_number():
    nines = "9" * 15
    assert refused(next_number, [f"{nines}.1.0"], "major").code == Code.BAD_VERSION
    assert next_number([f"{nines}.1.0"], "minor") == f"{nines}.2.0"


def test_an_unknown_level_is_refused():
    assert refused(next_number, [], "mayor").code == Code.BAD_VALUE
    assert refused(next_number, [], None).code == Code.BAD_VALUE


@law
@given(refs)
def test_a_ref_is_spelt_as_it_is_parsed(ref):
    assert parse(str(ref)) == ref


@law
@given(texts)
@example("fraud@prod~")
@example("fraud@prod~0")
@example("fraud@prod~007")
@example("fraud@prod@{2026-11-01 10+02}")
@example("fraud#sha256:9f86d081")
@example("fraud:1  ||  2")
def test_whatever_parses_parses_again_from_its_own_spelling(text):
    try:
        ref = parse(text)
    except InvalidInput:
        return
    assert parse(str(ref)) == ref


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("fraud@prod", AliasRef("fraud", "prod")),
        ("fraud@prod~", AliasRef("fraud", "prod", 1)),
        ("fraud@prod~1", AliasRef("fraud", "prod", 1)),
        ("fraud@prod~0", AliasRef("fraud", "prod")),
        ("fraud@prod~9999999998", AliasRef("fraud", "prod", 9_999_999_998)),
        ("fraud@prod@{2026-11-01}", AliasRef("fraud", "prod", at=datetime(2026, 11, 1, tzinfo=UTC))),
        ("fraud@prod@{2026-11-01T09:30}", AliasRef("fraud", "prod", at=datetime(2026, 11, 1, 9, 30, tzinfo=UTC))),
        ("fraud@prod@{2026-11-01T09:30:00Z}", AliasRef("fraud", "prod", at=datetime(2026, 11, 1, 9, 30, tzinfo=UTC))),
        ("fraud@prod@{2026-11-01 09:30+01:00}", AliasRef("fraud", "prod", at=datetime(2026, 11, 1, 8, 30, tzinfo=UTC))),
        ("fraud:1.4.2", NumberRef("fraud", "1.4.2")),
        ("fraud:1.0.0-rc.1", NumberRef("fraud", "1.0.0-rc.1")),
        ("fraud:=1.4.2", RangeRef("fraud", "=1.4.2")),
        ("fraud:*", RangeRef("fraud", "*")),
        ("fraud:1", RangeRef("fraud", "1")),
        ("fraud:^1.4", RangeRef("fraud", "^1.4")),
        ("fraud:>=1.2 <2", RangeRef("fraud", ">=1.2 <2")),
        ("fraud:1.2 - 1.4", RangeRef("fraud", "1.2 - 1.4")),
        ("fraud:^1 || ^2", RangeRef("fraud", "^1 || ^2")),
        ("fraud#9f86d081", DigestRef("fraud", "9f86d081")),
        ("fraud#sha256:" + "0a" * 32, DigestRef("fraud", "0a" * 32)),
    ],
)
def test_each_kind_of_ref_parses(text, ref):
    assert parse(text) == ref


@pytest.mark.parametrize(
    ("ref", "text"),
    [
        (AliasRef("fraud", "prod"), "fraud@prod"),
        (AliasRef("fraud", "prod", 1), "fraud@prod~1"),
        (AliasRef("fraud", "prod", at=datetime(2026, 11, 1, tzinfo=UTC)), "fraud@prod@{2026-11-01}"),
        (AliasRef("fraud", "prod", at=datetime.fromisoformat("2026-11-01")), "fraud@prod@{2026-11-01}"),
        (AliasRef("fraud", "prod", at=datetime(2026, 11, 1, 9, 30, tzinfo=UTC)), "fraud@prod@{2026-11-01T09:30:00Z}"),
        (
            AliasRef("fraud", "prod", at=datetime(2026, 11, 1, 1, tzinfo=timezone(timedelta(hours=2)))),
            "fraud@prod@{2026-10-31T23:00:00Z}",
        ),
        (NumberRef("fraud", "1.4.2"), "fraud:1.4.2"),
        (RangeRef("fraud", "^1.4"), "fraud:^1.4"),
        (DigestRef("fraud", "9f86d081"), "fraud#9f86d081"),
    ],
)
def test_each_kind_of_ref_prints_as_it_is_typed(ref, text):
    assert str(ref) == text


@law
@given(st.datetimes() | st.datetimes(timezones=st.timezones()))
@example(datetime.min.replace(tzinfo=timezone(timedelta(hours=14))))
@example(datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))))
def test_an_instant_is_kept_in_utc_and_is_utc_where_no_zone_is_given(at):
    try:
        expected = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        assert refused(parse, f"fraud@prod@{{{at.isoformat()}}}").code == Code.BAD_REF
    else:
        actual = parse(f"fraud@prod@{{{at.isoformat()}}}").at
        assert (actual, actual.tzinfo) == (expected, UTC)


@law
@given(st.dates())
def test_a_day_is_its_first_instant_in_utc(day: date):
    assert parse(f"fraud@prod@{{{day.isoformat()}}}").at == midnight(day)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        ":",
        "#",
        "fraud",
        "fraud@prod~x",
        "fraud@prod~-1",
        "fraud@prod~~",
        "fraud@prod~1~1",
        "fraud@prod~9999999999",
        "fraud@prod~12345678901",
        "fraud@prod~٣",
        "fraud@prod@",
        "fraud@prod@{}",
        "fraud@prod@{2026-13-01}",
        "fraud@prod@{now}",
        "fraud@prod@{2026-11-01}~1",
        "fraud@prod~1@{2026-11-01}",
        "fraud@prod@{2026-11-01",
        "fraud@prod:1.0.0",
        "fraud@prod\n",
        "fraud@",
        "@prod",
        ":1.0.0",
        "Fraud@prod",
        "fraud@Prod",
        " fraud@prod",
        "fraud@prod ",
        "fraud:",
        "fraud:latest",
        "fraud: 1.0.0",
        "fraud:1.0.0 ",
        "fraud:1.0.0\n",
        "fraud:1.0.0+a",
        "fraud:1:2",
        "fraud#",
        "fraud#9f86d08",
        "fraud#9F86D081",
        "fraud#" + "0" * 65,
        "fraud#md5:9f86d081",
        "fraud#sha256:",
        "s3://acme/fraud",
        "fraud:" + "1 " * 250 + "1",
    ],
)
def test_what_is_no_ref_is_refused_and_named(text):
    error = refused(parse, text)
    assert error.code in (Code.BAD_REF, Code.BAD_NAME)
    assert error.hint
    assert error.ref[:100] == text[:100].replace("\n", "\\n")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (
            "fraud",
            "say which: an alias 'fraud@prod', a version 'fraud:1.4.2', the highest 'fraud:*', a digest 'fraud#…'",
        ),
        (
            "churn",
            "say which: an alias 'churn@prod', a version 'churn:1.4.2', the highest 'churn:*', a digest 'churn#…'",
        ),
        (
            "Fraud!",
            "say which: an alias 'fraud@prod', a version 'fraud:1.4.2', the highest 'fraud:*', a digest 'fraud#…'",
        ),
        ("fraud:prod", "an alias comes after '@': 'fraud@prod'; the highest version is 'fraud:*'"),
        ("fraud:prod-eu", "an alias comes after '@': 'fraud@prod-eu'; the highest version is 'fraud:*'"),
        ("fraud:v1.4.2", "drop the 'v': '1.4.2'"),
        ("fraud:1.4.2+gpu", "build metadata is no part of a version: '1.4.2'"),
        ("fraud:^1.0.0-RC.1", "use lower case, as some disks do not tell the cases apart: '1.0.0-rc.1'"),
        ("fraud#9F86D081", "a digest is 8 to 64 of 0-9 a-f, in lower case"),
        ("fraud@prod~9999999999", "no alias has more than 9999999998 moves"),
    ],
)
def test_a_mistyped_ref_gets_the_right_one(text, hint):
    assert refused(parse, text).hint == hint


def test_a_hint_about_ranges_shows_their_forms():
    for text in ("fraud:==1.2", "fraud:>=1.2, <2", "fraud:", "fraud:1.2.3.4"):
        assert refused(parse, text).hint.startswith("ranges are npm's: '^1.4'")


def test_a_ref_and_a_range_have_at_most_500_characters():
    assert parse("fraud:1" + " " * 492 + "2") == RangeRef("fraud", "1" + " " * 492 + "2")
    assert refused(parse, "fraud:1" + " " * 493 + "2").hint == "a ref has no more than 500 characters"
    assert matching("1" + " " * 498 + "2", []) == []
    assert refused(matching, "1" + " " * 499 + "2", []).hint.startswith("a range has no more than 500 characters")


def test_an_alias_to_move_is_a_plain_alias():
    assert parse_alias("fraud@prod") == AliasRef("fraud", "prod")


@pytest.mark.parametrize(
    "text", ["fraud@prod~1", "fraud@prod~0", "fraud@prod~", "fraud@prod@{2026-11-01}", "fraud:1.4.2", "fraud#9f86d081"]
)
def test_any_other_ref_cannot_be_moved(text):
    error = refused(parse_alias, text)
    assert (error.code, error.ref, error.hint) == (Code.BAD_REF, text, "name the alias alone: 'fraud@prod'")


def test_refs_are_values():
    assert len({parse("fraud@prod"), parse("fraud@prod~0"), parse("fraud:1.0.0"), parse("fraud#9f86d081")}) == 3
    with pytest.raises(AttributeError):
        parse("fraud@prod").alias = "dev"


@pytest.mark.parametrize("text", ["fraud@1.4.2", "fraud@1.0.0-rc.1~1", "fraud@2.0.0@{2026-11-01}"])
def test_an_alias_never_looks_like_a_version(text: str) -> None:
    assert refused(parse, text).code == Code.BAD_NAME
