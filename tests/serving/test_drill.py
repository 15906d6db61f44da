"""The drill: a rollback is rehearsed on a copy of the vault, and each fault that is planted fails its own step."""

import json
import os
import threading
import xml.etree.ElementTree as ET
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from modelvault import cli
from modelvault.errors import Code, InvalidInput, NotFound, StoreError
from modelvault.serving.drill import DrillReport, Step
from modelvault.serving.live import Live
from modelvault.stores.local import LocalStore
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import ReadOnly, Recording, Wrapper
from modelvault.vault import Vault

NAMES = ["plan", "present", "verified", "loads", "answers", "compatible", "rollback", "forward", "detection", "faults"]
LARGE = 200_000


class Linear:
    """A model that answers to lists of rows."""

    def __init__(self, slope, ballast=b""):
        self.slope = slope
        self.ballast = ballast

    def predict(self, rows):
        return [self.slope * row[0] for row in rows]


class Unloadable:
    """Pickles, and cannot be read again in another process."""

    def __init__(self, slope):
        self.slope = slope
        self.here = os.getpid()

    def __setstate__(self, state):
        if state["here"] != os.getpid():
            raise RuntimeError("it was made elsewhere")
        self.__dict__.update(state)

    predict = Linear.predict


class Ending(Linear):
    """Takes the process along."""

    def __reduce__(self):
        return os._exit, (9,)


class Changing(Linear):
    """Answers otherwise in another process."""

    def __init__(self, slope):
        super().__init__(slope)
        self.here = os.getpid()

    def predict(self, rows):
        return [self.slope * row[0] + (self.here != os.getpid()) for row in rows]


class Moody(Linear):
    """Answers otherwise in another environment."""

    def predict(self, rows):
        return [self.slope * row[0] + float(os.environ.get("MOOD", "0")) for row in rows]


def published(vault, *models, alias="fraud@prod"):
    for model in models:
        version = vault.publish("fraud", model, bump="minor", example=[[1.0], [2.0]])
        vault.promote(alias, version, reason=f"release {version.number}")
    return vault


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    """A store is slow for a second: long enough to tell, and all drills together are quick enough."""
    monkeypatch.setattr("modelvault.serving.drill.faults.SLOW", 1.5)


@pytest.fixture
def vault(tmp_path):
    return published(Vault(LocalStore(str(tmp_path / "vault"))), Linear(1), Linear(2))


@pytest.fixture
def memory():
    return MemoryStore("drilled")


def outcomes(report):
    return {step.name: step.outcome for step in report.steps if step.outcome != "pass"}


def everything(store):
    return {key: bytes(data) for key, data in store._objects.items()}


def test_all_steps_pass_and_are_measured(vault):
    report = vault.drill("fraud@prod")
    assert outcomes(report) == {}, str(report)
    assert [step.name for step in report.steps] == NAMES
    assert report.passed
    assert (report.alias, report.current, report.target) == ("fraud@prod", "1.1.0", "1.0.0")
    steps = {step.name: step.figures for step in report.steps}
    assert steps["loads"]["load_s"] < steps["loads"]["start_s"]
    assert steps["loads"]["peak_rss_bytes"] > 10_000_000
    assert steps["answers"]["outputs"] == 1
    for name in ("rollback", "forward"):
        assert (steps[name]["failed"], steps[name]["torn"]) == (0, 0)
        assert steps[name]["requests"] > 10
    assert steps["detection"]["all_bad"] == 5
    assert 5 < steps["detection"]["five_times"] <= steps["detection"]["predicted"]
    assert (steps["detection"]["guards"], steps["detection"]["moves"]) == (8, 1)
    assert 0 < report.recovery_s == steps["rollback"]["recovery_s"] < 5
    assert report.seconds < 30
    assert set(steps["faults"]) == {
        "broken artifact",
        "corrupt cache",
        "store down",
        "slow store",
        "conflict",
        "clock skew",
    }
    assert all("caught" in one for one in steps["faults"].values())


