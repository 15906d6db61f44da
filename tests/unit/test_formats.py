"""Formats: what comes back is what went in, and nothing stored names code."""

import io
import json
import os
import pickle
import sys
import textwrap
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from modelvault import formats
from modelvault.errors import Code, Corrupt, InvalidInput, Unsupported
from modelvault.formats import Format, choose, named, pickled
from modelvault.formats import arrays as arrays_module
from modelvault.formats.arrays import Arrays
from modelvault.formats.files import PlainFiles
from modelvault.formats.pickled import Cloudpickle
from modelvault.stores.memory import MemoryStore
from modelvault.vault import Vault


class InMemory:
    """Files by path."""

    def __init__(self, **files: bytes) -> None:
        self._files = {name.replace("_", "."): data for name, data in files.items()}

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(self._files)

    def read(self, path: str) -> bytes:
        return self._files[path]

    def map(self, path: str) -> memoryview:
        return memoryview(bytearray(self._files[path]))

    def folder(self) -> Path:
        raise AssertionError


class Folder(InMemory):
    def __init__(self, folder: Path) -> None:
        self._files = {path.name: path.read_bytes() for path in folder.iterdir()}


LARGE = st.sampled_from([0, arrays_module._LARGE])
"""From how many bytes on arrays are not copied."""


@contextmanager
def large_from(size: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays_module, "_LARGE", size)
        patch.setattr(pickled, "_LARGE", max(1, size))
        yield


def again(format: Format, obj: object, folder: Path) -> Any:
    folder.mkdir()
    format.dump(obj, folder)
    return format.load(Folder(folder))


# --- which one


@pytest.mark.parametrize(
    ("obj", "name"),
    [
        (Path("x"), "files"),
        (np.arange(3), "numpy"),
        (np.array(3), "numpy"),
        (np.zeros(0), "numpy"),
        ({"a": np.arange(3)}, "numpy"),
        ({"file": np.arange(3), "allow_pickle": np.arange(2)}, "numpy"),
        ({}, "cloudpickle"),
        ({"a": np.arange(3), "b": 5}, "cloudpickle"),
        ({"not a name": np.arange(3)}, "cloudpickle"),
        ({5: np.arange(3)}, "cloudpickle"),
        (np.array([object()]), "cloudpickle"),
        (np.zeros(2, [("a", object)]), "cloudpickle"),
        (np.array(["text"], dtype=np.dtypes.StringDType()), "cloudpickle"),
        (np.ma.masked_array([1, 2], [0, 1]), "cloudpickle"),
        (np.rec.array([(1, 2)], dtype=[("a", "i4"), ("b", "i4")]), "cloudpickle"),
        (type("Kept", (dict,), {})(a=np.arange(3)), "cloudpickle"),
        (np.float64(3), "cloudpickle"),
        ("x", "cloudpickle"),
        (None, "cloudpickle"),
        (choose, "cloudpickle"),
    ],
)
def test_the_format_is_chosen_by_the_object(obj, name):
    assert choose(obj, None).name == name
    assert isinstance(choose(obj, None), Format)


def test_a_format_that_is_named_is_taken_if_it_takes_the_object():
    assert choose(np.arange(3), "cloudpickle").name == "cloudpickle"
    assert choose(Path("x"), "cloudpickle").name == "cloudpickle"
    for obj, name in (("x", "files"), (5, "numpy"), (np.array([object()]), "numpy")):
        with pytest.raises(InvalidInput) as raised:
            choose(obj, name)
        assert raised.value.code == Code.BAD_VALUE


@pytest.mark.parametrize(
    "name", ["", "Files", "pickle", "cloudpickle ", "modelvault.formats.files", "../files", "os:system", "\x1b"]
)
def test_a_name_that_nobody_has_is_unsupported(name):
    with pytest.raises(Unsupported) as raised:
        named(name)
    assert raised.value.code == Code.UNKNOWN_FORMAT
    assert "cloudpickle" in raised.value.hint
    assert str(raised.value).isprintable()


def test_pickles_alone_are_unsafe():
    assert [named(name).safe for name in ("files", "numpy", "cloudpickle")] == [True, True, False]


