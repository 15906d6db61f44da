"""The same task on a bucket: modelvault beside MLflow, pins and raw clients, in requests, round trips and seconds.

    python -m benchmarks.far [--rounds N] [--large MIB] [--latency MS] [--page FILE]

The bucket is SeaweedFS on this machine: as it is, and 30 ms away, behind a proxy that holds each request back.  A round trip is a request that could
not begin before another had been answered; requests that are on the way together are one.
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from string import Template
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import NamedTuple

from benchmarks import machine
from benchmarks.far_peers import PEERS, FarPeer
from benchmarks.figures import table
from benchmarks.processes import ROOT, Failed, Worker
from tests.servers.proxy import Delay, HTTPProxy, Request
from tests.servers.s3 import SeaweedFS

PAGE = ROOT / "docs" / "explanation" / "performance-on-s3.md"
MEBIBYTE = 1024 * 1024
VERBS = {
    "publish_small": "publish 1 KB",
    "cold_small": "load it, first time",
    "warm_small": "load it again",
    "publish_large": "publish the large file",
    "cold_large": "fetch it, first time",
    "warm_large": "fetch it again",
}


class Trip(NamedTuple):
    """What one call took."""

    seconds: float
    requests: int
    round_trips: int


Measured = dict[type[FarPeer], dict[str, list[Trip]]]


class Clock:
    """A rule that holds back every request, and remembers when it came."""

    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.times: list[float] = []

    def __call__(self, _: Request) -> Delay:
        """Hold it back."""
        self.times.append(perf_counter())
        return Delay(self.latency)

    def round_trips(self) -> int:
        """How many requests, one after the other, none of which began before the one before it was answered."""
        count, free = 0, 0.0
        for time in sorted(self.times):
            if time >= free:
                count, free = count + 1, time + self.latency
        return count


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large", type=int, default=1024, metavar="MIB")
    parser.add_argument("--latency", type=float, default=30.0, metavar="MS")
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args()
    with TemporaryDirectory(prefix="benchmarks-") as scratch:
        about = machine.described(Path(scratch), machine.load())
        near, far = (
            measure(Path(scratch), given.rounds, given.large * MEBIBYTE, latency / 1000)
            for latency in (0, given.latency)
        )
    words = Template(Path(__file__).with_name("far.md").read_text())
    page = words.substitute(
        large=given.large,
        latency=f"{given.latency:g}",
        machine=table(["machine", ""], about),
        rounds=given.rounds,
        near=_times(near),
        far=_times(far),
        trips=_trips(far),
    )
    print(page)
    given.page.write_text(page)


def measure(scratch: Path, rounds: int, size: int, latency: float) -> Measured:
    """All figures; in each round every peer does everything once, with nothing cached, in a bucket of its own."""
    large = scratch / "large.bin"
    with large.open("wb") as file:
        for _ in range(0, size, MEBIBYTE):
            file.write(os.urandom(MEBIBYTE))
    found: Measured = {}
    for number in range(rounds):
        for peer in PEERS:
            print(f"round {number + 1} of {rounds}, {latency * 1000:g} ms: {peer.title}", flush=True)
            with TemporaryDirectory(dir=scratch) as folder, ExitStack() as stack:
                try:
                    for verb, trip in _round(peer, stack, Path(folder), large, latency):
                        found.setdefault(peer, defaultdict(list))[verb].append(trip)
                except Failed as error:
                    print(f"{peer.title} does not run here: {error}")
    return found


def _round(
    peer: type[FarPeer], stack: ExitStack, folder: Path, large: Path, latency: float
) -> Iterator[tuple[str, Trip]]:
    server = SeaweedFS(folder / "seaweedfs")
    server.folder.mkdir()
    server.start()
    stack.callback(server.stop)
    proxy = stack.enter_context(HTTPProxy(server)) if latency else None
    place = server.place().through(proxy) if proxy else server.place()
    settings = {"url": place.url, "large": str(large), **_credentials(place.options)}
    publisher = Worker(peer.package, folder, module="benchmarks.far_worker", settings=settings)
    for verb in ("publish_small", "publish_large"):
        yield verb, _asked(publisher, proxy, verb, latency)
    publisher.stop()
    for size in ("small", "large"):
        reader = Worker(peer.package, folder, module="benchmarks.far_worker", settings=settings)
        yield f"cold_{size}", _asked(reader, proxy, f"load_{size}", latency)
        yield f"warm_{size}", _asked(reader, proxy, f"load_{size}", latency)
        reader.stop()


def _credentials(options: dict[str, str]) -> dict[str, str]:
    return {"key": options["key"], "secret": options["secret"], "endpoint": options["endpoint_url"]}


def _asked(worker: Worker, proxy: HTTPProxy | None, verb: str, latency: float) -> Trip:
    clock = Clock(latency)
    if proxy:
        proxy.clear()
        proxy.rule = clock
    (seconds,) = worker.ask(verb)
    return Trip(seconds, len(clock.times), clock.round_trips())


def _times(found: Measured) -> str:
    rows = []
    for verb, title in VERBS.items():
        own = _middle([trip.seconds for trip in found[PEERS[-1]][verb]])
        cells: list[str | float] = []
        for peer in found:
            seconds = _middle([trip.seconds for trip in found[peer][verb]])
            cells += [f"{seconds:.3f}"] if peer is PEERS[-1] else [f"{seconds:.3f}", seconds / own]
        rows.append([title, *cells])
    head = [
        cell for peer in found for cell in ([peer.title, "to modelvault"] if peer is not PEERS[-1] else [peer.title])
    ]
    return table(["seconds, median", *head], rows)


def _trips(found: Measured) -> str:
    rows = [[title, *(_counts(found[peer][verb]) for peer in found)] for verb, title in VERBS.items()]
    return table(["requests / round trips, median", *(peer.title for peer in found)], rows)


def _counts(trips: Sequence[Trip]) -> str:
    return f"{_middle([trip.requests for trip in trips]):g} / {_middle([trip.round_trips for trip in trips]):g}"


def _middle(values: Sequence[float]) -> float:
    return median(values)


if __name__ == "__main__":
    main()
