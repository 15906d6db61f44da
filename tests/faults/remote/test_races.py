"""Any number of processes, on real servers: one wins each key; and no promotion is lost, done twice, or wrongly refused."""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from modelvault.blobs import parallel
from modelvault.stores import Key, KeyExists
from modelvault.vault import Vault

from ...servers.proxy import Action, Cut, DropReply, HTTPProxy, Pass, Request, Rule, TCPProxy
from ...servers.server import Place, Server
from ...servers.sftp import OpenSSH
from .crew import ALIAS, VERSIONS, Foreman, count, operations, promote, read, together, watch
from .history import Entry, Move, wrong


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Server:
    server: Server = request.getfixturevalue(f"{request.param}_server")
    return server


on_each = pytest.mark.parametrize(
    "server",
    [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("s3", "gcs", "azure", "sftp")],
    indirect=True,
)


# --- one key


def _one_wins(server: Server, processes: int, rounds: int, at_once: int) -> None:
    """Rounds in each of which all processes create the same key, `at_once` such rounds at a time."""
    place = server.place()

    def create(number: int, barrier: Any) -> list[int]:
        store, won = place.connect(), list[int]()

        def attempt(turn: int) -> None:
            with suppress(KeyExists):
                store.create(Key(f"race/{turn:04}"), _record(number, turn))
                won.append(turn)

        for turn in range(0, rounds, at_once):
            barrier.wait()
            parallel(attempt, range(turn, turn + at_once))
        return won

    wins = [(turn, number) for number, turns in enumerate(together(create, processes)) for turn in turns]
    assert sorted(turn for turn, _ in wins) == [*range(rounds)]
    assert {f"race/{turn:04}": _record(number, turn) for turn, number in wins} == server.objects(place)


def _record(number: int, turn: int) -> bytes:
    return f"{number} {turn};".encode() * 100


@on_each
def test_of_all_who_create_a_key_one_wins_and_its_bytes_stay(server: Server) -> None:
    _one_wins(server, 4, 15, 1)


@pytest.mark.long
@on_each
def test_of_all_who_create_a_key_one_wins_each_of_200_times(server: Server) -> None:
    _one_wins(server, 8, 200, 8)


# --- one alias


@dataclass(frozen=True)
class Worker:
    """A process at work: what it is to do, and where it writes down what it does."""

    pid: int
    notes: Path
    times: int = 0


