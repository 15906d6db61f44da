"""The command: each verb does and says what the API does, in text and in JSON, and fails with the code of its category."""

import json
import os
import pty
import re
import shlex
import signal
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ
from typing import get_args

import pytest
from onnx import TensorProto, helper

import modelvault as mv
from modelvault import cli, errors, vault
from modelvault.errors import Code, StoreError
from modelvault.reference import Level as Bump
from modelvault.stores.local import LocalStore
from modelvault.stores.wrappers import Wrapper
from modelvault.testing.faults import Fault, FaultStore
from modelvault.upkeep.verify import Level
from modelvault.verbs.drill import FAULTS
from modelvault.wire import NoteKind, as_json

HOSTILE = "\x1b[2J\x1b]0;owned\x07\r\u202e"
ESCAPED = "\\x1b[2J\\x1b]0;owned\\x07\\r\\u202e"


@dataclass
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def error(self):
        return self.json["error"]


@pytest.fixture
def run(capsys):
    """Runs the command in this process."""

    def run(*arguments):
        capsys.readouterr()
        code = cli.main([str(one) for one in arguments])
        return Said(code, *capsys.readouterr())

    return run


@pytest.fixture
def opened():
    """The vault that the command finds, through the API."""
    return mv.open()


@pytest.fixture
def model(tmp_path):
    """A folder to publish."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights.bin").write_bytes(b"\0" * 10_000)
    (folder / "config.json").write_text('{"layers": 3}')
    return folder


@pytest.fixture
def fraud(opened, model):
    """A model with three versions; prod has been at 1.0.0 and is at 1.1.0."""
    opened.publish("fraud", model, version="1.0.0", metrics={"auc": 0.9}, params={"C": 1}, notes="First.\nOf many.")
    opened.publish("fraud", model, version="1.1.0", metrics={"auc": 0.95}, params={"C": 2})
    opened.publish("fraud", model, version="1.2.0-rc.1")
    opened.promote("fraud@prod", "1.0.0", reason="first")
    opened.promote("fraud@prod", "1.1.0", reason="better")
    return opened


def python(*arguments, **options):
    """Starts the command in a process of its own."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
    return subprocess.Popen([sys.executable, *map(str, arguments)], **options)


# --- what each verb does -------------------------------------------------------------------------------------------


def test_publish_takes_all_that_the_api_takes(run, opened, model, tmp_path):
    (tmp_path / "train.csv").write_text("x,y\n")
    opened.publish("fraud", model, version="1.4.2")
    opened.publish("fraud", model, version="2.0.0")
    said = run(
        *("publish", "fraud", model, "--bump", "patch", "--base", "1.4.2"),
        *(
            "--param",
            "C=1.5",
            "--param",
            "solver=lbfgs",
            "--param",
            "layers=[8, 8]",
            "--param",
            "big=NaN",
            "--param",
            "x==y=",
        ),
        *("--metric", "auc=0.947", "--metric", "loss=-0.5", "--metric", "n=1e3"),
        *("--data", tmp_path / "train.csv", "--data", "s3://lake/x", "--notes", "A hotfix."),
    )
    version = opened.version("fraud:1.4.3")
    assert (said.code, said.out) == (0, f"fraud:1.4.3 is published, {version.digest}\n")
    assert version.params == {"C": 1.5, "solver": "lbfgs", "layers": [8, 8], "big": "NaN", "x": "=y="}
    assert version.metrics == {"auc": 0.947, "loss": -0.5, "n": 1000.0}
    assert [ref.how for ref in version.data] == ["sha256", "unread"]
    assert (version.notes, version.actor, version.format) == ("A hotfix.", "tester", "files")
    assert {file.path for file in version.files} == {"config.json", "weights.bin"}


