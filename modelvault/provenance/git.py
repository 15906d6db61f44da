"""The commit of the working directory."""

from __future__ import annotations

import os
import subprocess

from modelvault.provenance.data import without_secrets
from modelvault.wire import Git

__all__ = ["git"]

_SECONDS = 10.0
_STATUS = ("status", "--porcelain=v2", "--branch", "--untracked-files=no")
_REMOTE = ("config", "--get", "remote.origin.url")
_NO_PROGRAMS = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
"""A repository's own settings may name programs; they are not run."""


def git() -> Git | None:
    """The commit that is checked out here; None outside a repository, before its first commit, or without git."""
    status, remote = _answers(_STATUS, _REMOTE)
    lines = status.splitlines()
    commit = next((line.split()[-1] for line in lines if line.startswith("# branch.oid ")), "")
    if not commit or commit == "(initial)":
        return None
    dirty = any(not line.startswith("#") for line in lines)
    return Git(commit=commit, dirty=dirty, remote=without_secrets(remote) if remote else None)


def _answers(*questions: tuple[str, ...]) -> list[str]:
    """What git says to each; "" where it has no answer.  All are asked at once."""
    settings = os.environ | {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    try:
        asked = [
            subprocess.Popen(  # noqa: S603 - fixed words, git as the user has it
                ["git", *_NO_PROGRAMS, *question],  # noqa: S607
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=settings,
            )
            for question in questions
        ]
    except OSError:
        return [""] * len(questions)
    return [_answer(one) for one in asked]


def _answer(process: subprocess.Popen[bytes]) -> str:
    with process:
        try:
            said, _ = process.communicate(timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return ""
        return said.decode("utf-8", "replace").strip() if process.returncode == 0 else ""
