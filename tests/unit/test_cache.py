"""The cache: what is kept is checked each time, and what is damaged is dropped and fetched anew."""

import contextlib
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from modelvault import cache as module
from modelvault.cache import Cache, Records
from modelvault.cache.shelf import Shelf
from modelvault.canonical import Digest, digest_of
from modelvault.errors import Code, Corrupt, StoreError, Untrusted
from modelvault.stores import Key, KeyExists, KeyMissing, Span, Store
from modelvault.stores.local import LocalStore
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import Recording, Wrapper
from modelvault.vault import Vault
from modelvault.wire import Claim, Move

DIGEST = Digest("sha256:" + "a" * 64)
CLAIM = "models/m/versions/1.0.0.json"


def holds(text: str):
    return lambda folder: [path.name for path in folder.iterdir()] == ["x"] and (folder / "x").read_text() == text


def builds(text: str):
    return lambda folder: (folder / "x").write_text(text)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


# --- folders of versions


def test_a_tree_is_built_once_and_found_again(cache):
    built: list[Path] = []

    def build(folder: Path) -> None:
        built.append(folder)
        (folder / "x").write_text("x")

    first = cache.tree(DIGEST, holds("x"), build)
    assert cache.tree(DIGEST, holds("x"), build) == first
    assert len(built) == 1
    assert first == cache.folder / "trees" / ("a" * 64)
    assert (first / "x").read_text() == "x"


DAMAGES = {
    "another text": lambda tree: (tree / "x").write_text("y"),
    "one file more": lambda tree: (tree / "y").write_text("y"),
    "one file less": lambda tree: (tree / "x").unlink(),
    "an empty folder": lambda tree: ((tree / "x").unlink(), tree.rmdir(), tree.mkdir()),
    "a file in its place": lambda tree: ((tree / "x").unlink(), tree.rmdir(), tree.write_text("x")),
    "a link in its place": lambda tree: (tree.rename(tree.parent / "moved"), tree.symlink_to(tree.parent / "moved")),
    "a link to nothing": lambda tree: (tree.rename(tree.parent / "moved"), tree.symlink_to(tree.parent / "nothing")),
    "a pipe in its place": lambda tree: (tree.rename(tree.parent / "moved"), os.mkfifo(tree)),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_tree_is_made_anew(damage, cache):
    tree = cache.tree(DIGEST, holds("x"), builds("x"))
    damage(tree)
    assert cache.tree(DIGEST, holds("x"), builds("x")) == tree
    assert not tree.is_symlink()
    assert holds("x")(tree)
    assert {path.name for path in tree.parent.iterdir()} - {"moved"} == {tree.name}


def test_a_build_that_fails_leaves_nothing_and_what_was_there(cache):
    def fail(folder: Path) -> None:
        (folder / "x").write_text("half")
        raise Corrupt("x", code=Code.DIGEST_MISMATCH)

    with pytest.raises(Corrupt):
        cache.tree(DIGEST, holds("x"), fail)
    assert list((cache.folder / "trees").iterdir()) == []
    tree = cache.tree(DIGEST, holds("x"), builds("x"))
    with pytest.raises(Corrupt):
        cache.tree(DIGEST, holds("y"), fail)
    assert holds("x")(tree)


def test_a_cache_that_cannot_be_written_is_a_store_error(cache):
    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(StoreError) as raised:
        cache.tree(DIGEST, holds("x"), full)
    assert raised.value.code == Code.STORE_FULL
    assert "cache=False" in raised.value.hint


RACE = """
import sys
from pathlib import Path
from modelvault.cache import Cache

cache = Cache(Path(sys.argv[1]))
input()
for number in range(40):
    tree = cache.tree(f"sha256:{number:064x}", lambda tree: (tree / "x").exists(), lambda tree: (tree / "x").write_text("x"))
    for _ in range(20):
        assert (tree / "x").exists()
"""


def test_processes_that_build_the_same_tree_never_take_it_from_each_other(tmp_path):
    command = [sys.executable, "-c", RACE, str(tmp_path / "cache")]
    with contextlib.ExitStack() as stack:
        racing = [stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE)) for _ in range(4)]
        for one in racing:
            one.stdin.write(b"go\n")
            one.stdin.flush()
        assert [one.wait() for one in racing] == [0] * 4
    assert len(list((tmp_path / "cache" / "trees").iterdir())) == 40


def test_files_of_a_version_are_read_only_in_the_cache(tmp_path):
    (tmp_path / "files").mkdir()
    for name in ("a", "b"):
        (tmp_path / "files" / name).write_bytes(os.urandom(10_000))
    vault = Vault(MemoryStore(), cache=tmp_path / "cache")
    vault.publish("m", tmp_path / "files")
    tree = vault.fetch("m:1.0.0")
    assert {stat.S_IMODE(path.stat().st_mode) for path in tree.iterdir()} == {0o444}
    assert vault.load("m:1.0.0") == tree


