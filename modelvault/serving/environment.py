"""Whether this interpreter is one that a version can be expected to work in: its Python, and the packages that it needs."""

from __future__ import annotations

import functools
import platform
from collections.abc import Iterator
from importlib import metadata
from typing import NamedTuple

from modelvault.errors import shown
from modelvault.wire import Environment

__all__ = ["Mismatch", "mismatches"]

_BY_VALUE = "cloudpickle"
"""A pickle that needs this package holds code by value, as bytecode of one minor version of Python."""


class Mismatch(NamedTuple):
    """Something is of another version here.  `grave`: it is not expected to work."""

    name: str
    recorded: str
    here: str
    grave: bool

    def __str__(self) -> str:
        return f"{shown(self.name)} {shown(self.here)}, published with {shown(self.recorded)}"


def mismatches(recorded: Environment | None) -> tuple[Mismatch, ...]:
    """What differs by more than a patch.

    Grave is another major version of a package that the object refers to, one that is missing, and another minor version
    of Python where the object holds bytecode.
    """
    if recorded is None:
        return ()
    return (*_python(recorded), *_packages(recorded))


def _python(recorded: Environment) -> Iterator[Mismatch]:
    here = platform.python_version()
    if _lead(recorded.python) != _lead(here):
        grave = _lead(recorded.python)[:1] != _lead(here)[:1] or _BY_VALUE in recorded.packages
        yield Mismatch("Python", recorded.python, here, grave)


def _packages(recorded: Environment) -> Iterator[Mismatch]:
    for name, version in recorded.packages.items():
        here = _installed(name)
        if here is None or _lead(here) != _lead(version):
            grave = here is None or _lead(here)[:1] != _lead(version)[:1]
            yield Mismatch(name, version, here or "none", grave)


def _lead(version: str) -> list[str]:
    return version.split(".")[:2]


@functools.lru_cache(maxsize=1024)
def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except (metadata.PackageNotFoundError, ValueError):
        return None
