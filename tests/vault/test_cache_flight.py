"""Many who lack the same bytes at once: one downloads them, and nobody waits for one who does not move."""

import errno
import fcntl
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from modelvault.cache import flight
from modelvault.cache.flight import alone
from modelvault.errors import Corrupt
from modelvault.stores.local import LocalStore
from modelvault.stores.wrappers import Wrapper
from modelvault.vault import Vault

SIZE = 20 * 2**20
"""Bytes of a file that takes three requests."""


class Far(Wrapper):
    """A remote store that notes down each fetch in a file, as `process offset`, and takes its time."""

    url = "s3://bucket"

    def __init__(self, root: Path, seconds: float = 0.0) -> None:
        super().__init__(LocalStore(root / "vault"))
        self.asked = root / "asked"
        self.seconds = seconds

    def fetch(self, key, spans, sink):
        with open(self.asked, "a") as file:
            file.write("".join(f"{os.getpid()} {span.offset}\n" for span in spans))
        time.sleep(self.seconds)
        self.inner.fetch(key, spans, sink)

    def fetches(self) -> list[tuple[int, int]]:
        lines = self.asked.read_text().splitlines() if self.asked.exists() else []
        return [(int(process), int(offset)) for process, offset in map(str.split, lines)]


@pytest.fixture
def far(tmp_path: Path) -> Far:
    (tmp_path / "weights").write_bytes(os.urandom(SIZE))
    far = Far(tmp_path)
    Vault(far).publish("m", tmp_path / "weights")
    return far


def loaded(far: Far, tmp_path: Path) -> bool:
    found = Vault(far, cache=tmp_path / "cache").fetch("m:1.0.0") / "weights"
    return found.read_bytes() == (tmp_path / "weights").read_bytes()


def worker(work: Callable[[], bool]) -> int:
    """A process that does `work` and exits with 0 if that was well."""
    child = os.fork()
    if child:
        return child
    try:
        os._exit(0 if work() else 1)
    except BaseException:  # whatever it is, this process must not go on as a second test run
        import traceback

        traceback.print_exc()
        os._exit(2)


def ended(*workers: int) -> list[int]:
    return [os.waitstatus_to_exitcode(os.waitpid(one, 0)[1]) for one in workers]


def until(condition: Callable[[], object]) -> None:
    while not condition():
        time.sleep(0.01)


@pytest.fixture
def _patient(monkeypatch):
    """Whoever waits here waits for ever."""
    monkeypatch.setattr(flight, "_PATIENCE", 1e9)


@pytest.fixture
def _hasty(monkeypatch):
    monkeypatch.setattr(flight, "_PATIENCE", 3.0)
    monkeypatch.setattr(flight, "_BEAT", 0.05)


# --- one downloads


@pytest.mark.usefixtures("_patient")
def test_sixteen_processes_that_start_at_once_download_a_blob_once(far, tmp_path):
    far.seconds = 0.05
    assert ended(*(worker(lambda: loaded(far, tmp_path)) for _ in range(16))) == [0] * 16
    assert sorted(offset for _, offset in far.fetches()) == [0, 8 * 2**20, 16 * 2**20]


