"""A folder of an SSH server as a store.

An object is *staged* as ``.tmp-…`` in its folder, flushed, counted, and given its name by a hard link, which fails where
the name is taken; then the staged name goes, and the folder is flushed.  So a name is there with all its bytes or not at
all, and what a killed writer or a cut line leaves behind is never listed.

The link and the flushes are extensions of OpenSSH (``hardlink@openssh.com``, ``fsync@openssh.com``).  A server without the
first is asked to rename, once it has refused to rename onto a name that is taken: as exclusive as that server makes it.
On one without the second, or that does not open folders, what was acknowledged just before the power fails may be lost.

What is planted inside a vault cannot lead outside: all on the way to a key is looked at, and a symlink is `Untrusted`.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields, replace
from itertools import accumulate, islice
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from modelvault.errors import Code, Corrupt, InvalidInput, StoreError, Unsupported, Untrusted, VaultError, shown
from modelvault.stores.handles import (
    AS_IS,
    FOLDERS,
    TO_READ,
    chunks,
    enter,
    fill,
    flush,
    found,
    inhabited,
    listed,
    look,
    room,
    stage,
)
from modelvault.stores.packets import Attributes, Extension, Op, Refused, Session, Status, string
from modelvault.stores.place import needed
from modelvault.stores.port import (
    READ_LIMIT,
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
from modelvault.stores.ssh import Login, Pool

__all__ = ["SFTPStore"]

_CODES: dict[int, Code] = {
    Status.DENIED: Code.STORE_DENIED,
    Status.NO_CONNECTION: Code.STORE_UNREACHABLE,
    Status.CONNECTION_LOST: Code.STORE_UNREACHABLE,
    Status.NO_SPACE: Code.STORE_FULL,
    Status.QUOTA: Code.STORE_FULL,
}
_HINTS = {
    Code.STORE_DENIED: "check what the account may do in that folder, and whether the server is read-only",
    Code.STORE_FULL: "free some space on the server, or raise the quota",
    Code.STORE_FAILED: "try again; if it stays so, look at the log and at the disk of the server",
}


class SFTPStore:
    """Objects as read-only files under a folder of an SSH server, which the first `create` makes.

    They are as open to others as the server's umask says.  A pickled store holds its options, secrets included.
    """

    exclusive = True

    def __init__(self, url: str, **options: Any) -> None:
        """The store at ``sftp://[user@]host[:port]/folder``, or at ``…/~/folder`` in the home of the account.

        The options are the fields of `Login`.

        Raises:
            InvalidInput: `bad-value`, no such URL, or no such option.
            Unsupported: `extra-missing`, paramiko is not installed.
        """
        known = [each.name for each in fields(Login)]
        if unknown := sorted(options.keys() - known):
            hint = f"there is: {', '.join(known)}"
            raise InvalidInput(f"sftp has no such options: {shown(', '.join(unknown))}", code=Code.BAD_VALUE, hint=hint)
        self._given = url, Login(**options)
        self.url, host, self._root, login = _parsed(*self._given)
        needed("paramiko", "sftp", self.url)
        self._pool = Pool(host, login, shown(self.url))
        self._proven = False

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, self._given

    def private(self, key: Key) -> bool:
        """Never: whoever keeps the server can write."""
        checked(key)
        return False

    def read(self, key: Key) -> bytes:
        """The whole of a small object."""
        with self._session(checked(key)) as session, self._opened(session, Op.OPEN, key) as (handle, size):
            if size > READ_LIMIT:
                raise Corrupt(f"{key} has {size} bytes and is no record", code=Code.TOO_LARGE, ref=key)
            return b"".join(chunk for _, chunk in chunks(session, handle, key, [Span(0, size)]))

    def create(self, key: Key, data: Data) -> None:
        """Put `data` at `key` if nothing is there.  Commit point: the link, or the rename."""
        folder = self._path(checked(key).rpartition("/")[0])
        staged = posixpath.join(folder, f".tmp-{os.urandom(16).hex()}")
        begun = sent = False
        try:
            with self._session(key) as session, room(session, folder, data):
                if self._status(session, key).mode:
                    flush(session, enter(session, folder))  # what others build on must outlive a crash
                    raise KeyExists(key)
                begun = True
                fill(session, stage(session, folder, staged), key, data)
                self._prove(session, staged)
                sent = True
                self._give(session, key, folder, staged)
        except BaseException:
            if begun and not sent:
                with suppress(VaultError), self._session(key) as session:
                    session.do(Op.REMOVE, string(staged))
            raise

    def fetch(self, key: Key, spans: Sequence[Span], sink: Sink) -> None:
        """Hand the bytes of `spans` to `sink`, span by span, less than 256 KiB at a time."""
        with self._session(checked(key)) as session, self._opened(session, Op.OPEN, key) as (handle, size):
            for offset, length in spans:
                if not 0 <= offset <= offset + length <= size:
                    raise _short(key, size, offset + length)
            for at, chunk in chunks(session, handle, key, spans):
                sink(at, chunk)
                session.renew()

    def list(self, prefix: str, *, limit: int | None = None) -> Iterator[Entry]:
        """One level of the tree, read from the server now."""
        path, slash, start = checked_prefix(prefix).rpartition("/")
        entries: list[Entry] = []
        with self._session(prefix) as session, suppress(KeyMissing):
            with self._opened(session, Op.OPENDIR, path) as (handle, _):
                sizes = dict(each for names in listed(session, handle) for each in names if each[0].startswith(start))
            names = iter(sorted(sizes))
            while some := [*islice(names, FOLDERS if limit is None else min(FOLDERS, limit - len(entries)))]:
                full = inhabited(session, {name: self._path(path + slash + name) for name in some if name[-1] == "/"})
                entries += [
                    Entry(Key(path + slash + name), sizes[name]) for name in some if name[-1] != "/" or name in full
                ]
        return iter(entries)

    def delete(self, key: Key) -> None:
        """Remove an object.  Its folders stay: others may be about to create in them."""
        with self._session(checked(key)) as session:
            if stat.S_ISREG(self._status(session, key).mode):
                try:
                    session.do(Op.REMOVE, string(self._path(key)))
                except Refused as refused:
                    if refused.status != Status.MISSING:
                        raise

    def _path(self, key: str) -> str:
        return posixpath.join(self._root, key) if key else self._root

    def _way(self, key: str) -> tuple[str, ...]:
        """The paths of the folders below the root that lead to `key`, and its own; none for the root."""
        return tuple(accumulate(key.split("/"), posixpath.join, initial=self._root))[1:] if key else ()

    def _status(self, session: Session, key: Key) -> Attributes:
        """What stands at `key`; no mode where nothing does."""
        way = self._way(key)
        return found(session, way, look(session, way))[-1]

    @contextmanager
    def _session(self, subject: str) -> Iterator[Session]:
        """A session, from which no refusal comes out but as an error of the vault."""
        with self._pool.session(subject) as session:
            try:
                yield session
            except Refused as refused:
                code = _CODES.get(refused.status, Code.STORE_FAILED)
                text = f"{shown(subject)}: the server says: {shown(refused) or refused.status}"
                raise StoreError(text, code=code, hint=_HINTS.get(code, ""), ref=subject) from refused

    @contextmanager
    def _opened(self, session: Session, kind: Op, key: str) -> Iterator[tuple[bytes, int]]:
        """A handle of the file or folder at `key`, and its size; `KeyMissing` where there is none."""
        flags = (TO_READ, AS_IS) if kind is Op.OPEN else ()
        way = self._way(key)
        looked = look(session, way)
        opened = session.ask(kind, string(self._path(key)), *flags)
        try:
            there = found(session, way, looked)
        except Untrusted:
            session.sound = False  # a pipe holds up who opens it, and this session with it
            raise
        handle, refusal = b"", None
        try:
            handle = session.handle(opened)
        except Refused as refused:
            refusal = refused
        try:
            wanted = [stat.S_IFDIR] * (len(way) - 1) + [stat.S_IFREG if kind is Op.OPEN else stat.S_IFDIR]
            if any(stat.S_IFMT(each.mode) != each_wanted for each, each_wanted in zip(there, wanted, strict=False)):
                raise KeyMissing(key)
            if refusal is not None:
                raise KeyMissing(key) if refusal.status == Status.MISSING else refusal
            yield handle, there[-1].size if there else 0
        finally:
            if handle:
                session.release(handle)

    def _prove(self, session: Session, staged: str) -> None:
        """A server that makes no links must refuse to rename onto a name that is taken."""
        if self._proven or Extension.HARDLINK in session.extensions:
            return
        taken = staged + "-taken"
        session.release(stage(session, posixpath.dirname(staged), taken))
        try:
            session.do(Op.RENAME, string(staged), string(taken))
        except Refused:
            self._proven = True
        session.do(Op.REMOVE, string(taken))
        if not self._proven:
            text = f"the server of {shown(self.url)} renames onto names that are taken"
            raise Unsupported(text, code=Code.NO_EXCLUSIVE_CREATE, hint="use OpenSSH, or another store")

    def _give(self, session: Session, key: Key, folder: str, staged: str) -> None:
        """Give the staged file its name, if that is free.

        Nobody touches the staged name before that is answered: OpenSSH renames by a link and an unlink, and takes the
        link back where the unlink fails.
        """
        linking = Extension.HARDLINK in session.extensions
        request = (Op.EXTENDED, string(Extension.HARDLINK)) if linking else (Op.RENAME,)
        entered, refusal = enter(session, folder), None
        try:
            session.do(*request, string(staged), string(self._path(key)))
        except Refused as refused:
            refusal = refused
        removed = session.ask(Op.REMOVE, string(staged))  # which is gone already after a rename
        flush(session, entered)
        with suppress(Refused):
            session.answer(removed)
        if refusal is not None:
            raise KeyExists(key) if self._status(session, key).mode else refusal


def _again(url: str, login: Login) -> SFTPStore:
    return SFTPStore(url, **vars(login))


def _parsed(url: str, login: Login) -> tuple[str, str, str, Login]:
    """Of a URL: how it is shown, its host, the path of its folder; and `login` with its user and port."""
    hint = "write sftp://[user@]host[:port]/folder, with ? as %3F and # as %23"
    try:
        parts = urlsplit(url)
        host, port, path = parts.hostname, parts.port, unquote(parts.path, errors="surrogateescape")
    except ValueError:
        raise InvalidInput("not an SFTP URL", code=Code.BAD_VALUE, hint=hint) from None
    names = [name for name in path.split("/") if name]
    if parts.password is not None:
        hint = "leave it out of the URL, which is shown and logged, and give a key, or the option password"
        raise InvalidInput("a password in a URL", code=Code.BAD_VALUE, hint=hint)
    odd = parts.query or parts.fragment or "\0" in path or {".", ".."}.intersection(names)
    if parts.scheme not in ("sftp", "ssh") or not host or odd:
        raise InvalidInput("not an SFTP URL", code=Code.BAD_VALUE, hint=hint)
    user = unquote(parts.username) if parts.username else login.username
    if login.username not in (None, user) or login.port not in (None, port or login.port):
        raise InvalidInput("the URL says one user or port, and the options another", code=Code.BAD_VALUE)
    login = replace(login, username=user, port=port or login.port)
    folder = posixpath.join(*([".", *names[1:]] if names[:1] == ["~"] else ["/", *names]))
    address = f"[{host}]" if ":" in host else host
    address += f":{login.port}" if login.port not in (None, 22) else ""
    named = quote("/".join(names), safe="/~", errors="surrogateescape")
    return f"sftp://{address}/{named}", host, folder, login


def _short(key: Key, size: int, end: int) -> Corrupt:
    return Corrupt(f"{key} has {size} bytes, not {end}", code=Code.DIGEST_MISMATCH, ref=key)