def test_a_signature_is_shown_and_compared(run, opened, tmp_path):
    def graph(name, columns):
        inputs, outputs = ([helper.make_tensor_value_info(one, TensorProto.FLOAT, [None, columns])] for one in "xy")
        nodes = [helper.make_node("Relu", ["x"], ["y"])]
        (tmp_path / name).write_bytes(
            helper.make_model(helper.make_graph(nodes, "g", inputs, outputs)).SerializeToString()
        )
        return tmp_path / name

    run("publish", "fraud", graph("one.onnx", 3))
    said = run("signature", "fraud:1.0.0")
    assert said.code == 0
    assert re.search(r"inputs +x +float32 +\(any, 3\)", said.out)
    assert run("signature", "fraud:1.0.0", "--json").json["outputs"][0]["shape"] == [None, 3]
    assert "float32" in run("show", "fraud:1.0.0").out
    said = run("suggest", "fraud", graph("two.onnx", 4))
    assert said.out.startswith(
        "major, counted from 1.0.0\n  major: the input 'x' had the shape (any, 3), has (any, 4)\n"
    )
    assert run("suggest", "fraud", tmp_path / "two.onnx", "--json").json["level"] == "major"
    said = run("publish", "fraud", tmp_path / "two.onnx", "--bump", "minor", "--json")
    assert (said.code, said.error["code"], len(said.error["verdicts"])) == (5, "bump-too-small", 2)
    assert run("publish", "fraud", tmp_path / "two.onnx", "--bump", "auto").out.startswith("fraud:2.0.0 ")
    opened.publish("bare", 1)
    assert (run("signature", "bare:1.0.0").out, run("signature", "bare:1.0.0", "--json").json) == ("", None)


def test_a_dry_run_says_what_would_be_done(run, opened, model):
    said = run("publish", "fraud", model, "--dry-run")
    assert (said.code, opened.models()) == (0, [])
    assert said.out.splitlines()[0] == "fraud:1.0.0 would be published"
    assert {tuple(line.split(None, 1)) for line in said.out.splitlines()[1:]} == {
        ("size", "10 kB"), ("new", "10 kB"), ("saved", "0 B"), ("shared", "0 B"), ("inline", "13 B"), ("files", "2"), ("blobs", "1"), ("requests", "6"),
    }  # fmt: skip
    said = run("publish", "fraud", model, "--dry-run", "--json").json
    sizes = {"size": 10_013, "new": 10_000, "saved": 0, "shared": 0, "inline": 13}
    assert said == {"model": "fraud", "number": "1.0.0", "files": 2, "blobs": 1, "requests": 6} | sizes
    assert opened.models() == []


def test_what_is_compressed_is_said_to_be_smaller_and_is(run, opened, tmp_path):
    (tmp_path / "words").write_bytes(b"words " * 10_000)
    said = run("publish", "fraud", tmp_path / "words", "--compress", "--dry-run", "--json").json
    assert (said["size"], said["new"] + said["saved"]) == (60_000, 60_000)
    assert said["saved"] > 50_000
    assert run("publish", "fraud", tmp_path / "words", "--compress").code == 0
    [part] = opened.version("fraud:1.0.0").files[0].parts
    assert (part.enc, part.stored) == ("zstd", said["new"])


def test_publish_takes_a_file_and_a_number(run, opened, model):
    said = run("publish", "fraud", model / "config.json", "--version", "2.0.0-rc.1", "--json")
    version = opened.version("fraud:2.0.0-rc.1")
    assert [file.path for file in version.files] == ["config.json"]
    assert (said.json["ref"], said.json["digest"]) == ("fraud:2.0.0-rc.1", version.digest)


def test_fetch_prints_the_folder_and_nothing_else(run, fraud, tmp_path, model):
    said = run("fetch", "fraud@prod", "--to", tmp_path / "to")
    assert (said.code, said.out) == (0, f"{tmp_path / 'to'}\n")
    assert (tmp_path / "to" / "weights.bin").read_bytes() == (model / "weights.bin").read_bytes()
    some = run("fetch", "fraud@prod", "--to", tmp_path / "some", "--only", "*.json", "--json")
    assert some.json == {"path": str(tmp_path / "some")}
    assert os.listdir(tmp_path / "some") == ["config.json"]
    assert (Path(run("fetch", "fraud@prod").out.strip()) / "config.json").exists()


def test_show_tells_of_the_version_and_of_what_was_said_since(run, fraud):
    fraud.note("fraud:1.0.0", "fine in shadow", metrics={"auc": 0.91})
    fraud.promote("fraud@old", "1.0.0", reason="kept")
    said = run("show", "fraud@prod~1")
    assert (said.code, said.out.splitlines()[0]) == (0, "fraud:1.0.0")
    for text in ("aliases    old\n", "auc  0.9\n", "First.\n", "fine in shadow, auc=0.91", "weights.bin  10 kB"):
        assert text in said.out
    shown = run("show", "fraud:1.0.0", "--json").json
    version = fraud.version("fraud:1.0.0")
    assert shown["remarks"] == [as_json(note) for note in version.remarks()]
    assert (shown["aliases"], shown["yanked"]) == (["old"], False)
    for name in ("ref", "model", "number", "digest", "actor", "format", "size", "metrics", "params", "notes"):
        assert shown[name] == getattr(version, name)


