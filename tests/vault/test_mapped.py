"""Bytes are used where they lie, verified once; and nobody but their reader can change what it has."""

import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelvault import blobs
from modelvault.blobs import mapped
from modelvault.cache import Cache, content_key
from modelvault.errors import Corrupt, Untrusted
from modelvault.formats import pickled
from modelvault.stores.local import LocalStore
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import Recording
from modelvault.upkeep.cached import verify
from modelvault.vault import Vault

COUNT = 200_000
"""Numbers of 8 bytes: a file that is worth it."""
OLD = time.time_ns() - 3_600_000_000_000


class Far(Recording):
    url = "s3://bucket"


def numbers(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**62, COUNT)


def is_mapped(path: Path) -> bool:
    """Into this process, as Linux says."""
    return str(path) in Path("/proc/self/maps").read_text(encoding="utf-8")


def age(path: Path) -> None:
    """Its last write was not a moment ago."""
    os.utime(path, ns=(OLD, OLD))


def rot(path: Path) -> None:
    """Flip a bit, as no write does: the time of the last one stays."""
    was = path.stat()
    path.chmod(0o600)
    with open(path, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)[0]
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last ^ 1]))
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    path.chmod(was.st_mode)


@pytest.fixture
def near(tmp_path):
    """A vault in a folder of its user, with an array, its blob not new."""
    vault = Vault(LocalStore(tmp_path / "vault"), cache=tmp_path / "cache")
    vault.publish("m", numbers())
    age(blob(vault, tmp_path))
    return vault


@pytest.fixture
def far(tmp_path):
    store = Far(MemoryStore())
    Vault(store).publish("m", numbers())
    store.operations.clear()
    return Vault(store, cache=tmp_path / "cache")


def blob(vault: Vault, tmp_path: Path) -> Path:
    digest = vault.version("m:1.0.0").files[0].digest[7:]
    return tmp_path / "vault" / "blobs" / "sha256" / digest[:2] / digest


def kept(vault: Vault, tmp_path: Path) -> Path:
    return tmp_path / "cache" / "content" / content_key(vault.version("m:1.0.0").files[0].digest)


def is_right(array: np.ndarray) -> bool:
    return np.array_equal(array, numbers())


# --- of a local vault


def test_the_blob_of_a_local_vault_is_used_where_it_lies(near, tmp_path):
    array = near.load("m:1.0.0")
    assert is_right(array)
    assert is_mapped(blob(near, tmp_path))
    del array
    assert not is_mapped(blob(near, tmp_path))


def test_what_is_written_to_an_array_stays_in_it(near, tmp_path):
    array = near.load("m:1.0.0")
    array[:] = 0
    assert is_right(near.load("m:1.0.0"))
    assert verify(Cache(tmp_path / "cache")).ok
    assert near.verify().ok


def test_where_others_could_write_it_is_read(near, tmp_path):
    (tmp_path / "vault").chmod(0o777)
    assert is_right(array := near.load("m:1.0.0"))
    assert not is_mapped(blob(near, tmp_path))
    assert array.flags.writeable


def test_through_a_link_it_is_not_reached(near, tmp_path):
    path = blob(near, tmp_path)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Untrusted):
        near.load("m:1.0.0")


def test_a_blob_that_was_written_to_is_not_served(near, tmp_path):
    assert is_right(near.load("m:1.0.0"))
    rot(path := blob(near, tmp_path))
    path.touch()
    with pytest.raises(Corrupt):
        near.load("m:1.0.0")


def test_a_blob_of_another_size_is_not_served(near, tmp_path):
    (path := blob(near, tmp_path)).chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Corrupt):
        near.load("m:1.0.0")


def test_without_a_cache_all_is_verified_each_time(near, tmp_path):
    bare = Vault(LocalStore(tmp_path / "vault"))
    assert is_right(bare.load("m:1.0.0"))
    rot(blob(near, tmp_path))
    with pytest.raises(Corrupt):
        bare.load("m:1.0.0")


def test_a_cache_that_others_could_change_keeps_nobody_from_loading(near, tmp_path):
    (tmp_path / "cache").mkdir(exist_ok=True)
    (tmp_path / "cache").chmod(0o777)
    vault = Vault(LocalStore(tmp_path / "vault"), cache=tmp_path / "cache")
    assert is_right(vault.load("m:1.0.0"))
    rot(blob(near, tmp_path))
    with pytest.raises(Corrupt):
        vault.load("m:1.0.0")


