"""The files of a version as a tree: read one, or lay them out in a folder.  Every byte is verified on the way."""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import operator
import os
import time
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from modelvault.blobs import Blobs, parallel
from modelvault.cache import content_key
from modelvault.canonical import Digest, storable
from modelvault.errors import AlreadyExists, Code, Corrupt, InvalidInput, NotFound, StoreError, VaultError, shown
from modelvault.folder import measured, walk
from modelvault.paths import OURS, is_ours
from modelvault.progress import Meter
from modelvault.wire import File, Manifest

if TYPE_CHECKING:
    from modelvault.cache import Cache

__all__ = ["Tree", "patterns"]

_READ_ONLY = 0o444
_WRITERS = 4
"""Files that are written at once: each holds four windows of 8 MiB."""
_PATH, _SIZE = operator.attrgetter("path"), operator.attrgetter("size")
_IN_USE = {errno.EBUSY, errno.EINVAL, errno.EXDEV}
"""A folder that is mounted, or that a process is in, is not replaced."""


class Tree:
    """The files of the version whose manifest is `manifest`, with the digest `digest`, but for those that are our own."""

    def __init__(self, manifest: Manifest, digest: Digest, blobs: Blobs, cache: Callable[[], Cache | None]) -> None:
        self._files: dict[str, File] = dict(zip(map(_PATH, manifest.files), manifest.files, strict=True))
        self._ours: list[File] = []
        if OURS in "\n".join(self._files).casefold():  # no Python for each file of all others
            self._ours = [self._files.pop(path) for path in [*self._files] if is_ours(path)]
        self.size = sum(map(_SIZE, self._files.values()))
        self._digest = digest
        self._blobs = blobs
        self._cache = cache
        self._ref = f"{manifest.model}:{manifest.version}"

    def metered(self, meter: Meter) -> Tree:
        """The same, where all bytes that come are counted."""
        other = copy(self)
        other._blobs = self._blobs.metered(meter)  # noqa: SLF001 - its own
        return other

    @property
    def paths(self) -> tuple[str, ...]:
        """The portable paths of all files."""
        return tuple(self._files)

    def read(self, path: str) -> bytes:
        """All bytes of one file.

        Raises:
            Corrupt: `bad-record`, the version has no such file; or as `Blobs.chunks`.
        """
        return self._blobs.read(self._file(path))

    def map(self, path: str) -> memoryview:
        """All bytes of one file, writable for this process alone: mapped into memory where they lie, or read.

        Raises as `read`.
        """
        return self._blobs.map(self._file(path))

    def keep(self) -> None:
        """Have the cache, if there is one, hold all files, verified, and our own.  Raises as `Blobs.keep`."""
        files = [*self._files.values(), *self._ours]
        self._blobs.bring(files)
        parallel(self._blobs.among(len(files)).keep, files, stop=self._blobs.meter.stop)

    def folder(self) -> Path:
        """All files, in a folder of the cache, read-only.  What is there is made anew if damaged.

        Raises:
            InvalidInput: `bad-value`, the vault was opened without a cache.
        """
        cache = self._cache()
        if cache is None:
            raise InvalidInput(
                "without a cache there is no place for the files",
                code=Code.BAD_VALUE,
                hint="name one: vault.fetch(ref, to=folder)",
                ref=self._ref,
            )
        intact, lay = partial(self._intact, cache=cache), partial(self._lay_read_only, cache=cache)
        return cache.tree(self._digest, intact, lay)

    def lay(self, to: Path, only: Sequence[str] = ()) -> Path:
        """The files whose paths match one of the patterns `only` (all, if there are none), in `to`, which is new or empty.

        They appear at once, when all are there and verified.

        Raises:
            AlreadyExists: `target-exists`, something is in `to`.
            NotFound: `file-not-found`, a pattern matches nothing.
            StoreError: `to` cannot be written.
        """
        import shutil

        files = self._matching(only)
        stage = to.parent / f".tmp-{os.urandom(16).hex()}"
        laid = stage / "files"
        try:
            to.parent.mkdir(parents=True, exist_ok=True)
            stage.mkdir(mode=0o700)
            laid.mkdir()
            _make_folders(laid, files)
            self._blobs.write_all(files, laid)
            _hand_over(laid, to)
        except StoreError:
            raise
        except OSError as error:
            raise _unwritten(to, error) from error
        finally:
            shutil.rmtree(stage, ignore_errors=True)
        return to

    def _file(self, path: str) -> File:
        file = self._files.get(path)
        if file is None:
            raise Corrupt(
                f"{self._ref} has no file {shown(path)}, which its format needs", code=Code.BAD_RECORD, ref=self._ref
            )
        return file

    def _matching(self, only: Sequence[str]) -> list[File]:
        wanted = patterns(only)
        for pattern in wanted:
            if not fnmatch.filter(self._files, pattern):
                raise NotFound(
                    f"no file of {self._ref} matches '{shown(pattern)}'",
                    code=Code.FILE_NOT_FOUND,
                    hint=f"its files: {', '.join(list(self._files)[:10])}",
                    ref=self._ref,
                )
        return [
            file
            for path, file in self._files.items()
            if not wanted or any(fnmatch.fnmatchcase(path, pattern) for pattern in wanted)
        ]

    def _lay_read_only(self, folder: Path, cache: Cache) -> None:
        began = time.time_ns()
        files = self._files.values()
        _make_folders(folder, files)
        with contextlib.suppress(StoreError):  # as in `_link`
            self._blobs.bring(files)
        blobs = self._blobs.among(len(files))
        parallel(lambda file: self._link(blobs, file, folder / file.path, cache), files, _WRITERS)
        for path in self._files:
            (folder / path).chmod(_READ_ONLY)
        cache.stamps.note(self._digest, [os.lstat(folder / path) for path in self._files], began)

    def _link(self, blobs: Blobs, file: File, path: Path, cache: Cache) -> None:
        """Put `file` at `path` as another name of what the cache has, or write it."""
        if blobs.cache is not None and file.inline is None:
            with contextlib.suppress(
                StoreError
            ):  # of the cache, which may be full; of the store, which the next one meets
                blobs.keep(file)
            if cache.blobs.link(content_key(file.digest), path):
                if path.stat().st_size == file.size:
                    return
                path.unlink()  # who reads content reads no further than it should be: there may be more
        blobs.write(file, path)
        cache.stamps.settle(path)

    def _intact(self, folder: Path, cache: Cache) -> bool:
        """`folder` holds these files, byte for byte, and nothing else."""
        with contextlib.suppress(VaultError, OSError):
            found = {name: path for path, name in walk(folder)}
            return found.keys() == self._files.keys() and cache.stamps.sound(
                self._digest,
                lambda: [os.lstat(found[path]) for path in self._files],
                lambda: all(parallel(lambda file: _holds(found[file.path], file), self._files.values())),
            )
        return False


