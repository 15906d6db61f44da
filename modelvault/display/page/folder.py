"""The folder of a static page: files come whole or not at all, and nothing of anybody else is touched."""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path
from typing import Final, Self

from modelvault.errors import AlreadyExists, Code, StoreError, shown

__all__ = ["MARK", "Folder"]

MARK: Final = "modelvault-page.json"
"""Says which files are ours."""
_OURS: Final = re.compile(
    r"(?:index\.html|style\.css|(?:search|data)\.js|models/[a-z0-9][a-z0-9._-]{0,99}\.html"
    r"|older/[a-z0-9][a-z0-9._-]{0,99}/[0-9]{1,9}\.html)",
    re.ASCII,
)


class Folder:
    """A folder that is new, empty, or of an earlier page, whose files that are no longer written go at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.written: list[str] = []

    def __enter__(self) -> Self:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            before = self._marked()
            if before is None and any(self.path.iterdir()):
                raise _others(self.path)
        except (FileExistsError, NotADirectoryError) as error:
            raise _others(self.path) from error
        except OSError as error:
            raise _cannot(self.path, error) from error
        self._before = before or []
        self._mark(self._before)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self._mark(sorted({*self._before, *self.written}))
            return
        self._mark(sorted(self.written))
        for name in {*self._before} - {*self.written}:
            (self.path / name).unlink(missing_ok=True)

    def put(self, name: str, text: str) -> None:
        """Write one file, in place of the one that was there."""
        self._write(name, text)
        self.written.append(name)

    def _write(self, name: str, text: str) -> None:
        path = self.path / name
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            aside.write_text(text, encoding="utf-8", newline="\n")
            os.replace(aside, path)
        except OSError as error:
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)
            raise _cannot(path, error) from error

    def _mark(self, names: list[str]) -> None:
        self._write(MARK, json.dumps({"files": names}, indent=0) + "\n")

    def _marked(self) -> list[str] | None:
        """The files of the page that is there, if one is: only what could be one of ours."""
        try:
            said = json.loads((self.path / MARK).read_text(encoding="utf-8"))["files"]
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise _others(self.path) from error
        if not (isinstance(said, list) and all(isinstance(name, str) and _OURS.fullmatch(name) for name in said)):
            raise _others(self.path)
        return said


def _others(path: Path) -> AlreadyExists:
    return AlreadyExists(
        f"{shown(path)} holds what is not of these pages",
        code=Code.TARGET_EXISTS,
        hint="name a folder that is new or empty",
        ref=shown(path),
    )


def _cannot(path: Path, error: OSError) -> StoreError:
    return StoreError(f"cannot write {shown(path)}: {error.strerror}", code=Code.STORE_DENIED, ref=shown(path))
