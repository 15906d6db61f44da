"""Proxies in front of a server, that delay, cut, drop and answer in its stead, and count what reached it.

They run in a thread and listen on a port of loopback, so other processes may use them too.
"""

import asyncio
import contextlib
import itertools
import random
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Self

_PIECE = 1 << 16
_HEAD_LIMIT = 1 << 20


@dataclass(frozen=True)
class Pass:
    """Hand it on."""


@dataclass(frozen=True)
class Delay:
    """Wait, then do something."""

    seconds: float
    then: "Action" = Pass()


@dataclass(frozen=True)
class Cut:
    """Close the client's connection; the server never sees the request."""


@dataclass(frozen=True)
class CutBody:
    """Hand on the head and so many bytes of the request's body, then close both connections."""

    after: int = 0


@dataclass(frozen=True)
class DropReply:
    """Let the server answer, and close the client's connection with nothing sent."""


@dataclass(frozen=True)
class CutReply:
    """Hand back the head and so many bytes of the reply's body, then close the client's connection."""

    after: int = 0


@dataclass(frozen=True)
class Answer:
    """Answer in the server's stead."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Hang:
    """Never answer; `seen`: the server gets the request and answers, and nobody hears it."""

    seen: bool = False


Action = Pass | Delay | Cut | CutBody | DropReply | CutReply | Answer | Hang


@dataclass
class Request:
    """One request as it came, and what became of it."""

    index: int
    method: str
    path: str  # raw: as it stands on the wire, quoted
    query: str
    headers: dict[str, str]  # names in lower case
    action: Action = field(default_factory=Pass)
    status: int | None = None  # what the server answered, also where the client never heard it

    @property
    def writes(self) -> bool:
        """Whether it asks for a change."""
        return self.method not in {"GET", "HEAD", "OPTIONS"}


Rule = Callable[[Request], Action]
When = Callable[[Request], bool]


def any_request(request: Request) -> bool:
    return True


def writes(request: Request) -> bool:
    return request.writes


def reads(request: Request) -> bool:
    return not request.writes


def always(action: Action, when: When = any_request) -> Rule:
    """The action for all that match."""
    return lambda request: action if when(request) else Pass()


def first(action: Action, count: int = 1, when: When = any_request) -> Rule:
    """The action for the first so many that match."""
    return _counted(action, when, lambda number: number < count)


def nth(action: Action, number: int, when: When = any_request) -> Rule:
    """The action for one of those that match, counted from 0."""
    return _counted(action, when, lambda each: each == number)


def sometimes(action: Action, share: float, seed: int, when: When = any_request) -> Rule:
    """The action for a share of those that match, drawn by lot: the same draws for the same seed."""
    lots = random.Random(seed)
    return _counted(action, when, lambda _: lots.random() < share)


def _counted(action: Action, when: When, chosen: Callable[[int], bool]) -> Rule:
    numbers = itertools.count()
    return lambda request: action if when(request) and chosen(next(numbers)) else Pass()


def slow_down(seconds: int | None = None) -> Answer:
    """What S3 says to too many requests, with or without the seconds to wait."""
    headers = [("Content-Type", "application/xml")] + ([("Retry-After", str(seconds))] if seconds is not None else [])
    body = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
    return Answer(503, b'<?xml version="1.0" encoding="UTF-8"?>' + body, tuple(headers))


def too_many_requests(seconds: int | None = None) -> Answer:
    """What GCS and Azure say to too many requests."""
    headers = [("Content-Type", "application/json")] + ([("Retry-After", str(seconds))] if seconds is not None else [])
    return Answer(429, b'{"error":{"code":429,"message":"rate limit exceeded"}}', tuple(headers))


def expired_token() -> Answer:
    """What S3 says to credentials that ran out."""
    body = b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"
    return Answer(403, b'<?xml version="1.0" encoding="UTF-8"?>' + body, (("Content-Type", "application/xml"),))


class _Proxy:
    """A listener in a thread of its own, in front of `target`: a server, or its address."""

    def __init__(self, target: Any) -> None:
        self.target: str = getattr(target, "address", target)
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._listener: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """Host and port that clients connect to."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Close all connections that are open now."""
        self._run(self._cancel())

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port, limit=_HEAD_LIMIT)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        assert self._listener is not None
        self._listener.close()
        await self._cancel()
        await self._loop.shutdown_asyncgens()
        await asyncio.sleep(0.01)  # the transports that were aborted close their sockets in the next round

    async def _cancel(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # a connection has ended, or we end it: either way its peer is to see it
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, _, port = self.target.rpartition(":")
        return await asyncio.open_connection(host, int(port), limit=_HEAD_LIMIT)


class HTTPProxy(_Proxy):
    """Hands on requests byte by byte, the Host header as it is: signatures stay right.

    `rule` says what is done with each request; it is called in the proxy's thread, for one request at a time.
    `requests` has all that came, in order.
    """

    def __init__(self, target: Any, rule: Rule = always(Pass())) -> None:
        super().__init__(target)
        self.rule = rule
        self.requests: list[Request] = []

    def clear(self) -> None:
        """Forget what came, and let everything pass."""
        self.rule = always(Pass())
        self.requests = []

    def seen(self, method: str = "", path: str = "", query: str = "", status: int = 0) -> list[Request]:
        """Those requests that the server answered, of a method, with these parts in path and query, and of a status."""
        return [
            each
            for each in list(self.requests)
            if each.status is not None
            and method in {"", each.method}
            and path in each.path
            and query in each.query
            and status in {0, each.status}
        ]

    def count(self, method: str = "", path: str = "", query: str = "", status: int = 0) -> int:
        """How many requests the server answered, of those that `seen` tells."""
        return len(self.seen(method, path, query, status))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            request = self._request(head)
            headers = request.headers
            if headers.get("expect", "").lower() == "100-continue" and _body_comes(request.action):
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                head = b"\r\n".join(line for line in head.split(b"\r\n") if not line.lower().startswith(b"expect:"))
            again = await self._act(request.action, request, head, reader, writer)
            if not again or headers.get("connection", "").lower() == "close":
                await _finish(writer)
                return

    def _request(self, head: bytes) -> Request:
        first_line, headers = _parsed(head)
        method, target, _ = first_line.split(" ", 2)
        path, _, query = target.partition("?")
        request = Request(len(self.requests), method, path, query, headers)
        self.requests.append(request)
        request.action = self.rule(request)
        return request

    async def _act(
        self,
        action: Action,
        request: Request,
        head: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        """Whether the client's connection goes on."""
        match action:
            case Delay(seconds, then):
                await asyncio.sleep(seconds)
                return await self._act(then, request, head, reader, writer)
            case Cut() | Hang(seen=False):
                return await _end(action)
            case Answer(status, body, headers):
                async for _ in _body(reader, request.headers):
                    pass
                writer.write(_answer(status, body, headers, request.method))
                await writer.drain()
                return True
            case _:
                return await self._hand_on(action, request, head, reader, writer)

    async def _hand_on(
        self,
        action: Action,
        request: Request,
        head: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        there, to_server = await self._connect()
        sending = asyncio.ensure_future(_send(action, request, head, reader, to_server))
        try:
            if isinstance(action, CutBody):
                await sending
                raise ConnectionAbortedError
            reply = await _reply_head(there)
            status_line, headers = _parsed(reply)
            request.status = status = int(status_line.split(" ", 2)[1])
            bodiless = request.method == "HEAD" or status in {204, 304}
            pieces = _body(there, {} if bodiless else headers, to_end=not bodiless)
            if isinstance(action, DropReply | Hang):
                async for _ in pieces:
                    pass
                return await _end(action)
            writer.write(reply.replace(self.target.encode(), self.address.encode()))  # such as Location
            await _copy(pieces, writer, action.after if isinstance(action, CutReply) else None)
            await sending
            return "content-length" in headers or "transfer-encoding" in headers or bodiless
        finally:
            to_server.transport.abort()  # first: what awaits may be cancelled
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


async def _send(
    action: Action, request: Request, head: bytes, reader: asyncio.StreamReader, to_server: asyncio.StreamWriter
) -> None:
    """Head and body to the server.  Of what it does not take the client is rid all the same, and hears its reply."""
    limit, pieces = action.after if isinstance(action, CutBody) else None, _body(reader, request.headers)
    to_server.write(head)
    try:
        await _copy(pieces, to_server, limit, cut=False)
    except ConnectionError:
        async for _ in pieces:
            pass


async def _copy(
    pieces: AsyncIterator[bytes], writer: asyncio.StreamWriter, limit: int | None, *, cut: bool = True
) -> None:
    """All pieces, or as many bytes as the limit says; `cut`: the limit ends the connection."""
    left = limit
    async for piece in pieces:
        if left is not None:
            writer.write(piece[:left])
            left -= len(piece[:left])
            if not left:
                break
        else:
            writer.write(piece)
            await writer.drain()
    if limit is None:
        await writer.drain()
        return
    await _flushed(writer)
    if cut:
        raise ConnectionAbortedError


async def _flushed(writer: asyncio.StreamWriter) -> None:
    """Until the kernel has all of it: an abort throws away what it has not."""
    while writer.transport.get_write_buffer_size():
        await asyncio.sleep(0.001)


async def _finish(writer: asyncio.StreamWriter) -> None:
    """Close in order."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def _end(action: Action) -> bool:
    """Close the connection, or let the client wait until the proxy ends."""
    if isinstance(action, Hang):
        await asyncio.Event().wait()
    raise ConnectionAbortedError


def _body_comes(action: Action) -> bool:
    """Whether the client of ``Expect: 100-continue`` is to send its body."""
    while isinstance(action, Delay):
        action = action.then
    return not isinstance(action, Cut) and action != Hang()


def _parsed(head: bytes) -> tuple[str, dict[str, str]]:
    first_line, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return first_line, {name.strip().lower(): value.strip() for name, _, value in pairs}


async def _reply_head(reader: asyncio.StreamReader) -> bytes:
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith((b"HTTP/1.1 1", b"HTTP/1.0 1")):
            return head


async def _body(reader: asyncio.StreamReader, headers: dict[str, str], *, to_end: bool = False) -> AsyncIterator[bytes]:
    """The raw bytes of a body, framing included; `to_end`: without a length it lasts until the connection ends."""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        async for piece in _chunks(reader):
            yield piece
    elif "content-length" in headers or not to_end:
        left = int(headers.get("content-length", 0))
        while left:
            piece = await reader.read(min(left, _PIECE))
            if not piece:
                raise EOFError
            left -= len(piece)
            yield piece
    else:
        while piece := await reader.read(_PIECE):
            yield piece


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    size = 1
    while size:
        line = await reader.readline()
        size = int(line.partition(b";")[0], 16)
        yield line
        if size:
            yield await reader.readexactly(size + 2)
    while (line := await reader.readline()) not in {b"\r\n", b""}:
        yield line
    yield line


def _answer(status: int, body: bytes, headers: tuple[tuple[str, str], ...], method: str) -> bytes:
    lines = [
        f"HTTP/1.1 {status} Answer",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if method == "HEAD" else body)


class TCPProxy(_Proxy):
    """Hands on bytes whose meaning it does not know: for SFTP, or anything.

    `delay`: seconds that each byte takes, one way.  `hang`: nothing is handed on, in either direction.
    `replies`: how many times a server spoke after its client did, over all connections.
    """

    def __init__(self, target: Any, delay: float = 0.0) -> None:
        super().__init__(target)
        self.delay = delay
        self.hang = False
        self.replies = 0
        self.connections = 0
        self._to_server: int | None = None
        self._to_client: int | None = None
        self._drop: int | None = None

    def clear(self) -> None:
        """Let everything pass."""
        self.delay, self.hang = 0.0, False
        self._to_server = self._to_client = self._drop = None

    def cut_after(self, *, to_server: int | None = None, to_client: int | None = None) -> None:
        """From now on, hand on so many more bytes, all connections together, then cut: once."""
        self._to_server, self._to_client = to_server, to_client

    def drop_reply(self, after: int = 0) -> None:
        """Let so many replies of the server pass, then lose one and cut: once."""
        self._drop = self.replies + after

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        there, to_server = await self._connect()
        asked = _Flag()
        ways = {
            asyncio.ensure_future(self._way(reader, to_server, asked, to_client=False)),
            asyncio.ensure_future(self._way(there, writer, asked, to_client=True)),
        }
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            if not any(way.exception() for way in done):  # one side has said all: the other may still speak
                await asyncio.wait(ways, timeout=5)
        finally:
            to_server.transport.abort()  # first: what awaits may be cancelled
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _way(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: "_Flag", *, to_client: bool
    ) -> None:
        """One direction: pieces arrive when their delay is over, and in order."""
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(256)

        async def read() -> None:
            while piece := await reader.read(_PIECE):
                await queue.put((loop.time() + self.delay, piece))
            await queue.put((0.0, b""))

        reading = asyncio.ensure_future(read())
        try:
            while True:
                due, piece = await queue.get()
                if not piece:
                    break
                await asyncio.sleep(max(0.0, due - loop.time()))
                while self.hang:
                    await asyncio.sleep(0.01)
                await self._hand_on(piece, writer, asked, to_client=to_client)
            if writer.can_write_eof():
                writer.write_eof()
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _hand_on(self, piece: bytes, writer: asyncio.StreamWriter, asked: "_Flag", *, to_client: bool) -> None:
        if to_client and asked.up:
            asked.up, self.replies = False, self.replies + 1
            if self._drop is not None and self.replies > self._drop:
                self._drop = None
                raise ConnectionAbortedError
        asked.up = asked.up or not to_client
        left = self._to_client if to_client else self._to_server
        writer.write(piece if left is None else piece[:left])
        await writer.drain()
        if left is None:
            return
        if len(piece) >= left:
            self._to_client = self._to_server = None
            await _flushed(writer)
            raise ConnectionAbortedError
        if to_client:
            self._to_client = left - len(piece)
        else:
            self._to_server = left - len(piece)


@dataclass
class _Flag:
    up: bool = False
