"""Stored bytes may change: every change of every bit is noticed, and no damage gives a reader another model."""

import functools
import hashlib
import itertools
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from modelvault import layout
from modelvault.canonical import digest_of
from modelvault.errors import Code, Corrupt, NotFound
from modelvault.stores import Entry, Key
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import Wrapper
from modelvault.testing.faults import Fault, FaultStore
from modelvault.upkeep.verify import Level
from modelvault.vault import Vault
from modelvault.wire import Claim, Move, read_manifest, read_sealed, seal, write_manifest

from .scene import Far

Objects = dict[Any, bytes]

MODELS = {
    "1.0.0": {"n": 0},
    "1.1.0": {"n": 1},
    "1.2.0": hashlib.shake_256(b"64 KiB").digest(64 * 1024),
    "1.3.0": {"n": 3},
}
MANY = {f"layer{n}": "x" * 100 for n in range(300)}
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
    assert vault.verify().ok
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


def _records(objects: Objects) -> Iterator[str]:
    return (key for key in objects if key not in _blobs(objects))


def test_every_bit_of_every_record_is_noticed(objects: Objects) -> None:
    for key in _records(objects):
        each = 8 if _readings(_blobs(objects))[key].load else 1
        _flip(objects, key, range(8 * len(objects[key])), verify_each=each)


def test_the_bits_of_a_blob_are_noticed(objects: Objects) -> None:
    draws = random.Random(13)
    for key in _blobs(objects):
        _flip(objects, key, draws.sample(range(8 * len(objects[key])), 10_000), verify_each=8)


@pytest.mark.long
def test_every_bit_of_every_record_is_noticed_by_verify(objects: Objects) -> None:
    for key in _records(objects):
        _flip(objects, key, range(8 * len(objects[key])))


SLICES = 8


@pytest.mark.long
@pytest.mark.parametrize("first", range(SLICES))
def test_every_bit_of_a_blob_is_noticed(objects: Objects, first: int) -> None:
    for key in _blobs(objects):
        _flip(objects, key, range(first, 8 * len(objects[key]), SLICES), verify_each=16)


@pytest.mark.parametrize("bit", random.Random(14).sample(range(8 * 64 * 1024), 50))
def test_an_alias_is_not_rolled_back_to_a_damaged_version(objects: Objects, bit: int) -> None:
    key = _blobs(objects)[1]
    vault = _vault(objects, {key: _flipped(objects[key], bit)})
    before = vault.history("fraud@prod")
    with pytest.raises(Corrupt):
        vault.rollback("fraud@prod", reason="it was better")
    assert before == vault.history("fraud@prod")


# --- lengths -------------------------------------------------------------------------------------------------------


def _cut(objects: Objects, key: str, lengths: Iterable[int]) -> None:
    for count, length in enumerate(lengths):
        _is_noticed(objects, key, objects[key][:length], spared=count % 64 == 0)


def test_every_cut_of_a_record_is_noticed(objects: Objects) -> None:
    for key in _records(objects):
        _cut(objects, key, range(len(objects[key])))


def test_a_cut_of_a_blob_is_noticed(objects: Objects) -> None:
    draws = random.Random(15)
    for key in _blobs(objects):
        size = len(objects[key])
        _cut(objects, key, [0, 1, size - 1, *draws.sample(range(size), 1_000)])


@pytest.mark.long
def test_every_cut_of_a_blob_is_noticed(objects: Objects) -> None:
    for key in _blobs(objects):
        _cut(objects, key, range(len(objects[key])))


@pytest.mark.parametrize("more", [b"\0", b" ", b"\n", b"{}", b"x" * 5_000])
def test_a_record_that_grew_is_noticed(objects: Objects, more: bytes) -> None:
    for key in _records(objects):
        _is_noticed(objects, key, objects[key] + more)
        _is_noticed(objects, key, more + objects[key])


