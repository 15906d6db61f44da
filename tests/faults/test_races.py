"""Any number of processes may do anything at once: one of them wins each label, and no acknowledged word is lost."""

import itertools
import multiprocessing
import os
import random
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from typing import Any

import pytest

from modelvault.errors import AlreadyExists, Code, Conflict
from modelvault.stores.local import LocalStore
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import Operation, Wrapper
from modelvault.vault import Vault

from .scene import BLOB, VERBS, Verb, acknowledged, added, copied, no_object_was_removed, seen

CREW = 8
FORK = multiprocessing.get_context("fork")
every_verb = pytest.mark.parametrize("verb", VERBS, ids=str)


# --- a rival between any two operations ----------------------------------------------------------------------------


class _Rival(Wrapper):
    """A store on which somebody else acts just before operation number `at`."""

    def __init__(self, inner: Any, act: Callable[[], object], at: int) -> None:
        super().__init__(inner)
        self._act = act
        self._moments = itertools.count(1)
        self._at = at

    def around(self, operation: Operation, call: Callable[[], Any]) -> Any:
        if next(self._moments) == self._at:
            self._act()
        return call()


def _operations(verb: Verb, base: MemoryStore) -> int:
    store = copied(base)
    verb.call(Vault(store))
    return len(store.operations)


@every_verb
def test_the_same_verb_of_a_rival_at_any_moment_takes_its_turn(verb: Verb) -> None:
    base = verb.store()
    before = seen(base)
    for at in range(1, _operations(verb, base) + 1):
        store = copied(base)
        theirs: list[Any] = []
        rival = _Rival(store, lambda: theirs.append(acknowledged(verb.call(Vault(store)))), at)  # noqa: B023
        ours = acknowledged(verb.call(Vault(rival)))
        after = seen(store)
        shared = ours == theirs[0]
        assert not shared or not verb.repeats or verb.name == "publish-bump"  # equal content at once: one version
        assert len(added(before, after)) == (1 if shared else 2)
        assert ours in after.values()
        assert theirs[0] in after.values()
        assert verb.shows(Vault(store)) == (verb.once if shared else verb.twice)
        assert no_object_was_removed(store)


def _long_ago() -> datetime:
    return datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)


LABELLED = {"publish", "publish-files", "publish-compressed", "publish-long-manifest", "draft"}
"""Those that publish 2.0.0, each with its own content."""


@every_verb
def test_any_verb_of_a_rival_at_any_moment_takes_its_turn_or_the_label(verb: Verb) -> None:
    base = verb.store()
    before = seen(base)
    others = [other for other in VERBS if verb.given is other.given and verb is not other]
    for other, at in itertools.product(others, range(1, _operations(verb, base) + 1)):
        store = copied(base)
        vault = Vault(_Rival(store, lambda: other.call(Vault(store, clock=_long_ago)), at))  # noqa: B023
        if {verb.name, other.name} <= LABELLED:
            with pytest.raises(AlreadyExists) as raised:
                verb.call(vault)
            assert raised.value.code == Code.VERSION_EXISTS
            assert "by tester on 2001-02-03 04:05:06" in str(raised.value)
            assert other.shows(Vault(store)) == other.once
        else:
            verb.call(vault)
        assert len(added(before, seen(store))) == (1 if {verb.name, other.name} <= LABELLED else 2)
        assert no_object_was_removed(store)


@pytest.mark.parametrize("move", ["promote", "rollback"])
def test_a_move_that_expects_what_a_rival_has_changed_is_a_conflict(move: str) -> None:
    base = VERBS[0].store()
    before = seen(base)

    def ours(vault: Vault) -> object:
        if move == "promote":
            return vault.promote("fraud@prod", "1.1.0", reason="ours", expect="1.3.0")
        return vault.rollback("fraud@prod", reason="ours", expect="1.3.0")

    calls = _operations(Verb(move, ours, ours, 0, 0), base)
    for at in range(1, calls + 1):
        store = copied(base)
        vault = Vault(_Rival(store, lambda: Vault(store).promote("fraud@prod", "1.0.0", reason="theirs"), at))  # noqa: B023
        with pytest.raises(Conflict) as raised:
            ours(vault)
        assert (raised.value.expected, raised.value.actual) == ("1.3.0", "1.0.0")
        assert len(added(before, seen(store))) == 1


# --- real processes on a real disk ---------------------------------------------------------------------------------