def test_models_are_listed(run, fraud, model):
    fraud.publish("churn", model)
    assert run("models").out == "churn\nfraud\n"
    assert run("models", "--json").json == fraud.models() == ["churn", "fraud"]


def test_versions_are_listed_with_their_aliases(run, fraud):
    fraud.yank("fraud:1.0.0", reason="leaked")
    said = run("versions", "fraud")
    rows = [line.split()[:2] for line in said.out.splitlines()]
    assert rows[:3] == [["VERSION", "ALIASES"], ["1.2.0-rc.1", rows[1][1]], ["1.1.0", "prod"]]
    assert rows[3] == ["1.0.0", "(yanked)"]
    listed = run("versions", "fraud", "--json").json
    assert [one["digest"] for one in listed] == [one.digest for one in fraud.versions("fraud")]
    assert [one["aliases"] for one in listed] == [[], ["prod"], []]
    assert [one["yanked"] for one in listed] == [False, False, True]


def test_aliases_are_listed(run, fraud):
    fraud.promote("fraud@canary", "1.2.0-rc.1", reason="try it")
    assert [line.split()[:2] for line in run("aliases", "fraud").out.splitlines()[1:]] == [
        ["fraud@canary", "1.2.0-rc.1"],
        ["fraud@prod", "1.1.0"],
    ]
    found = run("aliases", "fraud", "--json").json
    assert {name: move["version"] for name, move in found.items()} == {"canary": "1.2.0-rc.1", "prod": "1.1.0"}


def test_promote_moves_an_alias(run, fraud):
    said = run("promote", "fraud@prod", "1.0.0", "--reason", "back", "--expect", "1.1.0", "--actor", "ci")
    move = fraud.history("fraud@prod")[0]
    assert (said.code, said.out) == (0, f"{move}\n")
    assert (move.version, move.reason, move.actor, move.kind) == ("1.0.0", "back", "ci", "promote")
    moved = run("promote", "fraud@new", "fraud:^1", "--reason", "made", "--expect", "", "--json").json
    assert (moved["version"], moved["alias"], moved["seq"]) == ("1.1.0", "new", 1)


def test_rollback_goes_back_and_says_what_it_passed_over(run, fraud):
    fraud.promote("fraud@prod", "1.2.0-rc.1", reason="newest")
    fraud.yank("fraud:1.1.0", reason="leaked")
    said = run("rollback", "fraud@prod", "--reason", "latency", "--expect", "1.2.0-rc.1")
    assert "→ 1.0.0" in said.out
    assert "  passed over  1.1.0, yanked: leaked\n" in said.out
    fraud.promote("fraud@prod", "1.2.0-rc.1", reason="newest")
    back = run("--json", "rollback", "fraud@prod", "--reason", "latency", "--to", "1.0.0").json
    assert (back["version"], back["kind"]) == ("1.0.0", "rollback")


def test_history_is_listed_newest_first(run, fraud):
    rows = [line.split()[0] for line in run("history", "fraud@prod").out.splitlines()]
    assert rows == ["#", "2", "1"]
    listed = run("history", "fraud@prod", "--json").json
    moves = fraud.history("fraud@prod")
    assert [(one["seq"], one["txn"], one["version"]) for one in listed] == [(m.seq, m.txn, m.version) for m in moves]


def test_notes_are_added(run, fraud):
    said = run("note", "fraud:1.0.0", "-5 % on Sundays", "--kind", "issue", "--metric", "delta=-0.05")
    newest = fraud.notes("fraud:1.0.0")[0]
    assert (said.code, said.out) == (0, f"{newest}\n")
    assert (newest.kind, newest.text, newest.metrics) == ("issue", "-5 % on Sundays", {"delta": -0.05})
    assert run("note", "fraud:1.0.0", "ok", "--json").json == as_json(fraud.notes("fraud:1.0.0")[0])


def test_yank_and_unyank_are_notes(run, fraud):
    assert run("yank", "fraud:1.1.0", "--reason", "leaked").code == 0
    assert run("show", "fraud:^1", "--json").json["number"] == "1.0.0"
    assert run("unyank", "fraud:1.1.0", "--reason", "it was not", "--json").json["kind"] == "unyank"
    assert run("show", "fraud:^1", "--json").json["number"] == "1.1.0"
    assert [note.text for note in fraud.notes("fraud:1.1.0")] == ["it was not", "leaked"]