def test_nothing_is_written_but_the_note(memory):
    vault = published(Vault(memory), Linear(1), Linear(2))
    before = everything(memory)
    report = vault.drill("fraud@prod", actor="ci")
    after = everything(memory)
    (new,) = after.keys() - before.keys()
    assert new.startswith("models/fraud/notes/1.1.0/")
    assert {key: after[key] for key in before} == before
    (note,) = vault.notes("fraud:1.1.0")
    assert (note.kind, note.actor, note.seq) == ("drill", "ci", report.note)
    assert note.text == report.summary
    assert note.evidence["alias"] == "fraud@prod"
    assert note.evidence["passed"] is True
    assert note.evidence["recovery_s"] == report.recovery_s
    assert list(note.evidence["steps"]) == NAMES
    assert vault.verify().ok
    assert vault.history("fraud@prod")[0].version == "1.1.0"


def test_nothing_stays_of_it_on_this_machine(tmp_path, monkeypatch, memory):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    threads = set(threading.enumerate())
    published(Vault(memory), Linear(1), Linear(2)).drill("fraud@prod", faults="none")
    assert list((tmp_path / "tmp").iterdir()) == []
    left = [thread for thread in set(threading.enumerate()) - threads if thread.name != "modelvault-live"]
    for thread in left:
        thread.join(5)
    assert not [thread for thread in left if thread.is_alive()]


def test_a_vault_that_is_far_is_fetched_from_the_store_and_its_cache_is_left_alone(tmp_path, memory):
    class Far(Wrapper):
        url = "far://bucket"

    models = Linear(1, os.urandom(LARGE)), Linear(2, os.urandom(LARGE))
    published(Vault(memory), *models)
    vault = Vault(Far(memory), cache=tmp_path / "cache", trust="pickle")
    vault.prefetch("fraud:1.0.0", "fraud:1.1.0")
    before = sorted(path.relative_to(tmp_path) for path in (tmp_path / "cache").rglob("*"))
    seen = Recording(Far(memory))
    report = Vault(seen, cache=tmp_path / "cache", trust="pickle").drill("fraud@prod", faults="none")
    assert report.passed, str(report)
    assert sum(one.size for one in seen.operations if one.verb == "fetch") > LARGE
    after = sorted(path.relative_to(tmp_path) for path in (tmp_path / "cache").rglob("*"))
    assert {path for path in set(after) - set(before) if "drill-" in str(path)} == set()

    quick = Recording(Far(memory))
    report = Vault(quick, cache=tmp_path / "cache", trust="pickle").drill("fraud@prod", faults="none", quick=True)
    assert outcomes(report) == {"verified": "skip", "faults": "skip"}, str(report)
    assert len([one for one in quick.operations if one.verb == "fetch"]) == 1  # the proof of the rollback itself


def test_the_process_has_the_trust_of_the_vault(tmp_path, memory):
    class Far(Wrapper):
        url = "far://bucket"

        def private(self, key):
            return False

    published(Vault(memory), Linear(1), Linear(2))
    report = Vault(Far(memory), cache=tmp_path / "cache").drill("fraud@prod", faults="none")
    assert outcomes(report)["loads"] == "fail"
    assert "format-not-trusted" in next(step.reason for step in report.failed)
    assert outcomes(report)["rollback"] == "skip"
    assert Vault(Far(memory), cache=tmp_path / "cache", trust="pickle").drill("fraud@prod", faults="none").passed


def test_on_a_bucket(s3_server, tmp_path):
    models = Linear(1, os.urandom(LARGE)), Linear(2, os.urandom(LARGE))
    place = s3_server.place()
    vault = Vault(place.connect(), cache=tmp_path / "cache", trust="pickle")
    published(vault, *models)
    before = [move.seq for move in vault.history("fraud@prod")]
    report = vault.drill("fraud@prod", actor="ci")
    assert outcomes(report) == {}, str(report)
    assert [move.seq for move in Vault(place.connect(), cache=False).history("fraud@prod")] == before
    assert Vault(place.connect(), cache=False).aliases("fraud").keys() == {"prod"}
    assert len(vault.versions("fraud")) == 2


# --- planted faults: each fails its step, and no other


def reached(report, failed):
    """The steps that do not need the one that failed."""
    assert [step.name for step in report.failed] == [failed], str(report)
    return {step.name for step in report.steps if step.outcome == "pass"}


