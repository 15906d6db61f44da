"""Portable paths."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelvault.errors import Code, InvalidInput
from modelvault.paths import portable_path, portable_paths


@pytest.mark.parametrize(
    "path", ["a", "a/b.txt", "model.pkl", ".hidden/.x", "Größe/café.bin", "a b/c-d_e~f", "x" * 255]
)
def test_ordinary_paths_are_portable(path):
    assert portable_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/etc/passwd",
        "..",
        ".",
        "../x",
        "a/../b",
        "a/./b",
        "a//b",
        "a/",
        "C:",
        "C:/x",
        "C:x",
        "\\\\server\\share",
        "a\\b",
        "a\0b",
        "a\nb",
        "a\x1b[31m",
        "a\u202eb",
        "con",
        "NUL.txt",
        "a/Aux",
        "com1",
        "lpt9.bin",
        "a.",
        "a/b ",
        " a",
        "a?",
        "a*",
        'a"',
        "a|b",
        "a<b",
        "a>b",
        "x" * 256,
        "ä" * 128,
        "/".join(["x" * 100] * 11),
        unicodedata.normalize("NFD", "é"),
        "a\ud800",
    ],
)
def test_what_another_system_would_read_differently_is_refused(path):
    with pytest.raises(InvalidInput) as caught:
        portable_path(path)
    assert caught.value.code == Code.BAD_PATH


@pytest.mark.parametrize(
    "paths",
    [["a", "a"], ["a", "A"], ["ß", "SS"], ["a/b", "A/B"], ["a", "a/b"], ["A/x/y", "a/X"], ["é/x", "É"]],
)
def test_paths_that_fall_onto_each_other_are_refused(paths):
    for order in (paths, paths[::-1]):
        with pytest.raises(InvalidInput) as caught:
            portable_paths(order)
        assert caught.value.code == Code.BAD_PATH


def test_paths_side_by_side_are_fine():
    portable_paths(["a/b", "a/c", "b", "ab", "a.b/c"])


@given(st.text(max_size=40))
def test_a_portable_path_stays_below_its_folder(path):
    try:
        portable_path(path)
    except InvalidInput:
        return
    assert not path.startswith("/")
    assert not {"", ".", ".."} & set(path.split("/"))
    assert "\\" not in path