def test_a_file_whose_parts_lie_here_and_there_is_read(near, tmp_path, monkeypatch):
    from modelvault import publishing

    monkeypatch.setattr(publishing, "_WORTH_A_LOOK", 0)
    many = {name: np.random.default_rng(ord(name)).integers(0, 2**62, COUNT) for name in "abcdefgh"}
    near.publish("n", many)
    many["d"] = numbers(99)
    version = near.publish("n", many, bump="minor")
    assert len({part.blob for part in version.files[0].parts}) == 2
    found = version.load()
    assert all(np.array_equal(found[name], many[name]) for name in many)


# --- of the cache


def test_content_of_the_cache_is_used_where_it_lies(far, tmp_path):
    first = far.load("m:1.0.0")
    second = far.load("m:1.0.0")
    assert is_right(first)
    assert is_right(second)
    assert is_mapped(kept(far, tmp_path))
    assert far._store.counts["fetch"] == 1


def test_an_array_outlives_its_content(far, tmp_path):
    array = far.load("m:1.0.0")
    Cache(tmp_path / "cache").prune(0)
    assert not kept(far, tmp_path).exists()
    assert is_right(array)


def test_content_that_was_written_to_comes_again(far, tmp_path):
    far.load("m:1.0.0")
    rot(path := kept(far, tmp_path))
    path.touch()
    assert is_right(far.load("m:1.0.0"))
    assert far._store.counts["fetch"] == 2


def test_what_rots_is_found_by_verify_and_by_who_copies_it(far, tmp_path):
    """What is given up: a bit that flips and leaves the time of the last write as it was is served until somebody looks."""
    far.load("m:1.0.0")
    rot(kept(far, tmp_path))
    assert not is_right(far.load("m:1.0.0"))
    assert not verify(Cache(tmp_path / "cache")).ok
    assert is_right(far.load("m:1.0.0"))
    rot(kept(far, tmp_path))
    with pytest.raises(OSError, match="changed while it was read"):
        far.fetch("m:1.0.0", tmp_path / "one")
    assert is_right(np.load(far.fetch("m:1.0.0", tmp_path / "two") / "array.npy"))


def test_a_layer_is_verified_here_once(far, tmp_path, monkeypatch):
    far.load("m:1.0.0")
    far.fetch("m:1.0.0")
    shutil.copytree(tmp_path / "cache", tmp_path / "layer")
    monkeypatch.setenv("MODELVAULT_CACHE_LAYERS", str(tmp_path / "layer"))
    content = tmp_path / "layer" / kept(far, tmp_path).relative_to(tmp_path / "cache")
    rot(content)  # stamps that came with it say nothing here
    vault = Vault(far._store, cache=tmp_path / "own")
    assert is_right(vault.load("m:1.0.0"))
    assert not is_mapped(content)
    rot(content)
    Cache(tmp_path / "own").prune(0)
    assert is_right(array := vault.load("m:1.0.0"))
    assert is_mapped(content)
    assert array.size == COUNT
    assert content.stat().st_nlink == 1


def test_a_layer_that_rots_is_passed_over_when_that_was_found(far, tmp_path, monkeypatch):
    far.load("m:1.0.0")
    shutil.copytree(tmp_path / "cache", tmp_path / "layer")
    content = tmp_path / "layer" / kept(far, tmp_path).relative_to(tmp_path / "cache")
    monkeypatch.setenv("MODELVAULT_CACHE_LAYERS", str(tmp_path / "layer"))
    vault = Vault(far._store, cache=tmp_path / "own")
    assert is_right(vault.load("m:1.0.0"))
    rot(content)
    with pytest.raises(OSError, match="changed while it was read"):
        vault.fetch("m:1.0.0", tmp_path / "one")
    assert is_right(np.load(vault.fetch("m:1.0.0", tmp_path / "two") / "array.npy"))
    assert is_right(vault.load("m:1.0.0"))


