"""Gates: what cannot be judged does not pass."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelvault import gates
from modelvault.errors import Code, InvalidInput, Refused
from modelvault.gates import Proposal, Verdict, judge, listed, spelled
from modelvault.gates.named import KNOWN, made, rule
from modelvault.stores.memory import MemoryStore
from modelvault.vault import Vault
from modelvault.wire import Manifest

PROPOSED = Manifest(model="m", version="1.0.0", format="files", files=(), metrics={"auc": 0.9})
PROPOSAL = Proposal("m", "prod", None, None, PROPOSED, "reason", "actor")


def reasons(*gates: Any) -> tuple[str, ...]:
    """Why `gates` refuse; nothing, if they do not."""
    try:
        judge(gates, PROPOSAL)
    except Refused as refused:
        return refused.verdicts
    return ()


def answer(value: Any) -> Any:
    """A gate that answers so."""

    def gate(_: Proposal) -> Any:
        return value

    return gate


@pytest.mark.parametrize("value", [True, np.True_, Verdict(passed=True), Verdict(True, "fine"), Verdict(np.True_)])
def test_a_gate_that_says_yes_passes(value):
    assert reasons(answer(value)) == ()


@pytest.mark.parametrize("value", [False, np.False_, Verdict(passed=False), Verdict(np.False_, "")])
def test_a_gate_that_says_no_refuses(value):
    assert reasons(answer(value)) == ("gate: no",)


def test_the_reason_is_kept_and_printable():
    assert reasons(answer(Verdict(passed=False, reason="auc 0.8\x1b[2J"))) == ("gate: auc 0.8\\x1b[2J",)


def kind(value: Any) -> str:
    """The name of a case: a `repr` may hold an address, and then no two processes collect the same tests."""
    return type(value).__name__


NO_VERDICTS = [None, 0, 1, "", "yes", [], [True], (True, "fine"), 1.0, object(), np.array([True, False]), np.float64(1), Verdict]  # fmt: skip


@pytest.mark.parametrize("value", NO_VERDICTS, ids=kind)
def test_an_answer_that_is_no_verdict_refuses(value):
    [reason] = reasons(answer(value))
    assert "not a verdict" in reason or "raised" in reason


@pytest.mark.parametrize("value", [None, 0, 1, "yes", "auc is too low", [True], np.array([True, False])], ids=kind)
def test_a_verdict_that_is_neither_true_nor_false_refuses(value):
    [reason] = reasons(answer(Verdict(value)))
    assert "not a verdict" in reason or "raised" in reason


@pytest.mark.parametrize("error", [ValueError("x\x1b"), KeyError("auc"), ZeroDivisionError(), RecursionError(), NotImplementedError("later")])  # fmt: skip
def test_a_gate_that_raises_refuses_and_says_what(error):
    def gate(_: Proposal) -> bool:
        raise error

    [reason] = reasons(gate)
    assert reason.startswith(f"gate: raised {type(error).__name__}: ")
    assert reason.isprintable()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_gate_does_not_hold_back_the_end_of_the_process(error):
    def gate(_: Proposal) -> bool:
        raise error

    with pytest.raises(error):
        reasons(gate)


@pytest.mark.parametrize("gate", [None, "auc", 5, object()])
def test_what_is_no_function_refuses(gate):
    [reason] = reasons(gate)
    assert "raised TypeError" in reason


def test_all_gates_are_asked_and_all_reasons_given():
    asked = []

    def first(_: Proposal) -> bool:
        return bool(asked.append(1))

    def second(_: Proposal) -> bool:
        return bool(asked.append(2))

    class Third:
        def __call__(self, proposal: Proposal) -> Verdict:
            asked.append(3)
            return Verdict(proposal.proposed.metrics["auc"] > 0.95, "auc is too low")

    assert reasons(first, answer(True), second, Third()) == ("first: no", "second: no", "Third: auc is too low")
    assert asked == [1, 2, 3]


def test_what_passed_is_evidence():
    found = judge([answer(True), answer(Verdict(passed=True, reason="0.9 > 0.8"))], PROPOSAL)
    assert found == [
        {"gate": "gate", "passed": True, "reason": ""},
        {"gate": "gate", "passed": True, "reason": "0.9 > 0.8"},
    ]


@given(st.lists(st.booleans(), max_size=6))
def test_a_move_is_made_if_every_gate_says_yes(answers):
    vault = Vault(MemoryStore())
    vault.publish("m", 1)
    gates = [answer(one) for one in answers]
    if all(answers):
        move = vault.promote("m@prod", "1.0.0", reason="x", gates=gates)
        assert len(move.evidence.get("gates", [])) == len(answers)
        return
    with pytest.raises(Refused) as raised:
        vault.promote("m@prod", "1.0.0", reason="x", gates=gates)
    assert len(raised.value.verdicts) == answers.count(False)
    assert raised.value.code == Code.GATE_REFUSED
    assert vault.aliases("m") == {}


def test_a_gate_sees_what_is_there_and_what_is_proposed():
    seen: list[Proposal] = []

    def gate(proposal: Proposal) -> bool:
        seen.append(proposal)
        return True

    vault = Vault(MemoryStore(), clock=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    for number in ("1.0.0", "1.1.0"):
        vault.publish("m", number, version=number)
        vault.promote("m@prod", number, reason=f"to {number}", gates=[gate], actor="ada")
    first, second = seen
    assert (first.newest, first.current, first.proposed.version) == (None, None, "1.0.0")
    assert (second.current.version, second.proposed.version, second.newest.seq) == ("1.0.0", "1.1.0", 1)
    assert (second.model, second.alias, second.reason, second.actor) == ("m", "prod", "to 1.1.0", "ada")


@pytest.mark.parametrize(
    "gates", [None, 5, "gate", b"gate", answer(True), {"a": 1}, {answer(True)}, iter([answer(True)])]
)
def test_gates_are_a_list(gates):
    with pytest.raises(InvalidInput):
        listed(gates)


def test_a_list_of_gates_is_that_list():
    gate = answer(True)
    assert listed([gate]) == listed((gate,)) == (gate,)
    assert listed([]) == ()


# --- gates by name


@pytest.mark.parametrize(
    ("text", "gate", "arguments"),
    [
        ("no_worse(auc)", "no_worse", {"metric": "auc", "tolerance": 0.0}),
        ("no_worse('auc', tolerance=0.01)", "no_worse", {"metric": "auc", "tolerance": 0.01}),
        ("soaked(staging, hours=24)", "soaked", {"alias": "staging", "hours": 24}),
        ("approved(2)", "approved", {"others": 2}),
        ("drilled_within(days=30)", "drilled_within", {"days": 30}),
        ("reason_like('*OPS-[0-9]*')", "reason_like", {"pattern": "*OPS-[0-9]*"}),
        ("compatible", "compatible", {}),
        (" rollback_safe()", "rollback_safe", {}),
    ],
)
def test_a_gate_can_be_spelled_and_told_and_made_again(text, gate, arguments):
    told = rule(spelled(text))
    assert (told.gate, dict(told.arguments)) == (gate, arguments)
    again = made(told.gate, told.arguments)
    assert rule(again) == told
    assert spelled(str(told)) == again or rule(spelled(str(told))) == told


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "auc", "no_worse", "no_worse()", "no_worse(auc, auc, auc)", "no_worse(metric=5)", "no_worse(shoe)", "no_worse(auc, -1)",
        "no_worse(auc, tolerance='x')", "no_worse(auc, tolerance=float('nan'))", "no_worse(auc, tolerance=1e999)", "approved(0)",
        "approved(True)", "approved(1.5)", "soaked('../x', 1)", "soaked(staging, 0)", "drilled_within(1e12)", "reason_like('')",
        "reason_like('" + "*" * 201 + "')", "compatible(1)", "compatible(**{})", "no_worse(*[auc])", "__import__('os')", "a.b()", "lambda: 1",
        "no_worse(auc); 1", "no_worse(__import__('os').abort())", "(" * 500, "x" * 10_000, "compatible" + "()" * 300, "\0", "\ud800",
    ],
    ids=range(33),
)  # fmt: skip
def test_what_spells_no_gate_is_an_error(text):
    with pytest.raises(InvalidInput) as caught:
        spelled(text)
    assert caught.value.code in {Code.BAD_VALUE, Code.BAD_NAME}
    assert str(caught.value).isprintable()


def test_every_gate_of_the_package_is_known_by_its_name():
    own = {name for name in gates.__all__ if name[0].islower()} - {"asked", "judge", "listed", "spelled"}
    assert set(KNOWN) == own
    for name in own:
        assert getattr(gates, name).__doc__


def no_worse_says(old: float | None, new: float, metric: str = "auc", tolerance: float = 0.0) -> bool:
    def of(number: str, value: float | None) -> Manifest:
        metrics = {} if value is None else {metric: value}
        return Manifest(model="m", version=number, format="files", files=(), metrics=metrics)

    current = None if old is None else of("1.0.0", old)
    proposal = Proposal("m", "prod", None, current, of("1.1.0", new), "reason", "actor")
    return gates.no_worse(metric, tolerance)(proposal).passed


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_no_worse_is_by_the_direction_of_the_metric(old, new, tolerance):
    clear = abs(abs(old - new) - tolerance) > 1e-6
    assert no_worse_says(old, old)
    if clear:
        assert no_worse_says(old, new, "auc", tolerance) == (old - new <= tolerance)
        assert no_worse_says(old, new, "rmse", tolerance) == (new - old <= tolerance)


def test_a_tolerance_is_not_broken_by_the_last_bit():
    assert no_worse_says(0.92, 0.91, tolerance=0.01)
    assert not no_worse_says(0.92, 0.9099, tolerance=0.01)
    assert no_worse_says(None, 0.1)


@pytest.mark.parametrize(("reason", "passes"), [("OPS-12: slow", True), ("ops-12", False), ("see OPS-12", False)])
def test_a_reason_is_like_a_pattern(reason, passes):
    proposal = Proposal("m", "prod", None, None, PROPOSED, reason, "actor")
    assert gates.reason_like("OPS-[0-9]*")(proposal).passed is passes


def test_a_pattern_does_not_take_for_ever():
    proposal = Proposal("m", "prod", None, None, PROPOSED, "a" * 60_000, "actor")
    assert not gates.reason_like("*a" * 99 + "b")(proposal).passed
