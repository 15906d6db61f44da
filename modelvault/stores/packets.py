"""The packets of SFTP version 3 over a channel: many requests on the way at once, and a time in which each call ends.

The client that comes with paramiko keeps from us which extensions a server has and with which code it refuses, waits
without an end, and leaves threads behind.  (Protocol: draft-ietf-secsh-filexfer-02, and ``PROTOCOL`` in the sources of
OpenSSH.)
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from itertools import count
from typing import Any, NamedTuple

from modelvault.errors import Code, StoreError

__all__ = ["Attributes", "Extension", "Op", "Packet", "Refused", "Session", "Status", "number", "string", "wide"]

_BLOCK = 32 * 1024
"""Bytes of a read or a write that every server takes; and of what goes to paramiko at once."""
_LARGEST = 255 * 1024
"""Bytes of a read or a write, where the server says that it takes more."""
_FLIGHT = 4 * 1024 * 1024
"""Bytes of reads or writes on the way."""
_LIMIT = 1024 * 1024
"""Bytes of a packet: who sends more is no SFTP server."""


class Op(IntEnum):
    """Kinds of packets."""

    INIT = 1
    VERSION = 2
    OPEN = 3
    CLOSE = 4
    READ = 5
    WRITE = 6
    LSTAT = 7
    FSTAT = 8
    OPENDIR = 11
    READDIR = 12
    REMOVE = 13
    MKDIR = 14
    RENAME = 18
    STATUS = 101
    EXTENDED = 200


class Status(IntEnum):
    """What a server says of a request."""

    END = 1
    MISSING = 2
    DENIED = 3
    FAILED = 4
    NO_CONNECTION = 6
    CONNECTION_LOST = 7
    NO_SPACE = 14  # this and the next are of later versions, but some servers say so in this one
    QUOTA = 15


class Extension:
    """What OpenSSH adds to the protocol, and others after it."""

    FSYNC = b"fsync@openssh.com"
    HARDLINK = b"hardlink@openssh.com"
    LIMITS = b"limits@openssh.com"
    STATVFS = b"statvfs@openssh.com"


class Refused(Exception):
    """The server answers a request with a `Status`, and `text`."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Attributes(NamedTuple):
    """What a server tells of a file; 0 where it does not."""

    size: int
    mode: int


def number(value: int) -> bytes:
    """A field of four bytes."""
    return value.to_bytes(4)


def wide(value: int) -> bytes:
    """A field of eight bytes."""
    return value.to_bytes(8)


def string(value: bytes | str) -> bytes:
    """A field with its length before it."""
    raw = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
    return len(raw).to_bytes(4) + raw


