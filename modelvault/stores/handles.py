"""Files and folders of an SFTP server, by handle: looked at, staged, filled, flushed, read and listed."""

from __future__ import annotations

import posixpath
import stat
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import accumulate, chain, islice, repeat

from modelvault.errors import Code, Corrupt, InvalidInput, StoreError
from modelvault.stores.packets import Attributes, Extension, Op, Packet, Refused, Session, Status, number, string, wide
from modelvault.stores.port import Data, Key, Span, checked
from modelvault.stores.posix import planted

__all__ = [
    "AS_IS",
    "FOLDERS",
    "TO_READ",
    "chunks",
    "enter",
    "fill",
    "flush",
    "found",
    "inhabited",
    "listed",
    "look",
    "room",
    "stage",
]

TO_READ, _TO_STAGE = number(0x01), number(0x02 | 0x08 | 0x20)  # the latter to write, and new
AS_IS, _FOLDER, _FILE = number(0), number(4) + number(0o777), number(4) + number(0o444)  # modes, less the umask there
FOLDERS = 32
"""How many folders are looked into at once: servers limit open handles."""
_FLUSH = 256 * 1024 * 1024
"""Bytes of a transfer after which it is flushed, so that no flush takes longer than a call may."""


def look(session: Session, way: Sequence[str]) -> list[int]:
    """Ask what stands at each of these paths."""
    return [session.ask(Op.LSTAT, string(path)) for path in way]


def found(session: Session, way: Sequence[str], asked: Sequence[int]) -> list[Attributes]:
    """What `look` has found, mode 0 where there is nothing.

    Raises:
        Untrusted: `unsafe-folder`, it is neither a file nor a folder.
    """
    there = []
    for each, path in zip(asked, way, strict=True):
        try:
            packet = session.answer(each)
        except Refused as refused:
            if refused.status != Status.MISSING:
                raise
            there.append(Attributes(0, 0))
        else:
            with session.parsing():
                there.append(packet.attributes())
            if not _plain(there[-1].mode):
                raise planted(posixpath.basename(path))
    return there


