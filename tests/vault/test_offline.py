"""Where the store cannot be reached: what was fetched still loads, an alias means what it last meant, and says so."""

import os
import time
import warnings
from pathlib import Path

import pytest

import modelvault as mv
from modelvault.cache import Cache
from modelvault.errors import Code, NotFound, StaleAlias, StoreError
from modelvault.stores.local import LocalStore
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import Recording, Wrapper
from modelvault.vault import Vault

URL = "s3://bucket"


class Line(Wrapper):
    """The way to a remote store: `down` is the code with which all fails, if it does."""

    url = URL

    def __init__(self, inner):
        super().__init__(inner)
        self.down = None

    def private(self, key):
        return False

    def around(self, operation, call):
        if self.down:
            raise StoreError("no route to host", code=self.down)
        return call()


@pytest.fixture
def files(tmp_path):
    """A folder whose files are too many for a small manifest, so that it is a blob of its own, too."""
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(200):
        (folder / f"{number:03}").write_bytes(os.urandom(140_000 if number < 3 else 10))
    return folder


@pytest.fixture
def line(files):
    """A vault with `small:1.0.0` and `small:1.1.0`, at which `prod` is, and `wide:1.0.0`, which has blobs."""
    line = Line(MemoryStore())
    vault = Vault(line.inner)
    for number in ("1.0.0", "1.1.0"):
        vault.promote("small@prod", vault.publish("small", number, version=number), reason="x")
    vault.promote("wide@prod", vault.publish("wide", files), reason="x")
    return line


@pytest.fixture
def reader(line, tmp_path):
    """Opens the vault as a new process would."""
    return lambda **options: Vault(line, **({"cache": tmp_path / "cache", "trust": "pickle"} | options))


def unreachable(action):
    with pytest.raises(StoreError) as raised:
        action()
    return raised.value.code == Code.STORE_UNREACHABLE


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# --- aliases


def test_an_alias_means_what_another_process_last_saw(line, reader):
    assert reader().load("small@prod") == "1.1.0"
    line.down = Code.STORE_UNREACHABLE
    with pytest.warns(StaleAlias) as warned:
        assert reader().load("small@prod") == "1.1.0"
    [warning] = warned
    for told in ("small@prod", "small:1.1.0", "0 seconds ago", URL, "no route to host"):
        assert told in str(warning.message)
    assert warning.filename == __file__


def test_an_alias_means_what_this_process_last_saw(line, reader):
    for options in ({}, {"cache": False}):
        line.down = None
        vault = reader(**options)
        assert vault.load("small@prod") == "1.1.0"
        line.down = Code.STORE_UNREACHABLE
        with pytest.warns(StaleAlias):
            assert vault.load("small@prod") == "1.1.0"


def test_a_version_says_how_stale_it_is_and_that_it_is_not(line, reader, tmp_path):
    vault = reader()
    assert vault.version("small@prod").stale is None
    assert "stale" not in str(vault.version("small@prod"))
    [head] = (tmp_path / "cache" / "vaults").glob("*/models/small/aliases/prod/*.json")
    os.utime(head, (time.time() - 7_300, time.time() - 7_300))
    line.down = Code.STORE_UNREACHABLE
    with pytest.warns(StaleAlias, match="2 hours ago"):
        version = reader().version("small@prod")
    assert 7_300 <= version.stale < 7_400
    assert "stale" in str(version)
    with pytest.warns(StaleAlias, match="seconds ago"):
        assert vault.version("small@prod").stale < 100  # this one has asked since
    line.down = None
    assert reader().version("small@prod").stale is None
    line.down = Code.STORE_UNREACHABLE
    with pytest.warns(StaleAlias, match="seconds ago"):
        assert reader().version("small@prod").stale < 100


def test_one_who_wants_no_stale_alias_says_so(line, reader):
    reader().load("small@prod")
    line.down = Code.STORE_UNREACHABLE
    with warnings.catch_warnings():
        warnings.simplefilter("error", StaleAlias)
        with pytest.raises(StaleAlias):
            reader().load("small@prod")