def test_diff_lists_what_changed(run, fraud):
    assert "metric  auc    0.9 → 0.95  better: +0.05\n" in run("diff", "fraud:1.0.0", "fraud@prod").out
    found = run("diff", "fraud:1.0.0", "fraud@prod", "--json").json
    assert (found["old"], found["new"]) == ("fraud:1.0.0", "fraud:1.1.0")
    expected = fraud.diff("fraud:1.0.0", "fraud@prod").changes
    assert [tuple(change.values()) for change in found["changes"]] == [tuple(change) for change in expected]


@pytest.mark.parametrize("ref", [(), ("fraud@prod",), ("fraud:1.0.0",)])
def test_verify_reports_that_all_is_well(run, fraud, ref):
    said = run("verify", *ref, "--level", "presence")
    assert (said.code, said.out.endswith("all well\n")) == (0, True)
    report = run("verify", "--json", *ref).json
    assert (report["ok"], report["level"], report["problems"]) == (True, "bytes", [])
    assert report["versions"] == (1 if ref else 3)


def test_verify_lists_each_problem_and_fails(run, fraud, tmp_path):
    blob = next(path for path in (tmp_path / "own-vault" / "blobs").rglob("*") if path.is_file())
    blob.unlink()
    said = run("verify", "--level", "presence")
    assert (said.code, said.out.count("blob-missing")) == (6, 3)
    report = run("verify", "--json")
    assert report.code == 6
    assert {problem["category"] for problem in report.json["problems"]} == {"Corrupt"}


def test_verify_of_a_store_that_is_down_finds_no_corruption(run, fraud, tmp_path, monkeypatch):
    down = FaultStore(LocalStore(tmp_path / "own-vault"), Fault.ERROR_BEFORE, lasting=True)
    monkeypatch.setattr(vault, "connect", lambda *_, **__: down)
    assert run("verify").code == 75


# --- options -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [True, False])
def test_common_options_stand_before_or_after_the_verb(run, model, tmp_path, before):
    common = ["--vault", tmp_path / "elsewhere", "--actor", "ci", "--json"]
    verb = ["publish", "fraud", model]
    said = run(*common, *verb) if before else run(*verb, *common)
    assert (said.json["ref"], said.json["actor"]) == ("fraud:1.0.0", "ci")
    assert mv.open(tmp_path / "elsewhere").models() == ["fraud"]


def test_an_option_after_the_verb_wins(run, fraud, tmp_path):
    assert run("--vault", tmp_path / "other", "models", "--vault", tmp_path / "own-vault").out == "fraud\n"


def test_cat_writes_the_bytes_of_a_file(fraud, model):
    with python("-m", "modelvault", "cat", "fraud@prod", "config.json", text=False) as done:
        assert done.communicate()[0] == (model / "config.json").read_bytes()


def test_cat_of_what_is_not_there_writes_nothing(run, fraud):
    said = run("cat", "fraud@prod", "config.jso")
    assert (said.code, said.out) == (3, "")
    assert said.err.endswith("hint: its files: config.json\n")
    assert run("cat", "fraud@prod", "config.json", "--json").error["code"] == "bad-value"


def test_choices_are_those_of_the_api():
    parser = cli._parser()._subparsers._group_actions[0].choices
    choices = {
        (verb, action.dest): set(action.choices)
        for verb, below in parser.items()
        for action in below._actions
        if action.choices
    }
    assert choices == {
        ("publish", "bump"): {*get_args(Bump), "auto"},
        ("note", "kind"): set(get_args(NoteKind)),
        ("verify", "level"): set(get_args(Level)),
        ("cache", "what"): {"ls", "verify", "prune", "forget"},
        ("drill", "faults"): set(FAULTS),
    }


def test_every_verb_is_a_verb_of_a_vault():
    verbs = {name for name in dir(mv.Vault) if callable(getattr(mv.Vault, name)) and not name.startswith("_")}
    elsewhere = {
        "draft",
        "live",
        "load",
        "notes",
        "version",
        "suggest_bump",
    }  # a block, an object, what `show` shows, `suggest`
    assert set(cli.VERBS) == verbs - elsewhere | {"show", "cat", "demo", "cache", "signature", "suggest"}


