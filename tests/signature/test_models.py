"""Real models: what they tell, what they show, and what of it a vault keeps."""

import warnings

import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

from modelvault.errors import Code, IncompleteSignature, InvalidInput, Refused
from modelvault.signature import Signature
from modelvault.stores.memory import MemoryStore
from modelvault.vault import Vault

FRAME, TARGET = load_iris(return_X_y=True, as_frame=True)
ARRAY, NAMES = FRAME.to_numpy(), ["setosa", "versicolor", "virginica"]
LABELS = np.array(NAMES)[TARGET]


def told(fields):
    return [(one.name, one.dtype, one.shape) for one in fields]


@pytest.fixture
def vault():
    return Vault(MemoryStore(), trust="pickle")


def published(vault, model, example):
    """The version, nothing of which was left out; it is loaded, and answers as it did."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        version = vault.publish("m", model, bump="major", example=example)
    assert version.signature.unknown == ()
    vault.load(version.ref, check=True)
    version.signature.validate(example)
    assert vault.suggest_bump("m", model, example=example).level == "patch"
    return version.signature


def test_a_classifier_on_a_frame(vault):
    found = published(vault, LogisticRegression(max_iter=1000).fit(FRAME, LABELS), FRAME)
    assert told(found.inputs) == [(name, "float64", (None,)) for name in FRAME]
    assert (found.inputs_by, found.extra) == ("position", "forbid")  # scikit-learn refuses other orders, and more
    assert told(found.outputs) == [("predict", "string", (None,)), ("predict_proba", "float64", (None, 3))]
    assert {one.categories for one in found.outputs} == {tuple(NAMES)}


def test_a_classifier_on_an_array(vault):
    found = published(vault, LogisticRegression(max_iter=1000).fit(ARRAY, TARGET), ARRAY)
    assert told(found.inputs) == [("", "float64", (None, 4))]
    assert told(found.outputs)[0] == ("predict", "int64", (None,))
    assert found.outputs[0].categories == (0, 1, 2)


def test_a_classifier_without_probabilities(vault):
    found = published(vault, LinearSVC().fit(ARRAY, TARGET), ARRAY)
    assert [one.name for one in found.outputs] == ["predict"]


def test_a_regressor(vault):
    found = published(vault, RandomForestRegressor(5).fit(ARRAY[:, 1:], ARRAY[:, 0]), ARRAY[:, 1:])
    assert told(found.outputs) == [("predict", "float64", (None,))]
    assert found.outputs[0].categories is None


def test_a_transformer(vault):
    found = published(vault, StandardScaler().fit(FRAME), FRAME)
    assert told(found.outputs) == [("transform", "float64", (None, 4))]


def test_a_transformer_that_gives_frames(vault):
    found = published(vault, StandardScaler().fit(FRAME).set_output(transform="pandas"), FRAME)
    assert [one.name for one in found.outputs] == [f"transform.{name}" for name in FRAME]


def test_a_pipeline_that_picks_its_columns_takes_them_by_name(vault):
    frame = pd.DataFrame({"shop": pd.Categorical(["a", "b", "a", "c"]), "amount": [1.0, 2.0, 3.0, 4.0]})
    picked = ColumnTransformer([("shop", OneHotEncoder(), ["shop"]), ("amount", StandardScaler(), ["amount"])])
    model = make_pipeline(picked, LogisticRegression()).fit(frame, [0, 1, 0, 1])
    found = published(vault, model, frame)
    assert (found.inputs_by, found.extra) == ("name", "ignore")
    assert found.inputs[0].categories == ("a", "b", "c")
    found.validate(frame[["amount", "shop"]].assign(more=1))  # in any order, among others: so the model says
    assert list(model.predict(frame[["amount", "shop"]].assign(more=1))) == list(model.predict(frame))


def test_text(vault):
    texts = ["cheap pills", "see you at noon", "cheap cheap", "noon meeting"]
    model = make_pipeline(TfidfVectorizer(), MultinomialNB()).fit(texts, [1, 0, 1, 0])
    assert told(published(vault, model, texts).inputs) == [("", "string", (None,))]


def test_pandas_types_that_may_be_missing_are_kept(vault):
    frame = pd.DataFrame({"n": pd.array([1, None, 3, 4] * 10, "Int64"), "b": pd.array([True, None, False, True] * 10, "boolean"), "f": pd.array([0.5, None, 1, 2] * 10, "Float64")})  # fmt: skip
    model = HistGradientBoostingClassifier(max_iter=3).fit(frame, [0, 1, 0, 1] * 10)
    found = published(vault, model, frame)
    assert [(one.dtype, one.nullable) for one in found.inputs] == [("int64", True), ("bool", True), ("float64", True)]


def test_what_an_estimator_takes_is_not_left_to_the_example(vault):
    takes = HistGradientBoostingClassifier(max_iter=3).fit(ARRAY, TARGET)
    refuses = LogisticRegression(max_iter=1000).fit(ARRAY, TARGET)
    assert [Signature.infer(model, ARRAY).inputs[0].nullable for model in (takes, refuses)] == [True, False]


def test_several_outputs(vault):
    model = MultiOutputClassifier(LogisticRegression(max_iter=1000)).fit(ARRAY, np.c_[TARGET, TARGET == 0])
    found = published(vault, model, ARRAY)
    assert told(found.outputs) == [
        ("predict", "int64", (None, 2)), ("predict_proba.0", "float64", (None, 3)), ("predict_proba.1", "float64", (None, 2)),
    ]  # fmt: skip


@pytest.mark.parametrize("data", [ARRAY, FRAME], ids=["array", "frame"])
def test_xgboost(vault, data):
    found = published(vault, xgboost.XGBClassifier(n_estimators=3).fit(data, TARGET), data)
    assert all(one.nullable and one.dtype == "float64" for one in found.inputs)
    assert told(found.outputs) == [("predict", "int64", (None,)), ("predict_proba", "float32", (None, 3))]
    assert found.outputs[1].categories == (0, 1, 2)


def test_a_booster_of_xgboost(vault):
    booster = xgboost.train({"objective": "multi:softprob", "num_class": 3}, xgboost.DMatrix(FRAME, TARGET), 3)
    found = published(vault, booster, FRAME)
    assert told(found.outputs) == [("inplace_predict", "float32", (None, 3))]
    bare = Signature.infer(booster)
    assert [one.name for one in bare.inputs] == list(FRAME)
    assert (bare.inputs_by, bare.extra) == ("position", "forbid")


def test_a_function(vault):
    def total(rows):
        return {"total": rows["a"] + rows["b"]}

    found = published(vault, total, {"a": np.array([1.0, 2]), "b": np.array([3.0, 4])})
    assert told(found.inputs) == [("a", "float64", (None,)), ("b", "float64", (None,))]
    assert told(found.outputs) == [("total", "float64", (None,))]


# --- without an example --------------------------------------------------------------------------------------------


def test_an_estimator_tells_what_it_knows_and_that_it_knows_no_types(vault):
    version = vault.publish("m", LogisticRegression(max_iter=1000).fit(FRAME, LABELS))
    found = version.signature
    assert told(found.inputs) == [(name, None, (None,)) for name in FRAME]
    assert told(found.outputs) == [("predict", "string", (None,)), ("predict_proba", None, (None, 3))]
    assert any("types" in one for one in found.unknown)
    found.validate(FRAME)
    with pytest.raises(InvalidInput, match="petal width"):
        found.validate(FRAME.iloc[:, :3])


@pytest.mark.parametrize("model", [LinearRegression(), TfidfVectorizer(), "text", {"a": 1}, print], ids=str)
def test_a_model_that_tells_nothing_has_no_signature(vault, model):
    assert vault.publish("m", model).signature is None
    assert Signature.infer(model).unknown


# --- what goes wrong is said -----------------------------------------------------------------------------------------


class Broken:
    def predict(self, rows):
        raise RuntimeError("no weights")


class Random:
    def predict(self, rows):
        return np.random.default_rng().random(len(rows))


class Strange:
    def predict(self, rows):
        return [object() for _ in rows]


@pytest.mark.parametrize(("model", "said"), [(Broken(), "no weights"), (Random(), "differ from call to call"), (Strange(), "object"), (5, "cannot be called")])  # fmt: skip
def test_a_model_that_cannot_be_asked_is_published_with_a_warning(vault, model, said):
    with pytest.warns(IncompleteSignature, match=said):
        version = vault.publish("m", model, example=ARRAY)
    assert any(said in one for one in version.signature.unknown)
    assert told(version.signature.inputs) == [("", "float64", (None, 4))]
    assert [file.path for file in version.files] == ["model.pkl"]
    with pytest.raises(Refused, match="no examples were recorded") as caught:
        vault.load(version.ref, check=True)
    assert caught.value.code == Code.CHECK_FAILED


def test_one_method_that_fails_does_not_hide_the_other(vault):
    class Half:
        def predict(self, rows):
            return rows[:, 0]

        def predict_proba(self, rows):
            raise NotImplementedError("not for trees")

    with pytest.warns(IncompleteSignature, match="predict_proba: it failed"):
        version = vault.publish("m", Half(), example=ARRAY)
    assert told(version.signature.outputs) == [("predict", "float64", (None,))]
    vault.load(version.ref, check=True)


def test_a_model_is_stored_as_it_was_before_it_was_called(vault):
    class Counts:
        called = 0

        def predict(self, rows):
            self.called += 1
            return rows[:, 0]

    vault.publish("m", Counts(), example=ARRAY)
    assert vault.load("m:1.0.0").called == 0


def test_large_rows_are_fewer_and_too_large_ones_are_left_out(vault):
    def one(rows):
        return rows[:, 0]

    version = vault.publish("m", one, example=np.random.default_rng(0).random((100, 5000)))  # 40 kB a row
    [file] = [file for file in version.files if file.path.startswith("_modelvault/")]
    assert 500_000 < file.size <= 1024 * 1024
    vault.load(version.ref, check=True)
    with pytest.warns(IncompleteSignature, match="more than 1,048,576"):
        version = vault.publish("m", one, bump="major", example=np.zeros((3, 500_000)))
    assert version.signature.outputs
    assert len(version.files) == 1


# --- torch -----------------------------------------------------------------------------------------------------------


def test_torch(vault):
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(), torch.nn.Linear(8, 3))
    model[1].eval()
    found = published(vault, model, torch.zeros(10, 4))
    assert told(found.inputs) == [("", "float32", (None, 4))]
    assert told(found.outputs) == [("output", "float32", (None, 3))]
    assert [part.training for part in model] == [True, False, True]  # as it was


def test_torch_with_arguments_by_name_and_by_position(vault):
    torch = pytest.importorskip("torch")

    class Net(torch.nn.Module):
        def forward(self, x, mask=None):
            return {"sum": (x if mask is None else x * mask).sum(1), "half": x.to(torch.bfloat16)}

    rows = torch.ones(10, 4)
    for example in ({"x": rows, "mask": rows}, (rows, rows)):
        found = published(vault, Net(), example)
        assert told(found.outputs) == [("sum", "float32", (None,)), ("half", "bfloat16", (None, 4))]
    bare = Signature.infer(Net())
    assert [(one.name, one.required) for one in bare.inputs] == [("x", True), ("mask", False)]
    assert bare.unknown


@pytest.mark.filterwarnings("ignore")
def test_a_graph_that_torch_exported_tells_all():
    torch = pytest.importorskip("torch")
    net = torch.nn.Linear(4, 3)
    made = torch.export.export(net, (torch.zeros(2, 4),), dynamic_shapes=({0: torch.export.Dim("batch")},))
    found = Signature.infer(made)
    assert [(one.dtype, one.shape) for one in (*found.inputs, *found.outputs)] == [
        ("float32", (None, 4)),
        ("float32", (None, 3)),
    ]
    assert found.unknown == ()