@pytest.mark.usefixtures("_patient")
def test_threads_that_start_at_once_download_a_blob_once(far, tmp_path):
    far.seconds = 0.05
    right: list[bool] = []
    threads = [threading.Thread(target=lambda: right.append(loaded(far, tmp_path))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [True] * 6
    assert len(far.fetches()) == 3


def test_no_lock_is_left(far, tmp_path):
    assert loaded(far, tmp_path)
    assert list((tmp_path / "cache" / "locks").iterdir()) == []


# --- and nobody waits for ever


@pytest.mark.usefixtures("_patient")
def test_when_the_holder_is_killed_the_next_one_goes_on_at_once(far, tmp_path):
    stuck = Far(tmp_path, 1e6)
    holder = worker(lambda: loaded(stuck, tmp_path))
    until(far.fetches)
    waiting = [worker(lambda: loaded(far, tmp_path)) for _ in range(3)]
    time.sleep(0.1)
    os.kill(holder, signal.SIGKILL)
    assert ended(*waiting) == [0] * 3
    assert ended(holder) == [-signal.SIGKILL]
    assert len(far.fetches()) in range(1 + 3, 3 + 3 + 1)


@pytest.mark.usefixtures("_hasty")
def test_one_that_is_stopped_is_waited_for_no_longer_than_it_shows_life_and_only_one_takes_its_place(far, tmp_path):
    stuck = Far(tmp_path, 1e6)
    holder = worker(lambda: loaded(stuck, tmp_path))
    until(far.fetches)
    os.kill(holder, signal.SIGSTOP)
    try:
        assert ended(*(worker(lambda: loaded(far, tmp_path)) for _ in range(4))) == [0] * 4
    finally:
        os.kill(holder, signal.SIGKILL)
        ended(holder)
    assert len(far.fetches()) in range(1 + 3, 3 + 3 + 1)
    assert len({process for process, _ in far.fetches()}) == 2


@pytest.mark.usefixtures("_hasty")
def test_where_the_store_answers_nobody_all_ask_it_in_the_end(tmp_path, far):
    stuck = Far(tmp_path, 1e6)
    workers = [worker(lambda: loaded(stuck, tmp_path)) for _ in range(4)]
    until(lambda: len({process for process, _ in far.fetches()}) == 4)
    for one in workers:
        os.kill(one, signal.SIGKILL)
    assert ended(*workers) == [-signal.SIGKILL] * 4


@pytest.mark.usefixtures("_hasty")
def test_a_slow_one_that_shows_life_is_waited_for(far, tmp_path, monkeypatch):
    monkeypatch.setattr(flight, "_BEAT", 0.05)
    far.seconds = 0.3  # three times, so longer in all than a waiter's patience
    holder = worker(lambda: loaded(far, tmp_path))
    until(far.fetches)
    assert ended(worker(lambda: loaded(far, tmp_path)), holder) == [0, 0]
    assert {process for process, _ in far.fetches()} == {holder}


@pytest.mark.usefixtures("_patient")
def test_when_the_download_fails_the_next_one_tries(far, tmp_path):
    class Cut(Far):
        def fetch(self, key, spans, sink):
            super().fetch(key, spans, sink)
            raise Corrupt("cut", code="digest-mismatch")

    failing = worker(lambda: loaded(Cut(tmp_path, 0.3), tmp_path))
    until(far.fetches)
    assert ended(worker(lambda: loaded(far, tmp_path)), failing) == [0, 2]


# --- locks that do not work


def refuses(*_):
    raise OSError(errno.ENOLCK, "No locks available")


WITHOUT = {
    "no locks": lambda patch, cache: patch.setattr(fcntl, "flock", refuses),
    "no module": lambda patch, cache: patch.setitem(__import__("sys").modules, "fcntl", None),
    "a file for a folder": lambda patch, cache: (cache / "locks").write_text("x"),
    "open to others": lambda patch, cache: ((cache / "locks").mkdir(), (cache / "locks").chmod(0o777)),
    "a link": lambda patch, cache: (cache / "locks").symlink_to(cache),
    "nothing can be made": lambda patch, cache: patch.setattr(flight.folders, "own", refuses),
}


@pytest.mark.parametrize("without", WITHOUT.values(), ids=WITHOUT)
def test_without_locks_all_goes_on(without, far, tmp_path):
    cache = tmp_path / "cache"
    Vault(far, cache=cache)
    with pytest.MonkeyPatch.context() as patch:
        vault = Vault(far, cache=cache)
        without(patch, cache)
        found = b"".join(vault._catalog.blobs.chunks(vault.version("m:1.0.0").files[0]))
    assert found == (tmp_path / "weights").read_bytes()


@pytest.mark.usefixtures("_patient")
def test_a_forked_child_does_not_hold_the_lock_of_its_parent(tmp_path):
    with alone(tmp_path / "locks", "x", lambda: False) as show:
        child = worker(lambda: time.sleep(1e6) is None)
        show()
    try:
        with alone(tmp_path / "locks", "x", lambda: False):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        ended(child)


def test_who_gives_up_leaves_no_descriptor_open(tmp_path, monkeypatch):
    monkeypatch.setattr(flight, "_PATIENCE", 0.0)
    before = set(os.listdir("/proc/self/fd"))
    with alone(tmp_path / "locks", "x", lambda: False) as show:
        for _ in range(5):
            with alone(tmp_path / "locks", "x", lambda: False) as other:
                other()
        show()
    show()  # a late one means nothing
    assert set(os.listdir("/proc/self/fd")) == before


def test_what_has_come_is_not_waited_for(tmp_path):
    with alone(tmp_path / "locks", "x", lambda: False), alone(tmp_path / "locks", "x", lambda: True):
        pass