@pytest.mark.parametrize("verb", cli.VERBS)
def test_help_says_what_a_verb_does_and_gives_an_example_that_parses(run, verb):
    said = run(verb, "--help")
    run_of, example, _ = cli.VERBS[verb]
    assert (said.code, run_of.__doc__.count(".")) == (0, 1)
    assert run_of.__doc__ in said.out
    assert f"example:\n  modelvault {example}" in said.out
    assert cli._given(shlex.split(example)).verb == verb


def test_help_lists_the_verbs_one_line_each(run):
    lines = run("--help").out.splitlines()
    assert set(cli.VERBS) <= {line.split()[0] for line in lines if re.match(r"    \w+ +[A-Z]", line)}


def test_without_a_verb_there_is_help_and_an_exit_code(run):
    said = run()
    assert (said.code, said.out.startswith("usage: modelvault"), said.err) == (2, True, "")


def test_version_is_that_of_the_package(run):
    assert run("--version").out == f"modelvault {mv.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "invalid choice: 'nonsense'"),
        (["--vaul", "x", "models"], "unrecognized arguments|invalid choice"),
        (["promote", "fraud@prod"], "required: TO, --reason"),
        (["publish", "fraud", "x", "--metric", "auc"], "'auc' is not NAME=VALUE"),
        (["publish", "fraud", "x", "--metric", "=1"], "'=1' is not NAME=VALUE"),
        (["publish", "fraud", "x", "--metric", "auc=good"], "'good' is no number"),
        (["publish", "fraud", "x", "--metric", "a=1", "--metric", "a=2"], "'a' is given twice"),
        (["publish", "fraud", "x", "--param", "a=1", "--param", "a=1"], "'a' is given twice"),
        (["publish", "fraud", "x", "--bump", "huge"], "invalid choice: 'huge'"),
        (["--json"], "required: VERB"),
    ],
)
def test_a_wrong_call_is_an_error_like_any_other(run, arguments, message):
    said = run(*arguments)
    assert said.code == 2
    assert re.search(message, said.err)
    assert "hint: see 'modelvault" in said.err
    error = run(*arguments, "--json").error
    assert (error["category"], error["code"]) == ("InvalidInput", "bad-value")
    assert error["message"] in said.err


def test_a_parameter_of_great_depth_is_text(run, opened, model):
    assert run("publish", "fraud", model, "--param", "x=" + "[" * 10_000).code == 0
    assert opened.version("fraud:*").params == {"x": "[" * 10_000}


# --- errors --------------------------------------------------------------------------------------------------------


def taken(fraud, model, tmp_path, monkeypatch):
    (model / "config.json").write_text("{}")


def yanked(fraud, model, tmp_path, monkeypatch):
    fraud.yank("fraud:1.0.0", reason="leaked")


def damaged(fraud, model, tmp_path, monkeypatch):
    claim = tmp_path / "own-vault" / "models" / "fraud" / "versions" / "1.0.0.json"
    claim.chmod(0o600)
    claim.write_bytes(claim.read_bytes().replace(b"First", b"Forge"))


def open_to_others(fraud, model, tmp_path, monkeypatch):
    (tmp_path / "own-cache").mkdir()
    (tmp_path / "own-cache").chmod(0o777)


class Unsure(Wrapper):
    """Does what it is told to create, loses the reply, and then cannot be reached."""

    down = False

    def create(self, key, data):
        self.inner.create(key, data)
        self.down = True
        raise StoreError("no reply", code=Code.STORE_FAILED)

    def read(self, key):
        if self.down:
            raise StoreError("no route", code=Code.STORE_FAILED)
        return self.inner.read(key)


class Denied(Wrapper):
    """Belongs to somebody else."""

    def read(self, key):
        raise StoreError("not for you", code=Code.STORE_DENIED)

    def list(self, prefix, *, limit=None):
        raise StoreError("not for you", code=Code.STORE_DENIED)


def unsure(fraud, model, tmp_path, monkeypatch):
    monkeypatch.setattr(vault, "connect", lambda *_, **__: Unsure(LocalStore(tmp_path / "own-vault")))


def nothing(*_):
    pass


PROMOTE = ["promote", "fraud@prod", "1.0.0", "--reason", "x"]


