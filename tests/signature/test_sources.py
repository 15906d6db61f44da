"""What data tells of itself, and that it comes back from its record as it was."""

import datetime as dt
import decimal
import enum
from typing import Annotated, Literal

import numpy as np
import onnx
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from onnx import TensorProto, helper
from pydantic import BaseModel, Field

from modelvault.signature import Signature
from modelvault.signature.examples import sample
from modelvault.signature.nodes import NotStorable, alike, decoded, encoded
from modelvault.signature.sources import described


def told(data):
    """Name, dtype, shape of each field, with marks: `?` may be missing, `-` optional; how they are known; what is not."""
    said = described(data)
    marks = [("?" if one.nullable else "") + ("" if one.required else "-") for one in said.fields]
    found = [(one.name, f"{one.dtype}{mark}", one.shape) for one, mark in zip(said.fields, marks, strict=True)]
    return found, said.by, said.unknown


ANY = (None,)
DATA = {
    "an integer": (5, [("", "int64", ())]),
    "a list of numbers": ([1, 2.5, None], [("", "float64?", ANY)]),
    "lists of lists": ([[1, 2], [3, 4]], [("", "int64", (None, 2))]),
    "a tuple of arrays": ((np.zeros((3, 2), "f4"), np.zeros(3, "i8")), [("0", "float32", (None, 2)), ("1", "int64", ANY)]),
    "a dict": ({"a": 1, "b": "x", "c": np.zeros((4, 2))}, [("a", "int64", ()), ("b", "string", ()), ("c", "float64", (None, 2))]),
    "rows": ([{"a": 1, "b": "x"}, {"a": 2.5}], [("a", "float64", ANY), ("b", "string-", ANY)]),
    "an array": (np.array([[1, np.nan]]), [("", "float64?", (None, 2))]),
    "an array of the other end": (np.array([1, 2], ">i4"), [("", "int32", ANY)]),
    "an array of text": (np.array(["a", "bb"]), [("", "string", ANY)]),
    "an array of objects": (np.array(["a", None], object), [("", "string?", ANY)]),
    "an array of days": (np.array(["2020-01-01", "NaT"], "M8[D]"), [("", "timestamp[D]?", ANY)]),
    "a number of numpy": (np.float32(1), [("", "float32", ())]),
    "a series": (pd.Series([1.0, None], name="x"), [("x", "float64?", ANY)]),
    "a table": (pa.table({"x": pa.array([1, None], pa.int8())}), [("x", "int8?", ANY)]),
    "a batch": (pa.record_batch({"x": pa.array(["a"])}), [("x", "string", ANY)]),
    "a series of polars": (pl.Series("x", [1, 2], pl.UInt8), [("x", "uint8", ANY)]),
}  # fmt: skip


@pytest.mark.parametrize(("data", "fields"), DATA.values(), ids=DATA)
def test_data_is_described_and_comes_back_as_it_was(data, fields):
    found, by, unknown = told(data)
    assert (found, unknown) == (fields, ())
    assert by == ("position" if fields[0][0] in {"", "0"} or isinstance(data, pd.Series) else "name")
    node = encoded(data)
    again = decoded(node)
    assert alike(node, encoded(again))
    assert told(again) == told(data)


PANDAS = {
    "int64": ([1, 2], "int64", "int64"),
    "float64": ([1.0, None], "float64", "float64?"),
    "Int64": ([1, None], "Int64", "int64?"),
    "Int64 without a gap": ([1, 2], "Int64", "int64?"),
    "UInt8": ([1, None], "UInt8", "uint8?"),
    "Float32": ([1.5, None], "Float32", "float32?"),
    "boolean": ([True, None], "boolean", "bool?"),
    "bool": ([True, False], "bool", "bool"),
    "string": (["a", None], "string", "string?"),
    "str": (["a", "b"], "str", "string"),
    "object": (["a", None], "object", "string?"),
    "arrow": ([1, None], "int64[pyarrow]", "int64?"),
    "times": (["2020-01-01", None], "datetime64[ns]", "timestamp[ns]?"),
    "times of a zone": (["2020-01-01", "2020-07-01"], "datetime64[ns, Europe/Berlin]", "timestamp[ns, Europe/Berlin]"),
    "spans": ([1, 2], "timedelta64[s]", "duration[s]"),
}


@pytest.mark.parametrize(("values", "dtype", "told_as"), PANDAS.values(), ids=PANDAS)
def test_every_column_of_pandas_keeps_its_type(values, dtype, told_as):
    frame = pd.DataFrame({"x": pd.array(values, dtype=dtype)})
    assert told(frame) == ([("x", told_as, ANY)], "name", ())
    again = decoded(encoded(frame))
    pd.testing.assert_frame_equal(again, frame)


