"""What runs in the fresh process: load the files in a folder, which were verified, and answer to the examples."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
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
    """Write a line of JSON when it is loaded, and one when it has answered."""
    with open(job["result"], "w", encoding="ascii") as out:
        try:
            began = time.perf_counter()
            model = formats.named(job["format"]).load(_Laid(Path(job["folder"]), tuple(job["paths"])))
            _say(out, {"load_s": round(time.perf_counter() - began, 4), "peak_rss": _peak(), "at": time.time()})
        except VaultError as error:
            _say(out, {"error": f"{error.code}: {shown(error)}"})
            return
        if job["example"]:
            example = read(Path(job["example"]).read_bytes(), job["ref"])
            began = time.perf_counter()
            differing, why = replayed(model, example)
            took = round(time.perf_counter() - began, 4)
            said = {"answered": differing, "why": why, "outputs": len(example.outputs), "answer_s": took}
            _say(out, said)


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
