"""Fingerprints of data: each says how much it is worth, and changes when the data does."""

import os
import time

import fsspec
import numpy as np
import pandas as pd
import pytest

from modelvault.canonical import canonical, digest_of
from modelvault.errors import Code, InvalidInput
from modelvault.provenance import data as local
from modelvault.provenance import data_ref, data_refs, remote, tables
from modelvault.stores.memory import MemoryStore
from modelvault.vault import Vault

FRAME = pd.DataFrame(
    {
        "amount": [1.5, 2.5, None],
        "count": [1, 2, 3],
        "at": pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-03"]),
        "land": pd.Categorical(["NL", "DE", "NL"]),
        "text": ["a", "é", None],
        "any": [{"a": 1}, (1, 2), "x"],
    }
)
CHANGES = {
    "a value": lambda frame: frame.assign(count=[1, 2, 4]),
    "a text": lambda frame: frame.assign(text=["a", "e", None]),
    "a missing text": lambda frame: frame.assign(text=["a", "é", "None"]),
    "a category": lambda frame: frame.assign(land=["NL", "DE", "FR"]),
    "an object": lambda frame: frame.assign(any=[{"a": 2}, (1, 2), "x"]),
    "a type": lambda frame: frame.assign(count=[1.0, 2.0, 3.0]),
    "a name": lambda frame: frame.rename(columns={"count": "number"}),
    "the order of columns": lambda frame: frame[frame.columns[::-1]],
    "the order of rows": lambda frame: frame.iloc[::-1],
    "a row less": lambda frame: frame.iloc[:2],
    "an index": lambda frame: frame.set_index("count", drop=False),
}


def test_a_frame_is_known_by_its_content():
    found = data_ref(FRAME)
    assert (found.uri, found.how, found.rows, found.columns) == ("pandas.DataFrame", "content", 3, 6)
    assert data_ref(FRAME.copy(deep=True)) == found
    assert data_ref(pd.read_csv(__file__, sep="\0", engine="python", usecols=[0])).how == "content"


@pytest.mark.parametrize("change", CHANGES)
def test_a_frame_that_differs_has_another_digest(change):
    assert data_ref(CHANGES[change](FRAME)).digest != data_ref(FRAME).digest


def test_texts_that_run_together_are_apart():
    one, other = pd.DataFrame({"x": ["ab", "c"]}), pd.DataFrame({"x": ["a", "bc"]})
    assert data_ref(one).digest != data_ref(other).digest


@pytest.mark.parametrize("shape", [(0,), (5,), (5, 3), (2, 3, 4)])
def test_an_array_is_known_by_type_shape_and_values(shape):
    array = np.arange(np.prod(shape), dtype="i4").reshape(shape)
    found = data_ref(array)
    assert (found.uri, found.how, found.rows) == ("numpy.ndarray", "content", shape[0])
    assert found.columns == (shape[1] if len(shape) > 1 else 1)
    assert data_ref(np.asfortranarray(array)) == found
    others = [array.astype("i8"), array + 1, array.reshape(-1, 1), array.astype(object)]
    assert {found.digest}.isdisjoint(
        data_ref(other).digest for other in others if other.shape != array.shape or other.size
    )


def test_of_a_large_table_some_rows_are_read_and_it_says_so(monkeypatch):
    monkeypatch.setattr(tables, "_CELLS", 1000)
    monkeypatch.setattr(tables, "_TEXTS", 100)
    monkeypatch.setattr(tables, "_ROWS", 100)
    numbers, texts = pd.DataFrame({"x": range(900)}), pd.DataFrame({"x": map(str, range(900))})
    assert [data_ref(numbers).how, data_ref(texts).how, data_ref(texts[:100]).how] == ["content", "sample", "content"]
    assert data_ref(texts).rows == 900
    texts.loc[0, "x"] = "other"
    assert data_ref(texts).digest != data_ref(pd.DataFrame({"x": map(str, range(900))})).digest


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_other_tables_are_known_too(library):
    module = pytest.importorskip(library)
    make = module.DataFrame if library == "polars" else module.table
    found = data_ref(make({"x": [1, 2, None], "y": ["a", None, "c"]}))
    assert (found.how, found.rows, found.columns) == ("content", 3, 2)
    assert found.digest != data_ref(make({"x": [1, 2, None], "y": ["a", None, "d"]})).digest


def test_one_table_is_as_good_as_a_list_of_one():
    for one in (FRAME, FRAME["count"], np.arange(3)):
        assert data_refs(one) == data_refs([one]) == (data_ref(one),)
    version = Vault(MemoryStore()).publish("m", 1, data=FRAME)
    assert [(ref.how, ref.rows) for ref in version.data] == [("content", 3)]


