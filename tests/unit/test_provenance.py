"""Provenance: where a version came from, and no secret on the way."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from modelvault.canonical import canonical, digest_of
from modelvault.errors import Code, InvalidInput, NotFound
from modelvault.provenance import actor, data_ref, environment, git
from modelvault.provenance.urls import without_credentials
from modelvault.stores.memory import MemoryStore
from modelvault.vault import Vault

NO_GIT = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def run(*words: str) -> str:
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "protocol.file.allow=always")
    done = subprocess.run(["git", *who, *words], check=True, capture_output=True, text=True, env=os.environ | settings)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of one commit, which is the current folder."""
    root = tmp_path / "repository"
    root.mkdir()
    monkeypatch.chdir(root)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    run("init", "-q", "-b", "main")
    (root / "train.py").write_text("print()")
    run("add", ".")
    run("commit", "-q", "-m", "first")
    return root


# --- git


@NO_GIT
def test_a_clean_repository_gives_its_commit(repository):
    found = git()
    assert (found.commit, found.dirty, found.remote) == (run("rev-parse", "HEAD"), False, None)


@NO_GIT
@pytest.mark.parametrize("change", ["changed", "staged", "removed", "added"])
def test_what_is_not_committed_makes_it_dirty(change, repository):
    {
        "changed": lambda: (repository / "train.py").write_text("changed"),
        "staged": lambda: ((repository / "train.py").write_text("changed"), run("add", ".")),
        "removed": (repository / "train.py").unlink,
        "added": lambda: ((repository / "new.py").write_text("new"), run("add", ".")),
    }[change]()
    assert git().dirty


@NO_GIT
def test_files_that_git_does_not_know_do_not_make_it_dirty_nor_does_a_touch(repository):
    (repository / "data.csv").write_text("x")
    os.utime(repository / "train.py", (1, 1))
    assert not git().dirty


@NO_GIT
def test_below_its_root_it_is_the_same_repository(repository, monkeypatch):
    (repository / "below").mkdir()
    monkeypatch.chdir(repository / "below")
    assert git().commit == run("rev-parse", "HEAD")


@NO_GIT
@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://example.org/team/project.git", "https://example.org/team/project.git"),
        ("https://ada:xyzzy@example.org/team/project.git", "https://example.org/team/project.git"),
        ("https://ghp_xyzzy@example.org/team/project.git", "https://example.org/team/project.git"),
        ("https://example.org/project.git?token=xyzzy", "https://example.org/project.git"),
        ("ssh://git@example.org:22/project.git", "ssh://example.org:22/project.git"),
        ("git@example.org:team/project.git", "example.org:team/project.git"),
        ("ada:xyzzy@example.org:team/project.git", "example.org:team/project.git"),
        ("/srv/git/project.git", "/srv/git/project.git"),
        ("https://ada:xy/zzy@example.org/x", "https://"),
    ],
)
def test_the_remote_is_kept_without_credentials(url, kept, repository):
    run("config", "remote.origin.url", url)
    assert git().remote == kept
    assert "xyzzy" not in repr(Vault(MemoryStore()).publish("m", 1).manifest)


@NO_GIT
def test_before_the_first_commit_and_outside_a_repository_there_is_nothing(tmp_path, monkeypatch):
    (tmp_path / "new").mkdir()
    monkeypatch.chdir(tmp_path / "new")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    assert git() is None
    run("init", "-q")
    assert git() is None


def test_without_git_there_is_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git() is None
    assert Vault(MemoryStore()).publish("m", 1).provenance.git is None


