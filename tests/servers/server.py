"""A server as a subprocess: free ports, a folder of its own, ready before a test sees it, ended by process group."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from modelvault.stores import Store, connect

ROOT = Path(__file__).parents[2]
_ENVIRONMENT = dict(os.environ)  # of before any test: some of them change the PATH
_ELSEWHERE = [Path(sys.executable).parent, ROOT / ".servers" / "node_modules" / ".bin", "/usr/sbin", "/usr/lib/openssh"]


class Missing(Exception):
    """A server that is not installed, or does not start here."""


@dataclass(frozen=True)
class Place:
    """Where an empty vault may be made: what `modelvault.stores.connect` takes, and the server that has it."""

    url: str
    options: dict[str, Any] = field(default_factory=dict)
    server: "Server | None" = field(default=None, compare=False, repr=False)

    @property
    def remote(self) -> bool:
        """Whether others than this user may write there, as far as a reader can tell."""
        return self.server is not None

    def connect(self, **options: Any) -> Store:
        """The place opened anew."""
        return connect(self.url, **(self.options | options))

    def through(self, proxy: Any) -> "Place":
        """The same place, reached through a proxy in front of its server."""
        assert self.server is not None
        return self.server.through(self, proxy)


class Server:
    """What all servers share.  A subclass says what to launch, when it is ready, and what a place on it is."""

    title: ClassVar[str]
    program: ClassVar[str]
    durable: ClassVar[bool] = False  # keeps what it acknowledged when it is killed and started again

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.processes: list[subprocess.Popen[bytes]] = []
        self.seconds = 0.0  # that the last start took

    @property
    def address(self) -> str:
        """Host and port that clients, and proxies, connect to."""
        return f"127.0.0.1:{self.port}"

    def run(self) -> None:
        """Launch what there is to launch, and wait for it."""
        raise NotImplementedError

    def place(self) -> Place:
        """A new, empty place on this server."""
        raise NotImplementedError

    def objects(self, place: Place) -> dict[str, bytes]:
        """All that the server has at a place, by key, as a client sees it that is not ours."""
        raise NotImplementedError

    def put(self, place: Place, key: str, data: bytes) -> None:
        """Write an object without a condition: what a careless or hostile writer does."""
        raise NotImplementedError

    def remove(self, place: Place, key: str) -> None:
        """Delete an object."""
        raise NotImplementedError

    def through(self, place: Place, proxy: Any) -> Place:
        """The same place, reached through a proxy: its address stands wherever the server's did."""
        return replace(place, url=self._moved(place.url, proxy), options=self._moved(place.options, proxy))

    def _moved(self, value: Any, proxy: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._moved(each, proxy) for name, each in value.items()}
        return value.replace(self.address, proxy.address) if isinstance(value, str) else value

    def start(self) -> Self:
        """Start, on the ports and the data of before if there was a before."""
        began = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self.run()
        except BaseException:
            self.stop()
            raise
        self.seconds = time.monotonic() - began
        return self

    def kill(self) -> None:
        """`kill -9`, all of it at once."""
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        for process in self.processes:
            process.wait()
        self.processes.clear()

    def stop(self) -> None:
        """The same: its folder goes with the tests, so there is nothing to put in order."""
        self.kill()

    def restart(self) -> Self:
        """Kill it and start it again, on the same ports and data."""
        self.kill()
        return self.start()

    def launch(self, *command: str | Path, **variables: str) -> None:
        """Start one program in the folder, in a process group of its own, that ends when this process does."""
        tied = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv", path=_ENVIRONMENT.get("PATH")) else []
        environment = _ENVIRONMENT | {"HOME": str(self.folder)} | variables
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [*tied, *map(str, command)],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes.append(process)

    def wait(self, ready: Callable[[], Any], seconds: float = 60.0) -> None:
        """Until `ready` neither raises nor says False."""
        deadline, reason = time.monotonic() + seconds, "it says that it is not ready"
        while time.monotonic() < deadline:
            ended = [process.returncode for process in self.processes if process.poll() is not None]
            if ended:
                raise Missing(f"{self.title} ended with {ended[0]}: {self.log(300)}")
            try:
                if ready() is not False:
                    return
            except Exception as error:
                reason = repr(error)
            time.sleep(0.02)
        raise Missing(f"{self.title} is not ready after {seconds:g} s: {reason}")

    def listening(self) -> None:
        """Raises unless something accepts connections at the port."""
        socket.create_connection(("127.0.0.1", self.port), timeout=1).close()

    def log(self, characters: int = 4_000) -> str:
        """The end of what it wrote."""
        path = self.folder / "log"
        return path.read_text(errors="replace")[-characters:] if path.exists() else ""


def find(program: str) -> Path:
    """Where a program is: beside this Python, in `.servers`, or on the PATH.

    Raises:
        Missing: it is nowhere.
    """
    path = os.pathsep.join([*map(str, _ELSEWHERE), _ENVIRONMENT.get("PATH", "")])
    found = shutil.which(program, path=path)
    if found is None:
        raise Missing(f"{program} is not installed")
    return Path(found)


def free_port() -> int:
    """A port of 127.0.0.1 below those that the kernel gives to clients, so that it stays free until it is used."""
    while True:
        port = 20_000 + secrets.randbelow(10_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def fresh() -> str:
    """A name that nobody used before."""
    return f"p{secrets.token_hex(5)}"