@pytest.mark.parametrize("source", [5, b"x", object(), np.float64(3), None])
def test_what_is_no_data_is_invalid(source):
    with pytest.raises(InvalidInput):
        data_refs(source)


def test_of_a_large_file_some_is_read_and_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(local, "HASHED", 0)
    monkeypatch.setattr(local, "_SAMPLE", 100)
    path = tmp_path / "data" / "x"
    path.parent.mkdir()
    path.write_bytes(os.urandom(100_000))
    found = data_ref(path)
    assert (found.how, found.size) == ("sha256", 100_000)  # the limit is bound as a default
    sampled = local._file(path, 0)
    assert sampled["how"] == "sample"
    for at in (0, 99_999):
        data = bytearray(path.read_bytes())
        data[at] ^= 1
        path.write_bytes(data)
        assert local._file(path, 0)["digest"] != sampled["digest"]
    assert (data_ref(path.parent).how, data_ref(path.parent).size) == ("sample", 100_000)


# --- elsewhere


def test_a_store_without_etags_is_read(tmp_path):
    with fsspec.open("memory://lake/a.csv", "wb") as file:
        file.write(b"1,2,3")
    found = data_ref("memory://lake/a.csv")
    assert (found.uri, found.how, found.digest, found.size) == ("memory://lake/a.csv", "sha256", digest_of(b"1,2,3"), 5)
    (tmp_path / "a.csv").write_bytes(b"1,2,3")
    found = data_ref((tmp_path / "a.csv").as_uri())
    assert (found.uri, found.how, found.digest) == ((tmp_path / "a.csv").as_uri(), "sha256", digest_of(b"1,2,3"))


@pytest.mark.needs("s3")
def test_an_object_on_s3_is_known_by_its_etag_and_not_read(s3_server):
    place = s3_server.place()
    options = {
        "key": place.options["key"],
        "secret": place.options["secret"],
        "client_kwargs": {"endpoint_url": place.options["endpoint_url"]},
    }
    fs, bucket = fsspec.filesystem("s3", **options), place.url.removeprefix("s3://").rstrip("/")
    for name in ("a/x", "a/y"):
        fs.pipe(f"{bucket}/data/{name}", name.encode())
    one = fsspec.open(f"s3://{bucket}/data/a/x", **options)
    found = data_ref(one)
    assert (found.uri, found.how, found.size, found.digest) == (f"s3://{bucket}/data/a/x", "etag", 3, None)
    assert found.etag == fs.info(f"{bucket}/data/a/x")["ETag"].strip('"')
    tree = data_ref(fsspec.open(f"s3://{bucket}/data", **options))
    listing = [[name, 3, fs.info(f"{bucket}/data/{name}")["ETag"].strip('"')] for name in ("a/x", "a/y")]
    assert (tree.how, tree.size, tree.digest) == ("etag-tree", 6, digest_of(canonical(listing)))
    fs.pipe(f"{bucket}/data/a/x", b"a/z")
    assert data_ref(one).etag != found.etag
    assert data_refs(one) == (data_ref(one),)


@pytest.mark.needs("web")
def test_what_a_web_server_has_is_read_where_it_says_no_etag(web_server, tmp_path):
    url = web_server.place().url
    found = data_ref(f"{url}/nothing.csv?sig=secret")
    assert (found.uri, found.how) == (f"{url}/nothing.csv", "unread")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/x?sig=0123456789abcdef",
        "https://ada:pw@nobody.invalid/x",
        "postgresql://h/x",
        "memory://lake/none",
        "simplecache::http://127.0.0.1:9/x",
        "sftp://127.0.0.1:9/x",
    ],
)
def test_what_cannot_be_asked_for_is_named_only(url):
    began = time.monotonic()
    found = data_ref(url)
    assert (found.how, found.digest, found.size) == ("unread", None, None)
    assert "pw" not in found.uri
    assert time.monotonic() - began < remote._SECONDS + 5


def test_a_store_that_hangs_is_waited_for_no_longer_than_that(monkeypatch):
    class Hanging:
        def info(self, path):
            time.sleep(5)

    monkeypatch.setattr(remote, "_SECONDS", 0.05)
    assert remote.facts(Hanging(), "x") == {"how": "unread"}


@pytest.mark.parametrize(
    "source", ["data/hf_abcdefghijABCDEFGHIJ0123456789abcd/x.csv", "s3://lake/AKIAIOSFODNN7EXAMPLE/x"]
)
def test_a_secret_in_the_name_of_data_is_refused(source):
    with pytest.raises(InvalidInput) as refusal:
        data_ref(source)
    assert refusal.value.code == Code.SECRET_FOUND
