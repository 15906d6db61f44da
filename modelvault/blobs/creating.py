"""The create of a blob: again after a failure that passes, and beside what is torn."""

from __future__ import annotations

import os
import time

from modelvault import layout
from modelvault.canonical import Digest
from modelvault.errors import Code, CommitUncertain, StoreError, VaultError
from modelvault.stores import Data, Key, KeyExists, Store
from modelvault.stores.pace import LONGEST_PAUSE, PASSING, TRIES, pause

__all__ = ["create"]


def create(store: Store, content: Data, digest: Digest) -> str:
    """Create the blob of `content`, whose digest is `digest`, and give its name; one that is there is not written again.

    Where an object of another size stands at the name (a torn write of a store that cannot do better), the bytes go
    under the same digest with a nonce, and the other is left for upkeep.  After a failure it is created again, even
    if it is there: only "ok" and "exists" say that it will outlive a crash.

    Raises:
        CommitUncertain: the store could not say whether it was written.
        StoreError: the store failed, and it was not.
    """
    name: str = digest
    size = len(content) if isinstance(content, bytes) else content.size
    failed: StoreError | None = None
    for tries in range(1, TRIES + 1):
        key = Key(layout.blob(name))
        try:
            store.create(key, content)
        except KeyExists:
            if _size(store, key, failed) == size:
                return name
            name = f"{digest}.{os.urandom(8).hex()}"
        except StoreError as error:
            failed, wait = error, pause(tries, error)
            if error.code == Code.STORE_UNREACHABLE:
                _reach(store, key, error)
            if wait > LONGEST_PAUSE:
                raise
            if error.code not in PASSING:
                if _size(store, key, error) != size:
                    raise
                if error.code == Code.STORE_DENIED:
                    return name  # so some services answer one who may only create, where the key is taken
            if tries < TRIES:
                time.sleep(wait)
        else:
            return name
    raise failed or StoreError(f"no name is free for {digest}", code=Code.STORE_FAILED, ref=digest)


def _reach(store: Store, key: Key, failed: StoreError) -> None:
    """The store answers again; else what it failed with is all that there is to say: no blob is ever in doubt for long."""
    try:
        next(iter(store.list(key, limit=1)), None)
    except VaultError:
        raise failed from None


def _size(store: Store, key: Key, doubt: StoreError | None) -> int | None:
    try:
        found = next(iter(store.list(key, limit=1)), None)
    except VaultError as error:
        if doubt is None:
            raise
        if doubt.code == Code.STORE_DENIED and error.code == Code.STORE_DENIED:
            raise doubt from None
        raise CommitUncertain(
            f"the store could not say whether {key} was written",
            code=Code.COMMIT_UNCERTAIN,
            hint="run it again: a blob that is there already is not written twice",
            key=key,
            ref=key,
        ) from doubt
    return found.size if found is not None and found.key == key else None
