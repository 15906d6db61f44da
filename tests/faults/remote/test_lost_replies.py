"""A line may break at any request, before it or after: what a verb reports is what has happened, and it can be called again."""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from modelvault.errors import Code, CommitUncertain, StoreError, VaultError
from modelvault.stores import remote
from modelvault.vault import Vault

from ...servers.proxy import Action, Cut, CutReply, DropReply, HTTPProxy, Request, Rule, always, nth
from ..scene import VERBS, Shown, Verb, acknowledged, added, past, seen
from .lines import Line, Objects, Spot, in_memory, onward

SERVERS = ("s3", "gcs", "azure")
SMALL_PART = {"SeaweedFS": 5 * 1024 * 1024}
"""The smallest part that a server takes, where that is not 256 KiB."""
DEADLINE = 20.0
BREAKS = {"reply-dropped": DropReply(), "request-cut": Cut(), "reply-cut": CutReply(1)}


def _large(vault: Vault) -> object:
    return vault.publish("fraud", Path("large"), version="2.0.0")


def _many(vault: Vault) -> dict[str, str]:
    assert vault.verify("fraud:2.0.0").ok
    return {file.path: file.digest for file in vault.version("fraud:2.0.0").files}


LARGE = Verb("publish-large", _large, lambda vault: len(_many(vault)), 2, 2)
NAMED = {verb.name: verb for verb in [*VERBS, LARGE]}
MAIN = ["publish", "publish-first", "publish-files", "publish-large", "promote", "rollback", "note", "yank"]
"""The verbs that the default run breaks at every request; the others differ in what they make, not in what they ask."""

READS: dict[str, Callable[[Vault], Any]] = {
    "load": lambda vault: vault.load("fraud@prod"),
    "load-pinned": lambda vault: vault.load("fraud:1.0.0"),
    "versions": lambda vault: [acknowledged(version) for version in vault.versions("fraud")],
    "history": lambda vault: vault.history("fraud@prod"),
    "aliases": lambda vault: vault.aliases("fraud"),
    "verify": lambda vault: vault.verify(),
}


@pytest.fixture(scope="module")
def lines(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Line]]:
    """The line to a server, by name."""
    opened: dict[str, Line] = {}
    proxies: list[HTTPProxy] = []

    def line(name: str) -> Line:
        if name not in opened:
            server = request.getfixturevalue(f"{name}_server")
            proxies.append(HTTPProxy(server).__enter__())
            opened[name] = Line(server, proxies[-1], deadline=DEADLINE)
        return opened[name]

    yield line
    for proxy in proxies:
        proxy.__exit__()


@pytest.fixture
def line(request: pytest.FixtureRequest, lines: Callable[[str], Line]) -> Line:
    return lines(request.param)


@pytest.fixture(autouse=True)
def _large_files(line: Line, _workplace: None, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A folder with a file of two parts and a bit; parts are small unless the test is a long one."""
    if request.node.get_closest_marker("long") is None:
        monkeypatch.setattr(remote, "PART", SMALL_PART.get(line.server.title, 256 * 1024))
    Path("large").mkdir()
    for name, size in (("weights.bin", 2 * remote.PART + 17), ("vocabulary.bin", 20_000)):
        Path("large", name).write_bytes(hashlib.shake_256(name.encode()).digest(size))


def at(*names: str) -> pytest.MarkDecorator:
    params = [pytest.param(name, marks=pytest.mark.needs(name)) for name in names]
    return pytest.mark.parametrize("line", params, indirect=True)


def _outcome(call: Callable[[], object]) -> VaultError | None:
    try:
        call()
    except VaultError as error:
        return error
    return None


def _base(verb: Verb) -> Objects:
    """What the verb is called on."""
    return {str(key): data for key, data in verb.store()._objects.items()}


def _nothing_went(requests: list[Request]) -> None:
    """No object was asked to go; the parts of an upload that was given up may be."""
    for request in requests:
        assert request.method != "DELETE" or "uploadId=" in request.query or "upload_id=" in request.query, request


class Broken:
    """A verb that was called while the line broke, after a proof that what it reported is true."""

    def __init__(self, line: Line, verb: Verb, base: Objects, rule: Rule) -> None:
        self.verb = verb
        self.before = seen(in_memory(base))
        self.spot = line.spot(base)
        self.vault = Vault(self.spot.broken, trust="pickle")
        with line.rule(rule) as requests:
            self.outcome = _outcome(lambda: verb.call(self.vault))
        self.asked = len(requests)
        _nothing_went(requests)
        objects = self.spot.objects()
        assert base.items() <= objects.items()
        self.done = len(added(self.before, seen(in_memory(objects))))
        self._is_true(objects)

    def _is_true(self, objects: Objects) -> None:
        match self.outcome:
            case None:
                assert self.done == 1
            case CommitUncertain(key=key, txn=txn):
                assert bool(self.done) == (txn.encode() in objects.get(key, b"")) or key == "modelvault.json"
                assert not key.startswith("blobs/")
            case StoreError(code=Code.STORE_UNREACHABLE):
                assert self.done == 0
            case _:
                raise self.outcome

    def call_again(self) -> None:
        """The same call, on the same vault, now that the line is whole, completes."""
        result = self.verb.call(self.vault)
        copy = self.spot.copy()
        after: Shown = seen(copy)
        total = len(added(self.before, after))
        assert total == (self.done + 1 if self.verb.repeats else 1)
        assert acknowledged(result) in after.values()
        assert self.verb.shows(Vault(copy)) == (self.verb.once if total == 1 else self.verb.twice)


def _broken_once(line: Line, verb: Verb, action: Action, numbers: Any) -> int:
    """Break the line at these requests of the verb, until there are no more; how many times it broke."""
    base = _base(verb)
    for number in numbers:
        broken = Broken(line, verb, base, nth(action, number))
        assert broken.outcome is None  # one break is mended on the way
        if broken.asked <= number:
            return number
        broken.call_again()
    return len(numbers)


def _broken_for_good(line: Line, verb: Verb, action: Action, numbers: Any) -> int:
    base = _base(verb)
    for number in numbers:
        broken = Broken(line, verb, base, onward(action, number))
        if broken.asked <= number:
            assert broken.outcome is None
            return number
        assert broken.outcome is not None
        broken.call_again()
    return len(numbers)


def _requests(line: Line, verb: Verb) -> int:
    broken = Broken(line, verb, _base(verb), always(DropReply(), lambda _: False))
    assert broken.outcome is None
    return broken.asked


@pytest.mark.parametrize("action", BREAKS.values(), ids=BREAKS)
@pytest.mark.parametrize("name", MAIN)
@at("s3")
def test_a_break_at_any_request_is_mended(line: Line, name: str, action: Action) -> None:
    assert _broken_once(line, NAMED[name], action, itertools.count()) > 2


@pytest.mark.parametrize("name", MAIN)
@at("s3")
def test_a_line_that_is_gone_from_any_request_on_is_reported_for_what_it_is(line: Line, name: str) -> None:
    assert _broken_for_good(line, NAMED[name], DropReply(), itertools.count()) > 2
