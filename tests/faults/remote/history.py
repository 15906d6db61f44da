"""Whether what processes were told of an alias can be true: a checker of linearizability.

Every operation must seem to happen at one moment between its call and its return, and all must agree on the order of
those moments (Herlihy and Wing, 1990).  The journal says in which order the moves happened, so nothing is searched for:
looks are put as early as they can be, which never hinders another, and each move only when it is due.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple


class Entry(NamedTuple):
    """A move as the journal has it; `name` is what its author called it, `value` where the alias pointed from then on."""

    name: str
    txn: str
    value: str


@dataclass(frozen=True)
class Operation:
    """What `process` did, from when it was `called` until it `returned` by one clock; `inf` where it never did."""

    process: int
    called: float
    returned: float


@dataclass(frozen=True)
class Move(Operation):
    """An attempt to move the alias, of which no two have the same name.

    `seq` and `txn` are what was acknowledged.  Where there is no `seq`, it was `refused`, or nobody knows.
    """

    name: str
    seq: int | None = None
    txn: str = ""
    refused: bool = False


@dataclass(frozen=True)
class Look(Operation):
    """A look at the alias: at the number of its newest move, at where it points, or both."""

    seq: int | None = None
    value: str | None = None

    def sees(self, log: Sequence[Entry], state: int) -> bool:
        """This may be seen when the first `state` moves have happened."""
        value = log[state - 1].value if state else ""
        return self.seq in (None, state) and self.value in (None, value)


def wrong(log: Sequence[Entry], operations: Sequence[Operation]) -> str:
    """What cannot be true of the `log`, oldest first, and of what was told to those who did `operations`; empty if all can."""
    moves = [each for each in operations if isinstance(each, Move)]
    return next(chain(_miscounted(log, moves), _misplaced(log, moves)), "") or _disordered(log, operations)


def _miscounted(log: Sequence[Entry], moves: Sequence[Move]) -> Iterator[str]:
    known = {move.name: move for move in moves}
    for name, times in Counter(entry.name for entry in log).items():
        if times > 1:
            yield f"{name} was done {times} times"
        if name not in known:
            yield f"{name} was done by nobody"
        elif known[name].refused:
            yield f"{name} was refused, and done"


def _misplaced(log: Sequence[Entry], moves: Sequence[Move]) -> Iterator[str]:
    for move in moves:
        if move.seq is None:
            continue
        found = log[move.seq - 1] if 0 < move.seq <= len(log) else None
        if found is None or (found.name, found.txn) != (move.name, move.txn):
            yield f"{move.name} was acknowledged as {move.seq}, where there is {found.name if found else 'nothing'}"


def _disordered(log: Sequence[Entry], operations: Sequence[Operation]) -> str:
    """The first operation for which no moment is left, in a sentence."""
    moves = {each.name: each for each in operations if isinstance(each, Move)}
    due = [moves[entry.name] for entry in log]
    looks = sorted((each for each in operations if isinstance(each, Look)), key=lambda look: look.called)
    state = 0
    while True:
        looks, last = _put(looks, due[state:], log, state)
        if state == len(due):
            return f"{looks[0]} was never so" if looks else ""
        if due[state].called > last.returned:
            return f"{last} is over before {due[state].name}, which is move {state + 1}, was begun"
        state += 1


def _put(looks: list[Look], due: Sequence[Move], log: Sequence[Entry], state: int) -> tuple[list[Look], Operation]:
    """The looks that are left when all that can be put at this state are, and which operation ends first of what is left."""
    while True:
        last = min((*looks, *due, _NEVER), key=lambda each: each.returned)
        left = [look for look in looks if look.called > last.returned or not look.sees(log, state)]
        if len(left) == len(looks):
            return looks, last
        looks = left


_NEVER = Operation(-1, math.inf, math.inf)
