"""The recipe of a version: complete enough to train it again, honest about what has changed, and harmless to write."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from modelvault import cli
from modelvault.errors import AlreadyExists, InvalidInput
from modelvault.provenance.recipe import Recipe
from modelvault.stores.local import LocalStore
from modelvault.vault import Vault
from modelvault.wire import Manifest, record

ROOT = Path(__file__).parents[2]
NO_GIT = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
TRAIN = """
import sys
import numpy as np
import modelvault as mv
from sklearn.ensemble import RandomForestClassifier

rows = np.loadtxt("data/train.csv", delimiter=",")
model = RandomForestClassifier(n_estimators=int(sys.argv[2]), random_state=7).fit(rows[:, :4], rows[:, 4])
mv.open(cache=False).publish("fraud", model, data=["data/train.csv"], params={"trees": int(sys.argv[2])}, keep_diff=True)
"""
PREDICT = """
import sys
import numpy as np
import modelvault as mv

print(mv.open(sys.argv[1], cache=False).load("fraud:1.0.0").predict_proba(np.random.default_rng(3).random((500, 4))).tobytes().hex())
"""


def git(*words, cwd="."):
    quiet = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    done = subprocess.run(
        ["git", *who, *words], cwd=cwd, check=True, capture_output=True, text=True, env=os.environ | quiet
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with code and data, committed, which is the current folder."""
    root = tmp_path / "repository"
    (root / "data").mkdir(parents=True)
    rows = np.random.default_rng(1).random((200, 5)).round(3)
    rows[:, 4] = rows[:, :4].sum(axis=1) > 2
    np.savetxt(root / "data" / "train.csv", rows, fmt="%.3f", delimiter=",")
    (root / "train.py").write_text(TRAIN)
    monkeypatch.chdir(root)
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "first"]):
        git(*words)
    git("config", "remote.origin.url", str(root))
    return root


@pytest.fixture
def vault(tmp_path):
    return Vault(LocalStore(tmp_path / "vault"), cache=tmp_path / "cache")


def states(recipe):
    return {(one.section, one.name): one.state for one in recipe.check() if one.section != "package"}


# --- again


@NO_GIT
@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_model_that_is_trained_again_from_its_recipe_in_a_clean_environment_predicts_the_same(repository, tmp_path):
    """What the recipe says is run as it is: clone, checkout, changes, environment, command."""
    variables = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "MODELVAULT_ACTOR": "ada"}
    variables |= {
        name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "HTTP", "http", "no_"))
    }

    def run(*words, vault="", cwd=repository):
        environment = variables | {"MODELVAULT_URL": str(tmp_path / vault)}
        done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    first = tmp_path / "first" / "bin" / "python"
    run(sys.executable, "-m", "venv", str(first.parents[1]))
    needed = ["blake3", "cloudpickle", "fsspec", "platformdirs", "pydantic", "semver", "scikit-learn"]
    run(str(first), "-m", "pip", "install", "--quiet", *needed)
    (repository / "train.py").write_text(TRAIN.replace("random_state=7", "random_state=8"))  # and not committed
    run(str(first), "train.py", "--trees", "20", vault="one")
    git("checkout", "-q", "train.py")
    recipe = Vault(LocalStore(tmp_path / "one")).reproduce("fraud:1.0.0", tmp_path / "again")
    assert recipe.manifest.provenance.run.command == ("python", "train.py", "--trees", "20")
    assert recipe.manifest.provenance.run.seeds == {"random_state": 8}
    assert "by hand" not in (tmp_path / "again" / "requirements.txt").read_text()
    run("sh", str(tmp_path / "again" / "run.sh"), vault="two", cwd=tmp_path)
    (tmp_path / "predict.py").write_text(PREDICT)
    second = tmp_path / "again" / "environment" / "bin" / "python"
    before = run(str(first), str(tmp_path / "predict.py"), str(tmp_path / "one"))
    after = run(str(second), str(tmp_path / "predict.py"), str(tmp_path / "two"))
    assert before == after != ""
    assert "differs" not in run(
        str(second),
        "-m",
        "modelvault",
        "reproduce",
        "fraud:1.0.0",
        "--check",
        vault="one",
        cwd=tmp_path / "again" / "code",
    )


# --- what is recorded


