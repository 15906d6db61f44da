"""Compressed versions in a local vault: bytes stored, seconds and memory, step by step.

    python -m benchmarks.compressed [--mebibytes N]

Weights are made, as in `benchmarks.coding`: normal, of a deviation of their own for each tensor of 8 MiB, half of the bytes in
BF16 and half in F32.  Each step is a fresh process.  An alias points to the first version, and the others are differences to that.
Seconds of the clock, and of all cores together.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks import machine
from benchmarks.coding import bf16
from benchmarks.figures import table

MIB = 2**20
TENSOR = 8 * MIB
VERSIONS = {
    "the first version": (0.0, 0),
    "every weight moved by 1 % of the deviation": (0.01, 0),
    "every weight moved by 0.1 % of the deviation": (0.001, 0),
    "5 % of the tensors of the first changed": (0.0, 20),
    "all tensors retrained": (0.0, 1),
}
"""The step, and of how many tensors one is retrained; none if 0."""


def main() -> None:
    """Measure, print; or do one step, and print what it took."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compressed", description=__doc__.partition("\n")[0])
    parser.add_argument("--mebibytes", type=int, default=1024)
    parser.add_argument("--raw", action="store_true", help="the same, not compressed")
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.step:
        verb, place = wanted.step
        print(json.dumps(taken(verb, Path(place), compress=not wanted.raw)))
        return
    print(*(f"{name}: {value}" for name, value in machine.described(Path.cwd(), machine.load())), sep="\n", end="\n\n")
    with tempfile.TemporaryDirectory(prefix="modelvault-bench-") as place:
        print(
            table(
                ["", "MiB stored", "publish", "of cores", "memory", "fetch", "of cores", "memory"],
                rows(wanted, Path(place)),
            )
        )


def rows(wanted: argparse.Namespace, place: Path) -> Iterator[list[str]]:
    """A line for each version; seconds, and MiB of memory."""
    options = ["--raw"] if wanted.raw else []
    for title, (step, every) in VERSIONS.items():
        write(place / "model.safetensors", wanted.mebibytes * MIB // TENSOR, step, every)
        before = stored(place / "vault")
        published, fetched = (_process([*options, "--step", verb, str(place)]) for verb in ("publish", "fetch"))
        new = f"{(stored(place / 'vault') - before) / MIB:.1f} of {os.path.getsize(place / 'model.safetensors') / MIB:.0f}"
        yield [title, new, *_figures(published), *_figures(fetched)]


def _figures(found: dict[str, float]) -> list[str]:
    return [f"{found['wall']:.1f} s", f"{found['cpu']:.1f} s", f"{found['memory']:.0f} MiB"]


def _process(arguments: list[str]) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.compressed", *arguments]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def taken(verb: str, place: Path, *, compress: bool) -> dict[str, float]:
    """Seconds, seconds of all cores, and MiB above what was in memory before; what is fetched is compared, unmeasured."""
    import modelvault

    vault = modelvault.open(place / "vault", cache=False, progress=False)
    before, begin, busy = _memory("VmRSS"), time.perf_counter(), time.process_time()
    if verb == "publish":
        first = not vault.models()
        version = vault.publish("m", place / "model.safetensors", bump=None if first else "minor", compress=compress)
    else:
        folder = vault.fetch(f"m:{vault.versions('m')[0].number}", place / "out")
    wall, cpu, memory = time.perf_counter() - begin, time.process_time() - busy, _memory("VmHWM") - before
    if verb == "publish" and first:
        vault.promote("m@prod", version, reason="first")
    if verb == "fetch":
        subprocess.run(["cmp", folder / "model.safetensors", place / "model.safetensors"], check=True)
        subprocess.run(["rm", "-r", folder], check=True)
    return {"wall": wall, "cpu": cpu, "memory": memory}


def _memory(name: str) -> float:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))


def stored(vault: Path) -> int:
    """The bytes of all blobs."""
    return sum(path.stat().st_size for path in (vault / "blobs").rglob("*") if path.is_file())


def write(path: Path, count: int, step: float, every: int) -> None:
    """A safetensors file of so many tensors."""
    header, at = {}, 0
    for number in range(count):
        dtype, width = (("BF16", 2), ("F32", 4))[number % 2]
        header[f"t{number:04}"] = {"dtype": dtype, "shape": [TENSOR // width], "data_offsets": [at, at + TENSOR]}
        at += TENSOR
    raw = json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    with open(path, "wb") as out:
        out.write(len(raw).to_bytes(8, "little") + raw)
        for number in range(count):
            seed = [number, every if every and number % every == 0 else 0]
            out.write(tensor(seed, "BF16" if number % 2 == 0 else "F32", step))


def tensor(seed: list[int], dtype: str, step: float) -> bytes:
    """The bytes of one tensor."""
    rng, count = np.random.default_rng(seed), TENSOR // (2 if dtype == "BF16" else 4)
    deviation = np.float32(rng.uniform(0.01, 0.05))
    values = rng.standard_normal(count, "f4") * deviation
    if step:
        values += rng.standard_normal(count, "f4") * (deviation * np.float32(step))
    return bf16(values) if dtype == "BF16" else values.tobytes()


if __name__ == "__main__":
    main()
