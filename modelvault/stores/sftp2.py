"""A folder of an SSH server as a store, over paramiko.

An object is *staged* as ``.tmp-…`` in its folder, flushed, counted, and renamed.  In version 3 of the protocol, which
OpenSSH speaks, a rename is refused where the new name is taken; so a name is there with all its bytes or not at all, and
what a killed writer or a cut line leaves behind is never listed.  A server that replaces instead is found out before the
first write (`founding`).

The flush is an extension of OpenSSH (``fsync@openssh.com``).  On a server without it, and for the name itself on any,
what was acknowledged just before the power fails may be lost.
"""

from __future__ import annotations

import errno
import os
import posixpath
import queue
import socket
import stat
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from modelvault.errors import Code, Corrupt, InvalidInput, VaultError, shown
from modelvault.stores.answers import failed
from modelvault.stores.fork import PerProcess
from modelvault.stores.place import bare, needed
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

__all__ = ["SFTPStore"]

_CHANNELS = 6
"""Of one connection; OpenSSH allows ten."""
_CHUNK = 1024 * 1024
_WRITE = 32 * 1024
_FLIGHT = 128
"""Reads and writes of 32 KiB that are on the way at once."""
_UNREACHED = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EPIPE}
_LOGIN = ("username", "password", "key_filename", "passphrase")
_OPTIONS = {*_LOGIN, "port", "known_hosts"}


class SFTPStore:
    """A folder of an SSH server: ``sftp://[user@]host[:port]/folder``, or ``…/~/folder`` in the home of the account.

    The server must be known, as `ssh` knows it.  One connection for each process, some channels in it, each used by one
    thread at a time.
    """

    exclusive = True

    def __init__(self, url: str, *, deadline: float = 60.0, **options: Any) -> None:
        """The store at `url`.

        Args:
            url: host and folder.
            deadline: seconds that connecting, and each answer of the server, may take.
            options: ``username``, ``port``, ``password``, ``key_filename``, ``passphrase``, as paramiko takes them, and
                ``known_hosts``, a file of keys of servers besides the user's own.

        Raises:
            InvalidInput: `bad-value`, the URL is malformed or holds a password, or there is no such option.
            Unsupported: `extra-missing`.
        """
        host, port, user, folder = _place(url)
        needed("paramiko", "sftp", url)
        unknown = sorted(set(options) - _OPTIONS)
        if unknown:
            raise InvalidInput(
                f"sftp:// has no such options: {shown(', '.join(unknown))}",
                code=Code.BAD_VALUE,
                hint=f"there is: {', '.join(sorted(_OPTIONS | {'deadline'}))}",
            )
        port = options.get("port") or port
        self.url = f"sftp://{host}:{port}{quote(folder)}" if port else f"sftp://{host}{quote(folder)}"
        self._root = folder.removeprefix("/~/") if folder.startswith("/~/") else folder.rstrip("/")
        login = {name: value for name, value in options.items() if name in _LOGIN}
        self._line = PerProcess(_Dialled(host, port, {"username": user} | login, options.get("known_hosts"), deadline))

    def __repr__(self) -> str:
        return f"<SFTPStore {shown(self.url)}>"

    def private(self, key: Key) -> bool:
        """Never: who else can write there is not to be seen from here."""
        checked(key)
        return False

    def read(self, key: Key) -> bytes:
        """The whole of a small object."""
        with self._asking(key) as sftp, self._opened(sftp, key) as file:
            size = _size(file, key)
            if size > READ_LIMIT:
                raise Corrupt(f"{key} has {size} bytes and is no record", code=Code.TOO_LARGE, ref=key)
            if size > _WRITE:
                file.prefetch(size, _FLIGHT)
            data: bytes = file.read(size)
            return data

    def create(self, key: Key, data: Data) -> None:
        """Put `data` at `key` if nothing is there.  Commit point: the rename."""
        path = self._path(key)
        staged = f"{posixpath.dirname(path)}/.tmp-{os.urandom(16).hex()}"
        with self._asking(key) as sftp:
            try:
                self._stage(sftp, key, staged, data)
                sftp.rename(staged, path)
            except BaseException as error:
                _dropped(sftp, staged)
                if _is_refusal(error) and _there(sftp, path):
                    raise KeyExists(key) from error
                raise

    def fetch(self, key: Key, spans: Sequence[Span], sink: Sink) -> None:
        """Hand the bytes of `spans` to `sink`, in order."""
        with self._asking(key) as sftp, self._opened(sftp, key) as file:
            size = _size(file, key)
            for offset, length in spans:
                if not 0 <= offset <= offset + length <= size:
                    raise Corrupt(f"{key} has {size} bytes, not {offset + length}", code=Code.DIGEST_MISMATCH, ref=key)
                file.seek(offset)
                file.prefetch(offset + length, _FLIGHT)
                for at in range(offset, offset + length, _CHUNK):
                    wanted = min(_CHUNK, offset + length - at)
                    chunk = file.read(wanted)
                    if len(chunk) != wanted:
                        raise Corrupt(f"{key} ends before {at + wanted}", code=Code.DIGEST_MISMATCH, ref=key)
                    with _theirs():
                        sink(at, chunk)

    def list(self, prefix: str, *, limit: int | None = None) -> Iterator[Entry]:
        """One level of the tree.  A folder in which a writer was killed is listed too."""
        folder, slash, start = checked_prefix(prefix).rpartition("/")
        with self._asking(prefix) as sftp:
            try:
                found = sftp.listdir_attr(self._path(folder) if folder else self._root or ".")
            except FileNotFoundError:
                found = []
        lines = (_line(folder + slash, each) for each in found if each.filename.startswith(start))
        return islice(iter(sorted(line for line in lines if line)), limit)

    def delete(self, key: Key) -> None:
        """Remove an object, and the folders that it leaves empty."""
        path = self._path(key)
        with self._asking(key) as sftp:
            with suppress(FileNotFoundError):
                if stat.S_ISDIR(sftp.lstat(path).st_mode or 0):
                    return
                sftp.remove(path)
            with suppress(OSError):  # one that is not empty stays
                for _ in range(key.count("/")):
                    path = posixpath.dirname(path)
                    sftp.rmdir(path)

    # --- parts of the verbs

    def _path(self, key: str) -> str:
        return posixpath.join(self._root, checked(key))

    def _stage(self, sftp: Any, key: Key, staged: str, data: Data) -> None:
        size, given = (len(data) if isinstance(data, bytes) else data.size), 0
        with self._new(sftp, staged) as file:
            file.set_pipelined(True)
            for chunk in [data] if isinstance(data, bytes) else _passed(data.chunks()):
                for at in range(0, len(chunk), _WRITE):
                    file.write(chunk[at : at + _WRITE])
                    _settled(sftp, file, _FLIGHT)
                given += len(chunk)
            if given != size:
                raise InvalidInput(f"the content says {size} bytes and gave {given}", code=Code.BAD_VALUE, ref=key)
            _settled(sftp, file, 0)
            _flushed(sftp, file)

    def _new(self, sftp: Any, staged: str) -> Any:
        """A new file, and the folders above it, which others may be making, or sweeping, at the same time."""
        for _ in range(10):
            try:
                return sftp.open(staged, "wbx")
            except FileNotFoundError:
                _made(sftp, posixpath.dirname(staged))
        return sftp.open(staged, "wbx")

    def _opened(self, sftp: Any, key: Key) -> Any:
        return sftp.open(self._path(key), "rb")

    @contextmanager
    def _asking(self, key: str) -> Iterator[Any]:
        """A channel for one thread; what goes wrong on it, as the category that its handler acts on."""
        line = self._line.get()
        try:
            with line.channel() as sftp:
                yield sftp
        except _Theirs as theirs:
            raise theirs.error from theirs.error.__cause__
        except VaultError:
            raise
        except FileNotFoundError as error:
            raise KeyMissing(Key(key)) from error
        except PermissionError as error:
            raise failed(self.url, key, Code.STORE_DENIED, "refuses it") from error
        except Exception as error:  # what is not of the line, or of the server, is raised as it is
            code = _code(error)
            if code is None:
                raise
            raise failed(self.url, key, code, f"cannot do it: {type(error).__name__} {error}".rstrip()) from error


