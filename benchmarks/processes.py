"""Processes, measured from outside: fresh ones from start to end, warm ones by what they answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

from benchmarks.peers import ENVIRONMENT

ROOT = Path(__file__).resolve().parent.parent


class Failed(Exception):
    """A peer does not run here; the message is the last line that it printed."""


class Cost(NamedTuple):
    """Of a whole process, in seconds: on the clock, and of processor time (user and system, its children too)."""

    wall: float
    cpu: float


def fresh(code: str, folder: Path) -> tuple[Cost, str]:
    """What a new interpreter costs that runs `code` in `folder` and ends; what it printed last."""
    begin = perf_counter()
    process = _started(["-c", code], folder, stdin=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    cost = Cost(perf_counter() - begin, used.ru_utime + used.ru_stime)
    process.returncode = os.waitstatus_to_exitcode(status)
    with process:
        printed = process.stdout.read()
    if process.returncode:
        raise Failed(_last_words(folder))
    return cost, printed.strip().rpartition("\n")[2]


class Worker:
    """A warm process that runs `package` in `folder`."""

    def __init__(
        self,
        package: str,
        folder: Path,
        *,
        module: str = "benchmarks.worker",
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = folder
        arguments = ["-m", module, package, str(folder)]
        self._process = _started(arguments, folder, cwd=ROOT, stdin=subprocess.PIPE, settings=settings)
        self.row, self.answer = self._reply()

    def ask(self, verb: str) -> list[float]:
        """Seconds of each call of `verb`; none, if the peer has no such verb."""
        with suppress(BrokenPipeError):  # it has ended; the reply will say so
            self._process.stdin.write(verb + "\n")
            self._process.stdin.flush()
        return self._reply()

    def stop(self) -> None:
        """Let it end."""
        with suppress(BrokenPipeError):
            self._process.communicate()

    def _reply(self) -> Any:
        line = self._process.stdout.readline()
        if not line:
            self.stop()
            raise Failed(_last_words(self._folder))
        return json.loads(line)


def _started(
    arguments: list[str],
    folder: Path,
    *,
    cwd: Path | None = None,
    stdin: int,
    settings: Mapping[str, str] | None = None,
) -> subprocess.Popen[str]:
    with _log(folder).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=cwd or folder,
            env=_environment() | {"SETTINGS": json.dumps(settings or {})},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )


def _environment() -> dict[str, str]:
    """As it is, but bytecode is kept, as it is where packages are installed: nobody's start is a compilation."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | ENVIRONMENT


def _log(folder: Path) -> Path:
    return folder.with_suffix(".log")


def _last_words(folder: Path) -> str:
    said = _log(folder).read_text(errors="replace").strip()
    return said.rpartition("\n")[2] or "it ended without a word"
