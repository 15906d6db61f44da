"""A line may break at any request, before it or after: what a verb reports is what has happened, and it can be called again."""

from __future__ import annotations

import hashlib
import itertools
import random
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from modelvault.errors import Code, CommitUncertain, StoreError, VaultError
from modelvault.stores import remote
from modelvault.vault import Vault

from ...servers.proxy import Action, Cut, CutReply, DropReply, Request, nth
from ..scene import VERBS, Shown, Verb, acknowledged, added, past, seen
from .conftest import SMALL_PART
from .lines import Break, Line, Objects, Spot, in_memory, on, onward, torn

ACTIONS = {"reply-dropped": DropReply(), "request-cut": Cut(), "reply-cut": CutReply(1)}
BREAKS: dict[str, Break] = {"once": nth, "for-good": onward}


def _large(vault: Vault) -> int:
    assert vault.verify("fraud:2.0.0").ok
    return len(vault.version("fraud:2.0.0").files)


LARGE = Verb("publish-large", lambda vault: vault.publish("fraud", Path("large"), version="2.0.0"), _large, 2, 2)
NAMED = {verb.name: verb for verb in [*VERBS, LARGE]}
MAIN = ["publish", "publish-first", "publish-files", "promote", "rollback", "note"]
"""The verbs that the default run breaks at every request; the others differ in what they make, not in what they ask."""

READS: dict[str, Callable[[Vault], Any]] = {
    "load": lambda vault: vault.load("fraud@prod"),
    "load-large": lambda vault: vault.load("large:1.0.0"),
    "versions": lambda vault: [acknowledged(version) for version in vault.versions("fraud")],
    "history": lambda vault: vault.history("fraud@prod"),
    "aliases": lambda vault: vault.aliases("fraud"),
}


