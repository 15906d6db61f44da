"""Append-only journals: what aliases, notes and policies are made of.

A journal is a folder of numbered records, each created once and never removed, the newest sorting first.  Entry n+1 is
written only by one who has read entry n, so entries are contiguous from 1; its `prev` is the digest of entry n, so that
the newest entry vouches for all before it.  Creating entry n+1 is at once the compare-and-set, the history, the audit
trail and the undo stack (`docs/spec/v1.md`, Journals).
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from modelvault import layout
from modelvault.cache import Records, Stored
from modelvault.canonical import Digest, digest_of
from modelvault.errors import Code, Conflict, Corrupt, shown
from modelvault.stores import Key, KeyMissing, Taken
from modelvault.stores.commit import commit
from modelvault.wire import Move, Note, Policy, Target, seal

__all__ = ["Journal", "Slot", "pauses", "restored", "undo_of"]

AnyEntry = TypeVar("AnyEntry", Move, Note, Policy)

_PARALLEL_FROM, _WORKERS = 32, 16
_TRIES = 500
_LONGEST_PAUSE = 0.1
_BETWEEN = 1.0
"""Seconds."""


class Slot:
    """The place of an entry to be, after `newest`: its `seq`, and `prev`, the digest of the entry before it."""

    __slots__ = ("_not_before", "prev", "seq")

    def __init__(self, newest: Stored[Any] | None) -> None:
        self.seq: int = newest.record.seq + 1 if newest else 1
        self.prev: Digest | None = newest.digest if newest else None
        self._not_before: datetime | None = newest.record.at if newest else None

    def at(self, clock: Callable[[], datetime]) -> datetime:
        """The time by `clock`, but never before that of the entry before: times of a journal do not go back."""
        now = clock()
        return max(now, self._not_before) if self._not_before else now


class _Heads(Protocol[AnyEntry]):
    """What any process of this user has seen last: see `modelvault.cache.heads`."""

    def newest(self, folder: str, names: Mapping[str, str]) -> tuple[Stored[AnyEntry], float] | None: ...
    def saw(self, folder: str, stored: Stored[AnyEntry]) -> None: ...


class Journal(Generic[AnyEntry]):
    """The journal in one folder, of entries of one kind whose `names` say which journal they belong to.

    It remembers the newest entry that it has seen, and refuses what does not follow from it; and what other processes of
    this user have seen, if there are `heads`.  Safe for threads, and without a lock: none could be left locked in a forked
    child.
    """

    def __init__(
        self,
        records: Records,
        folder: str,
        kind: type[AnyEntry],
        names: Mapping[str, str],
        heads: _Heads[AnyEntry] | None = None,
    ) -> None:
        self.records = records
        self.folder = folder
        self.kind: type[AnyEntry] = kind
        self.names = names
        self._head: Stored[AnyEntry] | None = None
        self._heads: _Heads[AnyEntry] | None = heads
        self._confirmed = self._noted = 0.0

    def newest(self) -> AnyEntry | None:
        """The newest entry; None if there is none.

        One list and one read; one read if this journal has been looked at before and nothing has been added.  So one who
        remembers goes on with what it has seen while a store is set back, and refuses what is then built on another past.

        Raises:
            Corrupt: `alias-went-backwards`, the store lists less than was seen; `journal-broken` or `bad-record`, an
                entry is not what its key says, or does not follow from what was seen.
        """
        head = self._head
        if head is not None:
            try:
                self.records.store.read(Key(layout.entry(self.folder, head.record.seq + 1)))
            except KeyMissing:
                self._confirmed = time.time()
                if self._heads:
                    self._note(head)
                return head.record
        head = self._listed()
        return head.record if head else None

    def remembered(self) -> tuple[AnyEntry, float] | None:
        """The newest entry that was seen, by this process or another, and how many seconds ago the store confirmed it.

        Nothing is asked of the store.  None if nothing is remembered.
        """
        head, disk = self._head, self._on_disk()
        record, confirmed = (head.record, self._confirmed) if head else (None, 0.0)
        if disk and (record is None or (disk[0].record.seq, disk[1]) > (record.seq, confirmed)):
            record, confirmed = disk[0].record, disk[1]
        return (record, max(0.0, time.time() - confirmed)) if record else None

    def entry(self, seq: int) -> AnyEntry:
        """Entry `seq`.

        Raises:
            Corrupt: `journal-broken`, it is missing or not what its key says.
        """
        return self._entry(seq).record

    def entries(self) -> list[AnyEntry]:
        """All entries, newest first, the chain checked.

        Raises:
            Corrupt: `journal-broken`, with the seq of the first entry that does not follow from the one before it.
        """
        newest = self.newest()
        return [] if newest is None else self.chain(newest.seq, 1)

    def chain(self, newest: int, oldest: int) -> list[AnyEntry]:
        """The entries from `newest` down to `oldest`, each the one that the entry after it names.

        Raises:
            Corrupt: `journal-broken`, with the seq of the first that is not.
        """
        stored = list(self._all(newest, oldest))
        self._check_chain(stored)
        return [one.record for one in stored]

    def append(self, build: Callable[[AnyEntry | None, Slot], AnyEntry | None]) -> AnyEntry:
        """Add the entry that `build` makes of the newest one.  Commit point: the create of its key.

        Where it makes none, because the newest will do, nothing is added, and that is what is returned.

        Where another writer puts that entry first, `build` is asked again, with the new newest one: it raises if it no
        longer wants to.  Each time somebody's entry was added, so writers as a whole are never stuck.

        Raises:
            Conflict: `journal-busy`, others were faster each of many times.
            CommitUncertain: the store could not say.
        """
        for pause in pauses():
            try:
                return self._append(build)
            except Taken:
                pause()
        raise Conflict(
            f"too many writers at once on {self.folder}", code=Code.JOURNAL_BUSY, hint="run it again", ref=self.folder
        )

    def foreseen(self, build: Callable[[AnyEntry | None, Slot], AnyEntry | None]) -> AnyEntry:
        """What `append` would return; nothing is added."""
        newest = self._listed()
        entry = build(newest.record if newest else None, Slot(newest))
        return _or_newest(entry, newest)

    def _append(self, build: Callable[[AnyEntry | None, Slot], AnyEntry | None]) -> AnyEntry:
        remembered = self._head
        newest = self._listed()
        if newest is not None and newest is remembered:
            self._check_still_there(newest)
        slot = Slot(newest)
        entry = build(newest.record if newest else None, slot)
        if entry is None:
            return _or_newest(entry, newest)
        raw = seal(entry)
        key = layout.entry(self.folder, slot.seq)
        commit(self.records.store, Key(key), raw, txn=entry.txn)
        self._saw(self.records.keep(key, entry, raw))
        return entry

    def _listed(self) -> Stored[AnyEntry] | None:
        """The newest entry that the store lists now.  It must follow from the one that was seen before.

        Where only another process has seen one, what lies between it and the newest is not read: it is checked if it
        is the newest itself, or the one before.
        """
        head, disk = self._head, self._on_disk()
        known = head.record.seq if head else 0
        seen = max(known, disk[0].record.seq) if disk else known
        seq = next((layout.seq_of(found.key) for found in self.records.store.list(self.folder, limit=1)), 0)
        if seq < seen:
            raise Corrupt(
                f"{self.folder} ends at entry {seq}, and this reader has seen entry {seen}",
                code=Code.ALIAS_WENT_BACKWARDS,
                hint="the store was restored from an older copy, or answers from a stale replica: find out which"
                + self._if_meant(),
                ref=self.folder,
            )
        if seq == known:
            if head is not None:
                self._saw(head)
            return head
        chain = [self._entry(one) for one in range(seq, known if head else seq - 1, -1)]
        newest = chain[0]
        if head is not None:
            chain.append(head)
        self._check_chain(chain)
        if disk:
            self._check_after(disk[0], chain)
        self._saw(newest)
        return newest

    def _saw(self, newest: Stored[AnyEntry]) -> None:
        """The store has just said that `newest` is the newest."""
        if self._head is None or self._head.record.seq < newest.record.seq:
            self._head, self._noted = newest, 0.0
        self._confirmed = time.time()
        self._note(newest)

    def _note(self, head: Stored[AnyEntry]) -> None:
        """What has been confirmed is noted on disk, once a second at most."""
        if self._heads and abs(self._confirmed - self._noted) >= _BETWEEN:
            self._noted = self._confirmed
            self._heads.saw(self.folder, head)

    def _on_disk(self) -> tuple[Stored[AnyEntry], float] | None:
        """The newest entry that any process has seen, and when."""
        return self._heads.newest(self.folder, self.names) if self._heads else None

    def _check_after(self, before: Stored[AnyEntry], chain: Sequence[Stored[AnyEntry]]) -> None:
        seq = before.record.seq
        for one in chain:
            same, next = one.record.seq == seq, one.record.seq == seq + 1
            if (same and one.digest != before.digest) or (next and one.record.prev != before.digest):
                raise self._broken(one.record.seq, f"another entry {seq} was seen before", self._if_meant())

    def _if_meant(self) -> str:
        return f"; if it is meant, 'modelvault cache forget {shown(self.records.store.url)}'" if self._heads else ""

    def _check_still_there(self, newest: Stored[AnyEntry]) -> None:
        """A writer builds on what stands in the store, not on what it remembers: it may have been set back since."""
        seq = newest.record.seq
        try:
            raw = self.records.store.read(Key(layout.entry(self.folder, seq)))
        except KeyMissing:
            raise self._broken(seq, "it is missing") from None
        if digest_of(raw) != newest.digest:
            raise self._broken(seq, "it is not the entry that was there before")

    def _check_chain(self, stored: Sequence[Stored[AnyEntry]]) -> None:
        for later, earlier in itertools.pairwise(stored):
            if later.record.prev != earlier.digest:
                raise self._broken(later.record.seq, f"it does not follow from entry {earlier.record.seq}")

    def _entry(self, seq: int) -> Stored[AnyEntry]:
        try:
            stored = self.records.read(self.kind, layout.entry(self.folder, seq))
        except KeyMissing:
            raise self._broken(seq, "it is missing") from None
        if stored.record.seq != seq or any(getattr(stored.record, name) != text for name, text in self.names.items()):
            raise self._broken(seq, "it belongs to another place")
        return stored

    def _all(self, newest: int, oldest: int) -> Iterator[Stored[AnyEntry]]:
        seqs = range(newest, oldest - 1, -1)
        if len(seqs) < _PARALLEL_FROM:
            yield from map(self._entry, seqs)
            return
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(_WORKERS) as pool:
            yield from pool.map(self._entry, seqs)

    def _broken(self, seq: int, fault: str, more: str = "") -> Corrupt:
        return Corrupt(
            f"entry {seq} of {self.folder} is broken: {fault}",
            code=Code.JOURNAL_BROKEN,
            hint="journals are never changed: compare with a copy of the vault" + more,
            ref=layout.entry(self.folder, seq),
        )


def _or_newest(entry: AnyEntry | None, newest: Stored[AnyEntry] | None) -> AnyEntry:
    if entry is not None:
        return entry
    assert newest is not None  # there is one that will do
    return newest.record


def pauses() -> Iterator[Callable[[], None]]:
    """The tries of a contended write, each with a pause to take when it was lost: random, and longer each time."""
    for attempt in range(_TRIES):
        longest = min(_LONGEST_PAUSE, 0.001 * 2 ** min(attempt, 10))
        yield lambda longest=longest: time.sleep(random.uniform(0, longest))  # type: ignore[misc]  # noqa: S311


def undo_of(newest: Move | None, target: Target) -> int | None:
    """The `undo` of a promotion to `target` after `newest`: the entry that it replaces.

    A promotion of what is there already replaces nothing, so it keeps the undo of the entry before it.
    """
    if newest is None:
        return None
    same = newest.target is not None and newest.target.digest == target.digest
    return newest.undo if same else newest.seq


def restored(newest: Move, entry: Callable[[int], Move]) -> Iterator[Move]:
    """What rollbacks from `newest` would restore, nearest first: the undo stack, top down.

    A rollback to one of these takes over its `target` and its `undo`, so that the next rollback goes one further back
    and never returns to what was just left.
    """
    undo = newest.undo
    while undo is not None:
        below = entry(undo)
        yield below
        undo = below.undo
