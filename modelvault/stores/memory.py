"""A store in memory: for tests, for trying things out, and as the model that other stores are compared with."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from itertools import islice

from modelvault.errors import Code, Corrupt, InvalidInput
from modelvault.stores.port import (
    READ_LIMIT,
    Data,
    Entry,
    Key,
    KeyExists,
    KeyMissing,
    Sink,
    Span,
    checked,
    checked_prefix,
)

__all__ = ["MemoryStore", "shared"]


class MemoryStore:
    """Objects in a dictionary, seen by this process alone.  Two of one name are two stores, unless `shared`."""

    exclusive = True

    def __init__(self, name: str = "") -> None:
        self.url = f"memory://{name}"
        self._objects: dict[Key, bytes] = {}
        self._lock = threading.Lock()

    def private(self, key: Key) -> bool:
        """Nobody else reaches the memory of a process."""
        return bool(checked(key))

    def read(self, key: Key) -> bytes:
        """The whole of a small object."""
        data = self._object(key)
        if len(data) > READ_LIMIT:
            raise Corrupt(f"{key} has {len(data)} bytes and is no record", code=Code.TOO_LARGE, ref=key)
        return data

    def create(self, key: Key, data: Data) -> None:
        """Put `data` at `key` if nothing is there.  Commit point: the assignment."""
        checked(key)
        size, whole = (len(data), data) if isinstance(data, bytes) else (data.size, b"".join(data.chunks()))
        if len(whole) != size:
            raise InvalidInput(f"the content says {size} bytes and gave {len(whole)}", code=Code.BAD_VALUE, ref=key)
        with self._lock:
            if key in self._objects:
                raise KeyExists(key)
            self._objects[key] = whole

    def fetch(self, key: Key, spans: Sequence[Span], sink: Sink) -> None:
        """Hand the bytes of `spans` to `sink`, a span at a time."""
        data = self._object(key)
        for offset, length in spans:
            if not 0 <= offset <= offset + length <= len(data):
                raise Corrupt(f"{key} has {len(data)} bytes, not {offset + length}", code=Code.DIGEST_MISMATCH, ref=key)
            sink(offset, data[offset : offset + length])

    def list(self, prefix: str, *, limit: int | None = None) -> Iterator[Entry]:
        """One level of the tree."""
        checked_prefix(prefix)
        at = prefix.rfind("/") + 1
        with self._lock:
            near = [(key, len(data)) for key, data in self._objects.items() if key.startswith(prefix)]
        level = {_line(key, size, at) for key, size in near}
        return islice(iter(sorted(level)), limit)

    def delete(self, key: Key) -> None:
        """Remove an object."""
        self._objects.pop(checked(key), None)

    def _object(self, key: Key) -> bytes:
        try:
            return self._objects[checked(key)]
        except KeyError:
            raise KeyMissing(key) from None


def _line(key: Key, size: int, at: int) -> Entry:
    """What a listing of the folder that ends at `at` says of `key`."""
    end = key.find("/", at) + 1
    return Entry(Key(key[:end]), 0) if end else Entry(key, size)


_shared: dict[str, MemoryStore] = {}


def shared(name: str) -> MemoryStore:
    """The one store of that name in this process."""
    return _shared.setdefault(name, MemoryStore(name))
