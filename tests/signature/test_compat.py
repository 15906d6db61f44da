"""Whether one contract can stand in for another: the table, row by row, and the laws that it must keep."""

import json
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from modelvault.signature import Signature
from modelvault.signature.bump import Bump, contract_bump, with_outputs
from modelvault.signature.compat import RULES, changes, compare, level, same
from modelvault.wire import FieldRecord, SignatureRecord, record

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "compatibility.json").read_text(encoding="utf-8"))
ORDER = {None: 0, "note": 1, "unknown": 2, "minor": 3, "major": 4}


def contract(fields, side, by="name", extra="ignore"):
    members = {f"{side}s": fields, f"{side}s_by": by}
    return record(SignatureRecord, extra=extra, **members)


def pair(vector, side):
    by, extra = vector.get("by", "name"), vector.get("extra", "ignore")
    old = contract(vector["old"], side, vector.get("was", by), vector.get("extra_was", extra))
    return old, contract(vector["new"], side, by, extra)


@pytest.mark.parametrize("side", ["input", "output"])
@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["change"])
def test_a_row_of_the_table(vector, side):
    old, new = pair(vector, side)
    found = [one for one in compare(old, new) if one.side == side]
    assert max((one.level for one in found), key=ORDER.get, default=None) == vector[side]
    for one in found:
        assert one.path.startswith(f"{side}s")
        assert one.reason.isprintable()
        assert "{" not in one.reason
    if vector[side] is not None:
        assert any(one.rule.startswith(vector["change"]) or vector["change"].endswith("added") for one in found)
    noted = [one.reason for one in found if one.rule == "whole numbers rounded"]
    if side == "input":
        assert bool(noted) == ("note" in vector)
        assert all(vector["note"] in reason for reason in noted)


def test_every_rule_has_a_vector():
    seen = {one.rule for vector in VECTORS for side in ("input", "output") for one in changes(*pair(vector, side))}
    assert seen == RULES.keys() - {"predictions changed"}


# --- laws ----------------------------------------------------------------------------------------------------------

DTYPES = ["bool", "int8", "int32", "int64", "uint8", "uint16", "uint64", "float16", "bfloat16", "float32", "float64", "complex64", "complex128", "string"]  # fmt: skip
SHAPES = st.none() | st.lists(st.sampled_from([None, 1, 3]), max_size=2).map(tuple)
CATEGORIES = st.none() | st.lists(st.sampled_from(["a", "b", "c", 1, True]), unique_by=repr, max_size=3).map(tuple)


def fields(name):
    return st.builds(
        FieldRecord,
        name=st.just(name),
        dtype=st.sampled_from(DTYPES),
        shape=SHAPES,
        required=st.booleans(),
        nullable=st.booleans(),
        categories=CATEGORIES,
    )


STEPS = {
    "dtype": st.sampled_from(DTYPES),
    "shape": SHAPES,
    "required": st.booleans(),
    "nullable": st.booleans(),
    "categories": CATEGORIES,
}


@st.composite
def contracts(draw, count):
    """So many contracts of few fields, each a step from the one before: many of them stand in for each other."""
    by, extra = draw(st.sampled_from(["name", "position"])), draw(st.sampled_from(["ignore", "forbid"]))
    found = []
    sides = {side: [draw(fields(name)) for name in "ab"[: draw(st.integers(0, 2))]] for side in ("inputs", "outputs")}
    for _ in range(count):
        found.append(
            SignatureRecord(
                **{side: tuple(fields) for side, fields in sides.items()}, inputs_by=by, outputs_by=by, extra=extra
            )
        )
        listed = sides[draw(st.sampled_from(["inputs", "outputs"]))]
        kind = draw(st.sampled_from(["change", "change", "change", "add", "drop", "turn", "stay"]))
        free = [name for name in "abc" if name not in {field.name for field in listed}]
        if kind == "add" and free:
            listed.append(draw(fields(free[0])))
        elif kind == "drop" and listed:
            listed.pop(draw(st.integers(0, len(listed) - 1)))
        elif kind == "turn":
            listed.reverse()
        elif kind == "change" and listed:
            at, member = draw(st.integers(0, len(listed) - 1)), draw(st.sampled_from(sorted(STEPS)))
            listed[at] = listed[at].model_copy(update={member: draw(STEPS[member])})
    return found


def stands_in(old, new):
    return level(compare(old, new)) != "major"


def input_names(one):
    return {field.name for field in one.inputs}


@given(contracts(1))
def test_a_contract_stands_in_for_itself_and_nothing_is_found(found):
    [one] = found
    again = SignatureRecord.model_validate_json(one.model_dump_json())
    assert same(one, again)
    assert compare(one, again) == () == tuple(changes(one, again))


@given(contracts(3))
def test_what_stands_in_for_what_stands_in_stands_in(triple):
    a, b, c = triple
    assume(stands_in(a, b) and stands_in(b, c))
    # what was dropped, and is taken up again as something else, is what `extra="ignore"` cannot see
    assume(input_names(a) & input_names(c) <= input_names(b))
    assert stands_in(a, c)


@st.composite
def chains(draw):
    """Three contracts of one field that differ in one or two respects: many of them stand in for each other."""
    first = draw(fields("a"))
    found = [first]
    for _ in range(2):
        member = draw(st.sampled_from(sorted(STEPS)))
        found.append(found[-1].model_copy(update={member: draw(STEPS[member])}))
    side = draw(st.sampled_from(["inputs", "outputs"]))
    return [SignatureRecord(**{side: (one,)}) for one in found]


@given(chains())
def test_of_one_field_too_and_near_to_each_other(chain):
    a, b, c = chain
    assume(stands_in(a, b) and stands_in(b, c))
    assert stands_in(a, c)


