"""Room: what goes when there is too much, and that nobody who reads is hurt by it."""

import itertools
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelvault.blobs import Blobs, Wanted, content
from modelvault.cache import Cache, disk, room
from modelvault.canonical import digest_of
from modelvault.errors import Code, InvalidInput, StoreError
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import Recording, Wrapper
from modelvault.upkeep.cached import verify
from modelvault.vault import Vault
from modelvault.verbs.opened import cache_at
from modelvault.wire import Claim, File, Part

WINDOW = 2**16


class Far(Wrapper):
    url = "s3://bucket"


@pytest.fixture(autouse=True)
def _new_process(monkeypatch):
    """As if nothing had been put into any cache so far."""
    monkeypatch.setattr(disk, "_GREW", {})


def wanted(data: bytes) -> Wanted:
    part = Part(digest=digest_of(data), size=len(data))
    return Wanted("x", part.digest, part.size, (part,))


def filled(cache: Cache, *sizes: int, age: float = 3600) -> list[str]:
    """Content of these sizes, each used a little later than the one before; the first `age` seconds ago."""
    digests = []
    for number, size in enumerate(sizes):
        data = random.Random(number).randbytes(size)
        Blobs(Far(_with(data)), cache.blobs).keep(wanted(data))
        digests.append(digest_of(data))
    for number, digest in enumerate(digests):
        used(cache, digest, age - number)
    return digests


def _with(data: bytes) -> MemoryStore:
    store = MemoryStore()
    Blobs(store).put(data)
    return store


def used(cache: Cache, digest: str, ago: float) -> None:
    [path] = [one.path for one in cache.entries() if one.digest == digest]
    then, found = time.time_ns() - int(ago * 1e9), path.stat()
    os.utime(path, ns=(then, then if path.is_dir() else found.st_mtime_ns))


def tree(cache: Cache, name: str, size: int, ago: float = 3600) -> str:
    digest = f"sha256:{digest_of(name.encode())[7:]}"
    cache.tree(digest, lambda folder: (folder / "x").exists(), lambda folder: (folder / "x").write_bytes(bytes(size)))
    used(cache, digest, ago)
    return digest


def left(cache: Cache) -> set[str]:
    return {one.digest for one in cache.entries()}


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


# --- what goes


def test_what_was_used_longest_ago_goes_first(cache):
    a, b, c = filled(cache, 1000, 1000, 1000)
    used(cache, a, 1000)
    assert [one.digest for one in cache.prune(2000)] == [b]
    assert [one.digest for one in cache.prune(1999)] == [c]
    assert left(cache) == {a}
    assert cache.prune(1000) == []


def test_folders_go_before_parts(cache):
    [part] = filled(cache, 1000, age=9999)
    old, new = tree(cache, "old", 1000, ago=8000), tree(cache, "new", 1000, ago=4000)
    assert [one.digest for one in cache.prune(2500)] == [old]
    assert [one.digest for one in cache.prune(1000)] == [new]
    assert left(cache) == {part}


def test_what_was_used_a_moment_ago_stays_unless_all_is_to_go(cache):
    old, new = filled(cache, 1000, 1000)
    used(cache, new, 60)
    ahead = tree(cache, "by a clock that is ahead", 10, ago=-1e6)
    assert [one.digest for one in cache.prune(1)] == [old]
    assert left(cache) == {new, ahead}
    assert {one.digest for one in cache.prune(0)} == {new, ahead}
    assert left(cache) == set()


def test_use_is_noted(cache, tmp_path):
    store = MemoryStore()
    folder = tmp_path / "files"
    folder.mkdir()
    for name in "ab":
        (folder / name).write_bytes(os.urandom(10_000))
    Vault(store).publish("m", folder)
    vault = Vault(Far(store), cache=cache.folder)
    vault.load("m:1.0.0")
    for one in cache.entries():
        used(cache, one.digest, 5000)
    vault.load("m:1.0.0")
    recent = {one.kind for one in cache.entries() if one.used > time.time() - 100}
    assert recent == {"tree"}
    vault.fetch("m:1.0.0", tmp_path / "to")
    assert all(one.used > time.time() - 100 for one in cache.entries())


