"""Publish and draft."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import modelvault as mv
from modelvault.errors import AlreadyExists, Code, InvalidInput, NotFound


def numbers(vault):
    return [version.number for version in vault.versions("fraud")]


def test_a_model_comes_back_as_it_was(vault):
    X, y = np.arange(20.0).reshape(10, 2), np.arange(10) % 2
    model = LogisticRegression().fit(X, y)
    version = vault.publish("fraud", model, params=model.get_params(), metrics={"accuracy": model.score(X, y)})
    again = vault.load(version.ref)
    assert (again.predict(X) == model.predict(X)).all()
    assert (version.number, version.format, version.actor) == ("1.0.0", "cloudpickle", "tester")
    assert version.metrics == {"accuracy": model.score(X, y)}
    assert version.params["max_iter"] == 100
    assert {"scikit-learn", "numpy"} <= set(version.environment.packages)


def test_all_that_was_said_is_recorded(vault, tmp_path):
    (tmp_path / "train.csv").write_text("a,b\n1,2\n")
    version = vault.publish(
        "fraud",
        {"a": 1},
        version="2.0.0-rc.1",
        params={"depth": np.int64(3), "missing": float("nan")},
        metrics={"auc": np.float32(0.5)},
        data=[tmp_path / "train.csv", "s3://user:xyzzy@lake/tx.parquet?sig=xyzzy"],
        notes="Known issue: new merchants.",
        actor="ann",
    )
    again = vault.version("fraud:2.0.0-rc.1")
    assert again == version
    assert again.params == {"depth": 3, "missing": "nan"}
    assert again.metrics == {"auc": 0.5}
    assert [(ref.how, ref.size) for ref in again.data] == [("sha256", 8), ("unread", None)]
    assert "xyzzy" not in again.manifest.model_dump_json()
    assert (again.notes, again.actor) == ("Known issue: new merchants.", "ann")


def test_the_first_version_is_1_0_0_and_then_one_must_say(vault):
    assert vault.publish("fraud", 1).number == "1.0.0"
    with pytest.raises(InvalidInput) as caught:
        vault.publish("fraud", 2)
    assert caught.value.code == Code.BAD_VERSION
    assert "1.0.0" in str(caught.value)


@pytest.mark.parametrize(
    ("there", "options", "expected"),
    [
        ([], {"bump": "major"}, "1.0.0"),
        (["1.0.0"], {"bump": "patch"}, "1.0.1"),
        (["1.0.0"], {"bump": "minor"}, "1.1.0"),
        (["1.2.3"], {"bump": "major"}, "2.0.0"),
        (["1.0.0-rc.1"], {"bump": "patch"}, "1.0.0"),
        (["1.4.2", "2.3.0"], {"bump": "patch", "base": "1.4.2"}, "1.4.3"),
        (["1.4.2", "1.4.3", "2.3.0"], {"bump": "patch", "base": "1.4.2"}, "1.4.4"),
        (["1.5.0", "2.0.0-rc.1"], {"bump": "patch"}, "1.5.1"),
        (["1.5.0", "2.0.0-rc.1"], {"bump": "major"}, "2.0.0"),
    ],
)
def test_a_bump_says_how_far_from_the_latest_stable(vault, there, options, expected):
    for number in there:
        vault.publish("fraud", number, version=number)
    assert vault.publish("fraud", "new", **options).number == expected


@pytest.mark.parametrize(
    "options",
    [
        {"version": "1.0.0", "bump": "patch"},
        {"version": "1.0.0", "base": "1.0.0"},
        {"bump": "huge"},
        {"bump": "auto"},
        {"version": "v1"},
        {"version": "1.0.0+b"},
        {"bump": "patch", "base": "9.9.9"},
    ],
)
def test_a_label_that_makes_no_sense_is_refused(vault, options):
    vault.publish("fraud", 0, version="0.1.0")
    with pytest.raises(InvalidInput) as caught:
        vault.publish("fraud", 1, **options)
    assert caught.value.code == Code.BAD_VERSION
    assert numbers(vault) == ["0.1.0"]


def test_a_number_is_taken_for_ever(vault, reopen):
    first = vault.publish("fraud", {"a": 1}, version="1.0.0", actor="ann")
    assert reopen().publish("fraud", {"a": 1}, version="1.0.0", actor="bob") == first
    with pytest.raises(AlreadyExists) as caught:
        reopen().publish("fraud", {"a": 2}, version="1.0.0")
    assert caught.value.code == Code.VERSION_EXISTS
    assert "ann" in str(caught.value)
    assert f"{first.created:%Y-%m-%d %H:%M}" in str(caught.value)
    assert reopen().load("fraud:1.0.0") == {"a": 1}


def test_nothing_large_is_uploaded_for_a_number_that_is_taken(tmp_path):
    from modelvault.stores.memory import MemoryStore
    from modelvault.stores.wrappers import Recording
    from modelvault.vault import Vault

    store = Recording(MemoryStore())
    vault = Vault(store)
    vault.publish("fraud", np.zeros(10_000), version="1.0.0")
    store.operations.clear()
    with pytest.raises(AlreadyExists):
        vault.publish("fraud", np.ones(10_000), version="1.0.0")
    assert store.counts["create"] == 0
    assert vault.publish("fraud", np.zeros(10_000), version="1.0.0").number == "1.0.0"


def test_a_folder_is_published_as_it_is(vault, tmp_path):
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "weights.bin").write_bytes(bytes(range(256)) * 1_000)
    (folder / "sub" / "config.json").write_text("{}")
    (folder / "empty").touch()
    version = vault.publish("fraud", folder)
    assert {file.path: file.size for file in version.files} == {
        "empty": 0,
        "sub/config.json": 2,
        "weights.bin": 256_000,
    }
    laid = vault.load(version.ref)
    assert (laid / "weights.bin").read_bytes() == (folder / "weights.bin").read_bytes()
    assert sorted(path.name for path in laid.iterdir()) == ["empty", "sub", "weights.bin"]


def test_a_single_file_is_loaded_as_its_path(vault, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"x" * 20_000)
    version = vault.publish("fraud", tmp_path / "model.onnx")
    assert vault.load(version.ref).name == "model.onnx"
    assert vault.load(version.ref).read_bytes() == b"x" * 20_000


def test_what_is_not_there_cannot_be_published(vault, tmp_path):
    with pytest.raises(NotFound) as caught:
        vault.publish("fraud", tmp_path / "nothing")
    assert caught.value.code == Code.FILE_NOT_FOUND
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput):
        vault.publish("fraud", tmp_path / "empty")
    assert vault.models() == []


def test_a_link_in_a_folder_is_refused(vault, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "link").symlink_to("/etc/passwd")
    with pytest.raises(InvalidInput) as caught:
        vault.publish("fraud", tmp_path / "model")
    assert caught.value.code == Code.BAD_PATH


def test_what_cannot_be_pickled_is_refused_with_a_way_out(vault):
    with pytest.raises(InvalidInput) as caught:
        vault.publish("fraud", (n for n in range(3)))
    assert "Path" in caught.value.hint
    assert vault.models() == []


@pytest.mark.parametrize("metrics", [{"auc": float("nan")}, {"auc": float("inf")}, {"auc": "high"}, {"auc": None}])
def test_a_metric_is_a_finite_number(vault, metrics):
    with pytest.raises(InvalidInput) as caught:
        vault.publish("fraud", 1, metrics=metrics)
    assert caught.value.code == Code.BAD_VALUE
    assert vault.models() == []


def test_a_draft_is_published_when_its_block_ends(vault):
    with vault.draft("fraud", bump="patch") as draft:
        (draft.path / "a").mkdir()
        (draft.path / "a" / "weights.txt").write_text("1 2 3")
        draft.metrics["auc"] = 0.9
        draft.params["depth"] = 3
        draft.notes = "by hand"
        assert vault.models() == []
    assert draft.version is not None
    assert (draft.version.metrics, draft.version.params, draft.version.notes) == ({"auc": 0.9}, {"depth": 3}, "by hand")
    assert (vault.fetch(draft.version.ref) / "a" / "weights.txt").read_text() == "1 2 3"


def test_nothing_of_a_draft_that_failed_is_left(vault):
    with pytest.raises(RuntimeError), vault.draft("fraud") as draft:
        (draft.path / "weights.txt").write_text("1 2 3")
        raise RuntimeError
    assert draft.version is None
    assert vault.models() == []
    assert not draft.path.exists()


def test_a_large_manifest_is_a_blob_of_its_own(vault, reopen):
    version = vault.publish("fraud", 1, params={f"p{n}": "x" * 100 for n in range(500)})
    assert version.claim.target.blob == version.digest
    assert reopen().version("fraud:1.0.0").params == version.params


def test_a_vault_is_not_made_among_other_things(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InvalidInput) as caught:
        mv.open(tmp_path).publish("fraud", 1)
    assert "no vault" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_root_of_a_later_format_is_not_written_to(vault, reopen):
    from modelvault.canonical import canonical, digest_of
    from modelvault.errors import Unsupported

    body = canonical({"record": "vault/2"})
    vault._store.create("modelvault.json", body[:-1] + b',"~sha256":"' + digest_of(body)[7:].encode() + b'"}')
    with pytest.raises(Unsupported) as caught:
        reopen().publish("fraud", 1)
    assert caught.value.code == Code.NEWER_FORMAT


def test_a_store_that_cannot_decide_is_refused_unless_there_is_one_writer():
    from modelvault.errors import Unsupported
    from modelvault.stores.memory import MemoryStore
    from modelvault.stores.wrappers import Wrapper
    from modelvault.vault import Vault

    class Loose(Wrapper):
        exclusive = False

    with pytest.raises(Unsupported) as caught:
        Vault(Loose(MemoryStore())).publish("fraud", 1)
    assert caught.value.code == Code.NO_EXCLUSIVE_CREATE
    assert Vault(Loose(MemoryStore()), single_writer=True).publish("fraud", 1).number == "1.0.0"


def test_a_version_prints_as_a_card(vault):
    version = vault.publish("fraud", 1, metrics={"auc": 0.9}, params={"depth": 3}, notes="first")
    assert str(version).splitlines()[0] == f"fraud:1.0.0  {version.digest}"
    assert all(word in str(version) for word in ("auc=0.9", "depth=3", "first", "tester"))
    assert repr(version).startswith("<Version fraud:1.0.0 sha256:")


def test_equal_digests_are_equal_versions(vault, reopen):
    version = vault.publish("fraud", 1)
    assert {version, reopen().version("fraud:1.0.0")} == {version}
    assert version != "fraud:1.0.0"


def test_a_model_can_be_read_without_modelvault(vault, tmp_path):
    import pickle

    vault.publish("fraud", {"a": 1})
    assert pickle.loads((vault.fetch("fraud:1.0.0", tmp_path / "out") / "model.pkl").read_bytes()) == {"a": 1}


def test_the_same_cell_run_again_is_the_same_version(vault, reopen):
    first = vault.publish("fraud", {"a": 1}, metrics={"auc": 0.9})
    assert reopen().publish("fraud", {"a": 1}, metrics={"auc": 0.9}) == first
    with pytest.raises(InvalidInput):
        reopen().publish("fraud", {"a": 1}, metrics={"auc": 0.8})
    assert numbers(vault) == ["1.0.0"]


def test_the_name_of_a_file_is_not_taken_for_the_file(vault, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"x")
    with pytest.raises(InvalidInput) as caught:
        vault.publish("fraud", str(tmp_path / "model.onnx"))
    assert "Path(" in caught.value.hint
    assert vault.publish("fraud", "just a text").format == "cloudpickle"


def test_a_full_disk_is_not_the_fault_of_the_object(vault, tmp_path, monkeypatch):
    import tempfile

    from modelvault.errors import StoreError

    class Full:
        def __reduce__(self):
            raise OSError(28, "No space left on device")

    with pytest.raises(StoreError) as caught:
        vault.publish("fraud", Full())
    assert caught.value.code == Code.STORE_FULL
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(StoreError):
        vault.publish("fraud", 1)
