"""What is secret stands in no error, no traceback, no log, no repr and no stored object, whatever goes wrong."""

from __future__ import annotations

import base64
import logging
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import pytest

from modelvault.blobs import parallel
from modelvault.errors import VaultError
from modelvault.stores import connect
from modelvault.vault import Vault

from ...servers.azure import ACCOUNT, KEY
from ...servers.proxy import Answer, Cut, CutReply, DropReply, Hang, HTTPProxy, TCPProxy, always
from ...servers.server import Place, Server, free_port
from ..scene import BLOB, past

WORD = "xyzzy"
"""It is in every secret."""


@dataclass(frozen=True)
class Secret:
    """A way into a server, with `words` that nobody else may see; `good`: it opens."""

    place: Callable[[Server], Place]
    words: tuple[str, ...] = (WORD,)
    good: bool = True


def _s3(server: Server) -> Place:
    place = server.place()
    return replace(place, options=place.options | {"secret": f"{WORD}-secret", "token": f"{WORD}-token"})


def _gcs(server: Server) -> Place:
    from google.oauth2.credentials import Credentials

    place = server.place()
    return replace(place, options=place.options | {"token": Credentials(token=f"ya29.{WORD}")})


def _gcs_account(server: Server) -> Place:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    kind, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    account = {
        "type": "service_account",
        "client_email": "robot@example.com",
        "private_key_id": WORD,
        "private_key": key.private_bytes(kind, private, serialization.NoEncryption()).decode(),
        "token_uri": f"http://127.0.0.1:{free_port()}/token",
    }
    place = server.place()
    return replace(place, options=place.options | {"token": account})


def _azure(server: Server, key: str) -> Place:
    place = server.place()
    where = f"BlobEndpoint=http://{server.address}/{ACCOUNT}"
    return replace(place, options={"connection_string": f"AccountName={ACCOUNT};{key};{where}"})


def _sftp(server: Server) -> Place:
    place = server.place()
    return replace(place, options={"known_hosts": place.options["known_hosts"], "password": f"{WORD}-password"})


_WRONG = base64.b64encode(f"{WORD} of no account".encode()).decode()

SECRETS = {
    "moto": [Secret(_s3)],
    "s3": [Secret(_s3, good=False), Secret(lambda server: server.place(), words=("writer-secret",))],
    "gcs": [Secret(_gcs), Secret(_gcs_account, words=(WORD, "PRIVATE KEY", "MII"), good=False)],
    "azure": [
        Secret(partial(_azure, key=f"AccountKey={KEY}"), words=(KEY,)),
        Secret(partial(_azure, key=f"AccountKey={_WRONG}"), words=(_WRONG, WORD), good=False),
        Secret(partial(_azure, key=f"SharedAccessSignature=sv=2021-12-02&ss=b&sig={WORD}"), good=False),
    ],
    "sftp": [Secret(_sftp, good=False)],
}
CASES = [
    pytest.param(name, secret, marks=pytest.mark.needs(name), id=f"{name}-{number}")
    for name, secrets in SECRETS.items()
    for number, secret in enumerate(secrets)
]
FAULTS = [
    Cut(),
    DropReply(),
    CutReply(3),
    Hang(),
    Answer(503, b"<Error><Code>SlowDown</Code></Error>", (("Retry-After", "3600"),)),
    Answer(403, b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"),
    Answer(500, b"what?"),
    Answer(200, b"<html>welcome to this hotel</html>", (("Content-Type", "text/html"),)),
]
CALLS: list[Callable[[Vault], object]] = [
    lambda vault: vault.load("fraud@prod"),
    lambda vault: vault.publish("fraud", BLOB, version="2.0.0"),
    lambda vault: vault.promote("fraud@prod", "1.0.0", reason="x"),
]


class Nowhere(NamedTuple):
    """What a place is said to be reached through."""

    address: str


def _outcome(vault: Vault, call: Callable[[Vault], object]) -> VaultError | None:
    try:
        call(vault)
    except VaultError as error:
        return error
    return None


def _told(place: Place, *, fails: bool = True) -> Iterator[str]:
    """All that is printed of a vault, and of what it raises."""
    store = place.connect(deadline=0.5, **({"connect_timeout": 1.0} if place.url.startswith("sftp") else {}))
    vault = Vault(store, trust="pickle")
    yield from (repr(vault), repr(store), repr(getattr(store, "inner", store)), vault.url)
    errors = parallel(partial(_outcome, vault), CALLS)
    assert all(errors) == fails
    for error in filter(None, errors):
        yield from (str(error), repr(error), error.hint, error.ref, repr(vars(error)))
        yield "".join(traceback.format_exception(error))


@pytest.fixture
def hushed(caplog: pytest.LogCaptureFixture) -> Callable[[Secret, Iterable[str]], None]:
    """Sees to it that no text, and no line of our logs until now, has a word of the secret."""
    caplog.set_level(logging.DEBUG)

    def check(secret: Secret, texts: Iterable[str]) -> None:
        logged = [each.getMessage() for each in caplog.records if each.name.startswith("modelvault")]
        for text in (*texts, *logged):
            for word in secret.words:
                assert word not in text

    return check


Hushed = Callable[[Secret, Iterable[str]], None]
each_secret = pytest.mark.parametrize(("name", "secret"), CASES)
each_good_secret = pytest.mark.parametrize(("name", "secret"), [case for case in CASES if case.values[1].good])


@each_secret
def test_no_fault_tells_a_secret(name: str, secret: Secret, hushed: Hushed, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue(f"{name}_server")
    place = secret.place(server)
    if not secret.good:
        hushed(secret, _told(place))
        if SECRETS[name][0].good:  # of the others of this server
            return
    hushed(secret, _told(_through(server, place, Nowhere(f"127.0.0.1:{free_port()}"))))
    hushed(secret, _told(_through(server, place, Nowhere("nobody.invalid:4443"))))
    if name == "sftp":
        with TCPProxy(server) as tcp:
            for after in (0, 10, 300):
                tcp.cut_after(to_client=after)
                hushed(secret, _told(_through(server, place, tcp)))
            tcp.hang = True
            hushed(secret, _told(_through(server, place, tcp)))
        return
    with HTTPProxy(server) as proxy:
        for action in FAULTS:
            proxy.rule = always(action)
            hushed(secret, _told(_through(server, place, proxy)))


def _through(server: Server, place: Place, proxy: Any) -> Place:
    return replace(server.through(place, proxy), server=None)


@each_good_secret
def test_no_secret_is_stored(name: str, secret: Secret, hushed: Hushed, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue(f"{name}_server")
    place = secret.place(server)
    vault = Vault(place.connect(), trust="pickle")
    past(vault)
    assert vault.load("fraud@prod")["n"] == 3
    objects = server.objects(place)
    hushed(secret, [data.decode("latin-1") for data in objects.values()])
    hushed(secret, [*objects, vault.url, repr(vault), str(vault.history("fraud@prod")), str(vault.versions("fraud"))])


@pytest.mark.parametrize(
    "url",
    [
        f"s3://{WORD}:{WORD}@bucket/prefix",
        f"s3://bucket/prefix?secret={WORD}",
        f"gs://{WORD}@bucket",
        f"abfs://container/prefix?account=a&sig={WORD}",
        f"abfs://container@a.blob.core.windows.net/prefix?sig={WORD}",
        f"sftp://me:{WORD}@host/path",
        f"sftp://me:a/{WORD}@host/path",
    ],
)
def test_a_url_with_a_secret_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(VaultError) as refusal:
        connect(url)
    assert WORD not in "".join(traceback.format_exception(refusal.value)) + repr(vars(refusal.value))
