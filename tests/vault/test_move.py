"""Promote, roll back, history, gates."""

import pytest

import modelvault as mv
from modelvault.errors import Code, Conflict, Corrupt, InvalidInput, NotFound, Refused
from modelvault.stores import Key


@pytest.fixture
def three(vault):
    """Versions 1.0.0, 1.1.0 and 1.2.0, promoted one after another."""
    for number, auc in (("1.0.0", 0.90), ("1.1.0", 0.92), ("1.2.0", 0.70)):
        vault.publish("fraud", number, version=number, metrics={"auc": auc})
        vault.promote("fraud@prod", number, reason=f"try {number}")
    return vault


def values(vault):
    return [move.version for move in reversed(vault.history("fraud@prod"))]


@pytest.mark.parametrize("to", ["1.0.0", "fraud:1.0.0", "fraud:^1 <1.1", "fraud@old", "version"])
def test_promote_takes_a_number_a_ref_or_a_version(three, to):
    three.promote("fraud@old", "1.0.0", reason="r")
    move = three.promote("fraud@prod", three.version("fraud:1.0.0") if to == "version" else to, reason="r", actor="ann")
    assert (move.version, move.kind, move.actor, move.seq, three.load("fraud@prod")) == (
        "1.0.0",
        "promote",
        "ann",
        4,
        "1.0.0",
    )


@pytest.mark.parametrize("to", ["churn:1.0.0", "churn@prod"])
def test_an_alias_points_within_its_model(three, to):
    three.promote("churn@prod", three.publish("churn", 1), reason="r")
    with pytest.raises(InvalidInput) as caught:
        three.promote("fraud@prod", to, reason="r")
    assert caught.value.code == Code.BAD_REF


def test_a_version_of_another_vault_is_refused(three, tmp_path):
    stranger = mv.open(tmp_path / "other").publish("fraud", "other", version="1.0.0")
    with pytest.raises(InvalidInput) as caught:
        three.promote("fraud@prod", stranger, reason="r")
    assert "another version" in str(caught.value)


@pytest.mark.parametrize("reason", ["", "  ", "\n"])
def test_a_move_needs_a_reason(three, reason):
    for move in (
        lambda: three.promote("fraud@prod", "1.0.0", reason=reason),
        lambda: three.rollback("fraud@prod", reason=reason),
    ):
        with pytest.raises(InvalidInput):
            move()
    assert len(three.history("fraud@prod")) == 3


@pytest.mark.parametrize(
    "alias", ["fraud", "fraud:1.0.0", "fraud@prod~1", "fraud@", "@prod", "fraud@prod@{2026-11-01}"]
)
def test_only_an_alias_can_be_moved(three, alias):
    with pytest.raises(InvalidInput):
        three.promote(alias, "1.0.0", reason="r")


def test_expect_is_compare_and_set(three):
    with pytest.raises(Conflict) as caught:
        three.promote("fraud@prod", "1.0.0", reason="r", expect="1.1.0")
    assert (caught.value.code, caught.value.expected, caught.value.actual) == (Code.ALIAS_MOVED, "1.1.0", "1.2.0")
    assert "1.2.0" in caught.value.hint
    with pytest.raises(Conflict):
        three.rollback("fraud@prod", reason="r", expect="1.0.0")
    with pytest.raises(Conflict):
        three.promote("fraud@prod", "1.0.0", reason="r", expect="")
    assert three.promote("fraud@prod", "1.0.0", reason="r", expect="1.2.0").seq == 4
    assert three.promote("fraud@new", "1.0.0", reason="r", expect="").seq == 1
    with pytest.raises(Conflict) as caught:
        three.promote("fraud@none", "1.0.0", reason="r", expect="1.0.0")
    assert caught.value.actual == ""


def test_rollback_is_an_undo_and_not_a_swap(three):
    first = three.rollback("fraud@prod", reason="worse")
    assert (first.kind, first.version, first.evidence["proved"]) == ("rollback", "1.1.0", "bytes")
    assert three.rollback("fraud@prod", reason="still").version == "1.0.0"
    with pytest.raises(NotFound) as caught:
        three.rollback("fraud@prod", reason="more")
    assert caught.value.code == Code.NOTHING_TO_UNDO
    assert values(three) == ["1.0.0", "1.1.0", "1.2.0", "1.1.0", "1.0.0"]


