"""Versions that are compressed: fewer bytes are stored, what was published comes back, and what is damaged does not."""

import hashlib
import json
import os
import random
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from modelvault import layout
from modelvault.blobs import decoding, encoding, sources, workers
from modelvault.canonical import canonical, digest_of
from modelvault.cuts import Piece
from modelvault.errors import Code, Corrupt, InvalidInput, StoreError, Unsupported
from modelvault.stores.local import LocalStore
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import Wrapper
from modelvault.vault import Vault
from modelvault.wire import Claim, Part, read_sealed, seal

KIB, MIB = 2**10, 2**20
TENSORS = 6


class Far(Wrapper):
    url = "far://bucket"


@pytest.fixture(params=["memory", "local"])
def vault(request, tmp_path) -> Vault:
    return Vault(MemoryStore() if request.param == "memory" else LocalStore(tmp_path / "vault"))


def stored(vault: Vault) -> dict[str, int]:
    """The sizes of all blobs."""
    return {entry.key: entry.size for key in folders(vault) for entry in vault._store.list(key)}


def folders(vault: Vault) -> list[str]:
    return [entry.key for entry in vault._store.list(layout.BLOBS)]


def tensors(step: float = 0.0, seed: int = 0) -> dict[str, np.ndarray]:
    """Tensors of 1 MiB, two in half precision, four in single; a step moves each weight by such a share of its deviation."""

    def made(number: int) -> np.ndarray:
        shape = (512, 1024 if number < 2 else 512)
        values = np.random.default_rng([number, seed]).standard_normal(shape, "f4")
        values += np.random.default_rng([number, 99]).standard_normal(shape, "f4") * np.float32(step)
        return values.astype("f2") if number < 2 else values

    return {f"t{number}": made(number) for number in range(TENSORS)}


@pytest.fixture
def added(vault, tmp_path):
    """Publishes tensors, compressed, and says how many bytes of blobs came of it; what comes back is what was published."""

    def publish(values: dict[str, np.ndarray], *, compress: bool = True, **metadata: str) -> int:
        before, path = sum(stored(vault).values()), tmp_path / "model.safetensors"
        save_file(values, path, metadata=metadata)
        version = vault.publish("m", path, bump=None if not vault.models() else "patch", compress=compress)
        folder = vault.fetch(version.ref, tmp_path / version.number)
        assert (folder / path.name).read_bytes() == path.read_bytes()
        return sum(stored(vault).values()) - before

    return publish


def encs(vault: Vault, ref: str) -> list[str | None]:
    """How the parts of the only file are coded, without the header."""
    return [part.enc for part in vault.version(ref).files[0].parts[1:]]


# --- what is stored


def test_a_first_version_is_smaller(vault, added):
    assert added(tensors()) < 0.88 * TENSORS * MIB
    assert encs(vault, "m:1.0.0") == ["planes4+zstd"] * 4 + ["planes2+zstd"] * 2


def test_off_is_the_default(vault, tmp_path):
    save_file(tensors(), tmp_path / "a.safetensors")
    version = vault.publish("m", tmp_path / "a.safetensors")
    assert {part.enc for file in version.files for part in file.parts} == {None}


def test_a_fine_tune_is_the_difference_to_the_version_before_and_the_next_one_to_the_same(vault, added):
    first = added(tensors())
    assert added(tensors(0.01)) < 0.8 * first
    assert added(tensors(0.012)) < 0.8 * first
    [one], [two], [three] = (vault.version(f"m:1.0.{number}").files for number in range(3))
    digests = [part.digest for part in one.parts[1:]]
    for file in (two, three):
        assert [part.enc for part in file.parts[1:]] == ["delta4+zstd"] * 4 + ["delta2+zstd"] * 2
        assert [part.base.digest for part in file.parts[1:]] == digests
        assert all(part.base.base is None for part in file.parts[1:])


def test_a_longer_header_does_not_hide_the_base(vault, added):
    added(tensors())
    added(tensors(0.01), author="x" * 3_000)
    assert {enc[:5] for enc in encs(vault, "m:1.0.1")} == {"delta"}


