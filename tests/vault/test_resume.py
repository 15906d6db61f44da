"""A download that was cut off goes on where it was, and what it left is proved with the rest."""

import os
import signal
import threading
from contextlib import nullcontext
from pathlib import Path

import pytest

from modelvault.cache import Cache
from modelvault.errors import Code, Corrupt, StoreError
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import Wrapper
from modelvault.vault import Vault

MIB = 2**20
SIZE = 40 * MIB


class Cut(Wrapper):
    """A store that is not near, counts the bytes of blobs that it gives, and fails when it has given `left`."""

    url = "far://vault"

    def __init__(self, inner, left=None):
        super().__init__(inner)
        self.given, self.left = 0, left

    def fetch(self, key, spans, sink):
        def counting(offset, chunk):
            self.given += len(chunk)
            if self.left is not None and self.given > self.left:
                raise StoreError("the link is cut", code=Code.STORE_UNREACHABLE)
            sink(offset, chunk)

        self.inner.fetch(key, spans, counting)


@pytest.fixture(scope="module")
def data() -> bytes:
    return os.urandom(SIZE)


@pytest.fixture
def store(data, tmp_path) -> MemoryStore:
    (tmp_path / "model.bin").write_bytes(data)
    store = MemoryStore()
    Vault(store).publish("m", tmp_path / "model.bin")
    return store


def fetched(store, cache: Path, left=None) -> tuple[bytes, int]:
    """The file, and how many bytes came for it."""
    far = Cut(store, left)
    path = Vault(far, cache=cache).load("m:1.0.0")
    return path.read_bytes(), far.given


def partial(cache: Path) -> list[Path]:
    return [*cache.glob("content/*/*/.tmp-*")]


def cut_off(store, cache: Path, left: int) -> Path:
    with pytest.raises(StoreError):
        fetched(store, cache, left)
    [path] = partial(cache)
    return path


def test_what_came_before_is_not_asked_for_again(store, data, tmp_path):
    left = cut_off(store, tmp_path / "cache", 30 * MIB).stat().st_size
    assert left > 0
    assert fetched(store, tmp_path / "cache") == (data, SIZE - left)
    assert partial(tmp_path / "cache") == []
    assert fetched(store, tmp_path / "cache") == (data, 0)


def test_it_may_be_cut_off_again_and_again(store, data, tmp_path):
    sizes = [cut_off(store, tmp_path / "cache", 20 * MIB).stat().st_size for _ in range(2)]
    assert sizes == sorted(sizes)
    assert fetched(store, tmp_path / "cache")[0] == data


@pytest.mark.parametrize("damage", ["a bit", "too long", "of another file", "a link of content", "a symlink"])
def test_what_is_left_is_not_trusted(damage, store, data, tmp_path):
    path = cut_off(store, tmp_path / "cache", 30 * MIB)
    other = tmp_path / "other"
    other.write_bytes(b"mine")
    if damage == "a bit":
        with open(path, "r+b") as file:
            file.seek(5 * MIB)
            file.write(bytes([data[5 * MIB] ^ 1]))
    elif damage == "too long":
        path.write_bytes(data + b"more")
    elif damage == "of another file":
        path.write_bytes(os.urandom(10 * MIB))
    else:
        path.unlink()
        (os.link if damage == "a link of content" else os.symlink)(other, path)
    assert fetched(store, tmp_path / "cache")[0] == data
    assert other.read_bytes() == b"mine"


def test_what_is_damaged_in_the_store_is_corrupt_and_nothing_stays(store, data, tmp_path):
    cut_off(store, tmp_path / "cache", 30 * MIB)
    [key] = [key for key, stored in store._objects.items() if len(stored) == SIZE]
    store._objects[key] = data[:-1] + bytes([data[-1] ^ 1])
    with pytest.raises(Corrupt):
        fetched(store, tmp_path / "cache")
    assert partial(tmp_path / "cache") == []


def test_two_at_once_do_not_write_to_one_file(store, data, tmp_path):
    cut_off(store, tmp_path / "cache", 20 * MIB)
    cache = Cache(tmp_path / "cache")
    found: list[bytes] = []

    def fetch() -> None:
        far = Cut(store)
        vault = Vault(far, cache=tmp_path / "cache")
        file = vault.version("m:1.0.0").files[0]
        vault._catalog.blobs._flight = lambda _: nullcontext(lambda: None)  # nobody waits for anybody
        found.append(vault._catalog.blobs.read(file))

    threads = [threading.Thread(target=fetch) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [data] * 3
    assert partial(cache.folder) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("given", [1, 8, 17, 39, 40])
def test_a_killed_process_leaves_what_the_next_goes_on_with(given, store, data, tmp_path):
    child = os.fork()
    if child == 0:

        class Deadly(Cut):
            def fetch(self, key, spans, sink):
                def counting(offset, chunk):
                    self.given += len(chunk)
                    if self.given >= given * MIB:
                        os.kill(os.getpid(), signal.SIGKILL)
                    sink(offset, chunk)

                self.inner.fetch(key, spans, counting)

        try:
            Vault(Deadly(store), cache=tmp_path / "cache").load("m:1.0.0")
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    left = sum(path.stat().st_size for path in partial(tmp_path / "cache"))
    assert fetched(store, tmp_path / "cache") == (data, SIZE - left)