def test_what_dead_processes_left_goes_and_what_is_being_written_stays(cache):
    [part] = filled(cache, 1000)
    place = cache.entries()[0].path.parent
    (cache.folder / "locks").mkdir()
    (cache.folder / "trees").mkdir()
    stage = cache.folder / "trees" / ".tmp-0"
    leftovers = [place / ".tmp-1", cache.folder / "locks" / "1", stage]
    for one in (*leftovers, place / ".tmp-2", cache.folder / "locks" / "2"):
        one.mkdir() if one is stage else one.write_bytes(bytes(10))
    (stage / "part").write_bytes(bytes(10))
    for one in (*leftovers, stage / "part"):
        os.utime(one, (0, 0))
    os.utime(stage, None)
    cache.prune()
    assert stage.exists()  # something in it was just written
    os.utime(stage, (0, 0))
    cache.prune()
    assert not any(one.exists() for one in leftovers)
    assert (place / ".tmp-2").exists()
    assert (cache.folder / "locks" / "2").exists()
    assert left(cache) == {part}


def test_what_is_not_of_a_cache_is_let_alone(cache):
    for path in ("mine", "content/mine", "content/sha256/mine", "trees/mine", "vaults/mine"):
        (cache.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (cache.folder / path).write_text("mine")
    assert (cache.entries(), cache.prune(0), cache.vaults()) == ([], [], [])
    assert verify(cache).ok
    assert len(list(cache.folder.rglob("mine"))) == 5


def test_records_are_no_matter_of_room(cache, tmp_path):
    store = MemoryStore()
    Vault(store).publish("m", {"a": 1})
    Vault(Far(store), cache=cache.folder).load("m:1.0.0")
    cache.prune(0)
    recording = Recording(Far(store))
    assert Vault(recording, cache=cache.folder).load("m:1.0.0") == {"a": 1}
    assert recording.counts == {}


# --- when


def test_a_process_looks_at_its_first_insert_and_after_each_sixteenth(tmp_path, monkeypatch):
    looked = []
    monkeypatch.setattr(disk.room, "prune", lambda folder, to: looked.append(to) or [])
    cache = Cache(tmp_path / "cache", limit=16_000)
    counts = []
    for _ in range(7):
        filled(cache, 400)
        counts.append(len(looked))
        cache.blobs.delete(next(iter(cache.blobs.list("sha256/"))).key + _name(cache))
    assert counts == [1, 1, 1, 2, 2, 2, 3]
    assert set(looked) == {16_000}
    Cache(tmp_path / "cache", limit=16_000).blobs.create("sha256/aa/x", bytes(10))
    assert len(looked) == 3


def _name(cache: Cache) -> str:
    [one] = cache.entries()
    return one.path.name


def test_the_limit_holds_without_anybody_looking_after_it(tmp_path):
    cache = Cache(tmp_path / "cache", limit=10_000)
    for number in range(30):
        data = random.Random(number).randbytes(1000)
        Blobs(Far(_with(data)), cache.blobs).keep(wanted(data))
        used(cache, digest_of(data), 10_000 - number)
        assert sum(one.size for one in cache.entries()) <= 11_000
    assert digest_of(random.Random(29).randbytes(1000)) in left(cache)
    assert digest_of(random.Random(0).randbytes(1000)) not in left(cache)


def test_a_failure_to_prune_fails_nobody(tmp_path, monkeypatch):
    def fails(*_):
        raise OSError("no")

    monkeypatch.setattr(disk.room, "prune", fails)
    filled(Cache(tmp_path / "cache"), 100)


def test_the_environment_sets_the_limit(tmp_path, monkeypatch):
    assert cache_at(tmp_path / "cache").limit == 32 * 2**30
    monkeypatch.setenv("MODELVAULT_CACHE_LIMIT", "1.5 GB")
    assert cache_at(tmp_path / "cache").limit == 1_500_000_000
    assert Vault(Far(MemoryStore()), cache=tmp_path / "cache")._cache().limit == 1_500_000_000
    monkeypatch.setenv("MODELVAULT_CACHE_LIMIT", "much")
    with pytest.raises(InvalidInput) as raised:
        Vault(Far(MemoryStore()), cache=tmp_path / "cache")
    assert raised.value.code == Code.BAD_VALUE


UNITS = {"": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}  # fmt: skip


@given(st.integers(0, 10**6), st.sampled_from(sorted(UNITS)), st.sampled_from(["", " "]), st.booleans())
def test_a_size_is_a_number_and_a_unit(number, unit, gap, lower):
    text = f"{number}{gap}{unit}"
    assert room.size(text.lower() if lower else text) == number * UNITS[unit]


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "1 XB", "1e9", "GB", "1.GB", "1,5GB", "1 G B", "٣GB", "1iB", "inf", "nan"]
)
def test_what_is_no_size_is_an_error(text):
    with pytest.raises(InvalidInput):
        room.size(text)


