"""The target in a fresh process: it loads, and answers as it did when it was published."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from modelvault.errors import shown
from modelvault.paths import is_ours
from modelvault.serving.drill.bench import Drill, Failed, Figures, Skipped
from modelvault.signature.examples import LIMIT, PATH
from modelvault.wire import Manifest

__all__ = ["answers", "loads"]

_BEGIN = """
import json, sys
job = json.load(sys.stdin)
sys.path[:] = job["path"]
from modelvault.serving.drill.fresh import main
main(job)
"""
_TAIL = 300


def loads(drill: Drill) -> Figures:
    """A process that has never seen it loads it."""
    for name, part in drill.parts.items():
        drill.bench.trusted(part)
        if name not in drill.folders:
            drill.folders[name] = drill.bench.files(part, kept=True)
    said, took = _tried(drill)
    drill.answered = said
    return {"start_s": round(took, 3), "load_s": said["load_s"], "peak_rss_bytes": said["peak_rss"]}


def answers(drill: Drill) -> Figures:
    """It gives the recorded outputs on the recorded examples."""
    said = drill.answered
    if not any(map(_has_example, drill.parts.values())):
        raise Skipped("no examples were recorded")
    if "answered" not in said:
        raise Failed(said["ended"])
    if said["answered"] is None:
        raise Failed(said["why"])
    if said["answered"]:
        raise Failed(f"other values: {', '.join(map(shown, said['answered']))}")
    return {"outputs": said["outputs"], "answer_s": said["answer_s"]}


def _has_example(manifest: Manifest) -> bool:
    return any(file.path == PATH and file.size <= LIMIT for file in manifest.files)


def _tried(drill: Drill) -> tuple[dict[str, Any], float]:
    """What the process said, and how long it took to the loaded model."""
    result, errors = drill.bench.scratch / "said.jsonl", drill.bench.scratch / "errors.txt"
    job = json.dumps(_job(drill, result)).encode()
    began = time.time()
    with open(errors, "wb") as log:
        try:
            done = subprocess.run(  # noqa: S603 - this interpreter
                [sys.executable, "-P", "-c", _BEGIN],
                input=job,
                stdout=subprocess.DEVNULL,
                stderr=log,
                timeout=drill.left,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            done = None
    said: dict[str, Any] = {}
    for line in result.read_text().splitlines() if result.exists() else ():
        said |= json.loads(line)
    ended = _ended(done, errors)
    if "load_s" not in said:
        raise Failed(said.get("error") or ended)
    return said | {"ended": ended}, said["at"] - began


def _job(drill: Drill, result: Path) -> dict[str, Any]:
    parts = [_part(drill, part, drill.folders[name]) for name, part in drill.parts.items()]
    return {"path": [os.path.abspath(path) for path in sys.path], "parts": parts, "result": str(result)}


def _part(drill: Drill, part: Manifest, folder: Path) -> dict[str, Any]:
    ref, example = f"{part.model}:{part.version}", None
    if _has_example(part):
        example = drill.bench.scratch / f"example-{part.model}-{part.version}.json"
        example.write_bytes(drill.bench.read(next(file for file in part.files if file.path == PATH)))
    paths = [file.path for file in part.files if not is_ours(file.path)]
    place = {"folder": str(folder), "paths": paths, "example": str(example) if example else None}
    return {"ref": ref, "format": part.format, **place}


def _ended(code: int | None, errors: Path) -> str:
    """In words, how the process ended."""
    if code is None:
        return "the process did not end within the budget"
    how = f"the process ended with signal {-code}" if code < 0 else f"the process ended with code {code}"
    last = errors.read_bytes()[-_TAIL:].decode(errors="replace").strip().rpartition("\n")[2]
    return how + (f": {shown(last)}" if last else "")
