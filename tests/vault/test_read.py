"""Load, fetch, and every kind of ref."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

import modelvault as mv
from modelvault.errors import AlreadyExists, Code, InvalidInput, NotFound, StoreError, Unsupported
from modelvault.vault import Vault


@pytest.fixture
def lines(vault):
    """Versions of several lines, each an object that tells its number."""
    for number in ("1.0.0", "1.4.0", "1.4.2", "1.5.0-rc.1", "2.0.0", "3.0.0-beta"):
        vault.publish("fraud", number, version=number)
    return vault


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        ("fraud:1.4.2", "1.4.2"),
        ("fraud:1.5.0-rc.1", "1.5.0-rc.1"),
        ("fraud:^1.0", "1.4.2"),
        ("fraud:~1.4", "1.4.2"),
        ("fraud:1.4.0 - 2", "2.0.0"),
        ("fraud:<1.4 || ^2", "2.0.0"),
        ("fraud:>=1.0.0 <1.4.1", "1.4.0"),
        ("fraud:*", "2.0.0"),
        ("fraud:>=3.0.0-alpha", "3.0.0-beta"),
        ("fraud:1.x", "1.4.2"),
    ],
)
def test_a_ref_names_one_version(lines, ref, expected):
    assert lines.load(ref) == expected
    assert lines.version(ref).number == expected


def test_a_yanked_version_is_no_match_of_a_range(lines):
    lines.yank("fraud:2.0.0", reason="leaks")
    assert lines.load("fraud:*") == "1.4.2"
    assert lines.load("fraud:2.0.0") == "2.0.0"
    lines.unyank("fraud:2.0.0", reason="it does not")
    assert lines.load("fraud:*") == "2.0.0"


def test_a_digest_names_one_version(lines):
    version = lines.version("fraud:1.4.2")
    hexed = version.digest.removeprefix("sha256:")
    assert lines.load(f"fraud#{hexed[:8]}") == lines.load(f"fraud#{hexed}") == "1.4.2"
    with pytest.raises(NotFound):
        lines.load("fraud#" + "0" * 16)


def test_a_digest_that_fits_two_versions_is_refused(lines, monkeypatch):
    from modelvault.reference import DigestRef

    with pytest.raises(InvalidInput) as caught:
        lines._catalog.resolve(DigestRef("fraud", ""))
    assert "ambiguous" in str(caught.value)


@pytest.mark.parametrize(
    ("ref", "code", "hint"),
    [
        ("fraud:9.9.9", Code.VERSION_NOT_FOUND, "2.0.0"),
        ("fraud:^9", Code.VERSION_NOT_FOUND, "2.0.0"),
        ("fraud@prod", Code.ALIAS_NOT_FOUND, "promote"),
        ("nothing:1.0.0", Code.MODEL_NOT_FOUND, "fraud"),
        ("nothing@prod", Code.MODEL_NOT_FOUND, "fraud"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(lines, ref, code, hint):
    with pytest.raises(NotFound) as caught:
        lines.load(ref)
    assert caught.value.code == code
    assert hint in caught.value.hint


def test_a_bare_name_lists_the_choices(lines):
    with pytest.raises(InvalidInput) as caught:
        lines.load("fraud")
    assert "fraud@prod" in caught.value.hint


@pytest.fixture
def moved(tmp_path):
    """An alias that moved once a day from 1 November 2026, at noon."""
    from modelvault.stores.memory import MemoryStore

    now = [datetime(2026, 11, 1, 12, tzinfo=UTC)]
    vault = Vault(MemoryStore(), clock=lambda: now[0])
    for number in ("1.0.0", "1.1.0", "1.2.0"):
        vault.publish("fraud", number, version=number)
        vault.promote("fraud@prod", number, reason="next")
        now[0] += timedelta(days=1)
    return vault


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        ("fraud@prod", "1.2.0"),
        ("fraud@prod~1", "1.1.0"),
        ("fraud@prod~2", "1.0.0"),
        ("fraud@prod@{2026-11-02}", "1.0.0"),
        ("fraud@prod@{2026-11-02T12:00:00Z}", "1.1.0"),
        ("fraud@prod@{2026-11-03T13:00:00+02:00}", "1.1.0"),
        ("fraud@prod@{2027-01-01}", "1.2.0"),
    ],
)
def test_an_alias_can_be_read_as_it_was(moved, ref, expected):
    assert moved.load(ref) == expected


@pytest.mark.parametrize("ref", ["fraud@prod~3", "fraud@prod@{2026-11-01}"])
def test_before_its_first_move_an_alias_is_not_there(moved, ref):
    with pytest.raises(NotFound) as caught:
        moved.load(ref)
    assert caught.value.code == Code.ALIAS_NOT_FOUND


def test_a_retired_alias_says_so(moved):
    from modelvault.journal import Journal
    from modelvault.wire import Move, record

    journal: Journal[Move] = moved._catalog.journal("fraud", "prod")
    said = {"model": "fraud", "alias": "prod", "txn": "0" * 32, "kind": "retire", "actor": "ann", "reason": "replaced"}
    journal.append(
        lambda newest, slot: record(Move, **said, seq=slot.seq, prev=slot.prev, at=newest.at, undo=newest.seq)
    )
    with pytest.raises(NotFound) as caught:
        moved.load("fraud@prod")
    assert "retired: replaced" in str(caught.value)
    assert moved.rollback("fraud@prod", reason="it is needed").version == "1.2.0"


def test_an_empty_vault_has_nothing(vault):
    assert vault.models() == []
    for listing in (vault.versions, vault.aliases):
        with pytest.raises(NotFound) as caught:
            listing("fraud")
        assert caught.value.code == Code.MODEL_NOT_FOUND
    assert vault.verify().ok


def test_what_there_is_is_listed(lines):
    lines.publish("churn", 1)
    lines.promote("fraud@prod", "1.4.0", reason="r")
    lines.promote("fraud@next", "2.0.0", reason="r")
    assert lines.models() == ["churn", "fraud"]
    order = ["3.0.0-beta", "2.0.0", "1.5.0-rc.1", "1.4.2", "1.4.0", "1.0.0"]
    assert [version.number for version in lines.versions("fraud")] == order
    assert {name: move.version for name, move in lines.aliases("fraud").items()} == {"next": "2.0.0", "prod": "1.4.0"}


def test_fetch_lays_the_files_in_a_folder(vault, tmp_path):
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "a.json").write_text("{}")
    (source / "sub" / "b.bin").write_bytes(b"b" * 50_000)
    vault.publish("fraud", source)
    assert vault.fetch("fraud:1.0.0", tmp_path / "out" / "all") == tmp_path / "out" / "all"
    assert (tmp_path / "out" / "all" / "sub" / "b.bin").read_bytes() == b"b" * 50_000
    some = vault.fetch("fraud:1.0.0", tmp_path / "some", only=["*.json"])
    assert [path.name for path in some.iterdir()] == ["a.json"]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".tmp")] == []


def test_fetch_replaces_nothing(vault, tmp_path):
    vault.publish("fraud", 1)
    (tmp_path / "out").mkdir()
    vault.fetch("fraud:1.0.0", tmp_path / "out")
    with pytest.raises(AlreadyExists) as caught:
        vault.fetch("fraud:1.0.0", tmp_path / "out")
    assert caught.value.code == Code.TARGET_EXISTS
    with pytest.raises(AlreadyExists):
        vault.fetch("fraud:1.0.0", tmp_path / "out" / "model.pkl")


def test_fetch_says_what_it_cannot_do(vault, tmp_path):
    vault.publish("fraud", 1)
    with pytest.raises(NotFound) as missing:
        vault.fetch("fraud:1.0.0", tmp_path / "out", only=["*.onnx"])
    assert "model.pkl" in missing.value.hint
    assert not (tmp_path / "out").exists()
    with pytest.raises(InvalidInput):
        vault.fetch("fraud:1.0.0", only=["*.pkl"])
    with pytest.raises(StoreError):
        vault.fetch("fraud:1.0.0", "/proc/nothing/out")


def test_without_a_cache_files_need_a_place(reopen, tmp_path):
    vault = reopen(cache=None)
    (tmp_path / "a.txt").write_text("a")
    vault.publish("fraud", tmp_path / "a.txt")
    with pytest.raises(InvalidInput) as caught:
        vault.fetch("fraud:1.0.0")
    assert "to=" in caught.value.hint
    assert (vault.fetch("fraud:1.0.0", tmp_path / "out") / "a.txt").read_text() == "a"


def test_arrays_need_no_pickle(vault):
    arrays = {"w": np.arange(6.0).reshape(2, 3), "b": np.zeros(3, dtype="float32")}
    assert vault.publish("fraud", arrays).format == "numpy"
    again = vault.load("fraud:1.0.0")
    assert {name: (value == arrays[name]).all() for name, value in again.items()} == {"w": True, "b": True}


def test_a_format_that_is_not_installed_is_named(vault):
    from modelvault.wire import Manifest

    version = vault.publish("fraud", 1)
    changed: Manifest = version.manifest.model_copy(update={"format": "tenfold"})
    vault._catalog._manifests[version.digest] = changed
    with pytest.raises(Unsupported) as caught:
        vault.load("fraud:1.0.0")
    assert caught.value.code == Code.UNKNOWN_FORMAT


def test_a_version_can_do_what_the_vault_can(vault, tmp_path):
    old, new = vault.publish("fraud", 1), vault.publish("fraud", 2, bump="minor")
    new.fetch(tmp_path / "out")
    vault.note(new.ref, "looks fine")
    assert (new.load(), old.load()) == (2, 1)
    assert [note.text for note in new.remarks()] == ["looks fine"]
    assert old.diff(new).changes == vault.diff("fraud:1.0.0", "fraud:1.1.0").changes


def test_an_application_loads_by_alias_in_one_line(tmp_path):
    vault = mv.open(tmp_path / "vault")
    vault.promote("fraud@prod", vault.publish("fraud", [1, 2, 3]), reason="r")
    assert mv.load("fraud@prod", vault=tmp_path / "vault") == [1, 2, 3]
    assert mv.load("fraud@prod", vault=vault) == [1, 2, 3]
    code = "import modelvault as mv; print(mv.load('fraud@prod'))"
    settings = {"MODELVAULT_URL": str(tmp_path / "vault"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", code], env=settings, capture_output=True, text=True, check=True)
    assert done.stdout == "[1, 2, 3]\n"


def test_open_finds_the_users_own_vault(tmp_path, monkeypatch):
    monkeypatch.delenv("MODELVAULT_URL")
    monkeypatch.delenv("MODELVAULT_CACHE")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    vault = mv.open()
    assert Path(vault.url) == tmp_path / "data" / "modelvault"
    vault.publish("fraud", Path(__file__))
    assert vault.load("fraud:1.0.0").is_relative_to(tmp_path / "cache" / "modelvault")


@pytest.mark.parametrize("options", [{"trust": "everything"}, {"retries": 3}])
def test_open_refuses_what_it_does_not_know(tmp_path, options):
    with pytest.raises(InvalidInput) as caught:
        mv.open(tmp_path, **options)
    assert caught.value.code == Code.BAD_VALUE


def test_open_touches_nothing(tmp_path):
    vault = mv.open(tmp_path / "vault", cache=tmp_path / "cache")
    assert vault.models() == []
    assert list(tmp_path.iterdir()) == []
    assert repr(vault) == f"<Vault {tmp_path / 'vault'}>"


def test_a_vault_that_is_made_anew_is_not_taken_for_the_old_one_until_that_is_forgotten(tmp_path):
    from modelvault.cache import Cache
    from modelvault.stores.memory import MemoryStore
    from modelvault.stores.wrappers import Wrapper

    class Far(Wrapper):
        url = "far://away"

        def private(self, key):
            return True

    for thing in ("old", "new"):
        vault = Vault(Far(MemoryStore()), cache=tmp_path / "cache")
        version = vault.publish("fraud", thing)
        if thing == "new":
            with pytest.raises(mv.errors.Corrupt) as caught:
                vault.promote("fraud@prod", version, reason="r")
            assert caught.value.code == Code.ALIAS_WENT_BACKWARDS
            assert "modelvault cache forget far://away" in caught.value.hint
            assert Cache(tmp_path / "cache").forget("far://away")
        vault.promote("fraud@prod", version, reason="r")
        assert Vault(vault._store, cache=tmp_path / "cache").load("fraud@prod") == thing


def test_a_version_never_pairs_a_manifest_with_another_digest(lines):
    from modelvault.catalog import Found
    from modelvault.reference import parse

    old, new = (lines._catalog.resolve(parse(f"fraud:{number}")) for number in ("1.0.0", "2.0.0"))
    forged = Found("fraud", new.target.model_copy(update={"version": "1.0.0"}), old.key)
    with pytest.raises(mv.errors.Corrupt) as caught:
        lines._version(forged)
    assert caught.value.code == Code.DIGEST_MISMATCH


def test_a_vault_and_its_versions_travel_to_other_processes(tmp_path):
    import pickle

    vault = mv.open(tmp_path / "vault", cache=tmp_path / "cache", trust="pickle")
    version = vault.publish("fraud", [1, 2])
    again = pickle.loads(pickle.dumps(version))
    assert (again, again.load(), again._vault.url) == (version, [1, 2], vault.url)
    assert pickle.loads(pickle.dumps(vault)).load("fraud:1.0.0") == [1, 2]


def test_what_is_not_there_is_said_with_where_it_was_looked_for(tmp_path):
    with pytest.raises(NotFound) as caught:
        mv.load("fraud@prod", vault=tmp_path / "elsewhere")
    assert str(tmp_path / "elsewhere") in caught.value.hint
