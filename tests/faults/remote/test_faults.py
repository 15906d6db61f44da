"""Servers that die, throttle, stall, refuse and run full: what is said is true, nothing is half there, and it can go on."""

from __future__ import annotations

import hashlib
import itertools
import math
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from modelvault.blobs import parallel
from modelvault.errors import Code, CommitUncertain, Corrupt, StoreError, VaultError
from modelvault.stores import remote
from modelvault.vault import Vault

from ...servers.gcs import FakeGCSOnDisk
from ...servers.proxy import (
    Action,
    Answer,
    Cut,
    CutBody,
    Delay,
    DropReply,
    Hang,
    HTTPProxy,
    Pass,
    Request,
    Rule,
    TCPProxy,
    always,
    expired_token,
    first,
    nth,
    slow_down,
    too_many_requests,
    writes,
)
from ...servers.s3 import LocalBucket, SeaweedFS
from ...servers.server import Place, Server, free_port
from ...servers.sftp import OpenSSH
from ..scene import BLOB, past, seen
from .conftest import SMALL_PART
from .lines import Line, Spot, in_memory, on, onward, torn

GUARD = 30.0
"""Seconds within which a call ends whose requests have one second each: nothing hangs, on however busy a machine."""

SERVERS = [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("s3", "gcs", "azure", "sftp")]
THROTTLES = {"SeaweedFS": slow_down, "fake-gcs-server": too_many_requests, "Azurite": too_many_requests}


def _outcome(call: Callable[[], object]) -> VaultError | None:
    try:
        call()
    except VaultError as error:
        return error
    return None


def _outcome_of(vault: Vault, call: Callable[[Vault], object]) -> VaultError | None:
    return _outcome(partial(call, vault))


def _files(*sizes: int) -> Path:
    """A folder of files of these sizes."""
    folder = Path("files")
    folder.mkdir()
    for number, size in enumerate(sizes):
        (folder / f"{number}.bin").write_bytes(hashlib.shake_256(bytes([number])).digest(size))
    return folder


def until(condition: Callable[[], object]) -> None:
    """What a server still does takes it a moment."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _target(request: Request) -> str:
    return request.path + "?" + request.query


# --- throttled


def _throttled(line: Line, seconds: int | None = None) -> Answer:
    return THROTTLES[line.server.title](seconds)


class Clock:
    """A rule that notes when each request came."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self.times: list[float] = []

    def __call__(self, request: Request) -> Action:
        self.times.append(time.monotonic())
        return self._rule(request)


def _publish_and_promote(vault: Vault) -> None:
    vault.publish("fraud", BLOB, version="2.0.0")
    vault.promote("fraud@prod", "2.0.0", reason="better")


@on("s3", "gcs", "azure")
def test_a_store_that_throttles_every_request_when_it_first_comes_is_asked_again(line: Line) -> None:
    spot = line.prepared()
    known = set[tuple[str, str, str | None]]()

    def rule(request: Request) -> Action:
        asked = (request.method, _target(request), request.headers.get("content-length"))
        new = asked not in known
        known.add(asked)
        return _throttled(line) if new else Pass()

    with line.rule(rule) as requests:
        _publish_and_promote(spot.vault())
    assert sum(isinstance(each.action, Answer) for each in requests) > 5
    vault = Vault(spot.copy())
    assert vault.load("fraud@prod") == BLOB
    assert vault.verify().ok


@on("s3", "gcs", "azure")
def test_a_store_that_always_throttles_is_busy_after_a_bounded_number_of_tries(line: Line) -> None:
    spot = line.prepared()
    vault = spot.vault()
    with line.rule(always(_throttled(line))) as requests:
        outcome = _outcome(lambda: vault.load("fraud@prod"))
    assert _is_busy(outcome, None)
    assert len(requests) <= 6
    with line.rule(always(_throttled(line), writes)) as requests:
        outcome = _outcome(lambda: vault.promote("fraud@prod", "1.0.0", reason="x"))
    assert _is_busy(outcome, None)
    assert sum(request.writes for request in requests) == 4
    with line.rule(always(_throttled(line), writes)) as requests:
        outcome = _outcome(lambda: vault.publish("fraud", BLOB, version="2.0.0"))
    assert _is_busy(outcome, None)
    assert sum(request.writes for request in requests) <= 4
    assert len(vault.history("fraud@prod")) == 4


