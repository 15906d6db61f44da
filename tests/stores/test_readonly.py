"""Any other filesystem of fsspec: what is there can be read and verified, and nothing is ever written."""

import io
import zipfile

import pytest

import modelvault as mv
from modelvault.errors import Code, Corrupt, StoreError
from modelvault.stores import Entry, KeyMissing, Span, connect
from modelvault.stores.local import LocalStore
from modelvault.vault import Vault


@pytest.fixture(params=["http", "zip", "zip root"])
def served(request, tmp_path):
    """A vault with three versions behind a web server or in an archive, and what opens it."""
    if request.param == "http":
        place = request.getfixturevalue("web_server").place()
        folder = place.server.folder / "data" / place.url.rpartition("/")[2]
        return filled(folder), place.url, {}
    folder, inside = tmp_path / "vault", "in/" if request.param == "zip" else ""
    filled(folder)
    with zipfile.ZipFile(tmp_path / "vault.zip", "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, f"{inside}{path.relative_to(folder)}")
    return folder, f"zip://{inside}", {"fo": str(tmp_path / "vault.zip")}


def filled(folder):
    vault = Vault(LocalStore(folder))
    for number in (1, 2, 3):
        vault.publish("m", {"n": number, "blob": bytes(20_000)}, version=f"1.0.{number}")
        vault.promote("m@prod", f"1.0.{number}", reason="x")
    return folder


def test_a_vault_is_read_and_verified(served, tmp_path):
    _, url, options = served
    vault = mv.open(url, trust="pickle", cache=tmp_path / "cache", **options)
    assert vault.load("m@prod")["n"] == 3
    assert vault.load("m@prod~1")["n"] == 2
    assert vault.load("m:^1")["n"] == 3
    assert vault.models() == ["m"]
    assert len(vault.history("m@prod")) == 3
    assert vault.verify().problems == ()


def test_it_lists_and_reads_as_any_store(served):
    folder, url, options = served
    store, local = connect(url, **options), LocalStore(folder)
    for prefix in ("", "models/", "models/m/versions/", "models/m/aliases/prod/", "models/m/aliases/prod/99", "nope/"):
        assert [*local.list(prefix)] == [*store.list(prefix)]
        assert [*local.list(prefix, limit=1)] == [*store.list(prefix, limit=1)]
    key = min(entry.key for two in local.list("blobs/sha256/") for entry in local.list(two.key))
    whole = local_bytes(local, key)
    assert local_bytes(store, key) == whole
    assert isinstance(next(store.list(key)), Entry)


def local_bytes(store, key):
    out = io.BytesIO()
    size = next(store.list(key)).size
    store.fetch(key, [Span(0, size)], lambda _, chunk: out.write(chunk))
    return out.getvalue()


def test_what_is_not_there_is_missing_and_what_is_cut_is_corrupt(served):
    _folder, url, options = served
    store = connect(url, **options)
    with pytest.raises(KeyMissing):
        store.read("models/nope")
    with pytest.raises(KeyMissing):
        store.fetch("models/nope", [Span(0, 1)], lambda *_: None)
    with pytest.raises(Corrupt):
        store.fetch("modelvault.json", [Span(0, 10_000)], lambda *_: None)


def test_nothing_is_written(served):
    folder, url, options = served
    before = sorted(path for path in folder.rglob("*"))
    vault = mv.open(url, trust="pickle", cache=False, single_writer=True, **options)
    for verb in (
        lambda: vault.publish("m", 1, bump="minor"),
        lambda: vault.promote("m@prod", "1.0.1", reason="x"),
        lambda: vault.note("m:1.0.1", "x"),
    ):
        with pytest.raises(StoreError) as refusal:
            verb()
        assert refusal.value.code == Code.STORE_DENIED
    assert before == sorted(path for path in folder.rglob("*"))


def test_without_saying_that_one_is_alone_it_is_refused_for_that(served):
    _, url, options = served
    with pytest.raises(mv.errors.Unsupported) as refusal:
        mv.open(url, cache=False, **options).promote("m@prod", "1.0.1", reason="x")
    assert refusal.value.code == Code.NO_EXCLUSIVE_CREATE


def test_a_server_that_is_not_there_is_unreachable(web_server):
    store = connect("http://127.0.0.1:1/vault", deadline=1)
    with pytest.raises(StoreError) as failure:
        store.read("modelvault.json")
    assert failure.value.code == Code.STORE_UNREACHABLE
