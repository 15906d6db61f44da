"""A shelf: one folder of a cache as a store, with those of the layers behind it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from modelvault.cache import folders
from modelvault.cache.stamps import Stamps
from modelvault.errors import Code, StoreError
from modelvault.stores import Data, Entry, Key, KeyMissing, Sink, Span, checked
from modelvault.stores.local import LocalStore
from modelvault.stores.posix import Open

__all__ = ["Shelf"]


class Shelf:
    """What is not in its own folder is looked for in the layers.  It is written to its own, or nowhere if there is none."""

    exclusive = True

    def __init__(
        self,
        own: Path | None,
        layers: Sequence[Path],
        put: Callable[[int], None] | None = None,
        stamps: Stamps | None = None,
    ) -> None:
        """`put` is told the bytes of each object that was added: content, which need not be durable; `stamps` say what was verified."""
        self.own = LocalStore(own, durable=put is None) if own else None
        self.layers = tuple(map(LocalStore, layers))
        self._put = put
        self._stamps = stamps or Stamps()

    @property
    def url(self) -> str:
        """The folder."""
        return self.own.url if self.own else ""

    @property
    def all(self) -> tuple[LocalStore, ...]:
        """Its own folder, and those of the layers."""
        return (self.own, *self.layers) if self.own else self.layers

    def private(self, key: Key) -> bool:
        """Only the user of this process, or root, can have put what stands at `key`."""
        return any(store.private(key) for store in self.all)

    def holds(self, key: Key) -> bool:
        """Something is in its own folder."""
        return self.own is not None and Path(self.own.url, checked(key)).is_file()

    def read(self, key: Key) -> bytes:
        """The whole of a small object."""
        for store in self.all:
            try:
                return store.read(key)
            except KeyMissing:
                continue
        raise KeyMissing(key)

    def create(self, key: Key, data: Data) -> None:
        """Put `data` at `key`, if nothing is there."""
        if self.own is None:
            raise StoreError(
                "there is no cache but its layers, which are only read",
                code=Code.STORE_DENIED,
                hint="set MODELVAULT_CACHE to a folder of your own",
                ref=key,
            )
        self.own.create(key, data)
        if self._put:
            self._put(len(data) if isinstance(data, bytes) else data.size)

    def fetch(self, key: Key, spans: Sequence[Span], sink: Sink) -> None:
        """Hand the bytes of `spans` to `sink`."""
        for store in self.all:
            try:
                store.fetch(key, spans, sink)
            except KeyMissing:
                continue
            if store is self.own and any(span.offset == 0 for span in spans):
                folders.use(f"{store.url}/{key}")
            return
        raise KeyMissing(key)

    def open(self, key: Key) -> Open:
        """A descriptor of the object at `key`."""
        for store in self.all:
            try:
                found = store.open(key)
            except KeyMissing:
                continue
            if store is self.own:
                folders.use(f"{store.url}/{key}")
            return found
        raise KeyMissing(key)

    def sound(self, key: Key, check: Callable[[], bool]) -> bool:
        """What stands at `key` is right: it is as it was when it was verified, or `check` says so."""
        place = next((path for path in self._paths(key) if os.path.isfile(path)), None)
        if place is None:
            return check()
        if self.own and place == f"{self.own.url}/{key}":
            self._stamps.settle(place)
        return self._stamps.sound(key, lambda: _found(place), check)

    def link(self, key: Key, path: Path) -> bool:
        """Give what stands at `key` in its own folder the new name `path`, too; False where that cannot be."""
        if self.own is None:
            return False
        try:
            os.link(Path(self.own.url, checked(key)), path, follow_symlinks=False)
        except OSError:
            return False
        return True

    def list(self, prefix: str, *, limit: int | None = None) -> Iterator[Entry]:
        """One level of the tree."""
        found = {entry.key: entry for store in reversed(self.all) for entry in store.list(prefix, limit=limit)}
        return iter([found[key] for key in sorted(found)][:limit])

    def _paths(self, key: Key) -> Iterator[str]:
        return (f"{store.url}/{checked(key)}" for store in self.all)

    def delete(self, key: Key) -> None:
        """Remove an object from its own folder, and what was noted down of those at its key."""
        for path in self._paths(key):
            self._stamps.drop(key, _found(path))
        if self.own:
            self.own.delete(key)


def _found(path: str) -> list[os.stat_result]:
    """Nothing if it has gone meanwhile."""
    try:
        return [os.lstat(path)]
    except OSError:
        return []
