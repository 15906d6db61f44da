"""Small files that lie together in a blob come with few requests, and each is verified on its own."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelvault.blobs.together import batches, each
from modelvault.canonical import digest_of
from modelvault.errors import Code, Corrupt, StoreError
from modelvault.stores import Key
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import Recording, Wrapper
from modelvault.vault import Vault
from modelvault.wire import File, Part

FILES = 400


class Far(Wrapper):
    """A store that is not near: there is a cache in front of it."""

    url = "far://vault"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(FILES):
        path = tmp_path / "files" / f"{number % 7}" / f"{number}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(100 + number * 50))
    return tmp_path / "files"


@pytest.fixture
def recording(folder: Path) -> Recording:
    store = MemoryStore()
    Vault(store).publish("m", folder)
    return Recording(Far(store))


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def the_pack(store) -> str:
    """The key of the blob in which the small files are: the larger of the two, the other is the manifest."""
    objects = store._objects
    return max((key for key in objects if key.startswith("blobs/")), key=lambda key: len(objects[key]))


@pytest.mark.parametrize("cache", [True, False], ids=["cache", "no cache"])
def test_hundreds_of_files_come_with_a_request(cache, recording, folder, tmp_path):
    vault = Vault(recording, cache=tmp_path / "cache" if cache else None)
    assert content(vault.fetch("m:1.0.0", tmp_path / "out")) == content(folder)
    assert recording.counts["fetch"] == 2  # the manifest, and they
    if cache:
        assert content(vault.fetch("m:1.0.0", tmp_path / "again")) == content(folder)
        assert content(vault.load("m:1.0.0")) == content(folder)
        assert recording.counts["fetch"] == 2


def test_what_the_cache_has_of_them_is_not_asked_for_again(recording, folder, tmp_path):
    vault = Vault(recording, cache=tmp_path / "cache")
    vault.prefetch("m:1.0.0")
    (folder / "new").write_bytes(os.urandom(30_000))
    Vault(recording.inner).publish("m", folder, bump="minor")
    recording.operations.clear()
    assert content(vault.load("m:1.1.0")) == content(folder)
    assert recording.counts["fetch"] == 2  # the manifest, and the one that is new


def test_one_that_is_damaged_is_told_and_nothing_is_laid_out(recording, tmp_path):
    objects = recording.inner.inner._objects
    key = the_pack(recording.inner.inner)
    data = objects[key]
    for at in (0, len(data) // 2, len(data) - 1):
        objects[key] = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        for cache in (None, tmp_path / f"cache-{at}"):
            with pytest.raises(Corrupt) as raised:
                Vault(recording, cache=cache).fetch("m:1.0.0", tmp_path / "out")
            assert raised.value.code == Code.DIGEST_MISMATCH
            assert not (tmp_path / "out").exists()


def test_a_blob_that_is_missing_or_short_is_told(recording, tmp_path):
    objects = recording.inner.inner._objects
    key = the_pack(recording.inner.inner)
    objects[key] = objects[key][:-1]
    with pytest.raises(Corrupt):
        Vault(recording).fetch("m:1.0.0", tmp_path / "out")
    del objects[key]
    with pytest.raises(Corrupt) as raised:
        Vault(recording).fetch("m:1.0.0", tmp_path / "out")
    assert raised.value.code == Code.BLOB_MISSING


def test_a_cache_that_is_full_keeps_nobody_from_them(recording, folder, tmp_path, monkeypatch):
    vault = Vault(recording, cache=tmp_path / "cache")
    vault.version("m:1.0.0")

    def full(*_):
        raise StoreError("full", code=Code.STORE_FULL)

    monkeypatch.setattr("modelvault.cache.shelf.Shelf.create", full)
    assert content(vault.fetch("m:1.0.0", tmp_path / "out")) == content(folder)


def test_a_store_that_fails_for_a_moment_fails_the_batch_alone(recording, folder, tmp_path):
    class Once(Wrapper):
        url = "far://vault"
        failed = False

        def fetch(self, key, spans, sink):
            if key == the_pack(recording.inner.inner) and not self.failed:
                self.failed = True
                raise StoreError("a moment", code=Code.STORE_FAILED)
            self.inner.fetch(key, spans, sink)

    vault = Vault(Once(recording.inner.inner), cache=tmp_path / "cache")
    assert content(vault.fetch("m:1.0.0", tmp_path / "out")) == content(folder)
    shutil.rmtree(tmp_path / "out")


DATA = os.urandom(10_000)
NAME = digest_of(DATA)


def file(number: int, begin: int, size: int) -> File:
    digest = digest_of(DATA[begin : begin + size])
    return File(
        path=f"{number}", size=size, digest=digest, parts=(Part(digest=digest, size=size, offset=begin, blob=NAME),)
    )


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 9_000), st.integers(0, 1_000)), max_size=12), st.integers(0, 500))
def test_wherever_they_lie_each_gets_its_bytes(places, gap):
    """Also where they overlap, lie in each other, or are empty, as no publisher of ours would have it."""
    files = [file(number, begin, size) for number, (begin, size) in enumerate(places)]
    store = MemoryStore()
    store.create(Key(f"blobs/sha256/{NAME[7:9]}/{NAME[7:]}"), DATA)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("modelvault.blobs.together._GAP", gap)
        patch.setattr("modelvault.blobs.together._BATCH", 3_000)
        together, apart = batches(files)
    found = {file.path: bytes(data) for batch in together for file, data in each(store, batch)}
    assert all(len(batch.files) > 1 for batch in together)
    assert {file.path for file in files} == found.keys() | {file.path for file in apart}
    assert len(found) + len(apart) == len(files)
    for number, (begin, size) in enumerate(places):
        assert found.get(f"{number}", DATA[begin : begin + size]) == DATA[begin : begin + size]