@pytest.mark.parametrize("code", [Code.STORE_FAILED, Code.STORE_DENIED, Code.STORE_BUSY, Code.STORE_FULL])
def test_no_other_failure_is_answered_from_memory(code, line, reader):
    vault = reader()
    vault.load("small@prod")
    line.down = code
    for one in (vault, reader()):
        with pytest.raises(StoreError) as raised:
            one.load("small@prod")
        assert raised.value.code == code


def test_an_alias_that_is_gone_or_damaged_is_not_answered_from_memory(line, reader):
    reader().load("small@prod")
    [newest, *_] = line.inner.list("models/small/aliases/prod/")
    whole = line.inner.read(newest.key)
    line.inner.delete(newest.key)
    line.inner.create(newest.key, whole[:-5])
    with pytest.raises(mv.errors.Corrupt):
        reader().load("small@prod")
    with pytest.raises(NotFound):
        reader().load("small@other")


def test_what_nobody_has_seen_is_not_known(line, reader):
    reader().load("small:1.1.0")
    line.down = Code.STORE_UNREACHABLE
    for ref in ("small@prod", "wide@prod", "small@other", "small:1.0.0"):
        assert unreachable(lambda: reader().load(ref))  # noqa: B023


@pytest.mark.parametrize("ref", ["small@prod~1", "small@prod@{2999-01-01}", "small:*", "small:^1.0"])
def test_the_past_of_an_alias_and_ranges_need_the_store(ref, line, reader):
    vault = reader()
    vault.load(ref)
    vault.load("small@prod")
    line.down = Code.STORE_UNREACHABLE
    assert unreachable(lambda: vault.load(ref))
    assert unreachable(lambda: reader().load(ref))


WRITES = {
    "promote": lambda vault: vault.promote("small@prod", "1.0.0", reason="x"),
    "promote to an alias": lambda vault: vault.promote("small@canary", "small@prod", reason="x"),
    "rollback": lambda vault: vault.rollback("small@prod", reason="x"),
    "note": lambda vault: vault.note("small@prod", "x"),
    "yank": lambda vault: vault.yank("small@prod", reason="x"),
    "notes": lambda vault: vault.notes("small@prod"),
    "history": lambda vault: vault.history("small@prod"),
    "verify": lambda vault: vault.verify("small@prod"),
    "prefetch": lambda vault: vault.prefetch("small@prod"),
}


@pytest.mark.parametrize("verb", WRITES.values(), ids=WRITES)
def test_who_writes_or_must_know_asks_the_store(verb, line, reader):
    vault = reader()
    vault.version("small@prod")
    line.down = Code.STORE_UNREACHABLE
    for one in (vault, reader()):
        assert unreachable(lambda: verb(one))  # noqa: B023


def test_of_a_near_vault_nothing_is_remembered_on_disk(tmp_path):
    store = LocalStore(tmp_path / "vault")
    vault = Vault(store, cache=tmp_path / "cache")
    vault.promote("m@prod", vault.publish("m", 1), reason="x")
    vault.load("m@prod")
    assert not (tmp_path / "cache").exists()


# --- versions


def test_a_number_that_was_loaded_needs_no_request(line, reader, files, tmp_path):
    for ref in ("small:1.1.0", "wide:1.0.0"):
        reader().load(ref)
    line.down = Code.STORE_UNREACHABLE
    assert reader().load("small:1.1.0") == "1.1.0"
    assert contents(reader().load("wide:1.0.0")) == contents(files)
    assert contents(reader().fetch("wide:1.0.0")) == contents(files)
    assert contents(reader().fetch("wide:1.0.0", tmp_path / "to", only="00*")).keys() == {f"00{n}" for n in range(10)}
    assert reader().version("wide:1.0.0").stale is None
    assert reader().diff("wide:1.0.0", "wide:1.0.0").changes == ()


def test_a_stale_alias_is_fetched_and_compared_as_well(line, reader, files, tmp_path):
    reader().prefetch("wide@prod", "small:1.0.0")
    line.down = Code.STORE_UNREACHABLE
    for verb in (
        lambda vault: contents(vault.fetch("wide@prod", tmp_path / "to")) == contents(files),
        lambda vault: contents(vault.load("wide@prod")) == contents(files),
        lambda vault: vault.version("wide@prod").load() is not None,
        lambda vault: vault.diff("wide@prod", "wide:1.0.0").changes == (),
        lambda vault: vault.diff("wide@prod", "wide:1.0.0").issues is None,
    ):
        with pytest.warns(StaleAlias):
            assert verb(reader())


