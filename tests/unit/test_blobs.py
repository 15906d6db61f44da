"""Blobs: what is stored is what was measured, and what is read is what was stored."""

import hashlib
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from modelvault.blobs import Blobs, parallel
from modelvault.blobs.hashing import hasher_of
from modelvault.blobs.sources import INLINE_LIMIT, Source, described, sources
from modelvault.canonical import digest_of
from modelvault.errors import Code, CommitUncertain, Corrupt, InvalidInput, StoreError, Unsupported, VaultError
from modelvault.stores import Key
from modelvault.stores.local import LocalStore
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import Operation, Recording, Wrapper
from modelvault.testing import Fault, FaultStore
from modelvault.vault import Vault
from modelvault.wire import File, Part


def key_of(digest: str) -> Key:
    hexed = digest.partition(":")[2]
    return Key(f"blobs/sha256/{hexed[:2]}/{hexed}")


def part_of(data: bytes, algorithm: str = "sha256", **members: object) -> Part:
    hasher = {"sha256": hashlib.sha256, "blake3": blake3}[algorithm](data)
    return Part(digest=f"{algorithm}:{hasher.hexdigest()}", size=len(data), **members)


def file_of(*parts: Part, of: bytes | None = None) -> File:
    """A file of `parts`, whose bytes are `of`; one part of a sha256 digest tells them itself."""
    digest = parts[0].digest if of is None else digest_of(of)
    return File(path="x", size=sum(part.size for part in parts), digest=digest, parts=parts)


def test_parts_that_are_another_file_are_refused(tmp_path):
    blobs = Blobs(MemoryStore())
    parts = tuple(part_of(piece) for piece in (b"one", b"two") if blobs.put(piece))
    assert blobs.read(file_of(*parts, of=b"onetwo")) == b"onetwo"
    with pytest.raises(Corrupt) as raised:
        blobs.write(file_of(*parts, of=b"twoone"), tmp_path / "x")
    assert raised.value.code == Code.DIGEST_MISMATCH