def _make_folders(folder: Path, files: Iterable[File]) -> None:
    for parent in sorted({os.path.dirname(file.path) for file in files}):
        (folder / parent).mkdir(parents=True, exist_ok=True)


def _holds(path: Path, file: File) -> bool:
    return path.stat().st_size == file.size and measured(path) == (file.size, file.digest)


def patterns(only: Sequence[str]) -> list[str]:
    """`only`, one pattern or several, as a list.

    Raises:
        InvalidInput: `bad-value`.
    """
    given: object = [only] if isinstance(only, str) else only
    if isinstance(given, Sequence) and not isinstance(given, bytes):
        return [storable(one, "a pattern") for one in given]
    raise InvalidInput("only is a list of patterns", code=Code.BAD_VALUE, hint='only=["*.json"]')


def _hand_over(laid: Path, to: Path) -> None:
    """`laid` becomes `to`, at once; or file by file, where `to` is an empty folder that cannot be replaced (a mount)."""
    import shutil

    try:
        laid.rename(to)
    except OSError as error:
        if error.errno not in _IN_USE or any(to.iterdir()):
            raise
        for one in laid.iterdir():
            shutil.move(one, to / one.name)


def _unwritten(to: Path, error: OSError) -> VaultError:
    if os.path.lexists(to) and error.errno in {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR} | _IN_USE:
        return AlreadyExists(
            f"{shown(to)} exists", code=Code.TARGET_EXISTS, hint="name a folder that is new or empty", ref=shown(to)
        )
    full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
    code = Code.STORE_FULL if full else Code.STORE_DENIED
    return StoreError(f"cannot write {shown(to)}: {error.strerror}", code=code, ref=shown(to))
