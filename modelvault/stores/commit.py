"""In doubt, read back: how a record is created when stores may fail, or answer a request of ours twice."""

from __future__ import annotations

import time
from collections.abc import Callable

from modelvault.errors import Code, CommitUncertain, InvalidInput, StoreError, VaultError
from modelvault.stores.pace import LONGEST_PAUSE, TRIES, pause
from modelvault.stores.port import READ_LIMIT, Key, KeyExists, KeyMissing, Store, Taken

__all__ = ["commit"]

_DEFINITE = {Code.STORE_FULL, Code.STORE_DENIED}


def commit(store: Store, key: Key, data: bytes, *, txn: str, sleep: Callable[[float], None] = time.sleep) -> None:
    """Create the record `data` at `key`, and know whether that happened.  Commit point: `store.create`.

    `data` carries the `txn`, which is used once: equal bytes at `key` are ours.  Nothing is ever removed.

        create says      read back says   then
        ok               (not asked)      done
        exists           equal bytes      done: it was our own write, answered late or twice
        failed           equal bytes      create again: what is read may not outlive a crash, until `create` says
                                          "ok" or "exists"; after the last try `CommitUncertain`
        exists, failed   other bytes      `Taken`
        exists, failed   an error         `CommitUncertain`
        denied           denied           that `StoreError`, at the first try: nothing was sent before it
        full, denied     nothing there    that `StoreError`: the store has refused it
        exists, failed   nothing there    create again; after the last try that `StoreError`, or `CommitUncertain`
                                          where the store said "exists"
        no answer        nothing there    as failed; but then `CommitUncertain` in place of a `StoreError`, for what
                                          was sent may still arrive

    There are four tries in all, and "full" and "denied" are failures too.

    Raises:
        Taken: `key-exists`, with the bytes that stand there.
        StoreError: nothing is there, and the store would not take it; each try had its answer.
        CommitUncertain: nobody can say; `key` and `txn` tell how to find out.
        InvalidInput: `too-large`, it could not be read back.
    """
    if len(data) > READ_LIMIT:
        raise InvalidInput(f"a record of {len(data)} bytes is too large", code=Code.TOO_LARGE, ref=key)
    unanswered = False
    for tries in range(1, TRIES + 1):
        try:
            return store.create(key, data)
        except (KeyExists, StoreError) as error:
            failed = isinstance(error, StoreError)
            unanswered = unanswered or error.code == Code.STORE_UNREACHABLE
            try:
                existing = _read_back(store, key)
            except VaultError as unread:
                if tries == 1 and error.code == unread.code == Code.STORE_DENIED:
                    raise error from None
                raise _uncertain(key, txn) from unread
            if existing == data and not failed:
                return None
            if existing not in (None, data):
                raise Taken(key, existing) from error
            wait = pause(tries, error if isinstance(error, StoreError) else None)
            last = tries == TRIES or wait > LONGEST_PAUSE
            if existing is None and (error.code in _DEFINITE or (failed and last)):
                if unanswered:
                    raise _uncertain(key, txn) from error
                raise
        if last:
            break
        sleep(wait)
    raise _uncertain(key, txn)


def _read_back(store: Store, key: Key) -> bytes | None:
    try:
        return store.read(key)
    except KeyMissing:
        return None


def _uncertain(key: Key, txn: str) -> CommitUncertain:
    hint = f"read {key} when the store answers again: if it holds txn {txn}, it is done"
    message = f"the store cannot say whether {key} was written"
    return CommitUncertain(message, code=Code.COMMIT_UNCERTAIN, hint=hint, ref=key, key=key, txn=txn)
