"""The format `release-set`: several published versions as one, each pinned by its number and digest."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from modelvault.errors import Code, InvalidInput, shown
from modelvault.formats import Files
from modelvault.wire import RELEASE_SET, RELEASE_SET_FILE, ReleaseSetRecord, read_release_set, write_release_set

__all__ = ["Release", "ReleaseSet", "ReleaseSets"]

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")


class ReleaseSet:
    """Several versions that are to be one release: ``ReleaseSet(preprocessor="prep:1.2.0", model="fraud@staging")``.

    To `publish` it pins what each ref means then; to `load` it gives a `Release`.
    """

    def __init__(self, /, **members: Any) -> None:
        """Of versions, or refs of any model, by names that are to be attributes.

        Raises:
            InvalidInput: `bad-name`, a name is none for an attribute; `bad-value`, there are no members.
        """
        for name in members:
            if not _NAME.fullmatch(name):
                raise InvalidInput(
                    f"{shown(name)} is no name for a member",
                    code=Code.BAD_NAME,
                    hint="a letter, then at most 99 letters, digits and underscores, of ASCII",
                )
        if not members:
            raise InvalidInput("a release set has members", code=Code.BAD_VALUE, hint='ReleaseSet(model="fraud@prod")')
        self.members: Mapping[str, Any] = members

    def __repr__(self) -> str:
        return f"ReleaseSet({', '.join(f'{name}={shown(to)}' for name, to in self.members.items())})"


class Release:
    """The members of a release set, loaded: by name, as attributes and as items."""

    __slots__ = ("_members",)

    def __init__(self, members: Mapping[str, object]) -> None:
        """Of objects by name."""
        self._members = dict(members)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._members:
            raise AttributeError(f"the release has no member {shown(name)}: {', '.join(self)}")
        return self._members[name]

    def __getitem__(self, name: str) -> Any:
        return self._members[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __dir__(self) -> list[str]:
        return [*self._members]

    def __reduce__(self) -> tuple[Any, ...]:
        return Release, (self._members,)

    def __repr__(self) -> str:
        return f"<Release {', '.join(self)}>"


class ReleaseSets:
    """One file that names the members; the vault loads them."""

    name = RELEASE_SET
    safe = True

    def accepts(self, obj: object) -> bool:
        """A set whose members are pinned."""
        return isinstance(obj, ReleaseSetRecord)

    def dump(self, obj: ReleaseSetRecord, folder: Path) -> tuple[()]:
        """Write the file."""
        (folder / RELEASE_SET_FILE).write_bytes(write_release_set(obj))
        return ()

    def load(self, files: Files) -> ReleaseSetRecord:
        """What the file says."""
        return read_release_set(files.read(RELEASE_SET_FILE), RELEASE_SET_FILE)