@pytest.mark.parametrize(
    ("category", "code", "prepare", "arguments"),
    [
        ("InvalidInput", Code.BAD_REF, nothing, ["show", "fraud"]),
        ("InvalidInput", Code.BAD_VALUE, nothing, ["note", "fraud:1.0.0", "x", "--metric", "auc=nan"]),
        ("InvalidInput", Code.BAD_VALUE, nothing, ["note", "fraud:1.0.0", " "]),
        ("NotFound", Code.VERSION_NOT_FOUND, nothing, ["show", "fraud:9.9.9"]),
        ("NotFound", Code.FILE_NOT_FOUND, nothing, ["publish", "fraud", "no-such-file", "--bump", "minor"]),
        ("Conflict", Code.ALIAS_MOVED, nothing, [*PROMOTE, "--expect", "1.0.0"]),
        ("Refused", Code.YANKED, yanked, ["rollback", "fraud@prod", "--reason", "x", "--to", "1.0.0"]),
        ("Corrupt", Code.BAD_RECORD, damaged, ["show", "fraud:1.0.0"]),
        ("AlreadyExists", Code.VERSION_EXISTS, taken, ["publish", "fraud", "{model}", "--version", "1.0.0"]),
        ("Untrusted", Code.UNSAFE_FOLDER, open_to_others, ["fetch", "fraud@prod"]),
        ("Unsupported", Code.UNKNOWN_STORE, nothing, ["models", "--vault", "nope://x"]),
        ("StoreError", None, nothing, ["models", "--vault", "{model}/config.json/vault"]),
        ("CommitUncertain", Code.COMMIT_UNCERTAIN, unsure, ["note", "fraud:1.0.0", "x"]),
    ],
)
def test_the_exit_code_is_that_of_the_category(
    run, fraud, model, tmp_path, monkeypatch, category, code, prepare, arguments
):
    prepare(fraud, model, tmp_path, monkeypatch)
    arguments = [argument.format(model=model) for argument in arguments]
    said = run(*arguments)
    assert (said.code, said.out) == (cli.EXITS[getattr(errors, category)], "")
    assert said.err.startswith("error: ")
    again = run(*arguments, "--json")
    assert again.code == said.code
    assert list(again.json) == ["error"]
    assert again.error["category"] == category
    assert {"category", "code", "message", "hint", "ref"} <= set(again.error)
    assert code is None or again.error["code"] == code
    assert f"hint: {again.error['hint']}\n" in again.err or not again.error["hint"]


def test_every_category_has_an_exit_code_of_its_own():
    assert set(cli.EXITS) == set(errors.VaultError.__subclasses__())
    exits = [0, 1, 7, 130, 141, *cli.EXITS.values(), *cli.EXITS_OF_CODES.values()]
    assert len(set(exits)) == len(exits)


def test_who_is_denied_is_not_told_to_try_again(run, fraud, tmp_path, monkeypatch):
    monkeypatch.setattr(vault, "connect", lambda *_, **__: Denied(LocalStore(tmp_path / "own-vault")))
    said = run("show", "fraud:1.0.0", "--json")
    assert (said.code, said.error["category"], said.error["code"]) == (77, "StoreError", "store-denied")
    assert run("verify").code == 77


def test_help_lists_every_exit_code(run):
    told = re.findall(r"^  (\d+) (\S+)$", run("--help").out, re.MULTILINE)
    expected = {kind.__name__: code for kind, code in cli.EXITS.items()} | cli.EXITS_OF_CODES
    assert expected | {"done": 0, "unexpected": 1, "interrupted": 130} == {name: int(code) for code, name in told}


def test_help_says_what_a_repeated_rollback_does(run):
    assert "a repetition goes one further back" in " ".join(run("rollback", "--help").out.split())


def test_a_conflict_says_what_is_there(run, fraud):
    error = run(*PROMOTE, "--expect", "1.0.0", "--json").error
    assert (error["expected"], error["actual"], error["ref"]) == ("1.0.0", "1.1.0", "fraud@prod")


def fail(error):
    def run(_):
        raise error

    return run, "models", ()


def test_a_fault_of_the_program_keeps_its_traceback(run, monkeypatch):
    monkeypatch.setitem(cli.VERBS, "models", fail(RuntimeError("a bug\x1b")))
    said = run("models", "--json")
    assert (said.code, said.error["category"], said.error["code"]) == (1, "Unexpected", "unexpected")
    assert "Traceback (most recent call last)" in said.err
    assert "error: RuntimeError: a bug\\x1b\n" in said.err


def test_an_interrupt_has_the_exit_code_of_a_shell(run, monkeypatch):
    monkeypatch.setitem(cli.VERBS, "models", fail(KeyboardInterrupt()))
    assert (run("models").code, run("models").err) == (130, "error: interrupted\n")
    assert run("models", "--json").error["code"] == "interrupted"


