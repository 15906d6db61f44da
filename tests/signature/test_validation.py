"""Whether data is what a model takes."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from modelvault.errors import Code, InvalidInput
from modelvault.signature import Field, Signature, signature
from modelvault.signature.validation import faults

FRAME = pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5], "c": pd.Categorical(["x", "y"])})
NAMED = Signature.infer(len, FRAME)
COLUMNS = [{"name": "a", "dtype": "int64", "shape": (None,)}, {"name": "b", "dtype": "float64", "shape": (None,)}]


def given(**members):
    return signature({"inputs": COLUMNS, **members})


FITS = {
    "the example": (NAMED, FRAME),
    "other rows": (NAMED, FRAME.iloc[:1]),
    "other order": (NAMED, FRAME[["c", "b", "a"]]),
    "more columns": (NAMED, FRAME.assign(d=1)),
    "a narrower type": (NAMED, FRAME.astype({"a": "int8", "b": "float32"})),
    "whole numbers for fractions": (NAMED, FRAME.astype({"b": "int64"})),
    "a text that is one of the categories": (NAMED, FRAME.astype({"c": str})),
    "another package": (NAMED, pl.DataFrame({"a": [1], "b": [0.5], "c": ["y"]})),
    "a dict of columns": (NAMED, {"a": [1], "b": [0.5], "c": ["x"]}),
    "rows": (NAMED, [{"a": 1, "b": 0.5, "c": "x"}]),
    "a type that may have gaps, without one": (NAMED, FRAME.astype({"a": "Int64"})),
    "by position": (given(inputs_by="position"), FRAME[["a", "b"]]),
    "an optional column left out": (given(inputs=[*COLUMNS, {"name": "c", "required": False}]), FRAME[["a", "b"]]),
    "small numbers of Python": (given(inputs=[{"name": "a", "dtype": "int8", "shape": []}]), {"a": -128}),
    "a fraction of Python": (given(inputs=[{"name": "a", "dtype": "float32", "shape": []}]), {"a": 0.1}),
    "what has no type": (given(inputs=[{"name": "a"}]), {"a": "anything"}),
    "a fixed number of rows": (given(inputs=[{"shape": [2, 3], "dtype": "float64"}]), np.zeros((2, 3))),
}  # fmt: skip


@pytest.mark.parametrize(("one", "data"), FITS.values(), ids=FITS)
def test_this_is_taken(one, data):
    assert faults(one, data) == ()
    assert one.validate(data) is None


FAILS = {
    "a column is missing": (NAMED, FRAME[["a", "b"]], "'c' is not given"),
    "another type": (NAMED, FRAME.assign(a="x"), "'a' is string, not int64"),
    "a wider type": (given(inputs=[{"name": "a", "dtype": "float32", "shape": [None]}]), FRAME[["a"]].astype(float), "'a' is float64, which float32 cannot hold"),
    "a gap": (NAMED, FRAME.assign(b=[None, 1.0]), "'b' is missing"),
    "a value that is no category": (NAMED, FRAME.assign(c=["x", "z"]), "'c' may not be 'z'"),
    "a column too many": (given(extra="forbid"), FRAME, "'c' is not listed"),
    "another order": (given(inputs_by="position"), FRAME[["b", "a"]], "in another order"),
    "a column more, by position": (given(inputs_by="position"), FRAME, "'c' is one too many"),
    "another name, by position": (given(inputs_by="position"), FRAME[["a", "b"]].rename(columns={"b": "z"}), "where 'z' was given"),
    "one row for many": (NAMED, {"a": 1, "b": 0.5, "c": "x"}, "has the shape"),
    "no columns": (NAMED, np.zeros((2, 3)), "'a' is not given"),
    "another number of columns": (given(inputs=[{"shape": [None, 4], "dtype": "float64"}], inputs_by="position"), np.zeros((2, 3)), "has the shape"),
    "another number of rows": (given(inputs=[{"shape": [1, 3], "dtype": "float64"}]), np.zeros((2, 3)), "has the shape (2, 3), not (1, 3)"),
    "a number too large": (given(inputs=[{"name": "a", "dtype": "int8", "shape": []}]), {"a": 128}, "int16, which int8 cannot hold"),
    "nothing": (NAMED, None, "is not given"),
}  # fmt: skip


@pytest.mark.parametrize(("one", "data", "said"), FAILS.values(), ids=FAILS)
def test_this_is_not_taken_and_why(one, data, said):
    with pytest.raises(InvalidInput) as caught:
        one.validate(data)
    assert caught.value.code == Code.SIGNATURE_MISMATCH
    assert said in caught.value.message


def test_all_faults_are_told_at_once():
    found = faults(NAMED, FRAME.assign(a="x", b=None)[["a", "b"]])
    assert len(found) == 3


def test_what_is_not_known_cannot_be_checked():
    with pytest.raises(InvalidInput, match="not known") as caught:
        Signature().validate(FRAME)
    assert caught.value.code == Code.BAD_VALUE


@pytest.mark.parametrize("wrong", [5, "x", [], {"inputs": 5}, {"inputs": [{"shape": [-1]}]}, {"inputs": [{"name": "a"}, {"name": "a"}]}, {"inputs_by": "luck"}, {"input": []}, {"inputs": [{"type": "int64"}]}, {"inputs": [{"low": 10**400}]}])  # fmt: skip
def test_what_is_no_signature_is_refused(wrong):
    with pytest.raises(InvalidInput) as caught:
        signature(wrong)
    assert caught.value.code == Code.BAD_VALUE


def test_a_signature_prints_as_a_list_of_its_fields():
    text = str(signature({"inputs": [{"name": "a\x1b", "dtype": "int64", "required": False, "nullable": True, "categories": [1, 2]}], "unknown": ["why\x1b"]}))  # fmt: skip
    assert text.splitlines() == [
        "inputs, by name", "  a\\x1b  int64  any shape  optional  may be missing  one of 1, 2", "outputs: not known", "not known: why\\x1b",
    ]  # fmt: skip
    assert Field(name="x").name == "x"
