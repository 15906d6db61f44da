"""What a publish would do: the real one, done to a store that takes every write and forgets it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from modelvault import layout
from modelvault.stores import Data, Entry, Key, KeyExists, Store
from modelvault.stores.wrappers import Operation, Recording
from modelvault.wire import Claim, Manifest

__all__ = ["Estimate", "Rehearsal", "estimated"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What `Vault.publish` would do."""

    model: str
    number: str
    """The number that the version would get, if nobody takes it first."""
    files: int
    """How many."""
    size: int
    """The bytes of all files: those that are new, shared and inline."""
    new: int
    """Bytes that would be stored."""
    saved: int
    """Bytes more that they would be, if they were not compressed."""
    shared: int
    """Bytes that the vault has already, or that two of the files have in common."""
    inline: int
    """Bytes that would stand in the record of the version."""
    blobs: int
    """Objects that would be created for the bytes that are new, and for a large manifest."""
    requests: int
    """That a process would make which has read nothing yet.  An object that is sent in pieces, and a listing of several
    pages, are counted as one."""


class Rehearsal(Recording):
    """Writes nothing: what is created is remembered, and answered for as if it were there."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.made: dict[str, Data] = {}

    def create(self, key: Key, data: Data) -> None:
        """Remember `data`, if nothing is there."""
        self.operations.append(Operation("create", key, _size(data)))
        found = next(iter(self.inner.list(key, limit=1)), None)
        if key in self.made or (found and found.key == key):
            raise KeyExists(key)
        self.made[key] = data

    def read(self, key: Key) -> bytes:
        """The whole of a small object."""
        made = self.made.get(key)
        return self.around(Operation("read", key), lambda: made if isinstance(made, bytes) else self.inner.read(key))

    def list(self, prefix: str, *, limit: int | None = None) -> Iterator[Entry]:
        """One level of the tree; of what was created, what is asked for by its key."""
        if prefix not in self.made:
            return super().list(prefix, limit=limit)
        self.operations.append(Operation("list", prefix))
        return iter([Entry(Key(prefix), _size(self.made[prefix]))])


def estimated(manifest: Manifest, claim: Claim, store: Rehearsal) -> Estimate:
    """What it took to publish `manifest` to `store`."""
    blobs = {key: _size(data) for key, data in store.made.items() if key.startswith(layout.BLOBS)}
    blob = claim.target.blob
    new = sum(blobs.values()) - (blobs.get(layout.blob(blob), 0) if blob else 0)
    inline = sum(file.size for file in manifest.files if file.inline is not None)
    made = {(part.blob or part.digest, part.offset): part for file in manifest.files for part in file.parts}
    meant = sum(part.size for (name, _), part in made.items() if layout.blob(name) in blobs)
    return Estimate(
        model=manifest.model,
        number=manifest.version,
        files=len(manifest.files),
        size=manifest.size,
        new=new,
        saved=meant - new,
        shared=manifest.size - inline - meant,
        inline=inline,
        blobs=len(blobs),
        requests=len(store.operations),
    )


def _size(data: Data) -> int:
    return len(data) if isinstance(data, bytes) else data.size
