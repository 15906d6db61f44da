"""What is remembered of aliases across processes: it grows, never shrinks, and a store that knows less is told apart."""

import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelvault import layout
from modelvault.cache import Cache, Stored
from modelvault.cache import heads as module
from modelvault.canonical import digest_of
from modelvault.errors import Code, Corrupt, NotFound
from modelvault.stores import Key
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import Recording, Wrapper
from modelvault.vault import Vault
from modelvault.wire import Move, read_sealed

FOLDER = layout.journal("m", "prod")
NAMES = {"model": "m", "alias": "prod"}
URL = "s3://bucket"


class Far(Wrapper):
    url = URL


def grown(moves: int, store: MemoryStore | None = None, what: str = "x") -> MemoryStore:
    """A vault whose alias has been moved so often; more moves are added to `store`."""
    store = store or MemoryStore()
    vault = Vault(store)
    if not vault.models():
        for number in ("1.0.0", "1.1.0"):
            vault.publish("m", number, version=number)
    for _ in range(moves):
        there = vault.aliases("m").get("prod")
        vault.promote("m@prod", "1.1.0" if there and there.version == "1.0.0" else "1.0.0", reason=what)
    return store


def moves(store: MemoryStore) -> list[Stored[Move]]:
    """All, oldest first."""
    found = [(entry.key, store.read(entry.key)) for entry in store.list(FOLDER)]
    return [Stored(read_sealed(Move, raw, key), digest_of(raw), raw) for key, raw in reversed(found)]


def cut(store: MemoryStore, to: int) -> None:
    """Set the store back, as a restored backup would."""
    for entry in list(store.list(FOLDER)):
        if layout.seq_of(entry.key) > to:
            store.delete(entry.key)


@pytest.fixture
def reader(tmp_path):
    """Opens a vault as a new process would."""
    return lambda store: Vault(Far(store), cache=tmp_path / "cache", trust="pickle")


def code(action):
    with pytest.raises(Corrupt) as raised:
        action()
    return raised.value.code


# --- what a store may say after it was seen


def test_a_store_that_ends_before_what_was_seen_is_refused(reader):
    store = grown(3)
    reader(store).load("m@prod")
    cut(store, 2)
    for verb in (
        lambda vault: vault.load("m@prod"),
        lambda vault: vault.version("m@prod"),
        lambda vault: vault.history("m@prod"),
        lambda vault: vault.aliases("m"),
        lambda vault: vault.promote("m@prod", "1.0.0", reason="x"),
        lambda vault: vault.rollback("m@prod", reason="x"),
        lambda vault: vault.prefetch("m@prod"),
        lambda vault: vault.load("m@prod~1"),
    ):
        assert code(lambda: verb(reader(store))) == Code.ALIAS_WENT_BACKWARDS  # noqa: B023
    cut(store, 0)
    assert code(lambda: reader(store).promote("m@prod", "1.0.0", reason="x")) == Code.ALIAS_WENT_BACKWARDS
    assert moves(store) == []
    reader(store).load("m:1.0.0")


def test_the_way_out_is_in_the_hint(reader, tmp_path):
    store = grown(3)
    reader(store).load("m@prod")
    cut(store, 2)
    with pytest.raises(Corrupt) as raised:
        reader(store).load("m@prod")
    assert f"modelvault cache forget {URL}" in raised.value.hint
    assert Cache(tmp_path / "cache").forget(URL)
    assert reader(store).version("m@prod").number == moves(store)[-1].record.version


def test_what_a_writer_made_is_remembered_too(reader):
    store = grown(2)
    reader(store).promote("m@prod", "1.0.0", reason="x")
    cut(store, 2)
    assert code(lambda: reader(store).load("m@prod")) == Code.ALIAS_WENT_BACKWARDS


def test_a_writer_refuses_what_another_process_has_seen_more_of(reader):
    store = grown(2)
    writer = reader(store)
    writer.load("m@prod")
    grown(1, store)
    reader(store).load("m@prod")
    cut(store, 2)
    assert code(lambda: writer.promote("m@prod", "1.0.0", reason="x")) == Code.ALIAS_WENT_BACKWARDS
    assert code(lambda: writer.rollback("m@prod", reason="x")) == Code.ALIAS_WENT_BACKWARDS
    assert len(moves(store)) == 2


