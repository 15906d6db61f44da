"""Files of this machine: found under portable paths, read in chunks, hashed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelvault.canonical import Digest
from modelvault.errors import Code, InvalidInput, shown
from modelvault.paths import portable_path, portable_paths

__all__ = ["found", "measured", "opened", "opening", "ranged", "walk"]

_CHUNK = 256 * 1024


def found(root: Path) -> list[tuple[Path, str]]:
    """The files at `root`, itself or all that lie below it, with their portable paths, in the order of these.

    Raises:
        InvalidInput: `bad-path`, a path cannot be stored or read, or something is neither a file nor a folder.
    """
    files = [(root, portable_path(root.name))] if root.is_file() else sorted(walk(root), key=lambda one: one[1])
    portable_paths(name for _, name in files)
    return files


def walk(folder: Path, above: str = "") -> Iterator[tuple[Path, str]]:
    """The files below `folder`, with their portable paths.

    Raises:
        InvalidInput: `bad-path`, as `found`.
    """
    with opening(folder):
        listing = os.scandir(folder)
    with listing:
        for one in listing:
            name = portable_path(above + one.name)
            if one.is_dir(follow_symlinks=False):
                yield from walk(Path(one.path), name + "/")
            elif one.is_file(follow_symlinks=False):
                yield Path(one.path), name
            else:
                raise InvalidInput(
                    f"{shown(name)} is neither a file nor a folder",
                    code=Code.BAD_PATH,
                    hint="links and special files are not published: put a copy in its place",
                    ref=name,
                )


def measured(path: Path) -> tuple[int, Digest]:
    """The size of a file, and the digest of its bytes.  Raises as `opened`."""
    hasher, size = hashlib.sha256(), 0
    with opened(path) as file:
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
            size += len(chunk)
    return size, Digest("sha256:" + hasher.hexdigest())


def opened(path: Path) -> Any:
    """The file at `path`, to be read, with no buffer.

    Raises:
        InvalidInput: `bad-path`, it cannot be opened.
    """
    with opening(path):
        return open(path, "rb", buffering=0)


@contextmanager
def opening(path: Path) -> Iterator[None]:
    """Whatever fails in the ``with`` block is told of `path`: InvalidInput `bad-path`."""
    try:
        yield
    except OSError as error:
        message = f"cannot read {shown(path)}: {error.strerror}"
        raise InvalidInput(message, code=Code.BAD_PATH, ref=shown(path)) from error


def ranged(file: Any, begin: int, length: int) -> Iterator[bytes]:
    """The bytes of a range of an open file, as far as the file goes."""
    end = begin + length
    while begin < end and (chunk := os.pread(file.fileno(), min(_CHUNK, end - begin), begin)):
        yield chunk
        begin += len(chunk)