@NO_GIT
def test_a_folder_that_is_gone_has_no_commit(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert git() is None


@NO_GIT
def test_a_repository_cannot_make_us_run_a_program(repository, tmp_path):
    """All settings by which a repository names programs that `git status` might run; the watch is real."""
    canary = tmp_path / "canary"
    program = repository / "program"
    program.write_text(f"#!/bin/sh\ntouch {canary}\ncat\n")
    program.chmod(0o755)
    (repository / "hooks").mkdir()
    for hook in ("post-index-change", "fsmonitor-watchman", "query-watchman"):
        shutil.copy(program, repository / "hooks" / hook)
    (repository / ".gitattributes").write_text("* filter=evil\n*.x filter=e=vil diff=evil\n")
    (repository / "a.x").write_text("x")
    run("add", ".gitattributes", "a.x")
    run("commit", "-q", "-m", "second")
    settings = {
        "core.fsmonitor": program,
        "core.hooksPath": repository / "hooks",
        "core.sshCommand": program,
        "core.gitProxy": program,
        "core.pager": program,
        "core.editor": program,
        "core.askPass": program,
        "core.alternateRefsCommand": program,
        "credential.helper": f"!{program}",
        "diff.external": program,
        "diff.evil.textconv": program,
        "diff.evil.command": program,
        "filter.evil.clean": program,
        "filter.evil.smudge": program,
        "filter.evil.process": program,
        "filter.evil.required": "true",
        "filter.e=vil.clean": program,
        "filter.e=vil.process": program,
        "gpg.program": program,
        "log.showSignature": "true",
        "status.submoduleSummary": "true",
        "alias.status": f"!{program}",
        "alias.config": f"!{program}",
        "remote.origin.url": "ssh://example.org/x",
        "remote.origin.promisor": "true",
        "remote.origin.uploadpack": program,
        "extensions.partialClone": "origin",
    }
    for key, value in settings.items():
        run("config", key, str(value))
    for name in ("train.py", "a.x"):
        (repository / name).write_text("changed")
    assert git().dirty
    assert not canary.exists()
    head = run("rev-parse", "HEAD^{tree}")
    tree = repository / ".git" / "objects" / head[:2] / head[2:]
    tree.chmod(0o600)
    tree.unlink()  # now git would fetch it from the remote that promised it
    git()
    assert not canary.exists()


@NO_GIT
def test_a_submodule_cannot_either(repository, tmp_path):
    canary = tmp_path / "canary"
    inner = tmp_path / "inner"
    shutil.copytree(repository, inner)
    run("submodule", "add", "-q", str(inner), "inner")
    run("commit", "-q", "-m", "submodule")
    (repository / "inner" / ".gitattributes").write_text("* filter=evil\n")
    run("-C", "inner", "config", "filter.evil.clean", f"touch {canary}; cat")
    run("-C", "inner", "config", "core.fsmonitor", f"touch {canary}")
    (repository / "inner" / "train.py").write_text("changed")
    assert git().commit == run("rev-parse", "HEAD")
    assert not canary.exists()


# --- data


def test_a_file_is_known_by_its_bytes(tmp_path):
    (tmp_path / "a:b.csv").write_bytes(b"1,2,3")
    found = data_ref(tmp_path / "a:b.csv")
    assert (found.uri, found.how, found.digest, found.size) == (
        str(tmp_path / "a:b.csv"),
        "sha256",
        digest_of(b"1,2,3"),
        5,
    )
    assert data_ref(str(tmp_path / "a:b.csv")) == found


def test_a_folder_is_known_by_the_names_and_bytes_of_its_files(tmp_path):
    for name, data in {"a/x": b"1", "b": b"22"}.items():
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_bytes(data)
    found = data_ref(tmp_path / "data")
    listing = [["a/x", digest_of(b"1")], ["b", digest_of(b"22")]]
    assert (found.how, found.size, found.digest) == ("sha256-tree", 3, digest_of(canonical(listing)))
    (tmp_path / "data" / "b").rename(tmp_path / "data" / "c")
    assert data_ref(tmp_path / "data").digest != found.digest


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("s3://bucket/key.parquet", "s3://bucket/key.parquet"),
        ("https://example.org/x.csv?X-Amz-Signature=secret&sig=secret", "https://example.org/x.csv"),
        ("https://ada:secret@example.org/x.csv", "https://example.org/x.csv"),
        ("https://ada:secret@example.org:8443/x.csv#secret", "https://example.org:8443/x.csv"),
        ("https://user%40corp:secret@example.org/", "https://example.org/"),
        ("https://ada:se@cret@example.org/", "https://example.org/"),
        ("https://ada:se/cret@example.org/", "https://"),
        ("https://ada:se?cret@example.org/", "https://"),
        ("https://ada:se#cret@example.org/", "https://"),
        ("https://[secret", "https://"),
        ("postgresql://ada:secret@db/table", "postgresql://db/table"),
        ("s3://bucket/a@b/c", "s3://bucket/a@b/c"),
    ],
)
def test_a_url_is_named_without_credentials_query_and_fragment(url, kept):
    found = data_ref(url)
    assert (found.uri, found.how, found.digest, found.size) == (kept, "unread", None, None)


@given(
    user=st.text("ab%", max_size=3), secret=st.text("S:@%3", min_size=1, max_size=6), query=st.text("S=&?", max_size=5)
)
def test_no_part_of_a_password_or_signature_is_left(user, secret, query):
    kept = without_credentials(f"https://{user}:{secret}@host/path?{query}#{query}")
    assert kept in {"https://host/path", "https://"}


