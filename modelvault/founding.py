"""The root of a vault: who makes it, and the proof that its store can keep one."""

from __future__ import annotations

import contextlib
import os
import time
from datetime import datetime
from itertools import count

from modelvault import layout
from modelvault.errors import Code, InvalidInput, StoreError, Unsupported, shown
from modelvault.stores import Key, KeyExists, KeyMissing, Store, Taken
from modelvault.stores.commit import commit
from modelvault.stores.pace import again
from modelvault.wire import VaultRecord, read_sealed, record, seal

__all__ = ["check_exclusive", "found"]

_KEY = Key(layout.VAULT)
_TEST = Key(layout.SELF_TEST)


def found(store: Store, now: datetime, *, single_writer: bool, tested: bool) -> None:
    """The root record is there and of a format that this release writes, or is made.

    Unless the store has been `tested`, or there is a `single_writer`, it is asked to create what is there already, which
    it must refuse: some services accept the condition and replace the object all the same.

    Raises:
        Unsupported: `no-exclusive-create`, `newer-format`.
        InvalidInput: `bad-value`, the place is in use for something else.
    """
    check_exclusive(store, single_writer=single_writer)
    tested = tested or single_writer
    try:
        raw = store.read(_KEY)
    except KeyMissing:
        raw = _made(store, now, single_writer=single_writer, tested=tested)
    else:
        if not tested:
            _must_refuse(store, _KEY, raw)
    root = read_sealed(VaultRecord, raw, layout.VAULT)
    if root.format != 1:
        raise Unsupported(
            f"the vault at {shown(store.url)} has format {root.format}, and this release writes format 1",
            code=Code.NEWER_FORMAT,
            hint="upgrade: pip install -U modelvault-sdk",
            ref=store.url,
        )
    if root.single_writer and not single_writer:
        raise _unfit(store, "was made for a single writer")


def check_exclusive(store: Store, *, single_writer: bool) -> None:
    """The store decides between writers, or there is only one.

    Raises:
        Unsupported: `no-exclusive-create`.
    """
    if not (store.exclusive or single_writer):
        raise _unfit(store, "cannot decide between writers")


def _made(store: Store, now: datetime, *, single_writer: bool, tested: bool) -> bytes:
    """The root record, made where nothing else is.  Commit point: its create."""
    if any(entry.key != _TEST for entry in store.list("", limit=2)):
        with contextlib.suppress(KeyMissing):  # another's first publish, this very moment
            return store.read(_KEY)
        raise InvalidInput(
            f"{store.url} holds other things and is no vault",
            code=Code.BAD_VALUE,
            hint="name an empty or new folder: a vault has it to itself",
            ref=store.url,
        )
    if not tested:
        _self_test(store)
    root = record(VaultRecord, format=1, id=_txn(), created=now, single_writer=single_writer)
    raw = seal(root)
    try:
        commit(store, _KEY, raw, txn=root.id)
    except Taken as taken:
        return taken.existing
    return raw


def _self_test(store: Store) -> None:
    """Create an object twice: the second time must be refused, and the first content stay.  It is left as the proof."""
    first, second = (b'{"self-test":"%s"}' % txn.encode() for txn in (_txn(), _txn()))
    with contextlib.suppress(Taken):
        commit(store, _TEST, first, txn=_txn())
    before = store.read(_TEST)
    _must_refuse(store, _TEST, second)
    if store.read(_TEST) != before:
        raise _unfit(store, "refused to replace an object, and replaced it")


def _must_refuse(store: Store, key: Key, data: bytes) -> None:
    """The store refuses to create `key`, which is there: for the key, or because nobody may write there."""
    for tries in count(1):
        try:
            store.create(key, data)
        except KeyExists:
            return
        except StoreError as error:
            if error.code == Code.STORE_DENIED:
                return
            wait = again(tries, error)
            if wait is None:
                raise
            time.sleep(wait)
        else:
            raise _unfit(store, "replaced an object that was there, though it was asked not to")


def _txn() -> str:
    return os.urandom(16).hex()


def _unfit(store: Store, why: str) -> Unsupported:
    return Unsupported(
        f"the store at {shown(store.url)} {why}",
        code=Code.NO_EXCLUSIVE_CREATE,
        hint="if you are the only one who writes there: open(url, single_writer=True)",
        ref=store.url,
    )
