"""Layers: read, checked each time, never written, and refused where others could have changed them."""

import os
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest

from modelvault.errors import Code, Corrupt, InvalidInput, StaleAlias, StoreError, Untrusted
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import Recording, Wrapper
from modelvault.vault import Vault
from modelvault.verbs.opened import cache_at

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
STRANGER = 12345


class Far(Wrapper):
    url = "s3://bucket"

    def private(self, key):
        return False


class Down(Far):
    """A store that cannot be reached."""

    def around(self, operation, call):
        raise StoreError("no route", code=Code.STORE_UNREACHABLE)


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).write_bytes(os.urandom(20_000))
    return folder


@pytest.fixture
def store(files):
    store = MemoryStore()
    vault = Vault(store)
    vault.promote("m@prod", vault.publish("m", files), reason="x")
    vault.promote("small@prod", vault.publish("small", {"a": 1}), reason="x")
    return store


@pytest.fixture
def layer(store, tmp_path):
    """What `modelvault prefetch` bakes into an image."""
    Vault(Far(store), cache=tmp_path / "layer").prefetch("m@prod", "small@prod")
    return tmp_path / "layer"


@pytest.fixture
def opened(store, tmp_path, layer, monkeypatch):
    """Opens the vault with the layer behind an empty cache, or another."""

    def opened(way=Far, cache=tmp_path / "cache", layers=(layer,)):
        monkeypatch.setenv("MODELVAULT_CACHE_LAYERS", os.pathsep.join(map(str, layers)))
        return Vault(way(store), cache=cache, trust="pickle")

    return opened


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def parts(layer):
    return [path for path in (layer / "content").rglob("*") if path.is_file()]


def spoil(path):
    path.chmod(0o600)
    path.write_bytes(bytes(path.stat().st_size))


def snapshot(folder):
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        found[path] = (status.st_mode, status.st_mtime_ns, path.read_bytes() if path.is_file() else b"")
    return found


# --- what is in a layer is not asked for


def test_what_is_in_a_layer_needs_no_store(opened, files, tmp_path):
    assert contents(opened(Down).load("m:1.0.0")) == contents(files)
    assert contents(opened(Down).fetch("m:1.0.0", tmp_path / "to")) == contents(files)
    with pytest.warns(StaleAlias):
        assert contents(opened(Down).load("m@prod")) == contents(files)
    with pytest.warns(StaleAlias):
        assert opened(Down).load("small@prod") == {"a": 1}
    assert parts(tmp_path / "cache") == []


def test_an_alias_asks_the_store_and_its_blobs_do_not(opened, store):
    asked = []

    class Counted(Far):
        def around(self, operation, call):
            asked.append(operation.verb)
            return call()

    opened(Counted).load("m@prod")
    assert asked == ["list", "read"]


def test_a_folder_of_a_layer_is_used_where_it_is(opened, layer):
    assert opened().load("m:1.0.0").is_relative_to(layer / "trees")


def test_several_layers_are_asked_in_order(opened, tmp_path, files):
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged").mkdir()
    layer = tmp_path / "layer"
    shutil.copytree(layer / "content", tmp_path / "damaged" / "content")
    for path in parts(tmp_path / "damaged"):
        spoil(path)
    found = opened(Down, layers=(tmp_path / "empty", layer, tmp_path / "damaged")).load("m:1.0.0")
    assert contents(found) == contents(files)


def test_the_variable_may_have_empty_members(opened, layer, monkeypatch):
    vault = opened()
    monkeypatch.setenv("MODELVAULT_CACHE_LAYERS", f":{layer}::")
    assert vault._cache() is not None
    assert len(cache_at(vault._cached_in).layers) == 1


# --- it is checked, and never written


def test_nothing_is_ever_written_to_a_layer(opened, layer, store, tmp_path):
    before = snapshot(layer)
    for cache in ("one", "two"):
        vault = opened(cache=tmp_path / cache)
        vault.load("m@prod")
        vault.load("small:1.0.0")
        vault.promote("m@prod", vault.publish("m", 2, bump="major"), reason="x")
        vault.load("m@prod")
        vault._cache().prune(0)
        vault._cache().forget("s3://bucket")
    assert snapshot(layer) == before


