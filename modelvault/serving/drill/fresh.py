"""What runs in the fresh process: load the files in a folder, which were verified, and answer to the examples."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from modelvault import formats
from modelvault.errors import VaultError, shown
from modelvault.signature.examples import read
from modelvault.signature.recording import replayed

__all__ = ["main"]


class _Laid:
    """The files of a version in a folder: see `modelvault.formats.Files`."""

    def __init__(self, folder: Path, paths: tuple[str, ...]) -> None:
        self._folder = folder
        self.paths = paths

    def read(self, path: str) -> bytes:
        return (self._folder / path).read_bytes()

    def map(self, path: str) -> memoryview:
        from mmap import ACCESS_COPY, mmap

        with open(self._folder / path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            return memoryview(mmap(file.fileno(), size, access=ACCESS_COPY) if size else bytearray())

    def folder(self) -> Path:
        return self._folder


def main(job: Mapping[str, Any]) -> None:
    """Write a line of JSON when all parts are loaded, and one when they have answered."""
    with open(job["result"], "w", encoding="ascii") as out:
        try:
            began = time.perf_counter()
            models = [_loaded(part) for part in job["parts"]]
            _say(out, {"load_s": round(time.perf_counter() - began, 4), "peak_rss": _peak(), "at": time.time()})
        except VaultError as error:
            _say(out, {"error": f"{error.code}: {shown(error)}"})
            return
        _say(out, _answered(zip(job["parts"], models, strict=True)))


def _loaded(part: Mapping[str, Any]) -> object:
    return formats.named(part["format"]).load(_Laid(Path(part["folder"]), tuple(part["paths"])))


def _answered(parts: Iterable[tuple[Mapping[str, Any], object]]) -> dict[str, Any]:
    """The outputs that differ; None, and why, if one cannot be compared."""
    differing: list[str] = []
    outputs, took = 0, 0.0
    for part, model in parts:
        if part["example"]:
            example = read(Path(part["example"]).read_bytes(), part["ref"])
            began = time.perf_counter()
            found, why = replayed(model, example)
            took += time.perf_counter() - began
            if found is None:
                return {"answered": None, "why": f"{part['ref']}: {why}"}
            outputs += len(example.outputs)
            differing += [f"{name} of {part['ref']}" for name in found]
    return {"answered": differing, "outputs": outputs, "answer_s": round(took, 4)}


def _say(out: Any, said: dict[str, Any]) -> None:
    out.write(json.dumps(said) + "\n")
    out.flush()


def _peak() -> int:
    """Bytes of memory that this process has used at most, as far as the system tells.

    What `getrusage` says begins, on Linux, with what the parent had.
    """
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