def test_to_choose_imports_no_framework(monkeypatch):
    monkeypatch.delitem(sys.modules, "numpy")
    assert choose({"a": [1]}, None).name == "cloudpickle"
    assert "numpy" not in sys.modules


# --- numpy


dtypes = (
    npst.scalar_dtypes()
    | npst.array_dtypes(npst.scalar_dtypes(), max_size=3)
    | npst.unicode_string_dtypes(max_len=5)
    | npst.byte_string_dtypes(max_len=5)
    | npst.nested_dtypes(npst.scalar_dtypes(), max_leaves=4)
)
arrays = npst.arrays(
    dtypes.filter(lambda dtype: dtype.itemsize > 0), npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
)


def same(one: np.ndarray, other: np.ndarray) -> bool:
    return (
        type(one) is type(other)
        and one.dtype == other.dtype
        and one.shape == other.shape
        and one.tobytes() == other.tobytes()
        and other.flags.writeable
    )


@given(array=arrays, fortran=st.booleans(), large=LARGE)
def test_an_array_comes_back_as_it_was(array, fortran, large, tmp_path_factory):
    array = np.asfortranarray(array) if fortran else array
    with warnings.catch_warnings(), large_from(large):
        warnings.simplefilter("ignore", UserWarning)  # numpy's, of names that only its newer layout can hold
        found = again(Arrays(), array, tmp_path_factory.mktemp("x") / "y")
    assert same(array, found)
    assert found.flags.f_contiguous == array.flags.f_contiguous or array.size == 0


@given(st.dictionaries(st.text(min_size=1, max_size=6).filter(str.isidentifier), arrays, min_size=1, max_size=4), LARGE)
def test_arrays_by_name_come_back_as_they_were_and_in_their_order(found, large):
    format = Arrays()
    if format.accepts(found):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            version = Vault(MemoryStore()).publish("m", found)
        with large_from(large):
            loaded = version.load()
        assert list(loaded) == list(found)
        assert all(same(found[name], loaded[name]) for name in found)


@pytest.mark.parametrize("large", [0, 64 * 1024])
@pytest.mark.parametrize(
    "array",
    [
        np.arange(12).reshape(3, 4).T,
        np.arange(24).reshape(2, 3, 4)[:, ::2, 1:],
        np.broadcast_to(np.arange(3), (4, 3)),
        np.zeros((0, 3)),
        np.array(5),
        np.zeros(2, ">i4"),
        np.array([1 + 2j]),
        np.array(["NaT", "2026-11-23"], "M8[us]"),
        np.zeros(2, [("a", "i4"), ("b", [("c", "f8", (2, 2)), ("d", "U3")])]),
        np.array([np.nan, -0.0, np.inf]),
    ],
    ids=str,
)
def test_arrays_of_each_kind_come_back_as_they_were(array, large, tmp_path):
    with large_from(large):
        assert same(np.asarray(array), again(Arrays(), array, tmp_path / "y"))


class Kept(Folder):
    """Gives the same bytes each time, so that it can be seen who uses them where they lie."""

    def __init__(self, folder: Path) -> None:
        self.given = {path.name: memoryview(bytearray(path.read_bytes())) for path in folder.iterdir()}

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(self.given)

    def map(self, path: str) -> memoryview:
        return self.given[path]

    def read(self, path: str) -> bytes:
        return bytes(self.given[path])


def lies_in(array: np.ndarray, data: memoryview) -> bool:
    return np.shares_memory(array, np.frombuffer(data, "u1"))


@pytest.mark.parametrize("array", [np.zeros((300, 400)), np.zeros((300, 400), order="F"), np.zeros(9_000, "M8[s]")])
def test_large_arrays_are_not_copied(array, tmp_path):
    for name, obj in (
        ("one", array),
        ("many", {"small": np.zeros(3), "long_name": array, "c": array.copy()}),
    ):
        (tmp_path / name).mkdir()
        Arrays().dump(obj, tmp_path / name)
        files = Kept(tmp_path / name)
        [data] = files.given.values()
        found = Arrays().load(files)
        if name == "one":
            assert lies_in(found, data)
        else:
            assert [lies_in(one, data) for one in found.values()] == [False, True, True]
            assert {one.__array_interface__["data"][0] % 16 for one in found.values()} == {0}


