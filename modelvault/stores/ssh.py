"""How an SSH server is reached, and that it is the right one: `Login`, and a `Pool` of SFTP channels over one connection."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from modelvault.errors import Code, InvalidInput, StoreError, VaultError, shown
from modelvault.stores.packets import Session

__all__ = ["Login", "Pool"]

_CHANNELS = 6
"""OpenSSH gives a connection ten, of which others may need some."""
_WINDOW = 8 * 1024 * 1024
"""Bytes that may wait in a channel: more than a session lets be on the way, or the server stops and starts."""
_KEEPALIVE = 15
"""Seconds."""
_KNOWN_HOSTS = ("~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts")
_LOG = "modelvault.ssh"

logging.getLogger(_LOG).addHandler(logging.NullHandler())  # paramiko tells its log of what is raised here


@dataclass(frozen=True)
class Login:
    """How to get in, and how long to wait.  What is secret is not printed.

    Without `password`, `key_filename` and `pkey` the agent and the user's own keys are tried.  ``~/.ssh/config`` is asked
    for ``HostName``, ``Port``, ``User`` and ``IdentityFile`` and for nothing else: jumps and proxies are not followed.
    `known_hosts` is read instead of the known hosts of the user and the system.  A call ends within `deadline` seconds;
    each piece of a transfer begins them anew.
    """

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    key_filename: str | None = None
    passphrase: str | None = field(default=None, repr=False)
    pkey: Any = field(default=None, repr=False)
    port: int | None = None
    known_hosts: str | None = None
    connect_timeout: float = 15.0
    deadline: float = 60.0

    def __post_init__(self) -> None:
        for name in ("connect_timeout", "deadline"):
            seconds = getattr(self, name)
            if not isinstance(seconds, int | float) or not 0 < seconds < threading.TIMEOUT_MAX:
                raise InvalidInput(f"{name} is a number of seconds, above 0", code=Code.BAD_VALUE)
        for name in ("key_filename", "known_hosts"):
            path = getattr(self, name)
            if path is not None and not os.path.isfile(path):
                raise InvalidInput(f"{name}: there is no file {shown(path)}", code=Code.BAD_VALUE)
        if self.port is not None and self.port not in range(1, 65536):
            raise InvalidInput(f"not a port: {shown(repr(self.port))}", code=Code.BAD_VALUE)


class Pool:
    """At most `_CHANNELS` sessions with one server, made as they are needed, over one connection of this process.

    A call that meets a break closes the connection, and the next one makes another.  So does the first after a fork.
    """

    def __init__(self, host: str, login: Login, place: str) -> None:
        self._host, self._login, self._place = host, login, place
        self.begin()
        _pools.add(self)

    def begin(self) -> None:
        """Have nothing yet."""
        self._turns = threading.BoundedSemaphore(_CHANNELS)
        self._dialling = threading.Lock()
        self._connection: _Connection | None = None
        self._idle: list[tuple[_Connection, Session]] = []

    @contextmanager
    def session(self, subject: str) -> Iterator[Session]:
        """A session for one call, about `subject`."""
        turns, seconds = self._turns, self._login.deadline
        if not turns.acquire(timeout=seconds):
            text = f"{self._place}: no channel came free within {seconds:g} s"
            raise StoreError(text, code=Code.STORE_BUSY, ref=subject)
        try:
            connection, session = self._take()
            try:
                session.begin(subject)
                yield session
            finally:
                if _usable(connection, session):
                    self._idle.append((connection, session))
                else:
                    connection.close()
        finally:
            turns.release()

    def _take(self) -> tuple[_Connection, Session]:
        while self._idle:
            try:
                connection, session = self._idle.pop()
            except IndexError:  # another thread took it
                break
            if _usable(connection, session):
                return connection, session
        with self._dialling:
            if self._connection is None or not self._connection.alive():
                self._connection = _Connection(self._host, self._login, self._place)
            return self._connection, self._connection.session()


def _usable(connection: _Connection, session: Session) -> bool:
    return session.sound and connection.alive() and not session.channel.closed


class _Connection:
    """An SSH connection, which ends with the last that has it."""

    def __init__(self, host: str, login: Login, place: str) -> None:
        from paramiko import SSHClient

        self._login, self._place = login, place
        self._channels: weakref.WeakSet[Any] = weakref.WeakSet()
        self._client = SSHClient()
        self._client.set_log_channel(_LOG)
        self._client.set_missing_host_key_policy(_Stranger(place, login.known_hosts or _KNOWN_HOSTS[0]))
        try:
            arguments = _arguments(self._client, host, login)
            with self._within(login.connect_timeout):
                self._client.connect(**arguments, sock=self._dial(arguments))
        except VaultError:
            self._client.close()
            raise
        except Exception as error:  # of paramiko, of the network, of what reads a key
            raise self._no_entry(error) from error
        transport = self._client.get_transport()
        transport.set_keepalive(_KEEPALIVE)
        self._transport = transport
        self.close = weakref.finalize(self, self._client.close)
        _connections.add(self)

    def alive(self) -> bool:
        """As far as this side knows."""
        return bool(self._transport.is_active())

    def session(self) -> Session:
        """A new channel."""
        try:
            with self._within(self._login.deadline):
                channel = self._transport.open_session(window_size=_WINDOW, timeout=self._login.deadline)
                self._channels.add(channel)
                channel.invoke_subsystem("sftp")
        except Exception as error:  # of paramiko, of the network
            raise self._no_channel(error) from error
        try:
            return Session(channel, self._place, self._login.deadline)
        except VaultError:
            self.close()
            raise

    def forsake(self) -> None:
        """In a forked child: neither use nor end what is the parent's; the child's descriptor of it goes."""
        for channel in self._channels:
            channel.lock = threading.Lock()  # a thread of the parent may have held the other one
            channel.closed = True
        self._transport.sock.close()

    def _dial(self, arguments: dict[str, Any]) -> socket.socket:
        dialled = socket.create_connection((arguments["hostname"], arguments["port"]), self._login.connect_timeout)
        dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or small requests wait for one another
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # else a server that stops reading can hold up a send for long
            dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self._login.deadline * 1000))
        return dialled

    @contextmanager
    def _within(self, seconds: float) -> Iterator[None]:
        """What paramiko waits for without an end has one."""
        timer = threading.Timer(seconds, self._hang_up)
        timer.daemon = True
        timer.start()
        end = time.monotonic() + seconds
        try:
            yield
        except Exception as error:
            if time.monotonic() < end:
                raise
            raise TimeoutError(f"no answer within {seconds:g} s") from error
        finally:
            timer.cancel()

    def _hang_up(self) -> None:
        if transport := self._client.get_transport():
            transport.close()

    def _no_entry(self, error: Exception) -> StoreError:
        """`error` came up while the connection was made."""
        from paramiko import BadHostKeyException

        transport = self._client.get_transport()
        met = transport is not None and transport.is_active() and transport.initial_kex_done
        self._client.close()
        if isinstance(error, BadHostKeyException):
            text = f"{self._place}: the server shows another key than the known one: {error.key.fingerprint}"
            hint = "find out why before anything else: it may be another server; ssh-keygen -R forgets the old key"
            return StoreError(text, code=Code.STORE_DENIED, hint=hint)
        if met:  # what came after that is about us
            text = f"{self._place}: the server does not let us in: {shown(error)}"
            hint = "check username, key_filename, passphrase and password, and that the server takes that kind of login"
            return StoreError(text, code=Code.STORE_DENIED, hint=hint)
        return _unreachable(self._place, error)

    def _no_channel(self, error: Exception) -> StoreError:
        """`error` came up while a channel was opened."""
        from paramiko import ChannelException

        if isinstance(error, ChannelException):
            hint = "its MaxSessions may be too low"
            return StoreError(f"{self._place}: the server opens no channel", code=Code.STORE_BUSY, hint=hint)
        if self.alive():
            hint = "the sftp subsystem of the server may be off"
            return StoreError(f"{self._place}: the server gives no SFTP", code=Code.STORE_FAILED, hint=hint)
        return _unreachable(self._place, error)


class _Stranger:
    """What paramiko does with a server that it does not know."""

    def __init__(self, place: str, known_hosts: str) -> None:
        self._place, self._known_hosts = place, known_hosts

    def missing_host_key(self, _client: object, name: str, key: Any) -> None:
        """Refuse it."""
        host, _, port = name.removeprefix("[").partition("]:")
        scan = f"ssh-keyscan -p {port or 22} {host} >> {self._known_hosts}"
        text = f"{self._place}: nothing is known of a server with the key {key.fingerprint}"
        hint = f"ask who runs it whether this is its key, and then: {shown(scan)}"
        raise StoreError(text, code=Code.STORE_DENIED, hint=hint)


def _arguments(client: Any, host: str, login: Login) -> dict[str, Any]:
    """What `client`, told of the known hosts, connects with."""
    for path in [login.known_hosts] if login.known_hosts else map(os.path.expanduser, _KNOWN_HOSTS):
        if os.path.isfile(path):
            client.load_system_host_keys(path)
    configured = _configured(host)
    keys = [path for path in map(os.path.expanduser, configured.get("identityfile", ())) if os.path.isfile(path)]
    ambient = login.password is None and login.key_filename is None and login.pkey is None
    return {
        "hostname": configured.get("hostname", host),
        "port": login.port or int(configured.get("port", 22)),
        "username": login.username or configured.get("user"),
        "password": login.password,
        "pkey": login.pkey,
        "key_filename": (keys or None) if ambient else login.key_filename,
        "passphrase": login.passphrase,
        "allow_agent": ambient,
        "look_for_keys": ambient,
        **dict.fromkeys(["timeout", "banner_timeout", "auth_timeout"], login.connect_timeout),
    }


def _configured(host: str) -> dict[str, Any]:
    """What the user's own configuration says of `host`."""
    from paramiko import SSHConfig

    path = os.path.expanduser("~/.ssh/config")
    if not os.path.isfile(path):
        return {}
    try:
        return dict(SSHConfig.from_path(path).lookup(host))
    except Exception as error:  # of paramiko, of the file system, of what a `Match` needs
        raise InvalidInput(f"{shown(path)} cannot be followed: {shown(error)}", code=Code.BAD_VALUE) from error


def _unreachable(place: str, error: Exception) -> StoreError:
    text = shown(error) or type(error).__name__
    return StoreError(f"{place}: not reached: {text}", code=Code.STORE_UNREACHABLE)


_pools: weakref.WeakSet[Pool] = weakref.WeakSet()
_connections: weakref.WeakSet[_Connection] = weakref.WeakSet()


def _after_fork() -> None:
    for connection in _connections:
        connection.forsake()
    for pool in _pools:
        pool.begin()


os.register_at_fork(after_in_child=_after_fork)
