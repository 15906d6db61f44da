"""The folders of a cache: whose they are, and that nobody else can change what is in them."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import time
from pathlib import Path

from modelvault.errors import Code, InvalidInput, StoreError, Untrusted, shown

__all__ = ["URL", "layer", "listed", "of_vault", "own", "remove", "unusable", "use", "used", "within"]

URL = ".url"
"""The file in the folder of a vault that says which vault it is."""

_OFTEN = 60
"""Seconds: a use is noted down no more often."""


def of_vault(url: str) -> str:
    """The name of the folder for the vault at `url`."""
    return hashlib.sha256(url.encode()).hexdigest()[:32]


def own(folder: Path) -> Path:
    """`folder`, which is made if it is missing, and is the user's alone.

    Raises:
        Untrusted: `unsafe-folder`.
        StoreError: `store-denied` or `store-full`.
    """
    try:
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        found = os.lstat(folder)
    except OSError as error:
        raise unusable(folder, error) from error
    if not _is_of(found, os.geteuid()):
        raise Untrusted(
            f"others could change the cache folder {shown(folder)}",
            code=Code.UNSAFE_FOLDER,
            hint=f"chmod 700 {shown(folder)}, or set MODELVAULT_CACHE to a folder of your own",
            ref=shown(folder),
        )
    return folder


def layer(folder: Path) -> Path:
    """The layer at `folder`, links on the way resolved.

    Raises:
        InvalidInput: `bad-value`, it is not there.
        Untrusted: `unsafe-folder`, it belongs to neither the user nor root, or others can write to it.
        StoreError: `store-denied`, it cannot be read.
    """
    real = Path(os.path.realpath(folder))
    if not real.is_dir():
        raise InvalidInput(
            f"there is no layer {shown(folder)}",
            code=Code.BAD_VALUE,
            hint="take it out of MODELVAULT_CACHE_LAYERS, or make it with 'modelvault prefetch'",
            ref=shown(folder),
        )
    return _layered(real)


def within(above: Path, *names: str) -> Path | None:
    """The folder at `names` below a layer, or below a cache; None if there is none.  Raises as `layer`."""
    here = above
    for name in names:
        here /= name
        if not os.path.lexists(here):
            return None
        _layered(here)
    return here


def _layered(folder: Path) -> Path:
    found = os.lstat(folder)
    if not _is_of(found, os.geteuid(), 0):
        raise Untrusted(
            f"others could change the cache layer {shown(folder)}",
            code=Code.UNSAFE_FOLDER,
            hint=f"it must be yours or root's: chmod go-w {shown(folder)}, or take it out of MODELVAULT_CACHE_LAYERS",
            ref=shown(folder),
        )
    if not os.access(folder, os.R_OK | os.X_OK):
        raise StoreError(
            f"the cache layer {shown(folder)} cannot be read",
            code=Code.STORE_DENIED,
            hint="chmod -R a+rX where it is made",
            ref=shown(folder),
        )
    return folder


def _is_of(found: os.stat_result, *users: int) -> bool:
    return stat.S_ISDIR(found.st_mode) and found.st_uid in users and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def listed(folder: Path) -> list[Path]:
    """What is in `folder`, in no order; nothing where there is no such folder, or it cannot be read."""
    try:
        return [*folder.iterdir()]
    except OSError:
        return []


def used(found: os.stat_result) -> float:
    """When it was used last, in seconds since the epoch.

    Of a file that is the time of its last access, for that of its last write tells whether it is what was verified.  Of a
    folder it is that of the last write, for whoever lists it moves the other.
    """
    return found.st_mtime if stat.S_ISDIR(found.st_mode) else found.st_atime


def use(path: str | Path) -> None:
    """Note down that `path` is in use, if that can be; `room` removes what was used longest ago."""
    with contextlib.suppress(OSError):
        found, now = os.stat(path, follow_symlinks=False), time.time_ns()
        if abs(now / 1e9 - used(found)) > _OFTEN:
            written = now if stat.S_ISDIR(found.st_mode) else found.st_mtime_ns
            os.utime(path, ns=(now, written), follow_symlinks=False)


def remove(path: Path) -> None:
    """Remove a folder, or whatever stands in its place, as far as that is possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def unusable(folder: Path, error: OSError) -> StoreError:
    """The error for a cache that cannot be written."""
    return StoreError(
        f"the cache folder {shown(folder)} cannot be used: {error.strerror}",
        code=Code.STORE_FULL if error.errno in {errno.ENOSPC, errno.EDQUOT} else Code.STORE_DENIED,
        hint="set MODELVAULT_CACHE to a folder of your own, or open the vault with cache=False",
        ref=shown(folder),
    )