def test_what_was_changed_in_the_cache_is_fetched_again(tmp_path):
    (tmp_path / "files").mkdir()
    for name in ("a", "b"):
        (tmp_path / "files" / name).write_bytes(os.urandom(10_000))
    vault = Vault(MemoryStore(), cache=tmp_path / "cache")
    vault.publish("m", tmp_path / "files")
    tree = vault.fetch("m:1.0.0")
    right = {path.name: path.read_bytes() for path in tree.iterdir()}
    for damage in (
        lambda: _overwrite(tree / "a", b"x" * 10_000),
        lambda: _overwrite(tree / "b", b""),
        lambda: (tree / "c").write_text("more"),
        (tree / "a").unlink,
        lambda: (tree / "a").rename(tree / "A"),
    ):
        damage()
        assert {path.name: path.read_bytes() for path in vault.fetch("m:1.0.0").iterdir()} == right


def _overwrite(path: Path, data: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(data)


# --- records


@pytest.fixture
def filled() -> MemoryStore:
    store = MemoryStore()
    vault = Vault(store)
    for number in ("1.0.0", "1.1.0", "1.2.0"):
        vault.promote("m@prod", vault.publish("m", number, version=number), reason="x")
    return store


def test_a_record_is_read_once(filled):
    store = Recording(filled)
    records = Records(store)
    first = records.read(Claim, CLAIM)
    assert records.read(Claim, CLAIM) == first
    assert first.digest == digest_of(filled.read(CLAIM))
    assert store.counts == {"read": 1}


def test_a_record_that_is_missing_is_asked_for_again(filled):
    store = Recording(filled)
    records = Records(store)
    for _ in range(2):
        with pytest.raises(KeyMissing):
            records.read(Claim, "models/m/versions/9.0.0.json")
    assert store.counts == {"read": 2}


def test_a_record_of_one_kind_is_not_taken_for_another(filled):
    records = Records(filled)
    records.read(Claim, CLAIM)
    with pytest.raises(Corrupt):
        records.read(Move, CLAIM)


def test_memory_is_bounded_and_the_oldest_goes_first(filled, monkeypatch):
    keys = [f"models/m/versions/{number}.json" for number in ("1.0.0", "1.1.0", "1.2.0")]
    sizes = [len(filled.read(key)) for key in keys]
    monkeypatch.setattr(module, "_MEMORY_LIMIT", sum(sizes[1:]))
    store = Recording(filled)
    records = Records(store)
    for key in keys:
        records.read(Claim, key)
    store.operations.clear()
    for key in reversed(keys):
        records.read(Claim, key)
    assert [operation.key for operation in store.operations] == keys[:1]


def test_a_record_larger_than_memory_is_read_and_not_kept(filled, monkeypatch):
    monkeypatch.setattr(module, "_MEMORY_LIMIT", 10)
    store = Recording(filled)
    records = Records(store)
    for _ in range(2):
        assert records.read(Claim, CLAIM).record.model == "m"
    assert store.counts == {"read": 2}


def test_the_disk_answers_a_second_reader(filled, tmp_path):
    disk = Cache(tmp_path / "cache").records("s3://bucket")
    Records(filled, disk).read(Claim, CLAIM)
    store = Recording(filled)
    assert Records(store, disk).read(Claim, CLAIM).record.model == "m"
    assert store.counts == {}


@pytest.mark.parametrize("damage", [b"", b"{}", b"other", b'{"x":1}' * 1_000])
def test_a_damaged_copy_on_disk_is_dropped_and_fetched_again(damage, filled, tmp_path):
    disk = Cache(tmp_path / "cache").records("s3://bucket")
    Records(filled, disk).read(Claim, CLAIM)
    right = disk.read(CLAIM)
    disk.delete(CLAIM)
    disk.create(CLAIM, damage)
    assert Records(filled, disk).read(Claim, CLAIM).digest == digest_of(right)
    assert disk.read(CLAIM) == right


def test_every_flipped_bit_of_a_copy_on_disk_is_noticed(filled, tmp_path):
    disk = Cache(tmp_path / "cache").records("s3://bucket")
    right = filled.read(CLAIM)
    for place in range(0, len(right), 13):
        disk.delete(CLAIM)
        disk.create(CLAIM, right[:place] + bytes([right[place] ^ 4]) + right[place + 1 :])
        assert Records(filled, disk).read(Claim, CLAIM).digest == digest_of(right)


def test_a_disk_that_fails_does_not_fail_the_reader(filled):
    class Broken(Wrapper):
        def around(self, operation, call):
            raise StoreError("broken", code=Code.STORE_FULL)

    records = Records(filled, Broken(MemoryStore()))
    assert records.read(Claim, CLAIM).record.model == "m"


def test_two_vaults_share_content_and_no_records(filled, tmp_path):
    cache = Cache(tmp_path / "cache")
    Records(filled, cache.records("s3://one")).read(Claim, CLAIM)
    with pytest.raises(KeyMissing):
        cache.records("s3://two").read(CLAIM)


def test_a_disk_that_is_behind_does_not_hold_an_alias_back(filled, tmp_path):
    class Far(Wrapper):
        url = "s3://bucket"

    def loaded() -> object:
        return Vault(Far(filled), cache=tmp_path / "cache", trust="pickle").load("m@prod")

    assert loaded() == "1.2.0"
    Vault(filled).promote("m@prod", "1.0.0", reason="x")
    assert loaded() == "1.0.0"


# --- the folder itself


def test_a_cache_makes_its_folder_for_its_user_alone(tmp_path):
    cache = Cache(tmp_path / "a" / "b" / "cache")
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700
    assert isinstance(cache.blobs.own, LocalStore)
    Cache(tmp_path / "a" / "b" / "cache")


@pytest.mark.parametrize("mode", [0o755, 0o700, 0o555])
def test_a_folder_that_others_can_only_read_is_taken(mode, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(mode)
    if mode & 0o200 or os.geteuid() == 0:
        assert Cache(tmp_path / "cache").folder == tmp_path / "cache"


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o1777, 0o722])
def test_a_folder_that_others_can_write_is_refused(mode, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(mode)
    with pytest.raises(Untrusted) as raised:
        Cache(tmp_path / "cache")
    assert raised.value.code == Code.UNSAFE_FOLDER
    assert "chmod 700" in raised.value.hint


# --- shelves


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """`a` is its own, `b` its own and of a layer, `c` of both layers, `d/e` of the last."""
    places = [tmp_path / name for name in ("own", "first", "last")]
    for place, keys in zip(places, (["a", "b"], ["b", "c"], ["c", "d/e"]), strict=True):
        place.mkdir(mode=0o700)
        for key in keys:
            LocalStore(place).create(Key(key), f"{key} of {place.name}".encode())
    return Shelf(places[0], places[1:])


def fetched(store: Store, key: str) -> bytes:
    chunks: list[bytes] = []
    store.fetch(Key(key), [Span(0, 1), Span(1, 2)], lambda _, chunk: chunks.append(chunk))
    return b"".join(chunks)


def test_a_shelf_answers_from_the_first_that_has_it(shelf):
    assert [shelf.read(Key(key)) for key in ("a", "b", "c", "d/e")] == [
        b"a of own",
        b"b of own",
        b"c of first",
        b"d/e of last",
    ]
    assert fetched(shelf, "c") == b"c o"
    assert [entry.key for entry in shelf.list("")] == ["a", "b", "c", "d/"]
    assert [entry.key for entry in shelf.list("", limit=2)] == ["a", "b"]
    for action in (shelf.read, lambda key: fetched(shelf, key)):
        with pytest.raises(KeyMissing):
            action("x")


def test_a_shelf_writes_to_its_own_alone(shelf, tmp_path):
    told: list[int] = []
    shelf = Shelf(tmp_path / "own", [tmp_path / "first"], told.append)
    shelf.create(Key("c"), b"mine")
    assert (shelf.read(Key("c")), told) == (b"mine", [4])
    with pytest.raises(KeyExists):
        shelf.create(Key("c"), b"again")
    for key in ("b", "c", "x"):
        shelf.delete(Key(key))
    assert [shelf.read(Key(key)) for key in ("b", "c")] == [b"b of first", b"c of first"]
    assert told == [4]
    assert not shelf.holds(Key("c"))
    assert shelf.holds(Key("a"))


def test_a_shelf_of_layers_alone_takes_nothing(tmp_path, shelf):
    alone = Shelf(None, [tmp_path / "first"])
    with pytest.raises(StoreError) as raised:
        alone.create(Key("x"), b"x")
    assert raised.value.code == Code.STORE_DENIED
    alone.delete(Key("b"))
    assert alone.read(Key("b")) == b"b of first"
    assert not alone.holds(Key("b"))
    assert (alone.url, alone.exclusive, isinstance(alone, Store)) == ("", True, True)
    assert alone.private(Key("b"))
    (tmp_path / "first").chmod(0o777)
    assert not alone.private(Key("b"))


def test_the_package_has_no_other_names():
    with pytest.raises(AttributeError):
        _ = module.Other
