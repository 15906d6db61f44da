"""The commit of the working directory, and what is not committed."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator

from modelvault.canonical import refuse_secret
from modelvault.errors import Code, InvalidInput, shown
from modelvault.provenance.urls import without_credentials
from modelvault.secrets import redacted
from modelvault.wire import Git, record

__all__ = ["changes", "git", "has_commit", "uncommitted"]

_SECONDS = 10.0
_SETTINGS = ("config", "-z", "--get-regexp", r"^(remote\.origin\.url|filter\..*)$")
_STATUS = ("status", "--porcelain=v2", "--branch", "--untracked-files=no", "--ignore-submodules=dirty")
_DIFF = ("diff", "HEAD", "--binary", "--no-ext-diff", "--no-textconv", "--no-color", "--ignore-submodules=dirty")
_UNTRACKED = ("ls-files", "--others", "--exclude-standard", "-z", ":/")
_LIMIT, _NAMED = 16 * 1024 * 1024, 1000
_QUIET = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1"}


def git() -> Git | None:
    """The commit that is checked out here; None outside a repository, before its first commit, or without git."""
    settings = _settings()
    remote = settings.pop("remote.origin.url", "")
    lines = _answer(_STATUS, _no_programs(settings)).splitlines()
    commit = next((line.split()[-1] for line in lines if line.startswith("# branch.oid ")), "")
    if not commit or commit == "(initial)":
        return None
    dirty = any(not line.startswith("#") for line in lines)
    return record(Git, commit=commit, dirty=dirty, remote=redacted(without_credentials(remote)) if remote else None)


def _settings() -> dict[str, str]:
    said = _answer(_SETTINGS, {}).split("\0")
    return dict(line.partition("\n")[::2] for line in said if line)


def changes() -> bytes:
    """What is not committed, as a patch for ``git apply``; before it the names of files that git does not know.

    Raises:
        InvalidInput: `secret-found`, with file and line; `too-large`, more than 16 MiB.
    """
    patch = uncommitted()
    if len(patch) > _LIMIT:
        raise InvalidInput(
            f"the changes that are not committed have {len(patch):,} bytes, more than {_LIMIT:,}",
            code=Code.TOO_LARGE,
            hint="commit them",
        )
    for name, line, text in _lines(patch.decode("utf-8", "replace")):
        refuse_secret(text, f"line {line} of the changes to {shown(name)} that are not committed")
    return patch


def uncommitted() -> bytes:
    """As `changes`, whatever is in it."""
    quiet = _no_programs(_settings())
    unknown = sorted(filter(None, _answer(_UNTRACKED, quiet).split("\0")))
    lines = [f"# untracked: {shown(name)}\n" for name in unknown[:_NAMED]]
    return "".join(lines).encode() + _output(_DIFF, quiet)


def has_commit(commit: str) -> bool:
    """The repository of the working directory has a commit of this name, which is 40 or 64 hex digits."""
    known = re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", commit)
    return bool(known and _answer(("cat-file", "-t", commit), {}) == "commit")


def _lines(patch: str) -> Iterator[tuple[str, int, str]]:
    """File, number and text of each line of a patch; a block of many lines is one text with its first."""
    for piece in re.split(r"^(?=diff --git )", patch, flags=re.MULTILINE):
        head, _, body = piece.partition("\n@@")
        name = head.partition("\n")[0].rpartition(" b/")[2]
        lines = body.split("\n")
        if "PRIVATE KEY" in body:
            yield name, 1, body
        yield from ((name, number, line[1:]) for number, line in enumerate(lines, 1))


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
    return _output(words, settings).decode("utf-8", "replace").strip()


def _output(words: tuple[str, ...], settings: dict[str, str]) -> bytes:
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
        return b""
    return done.stdout if done.returncode == 0 else b""