def test_arrays_lie_in_an_archive_where_a_processor_wants_them(tmp_path):
    Arrays().dump({name: np.full(9_000, 7.5) for name in ("a", "bc", "a_longer_name", "é")}, tmp_path)
    data = (tmp_path / "arrays.npz").read_bytes()
    begins = [at for at in range(0, len(data), 8) if data[at : at + 8] == np.float64(7.5).tobytes()]
    assert len(begins) == 4 * 9_000
    assert [at % 64 for at in begins[::9_000]] == [0] * 4


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_arrays_that_lie_otherwise_are_copied(version, compression):
    array = np.random.default_rng(0).integers(0, 2**62, 10_000)
    out = io.BytesIO()
    np.lib.format.write_array(out, array, version=version)
    for shift in range(8):
        [found] = (
            Arrays().load(InMemory(arrays_npz=_zipped(compression, **{"x" * (shift + 1): out.getvalue()}))).values()
        )
        assert same(array, found)
        assert found.flags.aligned
    assert same(array, Arrays().load(InMemory(array_npy=out.getvalue())))


def test_equal_arrays_are_equal_files(tmp_path):
    for name in ("1", "2"):
        (tmp_path / name).mkdir()
        Arrays().dump({"a": np.arange(3), "b": np.zeros(2)}, tmp_path / name)
    assert (tmp_path / "1" / "arrays.npz").read_bytes() == (tmp_path / "2" / "arrays.npz").read_bytes()


def test_numpy_itself_reads_what_is_stored(tmp_path):
    Arrays().dump({"a": np.arange(3)}, tmp_path)
    with np.load(tmp_path / "arrays.npz") as stored:
        assert stored["a"].tolist() == [0, 1, 2]


def _npy(array: np.ndarray, **options: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, array, **options)
    return out.getvalue()


def _zipped(compression: int = zipfile.ZIP_STORED, **members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return out.getvalue()


def _header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


BROKEN = {
    "nothing": b"",
    "text": b"hello",
    "an object array": _npy(np.array([{}], dtype=object), allow_pickle=True),
    "cut short": _npy(np.arange(100))[:-1],
    "a cut header": _npy(np.arange(100))[:20],
    "an array of an exabyte": _header("{'descr': '<f8', 'fortran_order': False, 'shape': (1152921504606846976,), }\n"),
    "an array of a terabyte": _header("{'descr': '<f8', 'fortran_order': False, 'shape': (137438953472,), }\n"),
    "a negative shape": _header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }\n"),
    "a shape that overflows": _header(
        "{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296), }\n"
    ),
    "a header that is code": _header("__import__('os').system('false')\n"),
    "a header that is deep": _header("(" * 5_000 + ")" * 5_000),
    "a header that is no dict": _header("[]\n"),
    "a dtype that is code": _header("{'descr': '__import__(\"os\")', 'fortran_order': False, 'shape': (1,), }\n"),
    "an archive": _zipped(a=_npy(np.arange(3))),
}
BROKEN_ARCHIVES = {
    "nothing": b"",
    "text": b"hello",
    "an array": _npy(np.arange(3)),
    "an object array": _zipped(a=_npy(np.array([{}], dtype=object), allow_pickle=True)),
    "cut short": _zipped(a=_npy(np.arange(100)))[:-10],
    "a damaged member": _zipped(a=_npy(np.arange(100))).replace(b"\x05\x00\x00\x00", b"\x06\x00\x00\x00"),
    "a bomb": _zipped(zipfile.ZIP_DEFLATED, a=_npy(np.zeros(10**6))),
    "text in it": _zipped(a=b"hello"),
}


@pytest.mark.parametrize("large", [0, 64 * 1024])
@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_what_is_no_array_is_corrupt(data, large):
    with large_from(large), pytest.raises(Corrupt) as raised:
        Arrays().load(InMemory(array_npy=data))
    assert raised.value.code == Code.BAD_RECORD
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    ("data", "large"),
    [
        (data, large)
        for name, data in BROKEN_ARCHIVES.items()
        for large in (0, 64 * 1024)
        if large or "member" not in name
    ],
)
def test_what_is_no_archive_of_arrays_is_corrupt(data, large):
    with large_from(large), pytest.raises(Corrupt) as raised:
        Arrays().load(InMemory(arrays_npz=data))
    assert raised.value.code == Code.BAD_RECORD


