"""Rollback is undo: any sequence of promotions, rollbacks and yanks does what a stack does."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelvault.errors import Code, NotFound, Refused
from modelvault.stores.memory import MemoryStore
from modelvault.vault import Vault
from modelvault.wire import Move

from .scene import copied

NUMBERS = [f"1.{minor}.0" for minor in range(5)]


@dataclass
class Undo:
    """What rollback is to mean: the values that an alias would go back to, the present one on top."""

    stack: list[str] = field(default_factory=list)
    yanked: set[str] = field(default_factory=set)

    def promote(self, number: str) -> None:
        if self.stack[-1:] != [number]:
            self.stack.append(number)

    def rollback(self, to: str | None = None) -> list[str] | Code:
        """The yanked numbers that were passed over; or why it is refused, and then nothing changes."""
        passed = []
        for depth in range(len(self.stack) - 2, -1, -1):
            number = self.stack[depth]
            if number == self.stack[-1] or number != (to or number):
                continue
            if number not in self.yanked:
                del self.stack[depth + 1 :]
                return passed
            if to:
                return Code.YANKED
            passed.append(number)
        return Code.NOTHING_TO_UNDO


_number = st.sampled_from(NUMBERS)
_step = st.one_of(
    st.tuples(st.just("promote"), _number),
    st.tuples(st.just("rollback"), st.none()),
    st.tuples(st.just("rollback"), st.none()),
    st.tuples(st.just("rollback"), _number),
    st.tuples(st.sampled_from(["yank", "unyank"]), _number),
)


@pytest.fixture(scope="module")
def published() -> MemoryStore:
    """Five versions, and no alias."""
    store = MemoryStore("scene")
    for number in NUMBERS:
        Vault(store).publish("fraud", number, version=number)
    return store


def _rolled_back(vault: Vault, to: str | None) -> Move | Code:
    try:
        return vault.rollback("fraud@prod", reason="undo", to=to)
    except (NotFound, Refused) as error:
        return error.code


def _step_taken(vault: Vault, undo: Undo, verb: str, number: Any) -> None:
    match verb:
        case "promote":
            undo.promote(number)
            vault.promote("fraud@prod", number, reason="do")
        case "rollback":
            left = undo.stack[-1:]
            expected, result = undo.rollback(number), _rolled_back(vault, number)
            if isinstance(expected, Code):
                assert expected == result
                return
            assert isinstance(result, Move)
            assert [result.version] == undo.stack[-1:] != left
            assert result.version == vault.history("fraud@prod")[-result.evidence["restores"]].version
            assert expected == [one["version"] for one in result.evidence.get("skipped", ())]
        case "yank":
            undo.yanked.add(number)
            vault.yank(f"fraud:{number}", reason="leaks")
        case _:
            undo.yanked.discard(number)
            vault.unyank(f"fraud:{number}", reason="does not")


@given(first=_number, steps=st.lists(_step, max_size=30), reopened=st.booleans())
def test_rollback_does_what_a_stack_does(
    published: MemoryStore, *, first: str, steps: list[tuple[str, str | None]], reopened: bool
) -> None:
    store, undo = copied(published), Undo()
    vault = Vault(store)
    for verb, number in [("promote", first), *steps]:
        vault = Vault(store) if reopened else vault
        _step_taken(vault, undo, verb, number)
        assert vault.version("fraud@prod").number == undo.stack[-1]
    assert vault.verify().ok
    while isinstance(undo.rollback(), list):  # whatever is left, to the ground
        assert vault.rollback("fraud@prod", reason="undo").version == undo.stack[-1]
    assert _rolled_back(vault, None) == Code.NOTHING_TO_UNDO


@pytest.fixture
def vault(published: MemoryStore) -> Vault:
    """`fraud@prod` has been promoted to 1.0.0, 1.1.0 and 1.2.0."""
    vault = Vault(copied(published))
    for number in NUMBERS[:3]:
        vault.promote("fraud@prod", number, reason="do")
    return vault


def _rollbacks(vault: Vault, times: int) -> list[str | None]:
    return [vault.rollback("fraud@prod", reason="undo").version for _ in range(times)]


def test_a_second_rollback_goes_one_further_back(vault: Vault) -> None:
    assert _rollbacks(vault, 2) == ["1.1.0", "1.0.0"]


def test_a_promotion_after_a_rollback_forgets_what_was_left(vault: Vault) -> None:
    assert _rollbacks(vault, 1) == ["1.1.0"]
    vault.promote("fraud@prod", "1.3.0", reason="do")
    assert _rollbacks(vault, 2) == ["1.1.0", "1.0.0"]


def test_promoting_what_is_there_already_keeps_the_undo(vault: Vault) -> None:
    for _ in range(2):
        assert vault.promote("fraud@prod", "1.2.0", reason="again").seq == 3
    assert _rollbacks(vault, 2) == ["1.1.0", "1.0.0"]


def test_a_yanked_version_is_passed_over_and_the_move_says_so(vault: Vault) -> None:
    vault.yank("fraud:1.1.0", reason="leaks the label")
    move = vault.rollback("fraud@prod", reason="undo")
    assert move.version == "1.0.0"
    assert move.evidence["skipped"] == [{"version": "1.1.0", "yanked": "leaks the label"}]


def test_what_was_passed_over_is_not_come_back_to(vault: Vault) -> None:
    vault.yank("fraud:1.1.0", reason="leaks")
    assert _rollbacks(vault, 1) == ["1.0.0"]
    vault.unyank("fraud:1.1.0", reason="does not")
    assert _rolled_back(vault, None) == Code.NOTHING_TO_UNDO


def test_a_rollback_to_a_version_leaves_all_that_came_after(vault: Vault) -> None:
    assert vault.rollback("fraud@prod", reason="undo", to="1.0.0").version == "1.0.0"
    assert _rolled_back(vault, None) == Code.NOTHING_TO_UNDO


@pytest.mark.parametrize("to", ["1.2.0", "1.3.0"], ids=["the present", "never there"])
def test_a_rollback_goes_only_where_the_alias_was_before(vault: Vault, to: str) -> None:
    assert _rolled_back(vault, to) == Code.NOTHING_TO_UNDO
    assert len(vault.history("fraud@prod")) == 3