@pytest.mark.parametrize("damage", ["missing", "short", "other"])
def test_a_damaged_blob(damage, tmp_path):
    store = MemoryStore("damaged")
    vault = published(Vault(store), Linear(1, os.urandom(LARGE)), Linear(2, os.urandom(LARGE)))
    (part, *_) = next(file for file in vault.version("fraud:1.0.0").files if file.size > LARGE).parts
    key = f"blobs/sha256/{part.digest[7:9]}/{part.digest[7:]}"
    data = store._objects.pop(key)
    if damage != "missing":
        store._objects[key] = data[:-1] if damage == "short" else bytes([data[0] ^ 1]) + data[1:]
    report = vault.drill("fraud@prod")
    assert not report.passed
    passed = reached(report, "verified" if damage == "other" else "present")
    assert passed == {"plan", "compatible"} | ({"present"} if damage == "other" else set())
    assert ("blob-missing" if damage != "other" else "digest-mismatch") in report.failed[0].reason
    (note,) = vault.notes("fraud:1.1.0")
    assert note.evidence["passed"] is False
    assert note.evidence["steps"]["rollback"]["outcome"] == "skip"
    assert "recovery_s" not in note.evidence


def test_with_quick_the_bytes_are_not_looked_at_before_they_are_loaded():
    store = MemoryStore("damaged")
    vault = published(Vault(store), Linear(1, os.urandom(LARGE)), Linear(2))
    (part, *_) = next(file for file in vault.version("fraud:1.0.0").files if file.size > LARGE).parts
    key = f"blobs/sha256/{part.digest[7:9]}/{part.digest[7:]}"
    store._objects[key] = bytes([store._objects[key][0] ^ 1]) + store._objects[key][1:]
    assert "present" in reached(vault.drill("fraud@prod", quick=True), "loads")


@pytest.mark.parametrize("model", [Unloadable(1), Ending(1)], ids=["raises", "ends"])
def test_a_pickle_that_cannot_be_loaded(model, tmp_path):
    vault = Vault(LocalStore(str(tmp_path / "vault")))
    vault.publish("fraud", model, bump="minor")
    vault.promote("fraud@prod", "1.0.0", reason="first")
    published(vault, Linear(2))
    report = vault.drill("fraud@prod")
    assert reached(report, "loads") >= {"plan", "present", "verified"}
    assert ("made elsewhere" if isinstance(model, Unloadable) else "ended with code 9") in report.failed[0].reason


def test_a_process_that_does_not_end(tmp_path):
    vault = Vault(LocalStore(str(tmp_path / "vault")))
    vault.publish("fraud", Hanging(), bump="minor")
    vault.promote("fraud@prod", "1.0.0", reason="first")
    published(vault, Linear(2))
    report = vault.drill("fraud@prod", budget=3)
    assert "within the budget" in next(step for step in report.steps if step.name == "loads").reason
    assert "the budget is used up" in next(step for step in report.steps if step.name == "compatible").reason


class Hanging:
    def __reduce__(self):
        import time

        return time.sleep, (60,)


def test_a_model_that_answers_otherwise_in_another_process(tmp_path):
    vault = published(Vault(LocalStore(str(tmp_path / "vault"))), Changing(1), Linear(2))
    report = vault.drill("fraud@prod")
    assert "loads" in reached(report, "answers")
    assert "predict" in report.failed[0].reason


def test_a_target_whose_callers_must_change(tmp_path):
    vault = Vault(LocalStore(str(tmp_path / "vault")))
    for row, number in ([1.0], "1.0.0"), ([1.0, 2.0], "2.0.0"):
        vault.publish("fraud", Linear(3), version=number, example=[row])
        vault.promote("fraud@prod", number, reason="next")
    report = vault.drill("fraud@prod", faults="none")
    assert [step.name for step in report.failed] == ["compatible"], str(report)
    assert {step.outcome for step in report.steps if step.name in {"loads", "answers"}} == {"pass"}


def test_a_target_in_quarantine(vault):
    vault.quarantine("fraud:1.0.0", reason="leaks")
    for to in (None, "1.0.0"):
        report = vault.drill("fraud@prod", to=to)
        assert reached(report, "plan") == set()
        assert "quarantined" in report.failed[0].reason
        assert report.target == ""