@given(st.binary(max_size=100), st.integers(0, 400), LARGE)
def test_any_bytes_are_arrays_or_corrupt(data, cut, large):
    for whole, name in ((_npy(np.arange(3)), "array_npy"), (_zipped(a=_npy(np.arange(3))), "arrays_npz")):
        for forged in (data, whole[:cut] + data + whole[cut + len(data) :], whole[:cut]):
            try:
                with large_from(large):
                    found = Arrays().load(InMemory(**{name: forged}))
            except Corrupt:
                continue
            assert isinstance(found, np.ndarray | dict)


# --- files and pickles


def test_a_single_file_is_loaded_as_that_file_and_a_folder_as_that_folder(tmp_path):
    (tmp_path / "folder" / "below").mkdir(parents=True)
    (tmp_path / "folder" / "below" / "x").write_text("x")
    (tmp_path / "y").write_text("y")
    vault = Vault(MemoryStore(), cache=tmp_path / "cache")
    assert vault.publish("m", tmp_path / "y", version="1.0.0").load().read_text() == "y"
    folder = vault.publish("m", tmp_path / "folder", version="1.1.0").load()
    assert (folder / "below" / "x").read_text() == "x"
    assert PlainFiles().dump(Path("x"), tmp_path) == ()


class Unpicklable:
    def __reduce__(self) -> Any:
        raise ZeroDivisionError("\x1b[2J")


def _boom() -> None:
    raise KeyError("\x1b[2J")


class Bomb:
    def __reduce__(self) -> Any:
        return _boom, ()


def test_what_cannot_be_pickled_is_invalid_and_says_why(tmp_path):
    for obj in (Unpicklable(), (x for x in "ab"), sys._getframe(), type("\x1b[2J", (Unpicklable,), {})()):
        with pytest.raises(InvalidInput) as raised:
            Cloudpickle().dump(obj, tmp_path)
        assert str(raised.value).isprintable()


def test_what_cannot_be_rebuilt_is_unsupported_and_says_why(tmp_path):
    with pytest.raises(Unsupported) as raised:
        again(Cloudpickle(), Bomb(), tmp_path / "y")
    assert raised.value.code == Code.LOAD_FAILED
    assert str(raised.value).isprintable()
    with pytest.raises(Unsupported) as raised:
        Cloudpickle().load(InMemory(model_pkl=b"cnot_installed_anywhere\nx\n."))
    assert raised.value.code == Code.EXTRA_MISSING


