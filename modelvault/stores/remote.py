"""What the stores of the clouds share: the verbs of the port over a handful of requests that each adapter makes.

The filesystems of fsspec give credentials, endpoint and connections; their verbs are not used, for they look before they
write, keep listings, and repeat requests on their own.  An adapter makes each request itself, once, and says which
condition the server is to decide it by.

Only a single request is a commit point: records and all that is small.  What is large is uploaded in parts, and may only
be a blob, whose name says what must be in it: some servers let two such uploads of one name both succeed.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import partial
from itertools import count, islice
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

from modelvault.errors import Code, Corrupt, InvalidInput, StoreError, VaultError, shown
from modelvault.stores.answers import Refusal, failed, refused
from modelvault.stores.fork import PerProcess
from modelvault.stores.pace import again
from modelvault.stores.port import (
    Content,
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

__all__ = ["Page", "Remote"]

PART = 8 * 1024 * 1024
"""Bytes of a request of bulk; of a whole object that goes in a single request, at most."""

_PARTS_LIMIT = 9_000
_WINDOW = 4
"""Requests of bulk under way at once, for each call."""

_LARGEST_OFFSET = 2**63
T = TypeVar("T")


class Page(NamedTuple):
    """A piece of a listing: names and sizes, names of folders, and the mark to go on from, None at the end."""

    objects: list[tuple[str, int]]
    folders: list[str]
    mark: Any


class Remote(ABC):
    """A store of which every request may be slow, lost, or answered late.  A subclass makes the requests.

    One is good for any number of threads, and in children of a fork: each process has connections of its own.
    """

    exclusive = True
    """The server decides; `publishing.self_test` looks whether it does before anything is written."""

    service: ClassVar[str]
    """What people call it."""
    uploads: ClassVar[int] = _WINDOW
    """Parts of one upload that may be on the way at once."""
    ordered: bool = True
    """The service lists names in order."""

    def __init__(self, url: str, prefix: str, *, deadline: float = 60.0) -> None:
        """A store at `url`, an identity for people; each small request has `deadline` seconds, one of bulk five times that."""
        if not 0 < deadline < float("inf"):
            raise InvalidInput("deadline is a number of seconds", code=Code.BAD_VALUE)
        self.url = url
        self._prefix = f"{prefix}/" if prefix else ""
        self._deadline = deadline
        self._fs = PerProcess[Any](self._connect)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {shown(self.url)}>"

    # --- what an adapter makes

    @abstractmethod
    def _connect(self) -> Any:
        """A new filesystem of fsspec, with connections of its own and no cache."""

    @abstractmethod
    async def _read(self, name: str) -> bytes | int:
        """All bytes of an object, or how many there are where they exceed `READ_LIMIT`.  One request."""

    @abstractmethod
    async def _range(self, name: str, begin: int, length: int) -> bytes:
        """So many bytes from `begin`, fewer where the object ends before.  One request."""

    @abstractmethod
    async def _put(self, name: str, body: bytes) -> None:
        """Create an object if there is none.  One request, decided by the server."""

    @abstractmethod
    async def _page(self, prefix: str, limit: int | None, mark: Any) -> Page:
        """The names below `prefix` up to the next ``/``, `limit` at most, from `mark` on.  One request."""

    @abstractmethod
    async def _remove(self, name: str) -> None:
        """Remove an object; it need not be there.  One request."""

    async def _begin(self, name: str) -> Any:
        """Begin an upload in parts, under a condition if the service has one for it."""
        return None

    @abstractmethod
    async def _part(self, name: str, upload: Any, number: int, body: bytes, *, last: bool) -> Any:
        """Upload part `number`, from 1; what `_finish` needs to know of it."""

    @abstractmethod
    async def _finish(self, name: str, upload: Any, parts: Sequence[Any]) -> None:
        """Make an object of the parts, if there is none."""

    async def _abandon(self, name: str, upload: Any) -> None:
        """Drop the parts of an upload that was not finished, for they cost money."""
        return

    @abstractmethod
    def _refusal(self, error: Exception) -> Refusal | VaultError | None:
        """What the server said, if `error` is its answer or the lack of one; None for what is nobody's answer."""

    # --- the verbs

    def private(self, key: Key) -> bool:
        """Never: who else can write there is not to be seen from here."""
        checked(key)
        return False

    def read(self, key: Key) -> bytes:
        """The whole of a small object.  One request."""
        name = self._name(key)
        found = self._run(key, lambda: self._read(name))
        if isinstance(found, int):
            raise Corrupt(f"{key} has {found} bytes and is no record", code=Code.TOO_LARGE, ref=key)
        return found

    def create(self, key: Key, data: Data) -> None:
        """Put `data` at `key` if nothing is there.  Commit point: its single request; for large data, the last one."""
        name = self._name(key)
        try:
            if isinstance(data, bytes):
                self._run(key, lambda: self._put(name, data))
            elif data.size <= PART:
                body = b"".join(_pieces(data, key, PART))
                self._run(key, lambda: self._put(name, body))
            else:
                self._create_in_parts(key, name, data)
        except KeyMissing as error:
            raise failed(self.url, key, Code.STORE_MISSING, "is not there") from error

    def fetch(self, key: Key, spans: Sequence[Span], sink: Sink) -> None:
        """Hand the bytes of `spans` to `sink`, in order.  One request for each `PART`, several at once."""
        name = self._name(key)
        with _Window(_WINDOW) as window:
            for span in _cut(spans, key):
                for begin, data in window.room():
                    sink(begin, data)
                window.add(self._start(key, self._ranged(key, name, span), bulk=True))
            for begin, data in window.rest():
                sink(begin, data)

    def list(self, prefix: str, *, limit: int | None = None) -> Iterator[Entry]:
        """One level of the tree, of this moment.  One request for each page of the service."""
        start = self._prefix + checked_prefix(prefix)
        wanted = limit if self.ordered else None
        found, mark = deque[Entry](), None
        while wanted is None or len(found) < wanted:
            left = None if wanted is None else wanted - len(found)
            page = self._listed(prefix, partial(self._page, start, left, mark))
            found.extend(sorted(self._entries(page)))
            mark = page.mark
            if mark is None:
                break
        return islice(found if self.ordered else sorted(found), limit)

    def delete(self, key: Key) -> None:
        """Remove an object."""
        name = self._name(key)
        with contextlib.suppress(KeyMissing):
            self._run(key, lambda: self._remove(name))

    # --- parts of the verbs

    @property
    def fs(self) -> Any:
        """The filesystem of this process.  That of a parent is left as it is: its connections are the parent's."""
        return self._fs.get()

    def _name(self, key: str) -> str:
        return self._prefix + checked(key)

    def _entries(self, page: Page) -> Iterator[Entry]:
        at = len(self._prefix)
        for name, size in page.objects:
            with contextlib.suppress(InvalidInput):  # a marker of a folder, or what no vault has put there
                yield Entry(checked(name[at:]), size)
        for name in page.folders:
            with contextlib.suppress(InvalidInput):
                yield Entry(Key(checked(name[at:].removesuffix("/")) + "/"), 0)

    def _size(self, key: Key) -> int | None:
        found = next(self.list(key, limit=1), None)
        return found.size if found is not None and found.key == key else None

    def _listed(self, prefix: str, request: Callable[[], Coroutine[Any, Any, Page]]) -> Page:
        try:
            return self._run(prefix, request)
        except KeyMissing as error:  # no folder is ever missing
            raise failed(self.url, prefix, Code.STORE_MISSING, "is not there") from error

    async def _ranged(self, key: Key, name: str, span: Span) -> tuple[int, bytes]:
        data = await self._range(name, *span) if span.offset < _LARGEST_OFFSET else b""
        if len(data) != span.length:
            raise _short(key, span)
        return span.offset, data

    def _create_in_parts(self, key: Key, name: str, content: Content) -> None:
        if self._size(key) is not None:
            raise KeyExists(key)
        size = PART * -(-content.size // (PART * _PARTS_LIMIT))
        upload = self._again(key, lambda: self._begin(name))
        try:
            parts = self._upload(key, name, upload, _pieces(content, key, size), -(-content.size // size))
            self._run(key, lambda: self._finish(name, upload, parts))
        except KeyMissing as error:  # it ran out, or somebody swept it: another upload may do
            raise failed(self.url, key, Code.STORE_FAILED, f"has no upload of {key} any more") from error
        if self._size(key) != content.size:
            raise StoreError(
                f"the store took {content.size} bytes for {key}, and shows another size",
                code=Code.STORE_FAILED,
                ref=key,
            )

    def _upload(self, key: Key, name: str, upload: Any, pieces: Iterator[bytes], count: int) -> Sequence[Any]:
        done: deque[Any] = deque()
        try:
            with _Window(self.uploads) as window:
                for number, body in enumerate(pieces, 1):
                    done.extend(window.room())
                    send = self._sending(key, name, upload, number, body, last=number == count)
                    window.add(self._start(key, send, bulk=True))
                done.extend(window.rest())
        except BaseException:
            with contextlib.suppress(VaultError):
                self._run(key, lambda: self._abandon(name, upload))
            raise
        return done

    async def _sending(self, key: str, name: str, upload: Any, number: int, body: bytes, *, last: bool) -> Any:
        """Upload a part, again if need be: parts have numbers, so one that was lost is sent anew."""
        for tries in count(1):
            try:
                return await self._part(name, upload, number, body, last=last)
            except Exception as error:  # each is translated, or raised as it is
                failure = self._translated(key, error)
                wait = again(tries, failure)
                if wait is None:
                    raise failure from error
            await asyncio.sleep(wait)
        raise AssertionError

    def _again(self, key: str, request: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """A request that may be made twice, made again if need be."""
        for tries in count(1):
            try:
                return self._run(key, request)
            except StoreError as error:
                wait = again(tries, error)
                if wait is None:
                    raise
            time.sleep(wait)
        raise AssertionError

    def _run(self, key: str, request: Callable[[], Coroutine[Any, Any, T]]) -> T:
        done: T = self._start(key, request()).result()
        return done

    def _start(self, key: str, request: Coroutine[Any, Any, T], *, bulk: bool = False) -> _Answer:
        """Begin `request` on the thread of fsspec; its answer comes before the deadline, as a value or a `VaultError`."""
        seconds = self._deadline * (5 if bulk else 1)
        try:
            loop = self.fs.loop
        except BaseException:
            request.close()
            raise
        future = asyncio.run_coroutine_threadsafe(asyncio.wait_for(request, seconds), loop)
        return _Answer(future, lambda error: self._translated(key, error))

    def _translated(self, key: str, error: Exception) -> VaultError:
        """`error` as the category that its handler acts on.  Raises what is no answer of the server."""
        if isinstance(error, VaultError):
            return error
        if isinstance(error, TimeoutError):
            return failed(self.url, key, Code.STORE_UNREACHABLE, "did not answer in time")
        refusal = self._refusal(error)
        if isinstance(refusal, VaultError):
            return refusal
        if refusal is None:
            raise error
        return refused(self.url, key, refusal)


class _Answer(NamedTuple):
    """What will have come of a request."""

    future: concurrent.futures.Future[Any]
    translated: Callable[[Exception], VaultError]

    def result(self) -> Any:
        try:
            return self.future.result()
        except Exception as error:  # translated, or raised as it is
            failure = self.translated(error)
            if failure is error:
                raise
            raise failure from error
        except BaseException:  # an interrupt: nobody waits for it any more
            self.future.cancel()
            raise


class _Window:
    """Answers that are awaited in order, `size` of them under way at once; those that nobody wants any more are dropped."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._open: deque[_Answer] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for answer in self._open:
            answer.future.cancel()

    def add(self, answer: _Answer) -> None:
        self._open.append(answer)

    def room(self) -> Iterator[Any]:
        """The oldest, until there is room for another."""
        while len(self._open) >= self._size:
            yield self._open.popleft().result()

    def rest(self) -> Iterator[Any]:
        while self._open:
            yield self._open.popleft().result()


def _pieces(content: Content, key: str, size: int) -> Iterator[bytes]:
    """The bytes of `content` in pieces of `size`.  The last comes when `content` has ended, and all was well."""
    held, given = bytearray(), 0
    for chunk in content.chunks():
        given += len(chunk)
        if given > content.size:
            break
        held += chunk
        while len(held) > size:
            yield bytes(held[:size])
            del held[:size]
    if given != content.size:
        raise InvalidInput(f"the content says {content.size} bytes and gave {given}", code=Code.BAD_VALUE, ref=key)
    if held:
        yield bytes(held)


def _cut(spans: Sequence[Span], key: str) -> Iterator[Span]:
    for offset, length in spans:
        if offset < 0 or length < 0:
            raise _short(key, Span(offset, length))
        for begin in range(offset, offset + length, PART):
            yield Span(begin, min(PART, offset + length - begin))


def _short(key: str, span: Span) -> Corrupt:
    return Corrupt(f"{key} has not {span.length} bytes from {span.offset}", code=Code.DIGEST_MISMATCH, ref=key)