class Packet:
    """The fields of an answer, taken one after the other; `ValueError` where there is no such field."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, length: int) -> bytes:
        """So many bytes."""
        taken = self._data[self._at : self._at + length]
        if len(taken) != length:
            raise ValueError("a packet ends too soon")
        self._at += length
        return taken

    def number(self, length: int = 4) -> int:
        """An integer of so many bytes."""
        return int.from_bytes(self.take(length))

    def string(self) -> bytes:
        """A field that has its length before it."""
        return self.take(self.number())

    def strings(self) -> Iterator[bytes]:
        """All that is left, as such fields."""
        while self._at < len(self._data):
            yield self.string()

    def attributes(self) -> Attributes:
        """What is told of a file."""
        told = self.number()
        size = self.number(8) if told & 0x1 else 0
        self.take(8 if told & 0x2 else 0)  # owner and group
        mode = self.number() if told & 0x4 else 0
        self.take(8 if told & 0x8 else 0)  # times
        for _ in range(2 * self.number() if told & 0x80000000 else 0):
            self.string()
        return Attributes(size, mode)


class Session:
    """One channel, used by one thread at a time.  Requests may be sent before earlier ones are answered.

    `channel` is paramiko's; `place` is for messages; `seconds` is how long a call may take (see `renew`).
    """

    def __init__(self, channel: Any, place: str, seconds: float) -> None:
        self.sound = True
        """No byte was lost: it may serve another call."""
        self.channel = channel
        self._place = place
        self._seconds = seconds
        self._numbers = count()
        self._received = bytearray()
        self._awaited: set[int] = set()
        self._answers: dict[int, tuple[int, Packet]] = {}
        self.begin("")
        self._send(bytes([Op.INIT]) + number(3))
        kind, hello = self._packet()
        if kind != Op.VERSION:
            raise self._garbled()
        with self.parsing():
            hello.number()
            self.extensions = frozenset([*hello.strings()][::2])
        self.block = self._largest() if Extension.LIMITS in self.extensions else _BLOCK
        self.ahead = _FLIGHT // self.block
        """How many reads or writes may be on the way."""

    def begin(self, subject: str) -> None:
        """A call begins, about `subject`: its time runs, and what comes late of earlier calls is dropped."""
        self._subject = subject
        self._awaited.clear()
        self._answers.clear()
        self.renew()

    def renew(self) -> None:
        """Something has moved: the time runs anew."""
        self._until = time.monotonic() + self._seconds

    def ask(self, kind: Op, *fields: bytes) -> int:
        """Send a request; what comes back is for `answer`."""
        asked = next(self._numbers) & 0xFFFFFFFF
        self._send(b"".join((bytes([kind]), number(asked), *fields)))
        self._awaited.add(asked)
        return asked

    def answer(self, asked: int) -> Packet:
        """The answer to a request.

        Raises:
            Refused: it is a status, and not OK.
            StoreError: `store-unreachable`, none came in time; `store-failed`, it makes no sense.
        """
        while asked not in self._answers:
            kind, packet = self._packet()
            with self.parsing():
                found = packet.number()
            if found in self._awaited:
                self._answers[found] = kind, packet
        self._awaited.discard(asked)
        kind, packet = self._answers.pop(asked)
        if kind == Op.STATUS:
            with self.parsing():
                status, text = packet.number(), b"".join(packet.strings()).decode("utf-8", "replace")
            if status:
                raise Refused(status, text)
        return packet

    def do(self, kind: Op, *fields: bytes) -> Packet:
        """Send a request, and wait for its answer."""
        return self.answer(self.ask(kind, *fields))

    def handle(self, asked: int) -> bytes:
        """The handle in the answer to an `OPEN` or `OPENDIR`."""
        packet = self.answer(asked)
        with self.parsing():
            return packet.string()

    def release(self, handle: bytes) -> None:
        """Close `handle`, wait for nothing, and raise nothing: it may be that something is raised already."""
        if self.sound:
            with suppress(StoreError):
                self.ask(Op.CLOSE, string(handle))

    @contextmanager
    def parsing(self) -> Iterator[None]:
        """Fields are taken from an answer; one that has not its form ends the channel."""
        try:
            yield
        except ValueError as error:
            raise self._garbled() from error

    def _largest(self) -> int:
        limits = self.do(Op.EXTENDED, string(Extension.LIMITS))
        with self.parsing():
            _, read, write = (limits.number(8) for _ in range(3))
        return min(max(min(read, write), _BLOCK), _LARGEST)

    def _packet(self) -> tuple[int, Packet]:
        while len(self._received) < 4:
            self._receive()
        end = 4 + int.from_bytes(self._received[:4])
        if not 4 < end <= _LIMIT:
            raise self._garbled()
        while len(self._received) < end:
            self._receive()
        kind, packet = self._received[4], Packet(bytes(memoryview(self._received)[5:end]))
        del self._received[:end]
        return kind, packet

    def _receive(self) -> None:
        self.sound = False  # unless all goes well
        try:
            self.channel.settimeout(self._left())
            data = self.channel.recv(_FLIGHT)
        except Exception as error:  # whatever paramiko raises, the channel is lost
            raise self._lost(error) from error
        if not data:
            raise self._lost(EOFError())
        self._received += data
        self.sound = True

    def _send(self, body: bytes) -> None:
        self.sound = False
        try:
            data, sent = number(len(body)) + body, 0
            while sent < len(data):
                self.channel.settimeout(self._left())
                sent += self.channel.send(data[sent : sent + _BLOCK])
        except Exception as error:  # as above
            raise self._lost(error) from error
        self.sound = True

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def _lost(self, error: Exception) -> StoreError:
        late = isinstance(error, TimeoutError)
        text = f"no answer within {self._seconds:g} s" if late else f"the connection is lost ({type(error).__name__})"
        return StoreError(f"{self._place}: {text}", code=Code.STORE_UNREACHABLE, ref=self._subject)

    def _garbled(self) -> StoreError:
        self.sound = False
        text = f"{self._place}: what the server sends is no SFTP"
        hint = "something in the account's start-up files may print, or the server may not speak version 3"
        return StoreError(text, code=Code.STORE_FAILED, hint=hint, ref=self._subject)
