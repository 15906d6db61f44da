"""The first version of a model in a local vault is hashed while it is written, and named after that."""

import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from modelvault import layout
from modelvault.errors import Code, InvalidInput, StoreError
from modelvault.stores.local import LocalStore
from modelvault.stores.port import Stages
from modelvault.testing.conformance import Streamed
from modelvault.vault import Vault

MIB = 2**20


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(LocalStore(tmp_path / "vault"))


@pytest.fixture
def written(monkeypatch) -> list[int]:
    """The sizes of all that is written."""
    sizes: list[int] = []
    real = os.write

    def write(file, data):
        sizes.append(len(data))
        return real(file, data)

    monkeypatch.setattr(os, "write", write)
    return sizes


def made(path: Path, *seeds: int) -> Path:
    """A file of one tensor of 12 MiB for each seed."""
    path.parent.mkdir(exist_ok=True)
    values = {f"t{seed}": np.random.default_rng(seed).random((3 * MIB,), np.float32) for seed in seeds}
    save_file(values, path)
    return path


def objects(vault: Vault) -> dict[str, int]:
    """The sizes of all files of blobs, with those that have no name."""
    root = Path(vault.url, "blobs")
    return {str(path.relative_to(root.parent)): path.stat().st_size for path in root.rglob("*") if path.is_file()}


def same(folder: Path, other: Path) -> bool:
    """They hold the same files."""
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return files == sorted(path.relative_to(other) for path in other.rglob("*")) and all(
        (folder / path).read_bytes() == (other / path).read_bytes() for path in files
    )


def test_a_local_store_stages_and_others_need_not():
    assert isinstance(LocalStore("x"), Stages)


def test_a_large_first_version_is_written_once(vault, written, tmp_path):
    made(tmp_path / "model" / "a.safetensors", 1)
    made(tmp_path / "model" / "b.safetensors", 2)
    (tmp_path / "model" / "config.json").write_text("{}" * 10_000)
    version = vault.publish("m", tmp_path / "model")
    total = sum(file.size for file in version.files)
    assert total <= sum(written) < total + 100_000
    assert {layout.blob(file.digest) for file in version.files} == set(objects(vault))
    assert same(tmp_path / "model", vault.fetch("m:1.0.0", tmp_path / "out"))


def test_what_two_files_of_it_have_in_common_is_stored_once(vault, tmp_path):
    made(tmp_path / "model" / "a.safetensors", 1, 2)
    made(tmp_path / "model" / "b.safetensors", 1, 2, 3)
    vault.publish("m", tmp_path / "model")
    assert sum(objects(vault).values()) < (3 * 12 + 1) * MIB
    assert same(tmp_path / "model", vault.fetch("m:1.0.0", tmp_path / "out"))


def test_equal_files_are_stored_once_and_nothing_else_stays(vault, tmp_path):
    for name in ("a", "b", "c"):
        made(tmp_path / "model" / f"{name}.safetensors", 1, 2)
    version = vault.publish("m", tmp_path / "model")
    assert [*objects(vault)] == [layout.blob(version.files[0].digest)]


def test_content_that_the_vault_has_already_is_dropped(vault, tmp_path):
    path = made(tmp_path / "a.safetensors", 1, 2)
    vault.publish("m", path)
    before = objects(vault)
    vault.publish("other", path)
    assert objects(vault) == before


class Changing:
    """Content of a file that becomes longer while it is read."""

    def __init__(self, data, path):
        self.size, self._data, self._path = data.size, data, path

    def chunks(self):
        for number, chunk in enumerate(self._data.chunks()):
            if number == 3:
                with open(self._path, "ab") as out:
                    out.write(b"x")
            yield chunk


def test_a_file_that_changes_while_it_is_staged_is_refused_and_nothing_stays(vault, tmp_path, monkeypatch):
    path = made(tmp_path / "a.safetensors", 1, 2)
    stage = LocalStore.stage
    monkeypatch.setattr(LocalStore, "stage", lambda self, folder, data: stage(self, folder, Changing(data, path)))
    with pytest.raises(InvalidInput, match="changed"):
        vault.publish("m", path)
    assert objects(vault) == {}


def test_a_full_disk_is_told_and_nothing_stays(vault, tmp_path, monkeypatch):
    path = made(tmp_path / "a.safetensors", 1, 2)
    real, left = os.write, [5 * MIB]

    def write(file, data):
        left[0] -= len(data)
        if left[0] < 0:
            raise OSError(28, os.strerror(28))
        return real(file, data)

    with monkeypatch.context() as patch, pytest.raises(StoreError) as raised:
        patch.setattr(os, "write", write)
        vault.publish("m", path)
    assert raised.value.code == Code.STORE_FULL
    assert objects(vault) == {}
    assert vault.publish("m", path).number == "1.0.0"


def test_what_is_staged_and_has_no_key_goes_with_the_block(tmp_path):
    store = LocalStore(tmp_path)
    with store.stage("blobs/", Streamed(100_000)):
        assert len([*tmp_path.rglob(".tmp-*")]) == 1
        assert [*store.list("")] == []
    assert [*tmp_path.rglob(".tmp-*")] == []
