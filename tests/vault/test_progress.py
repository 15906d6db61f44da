"""Long work says how far it is, ends soon when it is in vain, and is silent where nobody looks."""

import fcntl
import itertools
import os
import pty
import shutil
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from modelvault import layout
from modelvault.errors import Corrupt
from modelvault.progress import Meter, Progress, Stopped
from modelvault.stores import Key
from modelvault.stores.local import LocalStore
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import Wrapper
from modelvault.vault import Vault

MIB = 2**20


class Far(Wrapper):
    """A store that is not near: there is a cache in front of it."""

    url = "far://vault"


@pytest.fixture
def seen() -> list[Progress]:
    return []


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.bin").write_bytes(os.urandom(6 * MIB))
    (folder / "small").write_bytes(b"x")
    return folder


TOTAL = 18 * MIB + 1


def ended(seen: list[Progress]) -> list[Progress]:
    """The last report of each task; the ones before are of the same task, and never go back."""
    last = [one for one in seen if one.ended]
    for one, after in itertools.pairwise(seen):
        assert one.ended or (one.task == after.task and one.done <= after.done)
    return last


def test_publish_tells_what_was_read_and_what_was_stored(files, seen):
    Vault(MemoryStore(), progress=seen.append).publish("m", files)
    assert ended(seen) == [Progress("read", TOTAL, TOTAL, True), Progress("store", TOTAL - 1, TOTAL - 1, True)]


def test_what_is_stored_as_it_is_read_is_told_once(files, seen, tmp_path):
    Vault(LocalStore(tmp_path / "vault"), progress=seen.append).publish("m", files)
    assert ended(seen) == [Progress("read", TOTAL, TOTAL, True)]


def test_what_the_vault_has_is_read_and_not_stored(files, seen):
    store = MemoryStore()
    Vault(store).publish("m", files)
    Vault(store, progress=seen.append).publish("m", files, bump="minor")
    assert ended(seen) == [Progress("read", TOTAL, TOTAL, True)]


def test_fetch_tells_what_comes(files, seen, tmp_path):
    store = MemoryStore()
    Vault(store).publish("m", files)
    Vault(store, progress=seen.append).fetch("m:1.0.0", tmp_path / "out")
    assert ended(seen) == [Progress("fetch", TOTAL - 1, TOTAL, True)]  # one byte stands in the record


@pytest.mark.parametrize("verb", ["fetch", "prefetch", "load"])
def test_what_the_cache_has_does_not_come_again(verb, files, seen, tmp_path):
    store = Far(MemoryStore())
    Vault(store).publish("m", files)
    vault = Vault(store, cache=tmp_path / "cache", progress=seen.append)
    getattr(vault, verb)("m:1.0.0")
    assert ended(seen) == [Progress("fetch", TOTAL - 1, TOTAL, True)]
    seen.clear()
    getattr(vault, verb)("m:1.0.0")
    assert ended(seen) == [Progress("fetch", 0, TOTAL, True)]


def test_a_small_load_tells_nothing(seen):
    store = MemoryStore()
    Vault(store).publish("m", b"x" * 1000)
    Vault(store, trust="pickle", progress=seen.append).load("m:1.0.0")
    assert seen == []


def test_what_the_function_raises_ends_the_verb_and_nothing_is_published(files):
    def raising(progress: Progress) -> None:
        raise KeyError(progress.task)

    vault = Vault(MemoryStore(), progress=raising)
    with pytest.raises(KeyError):
        vault.publish("m", files)
    assert vault.models() == []


def test_when_one_file_fails_the_others_are_not_read_to_their_end(tmp_path, seen):
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(4):
        with open(folder / f"{number}.bin", "wb") as file:
            file.truncate(256 * MIB)  # of holes

    def stopping(progress: Progress) -> None:
        seen.append(progress)
        if progress.done > 16 * MIB and not progress.ended:
            raise KeyboardInterrupt

    vault = Vault(MemoryStore(), progress=stopping)
    with pytest.raises(KeyboardInterrupt):
        vault.publish("m", folder)
    assert seen[-1].ended
    assert seen[-1].done < seen[-1].total / 2


def test_a_meter_that_was_stopped_lets_nothing_through():
    meter = Meter()
    meter.begin("read", 10)
    meter.add(1)
    meter.stop()
    with pytest.raises(Stopped):
        meter.add(1)


def test_a_meter_without_a_task_is_never_stopped():
    meter = Meter()
    meter.stop()
    meter.add(1)


def test_a_failure_is_of_its_verb_alone(files, tmp_path):
    store = MemoryStore()
    vault = Vault(store)
    version = vault.publish("m", files)
    for file in version.files[:2]:
        key = Key(layout.blob(file.digest))
        data = store._objects.pop(key)
        for _ in range(2):
            with pytest.raises(Corrupt):
                vault.fetch("m:1.0.0", tmp_path / "out")
        store._objects[key] = data
        shutil.rmtree(vault.fetch("m:1.0.0", tmp_path / "out"))


PROGRAM = """if True:
    import time
    from modelvault.display.bar import bar
    from modelvault.progress import Progress
    show = bar()
    print("no bar" if show is None else "a bar")
    if show:
        for done in range(4):
            show(Progress("fetch", done * 2**20, 4 * 2**20, False))
            time.sleep(0.2)
        show(Progress("fetch", 4 * 2**20, 4 * 2**20, True))
"""


def shown(terminal: bool, **environment: str) -> str:
    """What a process writes whose standard error is a terminal, or not."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name != "CI"}
    program = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(
        program, stdout=theirs, stderr=theirs if terminal else subprocess.DEVNULL, env=kept | environment
    ) as process:
        os.close(theirs)
        text = b""
        try:
            while chunk := os.read(ours, 4096):
                text += chunk
        except OSError:  # so Linux says that the other end is closed
            pass
        assert process.wait() == 0
    os.close(ours)
    return text.decode()


def test_a_terminal_shows_a_bar_and_nothing_else_does():
    text = shown(True)
    assert "a bar" in text
    assert "fetch:" in text
    assert "4.00M" in text
    assert "no bar" in shown(False)
    assert "no bar" in shown(True, CI="true")
