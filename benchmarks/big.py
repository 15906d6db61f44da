"""A large model in a local folder, in modelvault and in its peers, beside a plain copy of it in the same round.

    python -m benchmarks.big [--rounds N] [--file MIB] [--page FILE]

Four safetensors files of many tensors.  Then the same again, and again with the files touched; then versions that differ a
little from the one before.  Each step is a fresh process; what it imports is not counted.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median
from string import Template
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import NamedTuple

from benchmarks import machine
from benchmarks.big_peers import CHUNKERS, REGISTRIES, BigPeer
from benchmarks.figures import NOTHING, table
from benchmarks.peers import ENVIRONMENT
from benchmarks.processes import ROOT

PAGE = ROOT / "docs" / "explanation" / "performance-of-large-models.md"
MEBIBYTE = 1024 * 1024
FILES = 4
STEPS = {
    "first": "publish the first version",
    "again": "publish the same again",
    "touched": "once more, after `touch` of all files",
    "file": "one file of four changed",
    "tensors": "5 % of the tensors of each file changed",
    "header": "longer headers",
    "order": "the tensors in another order",
    "cold": "fetch the current version",
}

CHANGES = ("first", "file", "tensors", "header", "order")
"""The trees; each has the changes of those before it, too."""


class Step(NamedTuple):
    """What one step took."""

    seconds: float
    memory: float
    """MiB at most, above the import."""
    stored: float
    """MiB that the folder grew by."""


Measured = dict[str, dict[str, list[Step]]]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--file", type=int, default=256, metavar="MIB")
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args()
    with TemporaryDirectory(prefix="benchmarks-") as scratch:
        about = machine.described(Path(scratch), machine.load())
        found = measure(Path(scratch), given.rounds, given.file, REGISTRIES)
        chunked = measure(Path(scratch), given.rounds, given.file // 4, CHUNKERS)
    words = Template(Path(__file__).with_name("big.md").read_text())
    page = words.substitute(
        size=FILES * given.file,
        machine=table(["machine", ""], about),
        rounds=given.rounds,
        seconds=_times(found),
        stored=_middles(found, "stored"),
        memory=_middles(found, "memory"),
        chunked_size=FILES * (given.file // 4),
        chunked_seconds=_times(chunked),
        chunked_stored=_middles(chunked, "stored"),
        chunked_memory=_middles(chunked, "memory"),
    )
    print(page)
    given.page.write_text(page)


def measure(scratch: Path, rounds: int, mebibytes: int, peers: Iterable[type[BigPeer]]) -> Measured:
    """All figures; in each round everybody does everything once, with nothing there."""
    trees = {name: scratch / name for name in CHANGES}
    for name, tree in trees.items():
        tree.mkdir(exist_ok=True)
        for number in range(FILES):
            _write(tree / f"model-{number}.safetensors", number, mebibytes, name)
    found: Measured = defaultdict(lambda: defaultdict(list))
    for number in range(rounds):
        for peer in (None, *filter(_is_here, peers)):
            title = peer.title if peer else "cp -r, sync"
            print(f"round {number + 1} of {rounds}: {title}", flush=True)
            folder = scratch / "work"
            folder.mkdir()
            for name, step in _round(peer, folder, trees):
                found[title][name].append(step)
            shutil.rmtree(folder)
    return found


def _write(path: Path, file: int, mebibytes: int, name: str) -> None:
    """A file of one tensor of a MiB after another, of random bytes."""
    import numpy as np
    from safetensors.numpy import save_file

    changes = set(CHANGES[: CHANGES.index(name) + 1])

    def tensor(number: int) -> object:
        changed = ("file" in changes and file == 0) + ("tensors" in changes and number % 20 == 0)
        return np.random.default_rng([file, number, changed]).integers(0, 2**32, MEBIBYTE // 4, np.uint32)

    places = range(mebibytes)[:: -1 if "order" in changes else 1]
    tensors = {f"layer.{place:04}": tensor(number) for place, number in zip(places, range(mebibytes), strict=True)}
    save_file(tensors, path, metadata={"note": "x" * (1000 if "header" in changes else 1)})


def _is_here(peer: type[BigPeer]) -> bool:
    here = bool(shutil.which(peer.package) or importlib.util.find_spec(peer.package))
    if not here:
        print(f"{peer.title} is not installed")
    return here


def _round(peer: type[BigPeer] | None, folder: Path, trees: dict[str, Path]) -> Iterator[tuple[str, Step]]:
    kept = folder / (peer.kept if peer else "copies")
    for name in STEPS:
        before = _size(kept)
        if name == "touched":
            for path in trees["first"].iterdir():
                path.touch()
        os.sync()
        _touch()
        target = folder / "out" if name == "cold" else trees[name if name in trees else "first"]
        verb = "fetch" if name == "cold" else "publish"
        seconds, memory = _asked(peer, verb, folder, target) if peer else _copied(trees["first"], kept / name)
        yield name, Step(seconds, memory, (_size(kept) - before) / MEBIBYTE)


def _asked(peer: type[BigPeer], verb: str, folder: Path, target: Path) -> tuple[float, float]:
    command = [sys.executable, "-m", "benchmarks.big_worker", peer.package, verb, str(folder), str(target)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{peer.title}: {done.stderr.strip()[-500:]}")
    seconds, memory = json.loads(done.stdout.strip().rpartition("\n")[2])
    return seconds, memory


def _copied(tree: Path, to: Path) -> tuple[float, float]:
    to.parent.mkdir(exist_ok=True)
    begin = perf_counter()
    subprocess.run(["cp", "-r", tree, to], check=True)
    if to.name != "cold":
        os.sync()
    return perf_counter() - begin, 0.0


def _touch() -> None:
    """Have the machine give us the memory of its page cache before the clock starts: the first touch of it takes long."""
    held = bytearray(2 * 1024 * MEBIBYTE)
    held[::4096] = b"\1" * len(held[::4096])


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _times(found: Measured) -> str:
    copies, *peers = found
    rows = []
    for name, title in STEPS.items():
        floor = [step.seconds for step in found[copies][name]]
        cells = [f"{min(floor):.2f} / {median(floor):.2f}"]
        for peer in peers:
            seconds = [step.seconds for step in found[peer][name]]
            ratio = median(one / other for one, other in zip(seconds, floor, strict=True))
            cells += [f"{min(seconds):.2f} / {median(seconds):.2f}", f"{ratio:.2f}x"]
        rows.append([title, *cells])
    head = [cell for peer in peers for cell in (peer, "to the copy")]
    return table(["seconds, least / median", copies, *head], rows)


def _middles(found: Measured, what: str) -> str:
    rows = [
        [title, *(f"{median(getattr(step, what) for step in found[peer][name]):.1f}" for peer in list(found)[1:])]
        for name, title in STEPS.items()
        if what != "stored" or name != "cold"
    ]
    return table(["MiB, median", *list(found)[1:]], rows) if rows else NOTHING


if __name__ == "__main__":
    main()
