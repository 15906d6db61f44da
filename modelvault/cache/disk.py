"""The cache on disk: one folder of its user, and the layers behind it."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from modelvault import layout
from modelvault.cache import folders, room
from modelvault.cache.heads import Heads
from modelvault.cache.known import Known, known
from modelvault.cache.measures import Measures
from modelvault.cache.room import Kept
from modelvault.cache.shelf import Shelf
from modelvault.cache.stamps import Stamps
from modelvault.canonical import Digest
from modelvault.errors import Code, StoreError, shown
from modelvault.stores import Key

__all__ = ["Cache"]


class Cache:
    """A folder of verified content, private to its user, with read-only layers behind it.

    `blobs` holds parts under their digest, shared by all vaults; `stamps` says what was verified; `records(url)` the claims of one vault, `heads(url)` the
    newest moves of its aliases; `tree` whole versions as read-only folders.
    """

    def __init__(self, folder: Path, *, layers: Sequence[Path] = (), limit: int = room.LIMIT) -> None:
        """Open the cache in `folder`, which is created if it is missing.

        Where that cannot be, and there are layers, they are used alone: `own` is None, and nothing is kept.

        Args:
            folder: of the user alone.
            layers: folders of the same form, in the order in which they are asked.
            limit: bytes of content and trees, above which what was used longest ago goes.

        Raises:
            Untrusted: `unsafe-folder`, somebody else could change what is in it, or in a layer.
            InvalidInput: `bad-value`, a layer is not there.
            StoreError: `store-denied`, there can be no such folder, and there are no layers; or a layer cannot be read.
        """
        self.folder = folder
        self.limit = limit
        self.layers = tuple(map(folders.layer, layers))
        self.own: Path | None = folder
        try:
            folders.own(folder)
            folders.own(folder / "content")
        except StoreError:
            if not self.layers:
                raise
            self.own = None
        self.stamps = Stamps(self._hints("stamps"))
        self.blobs = self._shelf("content", put=self._grew)

    def measures(self) -> Measures:
        """What the files of this user measured when they were published."""
        return Measures(self._hints("measures"))

    def index(self) -> Path | None:
        """The folder of what is searched in; None if nothing can be kept."""
        return self._hints("index")

    def live(self, url: str) -> Path | None:
        """The folder of what processes that follow aliases of the vault at `url` know; None if nothing can be kept."""
        above = self._hints("live")
        return above and self._hints(f"live/{folders.of_vault(url)}")

    def records(self, url: str) -> Shelf:
        """The claims of the vault at `url`."""
        shelf = self._shelf("vaults", folders.of_vault(url))
        if self.own:
            with contextlib.suppress(OSError), open(Path(shelf.url, folders.URL), "x", encoding="utf-8") as file:
                file.write(url)
        return shelf

    def heads(self, url: str) -> Heads:
        """What was last seen of the aliases of the vault at `url`."""
        return Heads(self._shelf("vaults", folders.of_vault(url)))

    def tree(self, digest: Digest, intact: Callable[[Path], bool], build: Callable[[Path], object]) -> Path:
        """The folder of the version `digest`: as it stands if it is `intact`, else built anew in private and moved there.

        Raises:
            StoreError: `store-denied` or `store-full`, it can be built nowhere.
        """
        name = digest.partition(":")[2]
        tree = self.own and folders.own(self.own / "trees") / name
        if tree and _stands(tree, intact):
            folders.use(tree)
            return tree
        for layer in self.layers:
            trees = folders.within(layer, "trees")
            if trees and _stands(trees / name, intact):
                return trees / name
        if not tree:
            raise folders.unusable(self.folder, OSError(errno.EROFS, os.strerror(errno.EROFS)))
        self._build(tree, intact, build)
        return tree

    def flight(self, key: Key) -> AbstractContextManager[Callable[[], None]]:
        """Wait while another process downloads the content `key`, then be the one that does.

        A hint: who enters looks first whether it has come, and two may come to download it all the same.  What it gives is
        called whenever bytes arrive, as a sign of life.
        """
        from modelvault.cache.flight import alone

        return alone(self.own and self.own / "locks", key.rpartition("/")[2], lambda: self.blobs.holds(key))

    def entries(self) -> list[Kept]:
        """All content and trees of the cache itself, in the order in which they would go: the longest unused first."""
        return room.kept(self.own) if self.own else []

    def prune(self, to: int | None = None) -> list[Kept]:
        """Remove what was used longest ago, trees first, until no more than `to` bytes (`limit` if left out) are kept.

        What was used in the last ten minutes stays, unless `to` is 0: then all goes.  The store has all of it, and who is
        reading what goes reads on: from the open file, or from the store.

        Returns what was removed.
        """
        return room.prune(self.own, self.limit if to is None else to) if self.own else []

    def vaults(self) -> list[Known]:
        """What the cache itself knows of each vault."""
        return known(self.own) if self.own else []

    def forget(self, url: str) -> bool:
        """Drop what is known of the vault at `url`, which was made anew, or set back on purpose; False if that is nothing."""
        own, name = self.own, folders.of_vault(url)
        known = [("vaults", name, layout.MODELS), ("live", name)]
        found = [there for names in known if own and (there := folders.within(own, *names))]
        for each in found:
            folders.remove(each)
        return bool(found)

    def _build(self, tree: Path, intact: Callable[[Path], bool], build: Callable[[Path], object]) -> None:
        stage = tree.with_name(f".tmp-{os.urandom(16).hex()}")
        try:
            stage.mkdir(mode=0o700)
            build(stage)
            size = room.size_of(stage)
            _replace(stage, tree, intact)
        except StoreError:
            raise
        except OSError as error:
            raise folders.unusable(self.folder, error) from error
        finally:
            folders.remove(stage)
        self._grew(size)

    def _hints(self, name: str) -> Path | None:
        with contextlib.suppress(StoreError):  # a cache that cannot be written is read, and hashed each time
            return self.own and folders.own(self.own / name)
        return None

    def _shelf(self, *names: str, put: Callable[[int], None] | None = None) -> Shelf:
        own = self.own
        for name in names if own else ():
            own = own and folders.own(own / name)
        return Shelf(
            own, [found for layer in self.layers if (found := folders.within(layer, *names))], put, self.stamps
        )

    def _grew(self, size: int) -> None:
        """Look after the limit, now and then: at the first of what this process puts in, and after each sixteenth."""
        where = str(self.folder)
        before = _GREW.get(where)
        _GREW[where] = (before or 0) + size
        if before is None or _GREW[where] * 16 >= self.limit:
            _GREW[where] = 0
            with contextlib.suppress(OSError):  # whoever comes next looks again; nobody's read may fail of it
                self.prune()


_GREW: dict[str, int] = {}
"""Bytes that this process has put into each cache since it last looked how full that is."""


def _stands(tree: Path, intact: Callable[[Path], bool]) -> bool:
    return tree.is_dir() and not tree.is_symlink() and intact(tree)


def _replace(stage: Path, tree: Path, intact: Callable[[Path], bool]) -> None:
    """Move `stage` to `tree`, unless another process was faster; what is damaged there goes aside first.

    A cache is no vault: replacing a folder in it is allowed, for its name says what must be in it.  One that is intact
    stays: somebody may be reading it.
    """
    aside = stage.with_name(stage.name + ".old")
    for _ in range(100):
        try:
            os.rename(stage, tree)
        except OSError as error:
            if error.errno not in {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}:
                raise
        else:
            return
        if _stands(tree, intact):
            return
        with contextlib.suppress(FileNotFoundError):
            tree.rename(aside)
        folders.remove(aside)
    raise StoreError(
        f"the cache folder {shown(tree)} is busy", code=Code.STORE_FAILED, hint="run it again", ref=shown(tree)
    )