def _is_busy(outcome: VaultError | None, retry_after: float | None) -> bool:
    assert isinstance(outcome, StoreError), repr(outcome)
    return (outcome.code, outcome.retry_after) == (Code.STORE_BUSY, retry_after)


@on("s3", "gcs", "azure")
def test_who_is_told_when_to_come_back_does_not_come_before(line: Line) -> None:
    spot = line.prepared()
    vault = spot.vault()
    for when, call in (
        (lambda request: not request.writes, lambda: vault.load("fraud@prod")),
        (writes, lambda: vault.promote("fraud@prod", "1.0.0", reason="x")),
    ):
        clock = Clock(first(_throttled(line, 1), 1, when))
        with line.rule(clock) as requests:
            call()
        at = next(each.index for each in requests if isinstance(each.action, Answer))
        again = next(each.index for each in requests[at + 1 :] if each.method == requests[at].method)
        assert clock.times[again] - clock.times[at] >= 1


@on("s3", "gcs", "azure")
def test_who_is_told_to_come_back_too_late_says_so_at_once(line: Line, part: int) -> None:
    spot = line.prepared()
    vault = spot.vault()
    vault.publish("fraud", BLOB[9:], version="1.9.0")
    before = seen(spot.copy())
    large = hashlib.shake_256(b"large").digest(2 * part + 17)
    throttled = _throttled(line, 3600)
    for call, rule in (
        (lambda: vault.load("fraud@prod"), always(throttled)),
        (lambda: vault.promote("fraud@prod", "1.0.0", reason="x"), always(throttled, writes)),
        (lambda: vault.publish("fraud", {"n": 1}, version="2.0.0"), always(throttled, writes)),
        (lambda: vault.publish("fraud", BLOB, version="2.0.0"), always(throttled, writes)),
        (lambda: vault.publish("fraud", BLOB, version="2.0.0"), onward(throttled, 1)),
        (lambda: vault.publish("fraud", BLOB[9:], version="2.0.0"), always(throttled, writes)),  # whose blob is there
        (lambda: vault.publish("fraud", large, version="2.0.0"), always(throttled, _is_part)),
    ):
        with line.rule(rule) as requests:
            outcome = _outcome(call)
        assert _is_busy(outcome, 3600)
        assert 0 < sum(isinstance(each.action, Answer) for each in requests) <= 4
    assert seen(spot.copy()) == before


def _is_part(request: Request) -> bool:
    """It brings a part of a large object."""
    return any(word in request.query for word in ("partNumber=", "upload_id=", "comp=block"))


# --- slow, or silent


@on("s3", "gcs", "azure")
def test_a_slow_store_is_waited_for(line: Line) -> None:
    spot = line.prepared()
    with line.rule(always(Delay(0.05))):
        _publish_and_promote(spot.vault())
    assert Vault(spot.copy()).load("fraud@prod") == BLOB


SILENCE = {"unheard": Hang(), "heard": Hang(seen=True)}


@pytest.mark.parametrize("silence", SILENCE.values(), ids=SILENCE)
@pytest.mark.parametrize("name", SERVERS[:3])
def test_a_store_that_goes_silent_is_out_of_reach_and_a_commit_is_in_doubt(
    lines: Callable[..., Line], name: str, silence: Hang
) -> None:
    line = lines(name, 0.5)
    spot = line.prepared()
    began = time.monotonic()
    with line.rule(always(silence)):
        outcomes = parallel(lambda call: _outcome_of(spot.vault(), call), CALLS)
    assert [outcome and outcome.code for outcome in outcomes] == [Code.STORE_UNREACHABLE] * len(CALLS)
    assert spot.added() == []
    with line.rule(_from_the_first_write(silence)) as requests:
        outcome = _outcome(lambda: spot.vault().promote("fraud@prod", "1.0.0", reason="x"))
    assert time.monotonic() - began < GUARD
    done = spot.added()
    if any(request.writes for request in requests):  # on a busy machine it may not come so far
        assert isinstance(outcome, CommitUncertain)
        assert (outcome.txn.encode() in spot.objects().get(outcome.key, b"")) == (len(done) == 1) == silence.seen
    else:
        assert (outcome and outcome.code, done) == (Code.STORE_UNREACHABLE, [])