@given(st.recursive(st.none() | st.booleans() | st.floats(allow_nan=False) | st.text() | st.binary(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_plain_objects_come_back_as_they_were(obj):
    assume(not (isinstance(obj, str) and os.path.exists(obj.replace("\0", ""))))  # the name of a file is refused
    vault = Vault(MemoryStore())
    vault.publish("m", obj)
    assert vault.load("m:1.0.0") == obj


def test_functions_and_classes_of_a_script_come_back(tmp_path):
    script: dict[str, Any] = {"__name__": "__main__"}
    exec("class Model:\n    def predict(self, x): return x + offset\noffset = 3", script)
    assert again(Cloudpickle(), script["Model"](), tmp_path / "1").predict(2) == 5
    assert again(Cloudpickle(), lambda x: x * 2, tmp_path / "2")(4) == 8


def test_the_modules_of_a_pickle_are_those_that_it_names(tmp_path):
    assert Cloudpickle().dump({"a": np.float64(1)}, tmp_path) & {"numpy", "numpy._core.multiarray"}
    assert Cloudpickle().dump([1, "numpy", "sklearn"], tmp_path) == set()


def _plain(folder: Path) -> Any:
    """As the how-to tells those who have no modelvault."""
    data = (folder / "model.buffers").read_bytes()
    line = data.partition(b"\n")[0]
    buffers, at = [], len(line) + 1
    for size in json.loads(line)["sizes"]:
        at += -at % 64
        buffers.append(data[at : at + size])
        at += size
    return pickle.loads((folder / "model.pkl").read_bytes(), buffers=buffers)


def test_large_buffers_lie_beside_the_pickle_and_are_not_copied(tmp_path):
    obj = {"a": np.arange(10_000), "b": [np.zeros((100, 200), order="F"), "text"], "small": np.arange(10)}
    Cloudpickle().dump(obj, tmp_path)
    assert (tmp_path / "model.pkl").stat().st_size < 2_000
    files = Kept(tmp_path)
    for found in (Cloudpickle().load(files), _plain(tmp_path)):
        assert np.array_equal(found["a"], obj["a"])
        assert np.array_equal(found["b"][0], obj["b"][0])
        assert found["b"][0].flags.f_contiguous
        assert found["small"].tolist() == list(range(10))
    found = Cloudpickle().load(files)
    assert lies_in(found["a"], files.given["model.buffers"])
    assert lies_in(found["b"][0], files.given["model.buffers"])
    assert found["a"].flags.writeable


def test_a_buffer_that_nobody_may_write_to_stays_so(tmp_path):
    array = np.arange(10_000)
    array.flags.writeable = False
    found = again(Cloudpickle(), [array, array.copy()], tmp_path / "y")
    assert [one.flags.writeable for one in found] == [False, True]


def test_what_has_no_large_buffers_is_one_plain_pickle(tmp_path):
    Cloudpickle().dump([np.arange(8_000) for _ in range(3)], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.pkl"]
    assert len(pickle.loads((tmp_path / "model.pkl").read_bytes())) == 3


def test_beyond_a_number_buffers_stay_in_the_pickle(tmp_path, monkeypatch):
    monkeypatch.setattr(pickled, "_MOST", 2)
    found = again(Cloudpickle(), [np.full(10_000, number) for number in range(4)], tmp_path / "y")
    assert [one[-1] for one in found] == [0, 1, 2, 3]
    assert json.loads((tmp_path / "y" / "model.buffers").read_bytes().partition(b"\n")[0])["sizes"] == [80_000] * 2


@given(sizes=st.lists(st.integers(0, 300), min_size=1, max_size=6))
def test_buffers_of_any_sizes_come_back_as_they_were_and_lie_where_they_should(sizes, tmp_path_factory):
    arrays = [np.arange(size, dtype="u1") for size in sizes]
    folder = tmp_path_factory.mktemp("x") / "y"
    with large_from(1):
        found = again(Cloudpickle(), arrays, folder)
        assert [one.tolist() for one in found] == [one.tolist() for one in arrays]
        if any(sizes):
            assert [one.tolist() for one in _plain(folder)] == [one.tolist() for one in arrays]
            data = Kept(folder).given["model.buffers"].obj
            views = pickled._read(Kept(folder))
            assert [len(view) for view in views] == [size for size in sizes if size]
            assert len(data) < sum(sizes) + 64 * (len(sizes) + 1) + len(str(sizes))


DAMAGED_BUFFERS = {
    "nothing": b"",
    "no line": b'{"sizes":[80000]}',
    "no sizes": b"{}\n",
    "a list": b"[80000]\n",
    "text": b"hello\n",
    "deep": b"[" * 100_000 + b"\n",
    "a long line": b" " * 10**6 + b"\n",
    "spaces": b'{"sizes": [80000]}\n' + bytes(45 + 80_000),
    "more": b'{"sizes":[80000],"more":1}\n' + bytes(37 + 80_000),
    "twice": b'{"sizes":[1],"sizes":[80000]}\n' + bytes(34 + 80_000),
    "too long": b'{"sizes":[80000]}\n' + bytes(46 + 80_000 + 1),
    "too short": b'{"sizes":[80000]}\n' + bytes(46 + 80_000 - 1),
    "negative": b'{"sizes":[-1]}\n' + bytes(49 - 1),
    "empty": b'{"sizes":[0]}\n' + bytes(50),
    "a fraction": b'{"sizes":[80000.0]}\n' + bytes(44 + 80_000),
    "true": b'{"sizes":[true]}\n' + bytes(47 + 1),
    "text for a size": b'{"sizes":["1"]}\n' + bytes(48 + 1),
    "endless": b'{"sizes":[' + b"9" * 5_000 + b"]}\n",
    "not a number": b'{"sizes":[NaN]}\n' + bytes(64),
    "infinite": b'{"sizes":[Infinity]}\n' + bytes(64),
}


@pytest.mark.parametrize("data", DAMAGED_BUFFERS.values(), ids=DAMAGED_BUFFERS)
def test_what_are_no_buffers_is_corrupt(data):
    with pytest.raises(Corrupt) as raised:
        Cloudpickle().load(InMemory(model_pkl=pickle.dumps(1), model_buffers=data))
    assert raised.value.code == Code.BAD_RECORD
    assert str(raised.value).isprintable()


def test_right_buffers_of_the_same_form_are_taken():
    data = b'{"sizes":[80000]}\n' + bytes(46 + 80_000)
    assert Cloudpickle().load(InMemory(model_pkl=pickle.dumps(1), model_buffers=data)) == 1


@pytest.mark.parametrize("more", [{"other_pkl": b""}, {"other_pkl": b"", "model_buffers": b""}])
def test_what_has_other_files_is_no_pickle(more):
    with pytest.raises(Corrupt):
        Cloudpickle().load(InMemory(model_pkl=pickle.dumps(1), **more))


def test_a_pickle_that_wants_more_buffers_than_there_are_is_refused(tmp_path):
    Cloudpickle().dump([np.zeros(10_000), np.zeros(10_000)], tmp_path)
    one = b'{"sizes":[80000]}\n' + bytes(46 + 80_000)
    with pytest.raises(Unsupported):
        Cloudpickle().load(InMemory(model_pkl=(tmp_path / "model.pkl").read_bytes(), model_buffers=one))


# --- formats of others


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installs a distribution that brings the formats `upper` and, broken, `missing`, `raising` and `files`."""
    (tmp_path / "site" / "uppercase-1.0.dist-info").mkdir(parents=True)
    (tmp_path / "site" / "uppercase-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: uppercase\nVersion: 1.0\n"
    )
    (tmp_path / "site" / "uppercase-1.0.dist-info" / "entry_points.txt").write_text(
        "[modelvault.formats]\nupper = uppercase:Upper\nmissing = uppercase_missing:X\n"
        "raising = uppercase:Raising\nfiles = uppercase:Upper\nnothing = uppercase:Nothing\n"
    )
    (tmp_path / "site" / "uppercase.py").write_text(
        textwrap.dedent(
            """
            class Upper:
                name = "upper"
                safe = True
                def accepts(self, obj): return isinstance(obj, str)
                def dump(self, obj, folder):
                    (folder / "text").write_text(obj.upper())
                    return {"uppercase"}
                def load(self, files): return files.read("text").decode()
            class Raising:
                def __init__(self): raise ZeroDivisionError("\\x1b[2J")
            """
        )
    )
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setattr(formats, "_MADE", {}, raising=False)
    yield
    sys.modules.pop("uppercase", None)


def test_a_format_of_others_is_found_by_its_entry_point(installed):
    vault = Vault(MemoryStore())
    version = vault.publish("m", "hello", format="upper")
    assert version.format == "upper"
    assert version.environment.packages == {"uppercase": "1.0"}
    assert vault.load("m:1.0.0") == "HELLO"
    assert isinstance(named("upper"), Format)
    with pytest.raises(InvalidInput):
        vault.publish("m", 5, format="upper", bump="minor")


def test_it_does_not_take_the_place_of_one_of_ours(installed):
    assert isinstance(named("files"), PlainFiles)
    assert choose("hello", None).name == "cloudpickle"


@pytest.mark.parametrize("name", ["missing", "raising", "nothing"])
def test_one_that_cannot_start_is_unsupported(name, installed):
    with pytest.raises(Unsupported) as raised:
        named(name)
    assert raised.value.code == Code.EXTRA_MISSING
    assert f"{raised.value}{raised.value.hint}".isprintable()


def test_where_it_is_not_installed_its_versions_cannot_be_loaded_and_can_be_fetched(installed, tmp_path, monkeypatch):
    vault = Vault(MemoryStore())
    vault.publish("m", "hello", format="upper")
    monkeypatch.undo()
    formats._MADE.clear()
    with pytest.raises(Unsupported) as raised:
        vault.load("m:1.0.0")
    assert raised.value.code == Code.UNKNOWN_FORMAT
    assert (vault.fetch("m:1.0.0", tmp_path / "out") / "text").read_text() == "HELLO"
