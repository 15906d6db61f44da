"""The lines that these tests break."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from modelvault.stores import remote

from ...servers.proxy import HTTPProxy
from ...servers.server import Server
from ...servers.sftp import OpenSSH
from .lines import Dying, Line, SSHLine

SMALL_PART = {"SeaweedFS": 5 * 1024 * 1024}
"""The smallest part that a server takes, where that is not 256 KiB."""


@pytest.fixture(scope="session")
def lines(request: pytest.FixtureRequest) -> Iterator[Callable[..., Line]]:
    """The line to a server, by name and by the deadline of its requests; each is opened once."""
    opened: dict[tuple[str, float], Line] = {}
    with ExitStack() as stack:

        def line(name: str, deadline: float = 20.0) -> Line:
            if (name, deadline) not in opened:
                opened[name, deadline] = _opened(request.getfixturevalue(f"{name}_server"), deadline, stack)
            return opened[name, deadline]

        yield line


def _opened(server: Server, deadline: float, stack: ExitStack) -> Line:
    if isinstance(server, OpenSSH):
        return SSHLine(server, stack.enter_context(Dying(server)), deadline=deadline, connect_timeout=deadline)
    return Line(server, stack.enter_context(HTTPProxy(server)), deadline=deadline)


@pytest.fixture
def line(request: pytest.FixtureRequest, lines: Callable[..., Line]) -> Line:
    """The line to the server that `on` names."""
    return lines(request.param)


@pytest.fixture
def part(line: Line, monkeypatch: pytest.MonkeyPatch) -> int:
    """Parts are as small as the server takes them."""
    size = SMALL_PART.get(line.server.title, 256 * 1024)
    monkeypatch.setattr(remote, "PART", size)
    return size