def _plain(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def stage(session: Session, folder: str, staged: str) -> bytes:
    """A handle of the new file `staged` in `folder`, which is made if it is missing."""
    request = Op.OPEN, string(staged), _TO_STAGE, _FILE
    try:
        return session.handle(session.ask(*request))
    except Refused as refused:
        if refused.status != Status.MISSING:
            raise
    way = [each for each in accumulate(folder.split("/"), "{}/{}".format) if each not in ("", ".")]
    made = [(each, session.ask(Op.MKDIR, string(each), _FOLDER)) for each in way]
    denied = None
    for each, asked in made:
        try:
            session.answer(asked)
        except Refused as refused:  # it is there, most likely
            denied = refused if refused.status == Status.DENIED else denied
        else:
            flush(session, enter(session, posixpath.dirname(each)))
    try:
        return session.handle(session.ask(*request))
    except Refused as refused:
        raise denied or refused from None


def enter(session: Session, folder: str) -> int | None:
    """Open `folder` for `flush`, if there is such a thing."""
    return session.ask(Op.OPEN, string(folder), TO_READ, AS_IS) if Extension.FSYNC in session.extensions else None


def flush(session: Session, entered: int | None) -> None:
    """What was done in the folder outlives a crash, if the server opens folders."""
    if entered is not None:
        try:
            handle = session.handle(entered)
        except Refused:
            return
        flushed = session.ask(Op.EXTENDED, string(Extension.FSYNC), string(handle))
        session.release(handle)
        session.answer(flushed)


def fill(session: Session, handle: bytes, key: Key, data: Data) -> None:
    """Write all of `data`, flush it, see that the server has as many bytes, and close it."""
    size, chunks = (len(data), iter([data])) if isinstance(data, bytes) else (data.size, data.chunks())
    flush = (Op.EXTENDED, string(Extension.FSYNC), string(handle)) if Extension.FSYNC in session.extensions else None
    ahead: deque[int] = deque()
    at = flushed = 0
    try:
        for chunk in chunks:
            session.renew()
            for start in range(0, len(chunk), session.block):
                piece = chunk[start : start + session.block]
                ahead.append(session.ask(Op.WRITE, string(handle), wide(at), string(piece)))
                at += len(piece)
                if flush and at - flushed >= _FLUSH:
                    ahead.append(session.ask(*flush))
                    flushed = at
                while len(ahead) > session.ahead:
                    session.answer(ahead.popleft())
                    session.renew()
        session.renew()
        if at != size:
            raise InvalidInput(f"the content says {size} bytes and gave {at}", code=Code.BAD_VALUE, ref=key)
    except BaseException:
        session.release(handle)
        raise
    for asked in ahead:  # some servers work on several requests at once: count and flush what is written
        session.answer(asked)
        session.renew()
    flushing = [session.ask(*flush)] if flush else []
    counted = session.ask(Op.FSTAT, string(handle))
    for asked in [*flushing, session.ask(Op.CLOSE, string(handle))]:
        session.answer(asked)
        session.renew()
    packet = session.answer(counted)
    with session.parsing():
        kept = packet.attributes().size
    if kept != size:
        raise StoreError(f"{key}: the server has {kept} of {size} bytes", code=Code.STORE_FAILED, ref=key)


@contextmanager
def room(session: Session, folder: str, data: Data) -> Iterator[None]:
    """OpenSSH says no more than "Failure" of a full disk: ask it."""
    try:
        yield
    except Refused as refused:
        size = len(data) if isinstance(data, bytes) else data.size
        if refused.status == Status.FAILED and not _fits(session, folder, size):
            raise Refused(Status.NO_SPACE, "no space is left") from refused
        raise


def _fits(session: Session, folder: str, size: int) -> bool:
    """There is room for so many bytes, as far as the server tells."""
    if Extension.STATVFS not in session.extensions:
        return True
    try:
        packet = session.do(Op.EXTENDED, string(Extension.STATVFS), string(folder))
    except Refused:
        return True
    with session.parsing():
        _, unit, _, _, free = (packet.number(8) for _ in range(5))
    return unit * free >= max(unit, size)


def chunks(session: Session, handle: bytes, key: Key, spans: Sequence[Span]) -> Iterator[tuple[int, bytes]]:
    """The bytes of `spans`, and where they stand, in order; the next ones are on the way meanwhile."""
    pieces = (
        Span(at, min(session.block, offset + length - at))
        for offset, length in spans
        for at in range(offset, offset + length, session.block)
    )
    ahead: deque[tuple[int, Span]] = deque()
    while True:
        for piece in islice(pieces, session.ahead - len(ahead)):
            ahead.append((_ask(session, handle, piece), piece))
        if not ahead:
            return
        asked, (at, length) = ahead.popleft()
        chunk = _answer(session, key, asked, length)
        while len(chunk) < length:
            rest = Span(at + len(chunk), length - len(chunk))
            chunk += _answer(session, key, _ask(session, handle, rest), rest.length)
        session.renew()
        yield at, chunk


def _ask(session: Session, handle: bytes, span: Span) -> int:
    return session.ask(Op.READ, string(handle), wide(span.offset), number(span.length))


def _answer(session: Session, key: Key, asked: int, most: int) -> bytes:
    try:
        packet = session.answer(asked)
    except Refused as refused:
        if refused.status == Status.END:
            raise Corrupt(f"{key} ends before its size", code=Code.DIGEST_MISMATCH, ref=key) from None
        raise
    with session.parsing():
        chunk = packet.string()
        if not 0 < len(chunk) <= most:
            raise ValueError("more or less than was asked for")
    return chunk


def listed(session: Session, handle: bytes) -> Iterator[list[tuple[str, int]]]:
    """The files and folders in an opened folder, as the server gives them; folders end with a slash."""
    ahead: deque[int] = deque()
    for most in chain((2, 4, 8), repeat(16)):
        while len(ahead) < most:
            ahead.append(session.ask(Op.READDIR, string(handle)))
        try:
            packet = session.answer(ahead.popleft())
        except Refused as refused:
            if refused.status == Status.END:
                return
            raise
        session.renew()
        yield _names(session, packet)


def _names(session: Session, packet: Packet) -> list[tuple[str, int]]:
    names = []
    with session.parsing():
        for _ in range(packet.number()):
            name, _, (size, mode) = packet.string().decode("ascii", "replace"), packet.string(), packet.attributes()
            if "/" not in name and _plain(mode):
                with suppress(InvalidInput):
                    names.append((checked(name) + "/", 0) if stat.S_ISDIR(mode) else (checked(name), size))
    return names


def inhabited(session: Session, folders: dict[str, str]) -> set[str]:
    """Which of `folders` (paths by name) have an object somewhere below them: looked into side by side, one level each."""
    full: set[str] = set()
    below = {name: [path] for name, path in folders.items()}
    while below:
        here = {name: paths.pop() for name, paths in below.items()}
        opened = {name: session.ask(Op.OPENDIR, string(path)) for name, path in here.items()}
        handles = {}
        for name, asked in opened.items():
            try:
                handles[name] = session.handle(asked)
            except Refused as refused:
                if refused.status == Status.DENIED:
                    full.add(name)  # not ours to see into, but there
                elif refused.status != Status.MISSING:
                    raise
        while handles:
            for name, asked in {name: session.ask(Op.READDIR, string(each)) for name, each in handles.items()}.items():
                try:
                    found = [each for each, _ in _names(session, session.answer(asked))]
                except Refused as refused:
                    if refused.status != Status.END:
                        raise
                    session.release(handles.pop(name))
                    continue
                below[name] += [posixpath.join(here[name], each[:-1]) for each in found if each[-1] == "/"]
                if any(each[-1] != "/" for each in found):
                    full.add(name)
                    session.release(handles.pop(name))
            session.renew()
        below = {name: paths for name, paths in below.items() if paths and name not in full}
    return full