def test_data_that_is_not_there_is_not_found(tmp_path):
    for missing in (tmp_path / "nothing", "nothing\x1b", "x" * 5_000):
        with pytest.raises(NotFound) as raised:
            data_ref(missing)
        assert raised.value.code == Code.FILE_NOT_FOUND
        assert f"{raised.value}{raised.value.ref}".isprintable()


@pytest.mark.parametrize(
    "source", [None, 5, b"x", "", "\0", "\ud800", [], object(), Path("/dev/null"), "s3://" + "x" * 70_000]
)
def test_what_is_no_place_of_data_is_invalid(source):
    with pytest.raises(InvalidInput):
        data_ref(source)


def test_data_is_named_in_the_version(tmp_path):
    (tmp_path / "x.csv").write_text("x")
    version = Vault(MemoryStore()).publish("m", 1, data=["s3://bucket/x?sig=xyzzy", tmp_path / "x.csv"])
    assert [ref.how for ref in version.data] == ["unread", "sha256"]
    assert "xyzzy" not in repr(version.manifest)
    assert [ref.how for ref in Vault(MemoryStore()).publish("m", 1, data="s3://one").data] == ["unread"]


# --- environment


def test_a_model_names_the_packages_that_it_needs_and_no_others():
    __import__("pandas")
    model = LogisticRegression().fit(np.eye(4), [0, 1, 0, 1])
    found = Vault(MemoryStore()).publish("m", model).environment.packages
    assert {"scikit-learn", "numpy"} <= set(found)
    assert not {"pandas", "pytest", "scipy", "modelvault-sdk"} & set(found)


def test_plain_objects_name_no_packages():
    version = Vault(MemoryStore()).publish("m", {"a": [1, "pandas", "numpy.ndarray"]})
    assert version.environment.packages == {}
    assert Vault(MemoryStore()).publish("m", np.arange(3)).environment.packages == {"numpy": np.__version__}


def test_modules_become_their_distributions():
    found = environment(["sklearn.linear_model._logistic", "numpy", "os", "__main__", "not_installed.x", "", "a b\x1b"])
    assert set(found.packages) == {"scikit-learn", "numpy"}
    assert found.python.count(".") == 2


def test_no_variable_of_the_environment_enters_a_record(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2-hunter2")
    version = Vault(MemoryStore()).publish("m", 1)
    assert "hunter2" not in repr(version.manifest) + repr(version.claim)


# --- who


def test_the_one_who_acts_is_named_or_taken_from_the_environment(monkeypatch):
    monkeypatch.setenv("MODELVAULT_ACTOR", "ci")
    assert actor("ada") == "ada"
    assert actor(None) == actor("") == "ci"
    monkeypatch.delenv("MODELVAULT_ACTOR")
    monkeypatch.setenv("LOGNAME", "grace")
    assert actor(None) == "grace"


def test_a_user_without_a_name_is_a_number(monkeypatch):
    for name in ("MODELVAULT_ACTOR", "LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda _: (_ for _ in ()).throw(KeyError("uid not found")))
    assert actor(None) == f"uid-{os.getuid()}"


@pytest.mark.parametrize("name", [5, b"ada", ["ada"], object(), "\ud800", np.arange(3)])
def test_an_actor_is_text(name):
    with pytest.raises(InvalidInput):
        actor(name)


# --- trackers


def test_the_active_run_of_mlflow_is_linked(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow = pytest.importorskip("mlflow")
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    with mlflow.start_run() as active:
        said = Vault(MemoryStore()).publish("m", 1).provenance.run.tracking
    assert said["mlflow.run"] == active.info.run_id
    assert Vault(MemoryStore()).publish("m", 1).provenance.run.tracking == {}


def test_the_active_run_of_wandb_is_linked(tmp_path):
    wandb = pytest.importorskip("wandb")
    with wandb.init(mode="offline", dir=tmp_path, project="fraud") as active:
        said = Vault(MemoryStore()).publish("m", 1).provenance.run.tracking
        assert said["wandb.run"].endswith(active.id)


def test_a_booster_tells_its_settings():
    lightgbm = pytest.importorskip("lightgbm")
    data = lightgbm.Dataset(np.random.default_rng(1).random((50, 2)), np.arange(50) % 2)
    model = lightgbm.train({"num_leaves": 5, "verbose": -1, "objective": "binary"}, data, num_boost_round=2)
    said = Vault(MemoryStore()).publish("m", model).provenance.algorithm
    assert (said.name, said.params["num_leaves"]) == ("lightgbm.basic.Booster", 5)
