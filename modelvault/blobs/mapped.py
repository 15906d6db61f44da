"""Bytes that are used where they lie: one plain local file that nobody else can change, mapped into memory."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import lru_cache
from mmap import ACCESS_COPY, mmap

from modelvault import layout
from modelvault.blobs.hashing import hasher_of
from modelvault.cache.stamps import Stamps
from modelvault.errors import VaultError
from modelvault.stores import Key
from modelvault.stores.port import Local
from modelvault.wire import File

__all__ = ["joined", "mapped", "whole"]

_OF_OTHERS = {"9p", "afs", "beegfs", "ceph", "cifs", "fuse", "gpfs", "lustre", "nfs", "nfs4", "smb3", "smbfs"}
"""File systems on which another machine can take away what is mapped here, which kills the process (SIGBUS)."""


def mapped(store: Local, key: Key, digest: str, size: int, stamps: Stamps, what: str) -> memoryview | None:
    """The object at `key`, which must be `size` bytes with the digest `digest`; None if it is not, or cannot be mapped.

    The bytes are those of the file, and stay if its name goes.  What is written to them is this process's own.
    """
    try:
        with store.open(key) as file:
            found = os.fstat(file)
            if found.st_size != size or _is_of_others(found.st_dev):
                return None
            view = memoryview(mmap(file, size, access=ACCESS_COPY))
            sound = stamps.sound(what, lambda: [os.fstat(file)], lambda: _is(view, digest))
    except (VaultError, OSError):  # whoever reads it instead says what is wrong
        return None
    return view if sound else None


def joined(chunks: Iterable[bytes]) -> memoryview:
    """All chunks, in memory once.  It grows as they come, for what a manifest says of their size may be a lie."""
    data = bytearray()
    for chunk in chunks:
        data += chunk
    return memoryview(data)


def whole(file: File) -> Key | None:
    """The blob that is all of `file` and nothing else, if there is one: so says its name."""
    names = {part.blob or part.digest for part in file.parts}
    name = names.pop() if len(names) == 1 else ""
    return Key(layout.blob(name)) if name.partition(".")[0] == file.digest else None


@lru_cache
def _is_of_others(device: int) -> bool:
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as lines:
            return _type(lines, f"{os.major(device)}:{os.minor(device)}").partition(".")[0] in _OF_OTHERS
    except OSError:  # no Linux
        return False


def _type(lines: Iterable[str], device: str) -> str:
    """The type of the file system of `device`, such as ``8:1``, in what Linux says of its mounts; nothing if unknown."""
    for line in lines:
        mount, _, system = line.partition(" - ")
        if mount.split()[2] == device:
            return system.split()[0]
    return ""


def _is(view: memoryview, digest: str) -> bool:
    hasher = hasher_of(digest)
    hasher.update(view)
    return f"{digest.partition(':')[0]}:{hasher.hexdigest()}" == digest
