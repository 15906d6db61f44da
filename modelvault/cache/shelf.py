"""A shelf: one folder of a cache as a store, with those of the layers behind it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from modelvault.cache import folders
from modelvault.errors import Code, StoreError
from modelvault.stores import Data, Entry, Key, KeyMissing, Sink, Span, checked
from modelvault.stores.local import LocalStore

__all__ = ["Shelf"]


class Shelf:
    """What is not in its own folder is looked for in the layers.  It is written to its own, or nowhere if there is none."""

    exclusive = True

    def __init__(self, own: Path | None, layers: Sequence[Path], put: Callable[[int], None] | None = None) -> None:
        """`put` is told the bytes of each object that was added: content, which is verified and need not be durable."""
        self.own = LocalStore(own, durable=put is None) if own else None
        self.layers = tuple(map(LocalStore, layers))
        self._put = put

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
                folders.used(f"{store.url}/{key}")
            return
        raise KeyMissing(key)

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

    def delete(self, key: Key) -> None:
        """Remove an object from its own folder."""
        if self.own:
            self.own.delete(key)
