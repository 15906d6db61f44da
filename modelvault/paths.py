"""Portable paths: which names of files mean the same file on every system."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable
from typing import Final, cast

from modelvault.errors import Code, InvalidInput, shown

__all__ = ["OURS", "is_ours", "path_text", "portable_path", "portable_paths"]

_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\..*)?", re.IGNORECASE | re.ASCII)
_PATH_LIMIT, _SEGMENT_LIMIT = 1024, 255

OURS: Final = "_modelvault"
"""The folder of a version that is not its publisher's."""


def is_ours(path: str) -> bool:
    """The portable path lies in the folder that is not the publisher's, however disks spell it."""
    return path.partition("/")[0].casefold() == OURS


def path_text(value: object, what: str) -> str:
    """`value`, a path or the text of one, as text that this system can take.

    Raises:
        InvalidInput: `bad-value`.
    """
    try:
        text = str.__str__(os.fspath(cast("os.PathLike[str]", value)))
        if text and b"\0" not in os.fsencode(text):
            return text
    except Exception as error:  # no path, or one whose own code fails
        raise _no_path(value, what) from error
    raise _no_path(value, what)


def _no_path(value: object, what: str) -> InvalidInput:
    return InvalidInput(f"{what} is a path, not '{shown(value)}'", code=Code.BAD_VALUE)


def _segment_fault(segment: str) -> str:
    if segment in {"", ".", ".."}:
        return f"has the segment {segment!r}"
    if segment[-1] in ". " or segment[0] == " ":
        return "has a segment that begins or ends with a space, or ends with a dot"
    if _RESERVED.fullmatch(segment):
        return f"has the reserved name {segment!r}"
    if len(segment.encode("utf-8", "replace")) > _SEGMENT_LIMIT:
        return f"has a segment of more than {_SEGMENT_LIMIT} bytes"
    return ""


def _path_fault(path: str) -> str:
    if len(path.encode("utf-8", "replace")) > _PATH_LIMIT:
        return f"is longer than {_PATH_LIMIT} bytes"
    if any(c in '\\:*?"<>|' or not c.isprintable() for c in path):
        return "has a character that not every file system can store"
    if unicodedata.normalize("NFC", path) != path:
        return "is not in Unicode normal form C"
    return next(filter(None, map(_segment_fault, path.split("/"))), "")


def portable_path(path: str) -> str:
    """`path`, if it is relative and means the same file on every system.

    Raises:
        InvalidInput: `bad-path`, with what is wrong with it.
    """
    fault = _path_fault(path)
    if fault:
        raise InvalidInput(
            f"the path {shown(path)!r} {fault}", code=Code.BAD_PATH, hint="rename the file: letters, digits, '._-'"
        )
    return path


def portable_paths(paths: Iterable[str]) -> None:
    """Refuse paths that would fall onto each other on some system.

    Raises:
        InvalidInput: `bad-path`, two are equal but for case, or one is a folder of the other.
    """
    seen: dict[str, str] = {}
    for path in paths:
        other = seen.get(_folded(path))
        if other is not None:
            raise InvalidInput(f"the paths {shown(other)!r} and {shown(path)!r} collide", code=Code.BAD_PATH)
        seen[_folded(path)] = path
    for folded, path in seen.items():
        parts = folded.split("/")
        for depth in range(1, len(parts)):
            other = seen.get("/".join(parts[:depth]), "")
            if other:
                raise InvalidInput(f"{shown(other)!r} is a file and a folder of {shown(path)!r}", code=Code.BAD_PATH)


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path.casefold())
