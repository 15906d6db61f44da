"""A rollback by a guard can be recomputed from its record alone; a record that was bent does not hold."""

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelvault import Guard
from modelvault.errors import Code, NotFound
from modelvault.serving.explain import explained
from modelvault.stores.local import LocalStore
from modelvault.vault import Vault
from modelvault.wire import Move, as_json, record
from tests.serving.scene import Scene


def rolled_back(*guards: Guard, **options: Any) -> Scene:
    scene = Scene(*(guards or (Guard.errors(limit=0.05),)), **options)
    scene.calls(40, 20)
    scene.monitor.tick()
    assert scene.undone
    return scene


def bent(move: Move, **changes: Any) -> Move:
    """`move` with other evidence."""
    told = {**move.evidence["guard"], **changes}
    said = as_json(move) | {"evidence": {**move.evidence, "guard": told}}
    return record(Move, **said | {"at": move.at, "target": move.target})


def test_all_that_is_said_holds_and_is_said_in_words():
    scene = rolled_back()
    found = scene.vault.explain("m@prod")
    assert found.holds is True
    assert {each.what for each in found.verdicts} == {
        "guard", "alpha", "limit", "evidence", "bound", "bad ones", "replay", "move", "what was undone",
    }  # fmt: skip
    assert str(found).endswith("the evidence holds")
    assert json.loads(json.dumps(found.data()))["holds"] is True


@pytest.mark.parametrize(
    ("changes", "fails"),
    [
        ({"bad": 21}, {"evidence"}),
        ({"n": 41}, {"evidence"}),
        ({"log_evidence": 99.0}, {"evidence"}),
        ({"log_bound": 1.0}, {"bound"}),
        ({"epoch": 3}, {"bound"}),
        ({"alpha": 0.01}, {"alpha", "bound"}),
        ({"m": 0.01}, {"limit", "evidence"}),
        ({"guards": 2}, {"alpha"}),
        ({"alternatives": 17}, {"evidence"}),
        ({"replay": {"inputs": 5, "failed": 3}}, {"replay"}),
        ({"undoes": 1}, {"move"}),
        ({"version": "1.0.0"}, {"what was undone"}),
        ({"digest": "sha256:" + "0" * 64}, {"what was undone"}),
    ],
    ids=lambda value: None if isinstance(value, set) else str(value),
)
def test_a_record_that_was_bent_does_not_hold(changes, fails):
    scene = rolled_back()
    move, before, *_ = scene.vault.history("m@prod")
    found = explained(bent(move, **changes), before)
    assert {each.what for each in found.verdicts if not each.holds} == fails
    assert found.holds is False


def test_a_spec_that_was_bent_does_not_hold():
    move = rolled_back().undone[0]
    for name, value in {"limit": 0.5, "min_bad": 21, "alpha": 0.1, "action": "alert", "kind": "mean"}.items():
        assert not explained(bent(move, spec={**move.evidence["guard"]["spec"], name: value})).holds, name


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
MOVE = rolled_back().undone[0]


@given(
    st.dictionaries(
        st.sampled_from([*MOVE.evidence["guard"], "baseline", "logs", "share"]), JSON, min_size=1, max_size=4
    )
)
def test_anything_at_all_in_a_record_is_a_verdict(changes):
    found = explained(bent(MOVE, **changes))
    assert found.holds in {True, False}
    assert str(found)


@pytest.mark.parametrize("told", [5, "x", [], {}, {"spec": {}}])
def test_evidence_that_is_no_record_does_not_hold(told):
    said = as_json(MOVE) | {"evidence": {"guard": told}, "at": MOVE.at, "target": MOVE.target}
    assert explained(record(Move, **said)).holds is False


def test_a_move_by_a_person_has_nothing_to_compute():
    scene = rolled_back()
    found = scene.vault.explain("m@prod", 2)
    assert (found.holds, found.verdicts) == (None, ())
    assert str(found).endswith("no guard made this move")
    assert scene.vault.explain("m@prod", seq=3).holds


@pytest.mark.parametrize("seq", [4, 10_000])
def test_an_entry_that_is_not_there(seq):
    with pytest.raises(NotFound) as caught:
        rolled_back().vault.explain("m@prod", seq)
    assert caught.value.code == Code.ALIAS_NOT_FOUND


def test_the_command_says_the_same(tmp_path):
    scene = rolled_back()
    vault = Vault(LocalStore(tmp_path / "vault"))
    for key in keys(scene.vault._store):
        vault._store.create(key, scene.vault._store.read(key))
    command = [sys.executable, "-m", "modelvault", "--vault", str(tmp_path / "vault"), "explain", "m@prod"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "✓ evidence: 10^" in done.stdout
    assert "the evidence holds" in done.stdout
    done = subprocess.run([*command, "--seq", "1", "--json"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["holds"] is None


def keys(store: Any, prefix: str = "") -> list[str]:
    """Of all objects."""
    found = []
    for entry in store.list(prefix):
        found += keys(store, entry.key) if entry.key.endswith("/") else [entry.key]
    return found
