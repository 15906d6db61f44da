"""Signatures where they are enforced: when a version is published, when an alias moves, when a model is loaded."""

import base64
import json
import pickle

import numpy as np
import pytest
from onnx import TensorProto, helper
from pydantic import BaseModel

import modelvault as mv
from modelvault import gates
from modelvault.canonical import canonical
from modelvault.errors import AlreadyExists, Code, Corrupt, IncompleteSignature, InvalidInput, Refused
from modelvault.signature.examples import PATH, read
from modelvault.signature.recording import recorded
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import Recording
from modelvault.vault import Vault

ROWS = np.arange(40.0).reshape(10, 4)


class Linear:
    """A model; what it answers with follows from its weights."""

    def __init__(self, weight=1.0, columns=4, dtype="float64"):
        self.weight, self.columns, self.dtype = weight, columns, dtype

    def predict(self, rows):
        if rows.shape[1] != self.columns:
            raise ValueError("columns")
        return (rows.sum(axis=1) * self.weight).astype(self.dtype)


@pytest.fixture
def vault():
    vault = Vault(MemoryStore(), trust="pickle")
    vault.publish("m", Linear(), example=ROWS)
    return vault


def test_the_examples_lie_beside_the_files_and_are_not_among_them(vault, tmp_path):
    version = vault.version("m:1.0.0")
    assert [file.path for file in version.files] == [PATH, "model.pkl"]
    assert vault.verify().ok
    assert vault.verify().files == 2
    vault.fetch("m:1.0.0", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model.pkl"]
    with version.open(PATH) as file:
        assert json.load(file).keys() == {"inputs", "outputs"}
    assert vault.load("m:1.0.0").weight == 1.0


def test_a_version_of_files_has_its_files_alone(vault, tmp_path):
    (tmp_path / "model.txt").write_text("x")
    with pytest.warns(IncompleteSignature, match="cannot be called"):
        vault.publish("f", tmp_path / "model.txt", example=ROWS)
    vault.publish("g", tmp_path / "model.txt", signature={"inputs": [{"name": "x"}]})
    assert [file.path for file in vault.version("g:1.0.0").files] == ["model.txt"]


def test_only_a_pickle_and_its_examples_are_loaded_from_a_local_vault(tmp_path):
    vault = mv.open(tmp_path / "vault", cache=tmp_path / "cache")
    large = Linear(weight=np.ones(100_000))
    large.predict = None  # not to be called
    vault.publish("m", Linear(), example=ROWS)
    assert vault.load("m:1.0.0", check=True).columns == 4
    assert [path.name for path in vault.fetch("m:1.0.0").iterdir()] == ["model.pkl"]


@pytest.mark.parametrize("name", ["_modelvault", "_ModelVault"])
def test_the_folder_of_ours_is_refused(vault, tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "example.json").write_text("{}")
    with pytest.raises(InvalidInput, match=name) as caught:
        vault.publish("n", tmp_path)
    assert caught.value.code == Code.BAD_PATH


# --- bumps -----------------------------------------------------------------------------------------------------------

SAME, OTHER = Linear(), Linear(2.0)
CHANGES = {
    "nothing": (SAME, ROWS, "patch"),
    "predictions": (OTHER, ROWS, "minor"),
    "an input fewer": (Linear(columns=3), ROWS[:, :3], "major"),
    "outputs of another type": (Linear(dtype="int64"), ROWS, "minor"),
    "outputs of a wider type": (Linear(dtype="complex128"), ROWS, "major"),
    "inputs of a wider type": (SAME, ROWS.astype("complex128"), "minor"),
}


@pytest.mark.parametrize(("model", "example", "level"), CHANGES.values(), ids=CHANGES)
@pytest.mark.filterwarnings("ignore:Casting complex:Warning")
def test_a_bump_is_suggested_found_out_and_demanded(vault, model, example, level):
    bump = vault.suggest_bump("m", model, example=example)
    assert (bump.level, bump.base) == (level, "1.0.0")
    assert bool(bump.reasons) == (level != "patch")
    assert all(reason in str(bump) for reason in bump.reasons)
    levels = ["patch", "minor", "major"]
    numbers = {"patch": "1.0.1", "minor": "1.1.0", "major": "2.0.0"}
    for too_small in levels[: levels.index(level)]:
        for label in ({"bump": too_small}, {"version": numbers[too_small]}):
            with pytest.raises(Refused) as caught:
                vault.publish("m", model, example=example, params={"again": 1}, **label)
            assert caught.value.code == Code.BUMP_TOO_SMALL
            assert caught.value.verdicts == bump.reasons
            assert all(reason in caught.value.message for reason in bump.reasons)
    assert [version.number for version in vault.versions("m")] == ["1.0.0"]
    rehearsed = vault.publish("m", model, example=example, bump="auto", params={"again": 1}, dry_run=True)
    assert rehearsed.number == numbers[level]
    assert vault.publish("m", model, example=example, bump="auto", params={"again": 1}).number == numbers[level]


def test_the_first_version_of_a_model_may_be_found_out():
    assert Vault(MemoryStore()).publish("m", Linear(), example=ROWS, bump="auto").number == "1.0.0"


@pytest.mark.parametrize(
    "label", [{"bump": "major"}, {"version": "2.0.0"}, {"version": "0.9.0"}, {"version": "2.0.0-rc.1"}]
)
def test_what_is_enough_is_taken(vault, label):
    vault.publish("m", Linear(columns=3), example=ROWS[:, :3], **label)


def test_before_one_nothing_is_promised():
    vault = Vault(MemoryStore())
    vault.publish("m", Linear(), example=ROWS, version="0.1.0")
    vault.publish("m", Linear(columns=3), example=ROWS[:, :3], bump="patch")


def test_a_line_is_compared_with_its_own_base(vault):
    vault.publish("m", Linear(columns=3), example=ROWS[:, :3], bump="major")
    vault.publish("m", Linear(), example=ROWS, bump="patch", base="1.0.0", params={"fix": 1})
    with pytest.raises(Refused):
        vault.publish("m", Linear(), example=ROWS, bump="minor", params={"fix": 2})
    assert vault.suggest_bump("m", Linear(), example=ROWS, base="1.0.0").level == "patch"
    assert vault.suggest_bump("m", Linear(), example=ROWS).level == "major"


def test_the_same_again_is_no_new_version(vault):
    again = vault.publish("m", Linear(), example=ROWS, version="1.0.0")
    assert again == vault.version("m:1.0.0") == vault.publish("m", Linear(), example=ROWS)
    with pytest.raises(AlreadyExists):
        vault.publish("m", OTHER, example=ROWS, version="1.0.0")


def test_what_cannot_be_compared_is_not_found_out_but_may_be_said(vault):
    vault.publish("m", Linear(), bump="patch", params={"bare": 1})  # no example: nothing is known, and nothing refused
    with pytest.raises(InvalidInput, match=r"1\.0\.1 has no signature") as caught:
        vault.publish("m", OTHER, example=ROWS, bump="auto")
    assert caught.value.code == Code.BAD_VERSION
    assert vault.publish("m", OTHER, example=ROWS, bump="patch").number == "1.0.2"


def test_without_recorded_examples_predictions_cannot_be_compared(vault):
    given = mv.Signature.infer(Linear(), ROWS)
    vault.publish("n", Linear(), signature=given)
    assert [file.path for file in vault.version("n:1.0.0").files] == ["model.pkl"]
    bump = vault.suggest_bump("n", OTHER, example=ROWS)
    assert bump.level == "patch"
    assert any("no recorded examples" in one for one in bump.unknown)
    with pytest.raises(InvalidInput, match="no recorded examples"):
        vault.publish("n", OTHER, example=ROWS, bump="auto")


def test_a_difference_in_the_last_digits_is_none(vault):
    assert vault.suggest_bump("m", Linear(1 + 1e-9), example=ROWS).level == "patch"
    assert vault.suggest_bump("m", Linear(1 + 1e-4), example=ROWS).level == "minor"


def test_the_order_of_classes_is_part_of_the_contract():
    linear_model = pytest.importorskip("sklearn.linear_model")

    rows, labels = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array(["a", "a", "b", "b"])
    model = linear_model.LogisticRegression().fit(rows, labels)
    vault = Vault(MemoryStore())
    vault.publish("m", model, example=rows)
    turned = linear_model.LogisticRegression().fit(rows, labels)
    turned.classes_, turned.coef_ = turned.classes_[::-1].copy(), turned.coef_ * -1
    turned.intercept_ = turned.intercept_ * -1
    bump = vault.suggest_bump("m", turned, example=rows)
    assert bump.level == "major"
    assert any("predict_proba" in reason and "order" in reason for reason in bump.reasons)


def test_a_given_signature_is_recorded_as_given_and_must_fit_the_example(vault):
    class Row(BaseModel):
        amount: float

    version = vault.publish("n", Linear(), signature=Row)
    assert [one.name for one in version.signature.inputs] == ["amount"]
    with pytest.raises(InvalidInput) as caught:
        vault.publish("n", Linear(), bump="major", signature=Row, example=ROWS)
    assert caught.value.code == Code.SIGNATURE_MISMATCH

    def double(rows):
        return [2 * row["amount"] for row in rows]

    version = vault.publish("n", double, bump="major", signature=Row, example=[{"amount": 1.0}, {"amount": 2.0}])
    assert version.signature.unknown == ()
    assert [(one.name, one.dtype) for one in version.signature.outputs] == [("output", "float64")]
    assert vault.load(version.ref, check=True)([{"amount": 4.0}]) == [8.0]


def test_a_graph_is_described_by_its_file(vault, tmp_path):
    def saved(name, columns):
        inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, columns])]
        outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, columns])]
        model = helper.make_model(helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", inputs, outputs))
        (tmp_path / name).write_bytes(model.SerializeToString())
        return tmp_path / name

    vault.publish("g", saved("one.onnx", 3))
    assert vault.suggest_bump("g", saved("two.onnx", 4)).level == "major"
    with pytest.raises(Refused):
        vault.publish("g", saved("two.onnx", 4), bump="minor")
    assert vault.publish("g", saved("two.onnx", 4), bump="auto").number == "2.0.0"
    with vault.draft("g", bump="major") as draft:
        saved("three.onnx", 5).rename(draft.path / "model.onnx")
    assert draft.version.signature.inputs[0].shape == (None, 5)


# --- what it costs -----------------------------------------------------------------------------------------------------


def cost(store, verb):
    seen = Recording(store)
    verb(Vault(seen))
    return dict(seen.counts)


PLAIN = {"create": 1, "list": 1, "read": 1}


@pytest.mark.parametrize(
    ("label", "example", "expected"),
    [
        ({"version": "1.1.0"}, None, {"create": 1, "read": 1}),
        ({"version": "1.1.0"}, ROWS, PLAIN | {"read": 2}),
        ({"bump": "minor"}, None, PLAIN),
        ({"bump": "major"}, ROWS, PLAIN),
        ({"bump": "minor"}, ROWS, PLAIN | {"read": 2}),
        ({"bump": "auto"}, ROWS, PLAIN | {"read": 2}),
    ],
)
def test_a_comparison_is_a_read_and_nothing_where_nothing_is_compared(label, example, expected):
    store = MemoryStore()
    Vault(store).publish("m", Linear(), example=ROWS)
    assert cost(store, lambda vault: vault.publish("m", OTHER, example=example, **label)) == expected


# --- gates -------------------------------------------------------------------------------------------------------------

WAYS = ("backward", "rollback_safe", "because")
ALL = [gates.signature, gates.compatible, gates.rollback_safe]


def test_a_move_carries_what_the_gates_found(vault):
    vault.publish("m", OTHER, example=ROWS, bump="minor")
    vault.promote("m@prod", "1.0.0", reason="first", gates=ALL)
    move = vault.promote("m@prod", "1.1.0", reason="better", gates=ALL)
    assert vault.history("m@prod")[0] == move
    signature, compatible, back = move.evidence["gates"]
    assert signature == {"gate": "signature", "passed": True, "reason": ""}
    assert (compatible["passed"], back["passed"]) == (True, True)
    assert {name: move.evidence.get(name) for name in WAYS} == {
        "backward": True,
        "rollback_safe": True,
        "because": None,
    }


def test_what_callers_cannot_follow_is_refused_with_every_reason(vault):
    vault.publish("m", Linear(columns=3), example=ROWS[:, :3], bump="major")
    vault.promote("m@prod", "1.0.0", reason="first")
    with pytest.raises(Refused) as caught:
        vault.promote("m@prod", "2.0.0", reason="x", gates=ALL)
    assert [verdict.partition(":")[0] for verdict in caught.value.verdicts] == ["compatible", "rollback_safe"]
    assert all("shape" in verdict for verdict in caught.value.verdicts)


def test_a_way_back_that_is_closed_is_evidence_and_refused_where_that_is_asked(vault):
    wider = {"inputs": [{"dtype": "complex128", "shape": [None, 4]}], "outputs": [{"name": "predict", "dtype": "float64", "shape": [None]}], "inputs_by": "position"}  # fmt: skip
    vault.publish("m", OTHER, signature=wider, bump="minor")
    vault.promote("m@prod", "1.0.0", reason="first")
    with pytest.raises(Refused, match="on the way back"):
        vault.promote("m@prod", "1.1.0", reason="x", gates=[gates.rollback_safe])
    found = vault.promote("m@prod", "1.1.0", reason="x", gates=[gates.compatible]).evidence
    assert (found["backward"], found["rollback_safe"]) == (True, False)
    assert "narrower" in found["because"][0]


def test_what_is_not_known_does_not_pass(vault):
    vault.publish("m", Linear(), bump="patch", params={"bare": 1})
    vault.promote("m@prod", "1.0.0", reason="first")
    for gate in ALL:
        with pytest.raises(Refused, match="no signature"):
            vault.promote("m@prod", "1.0.1", reason="x", gates=[gate])
    with pytest.warns(IncompleteSignature):
        vault.publish("m", lambda rows: 1 / 0, example=ROWS, bump="major")
    with pytest.raises(Refused, match="does not know the outputs"):
        vault.promote("m@prod", "2.0.0", reason="x", gates=[gates.signature])


# --- check ---------------------------------------------------------------------------------------------------------------


class Aged:
    """Answers otherwise when it was loaded, as a model may with other packages."""

    aged = False

    def predict(self, rows):
        return rows.sum(axis=1) + self.aged

    def __setstate__(self, state):
        self.aged = True

    def __getstate__(self):
        return {"x": 1}


def test_a_model_that_answers_otherwise_is_refused_when_checked(vault):
    version = vault.publish("n", Aged(), example=ROWS)
    assert vault.load("n:1.0.0").aged
    with pytest.raises(Refused, match="'predict' gives other values") as caught:
        version.load(check=True)
    assert caught.value.code == Code.CHECK_FAILED
    assert vault.load("m:1.0.0", check=True).weight == 1.0


def test_an_example_that_is_larger_than_any_is_not_read(vault):
    [file, _] = vault.version("m:1.0.0").files
    large = file.model_copy(update={"size": 1024 * 1024 + 1})
    manifest = vault.version("m:1.0.0").manifest.model_copy(update={"files": (large,)})
    with pytest.raises(Corrupt, match="more than 1,048,576"):
        recorded(manifest, lambda _: pytest.fail("it was read"))


HOSTILE = {
    "no JSON": b"{",
    "no object": b"[]",
    "no inputs": b'{"outputs":{}}',
    "an unknown kind": canonical({"inputs": {"exec": "x"}, "outputs": {"predict": 1}}),
    "a pickle": canonical({"inputs": {"pickle": base64.b64encode(pickle.dumps(1)).decode()}, "outputs": {"predict": 1}}),
    "an array of objects": canonical({"inputs": {"array": {"dtype": "|O", "shape": [1], "data": "AAAAAAAAAAA="}}, "outputs": {}}),
    "an array of another size": canonical({"inputs": {"array": {"dtype": "<f8", "shape": [10**12], "data": ""}}, "outputs": {}}),
    "nesting": b'{"inputs":' + b"[" * 100_000 + b"]" * 100_000 + b',"outputs":{}}',
}  # fmt: skip


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_example_is_corrupt(raw):
    with pytest.raises(Corrupt) as caught:
        read(raw, "m:1.0.0")
    assert caught.value.code == Code.BAD_RECORD