def test_where_only_the_content_is_missing_the_store_is_asked_and_says_why(line, reader, tmp_path):
    reader().load("wide@prod")
    assert Cache(tmp_path / "cache").prune(0)
    line.down = Code.STORE_UNREACHABLE
    store = Recording(line)
    with pytest.warns(StaleAlias):
        assert unreachable(lambda: Vault(store, cache=tmp_path / "cache").load("wide@prod"))
    assert store.counts == {"list": 1, "fetch": 1}  # and not once more past the cache


# --- prefetch


def test_what_was_prefetched_loads_without_the_store(line, reader, files):
    small, wide = reader().prefetch("small@prod", "wide:^1")
    assert (small.ref, wide.ref) == ("small:1.1.0", "wide:1.0.0")
    line.down = Code.STORE_UNREACHABLE
    with pytest.warns(StaleAlias):
        assert reader().load("small@prod") == "1.1.0"
    assert contents(reader().load("wide:1.0.0")) == contents(files)


def test_a_prefetch_deserialises_nothing(line, tmp_path):
    vault = Vault(line, cache=tmp_path / "cache")
    vault.prefetch("small@prod")
    with pytest.raises(mv.errors.Untrusted):
        vault.load("small@prod")


def test_a_prefetch_asks_for_each_thing_once(line, tmp_path):
    store = Recording(line)
    vault = Vault(store, cache=tmp_path / "cache")
    vault.prefetch("wide@prod")
    assert store.counts == {"list": 1, "read": 2, "fetch": 4}  # the alias; the claim; a manifest and three files
    store.operations.clear()
    Vault(store, cache=tmp_path / "cache").prefetch("wide:1.0.0")
    assert store.counts == {}


def test_a_prefetch_that_cannot_be_kept_fails(line, tmp_path):
    with pytest.raises(mv.errors.InvalidInput):
        Vault(line).prefetch("small@prod")
    Vault(line, cache=tmp_path / "layer").prefetch("small@prod")
    (tmp_path / "file").write_text("x")
    cache = tmp_path / "file" / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODELVAULT_CACHE_LAYERS", str(tmp_path / "layer"))
        Vault(line, cache=cache).prefetch("small@prod")
        for ref in ("wide@prod", "small:1.0.0"):
            with pytest.raises(StoreError) as raised:
                Vault(line, cache=cache).prefetch(ref)
            assert raised.value.code == Code.STORE_DENIED


def test_a_prefetch_brings_again_what_this_process_has_only_in_memory(line, reader, files, tmp_path):
    vault = reader()
    vault.load("wide@prod")
    cache = Cache(tmp_path / "cache")
    cache.prune(0)
    cache.forget(URL)
    vault.prefetch("wide@prod")
    line.down = Code.STORE_UNREACHABLE
    with pytest.warns(StaleAlias):
        assert contents(reader().load("wide@prod")) == contents(files)
    assert contents(reader().load("wide:1.0.0")) == contents(files)


def test_a_prefetch_of_what_is_damaged_fails_and_keeps_nothing_of_it(line, tmp_path):
    blob = next(entry for entry in _all(line.inner, "blobs/sha256/") if entry.size == 140_000)
    line.inner.delete(blob.key)
    line.inner.create(blob.key, bytes(140_000))
    with pytest.raises(mv.errors.Corrupt):
        Vault(line, cache=tmp_path / "cache").prefetch("wide@prod")
    assert not [*(tmp_path / "cache").glob(f"content/*/*/{blob.key.rpartition('/')[2]}")]


def _all(store, prefix):
    for entry in store.list(prefix):
        if entry.key.endswith("/"):
            yield from _all(store, entry.key)
        else:
            yield entry


def test_of_a_near_vault_there_is_nothing_to_prefetch(tmp_path):
    vault = Vault(LocalStore(tmp_path / "vault"), cache=tmp_path / "cache")
    vault.publish("m", 1)
    assert [version.ref for version in vault.prefetch("m:1.0.0")] == ["m:1.0.0"]
    assert Cache(tmp_path / "cache").entries() == []
    with pytest.raises(NotFound):
        vault.prefetch("m:2.0.0")