def each(values: Iterable[str] | dict[str, Any], name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(name, values.values() if isinstance(values, dict) else values, ids=[*values])


def _make_large(part: int) -> None:
    """A folder with a file of two parts and a bit."""
    Path("large").mkdir()
    for name, size in (("weights.bin", 2 * part + 17), ("vocabulary.bin", 20_000)):
        Path("large", name).write_bytes(hashlib.shake_256(name.encode()).digest(size))


# --- verbs that write


class Tried:
    """A verb that was called while a rule broke the line, after a proof that what it reported is true."""

    def __init__(self, line: Line, verb: Verb, kind: Break, action: Action, number: int) -> None:
        base = _base(verb)
        self.verb = verb
        self.before = seen(in_memory(base))
        self.spot: Spot = line.spot(base)
        self.vault = self.spot.vault()
        with line.broken(kind, action, number) as traffic:
            self.outcome = _outcome(lambda: verb.call(self.vault))
            self.requests = traffic.count()
        _nothing_went(traffic.requests)
        objects = self.spot.objects()
        assert base.items() <= objects.items()
        assert torn(objects) == [] or _appends(line)
        self.done = len(added(self.before, seen(in_memory(objects))))
        self._is_true(objects)

    def _is_true(self, objects: Objects) -> None:
        match self.outcome:
            case None:
                assert self.done == 1
            case CommitUncertain(key=key, txn=txn):
                assert not key.startswith("blobs/")
                assert (
                    key in {"modelvault.json", "self-test.json"} or (txn.encode() in objects.get(key, b"")) == self.done
                )
            case StoreError(code=Code.STORE_UNREACHABLE):
                assert self.done == 0
            case _:
                raise self.outcome

    def again(self) -> None:
        """The same call, on the same vault, now that the line is whole, completes."""
        result = self.verb.call(self.vault)
        copy = self.spot.copy()
        after: Shown = seen(copy)
        total = len(added(self.before, after))
        assert total == (self.done + 1 if self.verb.repeats else 1)
        assert acknowledged(result) in after.values()
        assert self.verb.shows(Vault(copy)) == (self.verb.once if total == 1 else self.verb.twice)


def _base(verb: Verb) -> Objects:
    """What the verb is called on."""
    return {str(key): data for key, data in verb.store()._objects.items()}


def _outcome(call: Callable[[], object]) -> VaultError | None:
    try:
        call()
    except VaultError as error:
        return error
    return None


def _nothing_went(requests: list[Request]) -> None:
    """No object was asked to go; the parts of an upload that was given up may be."""
    for request in requests:
        assert request.method != "DELETE" or "uploadId=" in request.query or "upload_id=" in request.query, request


def _appends(line: Line) -> bool:
    """fake-gcs-server ends an upload when it is asked how far it is, and appends a part that is sent again."""
    return line.server.title.startswith("fake-gcs-server")


def _broken(line: Line, verb: Verb, kind: Break, action: Action, numbers: Iterable[int]) -> int:
    """Break the line at these requests of the verb, until it makes no more; how many it made at last."""
    for number in numbers:
        tried = Tried(line, verb, kind, action, number)
        broke = tried.requests > number
        # A single break is mended on the way; and a reply without a body is not cut.
        assert (tried.outcome is not None) == (broke and kind is onward) or isinstance(action, CutReply)
        if not broke:
            break
        if tried.outcome or isinstance(action, DropReply):
            tried.again()
    return tried.requests


@each(ACTIONS, "action")
@each(MAIN, "name")
@on("s3")
def test_a_break_at_any_request_is_mended(line: Line, name: str, action: Action) -> None:
    assert _broken(line, NAMED[name], nth, action, itertools.count()) > 2


@each(NAMED, "verb")
@pytest.mark.needs("s3", "gcs", "azure", "sftp")
def test_breaks_at_some_requests_are_reported_for_what_they_are(
    verb: Verb, lines: Callable[..., Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each verb on two of the servers."""
    monkeypatch.setattr(remote, "PART", SMALL_PART["SeaweedFS"] if verb is LARGE else 256 * 1024)
    _make_large(remote.PART)
    draws = random.Random(verb.name)
    for name in draws.sample(["s3", "gcs", "azure", "sftp"], 2):
        line = lines(name)
        actions = [DropReply()] if name == "sftp" else [*ACTIONS.values()]
        requests = _broken(line, verb, nth, draws.choice(actions), [draws.randrange(3)])
        _broken(line, verb, onward, draws.choice(actions[:2]), [draws.randrange(requests - 2)])


@pytest.mark.long
@each(BREAKS, "kind")
@each(NAMED, "verb")
@on("s3", "gcs", "azure")
def test_replies_lost_at_all_requests_are_reported_for_what_they_are(
    line: Line, part: int, verb: Verb, kind: Break
) -> None:
    _make_large(part)
    assert _broken(line, verb, kind, DropReply(), itertools.count()) > 2


@pytest.mark.long
@pytest.mark.parametrize(
    ("line", "how"),
    [
        pytest.param("gcs", "request-cut", marks=pytest.mark.needs("gcs")),
        pytest.param("gcs", "reply-cut", marks=pytest.mark.needs("gcs")),
        pytest.param("azure", "request-cut", marks=pytest.mark.needs("azure")),  # half a reply it mends a second later
    ],
    indirect=["line"],
)
@each([*MAIN, "publish-large"], "name")
def test_all_breaks_of_other_kinds_are_mended(line: Line, part: int, name: str, how: str) -> None:
    _make_large(part)
    assert _broken(line, NAMED[name], nth, ACTIONS[how], itertools.count()) > 2


@pytest.mark.long
@each(BREAKS, "kind")
@each([*MAIN, "publish-large"], "name")
@on("sftp")
def test_all_replies_that_are_lost_over_sftp_are_reported_for_what_they_are(
    line: Line, part: int, name: str, kind: Break
) -> None:
    _make_large(part)
    assert _broken(line, NAMED[name], kind, DropReply(), itertools.count(0, 1 if kind is nth else 3)) > 10


@pytest.mark.long
@on("s3", "gcs", "azure")
def test_breaks_at_some_requests_of_an_upload_in_full_parts(line: Line) -> None:
    _make_large(remote.PART)
    for action, number in itertools.product(ACTIONS.values(), (3, 5, 7)):
        assert _broken(line, LARGE, nth, action, [number]) > number


# --- readers


@pytest.fixture
def read_from(line: Line, part: int) -> tuple[Spot, Vault]:
    """A vault with a past, and a version of several parts; and the same in memory."""
    if line not in _readable:
        spot = line.spot()
        vault = Vault(spot.straight)
        past(vault)
        vault.publish("large", hashlib.shake_256(b"large").digest(2 * part + 17))
        _readable[line] = spot, Vault(spot.copy())
    return _readable[line]


_readable = weakref.WeakKeyDictionary[Line, tuple[Spot, Vault]]()


class Looked:
    """A reader that is new and called while the line breaks, after a proof that it reads nothing wrong."""

    def __init__(
        self, spot: Spot, read: Callable[[Vault], Any], expected: Any, kind: Break, action: Action, number: int
    ) -> None:
        vault = spot.vault()
        with spot.line.broken(kind, action, number) as traffic:
            try:
                assert read(vault) == expected
                self.outcome = None
            except StoreError as error:
                assert error.code == Code.STORE_UNREACHABLE
                self.outcome = error
            self.requests = traffic.count()
        assert not any(request.writes for request in traffic.requests)
        assert read(vault) == expected


@each(ACTIONS, "action")
@each(READS, "read")
@on("s3")
def test_a_reader_mends_any_break(
    line: Line, read: Callable[[Vault], Any], action: Action, read_from: tuple[Spot, Vault]
) -> None:
    spot, copy = read_from
    expected = read(copy)
    for number in itertools.count():
        looked = Looked(spot, read, expected, nth, action, number)
        assert looked.outcome is None
        if looked.requests <= number:
            break


@each(READS, "read")
@on("gcs", "azure", "sftp")
def test_a_reader_mends_some_breaks_and_says_when_the_line_is_gone(
    line: Line, read: Callable[[Vault], Any], read_from: tuple[Spot, Vault]
) -> None:
    spot, copy = read_from
    expected = read(copy)
    draws = random.Random(line.server.title)
    requests = Looked(spot, read, expected, nth, DropReply(), 10_000).requests
    for kind, gone in ((nth, False), (onward, True)):
        looked = Looked(spot, read, expected, kind, DropReply(), draws.randrange(max(requests // 2, 1)))
        assert (looked.outcome is not None) == gone