@pytest.mark.parametrize("more", [0, 1])
def test_another_entry_in_the_place_of_what_was_seen_is_refused(more, reader):
    store = grown(3)
    reader(store).load("m@prod")
    cut(store, 2)
    grown(1 + more, store, "another past")
    for verb in (
        lambda vault: vault.load("m@prod"),
        lambda vault: vault.promote("m@prod", "1.0.0", reason="x"),
    ):
        with pytest.raises(Corrupt) as raised:
            verb(reader(store))
        assert raised.value.code == Code.JOURNAL_BROKEN
        assert "cache forget" in raised.value.hint
    assert len(moves(store)) == 3 + more


def test_over_a_larger_gap_nothing_is_read(reader, tmp_path):
    store = grown(3)
    reader(store).load("m@prod")
    grown(5, store)
    recording = Recording(Far(store))
    Vault(recording, cache=tmp_path / "cache").load("m@prod")
    assert recording.counts == {"list": 1, "read": 1}


def test_who_has_seen_some_and_knows_of_more_checks_both(reader):
    store = grown(2)
    vault = reader(store)
    vault.load("m@prod")
    grown(2, store)
    reader(store).load("m@prod")
    grown(1, store)
    assert vault.version("m@prod").number == moves(store)[-1].record.version
    assert [move.seq for move in vault.history("m@prod")] == [5, 4, 3, 2, 1]


def test_one_alias_and_one_vault_do_not_speak_for_another(reader, tmp_path):
    store = grown(3)
    reader(store).load("m@prod")
    Vault(store).promote("m@canary", "1.0.0", reason="x")
    assert reader(store).load("m@canary") == "1.0.0"

    class Elsewhere(Wrapper):
        url = "s3://other"

    assert Vault(Elsewhere(grown(1)), cache=tmp_path / "cache").load("m@prod")


# --- the memory itself


def test_a_damaged_memory_is_dropped_and_made_again(reader, tmp_path):
    store = grown(2)
    reader(store).load("m@prod")
    [path] = (tmp_path / "cache").rglob("aliases/prod/*.json")
    for damage in (b"", b"{}", path.read_bytes()[:-1], bytes(20), moves(store)[0].raw):
        path.chmod(0o600)
        path.write_bytes(damage)
        reader(store).load("m@prod")
        assert path.read_bytes() == moves(store)[-1].raw


def test_odd_things_in_its_place_are_passed_over(reader, tmp_path):
    store = grown(2)
    reader(store).load("m@prod")
    [path] = (tmp_path / "cache").rglob("aliases/prod/*.json")
    (path.parent / "note.txt").write_text("x")
    (path.parent / "0000000000.json").write_text("x")
    (path.parent / "0000000001.json").mkdir()
    (path.parent / "0000000001.json" / "x").write_text("x")
    assert reader(store).load("m@prod")
    cut(store, 1)
    assert code(lambda: reader(store).load("m@prod")) == Code.ALIAS_WENT_BACKWARDS


def test_a_memory_that_cannot_be_written_stops_nobody(reader, tmp_path):
    store = grown(2)
    vault = reader(store)
    [folder] = (tmp_path / "cache" / "vaults").iterdir()
    (folder / "models").write_text("x")
    assert vault.load("m@prod")
    assert reader(store).load("m@prod")


def test_what_was_confirmed_is_noted_once_a_second_and_not_more(reader, monkeypatch):
    from modelvault import journal

    store, noted = grown(1), []
    vault = reader(store)
    monkeypatch.setattr(module.Heads, "saw", lambda *_: noted.append(1))
    now = time.time()
    for offset in (0, 0.1, 0.9, 1.1, 1.5, 2.2, -50):
        monkeypatch.setattr(journal.time, "time", lambda offset=offset: now + offset)
        vault.load("m@prod")
    assert len(noted) == 4


def test_old_heads_go_in_time(reader, tmp_path):
    store = grown(1)
    for _ in range(3):
        reader(store).load("m@prod")
        for path in (tmp_path / "cache").rglob("aliases/prod/*.json"):
            os.utime(path, (0, 0))
        grown(1, store)
    reader(store).load("m@prod")
    assert len([*(tmp_path / "cache").rglob("aliases/prod/*.json")]) == 1


SEQS = st.integers(1, 12)
ACTS = st.one_of(
    st.tuples(st.just("saw"), SEQS),
    st.tuples(st.just("age"), SEQS),
    st.tuples(st.just("reopen"), SEQS),
    st.tuples(st.just("look"), SEQS),
)
STORED = moves(grown(12))


