"""A copy of a store that is written to in memory alone: what happens in it happens to nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from heapq import merge
from itertools import groupby, islice

from modelvault.errors import Code, StoreError
from modelvault.stores.memory import MemoryStore
from modelvault.stores.port import Data, Entry, Key, KeyExists, KeyMissing, Local, Sink, Span, Store
from modelvault.stores.wrappers import Operation, Verb

__all__ = ["Overlay", "overlay"]


class Overlay:
    """Reads fall through to `inner`; what is created stays here, and goes with this object.  Make one with `overlay`.

    `trouble`, if it is set, is called before each operation, and may wait or raise: faults are played that way.
    """

    exclusive = True

    def __init__(self, inner: Store, name: str, origin: Key) -> None:
        self.url = f"{inner.url}#{name}"
        self.trouble: Callable[[Operation], object] | None = None
        self._inner = inner
        self._origin = origin
        self._over = MemoryStore(name)
        self._mine: set[str] = set()

    def private(self, key: Key) -> bool:
        """As the inner store says; what was created here is as private as what it was made after."""
        return self._inner.private(self._origin if key in self._mine else key)

    def read(self, key: Key) -> bytes:
        """The whole of a small object."""
        self._meet("read", key)
        return self._holder(key).read(key)

    def create(self, key: Key, data: Data) -> None:
        """Put `data` at `key` if nothing is there, nor below."""
        self._meet("create", key)
        if any(entry.key == key for entry in self._inner.list(key, limit=1)):
            raise KeyExists(key)
        self._over.create(key, data)
        self._mine.add(key)

    def fetch(self, key: Key, spans: Sequence[Span], sink: Sink) -> None:
        """Hand the bytes of `spans` to `sink`."""
        self._meet("fetch", key)
        self._holder(key).fetch(key, spans, sink)

    def list(self, prefix: str, *, limit: int | None = None) -> Iterator[Entry]:
        """One level of the tree, of both."""
        self._meet("list", prefix)
        both = merge(self._over.list(prefix, limit=limit), self._inner.list(prefix, limit=limit))
        return islice((next(same) for _, same in groupby(both, lambda entry: entry.key)), limit)

    def delete(self, key: Key) -> None:
        """Remove what was created here; nothing else can be."""
        self._meet("delete", key)
        if key not in self._mine and any(entry.key == key for entry in self._inner.list(key, limit=1)):
            raise StoreError(f"{key} is only read here", code=Code.STORE_DENIED, ref=key)
        self._over.delete(key)
        self._mine.discard(key)

    def replace(self, key: Key, data: bytes) -> None:
        """Another content for what was created here: what no store does, and a broken disk may."""
        self._over.delete(key)
        self._over.create(key, data)

    @property
    def created(self) -> tuple[str, ...]:
        """The keys of what was created here, in order."""
        return tuple(sorted(self._mine))

    def _holder(self, key: Key) -> Store:
        return self._over if key in self._mine else self._inner

    def _meet(self, verb: Verb, key: str) -> None:
        if self.trouble is not None:
            self.trouble(Operation(verb, key))


class _Local(Overlay):
    """Over a store whose objects are files of this machine, which can be mapped where they lie."""

    def open(self, key: Key) -> AbstractContextManager[int]:
        """A descriptor of the object at `key`, if it is a file."""
        self._meet("fetch", key)
        if key in self._mine or not isinstance(self._inner, Local):
            raise KeyMissing(key)
        return self._inner.open(key)


def overlay(inner: Store, name: str, origin: Key) -> Overlay:
    """`inner` as it is now, to be written to without a trace.

    Its URL is that of `inner` with ``#name``, so that nothing that is remembered of one is taken for the other.  `origin`
    is the key after which what is created is made: who trusts that may trust what follows from it.
    """
    return (_Local if isinstance(inner, Local) else Overlay)(inner, name, origin)
