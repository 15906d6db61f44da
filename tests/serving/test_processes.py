"""Whatever starts the processes, each of them follows, and nobody had to write a line for that."""

import contextlib
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
import urllib.request
from pathlib import Path

import pytest

from modelvault.stores.local import LocalStore
from modelvault.vault import Vault

from .models import numbers, until

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@pytest.fixture
def vault(tmp_path):
    return numbers(Vault(LocalStore(tmp_path / "vault"), cache=tmp_path / "cache"))


@contextlib.contextmanager
def child():
    """Whether this is the child of a fork, which ends with the block, whatever happens in it."""
    if os.fork():
        yield False
        return
    try:
        yield True
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def follows(live, steps, answers):
    """In another process: say which version serves, each time that it is asked for."""
    for wanted in iter(steps.get, None):
        try:
            until(lambda wanted=wanted: live.version == wanted, 60)
        except AssertionError:
            answers.put((os.getpid(), f"{live.version}, {live.status()}"))
        else:
            answers.put((os.getpid(), f"1.{live.number()}.0"))


@pytest.mark.parametrize("how", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_follow(vault, how):
    context = multiprocessing.get_context(how)
    steps, answers = context.Queue(), context.Queue()
    with vault.live("m@prod", refresh=0.1, isolate=False) as live:
        children = [context.Process(target=follows, args=(live, steps, answers)) for _ in range(2)]
        for each in children:
            each.start()
        try:
            for wanted in ("1.1.0", "1.2.0", "1.0.0"):
                vault.promote("m@prod", wanted, reason="x")
                for _ in children:
                    steps.put(wanted)
                assert {answers.get(timeout=90)[1] for _ in children} == {wanted}
            assert live.version == "1.0.0"
        finally:
            for _ in children:
                steps.put(None)
            for each in children:
                each.join(30)


def test_children_of_children_of_a_fork_follow_though_locks_were_held(vault, tmp_path):
    """A pool that forks, as those of task queues do, at a moment when another thread is in the middle of a swap."""
    with vault.live("m@prod", refresh=0.05, isolate=False) as live:
        live._following.changing.acquire()
        live._following._asks.acquire()
        done = tmp_path / "done"
        with child() as first:
            if first:
                with child() as second:
                    if second:
                        for wanted in ("1.1.0", "1.2.0"):
                            vault.promote("m@prod", wanted, reason="x")
                            until(lambda wanted=wanted: live.version == wanted, 30)
                        done.write_text(str(live.number()))
        os.wait()
        live._following.changing.release()
        live._following._asks.release()
        until(done.exists, 60)
        until(lambda: done.read_text() == "2")
        until(lambda: live.version == "1.2.0")


def test_a_lazy_handle_and_one_that_is_asked_by_hand_work_in_children(vault, tmp_path, monkeypatch):
    monkeypatch.setattr("modelvault.serving.following._LAZY", 0.05)
    lives = [vault.live("m@prod", refresh=how, isolate=False) for how in ("lazy", None)]
    lives[1]._following.changing.acquire()
    done = tmp_path / "done"
    with child() as here:
        if here:
            vault.promote("m@prod", "1.1.0", reason="x")
            until(lambda: lives[0].number() == 1)
            lives[1].refresh()
            done.write_text(lives[1].version)
    os.wait()
    assert done.read_text() == "1.1.0"


APPLICATION = """
import os
import modelvault

live = modelvault.open({vault!r}, cache={cache!r}).live("m@prod", refresh=0.2)


def answer():
    return "%d %d" % (os.getpid(), live.number())


def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [answer().encode()]
"""
FASTAPI = """
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

app = FastAPI()


@app.get("/", response_class=PlainTextResponse)
def root() -> str:
    return answer()
"""


def port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


SERVERS = {
    "gunicorn, preloaded": ["gunicorn", "--preload", "--workers", "3", "--bind", "127.0.0.1:{port}", "application:wsgi"],
    "gunicorn": ["gunicorn", "--workers", "3", "--bind", "127.0.0.1:{port}", "application:wsgi"],
    "uvicorn": ["uvicorn", "--workers", "2", "--port", "{port}", "--log-level", "warning", "application:app"],
}  # fmt: skip


@pytest.mark.parametrize("server", SERVERS)
def test_every_worker_of_a_server_follows(server, vault, tmp_path):
    source = APPLICATION.format(vault=str(tmp_path / "vault"), cache=str(tmp_path / "cache"))
    (tmp_path / "application.py").write_text(source + FASTAPI * (server == "uvicorn"))
    at = port()
    module, *arguments = [one.format(port=at) for one in SERVERS[server]]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    with open(tmp_path / "log", "w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], cwd=tmp_path, env=environment, stdout=log, stderr=log, start_new_session=True
        )  # fmt: skip
        try:
            workers: set[str] = set()
            until(lambda: process.poll() is not None or (_asked(at, workers) and len(workers) >= 2), 90)
            assert process.poll() is None, (tmp_path / "log").read_text()
            for number in (1, 2, 0):
                vault.promote("m@prod", f"1.{number}.0", reason="x")
                new = dict.fromkeys(workers, "")
                until(lambda new=new, wanted={str(number)}: _answers(at, new) and {*new.values()} == wanted, 60)
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _asked(at, workers):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{at}", timeout=5) as reply:
            workers.add(reply.read().decode().split()[0])
    except OSError:
        time.sleep(0.1)
        return False
    return True


def _answers(at, new):
    with urllib.request.urlopen(f"http://127.0.0.1:{at}", timeout=5) as reply:
        pid, number = reply.read().decode().split()
    new[pid] = number
    return True


CREW = """
import json, sys, time
import modelvault

where, refresh, count, trust, options = json.loads(sys.argv[1])
live = modelvault.open(where, trust=trust, **options).live("m@prod", refresh=refresh, isolate=False, timeout=100)
print("ready", flush=True)
seen = live.version
end = time.time() + 300
while count and time.time() < end:
    assert live.model["version"] in ("1.0.0", "1.1.0")
    if live.version != seen:
        seen, count = live.version, count - 1
        print(time.time(), seen, flush=True)
    time.sleep(0.01)
live.close()
"""


class Crew:
    """Processes that follow the alias of one vault, on one host."""

    def __init__(self, size, where, options, refresh, moves, environment):
        trust = "pickle" if options else None
        argument = json.dumps([where, refresh, moves, trust, options])
        command = [sys.executable, "-c", CREW, argument]
        self.members = [
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(size)
        ]
        for each in self.members:
            assert each.stdout.readline() == "ready\n"

    def moved(self, version):
        """When the last of them served `version`."""
        lines = [each.stdout.readline().split() for each in self.members]
        assert {line[1] for line in lines} == {version}
        return max(float(line[0]) for line in lines)

    def end(self):
        for each in self.members:
            each.kill()
            each.wait()
            each.stdout.close()


@pytest.mark.parametrize("size", [4, pytest.param(32, marks=pytest.mark.long)])
@pytest.mark.parametrize("kind", ["local", pytest.param("s3", marks=pytest.mark.needs("s3"))])
def test_all_processes_of_a_host_go_back_within_an_interval_and_a_quarter(kind, size, tmp_path, request):
    refresh = 2.0 if size == 4 else 5.0
    if kind == "local":
        where, options = str(tmp_path / "vault"), {}
    else:
        place = request.getfixturevalue("s3_server").place()
        where, options = place.url, place.options
    import modelvault

    vault = modelvault.open(where, trust="pickle", **options)
    for version in ("1.0.0", "1.1.0"):
        vault.publish("m", {"version": version}, version=version)
    vault.promote("m@prod", "1.0.0", reason="first")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MODELVAULT_CACHE": str(tmp_path / "cache")}
    crew = Crew(size, where, options, refresh, 2, environment)
    try:
        vault.promote("m@prod", "1.1.0", reason="careless")
        crew.moved("1.1.0")
        vault.rollback("m@prod", reason="worse")
        began = time.time()
        took = crew.moved("1.0.0") - began
    finally:
        crew.end()
    request.node.user_properties.append(("seconds until all were back", took))
    assert took <= 1.25 * refresh + 1 + (1 if size == 4 else 3), "with what a busy machine takes"