def test_categories_are_kept_in_their_order():
    frame = pd.DataFrame({"c": pd.Categorical(["x", "y", None], categories=["y", "x", "z"], ordered=True)})
    [field] = described(frame).fields
    assert (field.dtype, field.categories, field.nullable) == ("string", ("y", "x", "z"), True)
    pd.testing.assert_frame_equal(decoded(encoded(frame)), frame)
    [field] = described(pl.DataFrame({"c": pl.Series(["x"], dtype=pl.Enum(["y", "x"]))})).fields
    assert field.categories == ("y", "x")
    [field] = described(pa.table({"c": pa.array(["x", "y", "x"]).dictionary_encode()})).fields
    assert field.categories == ("x", "y")


def test_a_frame_of_polars_keeps_its_types():
    day, time, span = dt.date(2020, 1, 1), dt.datetime(2020, 1, 1, 12), dt.timedelta(days=1)  # noqa: DTZ001
    frame = pl.DataFrame(
        {
            "i": [1, 2],
            "f": [1.0, None],
            "b": [True, False],
            "d": [day] * 2,
            "t": [time] * 2,
            "s": [span] * 2,
            "e": ["b", "a"],
        },
        schema_overrides={"i": pl.UInt8, "f": pl.Float32, "e": pl.Enum(["b", "a"])},
    ).with_columns(z=pl.col("t").dt.replace_time_zone("UTC"), a=pl.col("f").reshape((2, 1)))
    assert told(frame)[0] == [
        ("i", "uint8", ANY), ("f", "float32?", ANY), ("b", "bool", ANY), ("d", "date32", ANY), ("t", "timestamp[us]", ANY),
        ("s", "duration[us]", ANY), ("e", "string", ANY), ("z", "timestamp[us, UTC]", ANY), ("a", "float32", (None, 1)),
    ]  # fmt: skip
    stored = frame.drop("a")
    assert decoded(encoded(stored)).equals(stored)
    assert told(frame.lazy())[2]


def test_a_table_of_arrow_keeps_its_types():
    table = pa.table({
        "f": pa.array([1.0, None], pa.float32()), "l": [[1], [2]], "v": pa.array([[1, 2], [3, 4]], pa.list_(pa.int8(), 2)),
        "t": pa.array([1, 2], pa.timestamp("us", tz="UTC")), "n": pa.array([decimal.Decimal("1.5")] * 2),
    })  # fmt: skip
    assert told(table)[0] == [
        ("f", "float32?", ANY), ("l", "list<int64>", ANY), ("v", "int8", (None, 2)), ("t", "timestamp[us, UTC]", ANY),
        ("n", "decimal128(2, 1)", ANY),
    ]  # fmt: skip
    assert all(mark.endswith("?") for _, mark, _ in told(table.schema)[0])


UNKNOWN = {
    "lists of different lengths": ([[1], [2, 3]], "shape"),
    "a mixture": (["a", 1], "type"),
    "nothing but None": ([None], "type"),
    "None": (None, "type"),
    "an object of nobody": (object(), "type"),
    "names that are no text": (pd.DataFrame(np.zeros((2, 2))), "names"),
    "two columns of one name": (pd.DataFrame(np.zeros((2, 2)), columns=["a", "a"]), "names"),
    "an open Categorical": (pl.DataFrame({"c": pl.Series(["x"], dtype=pl.Categorical)}), "categories"),
    "too many categories": (pd.DataFrame({"c": pd.Categorical(range(2000))}), "categories"),
    "a schema of a dictionary": (pa.schema([("c", pa.dictionary(pa.int8(), pa.string()))]), "categories"),
}


@pytest.mark.parametrize(("data", "what"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_is_not_known_is_said(data, what):
    said = described(data)
    assert said.fields
    assert any(what in one for one in said.unknown)


@pytest.mark.parametrize("data", [object(), pd.period_range("2020", periods=2).to_frame(), pl.DataFrame({"l": [[1]]}), pa.table({"l": [[1]]}), np.zeros(2, "i4,f4")])  # fmt: skip
def test_what_has_no_node_says_so(data):
    with pytest.raises(NotStorable, match="not stored"):
        encoded(data)


@given(npst.arrays(st.one_of(npst.boolean_dtypes(), npst.integer_dtypes(), npst.floating_dtypes(), npst.complex_number_dtypes(), npst.datetime64_dtypes()), npst.array_shapes(min_dims=0, max_dims=3)))  # fmt: skip
def test_any_array_comes_back_bit_for_bit(array):
    again = decoded(encoded(array))
    assert again.dtype.newbyteorder("=") == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(again, array)


def unfolded(time):
    return time.replace(fold=0)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=["Cs"])) | st.binary() | st.dates() | st.times().map(unfolded) | st.datetimes().map(unfolded), lambda one: st.lists(one) | st.tuples(one, one) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])) | st.integers(), one)))  # fmt: skip
def test_any_value_comes_back(value):
    node = encoded(value)
    again = decoded(node)
    assert type(again) is type(value)
    assert repr(again) == repr(value)
    assert alike(node, encoded(again))


