"""Stored bytes may change: every change of every bit is noticed, and no damage gives a reader another model."""

import hashlib
import itertools
import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from modelvault import layout
from modelvault.canonical import digest_of
from modelvault.errors import Code, Corrupt, NotFound, VaultError
from modelvault.stores.memory import MemoryStore
from modelvault.testing.faults import Fault, FaultStore
from modelvault.vault import Vault
from modelvault.wire import Claim, Move, read_manifest, read_sealed, seal, write_manifest

from .scene import seen

Objects = dict[Any, bytes]

MODELS = {
    "1.0.0": {"n": 0},
    "1.1.0": {"n": 1},
    "1.2.0": hashlib.shake_256(b"64 KiB").digest(64 * 1024),
    "1.3.0": {"n": 3},
}
MANY = {f"layer{n}": "x" * 100 for n in range(150)}
JOURNAL = layout.journal("fraud", "prod")
NOTES = layout.notes("fraud", "1.1.0")
LOADS = dict(MODELS) | {f"prod~{back}": MODELS[f"1.{3 - back}.0"] for back in range(4)}


class Reading(NamedTuple):
    """What reads an object: the ref whose `verify` does, and the loads that do and do not."""

    verify: str | None
    load: str | None
    spared: str


@pytest.fixture(scope="module")
def objects() -> Objects:
    """Two versions inline, one with a blob of 64 KiB, one with a manifest too long for its claim; 4 moves, 3 notes."""
    store = MemoryStore("scene")
    vault = Vault(store)
    for number, model in MODELS.items():
        vault.publish("fraud", model, version=number, params=MANY if number == "1.3.0" else {})
        vault.promote("fraud@prod", number, reason="next")
    for kind in ("remark", "yank", "unyank"):
        vault.note("fraud:1.1.0", "looked at", kind=kind)
    return store._objects


def _readings(objects: Objects) -> dict[str, Reading]:
    claims = {
        layout.claim("fraud", number): Reading(f"fraud:{number}", f"fraud:{number}", "fraud@prod") for number in MODELS
    }
    moves = {
        layout.entry(JOURNAL, seq): Reading("fraud@prod", f"fraud@prod~{4 - seq}", "fraud:1.3.0") for seq in range(1, 5)
    }
    notes = {layout.entry(NOTES, seq): Reading("fraud:1.1.0", None, "fraud:1.1.0") for seq in range(1, 4)}
    blobs = {_blob(objects): Reading("fraud:1.2.0", "fraud@prod~1", "fraud:1.1.0")}
    manifests = {_manifest(objects): Reading("fraud:1.3.0", "fraud@prod", "fraud:1.2.0")}
    readings = {layout.VAULT: Reading(None, None, "fraud@prod")} | claims | moves | notes | blobs | manifests
    assert readings.keys() == objects.keys()
    return readings


def _blobs(objects: Objects) -> list[str]:
    return sorted((key for key in objects if key.startswith(layout.BLOBS)), key=lambda key: len(objects[key]))


def _manifest(objects: Objects) -> str:
    return _blobs(objects)[0]


def _blob(objects: Objects) -> str:
    return _blobs(objects)[1]


def _vault(objects: Objects, changed: Objects | None = None, gone: Iterable[str] = ()) -> Vault:
    """A vault in a copy of `objects`, of which some are changed or gone."""
    store = MemoryStore("scene")
    store._objects = {key: data for key, data in (objects | (changed or {})).items() if key not in gone}
    return Vault(store)


def _model(ref: str) -> Any:
    number = ref.removeprefix("fraud:")
    return MODELS[number] if number in MODELS else MODELS[f"1.{3 - int(ref.partition('~')[2] or 0)}.0"]


def _loads_nothing_wrong(vault: Vault, ref: str) -> bool:
    """True if the right model came, False if an error did."""
    try:
        model = vault.load(ref)
    except Corrupt:
        return False
    assert model == _model(ref)
    return True


def _is_noticed(objects: Objects, key: str, data: bytes, reading: Reading) -> None:
    """`data` at `key` is reported as corrupt, never loaded, and harms nothing that does not read it."""
    vault = _vault(objects, {key: data})
    problems = vault.verify(reading.verify).problems
    assert problems, key
    assert {type(problem) for problem in problems} == {Corrupt}
    if reading.load:
        assert not _loads_nothing_wrong(vault, reading.load), key
    assert _loads_nothing_wrong(vault, reading.spared)


# --- bits ----------------------------------------------------------------------------------------------------------


def _flipped(data: bytes, bit: int) -> bytes:
    at, mask = bit // 8, 1 << bit % 8
    return data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]


def _flip(objects: Objects, chosen: Callable[[str, range], Iterable[int]]) -> int:
    flips = 0
    for key, reading in _readings(objects).items():
        data = objects[key]
        for bit in chosen(key, range(8 * len(data))):
            _is_noticed(objects, key, _flipped(data, bit), reading)
            flips += 1
    return flips


SMALL = 16 * 1024


def test_every_bit_of_a_record_and_many_of_a_blob_are_noticed(objects: Objects) -> None:
    draws = random.Random(13)

    def some(key: str, bits: range) -> Iterable[int]:
        return bits if key not in _blobs(objects) else draws.sample(bits, 10_000)

    assert _flip(objects, some) > 20_000


@pytest.mark.long
def test_every_bit_is_noticed(objects: Objects) -> None:
    assert _flip(objects, lambda _, bits: bits) == 8 * sum(map(len, objects.values()))
