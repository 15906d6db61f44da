"""A file of a version is read in part: what is touched is fetched, once, verified, and equal to what was published."""

import io
import json
import pickle
import random
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from modelvault import layout, partial
from modelvault.blobs import Blobs
from modelvault.canonical import digest_of
from modelvault.errors import Corrupt, NotFound
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import Recording, Wrapper
from modelvault.vault import Vault
from modelvault.wire import File, Part

KIB, MIB = 2**10, 2**20


class Far(Wrapper):
    url = "s3://bucket"


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def folder(tmp_path):
    """A tensor file of several parts, an array, an archive, a packed file, one that is inline, and an empty one."""
    root = tmp_path / "files"
    root.mkdir()
    rows = np.arange(3 * MIB, dtype=np.float32).reshape(3, -1)
    save_file({f"t{number}": rows + number for number in range(4)}, root / "model.safetensors")
    np.save(root / "x.npy", rows)
    np.savez(root / "x.npz", a=rows, b=rows + 1)
    (root / "packed").write_bytes(random.Random(1).randbytes(100 * KIB))
    (root / "small.json").write_text('{"a": 1}\n{"b": 2}\n')
    (root / "empty").touch()
    return root


@pytest.fixture
def opened(store, folder):
    """Opens a file of the published folder in a vault that has read its records, with what it asks from then on."""
    Vault(store).publish("m", folder)

    def opened(path, store=store, **options):
        recording = Recording(store)
        version = Vault(recording, **options).version("m:1.0.0")
        recording.operations.clear()
        return version.open(path), recording.operations

    return opened


def test_every_file_reads_as_it_was_published(opened, folder):
    for path in folder.iterdir():
        file, _ = opened(path.name)
        assert (file.size, file.seekable(), file.readable(), file.writable()) == (
            path.stat().st_size,
            True,
            True,
            False,
        )
        assert file.read() == path.read_bytes()
        assert file.read() == file.read(10) == b""


def test_only_the_tensor_that_is_read_is_fetched(opened, folder):
    file, asked = opened("model.safetensors")
    length = int.from_bytes(file.read(8), "little")
    header = json.loads(file.read(length))
    assert sum(one.size for one in asked) < KIB
    begin, end = header["t2"]["data_offsets"]
    file.seek(8 + length + begin)
    assert np.array_equal(
        np.frombuffer(file.read(end - begin), np.float32).reshape(3, -1), np.load(folder / "x.npy") + 2
    )
    assert sum(one.size for one in asked) < 12 * MIB + KIB
    assert len(asked) == 3  # the header, and two windows of the tensor


def test_numpy_and_zip_read_it_as_a_file(opened, folder):
    array, _ = opened("x.npy")
    assert np.array_equal(np.load(array), np.load(folder / "x.npy"))
    file, asked = opened("x.npz")
    with zipfile.ZipFile(file) as archive:
        assert archive.namelist() == ["a.npy", "b.npy"]
        assert sum(one.size for one in asked) <= MIB
        assert archive.read("b.npy") == zipfile.ZipFile(folder / "x.npz").read("b.npy")
        assert sum(one.size for one in asked) < 13 * MIB
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(opened("small.json")[0])


def test_a_packed_file_is_its_range_of_the_pack_and_one_inline_is_no_request(opened, folder):
    file, asked = opened("packed")
    file.seek(-5, io.SEEK_END)
    assert file.read() == (folder / "packed").read_bytes()[-5:]
    assert [(one.verb, one.size) for one in asked] == [("fetch", 100 * KIB)]
    file, asked = opened("small.json")
    assert list(file) == [b'{"a": 1}\n', b'{"b": 2}\n']
    assert asked == []


def test_what_was_fetched_is_not_fetched_again_while_it_is_kept(opened, monkeypatch):
    file, asked = opened("model.safetensors")
    file.seek(20 * MIB)
    file.read(1)
    before = len(asked)
    for at in (20 * MIB + KIB, 5 * MIB, 20 * MIB):
        file.seek(at)
        assert len(file.read(10)) == 10
    assert [one.size for one in asked[before:]] == [8 * MIB, 4 * MIB]
    monkeypatch.setattr(partial, "_KEPT", 1)
    file.seek(40 * MIB)
    file.read(1)
    assert len(file.raw._kept) == 1


def test_a_file_in_the_cache_is_read_there(opened, store, tmp_path):
    cache = tmp_path / "cache"
    Vault(Far(store), cache=cache).prefetch("m:1.0.0")
    file, asked = opened("model.safetensors", Far(store), cache=cache)
    expected = opened("model.safetensors")[0].read()
    file.seek(15 * MIB)
    assert file.read(2 * MIB) == expected[15 * MIB : 17 * MIB]
    assert asked == []
    [copy] = [path for path in cache.glob("content/*/*/*") if path.stat().st_size == file.size]
    damaged = bytearray(expected)
    damaged[30 * MIB] ^= 1
    copy.chmod(0o600)
    copy.write_bytes(damaged)
    file.seek(28 * MIB)
    assert file.read(10 * MIB) == expected[28 * MIB : 38 * MIB]
    assert {one.verb for one in asked} == {"fetch"}


