"""Fixtures that all tests share."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from modelvault.vault import Vault

from .servers.azure import Azurite
from .servers.gcs import FakeGCS, FakeGCSOnDisk
from .servers.s3 import LocalBucket, Moto, Nanio, PyS3Local, SeaweedFS
from .servers.server import Missing, Place, Server, find, fresh
from .servers.sftp import OpenSSH
from .servers.web import Web

settings.register_profile("default", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", deadline=None, max_examples=2_000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

_MISSING = "server missing: "


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's own vault or cache."""
    monkeypatch.setenv("MODELVAULT_URL", str(tmp_path / "own-vault"))
    monkeypatch.setenv("MODELVAULT_CACHE", str(tmp_path / "own-cache"))
    monkeypatch.setenv("MODELVAULT_ACTOR", "tester")
    for name in ("GITHUB_ACTIONS", "GITLAB_CI"):  # what runs the tests is no part of them
        monkeypatch.delenv(name, raising=False)


class _Servers:
    """Starts servers when a test asks for them, and ends them with the session."""

    def __init__(self, stack: ExitStack, folders: pytest.TempPathFactory) -> None:
        self._stack = stack
        self._folders = folders

    def start(self, kind: type[Server], folder: Path | None = None) -> Server:
        """A server of the kind, ready; the test is skipped, or fails where servers are required, if it does not start."""
        for _ in range(2):  # perhaps somebody took its port
            server = kind(folder or self._folders.mktemp(kind.__name__.lower()))
            try:
                server.start()
            except Missing as error:
                reason = f"{_MISSING}{kind.title}: {error}"
            else:
                self._stack.callback(server.stop)
                return server
        if os.environ.get("MODELVAULT_SERVERS") == "required":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def _servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Servers]:
    with ExitStack() as stack:
        yield _Servers(stack, tmp_path_factory)


@pytest.fixture
def start_server(_servers: _Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """Starts a server that is this test's alone: `start_server(SeaweedFS, folder=None)`."""
    with ExitStack() as stack:
        yield _Servers(stack, tmp_path_factory).start


@pytest.fixture(scope="session")
def s3_server(_servers: _Servers) -> Server:
    return _servers.start(SeaweedFS)


@pytest.fixture(scope="session")
def moto_server(_servers: _Servers) -> Server:
    return _servers.start(Moto)


@pytest.fixture(scope="session")
def localbucket_server(_servers: _Servers) -> Server:
    return _servers.start(LocalBucket)


@pytest.fixture(scope="session")
def nanio_server(_servers: _Servers) -> Server:
    return _servers.start(Nanio)


@pytest.fixture(scope="session")
def pys3local_server(_servers: _Servers) -> Server:
    return _servers.start(PyS3Local)


@pytest.fixture(scope="session")
def gcs_server(_servers: _Servers) -> Server:
    return _servers.start(FakeGCS)


@pytest.fixture(scope="session")
def gcs_disk_server(_servers: _Servers) -> Server:
    return _servers.start(FakeGCSOnDisk)


@pytest.fixture(scope="session")
def azure_server(_servers: _Servers) -> Server:
    return _servers.start(Azurite)


@pytest.fixture(scope="session")
def sftp_server(_servers: _Servers) -> Server:
    return _servers.start(OpenSSH)


@pytest.fixture(scope="session")
def web_server(_servers: _Servers) -> Server:
    return _servers.start(Web)


@pytest.fixture(autouse=True)
def _needed(request: pytest.FixtureRequest) -> None:
    """Start what a test says that it needs."""
    for marker in request.node.iter_markers("needs"):
        for name in marker.args:
            request.getfixturevalue(f"{name}_server")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB, which only root can make."""
    path = tmp_path / "small-disk"
    path.mkdir()
    if os.getuid():
        pytest.skip("only root mounts a small disk")
    mount = [find("mount"), "-t", "tmpfs", "-o", "size=16m", "tmpfs", path]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield path
    subprocess.run([find("umount"), "--lazy", path], check=True)


REMOTE = [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("s3", "gcs", "azure", "sftp")]


@pytest.fixture(params=["local", "memory", *REMOTE])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty place for a vault, on each store."""
    if request.param == "local":
        return Place(str(tmp_path / "vault"))
    if request.param == "memory":
        return Place(f"memory://{fresh()}")
    return request.getfixturevalue(f"{request.param}_server").place()


@pytest.fixture
def reopen(place: Place, tmp_path: Path) -> Callable[..., Vault]:
    """Opens the same vault again, with nothing remembered; options go to `Vault`."""
    defaults: dict[str, Any] = {"cache": tmp_path / "cache"} | ({"trust": "pickle"} if place.remote else {})
    return lambda **options: Vault(place.connect(), **(defaults | options))


@pytest.fixture
def vault(reopen: Callable[..., Vault]) -> Vault:
    """An empty vault, on each store."""
    return reopen()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*servers): needs these servers: s3, gcs, azure, sftp, moto, ...")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Iterator[None]:
    """A failed test shows the logs of the servers that it used."""
    report = yield
    if report.failed:
        values = list(getattr(item, "funcargs", {}).values())
        used = [each for each in values if isinstance(each, Server)]
        used += [each.server for each in values if isinstance(each, Place) and each.server]
        for server in dict.fromkeys(used):
            report.sections.append((f"log of {server.title}", server.log()))
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What was not tested, and why, in one line that nobody overlooks."""
    reasons = [str(report.longrepr[2]) for report in terminalreporter.stats.get("skipped", ()) if report.longrepr]
    missing = [reason.partition(_MISSING)[2] for reason in reasons if _MISSING in reason]
    if missing:
        names = sorted({each.partition(":")[0] for each in missing})
        line = f"{len(names)} servers missing: {', '.join(names)}; {len(missing)} tests skipped"
        terminalreporter.write_sep("!", line, red=True, bold=True)