@pytest.mark.skipif(not hasattr(os, "fork"), reason="limits a child")
def test_a_file_that_is_written_short_is_an_error(tmp_path):
    blobs = Blobs(MemoryStore())
    file = file_of(part_of(b"x" * 50_000))
    blobs.put(b"x" * 50_000)
    child = os.fork()
    if not child:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        try:
            blobs.write(file, tmp_path / "x")
        except OSError:
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.fixture(params=["no cache", "a cache"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    return Blobs(MemoryStore(), LocalStore(tmp_path / "cache") if request.param == "a cache" else None)


# --- to be published


def measured(path: Path) -> list[Source]:
    found = sources(path)
    for source in found:
        source.measure()
    return found


def test_sources_are_in_the_order_of_their_paths(tmp_path):
    for path in ("b", "a/z", "a/b/c", "a-b", "a.b"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
    found = measured(tmp_path)
    assert [source.name for source in found] == sorted(["b", "a/z", "a/b/c", "a-b", "a.b"])
    assert [source.digest for source in found] == [digest_of(source.name.encode()) for source in found]


def test_a_file_is_its_own_source(tmp_path):
    (tmp_path / "x").write_bytes(b"x" * 3_000_000)
    [found] = measured(tmp_path / "x")
    assert (found.name, found.size, found.digest) == ("x", 3_000_000, digest_of(b"x" * 3_000_000))
    assert b"".join(chunk for part in found.parts for chunk in found.part(part)) == b"x" * 3_000_000


@given(st.lists(st.integers(0, INLINE_LIMIT * 2), max_size=8))
def test_the_smallest_files_are_inline_and_no_more_than_fit(sizes):
    made = [_source(f"{number}", bytes([number]) * size) for number, size in enumerate(sizes)]
    files = described(made)
    inline = [file.size for file in files if file.inline is not None]
    blobs = [file.size for file in files if file.inline is None]
    assert sum(inline) <= INLINE_LIMIT
    assert max(inline, default=0) <= min(blobs, default=INLINE_LIMIT)
    if blobs:
        assert sum(inline) + min(blobs) > INLINE_LIMIT
    assert [file.size for file in files] == sizes


def _source(name: str, data: bytes) -> Source:
    class InMemory(Source):
        def __init__(self) -> None:
            self.path, self.name, self.size, self.digest = Path(name), name, len(data), digest_of(data)
            self.parts = (part_of(data),)

        def part(self, part):
            yield data

    return InMemory()


CHANGES: dict[str, Callable[[Path], object]] = {
    "longer": lambda path: path.write_bytes(b"x" * 200_001),
    "shorter": lambda path: path.write_bytes(b"x" * 199_999),
    "as long": lambda path: path.write_bytes(b"x" * 199_999 + b"y"),
    "empty": lambda path: path.write_bytes(b""),
    "gone": lambda path: path.unlink(),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("near", [True, False], ids=["local", "memory"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_file_that_changes_while_it_is_published_is_refused_and_nothing_is_published(change, near, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 200_000)

    class Changing(Wrapper):
        """At the first create of a blob, the file changes."""

        def around(self, operation: Operation, call):
            if operation.verb == "create" and operation.key.startswith("blobs/"):
                change(path)
            return call()

    store = LocalStore(tmp_path / "vault") if near else MemoryStore()
    vault = Vault(Changing(store))
    with pytest.raises(InvalidInput) as raised:
        vault.publish("m", path)
    assert raised.value.code in {Code.BAD_VALUE, Code.BAD_PATH}
    assert vault.models() == []
    assert list(store.list("blobs/")) == []


def test_a_small_file_is_read_once_and_what_becomes_of_it_later_is_nothing_to_us(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x")
    [found] = measured(path)
    path.write_bytes(b"y")
    [file] = described([found])
    assert file.data == b"x"


def test_the_first_failure_of_many_is_raised_and_nothing_more_is_begun():
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        raise StoreError(f"{number}", code=Code.STORE_FAILED)

    with pytest.raises(StoreError):
        parallel(work, range(10_000))
    assert len(begun) < 10_000


@given(st.lists(st.integers(), max_size=40))
def test_parallel_work_is_in_order(items):
    assert parallel(lambda item: item * 2, items) == [item * 2 for item in items]


# --- to be stored


def test_bytes_are_stored_once_under_their_digest(blobs):
    assert blobs.put(b"data") == blobs.put(b"data") == digest_of(b"data")
    assert blobs.store.read(key_of(digest_of(b"data"))) == b"data"
    assert blobs.blob(digest_of(b"data"), 4) == b"data"


@pytest.mark.parametrize("there", [b"", b"dat", b"dataa"])
def test_where_an_object_of_another_size_stands_at_the_name_a_nonce_is_added(there, blobs):
    digest = digest_of(b"data")
    blobs.store.create(key_of(digest), there)
    name = blobs.put(b"data")
    assert name.startswith(digest + ".")
    assert len(name) == len(digest) + 17
    assert blobs.blob(name, 4) == b"data"
    assert blobs.store.read(key_of(digest)) == there


def test_a_version_is_published_around_a_torn_blob(tmp_path):
    (tmp_path / "file").write_bytes(b"x" * 20_000)
    store = MemoryStore()
    store.create(key_of(digest_of(b"x" * 20_000)), b"x" * 10_000)
    store.create(Key("modelvault.json"), _root_record())
    vault = Vault(store, cache=tmp_path / "cache")
    version = vault.publish("m", tmp_path / "file")
    assert version.files[0].parts[0].blob.startswith(digest_of(b"x" * 20_000) + ".")
    assert vault.load("m:1.0.0").read_bytes() == b"x" * 20_000
    assert vault.verify().ok


def _root_record() -> bytes:
    other = MemoryStore()
    Vault(other).publish("m", 1)
    return other.read(Key("modelvault.json"))


def test_where_every_name_is_taken_it_is_a_store_error():
    class Torn(Wrapper):
        def create(self, key, data):
            self.inner.create(key, b"to")
            self.inner.create(key, data)

    with pytest.raises(StoreError):
        Blobs(Torn(MemoryStore())).put(b"data")


@pytest.mark.parametrize("fault", [Fault.ERROR_AFTER, Fault.EXISTS_AFTER, Fault.ERROR_BEFORE])
def test_a_reply_that_is_lost_is_no_failure(fault):
    faulty = FaultStore(MemoryStore(), fault, verbs={"create"})
    assert Blobs(faulty).put(b"data") == digest_of(b"data")
    assert faulty.struck
    assert faulty.inner.read(key_of(digest_of(b"data"))) == b"data"


def test_where_the_store_cannot_say_it_is_uncertain():
    store = FaultStore(
        FaultStore(MemoryStore(), Fault.ERROR_AFTER, verbs={"create"}), Fault.ERROR_BEFORE, verbs={"list"}
    )
    with pytest.raises(CommitUncertain) as raised:
        Blobs(store).put(b"data")
    assert raised.value.key == key_of(digest_of(b"data"))


def test_a_store_that_is_full_is_asked_once():
    class Full(Recording):
        def around(self, operation, call):
            self.operations.append(operation)
            if operation.verb == "create":
                raise StoreError("full", code=Code.STORE_FULL)
            return call()

    store = Full(MemoryStore())
    with pytest.raises(StoreError) as raised:
        Blobs(store).put(b"data")
    assert raised.value.code == Code.STORE_FULL
    assert store.counts["create"] == 1


# --- to be read

pieces = st.lists(st.binary(max_size=40), min_size=1, max_size=8)


@given(
    pieces=pieces,
    algorithms=st.lists(st.sampled_from(["sha256", "blake3"]), min_size=8, max_size=8),
    kept=st.booleans(),
)
def test_a_file_is_its_parts_wherever_they_lie(pieces, algorithms, kept, tmp_path_factory):
    cache = LocalStore(tmp_path_factory.mktemp("cache")) if kept else None
    blobs = Blobs(MemoryStore(), cache)
    pack = b"before" + b"".join(pieces) + b"after"
    name = blobs.put(pack)
    parts, offset = [], len(b"before")
    for piece, algorithm in zip(pieces, algorithms, strict=False):
        parts.append(part_of(piece, algorithm, blob=name, offset=offset))
        offset += len(piece)
    for _ in range(2):
        assert blobs.read(file_of(*parts, of=b"".join(pieces))) == b"".join(pieces)
    assert all(blobs.present(part) for part in parts)


@given(data=st.binary(min_size=1, max_size=200), spot=st.integers(0, 10**6), bit=st.integers(0, 7), algorithm=st.sampled_from(["sha256", "blake3"]))  # fmt: skip
def test_any_flipped_bit_is_noticed(data, spot, bit, algorithm):
    blobs = Blobs(MemoryStore())
    spot %= len(data)
    damaged = data[:spot] + bytes([data[spot] ^ 1 << bit]) + data[spot + 1 :]
    blobs.store.create(key_of(digest_of(data)), damaged)
    with pytest.raises(Corrupt) as raised:
        blobs.read(file_of(part_of(data, algorithm, blob=digest_of(data)), of=data))
    assert raised.value.code == Code.DIGEST_MISMATCH


def test_a_part_beyond_the_end_is_corrupt(blobs):
    name = blobs.put(b"0123456789")
    for offset, size in ((0, 11), (5, 6), (10, 1), (11, 0), (2**62, 2**62), (2**63 - 1, 1)):
        part = Part(digest=digest_of(b"x"), size=size, offset=offset, blob=name)
        with pytest.raises(Corrupt):
            blobs.read(file_of(part))
        assert blobs.present(part) == (size == 0 and offset <= 10)


def test_a_blob_that_is_gone_is_corrupt(blobs):
    with pytest.raises(Corrupt) as raised:
        blobs.read(file_of(part_of(b"data")))
    assert raised.value.code == Code.BLOB_MISSING
    assert not blobs.present(part_of(b"data"))


def test_a_window_may_end_anywhere(blobs, tmp_path):
    for size in (8 * 2**20 - 1, 8 * 2**20, 8 * 2**20 + 1, 17 * 2**20):
        data = os.urandom(1000) + bytes(size - 1000)
        name = blobs.put(data)
        assert blobs.blob(name, size) == data
        blobs.write(file_of(part_of(data)), tmp_path / f"{size}")
        assert (tmp_path / f"{size}").stat().st_size == size


def test_many_parts_are_one_file(blobs):
    data = os.urandom(20_000)
    name = blobs.put(data)
    parts = [part_of(data[at : at + 10], blob=name, offset=at) for at in range(0, 20_000, 10)]
    assert blobs.read(file_of(*parts, of=data)) == data


def test_what_is_written_is_new_and_what_is_there_stays(blobs, tmp_path):
    blobs.put(b"data")
    (tmp_path / "x").write_text("mine")
    with pytest.raises(FileExistsError):
        blobs.write(file_of(part_of(b"data")), tmp_path / "x")
    assert (tmp_path / "x").read_text() == "mine"


def test_without_the_package_for_the_digests_of_parts_whole_files_are_read_and_damage_is_found(blobs, monkeypatch):
    file = file_of(part_of(b"data", "blake3", blob=blobs.put(b"data")), of=b"data")
    damaged = file_of(part_of(b"else", "blake3", blob=blobs.put(b"else")), of=b"mine")
    monkeypatch.setitem(__import__("sys").modules, "blake3", None)
    assert blobs.read(file) == b"data"
    with pytest.raises(Corrupt):
        blobs.read(damaged)


def test_without_the_package_a_blake3_digest_is_unsupported(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "blake3", None)
    with pytest.raises(Unsupported) as raised:
        hasher_of("blake3:")
    assert raised.value.code == Code.EXTRA_MISSING
    assert "pip install" in raised.value.hint


# --- the cache in front


def test_a_cached_part_is_not_asked_for_again_and_a_damaged_one_is(tmp_path):
    store, cache = Recording(MemoryStore()), LocalStore(tmp_path / "cache")
    blobs = Blobs(store, cache)
    blobs.put(b"data" * 10_000)
    file = file_of(part_of(b"data" * 10_000))
    for _ in range(3):
        assert blobs.read(file) == b"data" * 10_000
    assert store.counts["fetch"] == 1
    [kept] = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    for damage in (b"", b"data" * 9_999 + b"daty", b"x" * 40_000, b"data" * 10_001):
        kept.chmod(0o600)
        kept.write_bytes(damage)
        before = store.counts["fetch"]
        assert blobs.read(file) == b"data" * 10_000
        assert store.counts["fetch"] == before + (damage != b"data" * 10_001)


def test_a_damaged_blob_does_not_enter_the_cache(tmp_path):
    store, cache = MemoryStore(), LocalStore(tmp_path / "cache")
    store.create(key_of(digest_of(b"data")), b"daty")
    with pytest.raises(Corrupt):
        Blobs(store, cache).read(file_of(part_of(b"data")))
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_a_cache_that_cannot_take_it_does_not_stand_in_the_way():
    class Full(Wrapper):
        def around(self, operation, call):
            if operation.verb == "create":
                raise StoreError("full", code=Code.STORE_FULL)
            return call()

    blobs = Blobs(MemoryStore(), Full(MemoryStore()))
    blobs.put(b"data")
    assert blobs.read(file_of(part_of(b"data"))) == b"data"


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.name)
def test_no_fault_of_a_cache_gives_wrong_bytes(fault):
    if fault.name.startswith("CRASH"):
        return
    for at in range(1, 8):
        cache = FaultStore(MemoryStore(), fault, at=at, sleep=lambda _: None)
        blobs = Blobs(MemoryStore(), cache)
        blobs.put(b"data" * 1_000)
        for _ in range(3):
            try:
                assert blobs.read(file_of(part_of(b"data" * 1_000))) == b"data" * 1_000
            except VaultError as error:
                assert isinstance(error, Corrupt | StoreError)
