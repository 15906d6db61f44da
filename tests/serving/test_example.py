"""The example of the tutorial, under load: it is promoted, gets worse, and rolls itself back, and no request fails."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from contextlib import closing
from pathlib import Path

import pytest

from modelvault.vault import open as opened

from .models import until

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "fraud_service"
CLIENTS = 4
PAYMENTS = [(20.0, 25.0), (30.0, 12.0), (5.0, 40.0), (60.0, 55.0), (9.5, 10.0)]


class Clients:
    """Threads that score payments over connections that they keep."""

    def __init__(self, port):
        self.port = port
        self.failed = []
        self.versions = Counter()
        self.workers = set()
        self.latest = deque(maxlen=100)
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(CLIENTS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        for count in range(number, 10**9):
            if self._over.is_set():
                break
            amount, usual = PAYMENTS[count % len(PAYMENTS)]
            try:
                body = json.dumps({"amount": amount, "usual": usual})
                connection.request("POST", "/score", body, {"Content-Type": "application/json"})
                reply = connection.getresponse()
                said = json.loads(reply.read())
                if reply.status != 200:
                    self.failed.append(f"{reply.status}: {said}")
                    continue
            except Exception as error:
                self.failed.append(repr(error))
                connection.close()
                continue
            self.versions[said["version"]] += 1
            self.workers.add(said["worker"])
            self.latest.append((said["version"], said["blocked"]))
            if count % 200 == 199:  # a new connection, maybe to another worker
                connection.close()
        connection.close()

    def all_from(self, version):
        return len(self.latest) == self.latest.maxlen and {one for one, _ in list(self.latest)} == {version}


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("MODELVAULT_URL", str(tmp_path / "vault"))
    monkeypatch.setenv("MODELVAULT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(EXAMPLE), str(ROOT)]))
    monkeypatch.setenv("FRAUD_REFRESH", "0.3")
    subprocess.run([sys.executable, "release.py"], cwd=EXAMPLE, check=True, timeout=120)
    return tmp_path


@pytest.fixture
def port(place, monkeypatch):
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    monkeypatch.setenv("FRAUD_BIND", f"127.0.0.1:{port}")
    with open(place / "log", "w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "service:app"], cwd=EXAMPLE, stdout=log, stderr=log, start_new_session=True
        )  # fmt: skip
        try:
            until(lambda: server.poll() is not None or _answers(port), 90)
            assert server.poll() is None, (place / "log").read_text()
            yield port
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()


def _answers(port):
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            connection.request("GET", "/status")
            return connection.getresponse().status == 200
    except OSError:
        time.sleep(0.1)
        return False


def test_it_is_promoted_gets_worse_and_rolls_itself_back_while_requests_flow(place, port):
    vault = opened(place / "vault")
    with Clients(port) as clients:
        until(lambda: clients.all_from("1.0.0"), 60)
        vault.promote("fraud@prod", "1.1.0", reason="stricter")
        until(lambda: clients.all_from("1.1.0"), 60)
        time.sleep(1)  # of service in which nothing is wrong with it
        assert clients.all_from("1.1.0")
        vault.promote("fraud@prod", "1.2.0", reason="AUC +0.3 pt")
        until(lambda: vault.history("fraud@prod")[0].kind == "rollback", 60)
        clients.latest.clear()
        until(lambda: clients.all_from("1.1.0"), 60)
        assert not any(blocked for _, blocked in clients.latest)
    assert clients.failed == []
    assert clients.versions.keys() == {"1.0.0", "1.1.0", "1.2.0"}
    assert len(clients.workers) == 2
    moves = vault.history("fraud@prod")
    assert [(move.kind, move.version) for move in reversed(moves)] == [
        ("promote", "1.0.0"),
        ("promote", "1.1.0"),
        ("promote", "1.2.0"),
        ("rollback", "1.1.0"),
    ]
    assert "blocked" in moves[0].reason
    assert "the evidence holds" in str(vault.explain("fraud@prod"))
