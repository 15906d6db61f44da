"""A version is tried in a fresh process first: one that crashes or hangs when it is loaded does it there.

What it only fails at is left to the process that wants it, which fails alike and says why.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from modelvault import formats
from modelvault.cache import folders
from modelvault.cache.flight import alone
from modelvault.errors import Code, Unsupported, VaultError
from modelvault.serving.source import Source
from modelvault.wire import Manifest, Move

__all__ = ["survived", "tried"]

_LIMIT = 300.0
"""Seconds that a version may take to load and to answer to its examples."""
_SLICE = 0.2
_PROGRAM = "from modelvault.serving.isolated import main; main()"
_BEGUN, _DONE = b"begun\n", b"done\n"


def tried(
    source: Source,
    manifest: Manifest,
    move: Move,
    folder: Path | None,
    overtaken: Callable[[], bool],
    *,
    always: bool = False,
) -> None:
    """Load the version that `move` points to in a process of its own, and call it with its examples.

    Only if it is stored in a format that runs code, and this host has not loaded it before; or `always`.

    Raises:
        Unsupported: `load-failed`, that process died, or had to be ended.
    """
    assert move.target is not None
    if not always and formats.named(manifest.format).safe:
        return
    name = move.target.digest.partition(":")[2]
    mark = folder and folder / "tried" / name
    if not always and mark and mark.exists():
        return
    with alone(folder and folder / "locks", name, lambda: bool(mark and mark.exists())) as alive:
        if always or not (mark and mark.exists()):
            _run(source, manifest, move, overtaken, alive)
    survived(move, folder)


def survived(move: Move, folder: Path | None) -> None:
    """Loading the version that `move` points to does no harm on this host."""
    if folder and move.target:
        with suppress(OSError, VaultError):
            (folders.own(folder / "tried") / move.target.digest.partition(":")[2]).touch(0o600)


def _run(
    source: Source, manifest: Manifest, move: Move, overtaken: Callable[[], bool], alive: Callable[[], None]
) -> None:
    ref = f"{manifest.model}:{manifest.version}"
    try:
        given: bytes | None = pickle.dumps((source, manifest, move))
    except Exception:  # a store in memory, or of a user's own, cannot go to another process
        return
    end = time.monotonic() + _LIMIT
    process = subprocess.Popen(  # noqa: S603 - this interpreter, and a program that stands above
        [sys.executable, "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    try:
        while True:
            try:
                said, _ = process.communicate(given, timeout=_SLICE)
                break
            except subprocess.TimeoutExpired:
                given = None
                alive()
            if time.monotonic() > end:
                raise _failed(ref, f"did not load within {_LIMIT:g} s")
            if overtaken():
                raise _failed(ref, "was not loaded: the alias has moved on")
    finally:
        _kill(process)
    if said == _BEGUN and process.returncode:
        raise _failed(ref, f"ended the process that loaded it: {_cause(process.returncode)}")
    if said == _BEGUN:
        raise _failed(ref, "ended the process that loaded it")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The process, and whatever it has started; at once."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream:
            with suppress(OSError):
                stream.close()


def _cause(code: int) -> str:
    with suppress(ValueError):
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return f"signal {-code}"


def _failed(ref: str, what: str) -> Unsupported:
    return Unsupported(f"{ref} {what}, in a process of its own", code=Code.LOAD_FAILED, ref=ref)


def main() -> None:
    """What the process does: says that it has begun, and then that it is done, or failed and has lived to say so."""
    out = os.dup(1)
    os.dup2(2, 1)
    source, manifest, move = pickle.load(sys.stdin.buffer)  # noqa: S301 - of the process that has started this one
    os.write(out, _BEGUN)
    with suppress(Exception):  # it is raised again where the version is wanted
        _load(source, manifest, move)
    os.write(out, _DONE)
    os._exit(0)


def _load(source: Source, manifest: Manifest, move: Move) -> None:
    from modelvault.signature.calls import answers
    from modelvault.signature.recording import recorded

    model = source.load(manifest, move)
    example = recorded(manifest, source.catalog.blobs.read)
    if example is not None:
        answers(model, example.inputs)