CALLS: list[Callable[[Vault], object]] = [
    lambda vault: vault.load("fraud@prod"),
    lambda vault: vault.versions("fraud"),
    lambda vault: vault.history("fraud@prod"),
    lambda vault: vault.publish("fraud", BLOB, version="2.0.0"),
    lambda vault: vault.promote("fraud@prod", "1.0.0", reason="x"),
    lambda vault: vault.rollback("fraud@prod", reason="x"),
    lambda vault: vault.note("fraud:1.0.0", "x"),
]


def _from_the_first_write(action: Action) -> Rule:
    """The action for the first write and all that follows."""
    begun = False

    def rule(request: Request) -> Action:
        nonlocal begun
        begun = begun or request.writes
        return action if begun else Pass()

    return rule


@pytest.mark.needs("sftp")
def test_an_sftp_server_that_goes_silent_is_out_of_reach_and_a_commit_is_in_doubt(lines: Callable[..., Line]) -> None:
    line = lines("sftp", 0.5)
    spot = line.prepared()
    began = time.monotonic()
    line.proxy.hang = True
    for call in CALLS[2:5]:
        outcome = _outcome_of(spot.vault(), call)
        assert isinstance(outcome, StoreError)
        assert outcome.code == Code.STORE_UNREACHABLE
    line.proxy.clear()
    assert spot.added() == []
    for reply in range(4, 12, 2):
        before = spot.before
        spot.before = seen(spot.copy())
        with line.broken(onward, DropReply(), reply):
            outcome = _outcome(lambda: spot.vault().promote("fraud@prod", "1.0.0", reason="x"))
        if isinstance(outcome, CommitUncertain):
            assert (outcome.txn.encode() in spot.objects().get(outcome.key, b"")) == bool(spot.added())
        else:
            assert (outcome and outcome.code, spot.added()) == (Code.STORE_UNREACHABLE, [])
        assert before.items() <= seen(spot.copy()).items()
    assert time.monotonic() - began < GUARD


@on("gcs")
def test_a_write_that_timed_out_and_lands_late_was_never_said_to_have_failed(
    line: Line, lines: Callable[..., Line]
) -> None:
    line = lines("gcs", 0.5)
    spot = line.prepared()
    with line.rule(always(Delay(3), writes)) as requests:
        outcome = _outcome(lambda: spot.vault().promote("fraud@prod", "1.0.0", reason="x"))
        assert spot.added() == []
        while not all(request.status for request in requests):
            time.sleep(0.05)
    assert isinstance(outcome, CommitUncertain)
    assert outcome.txn.encode() in spot.objects()[outcome.key]
    assert len(spot.added()) == 1


# --- not there at all


class Nowhere(NamedTuple):
    """What a place is said to be reached through."""

    address: str


def _elsewhere(server: Server, address: str, scheme: str = "http") -> Place:
    place = server.through(server.place(), Nowhere(address))
    options = {name: _with_scheme(value, scheme) for name, value in place.options.items()}
    return replace(place, options=options, server=None)


def _with_scheme(value: Any, scheme: str) -> Any:
    return re.sub(r"\bhttp\b", scheme, value) if isinstance(value, str) else value


@pytest.mark.parametrize("where", ["refused", "no-such-name", "another-protocol"])
@pytest.mark.parametrize("name", SERVERS)
def test_a_server_that_is_not_there_is_out_of_reach(request: pytest.FixtureRequest, name: str, where: str) -> None:
    server = request.getfixturevalue(f"{name}_server")
    place = {
        "refused": lambda: _elsewhere(server, f"127.0.0.1:{free_port()}"),
        "no-such-name": lambda: _elsewhere(server, "nobody.invalid:4443"),
        "another-protocol": lambda: _of_another_protocol(server, request),
    }[where]()
    began = time.monotonic()
    store = place.connect(deadline=2)
    for call in CALLS[2:5]:
        outcome = _outcome_of(Vault(store, trust="pickle"), call)
        assert isinstance(outcome, StoreError)
        assert outcome.code == Code.STORE_UNREACHABLE
    assert time.monotonic() - began < GUARD


