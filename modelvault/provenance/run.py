"""How a version was made, this time: the command, the notebook, the seeds, the machine, the run of a tracker.

Nothing is imported, started or asked for it: what is there already is looked at.  No environment variable is read.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from modelvault.provenance.hiding import hidden, hidden_arguments
from modelvault.provenance.urls import without_credentials
from modelvault.wire import NAME_LIMIT, Algorithm, Hardware, Run, record

__all__ = ["run"]

_COMMAND_LIMIT = 8 * 1024
"""Characters of a command: a longer one is not recorded."""
_WITH_VALUE, _SEEDS = "WX", {"seed", "random_seed", "random_state"}
_UNSEEDED = 67280421310721
"""What torch says where no seed was set."""
_NOTEBOOKS = ("__vsc_ipynb_file__", "__session__")
"""Where notebooks leave their path, in the namespace of their cells."""


def run(params: Mapping[str, Any], algorithm: Algorithm | None) -> Run:
    """What is known of this process; `params` and `algorithm` are searched for seeds."""
    root = _root(Path.cwd()) if _has_folder() else None
    return record(
        Run,
        command=_command(sys.orig_argv),
        folder=os.path.relpath(Path.cwd(), root) if root else None,
        notebook=_notebook(vars(sys.modules["__main__"])),
        seeds=dict(_seeds(params, algorithm)),
        hardware=_hardware(),
        tracking=_tracking(),
    )


def _has_folder() -> bool:
    with contextlib.suppress(OSError):
        return bool(os.getcwd())
    return False


def _root(folder: Path) -> Path | None:
    return next((one for one in (folder, *folder.parents) if (one / ".git").exists()), None)


def _command(argv: list[str]) -> tuple[str, ...]:
    """`argv` as another can run it: ``python`` for the interpreter, the script relative to this folder; no ``-c`` code."""
    try:
        words = [*_interpreted(iter(argv[1:]))]
        short = sum(map(len, words)) <= _COMMAND_LIMIT
        return tuple(hidden_arguments(words)) if words and short and "\0".join(words).encode() else ()
    except UnicodeEncodeError:
        return ()


def _interpreted(words: Iterator[str]) -> Iterator[str]:
    options = list[str]()
    for word in words:
        if not word.startswith("-") or word == "-":
            yield from () if word == "-" else (*_program(word, options), *words)
            return
        options.append(word)
        kind = next((letter for letter in word[1:] if letter in "cm" + _WITH_VALUE), "")
        if kind == "c":
            return
        if kind == "m":
            yield from ("python", *options, *words)
            return
        if kind and word.endswith(kind):
            options.append(next(words, ""))


def _program(script: str, options: list[str]) -> list[str]:
    if not os.path.isabs(script) or not _has_folder():
        return ["python", *options, script]
    installed = os.path.dirname(sys.executable)
    if os.path.dirname(script) == installed and not script.endswith(".py"):
        return [os.path.basename(script)]
    near = os.path.relpath(script)
    return ["python", *options, script if near.startswith("..") else near]


def _notebook(names: Mapping[str, Any]) -> str | None:
    found = (names.get(name) for name in _NOTEBOOKS)
    paths = [path for path in found if isinstance(path, str) and path.endswith(".ipynb")]
    return hidden(os.path.basename(paths[0]))[:NAME_LIMIT] if paths else None


def _seeds(params: Mapping[str, Any], algorithm: Algorithm | None) -> Iterator[tuple[str, int]]:
    for said in (params, algorithm.params if algorithm else {}):
        for name, value in said.items():
            if name in _SEEDS and type(value) is int and abs(value) < 2**63:
                yield name, value
    torch: Any = sys.modules.get("torch")
    with contextlib.suppress(Exception):  # a torch that is half imported
        seed = torch.initial_seed() if torch else _UNSEEDED
        if seed != _UNSEEDED and 0 <= seed < 2**63:
            yield "torch", seed


@functools.lru_cache(maxsize=1)
def _hardware() -> Hardware:
    return record(
        Hardware,
        cpu=next(_lines("/proc/cpuinfo", "model name"), "")[:NAME_LIMIT],
        cores=os.cpu_count(),
        memory=_memory(),
        gpus=tuple(
            gpu
            for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
            for gpu in _lines(path, "Model")
        ),
    )


def _memory() -> int | None:
    with contextlib.suppress(ValueError, OSError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def _lines(path: str | Path, name: str) -> Iterator[str]:
    """What stands behind `name` in the lines ``name : value`` of a file of the kernel."""
    with contextlib.suppress(OSError, UnicodeDecodeError), open(path, encoding="utf-8") as lines:
        for line in lines:
            key, _, value = line.partition(":")
            if key.strip() == name:
                yield value.strip()


def _tracking() -> dict[str, str]:
    found = dict[str, str]()
    mlflow, wandb = sys.modules.get("mlflow"), sys.modules.get("wandb")
    with contextlib.suppress(Exception):  # what a tracker says is welcome, and never a reason to fail
        found |= _mlflow(mlflow) if mlflow else {}
    with contextlib.suppress(Exception):
        found |= _wandb(wandb) if wandb else {}
    return {name: hidden(value) for name, value in found.items()}


def _mlflow(mlflow: Any) -> dict[str, str]:
    active = mlflow.active_run()
    if active is None:
        return {}
    where = without_credentials(str(mlflow.get_tracking_uri()))
    return {"mlflow.run": str(active.info.run_id), "mlflow.place": where}


def _wandb(wandb: Any) -> dict[str, str]:
    active = wandb.run
    if active is None:
        return {}
    link = {"wandb.url": without_credentials(str(active.url))} if active.url else {}
    return {"wandb.run": str(active.path)} | link
