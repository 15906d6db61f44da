"""A dry run writes nothing, and says what the publish then does: number, bytes, blobs, requests, errors."""

import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from modelvault import Estimate, layout
from modelvault.errors import AlreadyExists, InvalidInput, NotFound
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import Recording
from modelvault.vault import Vault

MIB = 2**20


@pytest.fixture
def store():
    return MemoryStore()


def model(folder, changed=(), extra=()):
    """A folder with twenty tensors of 1 MiB, two small files and one that is inline."""
    folder.mkdir()
    tensors = {f"t{n:02}": np.random.default_rng([n, n in changed]).random((512, 512), np.float32) for n in range(20)}
    save_file(tensors, folder / "model.safetensors")
    for name in ("a", "b", *extra):
        (folder / name).write_bytes(np.random.default_rng(ord(name)).bytes(20_000))
    (folder / "config.json").write_text("{}")
    return folder


def compared(store, *publication, **said):
    """The estimate of a publish, where nothing was written for it; and then the publish did just that."""
    before = dict(store._objects)
    estimate = Vault(store).publish(*publication, **said, dry_run=True)
    assert store._objects == before
    assert isinstance(estimate, Estimate)
    version = Vault(recording := Recording(store)).publish(*publication, **said)
    new = {key: len(data) for key, data in store._objects.items() if key.startswith(layout.BLOBS) and key not in before}
    manifest = new.get(layout.blob(version.claim.target.blob), 0) if version.claim.target.blob else 0
    assert (estimate.model, estimate.number) == (version.model, version.number)
    assert (estimate.files, estimate.size) == (len(version.files), version.size)
    assert (estimate.new, estimate.blobs) == (sum(new.values()) - manifest, len(new))
    assert estimate.requests == len(recording.operations)
    assert estimate.new + estimate.shared + estimate.inline == estimate.size
    return estimate


def test_it_is_what_the_publish_then_does(store, tmp_path):
    first = compared(store, "m", model(tmp_path / "1"))
    assert (first.number, first.files, first.blobs, first.shared, first.inline) == ("1.0.0", 4, 2, 0, 2)
    second = compared(store, "m", model(tmp_path / "2", {3}), bump="minor")
    assert (second.number, second.new) == ("1.1.0", MIB)
    Vault(store).promote("m@prod", "1.0.0", reason="x")
    assert compared(store, "m", model(tmp_path / "3", {3, 4}, ["c"]), version="1.2.0").new == MIB + 20_000
    again = compared(store, "m", model(tmp_path / "4", {3, 4}, ["c"]), bump="major")
    assert (again.number, again.new, again.shared) == ("2.0.0", 0, again.size - 2)


@pytest.mark.parametrize("obj", [{"weights": list(range(10))}, np.arange(100_000.0)], ids=["inline", "blob"])
def test_it_takes_any_object_and_the_first_publish_of_a_vault(store, obj):
    estimate = compared(store, "m", obj)
    assert estimate.requests == 5 + estimate.blobs  # the root: a read, two lists, a create; and the claim
    assert compared(store, "m", obj, bump="patch").number == "1.0.1"


def test_equal_content_is_there_already(store):
    values = np.arange(100_000.0)
    Vault(store).publish("m", values)
    again = compared(store, "m", values, version="1.0.0")
    assert (again.number, again.new, again.shared, again.blobs) == ("1.0.0", 0, again.size, 0)


def test_many_files_have_a_manifest_of_their_own(store, tmp_path):
    for number in range(100):
        (tmp_path / f"{number}").write_bytes(os.urandom(200_000))
    assert compared(store, "m", tmp_path).blobs == 101


def test_it_fails_as_the_publish_would(store):
    Vault(store).publish("m", 1)
    before = dict(store._objects)
    for vault in (Vault(store), Vault(MemoryStore())):
        with pytest.raises(NotFound):
            vault.publish("m", Path("/nowhere"), dry_run=True)
    with pytest.raises(AlreadyExists, match=r"m:1\.0\.0 was published by tester"):
        Vault(store).publish("m", 2, version="1.0.0", dry_run=True)
    with pytest.raises(InvalidInput, match="which is this one"):
        Vault(store).publish("m", 2, dry_run=True)
    other = MemoryStore()
    other.create("something/else", b"x")
    with pytest.raises(InvalidInput, match="is no vault"):
        Vault(other).publish("m", 2, dry_run=True)
    assert store._objects == before


def test_a_local_vault_that_is_not_there_is_not_made(tmp_path):
    from modelvault import open

    vault = open(tmp_path / "new" / "vault")
    assert vault.publish("m", 1, dry_run=True).number == "1.0.0"
    assert not (tmp_path / "new").exists()
    assert vault.publish("m", 1).number == "1.0.0"