def _of_another_protocol(server: Server, request: pytest.FixtureRequest) -> Place:
    """TLS where there is none, and SSH where there is HTTP."""
    if isinstance(server, OpenSSH):
        return _elsewhere(server, request.getfixturevalue("web_server").address)
    return _elsewhere(server, server.address, "https")


@on("gcs", "azure")
def test_what_somebody_else_answers_is_an_error_of_the_store(line: Line) -> None:
    spot = line.prepared()
    with line.rule(always(Answer(200, b"<html>welcome to this hotel</html>", (("Content-Type", "text/html"),)))):
        for call in CALLS[:3]:
            outcome = _outcome_of(spot.vault(), call)
            assert isinstance(outcome, StoreError)
            assert outcome.code == Code.STORE_FAILED


# --- refused


DENIALS = {
    "SeaweedFS": expired_token(),
    "fake-gcs-server": Answer(401, b'{"error":{"code":401,"message":"Invalid Credentials"}}'),
    "Azurite": Answer(403, b"", (("x-ms-error-code", "AuthenticationFailed"),)),
}


@on("s3", "gcs", "azure")
def test_credentials_that_expire_at_any_request_leave_nothing_half_done(line: Line) -> None:
    spot = line.prepared()
    folder = _files(20_000, 20_001, 20_002)
    denied = DENIALS[line.server.title]
    for number in itertools.count():
        vault = spot.vault()
        with line.rule(onward(denied, number)) as requests:
            outcome = _outcome(lambda: vault.publish("fraud", folder, version="2.0.0"))  # noqa: B023
        if len(requests) <= number:
            break
        assert isinstance(outcome, StoreError)
        assert outcome.code == Code.STORE_DENIED
        assert spot.added() == []
    assert outcome is None
    assert number > 3
    assert spot.added() == ["fraud:2.0.0"]


@on("s3", "gcs", "azure")
def test_who_comes_back_with_new_credentials_uploads_only_what_is_missing(line: Line, part: int) -> None:
    spot = line.prepared()
    folder = _files(part + 1_000, 3 * part + 1_000)
    denied = DENIALS[line.server.title]
    with line.rule(_once_there_is_a_blob(line, lambda: denied)):
        outcome = _outcome(lambda: spot.vault().publish("fraud", folder, version="2.0.0"))
    assert isinstance(outcome, StoreError)
    assert outcome.code == Code.STORE_DENIED
    _completes_what_is_missing(line, spot, folder)


def _once_there_is_a_blob(line: Line, act: Callable[[], Action]) -> Rule:
    """What `act` says for all requests, once one large object has been made; no other is, before that is sure."""

    def rule(request: Request) -> Action:
        before = [each for each in line.proxy.requests if each is not request and _makes_an_object(each)]
        if any(each.status in {200, 201} for each in before):
            return act()
        return Cut() if before and _makes_an_object(request) else Pass()

    return rule


def _makes_an_object(request: Request) -> bool:
    """It ends an upload in parts."""
    last = not request.headers.get("content-range", "").endswith("/*")
    ends = ("POST", "uploadId="), ("PUT", "comp=blocklist"), ("PUT", "upload_id=" if last else "never")
    return any(request.method == one and two in request.query for one, two in ends)


def _completes_what_is_missing(line: Line, spot: Spot, folder: Path) -> None:
    """The same call again sends what is not there, and nothing that is."""
    objects = spot.objects()
    assert torn(objects) == []
    assert spot.added() == []
    digests = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    missing = sum(path.stat().st_size for path, digest in digests.items() if digest not in " ".join(objects))
    assert 0 < missing < sum(path.stat().st_size for path in digests)
    with line.rule(always(Pass())) as requests:
        spot.vault().publish("fraud", folder, version="2.0.0")
    sent = sum(int(request.headers.get("content-length", 0)) for request in requests if request.writes)
    assert missing <= sent < missing + 20_000
    assert spot.added() == ["fraud:2.0.0"]