# --- who reads is not hurt


@pytest.fixture
def large(monkeypatch):
    """A blob of twelve requests, in a store that is recorded."""
    monkeypatch.setattr(content, "_WINDOW", WINDOW)
    monkeypatch.setattr(content, "_NEAR", WINDOW)
    data = os.urandom(1000) + bytes(11 * WINDOW) + os.urandom(1000)
    return (
        Recording(Far(_with(data))),
        data,
        File(path="x", size=len(data), digest=digest_of(data), parts=(Part(digest=digest_of(data), size=len(data)),)),
    )


@pytest.mark.parametrize("after", [0, 1, 2, 5, 7])
def test_who_reads_what_is_removed_reads_on_from_the_store(after, large, cache):
    store, data, file = large
    blobs = Blobs(store, cache.blobs)
    blobs.keep(file)
    store.operations.clear()
    chunks = blobs.chunks(file)
    found = [next(chunks) for _ in range(after)]
    cache.prune(0)
    assert b"".join([*found, *chunks]) == data
    assert 0 < store.counts["fetch"] <= 12 - max(after - 1, 0)


def test_who_reads_what_is_removed_while_the_store_is_away_gets_an_error(large, cache):
    store, _, file = large
    Blobs(store, cache.blobs).keep(file)

    class Down(Wrapper):
        def around(self, operation, call):
            raise StoreError("no route", code=Code.STORE_UNREACHABLE)

    chunks = Blobs(Down(store), cache.blobs).chunks(file)
    next(chunks)
    cache.prune(0)
    with pytest.raises(StoreError) as raised:
        list(chunks)
    assert raised.value.code == Code.STORE_UNREACHABLE


@pytest.mark.parametrize("how", ["changed in place", "cut short", "another file"])
def test_what_changes_after_it_was_checked_is_never_taken_for_right(how, large, cache):
    store, data, file = large
    blobs = Blobs(store, cache.blobs)
    blobs.keep(file)
    chunks = blobs.chunks(file)
    found = [next(chunks)]
    [kept] = [one.path for one in cache.entries()]
    if how == "another file":
        kept.unlink()
    else:
        kept.chmod(0o600)
    kept.write_bytes(data[: WINDOW + 100] + (b"" if how == "cut short" else b"!" * (len(data) - WINDOW - 100)))
    try:
        found.extend(chunks)
    except StoreError:
        pass
    else:
        assert b"".join(found) == data
    assert blobs.read(file) == data


