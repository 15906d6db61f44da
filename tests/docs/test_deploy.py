"""The scripts in the pages on deployment do what their pages say: run as their systems would, on a vault of our own."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import modelvault as mv

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"
SIGNATURE = {"inputs": [{"name": "amount", "dtype": "float64"}], "outputs": [{"name": "score", "dtype": "float64"}]}


def fences(page, language):
    """The blocks of a page in a language."""
    text = (HOW_TO / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.fixture
def vault(tmp_path):
    """Three versions of one signature; the first is in production."""
    vault = mv.open(tmp_path / "vault")
    for number in ("1.0.0", "1.1.0", "1.2.0"):
        vault.publish("fraud", {"n": number}, version=number, signature=SIGNATURE)
    vault.promote("fraud@prod", "1.0.0", reason="first")
    return vault


@pytest.fixture
def shell(tmp_path):
    """Runs a script as a system of CI does, with these variables, and gives its exit code and what it said."""

    def run(script, **variables):
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        known = {"PATH": path, "HOME": str(tmp_path), "MODELVAULT_URL": str(tmp_path / "vault"), "LC_ALL": "C.UTF-8"}
        known |= {"PYTHONPATH": str(HOW_TO.parents[1]), "PYTHONWARNINGS": "error", **variables}
        command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script]
        done = subprocess.run(
            command, cwd=tmp_path, env=known, capture_output=True, text=True, check=False, timeout=300
        )
        return done.returncode, done.stdout + done.stderr

    return run


def github(tmp_path):
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_ACTOR": "octocat",
        "GITHUB_SHA": "ab" * 20,
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "acme/fraud",
        "GITHUB_RUN_ID": "4711",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
    }


def workflows():
    """The workflows of the page, by name."""
    return {found["name"]: found for found in map(yaml.safe_load, fences("deploy-from-github-actions", "yaml"))}


def steps(workflow):
    [job] = workflow["jobs"].values()
    return [step["run"] for step in job["steps"] if "run" in step and not step["run"].startswith("pip install")]


def test_no_expression_stands_in_a_script_and_each_input_in_a_variable():
    for workflow in workflows().values():
        [job] = workflow["jobs"].values()
        assert not any("${{" in step for step in steps(workflow))
        inputs = workflow[True]["workflow_dispatch"]["inputs"]  # YAML 1.1 reads `on` as true
        assert {f"${{{{ inputs.{name} }}}}" for name in inputs} == {one for one in job["env"].values() if "{{" in one}
        assert set(workflow) - {"name", True, "permissions", "concurrency", "jobs"} == set()


def test_the_workflows_of_github(vault, shell, tmp_path):
    found, given = workflows(), github(tmp_path)
    [check] = steps(found["check model"])
    assert shell(check, VERSION="1.1.0", **given)[0] == 0
    assert "**fraud:1.1.0** against **fraud@prod**, at 1.0.0: fine" in (tmp_path / "summary.md").read_text()
    for changed in (True, False):  # and once more, as a run that is repeated
        for step in steps(found["promote model"]):
            code, said = shell(step, VERSION="1.1.0", REASON="AUC; $(false) +0.8 pt", **given)
            assert code == 0, said
        assert json.loads((tmp_path / "move.json").read_text())["changed"] is changed
    [move, _] = vault.history("fraud@prod")
    assert (move.version, move.actor, move.reason) == ("1.1.0", "octocat", "AUC; $(false) +0.8 pt")
    assert move.evidence["ci"]["run"] == "https://github.com/acme/fraud/actions/runs/4711"
    back, quarantine = steps(found["roll back model"])
    assert [shell(back, BAD="1.1.0", REASON="latency", **given)[0] for _ in range(2)] == [0, 4]
    assert shell(quarantine, BAD="1.1.0", REASON="latency", **given)[0] == 0
    assert vault.history("fraud@prod")[0].version == "1.0.0"
    assert shell(check, VERSION="1.1.0", **given)[0] == 5


def test_the_pipeline_of_gitlab(vault, shell):
    pipeline = yaml.safe_load(*fences("deploy-from-gitlab", "yaml"))
    given = {"GITLAB_CI": "true", "GITLAB_USER_LOGIN": "tanuki", "CI_COMMIT_SHA": "cd" * 20}
    given["CI_JOB_URL"] = "https://gitlab.example/acme/fraud/-/jobs/12"

    def run(job, **variables):
        return [shell(line, **given, **variables)[0] for line in pipeline[job]["script"]]

    assert run("check", VERSION="1.1.0") == [0]
    assert run("promote", VERSION="1.1.0", REASON="better") == [0, 0]
    move = vault.history("fraud@prod")[0]
    assert (move.version, move.actor, move.evidence["ci"]["run"]) == ("1.1.0", "tanuki", given["CI_JOB_URL"])
    assert run("roll back", VERSION="1.1.0", REASON="worse") == [0]
    assert run("roll back", VERSION="1.1.0", REASON="worse") == [4]
    assert {job["stage"] for job in pipeline.values() if "script" in job} == set(pipeline["stages"])


def test_the_script_of_cron(vault, shell, tmp_path):
    script, protect = fences("deploy-from-cron", "sh")
    (tmp_path / "nightly.sh").write_text(script)
    (tmp_path / "trained").mkdir()

    def night(number):
        (tmp_path / "trained" / "model.json").write_text(f'{{"night": {number}}}')
        code, said = shell("sh nightly.sh trained", MODELVAULT_ACTOR="cron")
        assert code == 0, said

    night(1)
    assert (vault.version("fraud@staging").number, vault.version("fraud@prod").number) == ("1.3.0", "1.0.0")
    night(2)
    assert (vault.version("fraud@staging").number, vault.version("fraud@prod").number) == ("1.4.0", "1.3.0")
    assert shell(protect)[0] == 0
    night(3)
    assert (vault.version("fraud@staging").number, vault.version("fraud@prod").number) == ("1.5.0", "1.3.0")
    assert vault.history("fraud@staging")[0].actor == "cron"
