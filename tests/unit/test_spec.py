"""The specification's own test material: vectors and schemas agree with the code, and with the scripts that make them."""

import json
import runpy
from pathlib import Path

import jsonschema
import pytest

from modelvault.errors import Corrupt, Unsupported
from modelvault.wire import (
    Claim,
    Manifest,
    Move,
    Note,
    Policy,
    VaultRecord,
    digest_of,
    read_manifest,
    read_sealed,
    seal,
    write_manifest,
)

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "tests" / "vectors" / "v1"
SCHEMAS = ROOT / "docs" / "spec" / "v1"
SEALED = {"vault": VaultRecord, "claim": Claim, "move": Move, "note": Note, "policy": Policy}
VALID = sorted((VECTORS / "valid").glob("*.json"))
INVALID = sorted((VECTORS / "invalid").glob("*.json"))


def kind_of(path):
    return path.stem.partition("-")[0]


def read(path):
    raw, kind = path.read_bytes(), kind_of(path)
    return (
        read_manifest(raw, digest_of(raw), path.name)
        if kind == "manifest"
        else read_sealed(SEALED[kind], raw, path.name)
    )


def schema_of(kind):
    return json.loads((SCHEMAS / f"{kind}.schema.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_valid_vector_is_read(path):
    assert isinstance(read(path), SEALED.get(kind_of(path), Manifest))


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_valid_vector_fits_its_schema(path):
    jsonschema.validate(json.loads(path.read_bytes()), schema_of(kind_of(path)))


@pytest.mark.parametrize("path", [path for path in VALID if "null" not in path.stem], ids=lambda path: path.stem)
def test_every_member_of_a_valid_vector_is_kept_known_or_not(path):
    record = read(path)
    again = write_manifest(record) if kind_of(path) == "manifest" else seal(record)
    assert {**json.loads(path.read_bytes()), "~sha256": ""} == {**json.loads(again), "~sha256": ""}


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_an_invalid_vector_is_refused(path):
    expected = Unsupported if path.stem.endswith("-newer-major") else Corrupt
    with pytest.raises(expected) as caught:
        read(path)
    assert path.name in caught.value.message


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_valid_vector_is_refused_when_any_byte_is_changed(path):
    raw, kind = path.read_bytes(), kind_of(path)
    for place in range(len(raw)):
        bent = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        with pytest.raises(Corrupt):
            read_manifest(bent, digest_of(raw), "x") if kind == "manifest" else read_sealed(SEALED[kind], bent, "x")


def test_the_moves_among_the_vectors_are_a_chain():
    raw = [next((VECTORS / "valid").glob(f"move-{seq}-*.json")).read_bytes() for seq in (1, 2, 3, 4)]
    assert [None, *map(digest_of, raw[:3])] == [read_sealed(Move, each, "x").prev for each in raw]


def test_the_committed_vectors_are_those_that_the_script_makes():
    made = runpy.run_path(str(VECTORS / "make_vectors.py"))["vectors"]()
    assert made == {path.relative_to(VECTORS).as_posix(): path.read_bytes() for path in VALID + INVALID}


def test_the_committed_schemas_are_those_that_the_script_makes():
    made = runpy.run_path(str(ROOT / "docs" / "spec" / "make_schemas.py"))["schemas"]()
    committed = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in SCHEMAS.glob("*.json")}
    assert {name: json.loads(text) for name, text in made.items()} == committed


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.json")), ids=lambda path: path.stem)
def test_a_schema_is_a_schema(path):
    jsonschema.Draft202012Validator.check_schema(json.loads(path.read_text(encoding="utf-8")))