def test_a_folder_in_use_is_read_to_its_end(cache, tmp_path):
    folder = cache.tree("sha256:" + "a" * 64, lambda _: True, lambda to: (to / "x").write_text("whole"))
    with open(folder / "x") as file:
        cache.prune(0)
        assert file.read() == "whole"
    assert not folder.exists()
    assert list((cache.folder / "trees").iterdir()) == []


ROUNDS = [pytest.param(1, id="some"), pytest.param(20, id="many", marks=pytest.mark.long)]


@pytest.mark.parametrize("seconds", ROUNDS)
def test_processes_that_load_while_others_prune_and_verify_get_what_is_right(seconds, tmp_path):
    store = MemoryStore()
    right = {}
    for model in ("a", "b", "c"):
        folder = tmp_path / model
        folder.mkdir()
        for name in ("x", "y"):
            (folder / name).write_bytes(os.urandom(50_000))
        Vault(store).publish(model, folder)
        right[model] = {path.name: path.read_bytes() for path in folder.iterdir()}
    end = time.monotonic() + seconds

    def read(number):
        draws = random.Random(number)
        for turn in itertools.count():
            model, to = draws.choice("abc"), tmp_path / f"to-{number}-{turn}"
            Vault(Far(store), cache=tmp_path / "cache").fetch(f"{model}:1.0.0", to)
            assert {path.name: path.read_bytes() for path in to.iterdir()} == right[model]
            shutil.rmtree(to)
            if time.monotonic() > end:
                return

    def prune(_):
        cache = Cache(tmp_path / "cache")
        while time.monotonic() < end:
            cache.prune(0)
            assert verify(cache).ok
            time.sleep(0.001)

    children = [_child(work, number) for number, work in enumerate([read, read, read, prune, prune])]
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 5


def _child(work, number):
    child = os.fork()
    if not child:
        signal.alarm(120)
        try:
            work(number)
            os._exit(0)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
    return child


# --- verify


@pytest.fixture
def kept(tmp_path):
    """A cache with parts, a folder and records, and the store that they are of."""
    files = tmp_path / "files"
    files.mkdir()
    for name in "ab":
        (files / name).write_bytes(os.urandom(10_000))
    store = MemoryStore()
    vault = Vault(store)
    vault.promote("m@prod", vault.publish("m", files), reason="x")
    Vault(Far(store), cache=tmp_path / "cache").prefetch("m@prod")
    return Cache(tmp_path / "cache"), store


def test_a_cache_that_is_whole_is_found_to_be(kept):
    found = verify(kept[0])
    assert found.ok
    assert (found.content, found.trees, found.records, found.unknown) == (2, 1, 2, 0)
    assert str(found).endswith("all well")


def test_all_that_is_damaged_is_named_and_dropped_and_comes_again(kept, tmp_path):
    cache, store = kept
    said = {".url"} | {path.name for path in (cache.folder / "stamps").iterdir()}
    paths = [path for path in cache.folder.rglob("*") if path.is_file() and path.name not in said]
    assert len(paths) == 6
    for path in paths:
        whole = path.read_bytes()
        path.chmod(0o600)
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        found = verify(cache)
        assert not found.ok
        assert {one.code for one in found.problems} <= {Code.DIGEST_MISMATCH, Code.BAD_RECORD}
        assert "damaged" in str(found)
        assert not path.exists()
        assert verify(cache).ok
        Vault(Far(store), cache=cache.folder).prefetch("m@prod")
        assert path.exists()
    assert verify(cache).ok


@pytest.mark.parametrize("damage", ["more", "less", "a link"])
def test_a_folder_with_more_or_less_in_it_is_damaged(damage, kept):
    cache, _ = kept
    [folder] = (cache.folder / "trees").iterdir()
    if damage == "less":
        (folder / "a").unlink()
    elif damage == "more":
        (folder / "c").write_text("x")
    else:
        (folder / "c").symlink_to("a")
    assert [one.code for one in verify(cache).problems] == [Code.DIGEST_MISMATCH]
    assert not folder.exists()


