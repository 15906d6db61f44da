"""Stores around a store: each adds one thing, and passes on the rest."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple, TypeVar

from modelvault.errors import Code, StoreError
from modelvault.stores.pace import PASSING, pause
from modelvault.stores.port import Data, Entry, Key, Sink, Span, Store

__all__ = ["Latency", "Operation", "ReadOnly", "Recording", "Retrying", "Verb", "Wrapper"]

Verb = Literal["read", "create", "fetch", "list", "delete"]
T = TypeVar("T")


class Operation(NamedTuple):
    """One call of a verb.  `key` is the prefix of a listing; `size` is the bytes asked to move, 0 where unknown."""

    verb: Verb
    key: str
    size: int = 0


class Wrapper:
    """Passes everything on to `inner`.  A subclass has its say in `around`, which every verb goes through."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner

    def around(self, operation: Operation, call: Callable[[], T]) -> T:
        """Do `operation` by calling `call`, which passes it on."""
        return call()

    @property
    def url(self) -> str:
        """Where the inner store is."""
        return self.inner.url

    @property
    def exclusive(self) -> bool:
        """Whether the inner store is."""
        return self.inner.exclusive

    def private(self, key: Key) -> bool:
        """Whether the inner store says so."""
        return self.inner.private(key)

    def read(self, key: Key) -> bytes:
        """The whole of a small object."""
        return self.around(Operation("read", key), lambda: self.inner.read(key))

    def create(self, key: Key, data: Data) -> None:
        """Put `data` at `key` if nothing is there."""
        size = len(data) if isinstance(data, bytes) else data.size
        self.around(Operation("create", key, size), lambda: self.inner.create(key, data))

    def fetch(self, key: Key, spans: Sequence[Span], sink: Sink) -> None:
        """Hand the bytes of `spans` to `sink`."""
        size = sum(span.length for span in spans)
        self.around(Operation("fetch", key, size), lambda: self.inner.fetch(key, spans, sink))

    def list(self, prefix: str, *, limit: int | None = None) -> Iterator[Entry]:
        """One level of the tree."""
        return self.around(Operation("list", prefix), lambda: self.inner.list(prefix, limit=limit))

    def delete(self, key: Key) -> None:
        """Remove an object."""
        self.around(Operation("delete", key), lambda: self.inner.delete(key))


class Recording(Wrapper):
    """Remembers every call in `operations`, those that fail included."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.operations: list[Operation] = []

    @property
    def counts(self) -> Counter[str]:
        """How many calls of each verb."""
        return Counter(operation.verb for operation in tuple(self.operations))

    def around(self, operation: Operation, call: Callable[[], T]) -> T:
        """Note it down, and do it."""
        self.operations.append(operation)  # atomic, so threads may share this
        return call()


class Latency(Wrapper):
    """Makes every call wait first: a store that is far away."""

    def __init__(self, inner: Store, seconds: float, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(inner)
        self._seconds = seconds
        self._sleep = sleep

    def around(self, operation: Operation, call: Callable[[], T]) -> T:
        """Wait, and do it."""
        self._sleep(self._seconds)
        return call()


class ReadOnly(Wrapper):
    """Takes no `create` and no `delete`."""

    def around(self, operation: Operation, call: Callable[[], T]) -> T:
        """Do it, if it changes nothing."""
        if operation.verb in ("create", "delete"):
            message = f"{self.url} is open for reading only"
            raise StoreError(message, code=Code.STORE_DENIED, ref=operation.key)
        return call()


class Retrying(Wrapper):
    """Asks again, after a pause, where a store fails in a way that may pass (`pace.PASSING`).

    Not for a `create`: whoever creates must look what came of the first try, see `commit` and `Blobs`.  There are `tries`
    at most, and none begins when `deadline` seconds have gone by; each has a deadline of its own below this.
    """

    def __init__(
        self, inner: Store, *, tries: int = 6, deadline: float = 60.0, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        super().__init__(inner)
        self._tries = tries
        self._deadline = deadline
        self._sleep = sleep

    def around(self, operation: Operation, call: Callable[[], T]) -> T:
        """Do it, until it is done or has failed too often."""
        if operation.verb == "create":
            return call()
        begun = time.monotonic()
        for tries in itertools.count(1):
            try:
                return call()
            except StoreError as error:
                wait = pause(tries, error)
                left = begun + self._deadline - time.monotonic()
                if error.code not in PASSING or tries == self._tries or wait > left:
                    raise
            self._sleep(wait)
        raise AssertionError

    def fetch(self, key: Key, spans: Sequence[Span], sink: Sink) -> None:
        """Hand the bytes of `spans` to `sink`, each once: a further try asks for what is still missing."""
        missing, refusal = list(spans), list[StoreError]()

        def passed(at: int, chunk: bytes) -> None:
            try:
                sink(at, chunk)
            except StoreError as error:  # the sink's own, which no other try mends
                refusal.append(error)
                raise _SinkFailed from error
            _strike(missing, at, len(chunk))

        try:
            self.around(Operation("fetch", key), lambda: self.inner.fetch(key, tuple(missing), passed))
        except _SinkFailed:
            raise refusal[0] from None


class _SinkFailed(Exception):
    """Passes through a store as any error of a sink does."""


def _strike(missing: list[Span], at: int, length: int) -> None:
    """Take off what has come: `length` bytes from `at`, the front of one of the spans that are `missing`."""
    for place, span in enumerate(missing):
        if span.offset == at and span.length >= length:
            missing[place : place + 1] = [Span(at + length, span.length - length)] if span.length > length else []
            return