def test_what_is_damaged_in_a_layer_is_asked_of_the_store(opened, layer, files, tmp_path):
    shutil.rmtree(layer / "trees")
    for path in parts(layer):
        spoil(path)
    before = snapshot(layer)
    assert contents(opened().load("m:1.0.0")) == contents(files)
    assert contents(opened(Down).fetch("m:1.0.0", tmp_path / "to")) == contents(
        files
    )  # from the cache, which has it now
    assert snapshot(layer) == before


def test_a_damaged_folder_of_a_layer_is_laid_out_anew(opened, layer, files, tmp_path):
    [tree] = (layer / "trees").iterdir()
    shutil.copyfile(tree / "a", tmp_path / "a")
    (tree / "a").unlink()
    shutil.copyfile(tmp_path / "a", tree / "a")  # else it is the content, too
    spoil(tree / "a")
    found = opened(Down).load("m:1.0.0")
    assert contents(found) == contents(files)
    assert found.is_relative_to(tmp_path / "cache")


def test_what_is_damaged_in_the_cache_comes_from_a_layer(opened, layer, files, tmp_path):
    shutil.copytree(layer, tmp_path / "cache")
    shutil.rmtree(tmp_path / "cache" / "trees")
    shutil.rmtree(layer / "trees")
    for path in parts(tmp_path / "cache"):
        spoil(path)
    assert contents(opened(Down).load("m:1.0.0")) == contents(files)
    assert parts(tmp_path / "cache") == []


def test_a_damaged_record_of_a_layer_is_asked_of_the_store(opened, layer, tmp_path):
    for path in (layer / "vaults").rglob("*.json"):
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:-9])
    assert opened().load("small:1.0.0") == {"a": 1}
    assert opened().load("small@prod") == {"a": 1}
    assert opened(Down).load("small:1.0.0") == {"a": 1}


def test_a_layer_that_has_seen_more_than_the_store_is_told_apart(opened, store):
    [newest] = store.list("models/m/aliases/prod/")
    store.delete(newest.key)
    with pytest.raises(Corrupt) as raised:
        opened().load("m@prod")
    assert raised.value.code == Code.ALIAS_WENT_BACKWARDS


# --- whose it is


def test_a_layer_that_is_not_there_is_an_error(opened, tmp_path):
    (tmp_path / "file").write_text("x")
    for wrong in (tmp_path / "nothing", tmp_path / "file"):
        with pytest.raises(InvalidInput) as raised:
            opened(layers=(wrong,))
        assert raised.value.code == Code.BAD_VALUE
        assert str(wrong) in str(raised.value)


@pytest.mark.parametrize("where", [".", "content", "trees", "vaults", "vaults/*"])
@pytest.mark.parametrize("mode", [0o775, 0o757, 0o1777])
def test_a_layer_that_others_can_write_is_refused(where, mode, opened, layer):
    [folder] = layer.glob(where) if where != "." else [layer]
    folder.chmod(mode)
    with pytest.raises(Untrusted) as raised:
        opened().fetch("m@prod")
    assert raised.value.code == Code.UNSAFE_FOLDER
    assert "chmod" in raised.value.hint


@AS_ROOT
@pytest.mark.parametrize("where", [".", "content", "trees", "vaults", "vaults/*"])
def test_a_layer_of_another_user_is_refused(where, opened, layer):
    [folder] = layer.glob(where) if where != "." else [layer]
    os.chown(folder, STRANGER, STRANGER)
    with pytest.raises(Untrusted):
        opened().fetch("m@prod")


def test_a_link_to_a_layer_is_followed_and_one_within_it_is_not(opened, layer, tmp_path):
    (tmp_path / "link").symlink_to(layer)
    opened(Down, layers=(tmp_path / "link",)).load("m:1.0.0")
    (layer / "trees").rename(tmp_path / "elsewhere")
    (layer / "trees").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Untrusted):
        opened().fetch("m@prod")