def test_of_a_folder_of_which_nothing_is_known_it_is_said_so(kept):
    cache, _ = kept
    assert cache.forget("s3://bucket")
    found = verify(cache)
    assert (found.ok, found.unknown, found.trees) == (True, 1, 1)
    assert "1 unknown" in str(found)


def test_parts_of_another_digest_are_checked_too_where_that_can_be(kept, monkeypatch):
    from blake3 import blake3

    cache, _ = kept
    name = blake3(b"data").hexdigest()
    cache.blobs.create(f"blake3/{name[:2]}/{name}", b"data")
    assert (verify(cache).content, verify(cache).ok) == (3, True)
    cache.blobs.delete(f"blake3/{name[:2]}/{name}")
    cache.blobs.create(f"blake3/{name[:2]}/{name}", b"daty")
    monkeypatch.setitem(__import__("sys").modules, "blake3", None)
    assert verify(cache).unknown == 1
    monkeypatch.undo()
    assert not verify(cache).ok


def test_a_large_manifest_tells_what_is_in_a_folder(tmp_path):
    files = tmp_path / "files"
    files.mkdir()
    for number in range(200):
        (files / f"{number:03}").write_bytes(os.urandom(20))
    store = MemoryStore()
    Vault(store).publish("m", files)
    Vault(Far(store), cache=tmp_path / "cache").load("m:1.0.0")
    cache = Cache(tmp_path / "cache")
    assert store.read("models/m/versions/1.0.0.json")
    assert (verify(cache).unknown, verify(cache).trees) == (0, 1)
    [folder] = (cache.folder / "trees").iterdir()
    (folder / "000").unlink()
    assert not verify(cache).ok


# --- what is known of vaults


def test_what_is_known_of_each_vault_is_listed_and_forgotten(tmp_path):
    class Farther(Wrapper):
        url = "gs://other"

    for way in (Far, Farther):
        store = MemoryStore()
        vault = Vault(store)
        vault.promote("m@prod", vault.publish("m", 1), reason="x")
        reader = Vault(way(store), cache=tmp_path / "cache")
        reader.version("m@prod")
        reader.load("m@prod")
    cache = Cache(tmp_path / "cache")
    assert [(one.url, len(one.claims)) for one in cache.vaults()] == [("gs://other", 1), ("s3://bucket", 1)]
    for one in cache.vaults():
        [(move, confirmed)] = one.heads
        assert (move.alias, move.version) == ("prod", "1.0.0")
        assert abs(confirmed - time.time()) < 100
        assert isinstance(one.claims[0], Claim)
    assert cache.forget("s3://bucket")
    assert not cache.forget("s3://bucket")
    assert not cache.forget("s3://unknown")
    assert [one.url for one in cache.vaults()] == ["gs://other"]


def test_a_url_that_was_not_written_whole_is_not_believed(tmp_path):
    store = MemoryStore()
    Vault(store).publish("m", 1)
    Vault(Far(store), cache=tmp_path / "cache").load("m:1.0.0")
    [path] = (tmp_path / "cache" / "vaults").glob("*/.url")
    for text in (b"", b"s3://buck", b"\xff"):
        path.write_bytes(text)
        assert [one.url for one in Cache(tmp_path / "cache").vaults()] == [""]


def test_the_folder_of_a_vault_stays_private_when_it_is_forgotten(tmp_path):
    store = MemoryStore()
    Vault(store).publish("m", 1)
    vault = Vault(Far(store), cache=tmp_path / "cache")
    vault.load("m:1.0.0")
    assert Cache(tmp_path / "cache").forget("s3://bucket")
    vault.promote("m@prod", "1.0.0", reason="x")
    folders = [path for path in (tmp_path / "cache" / "vaults").rglob("*") if path.is_dir()]
    assert Path(tmp_path / "cache" / "vaults") not in folders
    assert {path.stat().st_mode & 0o077 for path in folders} == {0}
