"""The store port: bytes by key, five verbs, and none of them replaces a key.

A store keeps *objects* under *keys*: paths of plain segments joined by ``/``.  The only write is `create`, which puts a
whole object at a key if and only if nothing is there; it is the one atomic primitive that a disk, S3, GCS, Azure and
SFTP share, and every promise of a vault rests on it.  `modelvault.testing.StoreSuite` proves a store against this page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, NewType, Protocol, runtime_checkable

from modelvault.errors import AlreadyExists, Code, InvalidInput, NotFound

__all__ = [
    "READ_LIMIT",
    "Content",
    "Data",
    "Entry",
    "Key",
    "KeyExists",
    "KeyMissing",
    "Local",
    "Resumable",
    "Sink",
    "Span",
    "Stages",
    "Store",
    "Taken",
    "checked",
    "checked_prefix",
]

Key = NewType("Key", str)

READ_LIMIT = 16 * 1024 * 1024
"""`Store.read` is for records: it refuses an object of more than this many bytes."""

_SEGMENT = r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}"
_KEY = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*", re.ASCII)
_KEY_LIMIT = 600


class KeyExists(AlreadyExists):
    """`create` found an object at the key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"{key} exists", code=Code.KEY_EXISTS, ref=key)


class Taken(KeyExists):
    """`commit` found the bytes of somebody else at the key: `existing`."""

    def __init__(self, key: str, existing: bytes) -> None:
        super().__init__(key)
        self.existing = existing


class KeyMissing(NotFound):
    """Nothing is stored at the key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"nothing is stored at {key}", code=Code.KEY_MISSING, ref=key)


class Entry(NamedTuple):
    """One line of a listing.  A folder's `key` ends with ``/`` and its `size` is 0."""

    key: Key
    size: int


class Span(NamedTuple):
    """A range of bytes: `length` bytes from `offset`."""

    offset: int
    length: int


class Content(Protocol):
    """Bytes that are too many to hold: `size` of them, in `chunks`, which can be read from the start again.

    `chunks` may raise at any point, the end included (a source that changed, say): then nothing is created.
    """

    @property
    def size(self) -> int:
        """How many bytes."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """All of them, from the start."""
        ...


@runtime_checkable
class Resumable(Content, Protocol):
    """Content that takes long to come, and can prove what came of it before."""

    def rest(self, first: Iterator[bytes]) -> Iterator[bytes]:
        """What follows the bytes `first`, which were its first ones, once.

        Raises:
            Corrupt: at the end, they were not, or what followed is not what it should be.
        """
        ...


Data = bytes | Content
Sink = Callable[[int, bytes], None]
"""Takes `(offset in the object, bytes)`.  Chunks of one span come in order; spans may come in any order."""


@runtime_checkable
class Store(Protocol):
    """Bytes by key.

    Every verb raises `InvalidInput` for a malformed key, at the call, and `StoreError` where the store itself fails.  What
    a `Content` or a `Sink` raises passes through.  Whether a key may also be a folder of other keys is the store's affair:
    a vault has no such keys.
    """

    @property
    def url(self) -> str:
        """Where it is, for people and as an identity; never with credentials."""
        ...

    @property
    def exclusive(self) -> bool:
        """`create` is decided atomically between any number of writers."""
        ...

    def private(self, key: Key) -> bool:
        """Only the user of this process can have put what stands at `key`."""
        ...

    def read(self, key: Key) -> bytes:
        """The whole of a small object.

        Raises:
            KeyMissing: nothing is there.
            Corrupt: `too-large`, it has more than `READ_LIMIT` bytes, so it is no record.
        """
        ...

    def create(self, key: Key, data: Data) -> None:
        """Put `data` at `key` if nothing is there: all of it or nothing, durable on return, never a replacement.

        Raises:
            KeyExists: something is there, untouched (it may be our own write, answered twice).
            InvalidInput: `bad-value`, a `Content` gave more or fewer bytes than its `size`.
            StoreError: it is not known whether the object is there, unless the code says otherwise.
        """
        ...

    def fetch(self, key: Key, spans: Sequence[Span], sink: Sink) -> None:
        """Hand the bytes of `spans` to `sink`, in chunks.

        Raises:
            KeyMissing: nothing is there.
            Corrupt: `digest-mismatch`, the object ends before a span does.
        """
        ...

    def list(self, prefix: str, *, limit: int | None = None) -> Iterator[Entry]:
        """One level of the tree: the keys that begin with `prefix`, in order, at most `limit`; deeper ones as folders.

        `prefix` is a folder (``a/b/``), optionally with the start of a name (``a/b/na``).  Strongly consistent: what was
        created before the call is listed, and no cache stands between.  A folder is listed while an object is below it.
        """
        ...

    def delete(self, key: Key) -> None:
        """Remove an object; one that is not there is no error.  For upkeep alone: no other verb may call it."""
        ...


@runtime_checkable
class Stages(Protocol):
    """A store that can write content before its key is known: for content that is hashed while it is written."""

    def stage(self, folder: str, data: Content) -> AbstractContextManager[Content]:
        """Write `data` somewhere for `folder`: within the ``with`` block, `create` takes what this gives at little cost.

        Its size may be known no sooner than when its chunks have come to their end.
        """
        ...


@runtime_checkable
class Local(Protocol):
    """A store whose objects are plain files of this machine."""

    def open(self, key: Key) -> AbstractContextManager[int]:
        """A descriptor of the object at `key`."""
        ...


def checked_prefix(prefix: str) -> str:
    """`prefix`, if keys can begin with it."""
    checked(prefix + "0" if prefix[-1:] in ("", "/") else prefix)
    return prefix


def checked(key: str) -> Key:
    """`key`, if it is well formed: every adapter calls this before it touches anything."""
    if len(key) <= _KEY_LIMIT and _KEY.fullmatch(key):
        return Key(key)
    raise InvalidInput(f"not a key: {key[:80]!r}", code=Code.BAD_KEY)