def test_what_is_yanked_is_passed_over(vault):
    published(vault, Linear(3))
    vault.yank("fraud:1.1.0", reason="leaks")
    report = vault.drill("fraud@prod", faults="none")
    assert (report.passed, report.target) == (True, "1.0.0")
    assert "leaks" in str(report.steps[0].figures["passed_over"])


def test_an_alias_that_has_been_nowhere_else(tmp_path):
    vault = published(Vault(LocalStore(str(tmp_path / "vault"))), Linear(1))
    report = vault.drill("fraud@prod")
    assert reached(report, "plan") == set()
    assert "nothing-to-undo" in report.failed[0].reason


def test_a_version_in_place_that_does_not_work_here(tmp_path, monkeypatch):
    vault = published(Vault(LocalStore(str(tmp_path / "vault"))), Linear(1), Moody(2))
    monkeypatch.setenv("MOOD", "1")
    report = vault.drill("fraud@prod")
    assert reached(report, "rollback") == {"plan", "present", "verified", "loads", "answers", "compatible"}
    assert "check-failed" in report.failed[0].reason


# --- faults that do harm


class Trusting(Vault):
    """Gives what is in the cache as it is."""

    def fetch(self, ref, to=None, *, only=()):
        made = self.__dict__.setdefault("made", {})
        return made.setdefault(ref, None) or made.update({ref: super().fetch(ref)}) or made[ref]


class Reckless(Vault):
    """Rolls back whatever others have done."""

    def rollback(self, alias, *, reason, to=None, expect=None, actor=None):
        return super().rollback(alias, reason=reason, to=to, actor=actor)


class Waiting(Vault):
    """Lets every call wait for the store."""

    def live(self, ref, **options):
        made = super().live(ref, **options)
        if options["refresh"] is None and not options.get("guard"):
            made.__class__ = Asking
        return made


class Asking(Live):
    @contextmanager
    def pin(self):
        self.refresh()
        yield self._slot.now


class Unchecked(Vault):
    """Never notices that something is wrong with a version."""

    def promote(self, alias, to, **options):
        noise = self.url.endswith("broken-artifact") and to not in ("1.0.0", "1.1.0")
        return super().promote(alias, "1.0.0" if noise else to, **options)


@pytest.mark.parametrize(
    ("kind", "faults"),
    [
        (Trusting, {"corrupt cache"}),
        (Reckless, {"conflict"}),
        (Waiting, {"store down", "slow store"}),
        (Unchecked, {"broken artifact"}),
    ],
)
def test_a_fault_that_does_harm_fails_the_step(kind, faults, tmp_path):
    store = LocalStore(str(tmp_path / "vault"))
    published(Vault(store), Linear(1), Linear(2))
    report = kind(store).drill("fraud@prod")
    assert set(outcomes(report).values()) == {"fail"}, str(report)
    assert faults <= {name for name, one in report.steps[-1].figures.items() if "uncaught" in one}
    assert report.failed[-1].name == "faults"


# --- what it says


def a_report(outcome="pass", reason=""):
    steps = (
        Step("plan", "A rollback has a target", "pass", 0.01, "", {"current": "1.1.0", "target": "1.0.0"}),
        Step("loads", "A process loads it", outcome, 1.25, reason, {"load_s": 0.5, "peak_rss_bytes": 36_000_000}),
        Step("rollback", "It is rolled back", "skip" if outcome == "fail" else "pass", 0.5, "", {"recovery_s": 0.25}),
    )
    return DrillReport("fraud@prod", "1.1.0", "1.0.0", False, datetime(2026, 1, 2, tzinfo=UTC), 1.76, steps, 3)


def test_a_report_prints_as_a_table():
    said = str(a_report())
    assert said.split("\n", maxsplit=1)[0] == "fraud@prod 1.1.0 → 1.0.0: passed in 1.8 s, recovered in 0.25 s"
    assert [line.split()[1:3] for line in said.split("\n")[2:]] == [
        ["plan", "pass"],
        ["loads", "pass"],
        ["rollback", "pass"],
    ]
    assert "peak_rss_bytes 36,000,000" in said
    assert str(a_report("fail", "boom")).startswith("fraud@prod 1.1.0 → 1.0.0: failed: loads\n")


