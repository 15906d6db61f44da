"""What a search costs in a local vault of 10,000 versions: `python benchmarks/find.py [COUNT]`."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import modelvault as mv
from modelvault import layout
from modelvault.canonical import digest_of
from modelvault.wire import Claim, Target, record, seal, write_manifest

MODELS = 10


def made(root: Path, count: int) -> mv.Vault:
    """A vault of `count` versions of ten models, each with its own metrics; the newest of each is in production."""
    vault = mv.open(root, cache=root.parent / "cache")
    first = vault.publish("m0", {"a": 1}, metrics={"auc": 0.5, "loss": 1.0}, params={"depth": 3, "eta": 0.1})
    for number in range(1, count):
        label, model = f"1.{number // MODELS}.0", f"m{number % MODELS}"
        metrics = {"auc": 0.5 + number / count / 2, "loss": 1 - number / count}
        update = {"model": model, "version": label, "metrics": metrics}
        raw = write_manifest(first.manifest.model_copy(update=update))
        target = record(Target, version=label, digest=digest_of(raw), size=len(raw), inline=raw.decode())
        said = record(
            Claim, model=model, target=target, txn=os.urandom(16).hex(), created=first.created, actor=first.actor
        )
        path = root / layout.claim(model, label)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(seal(said))
    for model in vault.models():
        vault.promote(f"{model}@prod", f"1.{(count - 1) // MODELS}.0", reason="newest")
    return vault


def timed(call: object, repeat: int) -> str:
    """Milliseconds, the medians of so many calls: by the clock, and of a processor, which others do not slow down as much."""
    clock, processor = list[float](), list[float]()
    for _ in range(repeat):
        began, busy = time.perf_counter(), time.process_time()
        call()  # type: ignore[operator]
        clock.append((time.perf_counter() - began) * 1000)
        processor.append((time.process_time() - busy) * 1000)
    return f"{statistics.median(clock):,.1f} ms ({statistics.median(processor):,.1f} ms of a processor)"


def main() -> None:
    """Fill, refresh and search."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "vault")
        made(root, count)
        cache = Path(folder, "cache")
        vault = mv.open(root, cache=cache)
        print(f"fill with {count:,} versions: {timed(lambda: vault.find('size < 0'), 1)}")
        print(f"file: {sum(one.stat().st_size for one in (cache / 'index').iterdir()):,} bytes")
        print(f"another process's first search: {timed(lambda: mv.open(root, cache=cache).find('size < 0'), 5)}")
        for expression in (
            "size < 0",
            "metrics.auc > 0.999",
            "metrics.auc > 0.9 and alias == 'prod'",
            "model == 'm3' and metrics.auc > 0.9 and alias == 'prod'",
            "params.depth == 3 and version >= '1.2.0' and metrics.loss < 0.001",
        ):
            hits = len(vault.find(expression))
            print(f"{expression}: {hits} found, {timed(lambda e=expression: vault.find(e), 15)}")


if __name__ == "__main__":
    main()
