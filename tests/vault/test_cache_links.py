"""Folders of the cache are other names of the files in it: nothing is written twice, and nothing wrong is served for it."""

import os
import shutil

import pytest

from modelvault.cache import Cache, content_key, shelf
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import Recording
from modelvault.vault import Vault

SIZE = 300_000


class Far(Recording):
    url = "s3://bucket"


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    (folder / "deep").mkdir(parents=True)
    for name in ("weights", "deep/vocabulary"):
        (folder / name).write_bytes(os.urandom(SIZE))
    (folder / "config").write_text("{}")
    return folder


@pytest.fixture
def vault(model, tmp_path):
    store = Far(MemoryStore())
    Vault(store).publish("m", model)
    return Vault(store, cache=tmp_path / "cache")


def is_right(folder, model):
    return all((folder / name).read_bytes() == (model / name).read_bytes() for name in ("weights", "deep/vocabulary"))


def test_a_folder_takes_no_room_of_its_own(vault, model, tmp_path):
    folder, cache = vault.fetch("m:1.0.0"), Cache(tmp_path / "cache")
    for file in vault.version("m:1.0.0").files:
        kept = tmp_path / "cache" / "content" / content_key(file.digest)
        assert file.inline is not None or os.path.samefile(kept, folder / file.path)
    assert sum(one.size for one in cache.entries()) == 2 * SIZE + 2
    assert is_right(folder, model)


def test_one_blob_is_asked_for_once_for_file_and_folder(vault, model):
    vault._store.operations.clear()
    vault.fetch("m:1.0.0")
    vault.fetch("m:1.0.0")
    assert vault._store.counts["fetch"] == 2


def test_who_writes_into_a_folder_spoils_it_for_nobody(vault, model):
    spoilt = vault.fetch("m:1.0.0") / "weights"
    spoilt.chmod(0o600)
    spoilt.write_bytes(b"!" * SIZE)
    assert is_right(vault.fetch("m:1.0.0"), model)
    assert is_right(vault.fetch("m:1.0.0"), model)


def test_content_that_has_grown_is_no_file_of_a_folder(vault, model, tmp_path):
    folder = vault.fetch("m:1.0.0")
    kept = tmp_path / "cache" / "content" / content_key(vault.version("m:1.0.0").files[-1].digest)
    shutil.rmtree(folder)
    kept.chmod(0o600)
    kept.write_bytes(kept.read_bytes() + b"more")
    assert is_right(vault.fetch("m:1.0.0"), model)


def test_what_is_handed_out_is_nobodys_other_name(vault, model, tmp_path):
    vault.fetch("m:1.0.0")
    mine = vault.fetch("m:1.0.0", tmp_path / "mine")
    (mine / "weights").write_bytes(b"mine")
    assert is_right(vault.fetch("m:1.0.0"), model)


def test_without_links_files_are_written(vault, model, tmp_path, monkeypatch):
    def link(*_, **__):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(shelf.os, "link", link)
    before = len(Cache(tmp_path / "cache").entries())
    assert before == 0
    assert is_right(vault.fetch("m:1.0.0"), model)


def test_a_folder_outlives_its_content(vault, model, tmp_path):
    folder, cache = vault.fetch("m:1.0.0"), Cache(tmp_path / "cache")
    for one in cache.entries():
        if one.kind == "content":
            one.path.unlink()
    assert is_right(folder, model)
    assert sum(one.size for one in cache.entries()) == 2 * SIZE + 2
    vault._store.operations.clear()
    assert vault.fetch("m:1.0.0") == folder
    assert vault._store.counts["fetch"] == 0
