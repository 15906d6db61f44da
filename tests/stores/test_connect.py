"""`connect` makes a store of a path or a URL, exactly or not at all, and imports no more than that store."""

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path, PurePath

import pytest

from modelvault.errors import Code, InvalidInput, Unsupported
from modelvault.stores import Store, connect
from modelvault.stores.local import LocalStore
from modelvault.stores.memory import MemoryStore


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("path", ["vault", "./vault", "a/b:c", "./s3:bucket", "./~", "ünï", "a b", "1:2", "-x", "c:"])
def test_what_is_no_url_is_a_path(tmp_path, path):
    store = connect(path)
    assert isinstance(store, LocalStore)
    assert str(tmp_path / path) == store.url


@pytest.mark.parametrize("kind", [str, PurePath], ids=["text", "path"])
@pytest.mark.parametrize(("path", "expected"), [("~", ""), ("~/a/~", "a/~"), ("~//b:c", "b:c")])
def test_a_path_may_begin_at_home(path, expected, kind, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert str(tmp_path / "home" / expected) == connect(kind(path)).url


def test_a_home_that_nobody_has_is_a_folder(tmp_path):
    assert str(tmp_path / "~no such user/a") == connect("~no such user/a").url


def test_a_path_object_is_a_path_whatever_it_looks_like(tmp_path):
    assert str(tmp_path / "memory:/x") == connect(Path("memory://x")).url


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///a/b", "/a/b"),
        ("FILE:///a/b", "/a/b"),
        ("file://localhost/a/b", "/a/b"),
        ("file:///a%20b%3Fc%23d%25e", "/a b?c#d%e"),
        (Path("/a b/ü?#%").as_uri(), "/a b/ü?#%"),
    ],
)
def test_a_file_url_is_its_path(url, path):
    assert path == connect(url).url


@pytest.mark.parametrize(
    "url", ["", "a\0b", "file://", "file://host/a", "file://a/b", "file:///a?b", "file:///a#b", "file:///a%00b"]
)
def test_what_is_neither_is_refused(url):
    with pytest.raises(InvalidInput) as refusal:
        connect(url)
    assert refusal.value.code == Code.BAD_VALUE


@pytest.mark.parametrize("url", ["s3:bucket", "memory:", "file:/a", "gs:/bucket"])
def test_half_a_url_is_not_a_path_by_accident(url):
    with pytest.raises(InvalidInput) as refusal:
        connect(url)
    assert f"./{url}" in refusal.value.hint


def test_memory_has_a_name():
    assert isinstance(connect("memory://"), MemoryStore)
    assert connect("memory://x") is connect("memory://x")
    assert connect("memory://x") is not connect("memory://y")


@pytest.mark.parametrize("url", ["vault", "file:///vault", "memory://x"])
def test_an_unknown_option_is_refused(url):
    with pytest.raises(InvalidInput, match="anon, endpoint"):
        connect(url, endpoint="x", anon=True)


@pytest.fixture
def installed(monkeypatch):
    """Pretends that a package is installed which knows two schemes; one lacks what it needs."""
    found = [
        EntryPoint("mem2", f"{__name__}:made", "modelvault.stores"),
        EntryPoint("broken", "no_such_module:store", "modelvault.stores"),
    ]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda *, group: [e for e in found if e.group == group])
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or _Module)


def made(url, **options):
    store = MemoryStore(url)
    store.options = options
    return store


class _Module:
    made = staticmethod(made)


def test_an_installed_package_adds_a_scheme(installed):
    store = connect("mem2://bucket/a", region="x")
    assert isinstance(store, Store)
    assert (store.url, store.options) == ("memory://mem2://bucket/a", {"region": "x"})


def test_a_package_that_cannot_start_says_what_it_lacks(installed):
    with pytest.raises(Unsupported) as refusal:
        connect("broken://x")
    assert refusal.value.code == Code.EXTRA_MISSING
    assert "no_such_module" in refusal.value.hint


