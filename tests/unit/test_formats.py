"""Formats: what comes back is what went in, and nothing stored names code."""

import io
import os
import sys
import textwrap
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from modelvault import formats
from modelvault.errors import Code, Corrupt, InvalidInput, Unsupported
from modelvault.formats import Format, choose, named
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

    def folder(self) -> Path:
        raise AssertionError


class Folder(InMemory):
    def __init__(self, folder: Path) -> None:
        self._files = {path.name: path.read_bytes() for path in folder.iterdir()}


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


@given(array=arrays, fortran=st.booleans())
def test_an_array_comes_back_as_it_was(array, fortran, tmp_path_factory):
    array = np.asfortranarray(array) if fortran else array
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # numpy's, of names that only its newer layout can hold
        found = again(Arrays(), array, tmp_path_factory.mktemp("x") / "y")
    assert same(array, found)
    assert found.flags.f_contiguous == array.flags.f_contiguous or array.size == 0


@given(st.dictionaries(st.text(min_size=1, max_size=6).filter(str.isidentifier), arrays, min_size=1, max_size=4))
def test_arrays_by_name_come_back_as_they_were_and_in_their_order(found):
    format = Arrays()
    if format.accepts(found):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            version = Vault(MemoryStore()).publish("m", found)
        loaded = version.load()
        assert list(loaded) == list(found)
        assert all(same(found[name], loaded[name]) for name in found)


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
def test_arrays_of_each_kind_come_back_as_they_were(array, tmp_path):
    assert same(np.asarray(array), again(Arrays(), array, tmp_path / "y"))


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


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_what_is_no_array_is_corrupt(data):
    with pytest.raises(Corrupt) as raised:
        Arrays().load(InMemory(array_npy=data))
    assert raised.value.code == Code.BAD_RECORD
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("data", BROKEN_ARCHIVES.values(), ids=BROKEN_ARCHIVES)
def test_what_is_no_archive_of_arrays_is_corrupt(data):
    with pytest.raises(Corrupt) as raised:
        Arrays().load(InMemory(arrays_npz=data))
    assert raised.value.code == Code.BAD_RECORD


@given(st.binary(max_size=100), st.integers(0, 200))
def test_any_bytes_are_arrays_or_corrupt(data, cut):
    for whole, name in ((_npy(np.arange(3)), "array_npy"), (_zipped(a=_npy(np.arange(3))), "arrays_npz")):
        for forged in (data, whole[:cut] + data + whole[cut + len(data) :], whole[:cut]):
            try:
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
