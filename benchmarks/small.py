"""A small model in modelvault and in its peers, round by round: prints the figures, and writes the page about them.

    python -m benchmarks.small [--rounds N] [--only PACKAGE ...] [--page FILE]

Whatever of the peers is not installed is left out, and said to be missing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks import machine
from benchmarks.page import Measured, Start, page, tables
from benchmarks.peers import PEERS, Joblib, Modelvault, Peer
from benchmarks.processes import ROOT, Failed, Worker, fresh

PAGE = ROOT / "docs" / "explanation" / "performance.md"
VERBS = ("current", "load", "load_larger", "publish", "promote", "rollback")
MODULES = ("modelvault.vault", "sklearn.linear_model")
"""Imported beside the peers: all that the first verb of modelvault needs, and what holds the model that is loaded."""

_PROGRAM = """
import time, sklearn.linear_model
before = time.process_time()
{load}
added = time.process_time() - before
print(int(model.predict([{row}])[0]), added)
"""


def main() -> None:
    """Measure, print, write."""
    wanted = _arguments()
    chosen = [
        peer for peer in PEERS if not wanted.only or peer.package in {*wanted.only, Joblib.package, Modelvault.package}
    ]
    with TemporaryDirectory(prefix="benchmarks-") as scratch:
        measured = measure(Path(scratch), chosen, wanted.rounds)
    print("\n\n".join(tables(measured).values()))
    wanted.page.parent.mkdir(parents=True, exist_ok=True)
    wanted.page.write_text(page(measured))


def measure(scratch: Path, peers: Iterable[type[Peer]], rounds: int) -> Measured:
    """All figures, in `rounds` rounds; in each of them every peer does everything once."""
    _commit(scratch)
    busy = machine.load()
    versions = {peer: _version(peer) for peer in peers}
    workers = dict(_workers(scratch, versions))
    found = Measured(machine.described(scratch, busy), versions, rounds)
    for count in range(rounds):
        _say(f"round {count + 1} of {rounds}")
        present = list(workers)
        turn = count % len(present)
        for peer in present[turn:] + present[:turn]:
            try:
                _round(found, peer, workers[peer], scratch / peer.package)
            except Failed as error:
                _leave_out(peer, versions, error)
                workers.pop(peer).stop()
        for name in ("", *(peer.package for peer in workers), *MODULES):
            found.imports[name].append(fresh(f"import {name}" if name else "pass", scratch / Modelvault.package)[0].cpu)
    for worker in workers.values():
        worker.stop()
    return found


def _round(found: Measured, peer: type[Peer], worker: Worker, folder: Path) -> None:
    found.starts[peer].append(_start(peer, worker, folder))
    for verb in VERBS:
        if times := worker.ask(verb):
            found.verbs[verb][peer].append(median(times))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.small", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", nargs="+", default=(), choices=[peer.package for peer in PEERS], metavar="PACKAGE")
    parser.add_argument("--page", type=Path, default=PAGE)
    return parser.parse_args()


def _commit(scratch: Path) -> None:
    """A repository around it all: some peers record the commit, and its price belongs to their publish."""
    me = ["-c", "user.name=benchmarks", "-c", "user.email=benchmarks@example.org", "-c", "commit.gpgsign=false"]
    with suppress(FileNotFoundError):
        subprocess.run(["git", "init", "--quiet"], cwd=scratch, check=True)
        subprocess.run(["git", *me, "commit", "--quiet", "--allow-empty", "-m", "start"], cwd=scratch, check=True)


def _version(peer: type[Peer]) -> str | None:
    for distribution in (peer.package, f"{peer.package}-sdk"):
        with suppress(PackageNotFoundError):
            return version(distribution)
    return None


def _workers(scratch: Path, versions: dict[type[Peer], str | None]) -> Iterator[tuple[type[Peer], Worker]]:
    """The peers that are installed and run, each with what it will load; the others are said to be missing."""
    for peer, installed in list(versions.items()):
        if installed is None:
            _say(f"{peer.title} is not installed")
            continue
        _say(f"{peer.title} {installed}")
        folder = scratch / peer.package
        folder.mkdir()
        try:
            worker = Worker(peer.package, folder)
            _start(peer, worker, folder)  # compiles what is not, and fills the disk's cache
        except Failed as error:
            _leave_out(peer, versions, error)
        else:
            yield peer, worker


def _leave_out(peer: type[Peer], versions: dict[type[Peer], str | None], error: Failed) -> None:
    """One peer that fails does not end the run; but the floor and modelvault are what it is about."""
    if peer in (Joblib, Modelvault):
        raise error
    _say(f"{peer.title} does not run here: {error}")
    versions[peer] = None


def _start(peer: type[Peer], worker: Worker, folder: Path) -> Start:
    """From nothing to the loaded model, which predicts once to prove that it is there."""
    cost, printed = fresh(_PROGRAM.format(load=peer.start, row=worker.row), folder)
    answer, added = printed.split()
    if answer != str(worker.answer):
        raise Failed(f"{peer.title} predicts {answer}, not {worker.answer}")
    return Start(*cost, float(added))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
