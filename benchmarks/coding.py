"""The coding of parts, in memory: GB/s and size beside plain Zstandard, on one thread and on two.

    python -m benchmarks.coding [--rounds N] [--mebibytes N]

Weights are made: normal, of a deviation of their own for each part.  A fine-tune moves each of them by 1 % of it.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import NamedTuple

import numpy as np
from backports import zstd

from benchmarks import machine
from benchmarks.figures import table
from modelvault.coding import decode, encode

PART = 8 * 1024 * 1024
THREADS = (1, 2)


@dataclass(eq=False)
class Task:
    """Parts and their bases, a way to code them and back, and the sizes that it led to."""

    title: str
    parts: list[tuple[bytes, bytes]]
    code: Callable[[tuple[bytes, bytes]], bytes]
    back: Callable[[tuple[bytes, tuple[bytes, bytes]]], object]
    sizes: list[int] = field(default_factory=list)


class Taken(NamedTuple):
    """Seconds, and seconds of all cores."""

    wall: float
    cpu: float


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coding", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mebibytes", type=int, default=32, help="of each kind of weights")
    wanted = parser.parse_args()
    print(*(f"{name}: {value}" for name, value in machine.described(Path.cwd(), machine.load())), sep="\n", end="\n\n")
    print(measured(list(tasks(wanted.mebibytes * 2**20 // PART)), wanted.rounds))


def tasks(count: int) -> Iterator[Task]:
    """Every kind of weights, by itself and on its base, after a copy and plain Zstandard."""
    for dtype, made in (("BF16", bf16), ("F32", np.ndarray.tobytes)):
        parts = [(made(tuned), made(base)) for tuned, base in (weights(seed, dtype) for seed in range(count))]
        yield Task(f"{dtype}: a copy", parts, lambda one: bytes(bytearray(one[0])), lambda one: bytearray(one[0]))
        yield Task(
            f"{dtype}: zstd -1", parts, lambda one: zstd.compress(one[0], 1), lambda one: zstd.decompress(one[0])
        )
        yield _coded(f"{dtype}: planes", dtype, parts, on_base=False)
        yield _coded(f"{dtype}: delta to the base", dtype, parts, on_base=True)


def _coded(title: str, dtype: str, parts: list[tuple[bytes, bytes]], *, on_base: bool) -> Task:
    (enc,) = {encode(raw, dtype=dtype, base=base if on_base else None).enc for raw, base in parts}

    def code(one: tuple[bytes, bytes]) -> bytes:
        return encode(one[0], dtype=dtype, base=one[1] if on_base else None).data

    def back(one: tuple[bytes, tuple[bytes, bytes]]) -> object:
        return decode(enc, one[0], len(one[1][0]), one[1][1])

    return Task(title, parts, code, back)


def weights(seed: int, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """One part after and before a fine-tune, in single precision."""
    rng, count = np.random.default_rng(seed), PART // (2 if dtype == "BF16" else 4)
    deviation = np.float32(rng.uniform(0.01, 0.05))
    base = rng.standard_normal(count, "f4") * deviation
    return base + rng.standard_normal(count, "f4") * (deviation / 100), base


def bf16(found: np.ndarray) -> bytes:
    """Rounded to the nearest, ties to even."""
    words = found.view("u4")
    return ((words + 0x7FFF + (words >> 16 & 1)) >> 16).astype("<u2").tobytes()


def measured(chosen: list[Task], rounds: int) -> str:
    """The table.  In each round every task is done once each way on each number of threads."""
    taken: dict[tuple[Task, str, int], list[Taken]] = defaultdict(list)
    for _ in range(rounds):
        for task, threads in product(chosen, THREADS):
            with ThreadPoolExecutor(threads) as pool:
                coded, there = _timed(pool, task.code, task.parts)
                _, back = _timed(pool, task.back, zip(coded, task.parts, strict=True))
            taken[task, "encode", threads].append(there)
            taken[task, "decode", threads].append(back)
            task.sizes[:] = map(len, coded)
    ways = list(product(("encode", "decode"), THREADS))
    head = ["GB/s, best / median (per core-second)", "size", *(f"{way}, {threads}" for way, threads in ways)]
    return table(
        head, ([task.title, _share(task), *(_speed(task, taken[task, *way]) for way in ways)] for task in chosen)
    )


def _timed(pool: ThreadPoolExecutor, work: Callable, items: Iterable) -> tuple[list, Taken]:
    begin, busy = perf_counter(), process_time()
    done = list(pool.map(work, items))
    return done, Taken(perf_counter() - begin, process_time() - busy)


def _share(task: Task) -> str:
    return f"{sum(task.sizes) / sum(len(raw) for raw, _ in task.parts):.1%}"


def _speed(task: Task, taken: list[Taken]) -> str:
    size = sum(len(raw) for raw, _ in task.parts) / 1e9
    walls = [one.wall for one in taken]
    return f"{size / min(walls):.2f} / {size / median(walls):.2f} ({size / min(one.cpu for one in taken):.2f})"


if __name__ == "__main__":
    main()