def test_bytes_behind_a_blob_are_not_read(objects: Objects) -> None:
    """A part is a range, with a digest: what stands behind it is no part of any model."""
    changed = {key: objects[key] + b"more" for key in _blobs(objects)}
    assert all(_loaded(_vault(objects, changed), ref) for ref in LOADS)


# --- objects -------------------------------------------------------------------------------------------------------


def _is_reported(objects: Objects, changed: Objects) -> None:
    """The whole vault is reported as corrupt, and whatever loads is right."""
    vault = _vault(objects, changed)
    assert Corrupt in {type(problem) for problem in vault.verify().problems}
    for ref in LOADS:
        _loaded(vault, ref)


def test_every_swap_of_two_objects_is_noticed(objects: Objects) -> None:
    for one, other in itertools.combinations(objects, 2):
        _is_reported(objects, {one: objects[other], other: objects[one]})


def test_every_object_in_the_place_of_another_is_noticed(objects: Objects) -> None:
    for one, other in itertools.permutations(objects, 2):
        _is_reported(objects, {one: objects[other]})


def test_every_missing_object_is_noticed_but_the_newest_of_a_journal(objects: Objects) -> None:
    """Of that one a fresh reader cannot know; whoever has seen it does."""
    newest = {layout.entry(JOURNAL, 4), layout.entry(CANARY, 1), layout.entry(NOTES, 3)}
    for key in objects:
        vault = _vault(objects, gone=[key])
        assert vault.verify().ok == (key in newest)
        for ref in LOADS if key not in newest else (f"fraud:{number}" for number in MODELS):
            with suppress(NotFound):
                _loaded(vault, ref)


# --- journals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("left", range(4))
def test_a_vault_that_has_seen_more_moves_refuses_to_add_to_fewer(objects: Objects, left: int) -> None:
    vault = _vault(objects)
    assert len(vault.history("fraud@prod")) == 4
    store = vault._store
    for seq in range(4, left, -1):
        store.delete(Key(layout.entry(JOURNAL, seq)))
    kept = dict(store._objects)
    promote = partial(vault.promote, "fraud@prod", "1.1.0", reason="next")
    rollback = partial(vault.rollback, "fraud@prod", reason="it was better")
    for move in (promote, rollback):
        with pytest.raises(Corrupt) as raised:
            move()
        assert raised.value.code == Code.ALIAS_WENT_BACKWARDS
    assert kept == store._objects
    assert vault.version("fraud@prod").number == MOVES[-1]  # a reader stays where it was


class _Lagging(Wrapper):
    """A store whose listings leave out the newest `behind` entries."""

    behind = 0

    def list(self, prefix: str, *, limit: int | None = None) -> Iterator[Entry]:
        return islice(islice(self.inner.list(prefix), self.behind, None), limit)


def test_a_listing_that_goes_back_is_refused(objects: Objects) -> None:
    lagging = _Lagging(_vault(objects)._store)
    vault = Vault(lagging)
    assert len(vault.history("fraud@prod")) == 4
    Vault(lagging.inner).promote("fraud@prod", "1.3.0", reason="next")
    for lagging.behind in range(2, 6):
        for look in (vault.load, vault.history, vault.version, partial(vault.rollback, reason="back")):
            with pytest.raises(Corrupt) as raised:
                look("fraud@prod")
            assert raised.value.code == Code.ALIAS_WENT_BACKWARDS
    lagging.behind = 1
    assert vault.version("fraud@prod").number == MOVES[-1]
    lagging.behind = 0
    assert vault.version("fraud@prod").number == "1.3.0"


@pytest.mark.parametrize("seq", [1, 2, 3])
def test_a_gap_in_a_journal_is_named(objects: Objects, seq: int) -> None:
    vault = _vault(objects, gone=[layout.entry(JOURNAL, seq)])
    with pytest.raises(Corrupt, match=f"entry {seq} ") as raised:
        vault.history("fraud@prod")
    assert raised.value.code == Code.JOURNAL_BROKEN
    assert _loaded(vault, "fraud@prod")