def test_a_reader_who_has_seen_enough_is_no_error(run, fraud, monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", encoding="utf-8") as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        assert cli.main(["models"]) == 141


def test_a_broken_pipe_below_a_verb_is_left_to_the_end(run, monkeypatch):
    reader, writer = os.pipe()
    with open(reader, "rb"), open(writer, "w", encoding="utf-8") as stream:
        monkeypatch.setitem(cli.VERBS, "models", fail(BrokenPipeError()))
        monkeypatch.setattr(sys, "stdout", stream)
        assert cli.main(["models"]) == 141


# --- what is printed -----------------------------------------------------------------------------------------------


def test_nothing_to_list_is_said_beside_the_output(run, opened, tmp_path):
    assert run("models").err == f"there are no models in {opened.url}\n"
    assert run("models", "--json").json == []
    opened.publish("fraud", 1)
    said = run("aliases", "fraud")
    assert (said.code, said.out, said.err) == (0, "", "fraud has no aliases\n")
    assert run("aliases", "fraud", "--json").json == {}


@pytest.mark.parametrize("verb", ["versions", "aliases"])
def test_of_a_model_that_is_not_there_nothing_is_listed(run, fraud, verb):
    said = run(verb, "frod", "--json")
    assert (said.code, said.error["code"]) == (3, "model-not-found")
    assert "fraud" in said.error["hint"]


def test_equal_versions_differ_in_nothing(run, fraud):
    said = run("diff", "fraud@prod", "fraud:1.1.0")
    assert (said.code, said.out, said.err) == (0, "", "fraud:1.1.0 and fraud:1.1.0 do not differ\n")


def test_what_strangers_stored_cannot_act_on_a_terminal(run, fraud, model):
    fraud.publish(
        "fraud",
        model,
        version="3.0.0",
        notes=HOSTILE,
        params={HOSTILE: HOSTILE},
        actor=HOSTILE,
        data=["s3://" + HOSTILE],
    )
    fraud.note("fraud:3.0.0", HOSTILE, actor=HOSTILE)
    fraud.promote("fraud@bad", "3.0.0", reason=HOSTILE, actor=HOSTILE)
    for arguments in (
        ["show", "fraud:3.0.0"],
        ["versions", "fraud"],
        ["aliases", "fraud"],
        ["history", "fraud@bad"],
        ["diff", "fraud:1.0.0", "fraud@bad"],
        ["promote", "fraud@bad", "3.0.0", "--reason", HOSTILE],
        ["note", "fraud@bad", HOSTILE],
    ):
        said = run(*arguments)
        assert ESCAPED in said.out
        assert all(line.isprintable() for line in said.out.split("\n"))
        assert run(*arguments, "--json").out.isascii()
    assert ESCAPED in run("show", f"fraud@{HOSTILE}").err
    assert all(
        line.isprintable()
        for line in run("promote", "fraud@bad", "1.0.0", "--reason", "x", "--expect", "7").err.split("\n")
    )


def test_text_is_printed_in_any_encoding(fraud, model):
    fraud.publish("fraud", model, version="4.0.0", notes="Händler → café")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = python("-m", "modelvault", "show", "fraud:4.0.0", env=environment)
    out, err = done.communicate()
    assert (done.returncode, err) == (0, "")
    assert "H\\xe4ndler \\u2192 caf\\xe9" in out


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_gets_a_table_that_fits_and_a_little_colour(fraud, environment):
    fraud.promote("fraud@prod", "1.0.0", reason="because " * 30)
    other, terminal = pty.openpty()
    ioctl(terminal, TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    clean = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLUMNS", "LINES"}}
    with python(
        "-m", "modelvault", "history", "fraud@prod", stdout=terminal, env={**clean, "TERM": "xterm", **environment}
    ) as done:
        os.close(terminal)
        printed = everything(other)
    assert done.returncode == 0
    plain = re.sub(r"\x1b\[[0-9]m", "", printed)
    assert max(map(len, plain.splitlines())) == 80
    assert next(line for line in plain.splitlines() if "because" in line).endswith("…")
    assert ("\x1b[1m1.0.0\x1b[0m" in printed, plain != printed) == ((False, False) if environment else (True, True))


def everything(terminal):
    """What is printed on a terminal until nobody holds its other end."""
    printed = b""
    try:
        while chunk := os.read(terminal, 65536):
            printed += chunk
    except OSError:
        pass  # how Linux reports that the last writer is gone
    os.close(terminal)
    return printed.decode()


def test_a_pipe_gets_the_whole_text_and_no_colour(fraud):
    fraud.promote("fraud@prod", "1.0.0", reason="because " * 300)
    out, _ = python("-m", "modelvault", "history", "fraud@prod", env={**os.environ, "COLUMNS": "80"}).communicate()
    assert ("because " * 300).strip() in out
    assert "\x1b" not in out


def test_head_ends_the_command_quietly(opened, model):
    opened.publish("fraud", model, version="1.0.0", params={f"p{n}": "x" * 1000 for n in range(1000)})
    done = python("-m", "modelvault", "show", "fraud:1.0.0")
    done.stdout.readline()
    done.stdout.close()
    assert (done.wait(), done.stderr.read()) == (141, "")
    done.stderr.close()


def test_ctrl_c_while_publishing_publishes_nothing(opened, tmp_path):
    huge = tmp_path / "huge.bin"
    with open(huge, "wb") as file:
        file.truncate(16 * 1024**3)  # of holes: quick to make, slow to read
    program = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); from modelvault.cli import main; sys.exit(main())"
    with python("-c", program, "publish", "fraud", huge) as done:
        while not (tmp_path / "own-vault" / "modelvault.json").exists():
            assert done.poll() is None
            time.sleep(0.01)
        done.send_signal(signal.SIGINT)
        out, err = done.communicate()
    assert (done.returncode, out, err) == (130, "", "error: interrupted\n")
    assert opened.models() == []
    assert opened.verify().ok
    assert [path.name for path in (tmp_path / "own-vault").rglob("*") if path.is_file()] == ["modelvault.json"]
    assert [entry.key for entry in LocalStore(tmp_path / "own-vault").list("")] == ["modelvault.json"]


def test_help_imports_nothing_that_a_verb_needs():
    program = "import sys\nfrom modelvault.cli import main\nmain(['--help'])\nprint(*sys.modules, file=sys.stderr)"
    _, loaded = python("-c", program).communicate()
    assert not {"pydantic", "semver", "cloudpickle", "numpy", "modelvault.vault", "modelvault.wire"} & set(
        loaded.split()
    )


def test_markdown_is_for_pull_requests(run, fraud):
    assert run("diff", "fraud:1.0.0", "fraud@prod", "--markdown").out.startswith("### `fraud:1.0.0` → `fraud:1.1.0`\n")
    assert run("compare", "fraud", "auc", "--markdown").out.startswith("### `fraud`\n")


def test_compare_shows_versions_by_their_metrics(run, fraud):
    said = run("compare", "fraud", "auc")
    assert (said.code, said.out) == (0, f"{fraud.compare('fraud', 'auc')}\n")
    assert run("compare", "fraud", "--json").json == fraud.compare("fraud").data()
    assert run("compare", "fraud", "nope").code == cli.EXITS[errors.InvalidInput]


def test_the_text_of_a_card_comes_from_a_file(run, fraud, tmp_path):
    path = tmp_path / "card.md"
    path.write_text("---\nlicense: mit\n---\nMy text.\n", encoding="utf-8")
    said = run("card", "fraud@prod", "--edit", path)
    assert (said.code, said.out) == (0, fraud.card("fraud@prod"))
    assert 'license: "mit"' in said.out
    assert run("card", "fraud@prod", "--json").json == {"card": said.out}
    path.write_bytes(b"\xff")
    for wrong in (path, tmp_path / "none", tmp_path):
        assert run("card", "fraud@prod", "--edit", wrong).code == cli.EXITS[errors.InvalidInput]


def test_find_lists_the_versions_of_which_it_is_true(run, fraud):
    said = run("find", "metrics.auc > 0.92 and alias == 'prod'")
    assert (said.code, said.out.splitlines()[1].split()[0]) == (0, "fraud:1.1.0")
    assert [one["ref"] for one in run("find", "metrics.auc", "--limit", 1, "--json").json] == ["fraud:1.1.0"]
    nothing = run("find", "metrics.auc > 5")
    assert (nothing.code, nothing.out, nothing.err) == (0, "", "no version is like that\n")
    wrong = run("find", "metrics.auc >", "--json")
    assert (wrong.code, wrong.error["code"]) == (2, "bad-value")