@given(contracts(2))
def test_two_that_stand_in_for_each_other_are_one_but_for_inputs_that_are_ignored(pair):
    a, b = pair
    assume(stands_in(a, b) and stands_in(b, a))
    both = input_names(a) & input_names(b)
    assert a.extra == "ignore" or input_names(a) == input_names(b)
    for one, other in ((a, b), (b, a)):
        assert all(not field.required for field in one.inputs if field.name not in both) or input_names(other) <= both
    old = {field.name: field for field in a.inputs}
    for field in b.inputs:
        if field.name in both:
            assert in_any_order(field) == in_any_order(old[field.name])
    assert {one.name: one for one in a.outputs} == {one.name: one for one in b.outputs}


def in_any_order(field):
    order = None if field.categories is None else tuple(sorted(field.categories, key=repr))
    return field.model_copy(update={"categories": order})


@given(chains())
def test_what_grows_one_way_shrinks_the_other(chain):
    a, b, _ = chain
    if compare(a, b) and stands_in(a, b):
        moved = {one.rule for one in compare(a, b)} - {"order of categories changed", "whole numbers rounded"}
        assert not moved or not stands_in(b, a)


@given(fields("a"), fields("a"))
def test_an_output_is_judged_as_an_input_is_the_other_way(old, new):
    there = compare(SignatureRecord(inputs=(old,)), SignatureRecord(inputs=(new,)))
    back = compare(SignatureRecord(outputs=(new,)), SignatureRecord(outputs=(old,)))
    reordered = {"order of categories changed"}
    assert level(there) == level(one for one in back if one.rule not in reordered)


@pytest.mark.parametrize("hostile", ["\x1b[2J", "{old}", "{0.__class__}", "a\nb", "\u202e"])
def test_a_reason_is_printable_whatever_a_field_is_called(hostile):
    old = SignatureRecord(inputs=(FieldRecord(name=hostile, dtype=hostile, categories=(hostile,)),))
    new = SignatureRecord(inputs=(FieldRecord(name=hostile, dtype="x" + hostile, categories=("b",)),))
    found = compare(old, new)
    assert len(found) == 3
    assert all(one.reason.isprintable() for one in found)


# --- contracts and bumps -------------------------------------------------------------------------------------------


def test_a_contract_has_one_name_whatever_is_advised_or_said_of_it():
    plain = Signature(inputs=(FieldRecord(name="x", dtype="int64"),))
    said = Signature(inputs=(FieldRecord(name="x", dtype="int64", low=0, high=9),), unknown=("outputs: no",))
    other = Signature(inputs=(FieldRecord(name="x", dtype="int32"),))
    assert plain.contract == said.contract != other.contract
    assert plain.contract.startswith("sha256:")


def test_true_is_not_one():
    old, new = (Signature(outputs=(FieldRecord(categories=(value, 2)),)) for value in (True, 1))
    assert level(compare(old, new)) == "major"


def test_predictions_decide_between_minor_and_patch():
    one = Signature(inputs=(FieldRecord(name="x", dtype="int64"),))
    equal = contract_bump(one, one, "1.0.0")
    assert (equal.level, equal.unknown) == ("patch", ())
    assert with_outputs(equal, ()).level == "patch"
    changed = with_outputs(equal, ("predict",))
    assert (changed.level, changed.reasons) == (
        "minor", ("the output 'predict' gives other values on the recorded examples",),
    )  # fmt: skip
    [unknown] = with_outputs(equal, None, "it cannot be called").unknown
    assert "it cannot be called" in unknown


def test_what_is_not_known_cannot_lower_a_major_bump():
    old = Signature(inputs=(FieldRecord(name="x", dtype="int64"),), outputs=None)
    new = Signature(inputs=(FieldRecord(name="y", dtype="string"),), outputs=(FieldRecord(name="p"),))
    bump = contract_bump(old, new, "1.0.0")
    assert (bump.level, bump.unknown) == ("major", ())
    assert [one.level for one in bump.findings].count("unknown") == 1


def test_without_a_signature_nothing_is_known():
    one = Signature(inputs=())
    for old, new in ((None, one), (one, None), (None, None)):
        assert contract_bump(old, new, "1.0.0").unknown


@pytest.mark.parametrize(("level", "too_little"), [("patch", []), ("minor", ["patch"]), ("major", ["patch", "minor"])])
def test_a_bump_exceeds_what_is_less(level, too_little):
    assert [asked for asked in ("patch", "minor", "major") if Bump(level, "1.0.0").exceeds(asked)] == too_little


def test_two_contracts_of_a_thousand_fields_are_compared_in_few_calls():
    """In calls, not in time: a second pass over all fields would show."""
    import cProfile
    import pstats

    old, new = (
        SignatureRecord(inputs=tuple(FieldRecord(name=f"c{at}", dtype=dtype, shape=(None,)) for at in range(1000)))
        for dtype in ("float32", "float64")
    )
    assert len(compare(old, new)) == 1000
    profile = cProfile.Profile()
    profile.runcall(compare, old, new)
    assert pstats.Stats(profile).total_calls < 40 * 1000
    profile = cProfile.Profile()
    profile.runcall(compare, old, old)
    assert pstats.Stats(profile).total_calls < 10


def test_the_page_shows_the_rules_as_they_are():
    page = (Path(__file__).parents[2] / "docs" / "explanation" / "compatibility.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")][1:]
    levels = {"–": None}
    shown = {name: tuple(levels.get(one, one.strip("*")) for one in cells) for name, *cells in rows}
    assert shown == {name: (one, other) for name, (one, other, _) in RULES.items()}
