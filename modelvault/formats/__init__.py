"""Formats: how an object becomes files, and back.

The loader of a version is chosen from a closed table by the name in its manifest: the formats of this package, and those
that the user has installed (entry points of the group ``modelvault.formats``).  Nothing stored in a vault names code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from modelvault.canonical import storable
from modelvault.errors import Code, InvalidInput, Unsupported, shown
from modelvault.wire import RELEASE_SET

__all__ = ["Files", "Format", "choose", "named"]


class Files(Protocol):
    """The verified files of a version, to be loaded from."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Their portable paths."""
        ...

    def read(self, path: str) -> bytes:
        """All bytes of one."""
        ...

    def map(self, path: str) -> memoryview:
        """All bytes of one, mapped into memory where that can be.  What is written to them stays in this process."""
        ...

    def folder(self) -> Path:
        """All of them, in a read-only folder of the cache."""
        ...


@runtime_checkable
class Format(Protocol):
    """Third parties implement this and register it as an entry point of the group ``modelvault.formats``."""

    name: str
    """Stands in the manifest: lower-case letters, digits and dashes."""
    safe: bool
    """Loading runs no code that the files bring along."""

    def accepts(self, obj: object) -> bool:
        """This format is the right one for `obj`.  Must not import the framework it serves."""
        ...

    def dump(self, obj: Any, folder: Path) -> Iterable[str]:
        """Write `obj` as files below `folder`, which is empty; the modules that loading them will import."""
        ...

    def load(self, files: Files) -> object:
        """The object again."""
        ...


def _pickled() -> Format:
    from modelvault.formats.pickled import Cloudpickle

    return Cloudpickle()


def _arrays() -> Format:
    from modelvault.formats.arrays import Arrays

    return Arrays()


def _plain_files() -> Format:
    from modelvault.formats.files import PlainFiles

    return PlainFiles()


def _release_sets() -> Format:
    from modelvault.formats.release_set import ReleaseSets

    return ReleaseSets()


_OWN: dict[str, Callable[[], Format]] = {
    "files": _plain_files,
    "numpy": _arrays,
    RELEASE_SET: _release_sets,
    "cloudpickle": _pickled,
}
"""In the order in which they are asked; cloudpickle takes anything."""

_MADE: dict[str, Format] = {}


def named(name: str) -> Format:
    """The format called `name`.

    Raises:
        Unsupported: `unknown-format`, none is installed; `extra-missing`, it cannot start.
    """
    made = _MADE.get(name)
    if made is None:
        made = _MADE[name] = _made(name)
    return made


def _made(name: str) -> Format:
    if name in _OWN:
        return _OWN[name]()
    from importlib.metadata import entry_points

    for found in entry_points(group="modelvault.formats", name=name):
        try:
            format: Format = found.load()()
        except Exception as error:  # whatever the package that brings it raises
            hint = f"install what {shown(found.value)} needs: {shown(error)}"
            raise Unsupported(f"the format {shown(name)} cannot start", code=Code.EXTRA_MISSING, hint=hint) from error
        return format
    raise Unsupported(
        f"no format named {shown(name)!r} is installed",
        code=Code.UNKNOWN_FORMAT,
        hint=f"one of {', '.join(_OWN)}, or install the package that brings it",
    )


def choose(obj: object, name: str | None) -> Format:
    """The format for `obj`: the one called `name`, else the first that accepts it.

    Raises:
        InvalidInput: `bad-value`, the named format does not take such an object.
        Unsupported: `unknown-format`.
    """
    if name is None:
        return next(format for own in _OWN if (format := named(own)).accepts(obj))
    format = named(storable(name, "a format"))
    if not format.accepts(obj):
        raise InvalidInput(
            f"the format {format.name} does not take a {shown(type(obj).__qualname__)}",
            code=Code.BAD_VALUE,
            hint="leave format out to let modelvault choose",
        )
    return format