@pytest.mark.needs("s3")
def test_a_bucket_that_may_only_be_read_is_read_and_says_no_to_writers(s3_server: SeaweedFS) -> None:
    place = s3_server.place()
    past(Vault(place.connect()))
    before = s3_server.objects(place)
    vault = Vault(s3_server.read_only(place).connect(), trust="pickle")
    assert vault.load("fraud@prod")["n"] == 3
    empty = Vault(s3_server.read_only(s3_server.place()).connect())
    for call in (
        lambda: vault.publish("fraud", {"n": 1}, version="2.0.0"),
        lambda: vault.publish("fraud", BLOB, version="2.0.0"),
        lambda: vault.promote("fraud@prod", "1.0.0", reason="x"),
        lambda: vault.note("fraud:1.0.0", "x"),
        lambda: empty.publish("fraud", {"n": 1}),
    ):
        outcome = _outcome(call)
        assert isinstance(outcome, StoreError)
        assert outcome.code == Code.STORE_DENIED
    assert s3_server.objects(place) == before


# --- killed


@pytest.mark.parametrize("kind", [pytest.param(SeaweedFS, marks=pytest.mark.long), FakeGCSOnDisk])
def test_a_server_that_is_killed_and_started_again_gets_only_what_is_missing(
    kind: type[Server], start_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start_server(kind)
    part = SMALL_PART.get(server.title, 256 * 1024)
    monkeypatch.setattr(remote, "PART", part)
    with HTTPProxy(server) as proxy:
        line = Line(server, proxy, deadline=10.0)
        spot = line.prepared()
        folder = _files(part + 1_000, 3 * part + 1_000)

        def kill() -> Action:
            server.kill()
            return Pass()

        with line.rule(_once_there_is_a_blob(line, kill)):
            outcome = _outcome(lambda: spot.vault().publish("fraud", folder, version="2.0.0"))
        assert isinstance(outcome, StoreError)
        assert outcome.code == Code.STORE_UNREACHABLE
        server.start()
        _completes_what_is_missing(line, spot, folder)


class Deadly(TCPProxy):
    """A proxy that kills its server, once it has given so many replies."""

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self.server = server
        self.last = math.inf

    async def _hand_on(self, *args: Any, **named: Any) -> None:
        if self.replies >= self.last:
            self.server.kill()
            raise ConnectionAbortedError
        await super()._hand_on(*args, **named)


def test_an_sftp_server_that_is_killed_and_started_again_goes_on(start_server: Callable[..., Server]) -> None:
    server = start_server(OpenSSH)
    with Deadly(server) as proxy:
        line = Line(server, proxy, deadline=10.0)
        spot = line.prepared()
        folder = _files(*range(140_000, 140_020))
        proxy.last = proxy.replies + 100
        outcome = _outcome(lambda: spot.vault().publish("fraud", folder, version="2.0.0"))
        assert isinstance(outcome, StoreError)
        assert outcome.code == Code.STORE_UNREACHABLE
        assert torn(spot.objects()) == []
        assert spot.added() == []
        proxy.last = math.inf
        server.start()
        blobs = sum(key.startswith("blobs/") for key in spot.objects())
        spot.vault().publish("fraud", folder, version="2.0.0")
        assert spot.added() == ["fraud:2.0.0"]
        assert 2 < blobs < 22 == sum(key.startswith("blobs/") for key in spot.objects())


# --- full


def _is_full(vault: Vault) -> None:
    folder = _files(*[6 * 1024 * 1024] * 3)
    outcome = _outcome(lambda: vault.publish("fraud", folder, version="2.0.0"))
    assert isinstance(outcome, StoreError)
    assert outcome.code in {Code.STORE_FULL, Code.STORE_FAILED}


def test_a_full_disk_of_a_server_leaves_nothing_half_there(
    small_disk: Path, start_server: Callable[..., Server]
) -> None:
    server = start_server(FakeGCSOnDisk, folder=small_disk)
    place = server.place()
    past(Vault(place.connect()))
    before = seen(in_memory(server.objects(place)))
    _is_full(Vault(place.connect()))
    objects = server.objects(place)
    assert seen(in_memory(objects)) == before


@pytest.mark.needs("sftp")
def test_a_full_disk_over_sftp_leaves_nothing_half_there(small_disk: Path, sftp_server: OpenSSH) -> None:
    place = sftp_server.place(under=small_disk)
    past(Vault(place.connect()))
    before = seen(in_memory(sftp_server.objects(place)))
    _is_full(Vault(place.connect()))
    objects = {key: data for key, data in sftp_server.objects(place).items() if "/.tmp-" not in key}
    assert torn(objects) == []
    assert seen(in_memory(objects)) == before


# --- torn


@on("s3", "gcs", "azure")
def test_an_upload_that_is_cut_in_the_middle_is_not_there_and_is_made_again(line: Line) -> None:
    spot = line.prepared()
    for number in range(3):
        with line.rule(nth(CutBody(10_000), number, writes)):
            spot.vault().publish("fraud", BLOB[number + 5 :], version=f"2.{number}.0")
        assert torn(spot.objects()) == []
    assert spot.added() == ["fraud:2.0.0", "fraud:2.1.0", "fraud:2.2.0"]


@pytest.fixture
def careless(localbucket_server: LocalBucket) -> Iterator[Line]:
    """A line to a server that shows half an upload under its name."""
    with HTTPProxy(localbucket_server) as proxy:
        yield Line(localbucket_server, proxy, deadline=10.0)


def _torn_at_the_second_write(size: int) -> Rule:
    """The write is cut after so many bytes, which the server keeps, before anything else comes."""
    cut, late = nth(CutBody(size), 1, writes), False

    def rule(request: Request) -> Action:
        nonlocal late
        action = cut(request)
        before, late = late, late or isinstance(action, CutBody)
        return Delay(0.5) if before else action

    return rule


def test_a_torn_blob_is_not_trusted_by_the_upload_that_tore_it(careless: Line) -> None:
    spot = careless.prepared()
    with careless.rule(_torn_at_the_second_write(10_000)):
        version = spot.vault().publish("fraud", BLOB[5:], version="2.0.0")
    assert len(torn(spot.objects())) == 1
    assert version.load() == BLOB[5:]
    assert spot.vault().load("fraud:2.0.0") == BLOB[5:]
    assert spot.added() == ["fraud:2.0.0"]


def test_a_torn_blob_is_not_trusted_by_the_next_publisher(careless: Line) -> None:
    spot = careless.prepared()
    with careless.rule(_then_nothing(CutBody(10_000), 1)):
        assert isinstance(_outcome(lambda: spot.vault().publish("fraud", BLOB[5:], version="2.0.0")), StoreError)
    until(lambda: torn(spot.objects()))
    assert spot.added() == []
    for number in ("2.0.0", "2.0.1"):
        assert spot.vault().publish("fraud", BLOB[5:], version=number).load() == BLOB[5:]
        assert spot.vault().verify(f"fraud:{number}").ok


def _then_nothing(action: Action, number: int) -> Rule:
    """The action for the write of this number, and nobody answers any more."""
    numbers, gone = itertools.count(), False

    def rule(request: Request) -> Action:
        nonlocal gone
        if gone:
            return Cut()
        gone = request.writes and next(numbers) == number
        return action if gone else Pass()

    return rule


def test_a_torn_claim_is_corrupt_and_never_loaded(careless: Line) -> None:
    spot = careless.prepared()
    with careless.rule(_torn_at_the_second_write(300)):
        outcome = _outcome(lambda: spot.vault().publish("fraud", {"n": 9}, version="2.0.0"))
    assert isinstance(outcome, Corrupt)
    with pytest.raises(Corrupt):
        spot.vault().load("fraud:2.0.0")
    assert spot.vault().load("fraud@prod")["n"] == 3


@on("s3", "gcs", "azure")
def test_a_blob_of_other_bytes_is_never_loaded_whoever_put_it_there(line: Line) -> None:
    spot = line.prepared()
    blobs = {key: data for key, data in spot.objects().items() if key.startswith("blobs/")}
    for key, data in blobs.items():
        line.server.put(spot.place, key, data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(Corrupt):
        spot.vault().load("fraud@prod")
    for key, data in blobs.items():
        line.server.put(spot.place, key, data[:-1])
    with pytest.raises(Corrupt):
        spot.vault().load("fraud@prod")
