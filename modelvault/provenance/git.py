"""The commit of the working directory."""

from __future__ import annotations

import os
import subprocess

from modelvault.provenance.data import without_secrets
from modelvault.wire import Git

__all__ = ["git"]

_SECONDS = 10.0


def git() -> Git | None:
    """The commit that is checked out here; None outside a repository, or without git."""
    commit = _ask("rev-parse", "--verify", "HEAD")
    if not commit:
        return None
    changed = _ask("status", "--porcelain", "--untracked-files=no")
    remote = _ask("remote", "get-url", "origin")
    return Git(
        commit=commit, dirty=changed is None or bool(changed), remote=without_secrets(remote) if remote else None
    )


def _ask(*words: str) -> str | None:
    """What git answers; None where it has no answer.  A repository's own settings may name programs: not run."""
    command = ["git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", *words]
    settings = os.environ | {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            command, capture_output=True, timeout=_SECONDS, check=False, env=settings, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else None