def test_an_algorithm_is_a_tree_of_what_it_is_made_of(vault):
    columns = ColumnTransformer(
        [("scale", StandardScaler(with_mean=False), ["amount"]), ("log", FunctionTransformer(np.log1p), [1])]
    )
    model = Pipeline([("columns", columns), ("forest", RandomForestClassifier(max_depth=3, random_state=7))])
    said = vault.publish("m", model).provenance.algorithm
    assert said.name == "sklearn.pipeline.Pipeline"
    steps = dict(said.params["steps"])
    assert steps["forest"]["class"] == "sklearn.ensemble._forest.RandomForestClassifier"
    assert (steps["forest"]["params"]["max_depth"], steps["forest"]["params"]["random_state"]) == (3, 7)
    scale, log = steps["columns"]["params"]["transformers"]
    assert (scale[1]["params"]["with_mean"], scale[2]) == (False, ["amount"])
    assert "log1p" in log[1]["params"]["func"]


def test_a_diff_names_the_parameters_that_differ_by_the_way_to_them(vault):
    for number, depth, mean in (("1.0.0", 3, True), ("2.0.0", 4, False)):
        columns = ColumnTransformer([("scale", StandardScaler(with_mean=mean), ["amount"])])
        model = Pipeline([("columns", columns), ("forest", RandomForestClassifier(max_depth=depth))])
        vault.publish("m", model, version=number)
    changes = {
        change.name: change[2:4] for change in vault.diff("m:1.0.0", "m:2.0.0").changes if change.section == "algorithm"
    }
    assert changes == {
        "steps.columns.transformers.scale.with_mean": (True, False),
        "steps.forest.max_depth": (3, 4),
    }


def test_of_plain_data_and_of_a_path_no_algorithm_is_recorded(vault, tmp_path):
    (tmp_path / "x").write_text("x")
    for obj in (1, {"a": 1}, [1], "text", np.arange(3), tmp_path / "x"):
        assert vault.publish("m", obj, bump="minor").provenance.algorithm is None


def test_equal_content_is_one_version_whatever_ran_it(vault, monkeypatch):
    first = vault.publish("m", {"a": 1}, version="1.0.0")
    monkeypatch.setattr(sys, "orig_argv", ["python", "other.py", "--fast"])
    again = vault.publish("m", {"a": 1}, version="1.0.0")
    assert again == first
    assert again.provenance.run == first.provenance.run
    assert vault.publish("m", {"a": 1}, bump="minor").provenance.run.command == ("python", "other.py", "--fast")


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (["-u", "-W", "ignore", "train.py", "--lr", "1"], ("python", "-u", "-W", "ignore", "train.py", "--lr", "1")),
        (["-m", "acme.train", "x y"], ("python", "-m", "acme.train", "x y")),
        (["-Xdev", "-um", "acme.train"], ("python", "-Xdev", "-um", "acme.train")),
        (["{here}/train.py"], ("python", "train.py")),
        (["{bin}/train-fraud", "-n", "3"], ("train-fraud", "-n", "3")),
        (["-c", "print(1)"], ()),
        (["-Bc", "print(1)"], ()),
        (["-"], ()),
        ([], ()),
        (["train.py", "x" * 9_000], ()),
        (["train.py", "\udcff"], ()),
        (["train.py", "--password", "x", "--data=https://ada:pw@h/x?sig=1"], ("python", "train.py", "--password", "***", "--data=https://h/x")),
    ],
)  # fmt: skip
def test_a_command_is_recorded_as_another_can_run_it(argv, command, vault, monkeypatch):
    places = {"here": os.getcwd(), "bin": os.path.dirname(sys.executable)}
    monkeypatch.setattr(
        sys, "orig_argv", [sys.executable, *(word.format(**places) if "{" in word else word for word in argv)]
    )
    assert vault.publish("m", 1).provenance.run.command == command


def test_a_notebook_is_named(vault, tmp_path):
    code = f"__vsc_ipynb_file__ = '/home/ada/fraud.ipynb'\nimport modelvault as mv\nmv.open({str(tmp_path / 'vault')!r}, cache=False).publish('m', 1)"
    (tmp_path / "cells.py").write_text(code)
    subprocess.run([sys.executable, "cells.py"], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)
    assert vault.version("m:1.0.0").provenance.run.notebook == "fraud.ipynb"


