"""The demo does what it shows: the numbers in it are those of its models."""

import re
import subprocess
import sys
from importlib.util import find_spec

import pytest

import modelvault as mv
from modelvault import cli, demo


@pytest.mark.skipif(not find_spec("sklearn"), reason="the demo needs scikit-learn")
def test_the_demo_breaks_prod_and_rolls_it_back(tmp_path):
    command = [sys.executable, "-m", "modelvault", "demo", "--dir", tmp_path / "demo"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""

    vault = mv.open(tmp_path / "demo")
    versions = {version.number: version for version in vault.versions("cancer")}
    assert list(versions) == ["1.2.0", "1.1.0", "1.0.0"]
    assert versions["1.1.0"].metrics["accuracy"] > versions["1.0.0"].metrics["accuracy"]
    moves = [(move.kind, move.version) for move in vault.history("cancer@prod")]
    assert moves == [("rollback", "1.1.0"), ("promote", "1.2.0"), ("promote", "1.1.0"), ("promote", "1.0.0")]

    said = [float(percent) for percent in re.findall(r"right about ([\d.]+)% of", done.stdout)]
    good = round(100 * versions["1.1.0"].metrics["accuracy"], 1)
    assert (said[0], said[2]) == (good, good)
    assert said[1] < 70 < good
    assert len(set(re.findall(r"process (\d+): ", done.stdout))) == 1

    shown = [line.strip() for line in done.stdout.splitlines()]
    assert all(str(move) in shown for move in vault.history("cancer@prod"))
    assert [line[0] for line in shown if re.match(r"\d\. ", line)] == list("12345678")
    assert f"$ export MODELVAULT_URL={vault.url}" in shown
    assert max(len(line.replace(vault.url, "")) for line in done.stdout.splitlines()) <= 100
    assert "\x1b" not in done.stdout


@pytest.fixture
def short(monkeypatch):
    """A demo of one step of each kind, without scikit-learn."""
    monkeypatch.setattr(demo, "find_spec", lambda _: True)
    monkeypatch.setattr(demo, "IMPORTS", "import modelvault as mv")
    service = "import sys, modelvault as mv\n\nfor _ in sys.stdin:\n    print(mv.load('cancer@prod'), flush=True)\n"
    monkeypatch.setattr(demo, "SERVICE", service)
    python = "vault = mv.open(URL)\nvault.publish(\n  'cancer', 7)\nprint(vault.promote('cancer@prod', '1.0.0', reason='x'))\nNone"
    steps = [
        ("Make.", "python", python),
        ("Serve.", "service", service),
        ("Again.", "service", ""),
        ("Look.", "shell", "modelvault models"),
    ]
    monkeypatch.setattr(demo, "STEPS", steps)


@pytest.mark.usefixtures("short")
def test_what_is_shown_is_what_runs(tmp_path):
    said = []
    answer = demo.run(tmp_path / "demo", said.append)
    vault = mv.open(tmp_path / "demo")
    assert answer == {"vault": vault.url, "service": ["7", "7"]}
    text = "\n".join(said)
    assert f"   >>> vault = mv.open({vault.url!r})\n" in text
    assert f"   >>> vault.publish(\n   ...   'cancer', 7)\n   {vault.version('cancer@prod')!r}\n" in text
    assert f"   {vault.history('cancer@prod')[0]}\n   >>> None\n" in text
    assert "2. Serve.\n\n   | import sys, modelvault as mv\n   |\n   | for _ in sys.stdin:\n" in text
    assert "flush=True)\n\n   7\n" in text
    assert "3. Again.\n\n   7\n" in text
    assert "4. Look.\n\n   $ modelvault models\n   cancer\n" in text


@pytest.mark.parametrize(
    ("end", "code"),
    [("sys.exit(3)", 3), ("os.kill(os.getpid(), 9)", -9), ("print(flush=True); sys.stdin.read()", 0)],
    ids=["it exits", "it is killed", "it says nothing"],
)
@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.usefixtures("short")
def test_a_service_that_gives_no_answer_is_told_with_its_exit_code(capsys, monkeypatch, tmp_path, end, code, after):
    answers = "input(), print('first', flush=True)\n" * after
    monkeypatch.setattr(demo, "SERVICE", f"import os, sys\n{answers}{end}\n")
    assert cli.main(["demo", "--dir", str(tmp_path / "demo")]) == 1
    said = capsys.readouterr()
    assert ("   first\n" in said.out) == bool(after)
    assert f"error: RuntimeError: the service gave no answer, and ended with exit code {code}\n" in said.err
    assert "BrokenPipe" not in said.err


@pytest.mark.usefixtures("short")
def test_the_demo_answers_in_json_and_makes_a_folder_of_its_own(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert cli.main(["demo", "--json"]) == 0
    said = capsys.readouterr()
    assert '"service": [' in said.out
    assert "1. Make." in said.err
    assert len([*tmp_path.glob("modelvault-demo-*/modelvault.json")]) == 1


@pytest.mark.usefixtures("short")
def test_a_second_demo_in_the_same_folder_is_refused(capsys, tmp_path):
    assert cli.main(["demo", "--dir", str(tmp_path / "demo")]) == 0
    capsys.readouterr()
    assert cli.main(["demo", "--dir", str(tmp_path / "demo")]) == 8
    said = capsys.readouterr()
    assert said.out == ""
    assert "has a model 'cancer' already\nhint: give --dir a new folder, or leave it out\n" in said.err


def test_without_scikit_learn_the_demo_says_what_to_install(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(demo, "find_spec", lambda _: None)
    assert cli.main(["demo", "--dir", str(tmp_path / "demo")]) == 10
    assert "hint: pip install 'modelvault-sdk[demo]'\n" in capsys.readouterr().err
    assert not (tmp_path / "demo").exists()
