"""The page: the tables, the goals beside them, and the words of `page.md` around them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import NamedTuple

from benchmarks.figures import Figure, figure, milliseconds, table
from benchmarks.peers import Joblib, Modelvault, Peer

START_GOAL, LOAD_GOAL, IMPORT_GOAL = 1.3, 0.0003, 0.030
"""Times a bare joblib file; seconds; seconds of processor time."""

_VERBS = {
    "current": "find the current version",
    "load": "load it",
    "load_larger": "load the larger model",
    "publish": "publish",
    "promote": "move the alias",
    "rollback": "go back",
}


class Start(NamedTuple):
    """Of a process from nothing to a loaded model, in seconds: on the clock, and of processor time."""

    wall: float
    cpu: float
    added: float
    """Of that, what came after scikit-learn was imported: the package's own part, in processor time."""


@dataclass
class Measured:
    """Everything that a run finds; each list has one number for each round, in seconds."""

    machine: Sequence[tuple[str, str]]
    versions: Mapping[type[Peer], str | None]
    """None: it is not installed, or does not run."""
    rounds: int
    starts: dict[type[Peer], list[Start]] = field(default_factory=lambda: defaultdict(list))
    verbs: dict[str, dict[type[Peer], list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    imports: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    @property
    def present(self) -> list[type[Peer]]:
        """The peers that have figures, modelvault last."""
        return [peer for peer, version in self.versions.items() if version]

    def start(self, peer: type[Peer], kind: str) -> Figure:
        """Of a whole process: ``wall``, ``cpu`` or ``added``."""
        return figure([getattr(cost, kind) for cost in self.starts[peer]])

    def verb(self, name: str, peer: type[Peer]) -> Figure | None:
        """Of one call in a warm process; None, if the peer has no such verb."""
        return figure(self.verbs[name].get(peer, ()))

    def added(self, module: str) -> Figure:
        """What importing a module costs over an interpreter that does nothing."""
        return figure(self.imports[module]).over(figure(self.imports[""]))


def page(measured: Measured) -> str:
    """The whole page, in MyST."""
    words = Template(Path(__file__).with_name("page.md").read_text())
    return words.substitute(tables(measured), rounds=measured.rounds)


def tables(measured: Measured) -> dict[str, str]:
    """The tables of the page, by their names in `page.md`."""
    return {
        "goals": table(["goal", "measured", "met"], _goals(measured)),
        "start": _start(measured),
        "warm": _warm(measured),
        "writes": _writes(measured),
        "imports": _imports(measured),
        "machine": table(["machine", ""], measured.machine),
        "packages": table(
            ["package", "version"],
            [
                (peer.title, version or "missing: not installed, or does not run")
                for peer, version in measured.versions.items()
            ],
        ),
    }


def _start(measured: Measured) -> str:
    floor = measured.start(Joblib, "cpu")
    rows = []
    for peer in measured.present:
        cpu = measured.start(peer, "cpu")
        rows.append((peer.title, cpu, cpu.times(floor), measured.start(peer, "added"), measured.start(peer, "wall")))
    return table(["whole process", "processor ms", "to bare joblib", "the package's part, ms", "clock ms"], rows)


def _warm(measured: Measured) -> str:
    return _verbs(measured, ("current", "load", "load_larger"))


def _writes(measured: Measured) -> str:
    return _verbs(measured, ("publish", "promote", "rollback"))


def _verbs(measured: Measured, names: Sequence[str]) -> str:
    head = ["one call, ms"]
    for name in names:
        head += [_VERBS[name], "to modelvault"]
    return table(head, [[peer.title, *_cells(measured, names, peer)] for peer in measured.present])


def _cells(measured: Measured, names: Sequence[str], peer: type[Peer]) -> Iterator[Figure | float | None]:
    for name in names:
        own, found = measured.verb(name, Modelvault), measured.verb(name, peer)
        yield found
        yield found.times(own) if found and own else None


def _imports(measured: Measured) -> str:
    bare = figure(measured.imports[""])
    rows = [(f"`import {name}`", measured.added(name)) for name in measured.imports if name]
    return table(["over a bare interpreter", "processor ms"], [("an interpreter that does nothing", bare), *rows])


def _goals(measured: Measured) -> Iterator[tuple[str, str, str]]:
    rivals = [peer for peer in measured.present if peer not in (Joblib, Modelvault)]
    load, added = measured.verb("load", Modelvault), measured.added(Modelvault.package)
    ratio = measured.start(Modelvault, "cpu").times(measured.start(Joblib, "cpu"))
    part = measured.start(Modelvault, "added")
    parts = [measured.start(peer, "added").middle for peer in rivals]
    loads = [figure.middle for peer in rivals if (figure := measured.verb("load", peer))]
    yield (
        "a process with modelvault costs less than with any peer: its part is smaller",
        _against(part.middle, parts),
        _met(part.middle < min(parts, default=0)),
    )
    yield f"and at most {START_GOAL} times as much as with a bare file", f"{ratio:.2f}x", _met(ratio <= START_GOAL)
    yield (
        "a load in a warm process is faster than any peer's",
        _against(load.middle, loads),
        _met(load.middle < min(loads, default=0)),
    )
    yield f"and takes less than {milliseconds(LOAD_GOAL)} ms", f"{load} ms", _met(load.middle < LOAD_GOAL)
    yield (
        f"`import modelvault` takes at most {milliseconds(IMPORT_GOAL)} ms of processor time",
        f"{added} ms",
        _met(added.middle <= IMPORT_GOAL),
    )


def _against(own: float, others: Sequence[float]) -> str:
    best = f"{milliseconds(min(others))} ms for the best of them" if others else "no peer is installed"
    return f"{milliseconds(own)} ms, {best}"


def _met(met: bool) -> str:  # noqa: FBT001 - it is what it shows
    return "yes" if met else "no"