@given(st.lists(ACTS, max_size=40))
def test_memory_is_the_newest_that_anybody_saw(tmp_path_factory, acts):
    cache = Cache(tmp_path_factory.mktemp("cache"))
    many, newest = [cache.heads(URL) for _ in range(3)], 0
    for number, (act, seq) in enumerate(acts):
        heads = many[number % 3]
        match act:
            case "saw":
                heads.saw(FOLDER, STORED[seq - 1])
                newest = max(newest, seq)
            case "age":
                for path in cache.folder.rglob("aliases/prod/*.json"):
                    os.utime(path, (0, 0))
            case "reopen":
                many[number % 3] = Cache(cache.folder).heads(URL)
        found = heads.newest(FOLDER, NAMES)
        assert (found.stored if found else None) == (STORED[newest - 1] if newest else None)


def _racer(place: Path, number: int) -> None:
    """Sees moves in an order of its own, and ages what it finds; what it remembers never shrinks."""
    heads, draws, last = Cache(place).heads(URL), random.Random(number), 0
    for seq in sorted(draws.choices(range(1, 13), k=40)):
        heads.saw(FOLDER, STORED[seq - 1])
        for _ in range(3):
            found = heads.newest(FOLDER, NAMES)
            assert found is not None
            assert found.stored.record.seq >= max(last, seq)
            assert found.stored == STORED[found.stored.record.seq - 1]
            last = found.stored.record.seq
        for path in place.rglob("aliases/prod/*.json"):
            try:
                os.utime(path, (time.time() - module._SPARED - 1,) * 2)
            except FileNotFoundError:
                continue


@pytest.mark.parametrize("rounds", [pytest.param(2, id="some"), pytest.param(60, id="many", marks=pytest.mark.long)])
def test_memory_never_shrinks_however_processes_race(rounds, tmp_path):
    for turn in range(rounds):
        place = tmp_path / str(turn)
        Cache(place).heads(URL)
        children = []
        for number in range(4):
            child = os.fork()
            if not child:
                signal.alarm(120)
                try:
                    _racer(place, turn * 10 + number)
                    os._exit(0)
                except BaseException:
                    import traceback

                    traceback.print_exc()
                    os._exit(1)
            children.append(child)
        assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 4


def test_threads_share_a_memory(tmp_path):
    heads = Cache(tmp_path).heads(URL)
    threads = [threading.Thread(target=lambda: [heads.saw(FOLDER, one) for one in STORED]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heads.newest(FOLDER, NAMES).stored == STORED[-1]


# --- the law


@settings(max_examples=40 if settings().max_examples <= 100 else settings().max_examples)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("read"), st.integers(0, 2)),
            st.tuples(st.just("reopen"), st.integers(0, 2)),
            st.tuples(st.just("grow"), st.integers(1, 3)),
            st.tuples(st.just("write"), st.integers(0, 2)),
            st.tuples(st.just("set back"), st.integers(0, 6)),
        ),
        max_size=25,
    )
)
def test_nobody_is_handed_less_or_another_past_than_any_process_has_seen(tmp_path_factory, acts):
    """Whatever a store is made to say, in whichever order processes of one user read it, anew, and write to it."""
    place, store, seen = tmp_path_factory.mktemp("cache"), grown(1), None

    def opened() -> Vault:
        return Vault(Far(store), cache=place)

    vaults = [opened() for _ in range(3)]
    for act, number in acts:
        if act == "grow":
            grown(number, store, str(random.random()))
        elif act == "set back":
            cut(store, number)
        elif act == "reopen":
            vaults[number] = opened()
        else:
            vault = opened() if act == "read" else vaults[number]
            before = moves(store)
            try:
                if act == "read":
                    vault.load("m@prod")
                else:
                    vault.promote("m@prod", "1.0.0", reason="x")
            except NotFound:
                assert seen is None
                continue
            except Corrupt as error:
                assert error.code in {Code.ALIAS_WENT_BACKWARDS, Code.JOURNAL_BROKEN}
                assert moves(store) == before
                continue
            newest = moves(store)[-1]
            assert seen is None or newest.record.seq >= seen.record.seq
            if seen is not None and newest.record.seq == seen.record.seq:
                assert newest == seen
            if seen is not None and act == "read" and newest.record.seq == seen.record.seq + 1:
                assert newest.record.prev == seen.digest
            seen = newest


def test_what_a_near_reader_is_told_is_not_remembered(tmp_path):
    store = grown(3)
    vault = Vault(store, cache=tmp_path / "cache")
    vault.load("m@prod")
    assert not (tmp_path / "cache").exists()
    cut(store, 2)
    assert Vault(store, cache=tmp_path / "cache").load("m@prod")


def test_a_head_has_the_key_of_its_move(reader, tmp_path):
    store = grown(3)
    reader(store).load("m@prod")
    disk = Cache(tmp_path / "cache").records(URL)
    assert disk.read(Key(layout.entry(FOLDER, 3))) == moves(store)[-1].raw
