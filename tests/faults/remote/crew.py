"""Processes that work on one alias at once, may be stopped and killed, and write down what they do and are told."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from modelvault.errors import CommitUncertain, Conflict, StaleAlias, StoreError
from modelvault.vault import Vault

from ...servers.server import Place
from .history import Look, Move, Operation

FORK = multiprocessing.get_context("fork")
ALIAS = "fraud@prod"
VERSIONS = ("1.0.0", "1.1.0", "1.2.0", "1.3.0")


# --- what they write down


class Notebook:
    """A file of lines, each written at once, so that one who is killed has written whole lines."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, *line: Any) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")


def read(path: Path) -> list[list[Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def operations(path: Path) -> Iterator[Operation]:
    """What the process of a notebook did; a move that it began and did not hear of has no end."""
    process, begun = int(path.name), dict[str, float]()
    for kind, *line in read(path):
        match kind, line:
            case "looked", [called, returned, seq, value]:
                yield Look(process, called, returned, seq, value)
            case "began", [called, name]:
                begun[name] = called
            case "done", [returned, name, seq, txn]:
                yield Move(process, begun.pop(name), returned, name, seq, txn)
            case "unsure", [_, name, txn]:
                yield Move(process, begun.pop(name), math.inf, name, None, txn)
            case "refused", [returned, name, actual]:
                called = begun.pop(name)
                yield Move(process, called, returned, name, refused=True)
                if actual is not None:
                    yield Look(process, called, returned, None, actual)
    yield from (Move(process, called, math.inf, name) for name, called in begun.items())


def count(paths: Iterable[Path], kind: str) -> int:
    """How many lines of a kind all of these have."""
    return sum(path.read_bytes().count(f'["{kind}"'.encode()) for path in paths if path.exists())


# --- what they do


def promote(place: Place, path: Path, times: int) -> None:
    """Promote so many times; every other time only if the alias still points to where it did a moment ago."""
    notebook, vault = Notebook(path), Vault(place.connect(), trust="pickle")
    done = 0
    for turn in range(10_000):
        if done == times:
            break
        name, to = f"{path.name}.{turn}", VERSIONS[(int(path.name) + turn) % len(VERSIONS)]
        expect = _look(notebook, lambda: (None, vault.version(ALIAS).number)) if turn % 2 else None
        done += _promote(notebook, vault, name, to, expect)
    notebook.write("over")


def _promote(notebook: Notebook, vault: Vault, name: str, to: str, expect: str | None) -> bool:
    notebook.write("began", time.monotonic(), name)
    try:
        move = vault.promote(ALIAS, to, reason=name, expect=expect)
    except Conflict as error:
        notebook.write("refused", time.monotonic(), name, error.actual if error.actual != expect else "nobody's")
    except StoreError:
        notebook.write("refused", time.monotonic(), name, None)
    except CommitUncertain as error:
        notebook.write("unsure", time.monotonic(), name, error.txn)
    else:
        if move.reason == name:
            notebook.write("done", time.monotonic(), name, move.seq, move.txn)
            return True
        notebook.write("refused", time.monotonic(), name, to)  # somebody was faster, to the same version
    return False


def watch(place: Place, path: Path, over: Path) -> None:
    """Look at the alias in every way, with an old vault and with a new one, until all is over."""
    notebook, store = Notebook(path), place.connect()
    steady = Vault(store, trust="pickle")
    while not over.exists():
        for vault in (steady, Vault(store, trust="pickle")):
            _look(notebook, lambda: _newest(vault.history(ALIAS)[0]))  # noqa: B023
            _look(notebook, lambda: _newest(vault.aliases("fraud")["prod"]))  # noqa: B023
            _look(notebook, lambda: (None, f"1.{vault.load(ALIAS)['n']}.0"))  # noqa: B023
    notebook.write("over")


def _look(notebook: Notebook, look: Callable[[], tuple[int | None, str | None]]) -> str | None:
    """What is seen; None where the store could not say, and an answer that says itself that it is old is none."""
    called = time.monotonic()
    try:
        seq, value = look()
    except (StoreError, StaleAlias):
        return None
    notebook.write("looked", called, time.monotonic(), seq, value)
    return value


def _newest(move: Any) -> tuple[int, str]:
    return move.seq, move.version


def together(work: Callable[[int, Any], Any], processes: int) -> list[Any]:
    """What so many processes make of `work(number, barrier)`, all at once."""
    barrier, results = FORK.Barrier(processes, timeout=60), FORK.SimpleQueue()
    crew = [_forked(_member, work, number, barrier, results) for number in range(processes)]
    told = dict(results.get() for _ in crew)
    for process in crew:
        process.join()
    for result in told.values():
        if isinstance(result, BaseException):
            raise result
    return [told[number] for number in range(processes)]


def _member(work: Callable[[int, Any], Any], number: int, barrier: Any, results: Any) -> None:
    try:
        results.put((number, work(number, barrier)))
    except BaseException as error:
        barrier.abort()
        results.put((number, error))


def _forked(work: Callable[..., None], *args: Any) -> Any:
    process = FORK.Process(target=work, args=args)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the threads of pytest: a child needs none of them
        process.start()
    return process


# --- who makes them do it


class Foreman:
    """A process that starts others.

    It is begun before the proxies of a test, so that no process has a copy of their connections: a line that is cut while
    somebody has a copy of it stays open.
    """

    def __init__(self) -> None:
        self._orders, theirs = FORK.Pipe()
        self._process = _forked(_foreman, theirs)
        theirs.close()

    def start(self, work: Callable[..., None], *args: Any) -> int:
        """Begin `work` in a process of its own; its id."""
        self._orders.send((work.__name__, args))
        pid: int = self._orders.recv()
        return pid

    def end(self) -> None:
        """Kill all that are left."""
        self._orders.send(None)
        self._process.join()


def _foreman(orders: Connection) -> None:
    pids = []  # each is this process's until it is waited for, dead or alive
    with suppress(EOFError):
        while order := orders.recv():
            pid = os.fork()
            if pid == 0:
                _work(*order)
            pids.append(pid)
            orders.send(pid)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    os._exit(0)


def _work(name: str, args: tuple[Any, ...]) -> None:
    warnings.simplefilter("error", StaleAlias)
    try:
        {"promote": promote, "watch": watch}[name](*args)
    except BaseException:
        Notebook(args[1]).write("failed", traceback.format_exc())
        traceback.print_exc(file=sys.stderr)
    os._exit(0)