def test_what_did_not_change_is_shared_coded_or_not(vault, added):
    added(tensors(), compress=False)
    assert added(tensors()) < 2 * KIB
    assert encs(vault, "m:1.0.1") == [None] * TENSORS
    changed = tensors() | {"t3": tensors(seed=5)["t3"]}
    assert 0.7 * MIB < added(changed) < MIB
    assert added(changed, compress=False) < 2 * KIB
    assert encs(vault, "m:1.0.3").count("planes4+zstd") == 1


def test_a_raw_version_is_a_base_too(vault, added):
    added(tensors(), compress=False)
    assert added(tensors(0.01)) < 0.7 * TENSORS * MIB
    assert {enc[:5] for enc in encs(vault, "m:1.0.1")} == {"delta"}


def test_retrained_tensors_have_no_base(vault, added):
    first = added(tensors())
    assert added(tensors(seed=1)) < first + 2 * KIB
    assert {enc[:6] for enc in encs(vault, "m:1.0.1")} == {"planes"}


def test_what_cannot_be_made_smaller_is_stored_as_it_is(vault, tmp_path):
    for name in "abc":
        (tmp_path / "files" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "files" / name).write_bytes(random.Random(name).randbytes(2 * MIB))
    version = vault.publish("m", tmp_path / "files", compress=True)
    assert {part.enc for file in version.files for part in file.parts} == {None}
    assert sum(stored(vault).values()) < 6 * MIB + 8 * KIB  # a manifest


def test_equal_parts_are_stored_once(vault, tmp_path):
    for name in ("a", "b"):
        (tmp_path / "files" / name).mkdir(parents=True)
        save_file(tensors(), tmp_path / "files" / name / "model.safetensors")
    vault.publish("m", tmp_path / "files", compress=True)
    assert sum(stored(vault).values()) < 0.88 * TENSORS * MIB
    assert vault.verify().ok


def test_a_blob_is_complete_when_it_is_large_enough(vault, added, monkeypatch):
    monkeypatch.setattr(encoding, "_PACK", MIB)
    added(tensors())
    assert len(stored(vault)) == 3
    assert {part.base for part in vault.version("m:1.0.0").files[0].parts} == {None}


def test_a_base_whose_blob_is_gone_is_none(vault, added, tmp_path):
    added(tensors())
    for key in stored(vault):
        vault._store.delete(key)
    added(tensors(0.01))
    assert {enc[:6] for enc in encs(vault, "m:1.0.1")} == {"planes"}


def test_a_damaged_base_is_none(vault, added):
    added(tensors())
    [key] = stored(vault)
    data = vault._store.read(key)
    vault._store.delete(key)
    vault._store.create(key, data[: 2 * MIB] + bytes(1000) + data[2 * MIB + 1000 :])
    added(tensors(0.01))
    assert sorted({enc[:5] for enc in encs(vault, "m:1.0.1")}) == ["delta", "plane"]


def test_publishing_the_same_again_is_the_same_version(vault, tmp_path):
    save_file(tensors(), tmp_path / "a.safetensors")
    first = vault.publish("m", tmp_path / "a.safetensors", compress=True)
    assert vault.publish("m", tmp_path / "a.safetensors", version="1.0.0", compress=True) == first
    assert vault.publish("m", tmp_path / "a.safetensors", version="1.0.0") == first


def test_an_estimate_says_what_it_would_be_when_it_is_coded(vault, added, tmp_path):
    path = tmp_path / "a.safetensors"
    save_file(tensors(), path)
    said = vault.publish("m", path, compress=True, dry_run=True)
    assert stored(vault) == {}
    assert said.new == sum(vault.publish("m", path, compress=True) and stored(vault).values())
    assert (said.shared, said.new + said.saved) == (0, path.stat().st_size)
    save_file(tensors() | {"t3": tensors(seed=5)["t3"]}, path)
    said = vault.publish("m", path, bump="patch", compress=True, dry_run=True)
    assert said.new + said.saved == MIB
    assert said.shared + MIB == said.size


def test_of_a_file_that_is_not_read_again_the_dtypes_are_known_too(tmp_path):
    save_file(tensors(), tmp_path / "a.safetensors")
    [read], [recalled] = sources.sources(tmp_path / "a.safetensors"), sources.sources(tmp_path / "a.safetensors")
    read.measure()
    recalled.digest = read.digest
    recalled._divide([(part.digest, part.size, dtype) for part, dtype in zip(read.parts, read.dtypes, strict=True)])
    assert recalled.dtypes == ["", *["F32"] * 4, *["F16"] * 2]
    assert recalled.parts == read.parts