@pytest.mark.parametrize(("seq", "older"), [(4, 3), (4, 1), (3, 2), (3, 1), (2, 1)])
def test_an_older_move_in_the_place_of_a_newer_one_is_refused(objects: Objects, seq: int, older: int) -> None:
    changed = {layout.entry(JOURNAL, seq): objects[layout.entry(JOURNAL, older)]}
    with pytest.raises(Corrupt) as raised:
        _vault(objects, changed).history("fraud@prod")
    assert raised.value.code == Code.JOURNAL_BROKEN
    assert not _vault(objects, changed).verify("fraud@prod").ok


def _resealed(objects: Objects, key: str, kind: type[Any], **changes: Any) -> Objects:
    """The record at `key` with some members changed, and a seal that matches: what an attacker can do."""
    return {key: seal(read_sealed(kind, objects[key], key).model_copy(update=changes))}


@pytest.mark.parametrize("seq", [1, 2, 3])
def test_a_forged_move_breaks_the_chain_though_its_seal_matches(objects: Objects, seq: int) -> None:
    target = read_sealed(Claim, objects[layout.claim("fraud", "1.3.0")], "").target
    for changes in ({"reason": "forged"}, {"target": target}, {"actor": "nobody"}, {"undo": None}):
        forged = _resealed(objects, layout.entry(JOURNAL, seq), Move, **changes)
        if forged.items() <= objects.items():
            continue
        vault = _vault(objects, forged)
        with pytest.raises(Corrupt, match=f"entry {seq + 1} ") as raised:
            vault.history("fraud@prod")
        assert raised.value.code == Code.JOURNAL_BROKEN
        assert not vault.verify().ok


def test_an_older_move_that_is_resealed_for_its_new_place_breaks_the_chain(objects: Objects) -> None:
    for seq, older in itertools.permutations(range(1, 4), 2):
        old = read_sealed(Move, objects[layout.entry(JOURNAL, older)], "")
        at = read_sealed(Move, objects[layout.entry(JOURNAL, seq)], "")
        forged = old.model_copy(update={"seq": seq, "prev": at.prev, "undo": at.undo})
        assert not _vault(objects, {layout.entry(JOURNAL, seq): seal(forged)}).verify("fraud@prod").ok


def test_a_forged_newest_move_is_refused_by_whoever_saw_the_true_one(objects: Objects) -> None:
    """A fresh reader cannot tell: nothing vouches for the newest entry but the access rights of the store."""
    forged = _resealed(objects, layout.entry(JOURNAL, 4), Move, reason="forged")
    vault = _vault(objects)
    assert vault.version("fraud@prod").number == MOVES[-1]
    vault._store._objects.update(forged)
    Vault(vault._store).promote("fraud@prod", "1.3.0", reason="built on the forged one")
    for look in (vault.load, vault.history, lambda alias: vault.promote(alias, "1.0.0", reason="next")):
        with pytest.raises(Corrupt) as raised:
            look("fraud@prod")
        assert raised.value.code == Code.JOURNAL_BROKEN
    assert Vault(vault._store).verify().ok


@pytest.mark.parametrize("broken", [1, 17, 39])
def test_a_break_in_a_long_journal_is_named(broken: int) -> None:
    store = MemoryStore()
    vault = Vault(store)
    for number in range(2):
        vault.publish("fraud", number, version=f"1.{number}.0")
    for turn in range(40):
        vault.promote("fraud@prod", f"1.{turn % 2}.0", reason="again")
    store._objects |= _resealed(store._objects, layout.entry(JOURNAL, broken), Move, reason="forged")
    with pytest.raises(Corrupt, match=f"entry {broken + 1} "):
        Vault(store).history("fraud@prod")


