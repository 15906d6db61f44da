"""The checker of histories says yes to all that can happen, and no to all that cannot."""

import math
import random
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .history import Entry, Look, Move, Operation, wrong

A, B, C = Entry("a", "ta", "1"), Entry("b", "tb", "2"), Entry("c", "tc", "1")
FIRST = Move(0, 0, 1, "a", 1, "ta")

TRUE = {
    "nothing": ([], []),
    "one move": ([A], [FIRST]),
    "moves at once, in either order": ([B, A], [Move(0, 0, 3, "a", 2, "ta"), Move(1, 0, 3, "b", 1, "tb")]),
    "a look while a move is made sees it": ([A], [Move(0, 0, 9, "a", 1, "ta"), Look(1, 1, 2, seq=1)]),
    "a look while a move is made sees it not": ([A], [Move(0, 0, 9, "a", 1, "ta"), Look(1, 1, 2, seq=0)]),
    "looks while a move is made see it come": (
        [A],
        [Move(0, 0, 9, "a", 1, "ta"), Look(1, 1, 2, seq=0), Look(2, 1, 9, seq=0), Look(1, 3, 4, seq=1)],
    ),
    "a move that nobody heard of may be there": ([A, B], [FIRST, Move(1, 2, math.inf, "b"), Look(2, 8, 9, value="2")]),
    "a move that nobody heard of may come late": (
        [A, C, B],
        [FIRST, Move(1, 2, math.inf, "b"), Move(2, 5, 6, "c", 2, "tc"), Look(2, 8, 9, seq=2)],
    ),
    "a move that nobody heard of may be missing": ([A], [FIRST, Move(1, 2, math.inf, "b"), Look(2, 8, 9, seq=1)]),
    "a refusal": ([A], [FIRST, Move(1, 2, 3, "b", refused=True), Look(1, 2, 3, value="1")]),
    "a value that comes again": (
        [A, B, C],
        [FIRST, Move(0, 2, 3, "b", 2, "tb"), Move(0, 4, 5, "c", 3, "tc"), Look(1, 2, 3, value="1"), Look(1, 6, 7, value="1")],
    ),
}  # fmt: skip

FALSE = {
    "a lost update": ([A], [FIRST, Move(1, 2, 3, "b", 2, "tb")]),
    "an update lost under another": ([A, B], [FIRST, Move(1, 2, 3, "c", 2, "tc"), Move(2, 2, 3, "b", 2, "tb")]),
    "a move done twice": ([A, B, A], [FIRST, Move(1, 2, 3, "b", 2, "tb")]),
    "a move of unknown outcome done twice": ([A, B, B], [FIRST, Move(1, 2, math.inf, "b")]),
    "a move by nobody": ([A, B], [FIRST]),
    "a move that was refused": ([A, B], [FIRST, Move(1, 2, 3, "b", refused=True)]),
    "a move under another's txn": ([A], [Move(0, 0, 1, "a", 1, "tb")]),
    "a stale look": ([A, B], [FIRST, Move(0, 2, 3, "b", 2, "tb"), Look(1, 4, 5, seq=1)]),
    "a stale value": ([A, B], [FIRST, Move(0, 2, 3, "b", 2, "tb"), Look(1, 4, 5, value="1")]),
    "looks that go backwards": (
        [A, B],
        [FIRST, Move(0, 2, 9, "b", 2, "tb"), Look(1, 3, 4, seq=2), Look(1, 5, 6, seq=1)],
    ),
    "looks of two that go backwards": (
        [A, B],
        [FIRST, Move(0, 2, 9, "b", 2, "tb"), Look(1, 3, 4, seq=2), Look(2, 5, 6, value="1")],
    ),
    "moves in another order": ([B, A], [Move(0, 0, 1, "a", 2, "ta"), Move(1, 2, 3, "b", 1, "tb")]),
    "a look into the future": ([A, B], [FIRST, Look(1, 1, 2, seq=2), Move(0, 3, 4, "b", 2, "tb")]),
    "a value that was never there": ([A], [FIRST, Look(1, 2, 3, value="2")]),
    "a number that was never there": ([A], [FIRST, Look(1, 2, 3, seq=2)]),
    "a conflict with nobody": ([A], [FIRST, Move(1, 2, 3, "b", refused=True), Look(1, 2, 3, value="2")]),
    "a conflict with oneself": ([A, B], [FIRST, Move(1, 2, 3, "b", refused=True), Look(1, 2, 3, value="2")]),
    "a move seen, then not": (
        [A, B],
        [FIRST, Move(1, 2, math.inf, "b"), Look(2, 4, 5, seq=2), Look(2, 6, 7, seq=1)],
    ),
}