def test_after_a_rollback_promotion_goes_on_from_there(three):
    three.rollback("fraud@prod", reason="worse")
    three.promote("fraud@prod", "1.0.0", reason="odd, but why not")
    assert three.rollback("fraud@prod", reason="no").version == "1.1.0"


def test_rollback_goes_as_far_as_is_asked(three):
    assert three.rollback("fraud@prod", reason="r", to="1.0.0").version == "1.0.0"
    with pytest.raises(NotFound) as caught:
        three.rollback("fraud@prod", reason="r", to="1.2.0")
    assert caught.value.code == Code.NOTHING_TO_UNDO


def test_yanked_versions_are_passed_over_and_said_so(three):
    three.yank("fraud:1.1.0", reason="leaks")
    move = three.rollback("fraud@prod", reason="worse")
    assert move.version == "1.0.0"
    assert move.evidence["skipped"] == [{"version": "1.1.0", "yanked": "leaks"}]


def test_a_yanked_version_is_no_rollback_target_even_by_name(three):
    three.yank("fraud:1.1.0", reason="leaks")
    with pytest.raises(Refused) as caught:
        three.rollback("fraud@prod", reason="r", to="1.1.0")
    assert caught.value.code == Code.YANKED
    three.yank("fraud:1.0.0", reason="leaks")
    with pytest.raises(NotFound) as gone:
        three.rollback("fraud@prod", reason="r")
    assert "not yanked" in str(gone.value)


def test_a_rollback_to_what_is_damaged_is_refused(three, reopen):
    import numpy as np

    three.publish("fraud", np.zeros(9_000), version="2.0.0")
    three.promote("fraud@prod", "2.0.0", reason="r")
    three.promote("fraud@prod", "1.0.0", reason="r")
    blob = next(part.digest for file in three.version("fraud:2.0.0").files for part in file.parts)
    from modelvault.layout import blob as key_of

    three._store.delete(Key(key_of(blob)))
    with pytest.raises(Corrupt) as caught:
        reopen().rollback("fraud@prod", reason="r")
    assert caught.value.code == Code.BLOB_MISSING
    assert values(three)[-1] == "1.0.0"
    assert reopen().rollback("fraud@prod", reason="r", to="1.2.0").version == "1.2.0"


def test_a_large_target_is_proved_present(three, monkeypatch):
    from modelvault import moving

    monkeypatch.setattr(moving, "_PROVE_LIMIT", 0)
    assert three.rollback("fraud@prod", reason="r").evidence["proved"] == "presence"


def test_history_tells_who_when_why_from_and_to(three):
    three.rollback("fraud@prod", reason="worse", actor="monitor")
    newest, *_, oldest = three.history("fraud@prod")
    assert (newest.seq, newest.kind, newest.version, newest.actor, newest.reason) == (
        4,
        "rollback",
        "1.1.0",
        "monitor",
        "worse",
    )
    assert (oldest.seq, oldest.undo, oldest.prev) == (1, None, None)
    assert newest.at >= oldest.at
    with pytest.raises(NotFound):
        three.history("fraud@nothing")


def no_worse(proposal):
    before, after = proposal.current.metrics["auc"], proposal.proposed.metrics["auc"]
    return mv.Verdict(after >= before, f"auc {before} → {after}")


def test_a_gate_may_refuse_a_move(three):
    three.rollback("fraud@prod", reason="worse")
    with pytest.raises(Refused) as caught:
        three.promote("fraud@prod", "1.2.0", reason="r", gates=[no_worse, lambda proposal: True])
    assert caught.value.code == Code.GATE_REFUSED
    assert caught.value.verdicts == ("no_worse: auc 0.92 → 0.7",)
    assert values(three)[-1] == "1.1.0"


def test_what_the_gates_said_is_kept_as_evidence(three):
    move = three.promote("fraud@prod", "1.1.0", reason="r", gates=[no_worse])
    assert move.evidence["gates"] == [{"gate": "no_worse", "passed": True, "reason": "auc 0.7 → 0.92"}]


def test_a_gate_sees_a_first_promotion_too(three):
    def first(proposal):
        return proposal.current is None and proposal.newest is None and proposal.alias == "new"

    assert three.promote("fraud@new", "1.0.0", reason="r", gates=[first]).seq == 1


def raises(proposal):
    raise RuntimeError("no metrics")


