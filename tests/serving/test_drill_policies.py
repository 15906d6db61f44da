"""Drills of what policies and release sets are about: a gate that asks for one, a protected alias, several models as one."""

import pytest

from modelvault import ReleaseSet, gates
from modelvault.errors import Refused
from modelvault.stores.local import LocalStore
from modelvault.stores.memory import MemoryStore
from modelvault.vault import Vault

from .test_drill import LARGE, Linear, Unloadable, outcomes, published


@pytest.fixture
def vault(tmp_path):
    return published(Vault(LocalStore(str(tmp_path / "vault"))), Linear(1), Linear(2))


def test_a_gate_that_asks_for_a_drill_takes_one_that_passed_and_no_other(vault):
    vault.publish("fraud", Linear(3), version="1.2.0", example=[[1.0]])
    ask = {"reason": "better", "gates": [gates.drilled_within(days=1)]}
    with pytest.raises(Refused, match="no drill has passed"):
        vault.promote("fraud@prod", "1.2.0", **ask)
    vault.quarantine("fraud:1.0.0", reason="leaks")
    assert not vault.drill("fraud@prod", faults="none").passed
    with pytest.raises(Refused, match="no drill has passed"):
        vault.promote("fraud@prod", "1.2.0", **ask)
    vault.release("fraud:1.0.0", reason="does not")
    assert vault.drill("fraud@prod", faults="none").passed
    assert vault.promote("fraud@prod", "1.2.0", **ask).version == "1.2.0"


def test_a_protected_alias_can_be_drilled_and_stays_as_it_is(vault):
    vault.protect("fraud@prod", gates=[gates.reason_like("JIRA-*"), gates.approved(others=2)], reason="audit")
    before = vault.history("fraud@prod")
    assert vault.drill("fraud@prod", faults="none").passed
    assert vault.history("fraud@prod") == before


def a_set(vault, number, preprocessor):
    vault.publish("prep", preprocessor, version=number, example=[[1.0]])
    vault.publish("model", Linear(4), version=number, example=[[1.0]])
    vault.publish("release", ReleaseSet(prep=f"prep:{number}", model=f"model:{number}"), version=number)
    vault.promote("release@prod", number, reason="next")


def test_a_release_set_is_drilled_with_its_members(tmp_path):
    vault = Vault(LocalStore(str(tmp_path / "vault")))
    a_set(vault, "1.0.0", Linear(1))
    a_set(vault, "1.1.0", Linear(2))
    report = vault.drill("release@prod")
    assert outcomes(report) == {}, str(report)
    steps = {step.name: step.figures for step in report.steps}
    assert steps["present"]["files"] == 5
    assert steps["answers"]["outputs"] == 2


def test_a_member_that_cannot_be_loaded_fails_its_step(tmp_path):
    vault = Vault(LocalStore(str(tmp_path / "vault")))
    a_set(vault, "1.0.0", Unloadable(1))
    a_set(vault, "1.1.0", Linear(2))
    report = vault.drill("release@prod")
    assert [step.name for step in report.failed] == ["loads"], str(report)


def test_a_member_of_which_a_blob_is_missing_fails_its_step():
    store = MemoryStore("sets")
    vault = Vault(store)
    a_set(vault, "1.0.0", Linear(1, bytes(range(256)) * (LARGE // 256)))
    a_set(vault, "1.1.0", Linear(2))
    (part, *_) = max(vault.version("prep:1.0.0").files, key=lambda file: file.size).parts
    del store._objects[f"blobs/sha256/{part.digest[7:9]}/{part.digest[7:]}"]
    report = vault.drill("release@prod")
    assert [step.name for step in report.failed] == ["present"], str(report)


def test_a_release_set_is_followed_as_one(tmp_path):
    vault = Vault(LocalStore(str(tmp_path / "vault")))
    a_set(vault, "1.0.0", Linear(1))
    with vault.live("release@prod", refresh=None, isolate=False) as live:
        assert live.prep.predict([[1.0]]) == [1.0]
        a_set(vault, "1.1.0", Linear(2))
        live.refresh()
        with live.pin() as now:
            assert now.version == "1.1.0"
            assert now.model.prep.predict([[1.0]]) == [2.0]
            assert now.model["model"].predict([[1.0]]) == [4.0]
        vault.rollback("release@prod", reason="worse")
        live.refresh()
        assert live.model.prep.predict([[1.0]]) == [1.0]
