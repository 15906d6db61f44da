"""Stamps: what was verified once is not hashed again while its files are as they were.

A stamp is an empty file.  Its name is the hash of all that it says: what was verified, and of each file the device, the
inode, the size and the time of its last write.  So there is nothing in it to be garbled, to make it is atomic, and it
holds for these very files alone: a copy, a replacement, and one that was written to have no stamp.

It is a hint, and of its user alone: it lies in a folder that nobody else can write.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

__all__ = ["CLEAR", "Stamps"]

CLEAR = 2_000_000_000
"""Nanoseconds: the coarsest clock of a file system (FAT).  A write within one tick of the last moves no time."""

_BACK = 86_400_000_000_000
"""Nanoseconds: so far back is set what was just written; before any verification that may be under way began."""

Look = Callable[[], Sequence[os.stat_result]]


class Stamps:
    """The stamps in `folder`, which is its user's alone; with no folder nothing is noted down, and all is checked."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def sound(self, what: str, look: Look, check: Callable[[], bool]) -> bool:
        """The files that `look` finds are `what` they should be: as was noted down, or as `check` finds now.

        Where files were written to shortly before the check began, or meanwhile, nothing is noted down.
        """
        if self._folder is None:
            return check()
        began, stamp = time.time_ns(), self._stamp(what, look())
        if os.path.lexists(stamp):
            return True
        if not check():
            return False
        found = look()
        if self._stamp(what, found) == stamp:
            self.note(what, found, began)
        return True

    def note(self, what: str, found: Sequence[os.stat_result], began: int) -> None:
        """Note down that the files `found` were verified as `what`, from `began` on (nanoseconds since the epoch)."""
        if self._folder and found and all(one.st_mtime_ns < began - CLEAR for one in found):
            with suppress(OSError):  # it is there; or the disk is full, and they are verified again
                os.close(os.open(self._stamp(what, found), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400))

    def drop(self, what: str, found: Sequence[os.stat_result]) -> None:
        """Verify the files `found` again when they are needed."""
        if self._folder:
            with suppress(OSError):
                os.unlink(self._stamp(what, found))

    def settle(self, path: str | Path) -> None:
        """Set the time of the last write of `path`, if that was a moment ago, so far back that every later write shows.

        For files of the cache that were verified as they were written, or are about to be.
        """
        with suppress(OSError):
            found = os.lstat(path)
            if self._folder and found.st_mtime_ns > time.time_ns() - 2 * CLEAR:
                os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns - _BACK), follow_symlinks=False)

    def _stamp(self, what: str, found: Sequence[os.stat_result]) -> str:
        files = [(one.st_dev, one.st_ino, one.st_size, one.st_mtime_ns) for one in found]
        return f"{self._folder}/{hashlib.sha256(repr((what, files)).encode()).hexdigest()}"
