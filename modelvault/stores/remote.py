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
import os
import re
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from itertools import islice
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

from modelvault.errors import Code, Corrupt, InvalidInput, StoreError, Unsupported, VaultError, shown
from modelvault.stores.pace import LONGEST_PAUSE, PASSING, TRIES, pause
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

__all__ = ["Page", "Place", "Refusal", "Remote", "checked_options", "needed", "retry_after"]

PART = 8 * 1024 * 1024
"""Bytes of a request of bulk; of a whole object that goes in a single request, at most."""

_PARTS_LIMIT = 9_000
_WINDOW = 4
"""Requests of bulk under way at once, for each call."""

_LARGEST_OFFSET = 2**63
T = TypeVar("T")


class Refusal(NamedTuple):
    """What a server answered instead: an HTTP status (0 for none), its own word for it, and ``Retry-After`` in seconds."""

    status: int
    word: str = ""
    retry_after: float | None = None


class Page(NamedTuple):
    """A piece of a listing: names and sizes, names of folders, and the mark to go on from, None at the end."""

    objects: list[tuple[str, int]]
    folders: list[str]
    mark: Any


class Place(NamedTuple):
    """A place in a cloud: the bucket or container, the prefix in it, and what its URL says of the service, by name."""

    bucket: str
    prefix: str
    said: Mapping[str, str]

    @classmethod
    def of(cls, url: str, *words: str) -> Place:
        """The place at `url`, ``scheme://bucket/prefix``, optionally with ``?word=…`` for some of `words`.

        Raises:
            InvalidInput: `bad-value`, it is malformed, or holds a password.
        """
        from urllib.parse import parse_qsl, urlsplit

        parts = urlsplit(url)
        bad = "::" in url or parts.fragment or "@" in parts.netloc or not re.fullmatch(r"[\w.:-]+", parts.netloc)
        prefix = parts.path.strip("/")
        said = dict(parse_qsl(parts.query, keep_blank_values=True))
        if bad or set(said) - set(words) or any(bit in {"", ".", ".."} for bit in prefix.split("/") if prefix):
            raise InvalidInput(
                f"not the URL of a place in a store: {shown(_bare(url))}",
                code=Code.BAD_VALUE,
                hint=f"write {parts.scheme}://bucket/folder; credentials go into options or the environment",
            )
        return cls(parts.netloc, prefix, said)


def _bare(url: str) -> str:
    """`url` without what may be secret in it."""
    return re.sub(r"//[^/]*@", "//…@", url).partition("?")[0]