def test_a_report_shows_itself_in_a_notebook_and_nothing_in_it_is_markup():
    shown = a_report("fail", "<script>alert(1)</script>\x1b[2J")._repr_mimebundle_()
    assert "&lt;script&gt;" in shown["text/html"]
    assert "<script>" not in shown["text/html"]
    assert "\x1b" not in "".join(shown.values())
    assert shown["text/markdown"].startswith("### `fraud@prod 1.1.0 → 1.0.0: failed: loads`")
    assert shown["text/plain"] == str(a_report("fail", "<script>alert(1)</script>\x1b[2J"))


def test_a_report_as_xml_is_read_by_any_parser():
    for report in (a_report(), a_report("fail", 'a "reason" <&> \x00\x1b')):
        root = ET.fromstring(report.to_junit())
        (suite,) = root.findall("testsuite")
        cases = {case.get("name"): case for case in suite.findall("testcase")}
        assert list(cases) == ["plan", "loads", "rollback"]
        assert suite.get("failures") == ("0" if report.passed else "1")
        assert (cases["loads"].find("failure") is None) == report.passed
        assert (cases["rollback"].find("skipped") is None) == report.passed
        assert json.loads(cases["plan"].find("system-out").text) == {"current": "1.1.0", "target": "1.0.0"}


def test_a_report_is_data():
    said = json.loads(json.dumps(a_report().data()))
    assert said["recovery_s"] == 0.25
    assert said["note"] == 3
    assert said["steps"]["loads"] == {"outcome": "pass", "seconds": 1.25, "load_s": 0.5, "peak_rss_bytes": 36_000_000}


# --- the command


def test_the_command_writes_reports_and_exits_with_7_if_a_step_failed(vault, tmp_path, capsys):
    base = ["--vault", vault.url, "drill", "fraud@prod", "--faults", "none"]
    assert cli.main([*base, "--junit", str(tmp_path / "drill.xml")]) == 0
    assert "passed" in capsys.readouterr().out
    assert ET.parse(tmp_path / "drill.xml").getroot().get("failures") == "0"
    vault.quarantine("fraud:1.0.0", reason="leaks")
    assert cli.main([*base, "--json"]) == 7
    assert json.loads(capsys.readouterr().out)["passed"] is False
    assert cli.main([*base, "--markdown"]) == 7
    assert "| 1 plan | fail |" in capsys.readouterr().out
    assert cli.main([*base, "--junit", str(tmp_path / "no" / "x")]) == 2
    assert cli.main(["--vault", vault.url, "drill", "fraud@nope"]) == 3


# --- wrong arguments, and stores that fail


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"quick": 1}, Code.BAD_VALUE),
        ({"faults": "all"}, Code.BAD_VALUE),
        ({"faults": None}, Code.BAD_VALUE),
        ({"faults": [1]}, Code.BAD_VALUE),
        ({"budget": 0}, Code.BAD_VALUE),
        ({"budget": float("nan")}, Code.BAD_VALUE),
        ({"budget": True}, Code.BAD_VALUE),
        ({"budget": "60"}, Code.BAD_VALUE),
        ({"actor": "\ud800"}, Code.BAD_VALUE),
        ({"to": 5}, Code.BAD_VALUE),
        ({"to": "model:1.0.0"}, Code.BAD_REF),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_done(options, code, vault):
    with pytest.raises(InvalidInput) as error:
        vault.drill("fraud@prod", **options)
    assert error.value.code == code
    assert vault.notes("fraud:1.1.0") == []


def test_an_alias_that_is_not_there(vault):
    for alias, kind in (("fraud@nope", NotFound), ("fraud:1.0.0", InvalidInput), ("nope@prod", NotFound)):
        with pytest.raises(kind):
            vault.drill(alias)


def test_a_vault_that_cannot_be_written_to_keeps_no_report(memory):
    published(Vault(memory), Linear(1), Linear(2))
    before = everything(memory)
    with pytest.raises(StoreError) as error:
        Vault(ReadOnly(memory)).drill("fraud@prod", faults="none")
    assert error.value.code == Code.STORE_DENIED
    assert everything(memory) == before
