"""Processes that share a vault object: forked, spawned, preloaded by a server.  All read and write, with no code for it."""

import faulthandler
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

import modelvault as mv

from ..servers.server import ROOT

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

REMOTE = ["s3", "gcs", "azure", "sftp"]


@pytest.fixture(params=REMOTE)
def place(request):
    return request.getfixturevalue(f"{request.param}_server").place()


@pytest.fixture
def vault(place, tmp_path):
    """A vault that has been used in this process: its connections are open."""
    vault = mv.open(place.url, cache=tmp_path / "cache", trust="pickle", **place.options)
    vault.promote("m@prod", vault.publish("m", {"n": 0}), reason="x")
    assert vault.load("m@prod") == {"n": 0}
    return vault


def use(vault, number, results):
    """Read and write, and say what came of it."""
    faulthandler.register(signal.SIGUSR1)
    try:
        assert vault.load("m@prod") == {"n": 0}
        results.put(vault.publish("m", {"n": number}, version=f"2.0.{number}").number)
    except BaseException as error:
        results.put(repr(error))


def ended(child):
    """It has ended well; one that hangs says where."""
    child.join(100)
    if child.is_alive():
        os.kill(child.pid, signal.SIGUSR1)
        child.join(1)
        child.kill()
    assert child.exitcode == 0


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_children_use_the_vault_of_their_parent(method, vault, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT)])  # where a child finds `use`
    context = multiprocessing.get_context(method)
    results = context.SimpleQueue()
    children = [context.Process(target=use, args=(vault, number, results)) for number in (1, 2, 3)]
    for child in children:
        child.start()
    for child in children:
        ended(child)
    assert sorted(results.get() for _ in children) == ["2.0.1", "2.0.2", "2.0.3"]
    assert vault.publish("m", {"n": 4}, version="2.0.4").number == "2.0.4"
    assert len(vault.versions("m")) == 5


def test_a_child_that_ends_as_a_program_does_neither_hangs_nor_closes_what_its_parent_uses(place, tmp_path):
    """With `atexit`, finalizers and all, which `multiprocessing` spares its children."""
    program = f"""if True:
        import os, sys, warnings
        warnings.simplefilter("ignore")
        import modelvault as mv
        vault = mv.open({place.url!r}, cache=False, trust="pickle", **{place.options!r})
        vault.publish("m", 0)
        for number in (1, 2):
            if os.fork() == 0:
                vault.publish("m", number, version=f"1.0.{{number}}")
                sys.exit(0)
        print([os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(2)], vault.load("m:1.0.0"))
        print(vault.publish("m", 3, version="1.0.3").number, len(vault.versions("m")))
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.splitlines() == ["[0, 0] 0", "1.0.3 4"], done.stderr


APP = """
import json, os
import modelvault as mv

place = json.loads(os.environ["PLACE"])
vault = mv.open(place["url"], cache=os.environ["CACHE"], trust="pickle", **place["options"])
first = vault.load("m@prod")


def app(environ, start_response):
    number = environ["PATH_INFO"].strip("/")
    said = {"pid": os.getpid(), "first": first, "now": vault.load("m@prod")}
    if number:
        said["published"] = vault.publish("m", {"n": int(number)}, version=f"3.0.{number}").number
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(said).encode()]
"""


def test_a_server_that_preloads_its_application(place, vault, tmp_path):
    (tmp_path / "app.py").write_text(APP)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "PLACE": json.dumps({"url": place.url, "options": place.options}),
        "CACHE": str(tmp_path / "cache"),
    }
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "--preload",
        "--workers",
        "2",
        "--bind",
        f"127.0.0.1:{port}",
        "app:app",
    ]
    with open(tmp_path / "log", "wb") as log:
        server = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
    try:
        answers = [asked(port, number, server) for number in ["", "1", "2", "3", *[""] * 5]]
        assert all(answer["first"] == answer["now"] == {"n": 0} for answer in answers)
        assert [answer["published"] for answer in answers[1:4]] == ["3.0.1", "3.0.2", "3.0.3"]
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0, (tmp_path / "log").read_text()
    finally:
        server.kill()
        server.wait()
    assert "3.0.3" in [version.number for version in vault.versions("m")]
    assert "Worker exiting" in (tmp_path / "log").read_text()


def asked(port, path, server):
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=60) as answer:
                return json.load(answer)
        except urllib.error.URLError as error:
            assert isinstance(error.reason, ConnectionRefusedError), error
            assert server.poll() is None
            time.sleep(0.1)
    raise AssertionError("it does not start")