class Remote(ABC):
    """A store of which every request may be slow, lost, or answered late.  A subclass makes the requests.

    One is good for any number of threads, and in children of a fork: each process has connections of its own.
    """

    exclusive = True
    """The server decides; `publishing.self_test` looks whether it does before anything is written."""

    service: ClassVar[str]
    """What people call it."""
    window: ClassVar[int] = _WINDOW
    ordered: bool = True
    """The service lists names in order."""

    def __init__(self, url: str, prefix: str, *, deadline: float = 60.0) -> None:
        """A store at `url`, an identity for people; each small request has `deadline` seconds, one of bulk five times that."""
        if not 0 < deadline < float("inf"):
            raise InvalidInput("deadline is a number of seconds", code=Code.BAD_VALUE)
        self.url = url
        self._prefix = f"{prefix}/" if prefix else ""
        self._deadline = deadline
        self._mine: tuple[int, Any] = (0, None)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {shown(self.url)}>"

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_mine": (0, None)}

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
            raise self._failed(key, Code.STORE_MISSING, "is not there") from error

    def fetch(self, key: Key, spans: Sequence[Span], sink: Sink) -> None:
        """Hand the bytes of `spans` to `sink`, in order.  One request for each `PART`, several at once."""
        name = self._name(key)
        with _Window(self.window) as window:
            for span in _cut(spans, key):
                for done in window.add(self._start(key, self._ranged(key, name, span), bulk=True)):
                    sink(done[0].offset, done[1])
            for done in window.rest():
                sink(done[0].offset, done[1])

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
        pid, fs = self._mine
        if pid == os.getpid():
            return fs
        with _connecting:
            if self._mine[0] != os.getpid():
                fs = self._connect()
                _filesystems[id(fs)] = weakref.ref(fs)
                self._mine = (os.getpid(), fs)
        return self._mine[1]

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
            raise self._failed(prefix, Code.STORE_MISSING, "is not there") from error

    async def _ranged(self, key: Key, name: str, span: Span) -> tuple[Span, bytes]:
        data = await self._range(name, *span) if span.offset < _LARGEST_OFFSET else b""
        if len(data) != span.length:
            raise _short(key, span)
        return span, data

    def _create_in_parts(self, key: Key, name: str, content: Content) -> None:
        if self._size(key) is not None:
            raise KeyExists(key)
        size = PART * -(-content.size // (PART * _PARTS_LIMIT))
        upload = self._again(key, lambda: self._begin(name))
        try:
            parts = self._upload(key, name, upload, _pieces(content, key, size), -(-content.size // size))
        except BaseException:
            with contextlib.suppress(VaultError):
                self._run(key, lambda: self._abandon(name, upload))
            raise
        self._run(key, lambda: self._finish(name, upload, parts))
        if self._size(key) != content.size:
            raise StoreError(
                f"the store took {content.size} bytes for {key}, and shows another size",
                code=Code.STORE_FAILED,
                ref=key,
            )

    def _upload(self, key: Key, name: str, upload: Any, pieces: Iterator[bytes], count: int) -> Sequence[Any]:
        done: deque[Any] = deque()
        with _Window(self.window) as window:
            for number, body in enumerate(pieces, 1):
                send = self._sending(key, name, upload, number, body, last=number == count)
                done.extend(window.add(self._start(key, send, bulk=True)))
            done.extend(window.rest())
        return done

    async def _sending(self, key: str, name: str, upload: Any, number: int, body: bytes, *, last: bool) -> Any:
        """Upload a part, again if need be: parts have numbers, so one that was lost is sent anew."""
        for tries in range(1, TRIES + 1):
            try:
                return await self._part(name, upload, number, body, last=last)
            except Exception as error:  # each is translated, or raised as it is
                failure = self._translated(key, error)
                wait = pause(tries, failure) if isinstance(failure, StoreError) else 0.0
                if failure.code not in PASSING or tries == TRIES or wait > LONGEST_PAUSE:
                    raise failure from error
            await asyncio.sleep(wait)
        raise AssertionError

    def _again(self, key: str, request: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """A request that may be made twice, made again if need be."""
        for tries in range(1, TRIES):
            try:
                return self._run(key, request)
            except StoreError as error:
                if error.code not in PASSING or pause(tries, error) > LONGEST_PAUSE:
                    raise
                time.sleep(pause(tries, error))
        return self._run(key, request)

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
            return self._failed(key, Code.STORE_UNREACHABLE, "did not answer in time")
        refusal = self._refusal(error)
        if isinstance(refusal, VaultError):
            return refusal
        if refusal is None:
            raise error
        return self._refused(key, refusal)

    def _refused(self, key: str, refusal: Refusal) -> VaultError:
        status, word, retry_after = refusal
        if status in {404, 410} and word not in _NO_BUCKET:
            return KeyMissing(key)
        if status == 412:
            return KeyExists(key)
        code = _code(status, word)
        said = f"answered {status} {word}".rstrip() if status else f"cannot be reached: {word}"
        return self._failed(key, code, said, retry_after)

    def _failed(self, key: str, code: Code, said: str, retry_after: float | None = None) -> StoreError:
        return StoreError(
            f"{shown(self.url)} {shown(said)}", code=code, hint=_HINTS[code], ref=key, retry_after=retry_after
        )


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

    def add(self, answer: _Answer) -> Iterator[Any]:
        """Take one in, and give back the oldest where there are too many."""
        self._open.append(answer)
        while len(self._open) >= self._size:
            yield self._open.popleft().result()

    def rest(self) -> Iterator[Any]:
        while self._open:
            yield self._open.popleft().result()


_BUSY = {"SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "ServerBusy", "TooManyRequests"}
_DENIED = {
    "AccessDenied",
    "AuthenticationFailed",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "NoCredentials",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
}
_NO_BUCKET = {"NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted"}
_HINTS = {
    Code.STORE_BUSY: "try again later, with fewer writers at once",
    Code.STORE_DENIED: "check the credentials, when they expire, and what they may do: docs/how-to tells the least rights",
    Code.STORE_FAILED: "try again; if it stays so, look at the service",
    Code.STORE_FULL: "make room, or raise the quota",
    Code.STORE_MISSING: "correct the URL, or create the bucket first",
    Code.STORE_UNREACHABLE: "check the network and the endpoint, then try again",
}


def _code(status: int, word: str) -> Code:
    if status == 429 or word in _BUSY:
        return Code.STORE_BUSY
    if status in {401, 403} or word in _DENIED:
        return Code.STORE_DENIED
    if word in _NO_BUCKET:
        return Code.STORE_MISSING
    if status == 507 or "Quota" in word:
        return Code.STORE_FULL
    return Code.STORE_UNREACHABLE if status in {0, 502, 503, 504} else Code.STORE_FAILED


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


def checked_options(
    options: Mapping[str, Any], kind: Any, url: str, ours: AbstractSet[str], more: AbstractSet[str]
) -> None:
    """Every one of `options` is one of the filesystem `kind`, or of `more`, and none is one of `ours`.

    Raises:
        InvalidInput: `bad-value`, with the names that are not, and never their values.
    """
    import inspect

    named = {name for name, one in inspect.signature(kind.__init__).parameters.items() if one.kind != one.VAR_KEYWORD}
    known = (named | more) - ours - {"self"}
    unknown = sorted(set(options) - known)
    if unknown:
        raise InvalidInput(
            f"{shown(url)} has no such options: {shown(', '.join(unknown))}",
            code=Code.BAD_VALUE,
            hint=f"there is: {', '.join(sorted(known))}",
        )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that ``Retry-After`` asks for, as a number or a date (RFC 9110, 10.2.3)."""
    from datetime import UTC, datetime
    from email.utils import parsedate_to_datetime

    said = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    with contextlib.suppress(ValueError):
        return max(0.0, float(said))
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds())
    return None


def needed(module: str, extra: str, url: str) -> None:
    """`module` is installed, as `extra` of this package would do.

    Raises:
        Unsupported: `extra-missing`, with the command.
    """
    from importlib.util import find_spec

    if find_spec(module) is None:
        raise Unsupported(
            f"a vault at {shown(url)} needs the package {module}, which is not installed",
            code=Code.EXTRA_MISSING,
            hint=f"pip install 'modelvault-sdk[{extra}]'",
        )


_connecting = threading.Lock()
_filesystems: dict[int, weakref.ref[Any]] = {}
"""By `id`, those that this process has made."""
_inherited = list[Any]()
"""Those that a parent has made.  To drop one would close what the parent uses."""


def _after_fork() -> None:
    """What a parent has made stays as it is: neither used nor closed, not even at the end."""
    global _connecting  # noqa: PLW0603 - it may be held by a thread that is not here
    _connecting = threading.Lock()
    theirs = [fs for made in _filesystems.values() if (fs := made()) is not None]
    _filesystems.clear()
    _inherited.extend(theirs)
    for finalizer in tuple(weakref.finalize._registry):  # type: ignore[attr-defined] # noqa: SLF001 - no other way
        peeked = finalizer.peek()
        if peeked and any(peeked[0] is fs for fs in theirs):
            finalizer.detach()


os.register_at_fork(after_in_child=_after_fork)
