"""A store that fails at the n-th operation, in every way that stores and processes do.

    for n in itertools.count(1):
        faulty = FaultStore(store, Fault.CRASH_AFTER, at=n)
        try:
            verb(faulty)
        except Crash:
            ...  # what does somebody see who opens `store` now?
        if not faulty.struck:
            break  # the verb has fewer than n operations: all have been tried

Faults combine by wrapping a `FaultStore` in another.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import get_args

from modelvault.errors import Code, StoreError
from modelvault.stores.port import Data, Entry, Key, KeyExists, Sink, Span, Store
from modelvault.stores.wrappers import Verb, Wrapper

__all__ = ["Crash", "Fault", "FaultStore"]


class Fault(Enum):
    """What goes wrong."""

    CRASH_BEFORE = "the process dies, and nothing is done"
    CRASH_AFTER = "it is done, and the process dies"
    CRASH_TORN = "half of the object is stored, and the process dies: a store that breaks its promise"
    ERROR_BEFORE = "the store fails, and nothing is done"
    ERROR_AFTER = "it is done, and the reply is lost"
    EXISTS_AFTER = "it is done, and the reply is that the key exists: a request sent twice below us"
    TORN = "half of the object is stored, and all seems well: a store that breaks its promise"
    SHORT = "half of the bytes are read, and all seems well"
    FLIP = "one bit of the bytes that are read is wrong"
    STALE = "the listing is the one that was given last time for that prefix, or nothing"
    DELAY = "it takes long"

    @property
    def verbs(self) -> frozenset[Verb]:
        """Those it can happen to."""
        return _VERBS.get(self, frozenset(get_args(Verb)))


_VERBS: dict[Fault, frozenset[Verb]] = {
    Fault.CRASH_TORN: frozenset({"create"}),
    Fault.EXISTS_AFTER: frozenset({"create"}),
    Fault.TORN: frozenset({"create"}),
    Fault.SHORT: frozenset({"read", "fetch"}),
    Fault.FLIP: frozenset({"read", "fetch"}),
    Fault.STALE: frozenset({"list"}),
}


class Crash(BaseException):
    """The process is dead.  No `except Exception` holds it, and its store answers nothing any more."""


class FaultStore(Wrapper):
    """Strikes once with `fault`, at the operation number `at`, or from there on if `lasting`.

    Only operations of `verbs` count, by default of all verbs that the fault can happen to.  `count` says how many there
    were, `struck` whether the fault has happened.  `sleep` is called with `seconds` for `Fault.DELAY`.
    """

    def __init__(
        self,
        inner: Store,
        fault: Fault,
        *,
        at: int = 1,
        lasting: bool = False,
        verbs: Collection[Verb] = (),
        seconds: float = 1.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not fault.verbs.issuperset(verbs):
            raise ValueError(f"{fault} happens to {sorted(fault.verbs)}, not to {sorted(verbs)}")
        super().__init__(inner)
        self.fault = fault
        self.count = 0
        self.struck = False
        self._at = at
        self._lasting = lasting
        self._verbs = frozenset(verbs) or fault.verbs
        self._seconds = seconds
        self._sleep = sleep
        self._dead = False
        self._listings: dict[tuple[str, int | None], Sequence[Entry]] = {}
        self._lock = threading.Lock()

    def read(self, key: Key) -> bytes:
        with self._operation("read", key) as fault:
            data = self.inner.read(key)
            return _SPOILS[fault](data) if fault in _SPOILS else data

    def create(self, key: Key, data: Data) -> None:
        with self._operation("create", key) as fault:
            self.inner.create(key, _half(data) if fault in (Fault.TORN, Fault.CRASH_TORN) else data)

    def fetch(self, key: Key, spans: Sequence[Span], sink: Sink) -> None:
        with self._operation("fetch", key) as fault:
            spoils = [_SPOILS[fault]] if fault in _SPOILS else []
            self.inner.fetch(key, spans, lambda at, chunk: sink(at, spoils.pop()(chunk) if spoils else chunk))

    def list(self, prefix: str, *, limit: int | None = None) -> Iterator[Entry]:
        with self._operation("list", prefix) as fault:
            last = self._listings.get((prefix, limit), [])
            if fault is Fault.STALE:
                return iter(last)
            fresh = [*self.inner.list(prefix, limit=limit)]
            self._listings[prefix, limit] = fresh
            return iter(fresh)

    def delete(self, key: Key) -> None:
        with self._operation("delete", key):
            self.inner.delete(key)

    @contextmanager
    def _operation(self, verb: Verb, key: str) -> Iterator[Fault | None]:
        fault = self._due(verb)
        if fault in (Fault.CRASH_BEFORE, Fault.ERROR_BEFORE):
            raise self._failure(fault, key)
        if fault is Fault.DELAY:
            self._sleep(self._seconds)
        try:
            yield fault
        finally:  # whatever the answer was, it is not heard
            if fault in (Fault.CRASH_AFTER, Fault.CRASH_TORN, Fault.ERROR_AFTER, Fault.EXISTS_AFTER):
                raise self._failure(fault, key)

    def _due(self, verb: Verb) -> Fault | None:
        with self._lock:
            if self._dead:
                raise Crash
            self.count += verb in self._verbs
            if verb not in self._verbs or self.count < self._at or (self.struck and not self._lasting):
                return None
            self.struck = True
            return self.fault

    def _failure(self, fault: Fault, key: str) -> BaseException:
        if fault is Fault.EXISTS_AFTER:
            return KeyExists(key)
        if fault in (Fault.ERROR_BEFORE, Fault.ERROR_AFTER):
            return StoreError(f"{key}: {fault.value}", code=Code.STORE_FAILED, ref=key)
        self._dead = True
        return Crash(f"{key}: {fault.value}")


def _half(data: Data) -> bytes:
    whole = data if isinstance(data, bytes) else b"".join(data.chunks())
    return whole[: len(whole) // 2]


def _flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes(byte ^ 1 for byte in data[middle : middle + 1]) + data[middle + 1 :]


_SPOILS: dict[Fault | None, Callable[[bytes], bytes]] = {Fault.SHORT: _half, Fault.FLIP: _flipped}