class _Theirs(Exception):
    """What a source or a sink has raised: it passes through, whatever it is."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


@contextmanager
def _theirs() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # it is its caller's
        raise _Theirs(error) from error


def _passed(chunks: Iterator[bytes]) -> Iterator[bytes]:
    while True:
        with _theirs():
            chunk = next(chunks, None)
        if chunk is None:
            return
        yield chunk


class _Dialled:
    """What makes a connection: who calls whom."""

    def __init__(
        self, host: str, port: int | None, login: dict[str, Any], known_hosts: str | None, deadline: float
    ) -> None:
        self.host = host
        self.port = port
        self.login = login
        self.known_hosts = known_hosts
        self.deadline = deadline

    def __call__(self) -> _Line:
        return _Line(self)

    def client(self) -> Any:
        """A connection to the server, which must be known and must let us in."""
        import paramiko

        config = paramiko.SSHConfig()
        with suppress(OSError), open(os.path.expanduser("~/.ssh/config"), encoding="utf-8") as file:
            config.parse(file)
        said = config.lookup(self.host)
        login = {"username": said.get("user"), "key_filename": said.get("identityfile")}
        login |= {name: value for name, value in self.login.items() if value is not None}
        client = paramiko.SSHClient()
        with suppress(OSError):
            client.load_system_host_keys()
        if self.known_hosts:
            client.load_host_keys(os.fspath(self.known_hosts))
        times = dict.fromkeys(["timeout", "banner_timeout", "auth_timeout", "channel_timeout"], self.deadline)
        port = self.port or int(said.get("port", 22))
        client.connect(said.get("hostname", self.host), port, **login, **times)
        client.get_transport().set_keepalive(30)
        return client


class _Line:
    """The connection of a process, and its channels that nobody uses at the moment.  Broken, it is made anew."""

    def __init__(self, dialled: _Dialled) -> None:
        self._dialled = dialled
        self._client: Any = None
        self._dialling = threading.Lock()
        self._room = threading.BoundedSemaphore(_CHANNELS)
        self._idle: queue.LifoQueue[Any] = queue.LifoQueue()

    @contextmanager
    def channel(self) -> Iterator[Any]:
        """A channel for one thread.  After an error it is not used again: answers to it may still come."""
        with self._room:
            sftp = self._connected()
            try:
                yield sftp
            except (VaultError, OSError) as error:
                if isinstance(error, FileNotFoundError | PermissionError | KeyExists | KeyMissing):
                    self._idle.put(sftp)
                else:
                    sftp.close()
                raise
            except BaseException:
                sftp.close()
                raise
            self._idle.put(sftp)

    def _connected(self) -> Any:
        with suppress(queue.Empty):
            while True:
                sftp = self._idle.get_nowait()
                if not sftp.get_channel().closed:
                    return sftp
        with self._dialling:
            transport = self._client and self._client.get_transport()
            if not (transport and transport.is_active()):
                self._client = self._dialled.client()
            transport = self._client.get_transport()
            watch = threading.Timer(self._dialled.deadline, transport.close)  # paramiko waits here without an end
            watch.start()
            try:
                sftp = self._client.open_sftp()
            finally:
                watch.cancel()
        sftp.get_channel().settimeout(self._dialled.deadline)
        return sftp


def _code(error: Exception) -> Code | None:
    """The code for what a server, or the line to it, has done; None for what is neither's."""
    from paramiko import AuthenticationException, BadHostKeyException, SSHException

    if isinstance(error, AuthenticationException | BadHostKeyException) or "not found in known_hosts" in str(error):
        return Code.STORE_DENIED
    if isinstance(error, EOFError | TimeoutError | SSHException | ConnectionError | socket.gaierror):
        return Code.STORE_UNREACHABLE
    if isinstance(error, OSError):
        return Code.STORE_UNREACHABLE if error.errno in _UNREACHED or "closed" in str(error) else Code.STORE_FAILED
    return None