@pytest.mark.parametrize(("log", "operations"), TRUE.values(), ids=TRUE)
def test_what_can_happen_is_accepted(log, operations):
    assert wrong(log, operations) == ""


@pytest.mark.parametrize(("log", "operations"), FALSE.values(), ids=FALSE)
def test_what_cannot_happen_is_rejected(log, operations):
    assert wrong(log, operations)


# --- the same, as one would define it


def can_happen(log, operations):
    """There is an order of all operations that keeps to the clock, to the log, and to what was seen."""
    names = [entry.name for entry in log]
    there = [each for each in operations if isinstance(each, Look) or each.name in names]
    return any(_keeps(log, order) for order in permutations(there))


def _keeps(log, order):
    if any(late.returned < early.called for at, early in enumerate(order) for late in order[at + 1 :]):
        return False
    state = 0
    for each in order:
        if isinstance(each, Move):
            if each.name != log[state].name:
                return False
            state += 1
        elif not each.sees(log, state):
            return False
    return True


times = st.tuples(st.integers(0, 6), st.integers(0, 6) | st.just(math.inf)).map(sorted)


@st.composite
def histories(draw):
    count = draw(st.integers(0, 3))
    log = [Entry(str(n), f"t{n}", draw(st.sampled_from("12"))) for n in range(count)]
    operations: list[Operation] = []
    for seq, entry in enumerate(log, 1):
        called, returned = draw(times)
        heard = draw(st.booleans()) and returned != math.inf
        operations.append(Move(0, called, returned, entry.name, seq if heard else None, entry.txn if heard else ""))
    for _ in range(draw(st.integers(0, 3))):
        seen = st.fixed_dictionaries(
            {}, optional={"seq": st.integers(0, count), "value": st.sampled_from(["", "1", "2"])}
        )
        operations.append(Look(1, *draw(times), **draw(seen)))
    return log, draw(st.permutations(operations))


@given(histories())
def test_it_is_the_definition(history):
    assert (wrong(*history) == "") == can_happen(*history)


# --- long histories, true ones and such with a bug planted


def run(seed, bug=""):
    """What 6 processes were told of an alias that obeys the rules, or has a bug that strikes now and then."""
    draws = random.Random(seed)
    log: list[Entry] = []
    operations: list[Operation] = []
    struck = False
    now = [0.0] * 6  # when each process is free again

    def strikes():
        nonlocal struck
        if bug and len(log) > 5 and draws.random() < 0.1:
            struck = True
            return True
        return False

    moment = 0.0
    for number in range(200):
        process = min(range(6), key=lambda one: (now[one], draws.random()))
        moment = max(moment, now[process]) + draws.random()  # when it happens: moments come in order
        called = draws.uniform(now[process], moment)
        returned = now[process] = moment + draws.expovariate(0.5)
        if draws.random() < 0.5:
            state = len(log)
            if bug == "stale" and strikes():
                state -= 1
                called = moment = max(moment, *now)
                returned = now[process] = called + 1
            seen = (
                {"seq": state}
                if draws.random() < 0.5
                else {"seq": state, "value": log[state - 1].value if state else ""}
            )
            operations.append(Look(process, called, returned, **seen))
            continue
        name, txn = f"m{number}", f"t{number}"
        entry = Entry(name, txn, str(number))
        if bug == "lost" and strikes():
            log[-1] = entry  # over another's
        elif bug == "twice" and strikes():
            log += [entry, entry]
        elif bug == "reordered" and strikes():
            log.insert(2, entry)
        elif bug == "false conflict" and strikes():
            log.append(entry)
            operations.append(Move(process, called, returned, name, refused=True))
            continue
        else:
            log.append(entry)
        if draws.random() < 0.1 and not bug:  # its process dies, another takes its place
            operations.append(Move(process, called, math.inf, name))
            if draws.random() < 0.5:
                del log[-1]
            continue
        operations.append(Move(process, called, returned, name, len(log), txn))
    draws.shuffle(operations)
    return log, operations, struck


@pytest.mark.parametrize("seed", range(30))
def test_a_long_history_of_an_alias_that_obeys_is_accepted(seed):
    log, operations, _ = run(seed)
    assert wrong(log, operations) == ""


@pytest.mark.parametrize("bug", ["lost", "twice", "stale", "reordered", "false conflict"])
def test_a_bug_in_a_long_history_is_found(bug):
    found = 0
    for seed in range(20):
        log, operations, struck = run(seed, bug)
        if struck:
            assert wrong(log, operations)
            found += 1
    assert found > 10