def test_a_forged_claim_does_not_reach_who_loads_by_alias(objects: Objects) -> None:
    key = layout.claim("fraud", "1.2.0")
    target = read_sealed(Claim, objects[key], key).target
    manifest = read_manifest(target.inline.encode(), target.digest, key)
    other = read_sealed(Claim, objects[layout.claim("fraud", "1.0.0")], "").target
    files = read_manifest(other.inline.encode(), other.digest, "").files
    raw = write_manifest(manifest.model_copy(update={"files": files}))
    forged = target.model_copy(update={"digest": digest_of(raw), "size": len(raw), "inline": raw.decode()})
    vault = _vault(objects, _resealed(objects, key, Claim, target=forged))
    assert vault.load("fraud:1.2.0") == MODELS["1.0.0"]  # who names the number trusts the claim
    assert _loaded(vault, "fraud@prod~1")
    assert Code.DIGEST_MISMATCH in {problem.code for problem in vault.verify().problems}
    with pytest.raises(Corrupt) as raised:
        vault.rollback("fraud@prod", reason="it was better")
    assert raised.value.code == Code.DIGEST_MISMATCH


def test_a_record_that_holds_another_manifest_than_it_names_is_refused(objects: Objects) -> None:
    [inline, blob] = (
        read_sealed(Claim, objects[layout.claim("fraud", number)], "").target for number in ("1.0.0", "1.3.0")
    )
    wrong = {"inline": inline.inline, "blob": None, "size": inline.size}, {"inline": None, "blob": blob.blob}
    places = (layout.claim("fraud", "1.1.0"), Claim, "fraud:1.1.0"), (layout.entry(JOURNAL, 2), Move, "fraud@prod~2")
    for (key, kind, ref), where in itertools.product(places, wrong):
        target = read_sealed(kind, objects[key], key).target.model_copy(update={"version": "1.1.0", **where})
        vault = _vault(objects, _resealed(objects, key, kind, target=target))
        with pytest.raises(Corrupt) as raised:
            vault.load(ref)
        assert raised.value.code == (Code.DIGEST_MISMATCH if kind is Claim else Code.JOURNAL_BROKEN)
        assert not vault.verify().ok


# --- on the way, and in the cache ----------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Fault.FLIP, Fault.SHORT], ids=lambda fault: fault.name)
@pytest.mark.parametrize("ref", LOADS)
def test_what_is_spoiled_on_the_way_is_neither_loaded_nor_kept(
    objects: Objects, ref: str, fault: Fault, tmp_path: Path
) -> None:
    """A store that is far, so that what is read from it goes into a cache."""
    far = Far(_vault(objects)._store)
    for at in itertools.count(1):
        faulty = FaultStore(far, fault, at=at)
        cache = tmp_path / str(at)
        came = _loaded(Vault(faulty, cache=cache, trust="pickle"), ref)
        assert came != faulty.struck
        assert _loaded(Vault(far, cache=cache, trust="pickle"), ref)
        if not faulty.struck:
            break


def test_a_damaged_cache_is_never_served(objects: Objects, tmp_path: Path) -> None:
    draws = random.Random(16)
    far = Far(_vault(objects)._store)
    Vault(far).publish("files", Path("trained"), version="1.0.0")
    trained = {path.name: path.read_bytes() for path in Path("trained").glob("*.bin")}

    def serves() -> bool:
        vault = Vault(far, cache=tmp_path / "cache", trust="pickle")
        files = {path.name: path.read_bytes() for path in vault.load("files:1.0.0").glob("*.bin")}
        return files == trained and all(_loaded(vault, ref) for ref in LOADS)

    def put(path: Path, data: bytes) -> None:
        path.unlink(missing_ok=True)
        path.write_bytes(data)

    spoils: list[Callable[[bytes], bytes]] = [
        lambda whole: whole[:-1],
        lambda whole: b"",
        lambda whole: whole + b"more",
        lambda whole: _flipped(whole, draws.randrange(8 * len(whole))) if whole else b"x",  # a stamp is empty
    ]
    assert serves()
    kept = {path: path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    assert len(kept) > 10
    for spoil in spoils:
        for path, whole in kept.items():
            put(path, spoil(whole))
            assert serves()
        for path, whole in kept.items():
            put(path, spoil(whole))
        assert serves()
    for path in kept:
        path.unlink(missing_ok=True)
        assert serves()
