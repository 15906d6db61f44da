"""The format `files`: a file or a folder, as it is.  Any framework's own save and load work with it."""

from __future__ import annotations

from pathlib import Path

from modelvault.formats import Files

__all__ = ["PlainFiles"]


class PlainFiles:
    """A `Path` becomes its files; loading gives the path of a read-only copy."""

    name = "files"
    safe = True

    def accepts(self, obj: object) -> bool:
        """A path."""
        return isinstance(obj, Path)

    def dump(self, obj: Path, folder: Path) -> tuple[()]:
        """Nothing: the files are published from where they are."""
        return ()

    def load(self, files: Files) -> Path:
        """The folder that holds the files; the file itself where there is one, and no folder."""
        folder = files.folder()
        single = len(files.paths) == 1 and "/" not in files.paths[0]
        return folder / files.paths[0] if single else folder