@pytest.mark.parametrize("array", [np.arange(200).reshape(100, 2), np.arange(64)])
def test_a_sample_is_spread_over_all_rows(array):
    picked = sample(array)
    assert len(picked) == 64
    assert (picked[0] == array[0]).all()
    assert (picked[-1] >= array[-3]).all()


def test_a_sample_of_anything_is_of_the_same_kind():
    rows = list(range(100))
    for data in (
        rows, pd.DataFrame({"x": rows}), pd.Series(rows), pl.DataFrame({"x": rows}), pa.table({"x": rows}), np.array(rows),
        {"x": np.array(rows), "y": rows}, (np.array(rows), np.array(rows)), [{"x": one} for one in rows],
    ):  # fmt: skip
        picked = sample(data)
        assert type(picked) is type(data)
        length = len(next(iter(picked.values()))) if isinstance(picked, dict) else len(picked[0]) if isinstance(picked, tuple) else len(picked)  # fmt: skip
        assert length == 64
    assert sample({"x": [1, 2], "y": rows}) == {"x": [1, 2], "y": rows}  # no rows: two lengths


# --- pydantic ------------------------------------------------------------------------------------------------------


class Colour(enum.Enum):
    RED = "r"
    GREEN = "g"


class Address(BaseModel):
    zip: int
    street: str | None = None


class Order(BaseModel):
    model_config = {"extra": "forbid"}
    amount: Annotated[float, Field(ge=0, le=100)]
    note: str | None = None
    kind: Literal["a", "b"]
    colour: Colour
    items: list[int]
    address: Address
    other: Address | None = None
    at: dt.datetime
    more: dict[str, int]


def test_a_model_of_pydantic_describes_the_inputs():
    found = Signature.infer(Order)
    told = {one.name: f"{one.dtype}{'?' * one.nullable}{'' if one.required else '-'}" for one in found.inputs}
    assert told == {
        "amount": "float64", "note": "string?-", "kind": "string", "colour": "string", "items": "int64",
        "address.zip": "int64", "address.street": "string?-", "other.zip": "int64-", "other.street": "string?-",
        "at": "timestamp[us]", "more": "None",
    }  # fmt: skip
    by_name = {one.name: one for one in found.inputs}
    assert (by_name["amount"].low, by_name["amount"].high) == (0, 100)
    assert (by_name["kind"].categories, by_name["colour"].categories) == (("a", "b"), ("r", "g"))
    assert by_name["items"].shape == (None,)
    assert found.extra == "forbid"
    assert any("more" in one for one in found.unknown)
    assert found.outputs is None
    assert any("outputs" in one for one in found.unknown)


# --- ONNX ----------------------------------------------------------------------------------------------------------


def graph():
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3]),
        helper.make_tensor_value_info("w", TensorProto.FLOAT, [3, 2]),
        helper.make_tensor_value_info("id", TensorProto.STRING, None),
    ]
    scores = helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    outputs = [
        helper.make_tensor_value_info("y", TensorProto.FLOAT16, ["batch", 2]),
        helper.make_value_info("scores", helper.make_sequence_type_proto(scores)),
        helper.make_value_info("maybe", helper.make_optional_type_proto(helper.make_tensor_type_proto(TensorProto.INT8, [1]))),
    ]  # fmt: skip
    weights = helper.make_tensor("w", TensorProto.FLOAT, [3, 2], [0.0] * 6)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    return helper.make_model(helper.make_graph(nodes, "g", inputs, outputs, [weights]))


@pytest.mark.parametrize("as_file", [False, True])
def test_a_graph_of_onnx_tells_all(as_file, tmp_path):
    model = graph()
    onnx.save(model, str(tmp_path / "model.onnx"))
    found = Signature.infer(tmp_path / "model.onnx" if as_file else model)
    assert [(one.name, one.dtype, one.shape, one.required) for one in found.inputs] == [
        ("x", "float32", (None, 3), True), ("w", "float32", (3, 2), False), ("id", "string", None, True),
    ]  # fmt: skip
    assert [(one.name, one.dtype, one.shape) for one in found.outputs] == [
        ("y", "float16", (None, 2)), ("scores", "sequence<map<int64, float32>>", None), ("maybe", "optional<int8>", None),
    ]  # fmt: skip
    assert (found.unknown, found.extra) == ((), "forbid")


@pytest.mark.parametrize("number", [number for number in TensorProto.DataType.values() if number] + [99])
def test_every_type_of_onnx_has_a_name(number):
    one = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    one.type.tensor_type.elem_type = number
    found = Signature.infer(helper.make_model(helper.make_graph([], "g", [], [one])))
    assert (found.outputs[0].dtype == f"onnx.{number}") == (number > 28)


@pytest.mark.parametrize("raw", [b"", b"\x08", b"\x3a\xff\xff\xff\xff\x0f", b"not a graph", bytes(100)])
def test_a_file_that_is_no_graph_is_not_known(raw, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(raw)
    found = Signature.infer(path)
    assert found.inputs is None
    assert any("inputs" in one for one in found.unknown)
