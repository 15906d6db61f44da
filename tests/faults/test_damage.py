"""Stored bytes may change: every change of every bit is noticed, and no damage gives a reader another model."""

import functools
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
from modelvault.upkeep.verify import Level
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
CANARY = layout.journal("fraud", "canary")
MOVES = ["1.0.0", "1.1.0", "1.2.0", "1.0.0"]
LOADS = (
    {f"fraud:{number}": model for number, model in MODELS.items()}
    | {f"fraud@prod~{back}": MODELS[number] for back, number in enumerate(reversed(MOVES))}
    | {"fraud@prod": MODELS[MOVES[-1]], "fraud@canary": MODELS["1.3.0"]}
)
"""Every ref, and its model."""


class Reading(NamedTuple):
    """What reads an object: the narrowest `verify`, as a ref and a level, a load (if any does), and one that does not."""

    verify: tuple[str | None, Level]
    load: str | None
    spared: str


@pytest.fixture(scope="module")
def objects() -> Objects:
    """Two versions inline, one with a blob of 64 KiB, one with a manifest too long for its claim; 4 moves, 3 notes."""
    store = MemoryStore("scene")
    vault = Vault(store)
    for number, model in MODELS.items():
        vault.publish("fraud", model, version=number, params=MANY if number == "1.3.0" else {})
    for number in MOVES:
        vault.promote("fraud@prod", number, reason="next")
    vault.promote("fraud@canary", "1.3.0", reason="try it")
    for kind in ("remark", "yank", "unyank"):
        vault.note("fraud:1.1.0", "looked at", kind=kind)
    return store._objects


@functools.cache
def _readings(blobs: tuple[str, ...]) -> dict[str, Reading]:
    manifest, blob = blobs
    claims = {
        layout.claim("fraud", number): Reading((f"fraud:{number}", "structure"), f"fraud:{number}", "fraud@prod~3")
        for number in MODELS
    }
    moves = {
        layout.entry(JOURNAL, seq): Reading(("fraud@prod", "structure"), f"fraud@prod~{4 - seq}", "fraud:1.1.0")
        for seq in range(1, 5)
    }
    notes = {
        layout.entry(NOTES, seq): Reading(("fraud:1.1.0", "structure"), None, "fraud:1.1.0") for seq in range(1, 4)
    }
    readings = {
        layout.VAULT: Reading((None, "structure"), None, "fraud:1.0.0"),
        layout.entry(CANARY, 1): Reading(("fraud@canary", "structure"), "fraud@canary", "fraud:1.3.0"),
        manifest: Reading(("fraud:1.3.0", "structure"), "fraud@canary", "fraud:1.0.0"),
        blob: Reading(("fraud:1.2.0", "bytes"), "fraud@prod~1", "fraud:1.1.0"),
    }
    return readings | claims | moves | notes


def _blobs(objects: Objects) -> tuple[str, ...]:
    """The blobs: the manifest and the file."""
    return tuple(sorted((key for key in objects if key.startswith(layout.BLOBS)), key=lambda key: len(objects[key])))


def _vault(objects: Objects, changed: Objects | None = None, gone: Iterable[str] = ()) -> Vault:
    """A vault in a copy of `objects`, of which some are changed or gone."""
    store = MemoryStore("scene")
    store._objects = objects | (changed or {})
    for key in gone:
        del store._objects[key]
    return Vault(store)


def _loaded(vault: Vault, ref: str) -> bool:
    """Whether the model came, which is then the right one; it is an error otherwise, of a kind that says so."""
    try:
        model = vault.load(ref)
    except Corrupt:
        return False
    assert model == LOADS[ref]
    return True


def _is_noticed(objects: Objects, key: str, data: bytes, *, verified: bool = True, spared: bool = True) -> None:
    """`data` at `key` is reported as corrupt, never loaded, and harms nothing that does not read it."""
    reading = _readings(_blobs(objects))[key]
    vault = _vault(objects, {key: data})
    if reading.load:
        assert not _loaded(vault, reading.load)
    if verified:
        ref, level = reading.verify
        problems = vault.verify(ref, level=level).problems
        assert {type(problem) for problem in problems} == {Corrupt}
    if spared:
        assert _loaded(vault, reading.spared)


# --- bits ----------------------------------------------------------------------------------------------------------


def _flipped(data: bytes, bit: int) -> bytes:
    at, mask = bit // 8, 1 << bit % 8
    return data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]


def _flip(objects: Objects, key: str, bits: Iterable[int], *, verify_each: int = 1) -> None:
    for count, bit in enumerate(bits):
        data = _flipped(objects[key], bit)
        _is_noticed(objects, key, data, verified=count % verify_each == 0, spared=count % 64 == 0)


def test_every_bit_of_every_record_is_noticed(objects: Objects) -> None:
    for key in objects.keys() - set(_blobs(objects)):
        _flip(objects, key, range(8 * len(objects[key])))


def test_the_bits_of_a_blob_are_noticed(objects: Objects) -> None:
    draws = random.Random(13)
    for key in _blobs(objects):
        _flip(objects, key, draws.sample(range(8 * len(objects[key])), 10_000), verify_each=4)


SLICES = 8


@pytest.mark.long
@pytest.mark.parametrize("first", range(SLICES))
def test_every_bit_of_a_blob_is_noticed(objects: Objects, first: int) -> None:
    for key in _blobs(objects):
        _flip(objects, key, range(first, 8 * len(objects[key]), SLICES), verify_each=16)