@pytest.mark.parametrize("at", [0, 14 * MIB, 40 * MIB])
def test_of_a_damaged_part_no_byte_is_given_and_the_others_are_read(opened, store, at):
    file, _ = opened("model.safetensors")
    expected = file.read()
    [part] = [part for part in _record(store).parts if part.offset <= 14 * MIB < part.offset + part.size]
    key = layout.blob(part.blob)
    data = bytearray(store._objects[key])
    data[part.offset + part.size - 1] ^= 1
    store._objects[key] = bytes(data)
    file, _ = opened("model.safetensors")
    file.seek(at)
    if part.offset <= at < part.offset + part.size:
        with pytest.raises(Corrupt) as caught:
            file.read(1)
        assert caught.value.code == "digest-mismatch"
    else:
        assert file.read(100) == expected[at : at + 100]
    with pytest.raises(Corrupt):
        opened("model.safetensors")[0].read()
    del store._objects[key]
    with pytest.raises(Corrupt) as caught:
        opened("model.safetensors")[0].read(1)
    assert caught.value.code == "blob-missing"


def _record(store):
    [file] = [file for file in Vault(store).version("m:1.0.0").files if file.path == "model.safetensors"]
    return file


def test_a_file_that_is_not_there_is_named_with_those_that_are_close(opened, store):
    with pytest.raises(NotFound, match="has no file") as caught:
        opened("model.safetensor")
    assert (caught.value.code, caught.value.hint) == ("file-not-found", "its files: model.safetensors")
    with pytest.raises(NotFound) as caught:
        opened("\x1b[2J")
    assert "small.json" in caught.value.hint
    assert "\x1b" not in str(caught.value)
    with pytest.raises(ValueError, match="Unicode"):
        opened(3)


def test_it_is_a_file_like_any_other(opened):
    file, _ = opened("packed")
    with file:
        assert file.seek(3, io.SEEK_CUR) == file.tell() == 3
        assert file.seek(10**9) == 10**9
        assert file.read(1) == b""
        with pytest.raises(OSError, match="Invalid argument"):
            file.seek(-1)
        with pytest.raises(io.UnsupportedOperation):
            file.write(b"x")
    with pytest.raises(ValueError, match="closed"):
        file.read()


def test_a_version_still_goes_to_other_processes(tmp_path, folder):
    version = Vault(MemoryStore(), trust="pickle").publish("m", folder)
    assert version.open("packed").read() == (folder / "packed").read_bytes()
    from modelvault import open

    version = open(tmp_path / "vault").publish("m", folder)
    assert pickle.loads(pickle.dumps(version)).open("packed").read(9) == (folder / "packed").read_bytes()[:9]


sizes = st.lists(st.integers(0, 12), min_size=1, max_size=8)
reads = st.lists(st.tuples(st.integers(0, 100), st.integers(-1, 100)), max_size=12)


@given(sizes, reads, st.sampled_from([1, 10, 1000]), st.sampled_from([1, 16, 1000]))
def test_whatever_the_parts_are_and_whatever_is_read_it_is_what_any_file_gives(sizes, reads, kept, buffer):
    """Against `io.BytesIO`, over parts of any sizes in blobs of their own and in a shared one, with little memory."""
    store, data = MemoryStore(), random.Random(sum(sizes)).randbytes(sum(sizes))
    shared, parts, begin = Blobs(store).put(b"before" + data), [], 0
    for number, size in enumerate(sizes):
        piece = data[begin : begin + size]
        if number % 3:
            parts.append(Part(digest=digest_of(piece), size=size, blob=shared, offset=len(b"before") + begin))
        else:
            parts.append(Part(digest=Blobs(store).put(piece), size=size))
        begin += size
    file = File(path="x", size=len(data), digest=digest_of(data), parts=tuple(parts))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partial, "_KEPT", kept)
        patch.setattr(io, "DEFAULT_BUFFER_SIZE", buffer)
        made, expected = [partial.PartialFile(Blobs(store), file) for _ in range(2)], io.BytesIO(data)
        buffered, raw = made[0], made[1].raw
        for at, length in reads:
            assert buffered.seek(at) == raw.seek(at) == expected.seek(at)
            found = expected.read(length)
            assert buffered.read(length) == found
            some = raw.read(length)
            assert some == found[: len(some)]
            assert bool(some) == bool(found)