@NO_GIT
def test_what_is_not_committed_is_kept_and_is_no_part_of_the_object(repository, vault):
    (repository / "train.py").write_text("changed\n")
    (repository / "new.py").write_text("x")
    version = vault.publish("m", repository / "data", keep_diff=True)
    patch = vault.reproduce("m:1.0.0").patch.decode()
    assert patch.startswith("# untracked: new.py\ndiff --git a/train.py b/train.py\n")
    assert "+changed" in patch
    assert version.open("_modelvault/changes.patch").read().decode() == patch
    assert version.load().name == "train.csv"
    assert sorted(path.name for path in version.fetch("out").iterdir()) == ["train.csv"]
    assert vault.verify("m:1.0.0").ok
    single = vault.publish("m", repository / "data" / "train.csv", bump="minor", keep_diff=True)
    assert single.load().is_file()
    git("checkout", "-q", "train.py")
    (repository / "new.py").unlink()
    shutil.rmtree("out")
    assert [file.path for file in vault.publish("m", 1, bump="minor", keep_diff=True).files] == ["model.pkl"]


@pytest.mark.parametrize("name", ["_modelvault/x", "_modelvault", "_ModelVault/x"])
def test_a_path_of_our_own_is_refused(name, vault, tmp_path):
    path = tmp_path / "files" / name
    path.parent.mkdir(parents=True)
    path.write_text("x")
    with pytest.raises(InvalidInput) as refusal:
        vault.publish("m", tmp_path / "files")
    assert "reserved" in refusal.value.message


# --- what no longer matches


@NO_GIT
def test_a_check_names_what_has_changed_and_nothing_else(repository, vault):
    (repository / "uv.lock").write_text("locked")
    git("add", ".")
    git("commit", "-q", "-m", "lock")
    recipe = vault.reproduce(
        vault.publish("m", {"a": 1}, data=["data", "data/train.csv", pd.DataFrame({"x": [1]})]).ref
    )
    good = {
        ("code", "commit"): "same", ("code", "changes"): "same", ("environment", "python"): "same",
        ("environment", "platform"): "same", ("data", "data"): "same", ("data", "data/train.csv"): "same",
        ("data", "pandas.DataFrame"): "unknown", ("lock", "uv.lock"): "same",
    }  # fmt: skip
    assert states(recipe) == good
    assert {one.state for one in recipe.check() if one.section == "package"} == {"same"}
    (repository / "data" / "train.csv").write_text("other")
    (repository / "uv.lock").unlink()
    changed = {
        ("code", "changes"): "differs",
        ("data", "data"): "differs",
        ("data", "data/train.csv"): "differs",
        ("lock", "uv.lock"): "missing",
    }
    assert states(recipe) == good | changed
    git("checkout", "-q", ".")
    git("commit", "-q", "--allow-empty", "-m", "later")
    assert states(recipe) == good | {("code", "commit"): "differs"}


@NO_GIT
def test_without_the_repository_the_commit_is_missing(repository, vault, tmp_path, monkeypatch):
    recipe = vault.reproduce(vault.publish("m", 1, data=["data/train.csv"]).ref)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert states(recipe)["code", "commit"] == states(recipe)["data", "data/train.csv"] == "missing"


def test_a_package_of_another_version_is_found(vault):
    version = vault.publish("m", 1)
    lock = re.sub(r"numpy==\S+", "numpy==0.1", version.provenance.lock) + "\nnot-there==1.0"
    manifest = version.manifest.model_copy(update={"provenance": version.provenance.model_copy(update={"lock": lock})})
    found = {
        one.name: one.state for one in Recipe(manifest, b"").check() if one.section == "package" and one.state != "same"
    }
    assert found == {"numpy": "differs", "not-there": "missing"}


@NO_GIT
def test_the_command_writes_and_checks(repository, vault, tmp_path, capsys):
    vault.publish("fraud", {"a": 1}, version="1.4.2", data=["data/train.csv"])
    here = ["--vault", vault.url]
    assert cli.main(["reproduce", "fraud:1.4.2", *here]) == 0
    assert sorted(path.name for path in Path("fraud-1.4.2").iterdir()) == [
        "README.md",
        "recipe.json",
        "requirements.txt",
        "run.sh",
    ]
    assert cli.main(["reproduce", "fraud:1.4.2", *here]) == 8
    shutil.rmtree("fraud-1.4.2")
    assert cli.main(["reproduce", "fraud:1.4.2", "--check", *here]) == 0
    (repository / "data" / "train.csv").write_text("other")
    capsys.readouterr()
    assert cli.main(["reproduce", "fraud:1.4.2", "--check", "--json", *here]) == 4
    said = json.loads(capsys.readouterr().out)
    assert not said["ok"]
    assert {one["name"] for one in said["findings"] if one["state"] == "differs"} == {"changes", "data/train.csv"}
    assert said["path"] is None
    assert not Path("fraud-1.4.2").exists()