def forgets(proposal):
    return None


@pytest.mark.parametrize("gate", [raises, forgets, lambda proposal: False])
def test_a_gate_that_cannot_say_yes_says_no(three, gate):
    with pytest.raises(Refused):
        three.promote("fraud@prod", "1.0.0", reason="r", gates=[gate])
    assert len(three.history("fraud@prod")) == 3


def test_an_old_version_can_be_promoted_though_it_is_yanked(three):
    three.yank("fraud:1.0.0", reason="leaks")
    assert three.promote("fraud@prod", "1.0.0", reason="the only one that runs").version == "1.0.0"


def resealed(vault, seq, **changes):
    """An attacker rewrites an entry, and knows how to seal it."""
    from modelvault.layout import entry, journal
    from modelvault.wire import Move, read_sealed, record, seal

    key = Key(entry(journal("fraud", "prod"), seq))
    move = read_sealed(Move, vault._store.read(key), key)
    vault._store.delete(key)
    vault._store.create(key, seal(record(Move, **(dict(move) | changes))))


def test_a_rollback_does_not_restore_what_the_chain_does_not_name(three, reopen):
    target = three.history("fraud@prod")[0].target
    resealed(three, 2, target=target)
    with pytest.raises(Corrupt) as caught:
        reopen().rollback("fraud@prod", reason="r")
    assert caught.value.code == Code.JOURNAL_BROKEN
    for ref in ("fraud@prod~1", "fraud@prod~2"):
        with pytest.raises(Corrupt):
            reopen().load(ref)
    assert reopen().load("fraud@prod") == "1.2.0"


def test_a_rollback_is_proved_by_the_store_and_not_by_a_cache(tmp_path):
    import numpy as np

    from modelvault.layout import blob as key_of
    from modelvault.stores.memory import MemoryStore
    from modelvault.stores.wrappers import Wrapper
    from modelvault.vault import Vault

    class Far(Wrapper):
        url = "far://away"

    store = MemoryStore()
    vault = Vault(Far(store), cache=tmp_path / "cache")
    for number in ("1.0.0", "1.1.0"):
        vault.promote("fraud@prod", vault.publish("fraud", np.full(9_000, len(number)), version=number), reason="r")
        vault.load("fraud@prod")
    store.delete(Key(key_of(vault.version("fraud:1.0.0").files[0].parts[0].digest)))
    with pytest.raises(Corrupt) as caught:
        vault.rollback("fraud@prod", reason="r")
    assert caught.value.code == Code.BLOB_MISSING


def test_a_store_that_cannot_decide_is_not_moved_in_either(three):
    from modelvault.errors import Unsupported
    from modelvault.stores.wrappers import Wrapper
    from modelvault.vault import Vault

    class Loose(Wrapper):
        exclusive = False

    loose = Vault(Loose(three._store))
    for verb in (
        lambda: loose.promote("fraud@prod", "1.0.0", reason="r"),
        lambda: loose.rollback("fraud@prod", reason="r"),
        lambda: loose.yank("fraud:1.0.0", reason="r"),
    ):
        with pytest.raises(Unsupported) as caught:
            verb()
        assert caught.value.code == Code.NO_EXCLUSIVE_CREATE
    assert Vault(Loose(three._store), single_writer=True).rollback("fraud@prod", reason="r").version == "1.1.0"


@pytest.mark.parametrize("expect", ["v1.2.0", "fraud:1.2.0", "latest", "1.2"])
def test_what_is_expected_is_a_number(three, expect):
    with pytest.raises(InvalidInput) as caught:
        three.promote("fraud@prod", "1.0.0", reason="r", expect=expect)
    assert caught.value.code == Code.BAD_VERSION


def test_what_one_reader_does_to_a_record_another_does_not_see(three):
    version, move = three.version("fraud:1.0.0"), three.rollback("fraud@prod", reason="r")
    for members in (version.metrics, version.params, version.manifest.metrics, move.evidence):
        with pytest.raises(TypeError):
            members["auc"] = 0.99
        with pytest.raises(TypeError):
            members.clear()
    assert three.version("fraud:1.0.0").metrics == {"auc": 0.90}


def test_moves_print_as_a_sentence(three):
    move = three.history("fraud@prod")[0]
    assert repr(move) == f"<Move {move}>"
    assert "inline" not in repr(move.target)