class Siege:
    """Processes that promote one alias over a line that breaks, two that watch it, and all that they write down."""

    def __init__(self, server: Server, folder: Path, seed: int, *, cut: float) -> None:
        """`cut`: the share of the writes whose reply is lost."""
        self.server = server
        self.share = cut
        self.folder = folder
        self.draws = random.Random(seed)
        self.place = server.place()
        self.first = _prepared(self.place)
        self.cuts = 0
        self._numbers = itertools.count(1)
        self._foreman = Foreman()

    def lay(self, processes: int, times: int, *, kills: int, stops: int) -> None:
        """So many promote so many times each, and are killed and stopped now and then."""
        over = self.folder / "over"
        try:
            with self._line() as (place, cut):
                crew = [self._start(promote, place, times) for _ in range(processes)]
                watchers = [self._start(watch, place, over) for _ in range(2)]
                self._attack(crew, place, cut, [_kill] * kills + [_stop] * stops)
                over.touch()
                while count([watcher.notes for watcher in watchers], "over") < 2:
                    self._carry_on()
        finally:
            self._foreman.end()

    def _start(self, work: Callable[..., None], place: Place, what: Any) -> Worker:
        notes = self.folder / str(next(self._numbers))
        pid = self._foreman.start(work, place, notes, what)
        return Worker(pid, notes, what if isinstance(what, int) else 0)

    def _attack(self, crew: list[Worker], place: Place, cut: Callable[[], object], attacks: list[Any]) -> None:
        """Spread the attacks over the promotions; whoever is killed has a successor for what is left."""
        total = sum(worker.times for worker in crew)
        due = sorted(((self.draws.randrange(total * 4 // 5), attack) for attack in attacks), key=lambda one: one[0])
        while working := [worker for worker in crew if not count([worker.notes], "over")]:
            if due and count(self.notes, "done") >= due[0][0]:
                attack, victim = due.pop(0)[1], self.draws.choice(working)
                attack(victim.pid, self.draws)
                if attack is _kill:
                    crew.remove(victim)
                    crew.append(self._start(promote, place, victim.times - count([victim.notes], "done")))
            cut()
            self._carry_on()

    def _carry_on(self) -> None:
        for notes in self.notes:
            assert not count([notes], "failed"), read(notes)[-1]
        time.sleep(0.05)

    @contextmanager
    def _line(self) -> Iterator[tuple[Place, Callable[[], object]]]:
        """The place through a proxy, and what is to be called now and then."""
        if isinstance(self.server, OpenSSH):
            with TCPProxy(self.server) as tcp:
                yield self._through(tcp), lambda: self._cut(tcp)
            return
        with HTTPProxy(self.server, _weather(self.share, self.draws)) as http:
            yield self._through(http), lambda: None
            self.cuts = sum(isinstance(request.action, DropReply) for request in http.requests)

    def _through(self, proxy: Any) -> Place:
        return replace(self.place.through(proxy), server=None)

    def _cut(self, proxy: TCPProxy) -> None:
        """Lose one of the next replies; a promotion takes some fifteen."""
        between = int(15 / self.share)
        if proxy.replies > between * self.cuts:
            self.cuts += 1
            proxy.drop_reply(after=self.draws.randrange(between))

    @property
    def notes(self) -> list[Path]:
        return [path for path in self.folder.iterdir() if path.name.isdigit()]

    def check(self) -> dict[str, int]:
        """The vault is whole, and what everybody was told is true; how much there was of what."""
        vault = Vault(self.place.connect(), trust="pickle")
        assert vault.verify().ok
        history = vault.history(ALIAS)[::-1]
        assert [move.seq for move in history] == [*range(1, len(history) + 1)]
        log = [Entry(move.reason, move.txn, move.version or "") for move in history]
        told = [self.first, *itertools.chain.from_iterable(map(operations, self.notes))]
        assert wrong(log, told) == ""
        kinds = ("done", "refused", "unsure", "looked")
        return {"moves": len(log), "cuts": self.cuts} | {kind: count(self.notes, kind) for kind in kinds}


def _weather(share: float, draws: random.Random) -> Rule:
    """Some replies to writes are lost; and after one in four of these, a hundred requests of anybody find no server."""
    away = 0

    def rule(request: Request) -> Action:
        nonlocal away
        if away:
            away -= 1
            return Cut()
        if not request.writes or draws.random() >= share:
            return Pass()
        away = 100 if draws.random() < 0.25 else 0
        return DropReply()

    return rule


def _prepared(place: Place) -> Move:
    vault = Vault(place.connect())
    for minor, version in enumerate(VERSIONS):
        vault.publish("fraud", {"n": minor}, version=version)
    called = time.monotonic()
    move = vault.promote(ALIAS, VERSIONS[0], reason="first")
    return Move(0, called, time.monotonic(), "first", move.seq, move.txn)


def _kill(pid: int, draws: random.Random) -> None:
    os.kill(pid, signal.SIGKILL)


def _stop(pid: int, draws: random.Random) -> None:
    os.kill(pid, signal.SIGSTOP)
    time.sleep(draws.uniform(0.1, 0.5))
    os.kill(pid, signal.SIGCONT)


@on_each
def test_promotions_over_a_line_that_breaks_by_some_who_die_are_what_they_were_said_to_be(
    server: Server, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    siege = Siege(server, _folder(tmp_path), seed=5, cut=0.25)
    siege.lay(3, 6, kills=1, stops=1)
    figures = siege.check()
    request.node.user_properties.append(("figures", figures))
    assert 18 <= figures["done"] <= 19
    assert figures["cuts"] > 0


@pytest.mark.long
@pytest.mark.timeout(600)
@on_each
def test_hundreds_of_promotions_over_a_line_that_breaks_are_what_they_were_said_to_be(
    server: Server, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    siege = Siege(server, _folder(tmp_path), seed=6, cut=0.05)
    siege.lay(8, 50, kills=8, stops=8)
    figures = siege.check()
    request.node.user_properties.append(("figures", figures))
    assert 400 <= figures["done"] <= 408
    assert figures["cuts"] > 10


def _folder(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    return folder
