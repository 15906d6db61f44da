"""The commit of the working directory."""

from __future__ import annotations

import os
import subprocess

from modelvault.provenance.data import without_secrets
from modelvault.wire import Git, record

__all__ = ["git"]

_SECONDS = 10.0
_SETTINGS = ("config", "-z", "--get-regexp", r"^(remote\.origin\.url|filter\..*)$")
_STATUS = ("status", "--porcelain=v2", "--branch", "--untracked-files=no", "--ignore-submodules=dirty")
_QUIET = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1"}


def git() -> Git | None:
    """The commit that is checked out here; None outside a repository, before its first commit, or without git."""
    said = _answer(_SETTINGS, {}).split("\0")
    settings = dict(line.partition("\n")[::2] for line in said if line)
    remote = settings.pop("remote.origin.url", "")
    lines = _answer(_STATUS, _no_programs(settings)).splitlines()
    commit = next((line.split()[-1] for line in lines if line.startswith("# branch.oid ")), "")
    if not commit or commit == "(initial)":
        return None
    dirty = any(not line.startswith("#") for line in lines)
    return record(Git, commit=commit, dirty=dirty, remote=without_secrets(remote) if remote else None)


def _no_programs(filters: dict[str, str]) -> dict[str, str]:
    """Settings that go before those of the repository, which may name programs to run: a stranger may have written them."""
    off = {"core.fsmonitor": "false", "core.hooksPath": os.devnull}
    for driver in {key.rpartition(".")[0] for key in filters}:
        off |= {f"{driver}.clean": "", f"{driver}.process": "", f"{driver}.required": "false"}
    numbered = {f"GIT_CONFIG_KEY_{n}": key for n, key in enumerate(off)}
    numbered |= {f"GIT_CONFIG_VALUE_{n}": value for n, value in enumerate(off.values())}
    return numbered | {"GIT_CONFIG_COUNT": str(len(off))}


def _answer(words: tuple[str, ...], settings: dict[str, str]) -> str:
    """What git says; "" where it has no answer."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed words, git as the user has it
            ["git", *words],  # noqa: S607
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            env=os.environ | _QUIET | settings,
        )
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return ""
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else ""
