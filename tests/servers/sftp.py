"""OpenSSH's sshd on a port of loopback, with keys made for the purpose; it runs as root and as anybody.

Its sessions have another home than the user, whose shell may do anything at its start.
"""

import contextlib
import os
import pwd
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

from .server import Missing, Place, Server, find, fresh

_CONFIGURATION = """\
ListenAddress {address}
HostKey "{folder}/host_key"
AuthorizedKeysFile "{folder}/user_key.pub"
PidFile none
StrictModes no
UsePAM no
UseDNS no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 1000
MaxSessions 1000
LogLevel INFO
SetEnv "HOME={folder}"
Subsystem sftp internal-sftp
ForceCommand {program} -e -l VERBOSE 2>>'{folder}/operations'
"""


class OpenSSH(Server):
    """The SFTP that the tests rely on.  What each session asked for is in `operations`."""

    title = "OpenSSH"
    program = "sshd"
    durable = True

    @property
    def user(self) -> str:
        return pwd.getpwuid(os.getuid()).pw_name

    @property
    def known_hosts(self) -> Path:
        return self.folder / f"known_hosts.{self.port}"

    def run(self) -> None:
        sshd, sftp_server = find(self.program), find("sftp-server")
        for name in ("host_key", "user_key"):
            if not (self.folder / name).exists():
                _make_key(self.folder / name)
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where it confines itself
        settings = {"address": self.address, "folder": self.folder, "program": sftp_server}
        (self.folder / "sshd_config").write_text(_CONFIGURATION.format(**settings))
        (self.folder / "data").mkdir(exist_ok=True)
        self._trust(self.address)
        self.launch(sshd, "-D", "-e", "-f", self.folder / "sshd_config")
        self.wait(self.listening)

    def kill(self) -> None:
        sessions = [each for process in self.processes for each in _below(process.pid)]  # each leads a group of its own
        super().kill()
        for pid in sessions:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _trust(self, address: str) -> Path:
        """A file of known hosts that has this server's key for an address."""
        host, _, port = address.partition(":")
        kind, key, *_ = (self.folder / "host_key.pub").read_text().split()
        path = self.folder / f"known_hosts.{port}"
        path.write_text(f"[{host}]:{port} {kind} {key}\n")
        return path

    def place(self, under: Path | None = None) -> Place:
        """A path on this machine where nothing is yet, in a folder of the server's or in a given one."""
        path = (under or self.folder / "data") / fresh()
        options = {"key_filename": str(self.folder / "user_key"), "known_hosts": str(self.known_hosts)}
        return Place(f"sftp://{self.user}@{self.address}{path}", options, self)

    def through(self, place: Place, proxy: Any) -> Place:
        moved = super().through(place, proxy)
        return replace(moved, options=moved.options | {"known_hosts": str(self._trust(proxy.address))})

    def folder_of(self, place: Place) -> Path:
        """The folder that a place is."""
        return Path(place.url.partition(self.address)[2])

    def operations(self) -> list[str]:
        """What sessions asked for until now, in order: ``open``, ``close``, ``rename``, ``stat``, ``opendir``, …

        The reads and writes of an open file are not logged.
        """
        path = self.folder / "operations"
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        return [word for line in lines if (word := line.partition(" ")[0]) not in {"session", "received", "sent"}]

    def objects(self, place: Place) -> dict[str, bytes]:
        root = self.folder_of(place)
        return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}

    def put(self, place: Place, key: str, data: bytes) -> None:
        path = self.folder_of(place) / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def remove(self, place: Place, key: str) -> None:
        (self.folder_of(place) / key).unlink()


def _below(pid: int) -> list[int]:
    """The processes that a process has started, and those have."""
    try:
        children = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []
    return [each for child in children for each in (child, *_below(child))]


def _make_key(path: Path) -> None:
    command = [find("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", path]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        raise Missing(f"ssh-keygen made no key: {made.stderr}")