# --- a hostile record

EVIL = "x'; touch canary; '`touch canary`$(touch canary)\n touch canary\n"


def hostile(**provenance):
    said = {
        "git": {"commit": "a" * 40, "dirty": True, "remote": "https://h/x"},
        "run": {"command": ["python", "train.py"], "folder": "."},
        "lock": "numpy==2.0.0",
    } | provenance
    file = {
        "path": "x",
        "size": 0,
        "digest": "sha256:" + "0" * 64,
        "parts": [{"digest": "sha256:" + "0" * 64, "size": 0}],
    }
    return Recipe(
        record(Manifest, model="m", version="1.0.0", format="files", files=[file], provenance=said, notes=EVIL,
               environment={"python": EVIL, "implementation": EVIL, "platform": EVIL}, data=[{"uri": EVIL, "how": "sha256"}],
               params={EVIL: EVIL}), b"",
    )  # fmt: skip


@pytest.mark.parametrize(
    "provenance",
    [
        {"git": {"commit": EVIL, "dirty": True, "remote": EVIL}},
        {"git": {"commit": "--upload-pack=touch canary", "dirty": True, "remote": "-x"}},
        {"git": {"commit": "a" * 40, "dirty": True, "remote": "ext::sh -c 'touch canary'"}},
        {"git": {"commit": "a" * 40, "dirty": True, "remote": "}; touch canary; ${x:-"}},
        {"run": {"command": [EVIL, EVIL], "folder": EVIL, "notebook": EVIL}},
        {"run": {"command": ["python", "***", EVIL], "folder": "../../.."}},
        {"run": {"command": ["a\0b"], "folder": "/etc", "notebook": EVIL}},
        {"lock": f"numpy==1.0\n--index-url https://evil.example\nx @ file:///etc\n{EVIL}\nx==1 ; touch canary"},
    ],
)
def test_nothing_of_a_record_is_run_but_its_command(provenance, tmp_path):
    """The script is run for real, with programs that only write down how they are called."""
    recipe = hostile(**provenance)
    folder = recipe.write(tmp_path / "out")
    tools, calls = tmp_path / "tools", tmp_path / "calls"
    tools.mkdir()
    for name in ("git", "python", "python3"):
        (tools / name).write_text(
            f'#!/bin/sh\nprintf "%s\\n" "$0 $*" >> {calls}\ncase "$*" in *clone*) mkdir -p "$6";; esac\n'
        )
        (tools / name).chmod(0o755)
    for variables in ({}, {"CODE": str(tmp_path), "REPOSITORY": "https://mine.example/x"}):
        environment = {"PATH": f"{tools}:/usr/bin:/bin"} | variables
        subprocess.run(
            ["sh", str(folder / "run.sh")], cwd=tmp_path, env=environment, capture_output=True, timeout=60, check=False
        )
    assert not list(tmp_path.rglob("canary"))
    lines = (folder / "requirements.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] in (["numpy==2.0.0"], ["numpy==1.0"])
    assert all(text.replace("\n", "").isprintable() for text in ((folder / "README.md").read_text(), "".join(lines)))
    json.loads((folder / "recipe.json").read_text())


def test_a_check_of_a_hostile_record_reads_no_more_than_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    digest = {"how": "sha256", "digest": "sha256:" + "0" * 64, "size": 5}
    uris = [
        "/",
        "/dev/zero",
        "pipe",
        "../" * 20,
        EVIL,
        "file:///etc/passwd",
        "ext://x",
        "simplecache::memory://x",
        "x\0y",
    ]
    recipe = hostile(git=None, locks=[{"uri": uri, **digest} for uri in uris])
    assert {one.state for one in recipe.check() if one.section == "lock"} <= {"differs", "missing", "unknown"}


def test_a_folder_that_is_not_empty_is_left_alone(vault, tmp_path):
    vault.publish("m", 1)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    for to in (tmp_path / "out", tmp_path / "out" / "mine"):
        with pytest.raises(AlreadyExists):
            vault.reproduce("m:1.0.0", to)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]