def test_compress_is_true_or_false(vault, tmp_path):
    with pytest.raises(InvalidInput):
        vault.publish("m", tmp_path, compress="zstd")


def test_without_the_extra_nothing_is_stored(vault, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "numpy", None)
    (tmp_path / "a").write_bytes(bytes(100_000))
    with pytest.raises(Unsupported) as raised:
        vault.publish("m", tmp_path / "a", compress=True)
    assert raised.value.code == Code.EXTRA_MISSING
    assert stored(vault) == {}


def test_without_room_for_a_temporary_file_nothing_is_stored(tmp_path, monkeypatch):
    vault = Vault(MemoryStore())
    (tmp_path / "a").write_bytes(b"words " * 20_000)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(StoreError) as raised:
        vault.publish("m", tmp_path / "a", compress=True)
    assert raised.value.code == Code.STORE_DENIED
    assert "TMPDIR" in raised.value.hint
    assert stored(vault) == {}


def test_on_a_full_disk_nothing_stays(vault, tmp_path, monkeypatch):
    left, real = [3 * MIB], os.write
    save_file(tensors(), tmp_path / "a.safetensors")

    def write(file, data):
        left[0] -= len(data)
        if left[0] < 0:
            raise OSError(28, os.strerror(28))
        return real(file, data)

    with monkeypatch.context() as patch, pytest.raises(StoreError) as raised:
        patch.setattr(os, "write", write)
        vault.publish("m", tmp_path / "a.safetensors", compress=True)
    assert raised.value.code == Code.STORE_FULL
    assert stored(vault) == {}
    assert [*tmp_path.rglob(".tmp-*")] == []
    assert vault.publish("m", tmp_path / "a.safetensors", compress=True).number == "1.0.0"