def _forked(work: Callable[..., object], *args: object) -> Any:
    process = FORK.Process(target=work, args=args, daemon=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the threads of pytest: a child needs none of them
        process.start()
    return process


def _member(work: Callable[[int, Barrier], object], number: int, barrier: Barrier, out: Connection) -> None:
    try:
        out.send(work(number, barrier))
    except BaseException as error:
        barrier.abort()
        out.send(error)


def _crew(work: Callable[[int, Barrier], Any], count: int = CREW) -> list[Any]:
    """What `count` processes make of `work(number, barrier)`, all at once."""
    barrier = FORK.Barrier(count, timeout=60)
    pipes = [FORK.Pipe(duplex=False) for _ in range(count)]
    crew = [_forked(_member, work, number, barrier, send) for number, (_, send) in enumerate(pipes)]
    results = [receive.recv() for receive, _ in pipes]
    for process in crew:
        process.join()
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


def _outcome(call: Callable[[], Any]) -> Any:
    try:
        return acknowledged(call())
    except (AlreadyExists, Conflict) as error:
        return error


def _rounds(root: Path, rounds: int, publish: Callable[[Vault, int, int], Any]) -> list[tuple[Vault, list[Any]]]:
    """Each round a new vault, where all processes publish at once: the vault, and what each of them was told."""

    def work(number: int, barrier: Barrier) -> list[Any]:
        told = []
        for turn in range(rounds):
            vault = Vault(LocalStore(root / str(turn)))
            barrier.wait()
            told.append(_outcome(lambda: publish(vault, number, turn)))  # noqa: B023
        return told

    told = zip(*_crew(work), strict=True)
    return [(Vault(LocalStore(root / str(turn))), list(one)) for turn, one in enumerate(told)]


def _one_version_of_many(root: Path, rounds: int) -> None:
    def publish(vault: Vault, number: int, turn: int) -> Any:
        content = {"by": number, "weights": BLOB[number:]}
        return vault.publish("fraud", content, version=f"1.{turn}.0", actor=f"worker-{number}")

    for turn, (vault, told) in enumerate(_rounds(root, rounds, publish)):
        won = [number for number, one in enumerate(told) if isinstance(one, tuple)]
        assert len(won) == len(vault.versions("fraud")) == 1
        assert vault.load(f"fraud:1.{turn}.0")["by"] == won[0]
        when = f"{vault.version(f'fraud:1.{turn}.0').created:%Y-%m-%d %H:%M:%S}"
        for lost in told[: won[0]] + told[won[0] + 1 :]:
            assert isinstance(lost, AlreadyExists)
            assert f"by worker-{won[0]} on {when}" in str(lost)
        assert vault.verify().ok


def _equal_content(root: Path, rounds: int) -> None:
    def publish(vault: Vault, number: int, turn: int) -> Any:
        return vault.publish("fraud", BLOB, version=f"1.{turn}.0", actor=f"worker-{number}")

    for vault, told in _rounds(root, rounds, publish):
        [version] = vault.versions("fraud")
        assert told == [acknowledged(version)] * CREW
        assert vault.verify().ok


def _numbers_in_a_row(root: Path, rounds: int) -> None:
    def publish(vault: Vault, number: int, turn: int) -> Any:
        return vault.publish("fraud", {"by": number, "weights": BLOB[:10_000]}, bump="patch")

    for vault, told in _rounds(root, rounds, publish):
        versions = vault.versions("fraud")
        assert [version.number for version in versions] == [f"1.0.{patch}" for patch in range(CREW - 1, -1, -1)]
        assert {acknowledged(version) for version in versions} == set(told)
        assert sorted(version.load()["by"] for version in versions) == list(range(CREW))
        assert vault.verify().ok


RACES = [_one_version_of_many, _equal_content, _numbers_in_a_row]
every_race = pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__.strip("_"))


@every_race
def test_publishers_at_once(race: Callable[[Path, int], None], tmp_path: Path) -> None:
    race(tmp_path, 4)


@pytest.mark.long
@every_race
def test_publishers_at_once_again_and_again(race: Callable[[Path, int], None], tmp_path: Path) -> None:
    race(tmp_path, 100)


def _prepared(root: Path) -> Vault:
    vault = Vault(LocalStore(root))
    for minor in range(4):
        vault.publish("fraud", {"n": minor}, version=f"1.{minor}.0")
    vault.promote("fraud@prod", "1.0.0", reason="first")
    return vault


@contextmanager
def _watched(root: Path) -> Iterator[None]:
    """All the while a reader process resolves `fraud@prod`; it must meet no error and no step back."""
    over = FORK.Event()
    receive, send = FORK.Pipe(duplex=False)
    reader = _forked(_watch, root, over, send)
    try:
        yield
    finally:
        over.set()
        seqs = receive.recv()
        reader.join()
    assert not isinstance(seqs, BaseException), seqs
    assert len(seqs) > 1
    assert seqs == sorted(seqs)