def test_an_unknown_scheme_is_refused_with_what_there_is(installed):
    with pytest.raises(Unsupported) as refusal:
        connect("nope://host/a")
    assert refusal.value.code == Code.UNKNOWN_STORE
    assert refusal.value.hint.startswith("there is: a path, file://, memory://, s3://")
    assert refusal.value.hint.endswith("https://, broken://, mem2://")


@pytest.mark.parametrize("url", ["simplecache://a/b", "dir://a", "simplecache::s3://bucket/a", "blockcache::file:///a"])
def test_a_cache_around_a_store_is_refused(url):
    with pytest.raises((Unsupported, InvalidInput)):
        connect(url)


@pytest.mark.parametrize(
    "url",
    [
        "s3://",
        "s3:///a",
        "s3://user:secret@bucket/a",
        "s3://key:a/secret@bucket/a",
        "gs://token-secret@bucket",
        "abfs://:secret@account/c",
        "s3://bucket/../a",
        "s3://bucket/a//b",
        "s3://bucket/a#b",
        "s3://bucket/a?secret=1",
        "sftp://user:secret@host/a",
        "https://user:secret@host/a",
    ],
)
def test_a_place_that_is_malformed_or_holds_a_password_is_refused_without_repeating_it(url):
    with pytest.raises(InvalidInput) as refusal:
        connect(url)
    assert refusal.value.code == Code.BAD_VALUE
    assert "secret" not in f"{refusal.value}{refusal.value.hint}".replace("secret=1", "")


@pytest.mark.parametrize("url", ["s3://bucket/a", "gs://bucket/a", "abfs://container/a"])
def test_an_option_that_the_service_does_not_have_is_refused_by_name_alone(url):
    with pytest.raises(InvalidInput, match="sekret") as refusal:
        connect(url, sekret="hidden")
    assert "hidden" not in f"{refusal.value}{refusal.value.hint}"


@pytest.mark.parametrize(
    ("url", "module", "extra"),
    [
        ("s3://b", "s3fs", "s3"),
        ("gs://b", "gcsfs", "gcs"),
        ("abfs://c", "adlfs", "azure"),
        ("sftp://h/a", "paramiko", "sftp"),
    ],
)
def test_what_is_not_installed_is_named_with_the_command(url, module, extra, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Unsupported) as refusal:
        connect(url)
    assert (refusal.value.code, refusal.value.hint) == (Code.EXTRA_MISSING, f"pip install 'modelvault-sdk[{extra}]'")
    assert module in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "options", "identity"),
    [
        ("s3://b/a/", {}, "s3://b/a"),
        ("s3a://b", {}, "s3://b"),
        ("s3://b", {"endpoint_url": "http://h:1"}, "s3://b?endpoint=http://h:1"),
        ("s3://b/a?endpoint=http://h:1", {}, "s3://b/a?endpoint=http://h:1"),
        ("s3://b", {"endpoint_url": "http://key:secret@h:1/x?token=1"}, "s3://b?endpoint=http://h:1/x"),
        ("gs://b/a", {}, "gs://b/a"),
        ("gcs://b/a", {"endpoint_url": "http://h:1"}, "gs://b/a?endpoint=http://h:1"),
        ("abfs://c/a", {"account_name": "acme"}, "abfs://c/a?account=acme"),
        ("abfss://c@acme.dfs.core.windows.net/a", {}, "abfs://c/a?account=acme"),
    ],
)
def test_the_identity_of_a_place_says_which_service_it_is_in(url, options, identity, monkeypatch):
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "STORAGE_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)
    assert identity == connect(url, **options).url


def test_a_path_imports_only_the_local_store():
    code = """if True:
        import sys
        before = set(sys.modules)
        from modelvault.stores import connect
        connect("./x")
        heavy = {"ctypes", "pathlib", "tempfile", "uuid", "random", "urllib.parse", "importlib.metadata", "hashlib"}
        print(*sorted(heavy & set(sys.modules) - before))
        print(*sorted(name for name in sys.modules if name.startswith("modelvault.stores.")))
    """
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "",
        "modelvault.stores.local modelvault.stores.port modelvault.stores.posix modelvault.stores.staged",
    ]
