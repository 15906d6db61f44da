"""A state machine of a whole vault, for Hypothesis: two actors with memories of their own, on one store.

Whatever they do, and wherever the one cuts in between two operations of the other, the vault must look as a dictionary
and an undo stack would.  Prove a store of your own with it:

    class MyMachine(VaultMachine):
        def make_store(self):
            return MyStore(...)

    TestMyStore = MyMachine.TestCase
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from modelvault.errors import AlreadyExists, Conflict, NotFound, Refused
from modelvault.stores import Store
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import Operation, Wrapper
from modelvault.vault import Vault
from modelvault.wire import Move

__all__ = ["VaultMachine"]

T = TypeVar("T")

_ACTORS = st.sampled_from([0, 1])
_ALIASES = st.sampled_from(["m@prod", "m@next"])
_LEVELS = st.sampled_from(["major", "minor", "patch"])
_PICK = st.integers(0, 1_000)


class _CutIn(Wrapper):
    """Runs `action` once, before operation number `at` from now."""

    at = 0
    action: Callable[[], None] | None = None

    def around(self, operation: Operation, call: Callable[[], T]) -> T:
        self.at -= 1
        if self.at == 0 and self.action is not None:
            action, self.action = self.action, None
            action()
        return call()


@dataclass
class _Alias:
    """What an alias must be: every value it had, newest last, and the undo stack, top last."""

    values: list[str] = field(default_factory=list)
    stack: list[str] = field(default_factory=list)

    def promote(self, number: str) -> None:
        self.values.append(number)
        if not self.stack or self.stack[-1] != number:
            self.stack.append(number)

    def rolled_back(self, yanked: set[str]) -> list[str] | None:
        """The stack after a rollback; None if there is nothing to go back to."""
        rest = self.stack[:-1]
        while rest and (rest[-1] in yanked or rest[-1] == self.stack[-1]):
            rest = rest[:-1]
        return rest or None

    def roll_back(self, yanked: set[str]) -> None:
        rest = self.rolled_back(yanked)
        assert rest is not None
        self.stack = rest
        self.values.append(rest[-1])


class VaultMachine(RuleBasedStateMachine):
    """Publish, promote, roll back, yank, quarantine, note, forget and cut in, in any order."""

    def make_store(self) -> Store:
        """An empty store."""
        return MemoryStore()

    @initialize()
    def _begin(self) -> None:
        self.store = self.make_store()
        self.doors = [_CutIn(self.store), _CutIn(self.store)]
        self.actors = [self._opened(door) for door in self.doors]
        self.objects: dict[str, int] = {}
        self.yanked: set[str] = set()
        self.quarantined: set[int] = set()
        """The things that are, whatever their numbers."""
        self.noted: dict[str, list[str]] = {}
        self.aliases: dict[str, _Alias] = {}

    # --- what the actors do

    @rule(who=_ACTORS, level=_LEVELS, thing=st.integers())
    def publish(self, who: int, level: Any, thing: int) -> None:
        """A bump always gives a number that was never used."""
        version = self.actors[who].publish("m", thing, bump=level)
        assert version.number not in self.objects
        self.objects[version.number] = thing

    @precondition(lambda self: self.objects)
    @rule(who=_ACTORS, pick=_PICK, thing=st.integers())
    def publish_again(self, who: int, pick: int, thing: int) -> None:
        """A number is never given twice, but equal content under it is the same version."""
        number = self._number(pick)
        try:
            version = self.actors[who].publish("m", thing, version=number)
        except AlreadyExists:
            assert thing != self.objects[number]
        else:
            assert (version.number, thing) == (number, self.objects[number])

    @precondition(lambda self: self.objects)
    @rule(who=_ACTORS, alias=_ALIASES, pick=_PICK)
    def promote(self, who: int, alias: str, pick: int) -> None:
        """The alias points to what was named, unless that is in quarantine."""
        number = self._number(pick)
        try:
            move = self.actors[who].promote(alias, number, reason="because")
        except Refused:
            assert self.objects[number] in self.quarantined
        else:
            assert self.objects[number] not in self.quarantined
            self._promoted(alias, move)

    @precondition(lambda self: self.objects)
    @rule(who=_ACTORS, alias=_ALIASES, pick=_PICK, guess=_PICK)
    def promote_if(self, who: int, alias: str, pick: int, guess: int) -> None:
        """`expect` is obeyed, whatever this actor remembers."""
        expected, actual = self._number(guess), self._current(alias)
        try:
            move = self.actors[who].promote(alias, self._number(pick), reason="because", expect=expected)
        except Conflict as lost:
            assert expected != actual
            assert lost.actual == actual  # noqa: PT017 - both outcomes are looked at
        except Refused:
            assert expected == actual
            assert self.objects[self._number(pick)] in self.quarantined
        else:
            assert expected == actual
            self._promoted(alias, move)

    @precondition(lambda self: self.aliases)
    @rule(who=_ACTORS, alias=_ALIASES)
    def roll_back(self, who: int, alias: str) -> None:
        """It goes down the undo stack, past what is yanked or in quarantine."""
        model, barred = self.aliases.get(alias, _Alias()), self._barred()
        possible = model.stack and model.rolled_back(barred)
        try:
            move = self.actors[who].rollback(alias, reason="worse")
        except NotFound:
            assert not possible
        else:
            model.roll_back(barred)
            assert move.version == model.values[-1]

    @precondition(lambda self: self.objects)
    @rule(who=_ACTORS, pick=_PICK, back=st.booleans())
    def yank(self, who: int, pick: int, back: bool) -> None:  # noqa: FBT001
        """And undo it."""
        number = self._number(pick)
        verb = self.actors[who].unyank if back else self.actors[who].yank
        verb(f"m:{number}", reason="because")
        (self.yanked.discard if back else self.yanked.add)(number)
        self.noted.setdefault(number, []).append("because")

    @precondition(lambda self: self.objects)
    @rule(who=_ACTORS, pick=_PICK, back=st.booleans())
    def quarantine(self, who: int, pick: int, back: bool) -> None:  # noqa: FBT001
        """Of all numbers that a thing has; and release them."""
        number = self._number(pick)
        verb = self.actors[who].release if back else self.actors[who].quarantine
        verb(f"m:{number}", reason="because")
        (self.quarantined.discard if back else self.quarantined.add)(self.objects[number])

    @precondition(lambda self: self.objects)
    @rule(who=_ACTORS, pick=_PICK, text=st.text(min_size=1, max_size=20).filter(str.strip))
    def note(self, who: int, pick: int, text: str) -> None:
        """Notes are kept in order."""
        number = self._number(pick)
        self.actors[who].note(f"m:{number}", text)
        self.noted.setdefault(number, []).append(text)

    @rule(who=_ACTORS)
    def forget(self, who: int) -> None:
        """A process ends, and another begins."""
        self.actors[who] = self._opened(self.doors[who])

    @precondition(lambda self: self.objects)
    @rule(who=_ACTORS, alias=_ALIASES, one=_PICK, other=_PICK, at=st.integers(1, 6))
    def promote_both(self, who: int, alias: str, one: int, other: int, at: int) -> None:
        """One cuts in before operation `at` of the other: both moves are made, in the order of their numbers."""
        moves: list[Move] = []
        if {self.objects[self._number(pick)] for pick in (one, other)} & self.quarantined:
            return

        def cut_in() -> None:
            moves.append(self.actors[1 - who].promote(alias, self._number(other), reason="cut in"))

        self.doors[who].at, self.doors[who].action = at, cut_in
        moves.append(self.actors[who].promote(alias, self._number(one), reason="cut"))
        self.doors[who].action = None
        for move in sorted(moves, key=lambda move: move.seq):
            self._promoted(alias, move)

    # --- what must be so

    @invariant()
    def looks_right(self) -> None:
        """A reader who remembers nothing sees what the model says; so do the actors."""
        fresh = self._opened(self.store)
        assert {version.number for version in (fresh.versions("m") if self.objects else ())} == set(self.objects)
        for alias, model in self.aliases.items():
            assert [move.version for move in reversed(fresh.history(alias))] == model.values
            assert all(vault.load(alias) == self.objects[model.values[-1]] for vault in (fresh, *self.actors))

    def teardown(self) -> None:
        """At the end all is whole."""
        if not hasattr(self, "store"):
            return
        fresh = self._opened(self.store)
        assert fresh.verify().problems == ()
        for number, texts in self.noted.items():
            said = [note.text for note in reversed(fresh.notes(f"m:{number}")) if not note.content]
            assert said == texts

    # --- parts

    def _opened(self, store: Store) -> Vault:
        return Vault(store, trust="pickle")

    def _number(self, pick: int) -> str:
        return list(self.objects)[pick % len(self.objects)]

    def _barred(self) -> set[str]:
        """The numbers that nothing is to choose."""
        return self.yanked | {number for number, thing in self.objects.items() if thing in self.quarantined}

    def _current(self, alias: str) -> str:
        model = self.aliases.get(alias)
        return model.values[-1] if model else ""

    def _promoted(self, alias: str, move: Move) -> None:
        model = self.aliases.setdefault(alias, _Alias())
        assert move.version is not None
        if model.values[-1:] != [move.version]:  # where it is there already, the present move is the answer
            model.promote(move.version)
        assert move.seq == len(model.values)