def _size(file: Any, key: Key) -> int:
    """The bytes of what was opened.  A folder can be opened too, and is no object."""
    found = file.stat()
    if not stat.S_ISREG(found.st_mode):
        raise KeyMissing(key)
    size: int = found.st_size
    return size


def _settled(sftp: Any, file: Any, most: int) -> None:
    """All but `most` of the writes are answered.  By itself, paramiko does not look whether one was refused."""
    while len(file._reqs) > most:  # noqa: SLF001
        sftp._read_response(file._reqs.popleft())  # noqa: SLF001


def _flushed(sftp: Any, file: Any) -> None:
    """The bytes are on the disk of the server, if it can do that."""
    from paramiko.sftp import CMD_EXTENDED

    with suppress(OSError):  # it says so where it cannot, and no more
        sftp._request(CMD_EXTENDED, "fsync@openssh.com", file.handle)  # noqa: SLF001


def _made(sftp: Any, folder: str) -> None:
    """The folder, and those above it, are there."""
    above = [folder]
    while (parent := posixpath.dirname(above[-1])) not in ("", "/"):
        above.append(parent)
    for each in reversed(above):
        with suppress(OSError):  # it is there; or what comes next says why not
            sftp.mkdir(each)


def _dropped(sftp: Any, staged: str) -> None:
    """Our own staged file goes, as far as the line still carries that."""
    with suppress(Exception):
        sftp.remove(staged)


def _is_refusal(error: BaseException) -> bool:
    """What version 3 says of a name that is taken: "failure", and nothing more."""
    return isinstance(error, OSError) and not isinstance(error, FileNotFoundError | PermissionError | TimeoutError)


def _there(sftp: Any, path: str) -> bool:
    with suppress(OSError, EOFError):
        sftp.lstat(path)
        return True
    return False


def _line(folder: str, each: Any) -> Entry | None:
    """What a listing says of a name; None of what is no object: links, pipes, names that are no keys."""
    with suppress(InvalidInput):
        key = checked(folder + each.filename)
        if stat.S_ISDIR(each.st_mode):
            return Entry(Key(key + "/"), 0)
        if stat.S_ISREG(each.st_mode):
            return Entry(key, each.st_size)
    return None


def _place(url: str) -> tuple[str, int | None, str | None, str]:
    """Host, port, user and folder of a URL."""
    parts = urlsplit(url)
    folder = unquote(parts.path)
    try:
        port = parts.port
    except ValueError:
        port = -1
    bad = parts.password is not None or not parts.hostname or port == -1 or parts.query or parts.fragment
    if bad or not folder.strip("/") or "\0" in folder or ".." in folder.split("/"):
        raise InvalidInput(
            f"not the URL of a folder on a server: {shown(bare(url))}",
            code=Code.BAD_VALUE,
            hint="write sftp://user@host/folder; a password goes into options, or better, use a key",
        )
    return str(parts.hostname), port, parts.username, folder
