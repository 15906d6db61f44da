"""The files of a version, laid out: all at once, verified, and nowhere else."""

import os
import stat
import threading
from pathlib import Path

import pytest

from modelvault.cache import Cache
from modelvault.canonical import Digest
from modelvault.errors import AlreadyExists, Code, Corrupt, InvalidInput, NotFound, StoreError
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import Recording
from modelvault.tree import Tree, patterns
from modelvault.vault import Vault

FILES = {"config.json": b"{}", "a/weights.bin": b"w" * 30_000, "a/b/deep.json": b"[]", "empty": b"", "a/[x].txt": b"x"}


@pytest.fixture
def store() -> Recording:
    return Recording(MemoryStore())


@pytest.fixture
def tree(store: Recording, tmp_path: Path) -> Tree:
    for path, data in FILES.items():
        (tmp_path / "source" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "source" / path).write_bytes(data)
    vault = Vault(store, cache=tmp_path / "cache")
    version = vault.publish("m", tmp_path / "source")
    return Tree(version.manifest, Digest(version.digest), vault._catalog.blobs, lambda: Cache(tmp_path / "cache"))


def laid(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_all_files_are_laid_out(tree, tmp_path):
    assert tree.lay(tmp_path / "new" / "out") == tmp_path / "new" / "out"
    assert laid(tmp_path / "new" / "out") == FILES
    assert sorted(tree.paths) == sorted(FILES)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out"]


def test_a_file_is_read_by_its_path_and_by_no_other(tree):
    assert tree.read("a/weights.bin") == FILES["a/weights.bin"]
    for path in ("weights.bin", "A/weights.bin", "a//weights.bin", "../source/empty", ""):
        with pytest.raises(Corrupt):
            tree.read(path)


@pytest.mark.parametrize(
    ("only", "found"),
    [
        (["*.json"], {"config.json", "a/b/deep.json"}),
        ("*.json", {"config.json", "a/b/deep.json"}),
        (["a/*"], {"a/weights.bin", "a/b/deep.json", "a/[x].txt"}),
        (["config.json", "empty"], {"config.json", "empty"}),
        (["*", "empty"], set(FILES)),
        (["?????"], {"empty"}),
        (["a/[[]x].txt"], {"a/[x].txt"}),
        ([], set(FILES)),
        ((), set(FILES)),
    ],
)
def test_only_those_that_match_are_laid_out(only, found, tree, tmp_path):
    assert set(laid(tree.lay(tmp_path / "out", only))) == found


@pytest.mark.parametrize("only", [["*.bin", "*.onnx"], ["CONFIG.JSON"], ["../*"], ["/etc/*"], [""], ["\x1b[2J"]])
def test_a_pattern_that_matches_nothing_is_an_error_and_nothing_is_laid_out(only, tree, tmp_path):
    with pytest.raises(NotFound) as raised:
        tree.lay(tmp_path / "out", only)
    assert raised.value.code == Code.FILE_NOT_FOUND
    assert "config.json" in raised.value.hint
    assert str(raised.value).isprintable()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("only", [None, 5, {"a": 1}, b"*", [5], [None], [["*"]], ["\ud800"]])
def test_patterns_are_text(only):
    with pytest.raises(InvalidInput):
        patterns(only)


def test_no_more_is_fetched_than_is_laid_out(tree, store, tmp_path):
    store.operations.clear()
    tree.lay(tmp_path / "out", ["*.json"])
    assert store.operations == []


def test_an_empty_folder_is_filled(tree, tmp_path):
    (tmp_path / "out").mkdir()
    assert laid(tree.lay(tmp_path / "out")) == FILES


@pytest.mark.parametrize("what", ["a file", "a folder of files", "a link", "a link to nothing", "a pipe"])
def test_what_is_there_is_not_touched(what, tree, tmp_path):
    out = tmp_path / "there" / "out"
    out.parent.mkdir()
    {
        "a file": lambda: out.write_text("mine"),
        "a folder of files": lambda: (out.mkdir(), (out / "config.json").write_text("mine")),
        "a link": lambda: ((out.parent / "real").mkdir(), out.symlink_to("real")),
        "a link to nothing": lambda: out.symlink_to("nothing"),
        "a pipe": lambda: os.mkfifo(out),
    }[what]()
    before = sorted(str(path) for path in out.parent.rglob("*"))
    with pytest.raises(AlreadyExists) as raised:
        tree.lay(out)
    assert raised.value.code == Code.TARGET_EXISTS
    assert sorted(str(path) for path in out.parent.rglob("*")) == before


def test_a_folder_reached_through_a_link_is_as_good_as_any(tree, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert laid(tree.lay(tmp_path / "link" / "out")) == FILES
    assert laid(tmp_path / "real" / "out") == FILES


def test_a_folder_that_cannot_be_made_is_a_store_error(tree, tmp_path):
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "file" / "out", tmp_path / ("x" * 300), Path("/proc/nothing/out")):
        with pytest.raises(StoreError) as raised:
            tree.lay(out)
        assert raised.value.code == Code.STORE_DENIED


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_a_store_error(tree, tmp_path):
    (tmp_path / "there").mkdir(mode=0o555)
    with pytest.raises(StoreError) as raised:
        tree.lay(tmp_path / "there" / "out")
    assert raised.value.code == Code.STORE_DENIED


@pytest.mark.parametrize("out", [".", "/", "..", "out/.."])
def test_the_current_folder_and_the_root_are_taken(out, tree, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    with pytest.raises((AlreadyExists, StoreError)):
        tree.lay(Path(out))
    after = sorted(str(path) for path in tmp_path.rglob("*") if path.name != "out")
    assert after == before


def test_where_one_file_is_damaged_nothing_is_laid_out(tree, store, tmp_path):
    key = next(key for key in store.inner._objects if key.startswith("blobs/"))
    store.inner._objects[key] = b"x" * 30_000
    for lay in (lambda: tree.lay(tmp_path / "there" / "out"), tree.folder):
        with pytest.raises(Corrupt):
            lay()
    assert list((tmp_path / "there").iterdir()) == []
    assert list((tmp_path / "cache" / "trees").iterdir()) == []


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_what_is_laid_out_is_as_open_to_others_as_anything_that_its_user_makes(mask, tree, tmp_path):
    before = os.umask(mask)
    try:
        out = tree.lay(tmp_path / "out")
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert stat.S_IMODE(out.stat().st_mode) == 0o777 & ~mask
    assert stat.S_IMODE((out / "a" / "b").stat().st_mode) == 0o777 & ~mask
    assert stat.S_IMODE((out / "config.json").stat().st_mode) == 0o666 & ~mask


def test_threads_that_lay_out_at_once_do_not_change_the_umask_of_the_process(tree, tmp_path):
    before = os.umask(0o027)
    try:
        threads = [threading.Thread(target=tree.lay, args=(tmp_path / str(n),)) for n in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    assert {stat.S_IMODE((tmp_path / str(n)).stat().st_mode) for n in range(16)} == {0o750}


def test_one_of_many_that_lay_out_in_the_same_place_succeeds(tree, tmp_path):
    outcomes: list[object] = []

    def lay() -> None:
        try:
            outcomes.append(tree.lay(tmp_path / "out"))
        except AlreadyExists:
            outcomes.append(None)

    threads = [threading.Thread(target=lay) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count(tmp_path / "out") == 1
    assert len(outcomes) == 8
    assert laid(tmp_path / "out") == FILES


def test_without_a_cache_there_is_no_folder(tree):
    alone = Tree(Vault(MemoryStore()).publish("m", 1).manifest, Digest("sha256:" + "0" * 64), tree._blobs, lambda: None)
    with pytest.raises(InvalidInput) as raised:
        alone.folder()
    assert "to=" in raised.value.hint


def test_the_folder_of_the_cache_is_found_again_and_not_fetched_again(tree, store):
    first = tree.folder()
    store.operations.clear()
    assert tree.folder() == first
    assert laid(first) == FILES
    assert store.operations == []


def test_folders_may_be_as_deep_as_a_path_may_be_long(tmp_path):
    deep = tmp_path / "source" / "/".join(["d"] * 500)
    deep.mkdir(parents=True)
    (deep / "x").write_text("x")
    vault = Vault(MemoryStore())
    vault.publish("m", tmp_path / "source")
    assert (vault.fetch("m:1.0.0", tmp_path / "out") / "/".join(["d"] * 500) / "x").read_text() == "x"
    (deep / "/".join(["d"] * 20)).mkdir(parents=True)
    (deep / "/".join(["d"] * 20) / "x").write_text("x")
    with pytest.raises(InvalidInput) as raised:
        vault.publish("m", tmp_path / "source", bump="minor")
    assert raised.value.code == Code.BAD_PATH
