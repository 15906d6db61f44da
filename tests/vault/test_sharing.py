"""Versions share what they have in common: only what is new is stored, and all of it comes back byte for byte."""

import os
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from modelvault import layout
from modelvault.blobs import plan, sources
from modelvault.cuts import Piece
from modelvault.errors import Corrupt
from modelvault.stores import Key
from modelvault.stores.memory import MemoryStore
from modelvault.vault import Vault

KIB, MIB = 2**10, 2**20
TENSORS = 20


@pytest.fixture
def vault() -> Vault:
    return Vault(MemoryStore())


def blobs(vault: Vault) -> dict[str, int]:
    """The sizes of all blobs."""
    objects: dict[str, bytes] = vault._store._objects
    return {key: len(data) for key, data in objects.items() if key.startswith("blobs/")}


def tensors(**changed: int) -> dict[str, np.ndarray]:
    """Twenty tensors of 1 MiB; `t3=1` is another t3."""
    seeds = {f"t{number}": 0 for number in range(TENSORS)} | changed
    shape = (512, 512)
    return {
        name: np.random.default_rng([int(name[1:]), seed]).random(shape, np.float32) for name, seed in seeds.items()
    }


@pytest.fixture
def added(vault, tmp_path):
    """Publishes a file of tensors, and says how many bytes of blobs came of it; what comes back is what was published."""

    def publish(values: dict[str, np.ndarray], **metadata: str) -> int:
        before, path = sum(blobs(vault).values()), tmp_path / "model.safetensors"
        save_file(values, path, metadata=metadata)
        version = vault.publish("m", path, bump=None if not vault.models() else "patch")
        folder = vault.fetch(f"m:{version.number}", tmp_path / version.number)
        assert (folder / path.name).read_bytes() == path.read_bytes()
        return sum(blobs(vault).values()) - before

    return publish


def test_a_first_version_is_one_blob_that_is_the_file(vault, added, tmp_path):
    added(tensors())
    path = tmp_path / "model.safetensors"
    [file] = vault.version("m:1.0.0").files
    assert blobs(vault) == {layout.blob(file.digest): path.stat().st_size}
    assert len(file.parts) == TENSORS + 1
    assert [part.offset for part in file.parts] == [sum(p.size for p in file.parts[:n]) for n in range(TENSORS + 1)]


def test_of_a_second_version_only_the_tensors_that_changed_are_stored(added):
    added(tensors())
    assert added(tensors(t3=1)) == MIB
    assert added(tensors(t3=1, t7=1, t8=1)) == 2 * MIB
    assert added(tensors()) == 3 * MIB  # the newest has others


def test_a_longer_header_is_all_that_is_stored(added):
    added(tensors())
    assert 0 < added(tensors(), author="x" * 100) < 4 * KIB
    assert 0 < added(tensors(), author="x" * 3_000) < 8 * KIB


def test_tensors_may_change_places(vault, added, tmp_path):
    added(tensors())
    values = tensors()
    for name in ("t3", "t7"):
        values[f"z{name}"] = values.pop(name)  # safetensors writes them in the order of their names
    assert added(values) < 4 * KIB


def test_what_an_alias_points_to_is_shared_too(vault, added):
    added(tensors())
    vault.promote("m@prod", "1.0.0", reason="x")
    added(tensors(**{f"t{number}": 5 for number in range(TENSORS)}))
    assert added(tensors(t3=1)) == MIB


