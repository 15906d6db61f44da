"""The recipe of a version: what it takes to make it again, as files for people and programs.

All that it is made of was written by a stranger.  It is data here: nothing of it is run, and what stands in the script is
checked or quoted.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelvault.errors import AlreadyExists, Code, StoreError, shown
from modelvault.provenance.check import Finding, check
from modelvault.secrets import HIDDEN
from modelvault.wire import Manifest, Provenance, Run, as_json

__all__ = ["Recipe"]

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?"
_PINNED = re.compile(
    rf"{_NAME}(?:==[A-Za-z0-9.!+_-]{{1,100}}"
    r"| @ https://[\w./~%+=-]{1,500}| @ git\+(?:https|ssh)://[\w./~%+:-]{1,500}@[0-9a-f]{40,64})",
    re.ASCII,
)
_PYTHON = re.compile(r"\d{1,2}\.\d{1,3}(?=\.|\Z)", re.ASCII)
_SHOWN = 4_000


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a version was made: its record, and the changes to the code that were kept."""

    manifest: Manifest
    patch: bytes

    @property
    def ref(self) -> str:
        """``model:number``."""
        return f"{self.manifest.model}:{self.manifest.version}"

    @property
    def requirements(self) -> list[str]:
        """What was installed, a requirement of pip each."""
        if self._provenance.lock:
            return self._provenance.lock.split("\n")
        packages = self.manifest.environment.packages if self.manifest.environment else {}
        return [f"{name}=={version}" for name, version in packages.items()]

    def check(self) -> list[Finding]:
        """What of the recipe is as it was, here and now: the repository and data of this folder, this interpreter."""
        return check(self.manifest, self.requirements, self.patch)

    def write(self, to: Path) -> Path:
        """The recipe as files in `to`, which is new or empty.

        Raises:
            AlreadyExists: `target-exists`, something is in `to`.
            StoreError: `store-denied`, it cannot be written.
        """
        try:
            to.mkdir(parents=True, exist_ok=True)
            if any(to.iterdir()):
                raise _exists(to)
            for name, data in self.files().items():
                with open(to / name, "xb") as file:
                    file.write(data)
        except (FileExistsError, NotADirectoryError) as error:
            raise _exists(to) from error
        except OSError as error:
            raise StoreError(
                f"cannot write {shown(to)}: {error.strerror}", code=Code.STORE_DENIED, ref=shown(to)
            ) from error
        return to

    def files(self) -> dict[str, bytes]:
        """By name: the recipe for people, for programs, for a shell, for pip, for git."""
        made = {
            "README.md": "\n".join(self._readme()) + "\n",
            "recipe.json": json.dumps(self.data(), indent=2) + "\n",
            "run.sh": "\n".join(self._script()) + "\n",
            "requirements.txt": "\n".join(map(_requirement, self.requirements)) + "\n",
        }
        patch = {"changes.patch": self.patch} if self.patch else {}
        return {name: text.encode() for name, text in made.items()} | patch

    def data(self) -> dict[str, Any]:
        """All that is recorded of how it was made, as JSON."""
        said = as_json(self.manifest)
        names = ("params", "metrics", "data", "environment", "provenance", "notes")
        return {"ref": self.ref} | {name: said[name] for name in names}

    @property
    def _provenance(self) -> Provenance:
        return self.manifest.provenance or Provenance()

    def _script(self) -> Iterator[str]:
        yield from ("#!/bin/sh", f"# How {self.ref} was made, as far as it is recorded.")
        yield "# This runs the code of whoever published it: read it, and that code, before you run it."
        yield from ("set -eu", 'cd -- "$(dirname -- "$0")"', "here=$(pwd)", "")
        if any(HIDDEN in word for word in (self._provenance.run or Run()).command):
            yield f"# In the last line, {HIDDEN} stands for what was not recorded: fill it in, and take out the next line."
            yield f"echo 'run.sh: fill in {HIDDEN} first' >&2; exit 2"
        yield from self._checkout()
        yield from ("", *self._environment(), "")
        yield from _command(self._provenance.run or Run())

    def _checkout(self) -> Iterator[str]:
        git = self._provenance.git
        if git is None or not _COMMIT.fullmatch(git.commit):
            yield ': "${CODE:?set it to the folder of the code, which was in no repository}"'
            return
        if git.remote and git.remote.isprintable():
            yield f"recorded={shlex.quote(git.remote)}"
            yield "REPOSITORY=${REPOSITORY:-$recorded}"
        else:
            yield ': "${REPOSITORY:?set it to the repository of the code, which is not recorded}"'
        yield "CODE=$here/code"
        yield 'git clone --quiet --no-checkout -- "$REPOSITORY" "$CODE"'
        yield f'git -C "$CODE" checkout --quiet --detach {git.commit}'
        if b"diff --git " in self.patch:
            yield 'git -C "$CODE" apply --whitespace=nowarn "$here/changes.patch"'
        elif git.dirty:
            yield "# There were changes that are not committed, and they were not kept."

    def _environment(self) -> Iterator[str]:
        found = self.manifest.environment
        python = _PYTHON.match(found.python) if found else None
        yield f'"${{PYTHON:-python{python[0] if python else "3"}}}" -m venv "$here/environment"'
        yield "PATH=$here/environment/bin:$PATH; export PATH"
        yield 'python -m pip install --quiet --requirement "$here/requirements.txt"'

    def _readme(self) -> Iterator[str]:
        yield from (f"# How {self.ref} was made", "")
        yield "What is recorded, in words of its publisher. `recipe.json` says the same to programs, and more."
        for title, lines in self._sections():
            yield from ("", f"## {title}", "")
            yield from (f"    {shown(line, _SHOWN)}" for line in lines or ["not recorded"])
        yield from ("", "## Again", "", "Read `run.sh` and the code that it fetches: it runs what the publisher wrote.")
        yield from ("Put the data where the command looks for it, with the digests above. Then:", "")
        yield from ("    sh run.sh", "", "What no longer matches, here and now:", "")
        yield f"    modelvault reproduce {self.ref} --check"

    def _sections(self) -> Iterator[tuple[str, list[str]]]:
        said, run = self._provenance, self._provenance.run or Run()
        git, found, machine = said.git, self.manifest.environment, run.hardware
        changed = " and changes, see changes.patch" if self.patch else " and changes, which were not kept"
        yield (
            "Code",
            [
                f"commit {git.commit}{changed if git.dirty else ''}",
                f"of {git.remote or 'a repository that is not recorded'}",
            ]
            if git
            else [],
        )
        yield "Command", [shlex.join(run.command), f"in {run.folder}"] if run.command else []
        if run.notebook:
            yield "Notebook", [run.notebook]
        yield "Data", [" ".join(filter(None, (one.uri, one.how, one.digest, one.etag))) for one in self.manifest.data]
        yield "Algorithm", [said.algorithm.name, *_pairs(said.algorithm.params)] if said.algorithm else []
        yield "Parameters", _pairs(self.manifest.params)
        yield "Seeds", _pairs(run.seeds)
        yield "Metrics", _pairs(self.manifest.metrics)
        interpreter = [f"{found.implementation} {found.python}, {found.platform}"] if found else []
        yield "Environment", [*interpreter, *(f"{one.uri} {one.digest}" for one in said.locks)]
        if machine:
            yield "Machine", [machine.cpu, f"{machine.cores} cores, {machine.memory} bytes", *machine.gpus]
        if run.tracking:
            yield "Run", _pairs(run.tracking)


def _command(run: Run) -> Iterator[str]:
    if not run.command or any("\0" in word for word in run.command):
        yield "# The command is not recorded" + (f"; the notebook is {shown(run.notebook)}." if run.notebook else ".")
        return
    folder = run.folder if run.folder and _is_within(run.folder) else "."
    yield f'cd -- "$CODE"/{shlex.quote(folder)}'
    yield shlex.join(run.command)


def _is_within(folder: str) -> bool:
    return folder.isprintable() and not folder.startswith("/") and ".." not in folder.split("/")


def _requirement(line: str) -> str:
    return line if _PINNED.fullmatch(line) else f"# to be installed by hand: {shown(line)}"


def _pairs(values: Any) -> list[str]:
    return [f"{name} = {json.dumps(value)}" for name, value in values.items()]


def _exists(to: Path) -> AlreadyExists:
    return AlreadyExists(
        f"{shown(to)} is not empty", code=Code.TARGET_EXISTS, hint="name a folder that is new or empty", ref=shown(to)
    )