def _watch(root: Path, over: Event, out: Connection) -> None:
    seqs = []
    try:
        steady = Vault(LocalStore(root))
        while not over.is_set():
            for vault in (steady, Vault(LocalStore(root))):
                seqs.append(vault.aliases("fraud")["prod"].seq)
                assert vault.load("fraud@prod")["n"] in range(4)
    except BaseException as error:
        out.send(error)
    else:
        out.send(seqs)


def _promote(root: Path, number: int, times: int) -> Iterator[tuple[int, str]]:
    """Promotions, half of them compare-and-set with a retry, as they are acknowledged; where it is there already, none."""
    vault = Vault(LocalStore(root))
    for turn in range(times):
        to = f"1.{(number + turn) % 4}.0"
        while True:
            expect = vault.version("fraud@prod").number if turn % 2 else None
            move = _outcome(lambda: vault.promote("fraud@prod", to, reason=f"{number}.{turn}", expect=expect))  # noqa: B023
            if not isinstance(move, Conflict):
                break
        if move.reason == f"{number}.{turn}":
            yield move.seq, move.txn


def _all_promote(root: Path, times: int) -> None:
    vault = _prepared(root)
    with _watched(root):
        acks = _crew(lambda number, barrier: barrier.wait() >= 0 and list(_promote(root, number, times)))
    history = Vault(LocalStore(root)).history("fraud@prod")
    entries = [(move.seq, move.txn) for move in history]
    assert [seq for seq, _ in entries] == list(range(len(entries), 0, -1))
    assert CREW * times // 4 < len(entries) <= CREW * times + 1
    assert all(later.version != earlier.version for later, earlier in itertools.pairwise(history))
    assert sorted(entries[:-1]) == sorted(itertools.chain(*acks))
    assert vault.verify().ok


def test_promotions_at_once_are_all_there_in_a_row(tmp_path: Path) -> None:
    _all_promote(tmp_path / "vault", 10)


@pytest.mark.long
def test_hundreds_of_promotions_at_once_are_all_there_in_a_row(tmp_path: Path) -> None:
    _all_promote(tmp_path / "vault", 100)


def _work_until_killed(root: Path, number: int, notebook: Path) -> None:
    """Publish and promote without end, and write down each acknowledgement."""
    vault = Vault(LocalStore(root))
    out = os.open(notebook, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for turn in itertools.count(number):
        if turn % 4 == 0:
            version = vault.publish("fraud", {"by": (number, turn), "weights": BLOB}, bump="patch")
            os.write(out, f"{version.ref} {version.digest}\n".encode())
        else:
            move = vault.promote("fraud@prod", f"1.{turn % 4}.0", reason=f"{number}.{turn}")
            if move.reason == f"{number}.{turn}":
                os.write(out, f"{move.seq} {move.txn}\n".encode())


def _acknowledged(notebooks: Path) -> list[list[str]]:
    return [line.split() for notebook in notebooks.iterdir() for line in notebook.read_text().splitlines()]


def _work_under_fire(root: Path, kills: int) -> None:
    vault = _prepared(root / "vault")
    notebooks = root / "notebooks"
    notebooks.mkdir()
    draws = random.Random(17)

    def hire(number: int) -> Any:
        return _forked(_work_until_killed, root / "vault", number, notebooks / str(number))

    with _watched(root / "vault"):
        crew = [hire(number) for number in range(CREW)]
        for number in range(CREW, CREW + kills):
            time.sleep(draws.uniform(0, 0.05))
            victim = draws.randrange(CREW)
            assert crew[victim].is_alive()
            _kill(crew[victim])
            crew[victim] = hire(number)
        for process in crew:
            _kill(process)
    fresh = Vault(LocalStore(root / "vault"))
    report = fresh.verify()
    assert report.ok, str(report)
    history = fresh.history("fraud@prod")
    assert [move.seq for move in history] == list(range(len(history), 0, -1))
    there = {(str(move.seq), move.txn) for move in history}
    there |= {(version.ref, version.digest) for version in fresh.versions("fraud")}
    acks = [tuple(line) for line in _acknowledged(notebooks)]
    assert len(acks) > kills
    assert len(acks) == len(set(acks))
    assert there.issuperset(acks)
    vault.promote("fraud@prod", "1.0.0", reason="and on it goes")


def _kill(process: Any) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.join()


def test_what_was_acknowledged_outlives_the_killed(tmp_path: Path) -> None:
    _work_under_fire(tmp_path, 20)


@pytest.mark.long
def test_what_was_acknowledged_outlives_hundreds_of_the_killed(tmp_path: Path) -> None:
    _work_under_fire(tmp_path, 400)
