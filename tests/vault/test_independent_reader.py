"""A reader of fifty lines, written from `docs/spec/v1.md` alone, reads what the library has written."""

# ruff: noqa: E402 - the reader stands first and by itself

# --- reader begins
import base64
import hashlib
import json
from pathlib import Path


def files(root, ref):
    """The bytes of each file of what an alias such as fraud@prod points to, by its path."""
    vault, (model, alias) = Path(root), ref.split("@")
    pin = newest(vault, model, alias)["target"]
    raw = pin["inline"].encode() if "inline" in pin else blob(vault, **pin)
    manifest = json.loads(raw)
    says = [sha256(raw), manifest["record"], manifest["model"], manifest["version"]]
    check(says == [pin["digest"], "manifest/1", model, pin["version"]], "the manifest")
    own = [file for file in manifest["files"] if not file["path"].startswith("_modelvault/")]
    return {file["path"]: content(vault, file) for file in own}


def newest(vault, model, alias):
    """The newest move, once the whole chain of moves has been checked."""
    move, before = {}, None
    paths = (vault / "models" / model / "aliases" / alias).glob("*.json")
    for seq, path in enumerate(sorted(paths, reverse=True), 1):
        move, digest = record(path)
        check(path.name == f"{9_999_999_999 - seq:010}.json", path)
        says = [move["record"], move["model"], move["alias"], move["seq"], move.get("prev")]
        check(says == ["move/1", model, alias, seq, before], path)
        before = digest
    return move


def record(path):
    """A sealed record, and the digest of its bytes."""
    raw = path.read_bytes()
    body = raw[:-78] + b"}"
    check(raw[-78:] == b',"~sha256":"' + sha256(body)[7:].encode() + b'"}', path)
    return json.loads(body), sha256(raw)


def content(vault, file):
    parts = [blob(vault, **part) for part in file.get("parts", [])]
    data = base64.b64decode(file.get("inline", "")) + b"".join(parts)
    check(sha256(data) == file["digest"], file["path"])
    return data


def blob(vault, digest, size, blob=None, offset=0, enc=None, **_):
    name = (blob or digest)[7:]
    check(enc is None, "decoded nowhere here: " + name)
    whole = (vault / "blobs" / "sha256" / name[:2] / name).read_bytes()
    data = whole[offset : offset + size]
    check(digest.startswith("blake3:") or sha256(data) == digest, name)
    return data


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def check(holds, where):
    if not holds:
        raise ValueError(f"{where} is damaged")


# --- reader ends

import ast
import random
import sys

import jsonschema
import numpy as np
import pytest
from safetensors.numpy import save_file

import modelvault as mv

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ROOT = Path(__file__).parents[2]

SCHEMAS = {
    path.name.partition(".")[0]: json.loads(path.read_text(encoding="utf-8"))
    for path in (ROOT / "docs" / "spec" / "v1").glob("*.schema.json")
}


def written(folder, contents):
    for path, data in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def promoted(tmp_path, contents):
    """A vault where `contents` is the model that production uses."""
    vault = mv.open(tmp_path / "vault", cache=False)
    version = vault.publish("fraud", written(tmp_path / "files", contents), notes="é, \t and \\")
    vault.promote("fraud@prod", version, reason="first")
    return tmp_path / "vault"


BIG = random.Random(7).randbytes(300_000)
SHAPES = {
    "small and inline": {"weights.json": b"[1, 2]", "empty": b"", "modèle/a b.txt": b"\xff\x00"},
    "large and in a blob": {"weights.bin": BIG},
    "cut into parts": {"weights.bin": BIG * 10},
    "large beside small": {"weights.bin": BIG, "again.bin": BIG, "config.json": b"{}"},
    "so many files that the manifest is a blob": {f"shard-{n:03}": b"%d" % n for n in range(200)},
}


def lines_of_the_reader():
    text = Path(__file__).read_text(encoding="utf-8")
    reader = text.partition("# --- reader begins\n")[2].partition("# --- reader ends")[0]
    return [line for line in reader.splitlines() if line.strip()]


def test_the_reader_has_at_most_fifty_lines():
    assert len(lines_of_the_reader()) <= 50


