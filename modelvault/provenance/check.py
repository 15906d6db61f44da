"""What of a recipe is as it was.  The data is read where the record says it is, and only as far as sizes agree."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from modelvault.errors import VaultError, shown
from modelvault.folder import walk
from modelvault.provenance.data import data_ref
from modelvault.provenance.environment import lock
from modelvault.provenance.git import git, has_commit, uncommitted
from modelvault.wire import DataRef, Environment, Git, Manifest

__all__ = ["Finding", "check"]

State = Literal["same", "differs", "missing", "unknown"]


class Finding(NamedTuple):
    """One thing that was looked at: `expected` as it is recorded, `found` as it is now.

    `state` is ``same``, ``differs``, ``missing`` (there is none), or ``unknown`` (it cannot be told).
    """

    section: str
    name: str
    expected: str
    found: str
    state: Literal["same", "differs", "missing", "unknown"]


def check(manifest: Manifest, requirements: Iterable[str], patch: bytes) -> list[Finding]:
    """Look at the repository and the data of this folder, and at this interpreter."""
    said, environment = manifest.provenance, manifest.environment
    found = [*_code(said.git, patch)] if said and said.git else []
    found += [*_interpreter(environment)] if environment else []
    found += _packages(requirements)
    found += [_data("data", ref) for ref in manifest.data]
    return found + [_data("lock", ref) for ref in (said.locks if said else ())]


def _code(expected: Git, patch: bytes) -> Iterator[Finding]:
    here = git()
    if here and here.commit == expected.commit:
        yield Finding("code", "commit", expected.commit, here.commit, "same")
    elif here and has_commit(expected.commit):
        yield Finding("code", "commit", expected.commit, here.commit, "differs")
    else:
        yield Finding(
            "code", "commit", expected.commit, "not in this repository" if here else "no repository", "missing"
        )
    if patch:
        yield _compared("code", "changes", "those of changes.patch", "the same", same=uncommitted() == patch)
    elif expected.dirty:
        yield Finding("code", "changes", "some that were not kept", "", "missing")
    elif here:
        yield _compared("code", "changes", "none", "none", same=not here.dirty)


def _compared(section: str, name: str, expected: str, good: str, *, same: bool) -> Finding:
    return Finding(section, name, expected, good if same else "others", "same" if same else "differs")


def _interpreter(expected: Environment) -> Iterator[Finding]:
    here = f"{sys.implementation.name} {platform.python_version()}", f"{sys.platform}-{platform.machine()}"
    recorded = f"{expected.implementation} {expected.python}", expected.platform
    for name, old, new in zip(("python", "platform"), recorded, here, strict=True):
        yield Finding("environment", name, old, new, "same" if old == new else "differs")


def _packages(requirements: Iterable[str]) -> Iterator[Finding]:
    here = dict(map(_split, lock().split("\n")))
    for name, version in map(_split, filter(None, requirements)):
        found = here.get(name)
        state: State = "missing" if found is None else "same" if found == version else "differs"
        yield Finding("package", name, version, found or "", state)


def _split(requirement: str) -> tuple[str, str]:
    name, pinned, version = requirement.partition("==")
    if pinned:
        return name.lower(), version
    name, _, origin = requirement.partition(" @ ")
    return name.lower(), origin


def _data(section: str, ref: DataRef) -> Finding:
    try:
        found, state = _in_memory(ref) or _elsewhere(ref) or _local(ref)
    except (VaultError, OSError) as error:
        found, state = f"cannot be told: {shown(error)}", "unknown"
    return Finding(section, ref.uri, _worth(ref), found, state)


def _in_memory(ref: DataRef) -> tuple[str, State] | None:
    return ("it was in memory", "unknown") if ref.rows is not None else None


def _elsewhere(ref: DataRef) -> tuple[str, State] | None:
    if "://" not in ref.uri or ref.uri.startswith("file://"):
        return None
    return ("", "unknown") if ref.how == "unread" else _judged(ref, data_ref(ref.uri))


def _local(ref: DataRef) -> tuple[str, State]:
    path = Path(ref.uri.removeprefix("file://"))
    if not path.exists():
        return "", "missing"
    size = _size(path, ref.size or 0)
    more = " or more" if path.is_dir() else ""
    return (f"{size:,} bytes{more}", "differs") if size != ref.size else _judged(ref, data_ref(path))


def _size(path: Path, enough: int) -> int:
    """The bytes at `path`, or more than `enough`: a stranger may have named all of this machine."""
    if not path.is_dir():
        return os.stat(path).st_size
    total = 0
    for file, _ in walk(path):
        total += os.stat(file).st_size
        if total > enough:
            break
    return total


def _judged(ref: DataRef, here: DataRef) -> tuple[str, State]:
    if here.how != ref.how:
        return _worth(here), "unknown"
    same = (here.digest, here.etag, here.size) == (ref.digest, ref.etag, ref.size)
    return _worth(here), "same" if same else "differs"


def _worth(ref: DataRef) -> str:
    size = "" if ref.size is None else f"{ref.size:,} bytes"
    return ref.digest or ref.etag or size or ref.how