@pytest.fixture
def image(layer):
    """The layer as a container has it: root's, for all to read, below folders that all may enter."""
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        baked = Path(place, "layer")
        shutil.copytree(layer, baked)
        yield baked


def as_a_stranger(work):
    """What `work` gives in a process of another user."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        os.setgid(STRANGER)
        os.setuid(STRANGER)
        os._exit(0 if work() else 1)
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(2)


@AS_ROOT
def test_a_layer_of_root_serves_another_user_who_has_no_home(opened, image, files):
    right = contents(files)

    def work():
        with pytest.raises(StoreError) as raised:  # as it is baked: for its maker alone
            opened(Down, cache=Path("/nowhere/cache"), layers=(image,))
        assert raised.value.code == Code.STORE_DENIED
        assert "a+rX" in raised.value.hint
        return True

    assert as_a_stranger(work) == 0
    subprocess.run(["chmod", "-R", "a+rX", image], check=True)
    assert as_a_stranger(lambda: contents(opened(Down, Path("/nowhere/cache"), (image,)).load("m:1.0.0")) == right) == 0
    for folder in (image, image / "content"):
        folder.chmod(0o777)
        assert as_a_stranger(lambda: opened(Down, Path("/nowhere/cache"), (image,))) == 2
        folder.chmod(0o755)


# --- where nothing can be written


@pytest.fixture
def nowhere(tmp_path):
    """No folder can be made here."""
    (tmp_path / "file").write_text("x")
    return tmp_path / "file" / "cache"


def test_layers_alone_are_enough(opened, nowhere, files, tmp_path):
    vault = opened(Down, cache=nowhere)
    assert vault._cache().own is None
    assert contents(vault.load("m:1.0.0")) == contents(files)
    assert contents(vault.fetch("m:1.0.0", tmp_path / "to")) == contents(files)
    with pytest.warns(StaleAlias):
        assert vault.load("small@prod") == {"a": 1}
    assert (vault._cache().entries(), vault._cache().prune(0), vault._cache().vaults()) == ([], [], [])
    assert vault._cache().forget("s3://bucket") is False


def test_what_no_layer_has_is_read_from_the_store_each_time(opened, nowhere, store):
    Vault(store).publish("large", os.urandom(50_000))
    recording = Recording(Far(store))
    vault = opened(lambda _: recording, cache=nowhere)
    for _ in range(2):
        assert len(vault.load("large:1.0.0")) == 50_000
    assert recording.counts == {"read": 1, "fetch": 2}


def test_a_folder_that_no_layer_has_needs_a_place(opened, nowhere, layer):
    shutil.rmtree(layer / "trees")
    with pytest.raises(StoreError) as raised:
        opened(cache=nowhere).load("m:1.0.0")
    assert raised.value.code == Code.STORE_DENIED
    assert "MODELVAULT_CACHE" in raised.value.hint


def test_without_layers_a_cache_that_cannot_be_made_is_an_error(nowhere, store, monkeypatch):
    monkeypatch.delenv("MODELVAULT_CACHE_LAYERS", raising=False)
    with pytest.raises(StoreError) as raised:
        Vault(Far(store), cache=nowhere)
    assert raised.value.code == Code.STORE_DENIED


@AS_ROOT
def test_a_layer_and_a_cache_on_a_read_only_file_system_serve(opened, layer, files, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", disk], check=False, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        shutil.copytree(layer, disk / "layer")
        (disk / "cache").mkdir(mode=0o700)
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        for cache, layers in (
            (disk / "cache", (disk / "layer",)),
            (disk / "layer", ()),
            (disk / "new", (disk / "layer",)),
        ):
            vault = opened(Down, cache=cache, layers=layers)
            assert contents(vault.load("m:1.0.0")) == contents(files)
            with pytest.warns(StaleAlias):
                assert vault.load("small@prod") == {"a": 1}
            assert opened(cache=cache, layers=layers).load("small@prod") == {"a": 1}
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_modes_of_what_is_baked_are_its_makers_alone(layer):
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in (layer, layer / "content", layer / "vaults")} == {0}