def test_the_reader_imports_four_modules_of_the_standard_library():
    nodes = ast.walk(ast.parse("\n".join(lines_of_the_reader())))
    modules = {
        getattr(node, "module", None) or node.names[0].name
        for node in nodes
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert modules == {"base64", "hashlib", "json", "pathlib"}


@pytest.mark.parametrize("contents", SHAPES.values(), ids=SHAPES.keys())
def test_it_reads_every_byte_that_was_published(tmp_path, contents):
    assert contents == files(promoted(tmp_path, contents), "fraud@prod")


def test_it_follows_many_moves_forth_and_back(tmp_path):
    vault, chance = mv.open(tmp_path / "vault", cache=False), random.Random(11)
    for value in range(8):
        vault.publish("fraud", written(tmp_path / str(value), {"value": b"%d" % value}), bump="minor")
    vault.promote("fraud@prod", "1.0.0", reason="first")
    for _ in range(60):
        if chance.random() < 0.3 and vault.history("fraud@prod")[0].version != "1.0.0":
            vault.rollback("fraud@prod", reason="worse")
        else:
            vault.promote("fraud@prod", f"1.{chance.randrange(1, 8)}.0", reason="better")
        value = vault.version("fraud@prod").number.split(".")[1].encode()
        assert {"value": value} == files(tmp_path / "vault", "fraud@prod")


@pytest.mark.parametrize("contents", SHAPES.values(), ids=SHAPES.keys())
def test_it_refuses_a_vault_with_one_bit_changed(tmp_path, contents):
    root = promoted(tmp_path, contents)
    stored = [
        path for place in ("models/fraud/aliases", "blobs") for path in (root / place).rglob("*") if path.is_file()
    ]
    for path in stored:
        right = path.read_bytes()
        path.chmod(0o644)
        for place in random.Random(3).sample(range(len(right)), min(40, len(right))):
            path.write_bytes(right[:place] + bytes([right[place] ^ 4]) + right[place + 1 :])
            with pytest.raises((ValueError, KeyError)):
                files(root, "fraud@prod")
        path.write_bytes(right)
    assert contents == files(root, "fraud@prod")


@pytest.mark.parametrize("contents", SHAPES.values(), ids=SHAPES.keys())
def test_every_stored_record_fits_its_schema(tmp_path, contents):
    root = promoted(tmp_path, contents)
    vault = mv.open(root, cache=False)
    vault.note("fraud@prod", "slower on Mondays", kind="metrics", metrics={"p99": 12.5})
    records = [json.loads(path.read_bytes()) for path in root.rglob("*.json")]
    pins = [each["target"] for each in records if "target" in each]
    manifests = [json.loads(pin["inline"]) for pin in pins if "inline" in pin]
    manifests += [json.loads(blob(root, pin["digest"], pin["size"], pin["blob"])) for pin in pins if "blob" in pin]
    for each in records + manifests:
        jsonschema.validate(each, SCHEMAS[each["record"].partition("/")[0]])
    assert {"vault/1", "claim/1", "move/1", "note/1", "manifest/1"} == {each["record"] for each in records + manifests}


# --- coded parts, from the section "Codings" alone


def decoded(vault, part):
    """The bytes of a part, coded or not; its digest is not checked here."""
    name, begin = (part.get("blob") or part["digest"])[7:], part.get("offset", 0)
    whole = (vault / "blobs" / "sha256" / name[:2] / name).read_bytes()
    data = whole[begin : begin + part.get("stored", part["size"])]
    if "enc" not in part:
        return data
    kind, base = part["enc"].partition("+")[0], decoded(vault, part["base"]) if "base" in part else b""
    width = 1 if kind == "zstd" else int(kind[-1])
    planes, out = list(contents(data)), b""
    for at in range(0, len(planes), width):
        words = [int.from_bytes(octets, "big") for octets in zip(*planes[at : at + width], strict=True)]
        out += b"".join(word.to_bytes(width, "little") for word in undone(kind, width, words, base[len(out) :]))
    return out[: part["size"]]


def contents(data):
    """Of each frame."""
    while data:
        frame = zstd.ZstdDecompressor()
        yield frame.decompress(data)
        data = frame.unused_data


def undone(kind, width, words, base):
    bits = 8 * width
    for number, word in enumerate(words):
        if kind.startswith("delta"):
            other = int.from_bytes(base[number * width : (number + 1) * width], "little")
            yield (other + (word // 2 if word % 2 == 0 else -(word + 1) // 2)) % 2**bits
        else:
            turned = {1: 0, 2: 1, 4: 1, 8: 4}[width]
            yield (word >> turned) | (word << (bits - turned)) % 2**bits


def fine_tuned(step):
    """Tensors of every width, of which some are no whole blocks, and text."""
    chance = np.random.default_rng(0)
    values = [
        chance.standard_normal(count) * (1 + step * number) for number, count in enumerate((70_001, 90_000, 150_000))
    ]
    return {
        f"t{number}": value.astype(dtype)
        for number, (value, dtype) in enumerate(zip(values, ("f2", "f4", "f8"), strict=True))
    }


def test_coded_parts_are_what_the_specification_says(tmp_path):
    vault, path, seen = mv.open(tmp_path / "vault", cache=False), tmp_path / "model.safetensors", set()
    for number, step in enumerate((0.0, 1e-4)):
        save_file(fine_tuned(step), path, metadata={"words": "of the header " * 500})
        vault.publish("m", path, version=f"1.0.{number}", compress=True)
        vault.promote("m@prod", f"1.0.{number}", reason="x")
        manifest = json.loads(newest(tmp_path / "vault", "m", "prod")["target"]["inline"])
        [file] = manifest["files"]
        seen |= {part.get("enc") for part in file["parts"]}
        assert b"".join(decoded(tmp_path / "vault", part) for part in file["parts"]) == path.read_bytes()
        jsonschema.validate(manifest, SCHEMAS["manifest"])
        with pytest.raises(ValueError, match="decoded nowhere"):
            files(tmp_path / "vault", "m@prod")
    assert {"zstd", "planes2+zstd", "planes4+zstd", "planes8+zstd", "delta4+zstd", "delta8+zstd"} <= seen