def test_where_the_cache_can_take_nothing_it_is_read(far, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("modelvault.stores.local.os.link", full)
    assert is_right(array := far.load("m:1.0.0"))
    assert array.flags.writeable
    assert not is_mapped(tmp_path / "cache")


def test_small_files_are_read(far, tmp_path, monkeypatch):
    monkeypatch.setattr(blobs, "_MAPPED", 8 * COUNT + 1_000)
    assert is_right(far.load("m:1.0.0"))
    assert not is_mapped(kept(far, tmp_path))


def test_a_folder_is_not_hashed_again(far, tmp_path):
    """Nor is it looked at less: what is changed by a write, added or missing is found, see `test_cache_links`."""
    folder = far.fetch("m:1.0.0")
    rot(folder / "array.npy")
    assert not is_right(np.load(far.fetch("m:1.0.0") / "array.npy"))
    assert not verify(Cache(tmp_path / "cache")).ok
    assert is_right(np.load(far.fetch("m:1.0.0") / "array.npy"))


def test_a_folder_of_a_local_vault_is_not_hashed_again(near):
    folder = near.fetch("m:1.0.0")
    rot(folder / "array.npy")
    assert not is_right(np.load(near.fetch("m:1.0.0") / "array.npy"))
    (folder / "array.npy").touch()
    assert is_right(np.load(near.fetch("m:1.0.0") / "array.npy"))


# --- models


def estimators() -> list[Any]:
    from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
    from sklearn.linear_model import LinearRegression
    from sklearn.neighbors import KNeighborsRegressor

    return [
        RandomForestRegressor(6, random_state=0),
        GradientBoostingRegressor(n_estimators=2, max_depth=None, random_state=0),
        LinearRegression(),
        KNeighborsRegressor(),
    ]


@pytest.mark.parametrize("model", estimators(), ids=lambda model: type(model).__name__)
def test_estimators_predict_from_where_they_lie_as_they_did(model, tmp_path, monkeypatch):
    monkeypatch.setattr(pickled, "_LARGE", 1)
    monkeypatch.setattr(blobs, "_MAPPED", 1)
    random = np.random.default_rng(0)
    x, y = random.random((2_000, 20)), random.random(2_000)
    vault = Vault(LocalStore(tmp_path / "vault"), cache=tmp_path / "cache")
    version = vault.publish("m", {"model": model.fit(x, y), "x": x})
    [buffers] = [file for file in version.files if file.path == "model.buffers"]
    loaded = version.load()  # trees are copied by scikit-learn itself, the others are not
    assert is_mapped(tmp_path / "vault" / "blobs" / "sha256" / buffers.digest[7:9] / buffers.digest[7:])
    assert np.array_equal(loaded["model"].predict(loaded["x"]), model.predict(x))


def test_a_model_can_be_trained_further_and_is_stored_as_it_was(tmp_path):
    from sklearn.neural_network import MLPRegressor

    random = np.random.default_rng(0)
    x, y = random.random((100, 400)), random.random(100)
    model = MLPRegressor(hidden_layer_sizes=(400,), random_state=0).partial_fit(x, y)
    vault = Vault(LocalStore(tmp_path / "vault"), cache=tmp_path / "cache")
    version = vault.publish("m", model)
    assert {file.path for file in version.files} == {"model.pkl", "model.buffers"}
    loaded = version.load()
    loaded.partial_fit(x, y)  # writes to its weights
    assert not np.array_equal(loaded.predict(x), model.predict(x))
    assert np.array_equal(version.load().predict(x), model.predict(x))


def test_safetensors_maps_what_a_folder_of_the_cache_has(tmp_path):
    from safetensors import safe_open
    from safetensors.numpy import save_file

    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    save_file({"w": numbers()}, folder / "model.safetensors")
    store = Far(MemoryStore())
    Vault(store).publish("m", folder)
    vault = Vault(store, cache=tmp_path / "cache")
    path = vault.load("m:1.0.0")
    with safe_open(path / "model.safetensors", "np") as tensors:
        assert is_mapped(path / "model.safetensors")
        assert is_right(tensors.get_tensor("w"))
    assert vault.load("m:1.0.0") == path
    assert store.counts["fetch"] == 1


# --- file systems of other machines

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:45 / /home rw,relatime shared:2 master:1 - nfs4 server:/home rw,vers=4.2
31 22 0:46 / /data\\040files rw - fuse.sshfs me@there: rw
"""


@pytest.mark.parametrize(("device", "type"), [("8:1", "ext4"), ("0:45", "nfs4"), ("0:46", "fuse.sshfs"), ("0:1", "")])
def test_the_type_of_a_file_system_is_found_by_its_device(device, type):
    assert mapped._type(MOUNTS.splitlines(), device) == type


def test_what_another_machine_can_take_away_is_read(far, tmp_path, monkeypatch):
    monkeypatch.setattr(mapped, "_is_of_others", lambda device: True)
    assert is_right(far.load("m:1.0.0"))
    assert not is_mapped(kept(far, tmp_path))