def test_a_file_that_changes_while_it_is_encoded_is_refused(vault, tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    save_file(tensors(), path)
    encode = encoding.encode

    def changing(raw, **said):
        with open(path, "r+b") as file:
            file.seek(path.stat().st_size - 1000)
            file.write(b"!" * 1000)
        return encode(raw, **said)

    monkeypatch.setattr(encoding, "encode", changing)
    with pytest.raises(InvalidInput, match="changed"):
        vault.publish("m", path, compress=True)
    assert vault.models() == []


# --- what comes back


FILES = {
    "model.safetensors": lambda path: save_file(tensors(), path),
    "x.npz": lambda path: np.savez(path, a=tensors()["t3"], b=tensors()["t4"], c=np.arange(500_000)),
    "x.npy": lambda path: np.save(path, tensors()["t3"].astype("f8")),
    "text": lambda path: path.write_bytes(b"a model " * 400_000),
    "noise": lambda path: path.write_bytes(random.Random(1).randbytes(300_000)),
    "small": lambda path: path.write_bytes(b"words " * 10_000),
    "other": lambda path: path.write_bytes(b"other words " * 10_000),
    "inline": lambda path: path.write_bytes(b"{}"),
    "empty": lambda path: path.write_bytes(b""),
}


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "files"
    root.mkdir()
    for name, write in FILES.items():
        write(root / name)
    return root


@pytest.mark.parametrize("place", ["near", "far", "far without a cache"])
def test_every_way_to_read_gives_what_was_published(vault, folder, tmp_path, place):
    said = vault.publish("m", folder, compress=True)
    assert {part.enc for file in said.files for part in file.parts} >= {None, "zstd", "planes4+zstd", "planes8+zstd"}
    store = vault._store if place == "near" else Far(vault._store)
    reader = Vault(store, cache=tmp_path / "cache" if place == "far" else False)
    version = reader.version("m:1.0.0")
    for file in version.files:
        data = (folder / file.path).read_bytes()
        with version.open(file.path) as opened:
            opened.seek(len(data) // 3)
            assert opened.read(100) == data[len(data) // 3 :][:100]
            opened.seek(0)
            assert opened.read() == data
    for fetched in (reader.fetch("m:1.0.0", tmp_path / "out"), *([reader.load("m:1.0.0")] if place == "far" else [])):
        assert {path.name: path.read_bytes() for path in fetched.iterdir()} == {
            path.name: path.read_bytes() for path in folder.iterdir()
        }
    assert reader.verify().ok
    assert reader.verify(level="presence").ok


def test_on_every_store_a_version_and_its_fine_tune_come_back(reopen, tmp_path):
    contents = []
    for number, step in enumerate((0.0, 0.01)):
        save_file(tensors(step), tmp_path / "model.safetensors")
        contents.append((tmp_path / "model.safetensors").read_bytes())
        version = reopen().publish("m", tmp_path / "model.safetensors", version=f"1.0.{number}", compress=True)
    assert any(part.base for part in version.files[0].parts)
    for number, content in enumerate(contents):
        folder = reopen(cache=tmp_path / "another").fetch(f"m:1.0.{number}", tmp_path / f"{number}")
        assert (folder / "model.safetensors").read_bytes() == content


def test_an_array_loads_from_a_cache_mapped_and_from_a_vault_without_one(vault, tmp_path):
    values = np.random.default_rng(0).standard_normal((1500, 1000))
    vault.publish("m", values, compress=True)
    for store, cache in ((Far(vault._store), tmp_path / "cache"), (vault._store, False)):
        loaded = Vault(store, cache=cache).load("m:1.0.0")
        assert (loaded == values).all()
        loaded[0] = 1


def test_progress_counts_what_the_bytes_stand_for(vault, folder, tmp_path):
    vault.publish("m", folder, compress=True)
    told = []
    reader = Vault(Far(vault._store), cache=tmp_path / "cache", progress=told.append)
    reader.fetch("m:1.0.0", tmp_path / "out")
    inline = sum(file.size for file in reader.version("m:1.0.0").files if file.inline is not None)
    assert (told[-1].task, told[-1].done + inline, told[-1].ended) == ("fetch", told[-1].total, True)


lengths = st.lists(st.integers(1, 3_000), max_size=8)


@settings(max_examples=30)
@given(lengths, lengths, st.integers(0, 200), st.integers(0, 200), st.integers(0, 2**32))
def test_whatever_the_cuts_are_and_whatever_changes_it_comes_back(tmp_path_factory, first, second, changed, cut, seed):
    folder, draws = tmp_path_factory.mktemp("files"), random.Random(seed)
    vault, file = Vault(MemoryStore()), folder / "file"
    data = bytearray(draws.randbytes(sum(first)) + b"aaaabbbb" * 300 + draws.randbytes(5_000))
    other = data[: len(data) - cut] + draws.randbytes(changed)
    for spot in range(0, len(other), 97):
        other[spot] ^= 1
    dtypes = draws.choices(["", "BF16", "F32", "F64"], k=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "INLINE_LIMIT", 0)
        patch.setattr(sources, "_UNCUT", 0)
        patch.setattr(encoding, "_LEAST", draws.choice([0, 500]))
        patch.setattr(encoding, "_PACK", draws.choice([1, 5_000, 10**6]))
        patch.setattr(workers, "_HELD", draws.choice([0, 10**6]))
        patch.setattr(decoding, "_CHUNK", draws.choice([1_000, 10**6]))
        patch.setattr("modelvault.publishing._WORTH_A_LOOK", 0)
        for number, (content, sizes) in enumerate([(data, first), (other, second), (data, second), (other, first)]):
            pieces = cut_by(sizes, len(content), dtypes)
            patch.setattr(sources, "cuts", lambda *_, pieces=pieces, **__: pieces)
            file.write_bytes(content)
            vault.publish("m", Path(file), version=f"1.0.{number}", compress=draws.random() < 0.8)
            assert (vault.fetch(f"m:1.0.{number}", folder / f"{number}") / "file").read_bytes() == content
            with vault.version(f"m:1.0.{number}").open("file") as opened:
                opened.seek(spot := draws.randrange(len(content)))
                assert opened.read(1000) == content[spot : spot + 1000]
    assert vault.verify().ok


def cut_by(sizes: list[int], total: int, dtypes: list[str]) -> list[Piece]:
    """Pieces of these sizes, over and over."""
    pieces, left = [], total
    while left:
        for number, size in enumerate(sizes or [total]):
            pieces += [Piece(min(size, left), dtypes[number % len(dtypes)])] if left else []
            left -= min(size, left)
    return pieces


@pytest.mark.parametrize("size", [1, 40 * MIB, 200 * MIB])
def test_no_more_is_begun_than_memory_is_for(size):
    begun = []

    def items():
        while True:
            begun.append(size)
            yield size

    coming = workers.ahead(lambda item: item, items(), lambda item: item)
    for taken, made in zip(range(1, 10), coming, strict=False):
        assert made == size
        assert (len(begun) - taken) * size <= max(128 * MIB, size)


# --- damaged and hostile


@pytest.fixture(scope="module")
def two_versions(tmp_path_factory):
    """The objects of a vault with a version and its fine-tune, and the bytes of the two files."""
    store, path, contents = MemoryStore(), tmp_path_factory.mktemp("two") / "model.safetensors", []
    for number, step in enumerate((0.0, 0.01)):
        values = {name: value[:64] for name, value in tensors(step).items()} | {"wide": tensors(step)["t5"]}
        save_file(values, path)
        Vault(store).publish("m", path, version=f"1.0.{number}", compress=True)
        contents.append(path.read_bytes())
    encs = {part.enc for part in Vault(store).version("m:1.0.1").files[0].parts}
    assert "delta4+zstd" in encs
    return dict(store._objects), contents


def test_any_flipped_bit_of_a_coded_blob_is_noticed(two_versions, tmp_path):
    objects, contents = two_versions
    chance, seen = random.Random(5), 0
    for key in [key for key in objects if key.startswith(layout.BLOBS)]:
        for spot in chance.sample(range(8 * len(objects[key])), 60):
            store = MemoryStore()
            damaged = bytearray(objects[key])
            damaged[spot // 8] ^= 1 << spot % 8
            store._objects = objects | {key: bytes(damaged)}
            found = Vault(store)
            for number, content in enumerate(contents):
                [file] = found.version(f"m:1.0.{number}").files
                try:
                    assert found._catalog.blobs.read(file) == content
                except Corrupt as error:
                    seen += 1
                    assert (error.code, error.ref) == (Code.DIGEST_MISMATCH, key)
                    assert not found.verify(f"m:1.0.{number}").ok
    assert seen > 100


def test_a_part_whose_base_is_damaged_is_not_read(two_versions):
    objects, _ = two_versions
    store = MemoryStore()
    store._objects = dict(objects)
    file = Vault(store).version("m:1.0.1").files[0]
    base = next(part.base for part in file.parts if part.base)
    key = layout.blob(base.blob)
    damaged = bytearray(objects[key])
    damaged[base.offset + base.length // 2] ^= 1
    store._objects[key] = bytes(damaged)
    with Vault(store).version("m:1.0.1").open(file.path) as opened, pytest.raises(Corrupt, match=base.digest[:20]):
        opened.read()
    del store._objects[key]
    with pytest.raises(Corrupt) as raised:
        Vault(store)._catalog.blobs.read(file)
    assert raised.value.code == Code.BLOB_MISSING
    assert not Vault(store).verify("m:1.0.1", level="presence").ok


def forged(two_versions, **said) -> tuple[Vault, Part]:
    """A vault where a coded part of the fine-tune says something else of itself."""
    objects, _ = two_versions
    store = MemoryStore()
    store._objects = dict(objects)
    [key] = [key for key in objects if key.endswith("1.0.1.json")]
    claim = read_sealed(Claim, objects[key], key)
    manifest = json.loads(claim.target.inline)
    part = next(part for part in manifest["files"][0]["parts"] if "base" in part)
    part |= said
    manifest["files"][0]["parts"] = [
        {name: one for name, one in each.items() if one is not None} for each in manifest["files"][0]["parts"]
    ]
    raw = canonical(manifest)
    target = claim.target.model_copy(update={"inline": raw.decode(), "size": len(raw), "digest": digest_of(raw)})
    store._objects[key] = seal(claim.model_copy(update={"target": target}))
    return Vault(store), part


OTHER = {"digest": "blake3:" + hashlib.sha256(b"?").hexdigest()}


@pytest.mark.parametrize(
    ("said", "error", "code"),
    [
        ({"enc": "ans+zstd"}, Unsupported, Code.NEWER_FORMAT),
        ({"enc": "planes4+zstd"}, Corrupt, Code.DIGEST_MISMATCH),
        ({"enc": "zstd"}, Corrupt, Code.DIGEST_MISMATCH),
        ({"base": None}, Corrupt, Code.BAD_RECORD),
        ({"stored": 100}, Corrupt, Code.DIGEST_MISMATCH),
        ({"stored": 0}, Corrupt, Code.DIGEST_MISMATCH),
        ({"offset": 2**40}, Corrupt, Code.DIGEST_MISMATCH),
        (OTHER, Corrupt, Code.DIGEST_MISMATCH),
    ],
    ids=lambda said: str(said)[:30],
)
def test_a_part_that_lies_of_its_coding_stops_its_file_alone(two_versions, said, error, code, tmp_path):
    vault, _ = forged(two_versions, **said)
    [file] = vault.version("m:1.0.1").files
    for read in (vault._catalog.blobs.read, lambda file: vault.version("m:1.0.1").open(file.path).read()):
        with pytest.raises(error) as raised:
            read(file)
        assert raised.value.code == code
    with pytest.raises(error):
        vault.fetch("m:1.0.1", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    [problem] = vault.verify("m:1.0.1").problems
    assert problem.code == code
    assert vault.verify("m:1.0.0").ok


def test_what_a_record_says_beyond_this_release_is_not_taken_over(two_versions, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(two_versions[1][1])
    vault, part = forged(two_versions, colour="red" * 1000)
    version = vault.publish("m", tmp_path / "model.safetensors", version="1.0.2", compress=True)
    [again] = [one for one in version.files[0].parts if one.digest == part["digest"]]
    assert (again.enc, again.offset, again.model_extra) == (part["enc"], part.get("offset", 0), {})
    vault, part = forged(two_versions, enc="delta4+ans", table="x")
    version = vault.publish("m", tmp_path / "model.safetensors", version="1.0.2", compress=True)
    [again] = [one for one in version.files[0].parts if one.digest == part["digest"]]
    assert again.enc == "delta4+zstd"
    assert vault.verify("m:1.0.2").ok


def test_a_base_that_is_a_difference_itself_is_refused_as_a_record(two_versions):
    vault, part = forged(two_versions)
    vault, _ = forged(two_versions, base=part)
    with pytest.raises(Corrupt) as raised:
        vault.version("m:1.0.1")
    assert raised.value.code == Code.BAD_RECORD


def test_a_reader_without_the_extra_says_what_to_install(two_versions, monkeypatch):
    store = MemoryStore()
    store._objects = dict(two_versions[0])
    [file] = Vault(store).version("m:1.0.0").files
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(Unsupported) as raised:
        Vault(store)._catalog.blobs.read(file)
    assert raised.value.code == Code.EXTRA_MISSING
    assert "modelvault-sdk[compress]" in raised.value.hint


# --- cut off


def test_a_download_that_was_cut_off_goes_on(vault, added, tmp_path):
    values = {f"x{n}": np.random.default_rng(n).standard_normal((1024, 1024), "f4") for n in range(16)}
    added(values)
    [data] = [path.read_bytes() for path in (tmp_path / "1.0.0").iterdir()]

    class Cut(Far):
        given, left = 0, 40 * MIB

        def fetch(self, key, spans, sink):
            def counting(offset, chunk):
                self.given += len(chunk)
                if self.given > self.left:
                    raise StoreError("the link is cut", code=Code.STORE_UNREACHABLE)
                sink(offset, chunk)

            self.inner.fetch(key, spans, counting)

    cut = Cut(vault._store)
    with pytest.raises(StoreError):
        Vault(cut, cache=tmp_path / "cache").load("m:1.0.0")
    [path] = (tmp_path / "cache").glob("content/*/*/.tmp-*")
    left = path.stat().st_size
    assert left > 0
    cut = Cut(vault._store)
    cut.left = 10**9
    loaded = Vault(cut, cache=tmp_path / "cache").load("m:1.0.0")
    assert loaded.read_bytes() == data if loaded.is_file() else next(loaded.iterdir()).read_bytes() == data
    assert cut.given < sum(stored(vault).values()) - left // 2