def test_two_files_of_one_version_share_too(vault, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    save_file(tensors(), folder / "a.safetensors")
    save_file(tensors(t3=1), folder / "b.safetensors")
    vault.publish("m", folder)
    assert sum(blobs(vault).values()) == (folder / "a.safetensors").stat().st_size + MIB
    fetched = vault.fetch("m:1.0.0", tmp_path / "to")
    assert all((fetched / path.name).read_bytes() == path.read_bytes() for path in folder.iterdir())


def test_small_files_are_one_blob(vault, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(500):
        (folder / f"{number:03}").write_bytes(random.Random(number).randbytes(number * 20))
    vault.publish("m", folder)
    assert len(blobs(vault)) == 2  # and the manifest
    fetched = vault.fetch("m:1.0.0", tmp_path / "to")
    assert all((fetched / path.name).read_bytes() == path.read_bytes() for path in folder.iterdir())


def test_a_flipped_bit_of_a_shared_part_is_noticed_in_all_versions_that_have_it(vault, added, tmp_path):
    added(tensors())
    added(tensors(t3=1))
    [first], [second] = (vault.version(f"m:1.0.{number}").files for number in (0, 1))
    shared = next(part for part in first.parts[1:] if part.digest in {one.digest for one in second.parts})
    objects, key = vault._store._objects, Key(layout.blob(shared.blob))
    damaged = bytearray(objects[key])
    damaged[shared.offset + shared.size // 2] ^= 1
    objects[key] = bytes(damaged)
    for number in ("1.0.0", "1.0.1"):
        with pytest.raises(Corrupt):
            vault.fetch(f"m:{number}", tmp_path / f"damaged-{number}")
        assert not vault.verify(f"m:{number}").ok


def test_what_is_not_there_any_more_is_stored_again(vault, added):
    added(tensors())
    vault._store._objects = {key: data for key, data in vault._store._objects.items() if not key.startswith("blobs/")}
    assert added(tensors(t3=1)) > TENSORS * MIB
    assert vault.verify("m:1.0.1").ok


@pytest.mark.parametrize("end", ["versions/1.0.0.json", "9999999998.json"], ids=["claim", "move"])
def test_a_damaged_record_shares_nothing_and_stops_nobody(vault, added, tmp_path, end):
    added(tensors())
    vault.promote("m@prod", "1.0.0", reason="x")
    [key] = [key for key in vault._store._objects if key.endswith(end)]
    vault._store._objects[key] = b"{}"
    fresh, path = Vault(vault._store), tmp_path / "other.safetensors"
    save_file(tensors(t3=1), path)
    before = sum(blobs(fresh).values())
    fresh.publish("m", path, version="1.0.1")
    assert sum(blobs(fresh).values()) - before < MIB + 2 * KIB
    assert (fresh.fetch("m:1.0.1", tmp_path / "to") / path.name).read_bytes() == path.read_bytes()


lengths = st.lists(st.integers(1, 30), max_size=8)


@given(lengths, lengths, st.integers(0, 200), st.integers(0, 200), st.integers(0, 2**32))
def test_whatever_the_cuts_are_and_whatever_changes_it_comes_back(tmp_path_factory, first, second, changed, cut, seed):
    folder, draws = tmp_path_factory.mktemp("files"), random.Random(seed)
    vault, file = Vault(MemoryStore()), folder / "file"
    data = bytearray(draws.randbytes(sum(first)) + b"aaaabbbb" * 3 + draws.randbytes(5_000))
    other = data[: len(data) - cut] + draws.randbytes(changed)
    if other:
        other[changed % len(other)] ^= 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "INLINE_LIMIT", 0)
        patch.setattr(sources, "_UNCUT", 0)
        patch.setattr(plan, "_SMALL", draws.choice([0, 10**6]))
        patch.setattr(plan, "_LITTLE", draws.choice([0, 10**6]))
        patch.setattr("modelvault.publishing._WORTH_A_LOOK", 0)
        for number, (content, pieces) in enumerate([(data, first), (other, second), (data, second)]):
            patch.setattr(sources, "cuts", lambda *_, size=len(content), pieces=pieces, **__: cut_by(pieces, size))
            file.write_bytes(content)
            vault.publish("m", Path(file), version=f"1.0.{number}")
            assert (vault.fetch(f"m:1.0.{number}", folder / f"{number}") / "file").read_bytes() == content
    assert vault.verify().ok


def cut_by(sizes: list[int], total: int) -> list[Piece]:
    """Pieces of these sizes, over and over."""
    pieces, left = [], total
    while left:
        for size in sizes or [total]:
            pieces += [Piece(min(size, left))] if left else []
            left -= min(size, left)
    return pieces


def test_a_source_that_changes_between_its_parts_is_refused(vault, tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    save_file(tensors(), path)
    [found] = sources.sources(path)
    found.measure()
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        file.write(b"!")
    with pytest.raises(ValueError, match="changed"):
        for part in found.parts:
            list(found.part(part))
