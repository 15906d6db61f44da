"""Vaults on real servers, each behind a proxy that breaks the line as it is told."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from modelvault.blobs import parallel
from modelvault.errors import VaultError
from modelvault.stores import Data, Entry, Key, Sink, Span, Store
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import Wrapper
from modelvault.vault import Vault

from ...servers.proxy import Action, DropReply, Pass, Request, Rule, TCPProxy
from ...servers.server import Place, Server
from ..scene import Shown, added, past, seen

Objects = dict[str, bytes]


def on(*names: str) -> pytest.MarkDecorator:
    """The servers to whose `line` a test is put."""
    servers = [pytest.param(name, marks=pytest.mark.needs(name)) for name in names]
    return pytest.mark.parametrize("line", servers, indirect=True)


class Below(Wrapper):
    """A folder of a store as a store: many vaults share its connections, which are slow to make."""

    def __init__(self, inner: Store, folder: str) -> None:
        super().__init__(inner)
        self._folder = f"{folder}/"

    @property
    def url(self) -> str:
        return f"{self.inner.url}#{self._folder}"

    def private(self, key: Key) -> bool:
        return self.inner.private(self._in(key))

    def read(self, key: Key) -> bytes:
        return self.inner.read(self._in(key))

    def create(self, key: Key, data: Data) -> None:
        self.inner.create(self._in(key), data)

    def fetch(self, key: Key, spans: Any, sink: Sink) -> None:
        self.inner.fetch(self._in(key), [Span(*span) for span in spans], sink)

    def list(self, prefix: str, *, limit: int | None = None) -> Iterator[Entry]:
        for entry in self.inner.list(self._folder + prefix, limit=limit):
            yield Entry(Key(entry.key.removeprefix(self._folder)), entry.size)

    def delete(self, key: Key) -> None:
        self.inner.delete(self._in(key))

    def _in(self, key: Key) -> Key:
        return Key(self._folder + key)


Break = Callable[[Action, int], Rule]
"""How a line breaks: by an action, at the request of a number or from there on."""


@dataclass
class Traffic:
    """What came over a line."""

    count: Callable[[], int]
    requests: list[Request] = field(default_factory=list)


class Line:
    """A server, and the way to it: straight, and through a proxy that breaks."""

    def __init__(self, server: Server, proxy: Any, **options: Any) -> None:
        self.server = server
        self.proxy = proxy
        self.place = server.place()
        self.straight = self.place.connect()
        self.through = self.place.through(proxy).connect(**options)
        self._names = (f"v{number}" for number in itertools.count())
        warm(self.through)

    def spot(self, objects: Objects | None = None) -> Spot:
        """A new folder with these objects."""
        spot = Spot(self, next(self._names))
        parallel(lambda item: spot.straight.create(Key(item[0]), item[1]), (objects or {}).items())
        return spot

    def prepared(self) -> Spot:
        """A new folder with a vault that has a past; `before` is what it shows."""
        spot = self.spot()
        past(Vault(spot.straight))
        spot.before = seen(spot.copy())
        return spot

    @contextmanager
    def rule(self, rule: Rule) -> Iterator[list[Request]]:
        """While the rule is in force; the requests that come."""
        self.proxy.clear()
        self.proxy.rule = rule
        try:
            yield self.proxy.requests
        finally:
            self.proxy.clear()

    @contextmanager
    def broken(self, kind: Break, action: Action, number: int) -> Iterator[Traffic]:
        """While the line breaks at a request."""
        with self.rule(kind(action, number)) as requests:
            yield Traffic(lambda: len(requests), requests)


class SSHLine(Line):
    """The same for SFTP, of which a proxy knows no more than when the server speaks; only replies are lost."""

    proxy: Dying

    @contextmanager
    def broken(self, kind: Break, action: Action, number: int) -> Iterator[Traffic]:
        assert isinstance(action, DropReply)
        self.proxy.clear()
        before, self.proxy.for_good = self.proxy.replies, kind is onward
        self.proxy.drop_reply(after=number)
        try:
            yield Traffic(lambda: self.proxy.replies - before)
        finally:
            self.proxy.clear()


class Dying(TCPProxy):
    """A proxy that loses every reply from the one on that it was told to, if it is `for_good`."""

    for_good = False

    async def _hand_on(self, *args: Any, **named: Any) -> None:
        try:
            await super()._hand_on(*args, **named)
        except ConnectionAbortedError:
            if self.for_good:
                self.drop_reply(after=0)
            raise


class Spot:
    """A folder for a vault."""

    def __init__(self, line: Line, name: str) -> None:
        self.line = line
        self.place: Place = replace(line.place, url=f"{line.place.url}/{name}")
        self.straight = Below(line.straight, name)
        self.through = Below(line.through, name)
        self.before: Shown = {}

    def vault(self) -> Vault:
        """The vault here, opened anew, over the line that breaks."""
        return Vault(self.through, trust="pickle")

    def objects(self) -> Objects:
        """All that is there, as another client sees it; not what a cut upload left behind, which no store lists."""
        objects = self.line.server.objects(self.place)
        return {key: data for key, data in objects.items() if "/.tmp-" not in key}

    def added(self) -> list[str]:
        """What the vault shows that it did not show `before`; all of it is whole, and the rest as it was."""
        return added(self.before, seen(self.copy()))

    def copy(self) -> MemoryStore:
        """The same in memory, where it is quick to look at."""
        return in_memory(self.objects())


def torn(objects: Objects) -> list[str]:
    """The blobs that are not what their names say."""
    blobs = {key: key.rpartition("/")[2].partition(".")[0] for key in objects if key.startswith("blobs/")}
    return [key for key, digest in blobs.items() if hashlib.sha256(objects[key]).hexdigest() != digest]


def in_memory(objects: Objects) -> MemoryStore:
    store = MemoryStore("copy")
    store._objects.update((Key(key), data) for key, data in objects.items())
    return store


def warm(store: Store) -> None:
    """Make the connection, however short the deadline: what libraries load first takes long on a busy machine."""
    for _ in range(20):
        try:
            next(iter(store.list("")), None)
        except VaultError:
            continue
        return
    raise AssertionError


def onward(action: Action, number: int) -> Rule:
    """The action for every request from this one on."""
    return lambda request: action if request.index >= number else Pass()
