"""Names and paths that would lead out of a vault, or onto each other: refused, and nothing outside is touched."""

import os
import string
import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelvault.errors import Code, Corrupt, InvalidInput, NotFound
from modelvault.paths import portable_path, portable_paths
from modelvault.stores.local import LocalStore
from modelvault.stores.memory import MemoryStore
from modelvault.vault import Vault

NOT_PORTABLE = {
    "the folder above": "../x",
    "the folder above, later": "a/../../x",
    "the folder above, alone": "..",
    "the same folder": "./x",
    "the same folder, later": "a/./x",
    "absolute": "/etc/cron.d/x",
    "absolute twice": "//etc/x",
    "a home": "~/../x/..",
    "nothing": "",
    "a folder": "a/",
    "an empty segment": "a//x",
    "a drive": "C:/x",
    "a drive, relative": "C:x",
    "a drive, backwards": "C:\\x",
    "backwards": "..\\x",
    "backwards, later": "a\\..\\..\\x",
    "a share": "\\\\host\\share\\x",
    "a share, forwards": "//host/share/x",
    "a device path": "\\\\?\\C:\\x",
    "a stream": "x:stream",
    "NUL": "x\0y",
    "a newline": "x\ny",
    "an escape": "\x1b[2Jx",
    "a delete": "x\x7f",
    "a C1 control": "x\x9b2J",
    "an override": "x\u202egnp.exe",
    "an isolate": "x\u2066y",
    "a zero width space": "x\u200by",
    "a byte order mark": "\ufeffx",
    "a line separator": "x\u2028y",
    "a no-break space": "x\u00a0y",
    "half a surrogate pair": "x\ud800",
    "an escaped byte": "x\udcff",
    "a private character": "x\ue000",
    "a trailing dot": "x.",
    "a trailing dot, above": "a./x",
    "a trailing space": "x ",
    "a trailing space, above": "a /x",
    "a leading space": " x",
    "dots and a space": "... ",
    "three dots": "...",
    "a reserved name": "con",
    "a reserved name in capitals": "AUX",
    "a reserved name with an extension": "nul.txt",
    "a reserved name with two": "NUL.tar.gz",
    "a reserved name as a folder": "prn/x",
    "a port": "com1",
    "a port nought": "LPT0.txt",
    "a port in superscript": "com¹.txt",
    "a console": "CONIN$",
    "a reserved name, a space, an extension": "con .txt",
    "a wildcard": "x*",
    "a question": "x?",
    "a quote": 'x"y',
    "a pipe": "x|y",
    "an arrow": "x>y",
    "normal form D": unicodedata.normalize("NFD", "é"),
    "a ligature in form D": "e\u0301/x",
    "a segment of 256 bytes": "x" * 256,
    "a segment of 256 bytes of UTF-8": "é" * 128,
    "1025 bytes": "/".join(["x" * 204] * 5) + "xx",
}

COLLIDE = {
    "twice the same": ("x", "x"),
    "case": ("x", "X"),
    "case of a folder": ("a/x", "A/x"),
    "case of Greek": ("Σ", "ς"),
    "a sharp s": ("straße", "strasse"),
    "a Kelvin": ("k", "\u212a".lower().upper()),
    "a file and a folder": ("a", "a/x"),
    "a file and a folder of another case": ("A", "a/x"),
    "a file and a folder far below": ("a/b", "a/b/c/d"),
    "a folder and a file": ("a/x", "a"),
}


@pytest.mark.parametrize("path", NOT_PORTABLE.values(), ids=NOT_PORTABLE)
def test_a_forged_manifest_with_such_a_path_is_corrupt_and_nothing_is_written(path, forgery, reader, place):
    manifest = forgery.manifest({**forgery.file(path, b"x"), "path": "~PATH~"})
    raw = forgery.canonical(manifest).replace(b'"~PATH~"', _json(path))
    ref = forgery.version(raw)
    for far in (False, True):
        vault = reader(far=far)
        for verb in (vault.version, vault.load, vault.fetch, lambda ref: vault.fetch(ref, place / "out")):  # noqa: B023
            with pytest.raises(Corrupt):
                verb(ref)
        assert not vault.verify().ok
    assert not (place / "out").exists()


def _json(path: str) -> bytes:
    escapes = {'"': '\\"', "\\": "\\\\", "\0": "\\u0000", "\n": "\\n", "\x1b": "\\u001b"}
    return f'"{"".join(escapes.get(c, c) for c in path)}"'.encode("utf-8", "surrogatepass")


@pytest.mark.parametrize("paths", COLLIDE.values(), ids=COLLIDE)
def test_a_forged_manifest_with_paths_that_collide_is_corrupt(paths, forgery, reader, place):
    ref = forgery.version(forgery.manifest(*(forgery.file(path, path.encode()) for path in paths)))
    with pytest.raises(Corrupt):
        reader().fetch(ref, place / "out")
    assert not (place / "out").exists()


NAMES = {what: path.rpartition("/")[2] for what, path in NOT_PORTABLE.items()}
FILES = {
    what: name
    for what, name in NAMES.items()
    if name not in {"", ".", ".."} and not set(name) & {"\0", "\ud800"} and len(os.fsencode(name)) < 256
}


@pytest.mark.parametrize("name", FILES.values(), ids=FILES)
def test_a_file_of_such_a_name_is_not_published(name, place):
    assert _made(place / "out", name)
    vault = Vault(LocalStore(place / "vault"))
    for obj in (place / "out", place / "out" / name):
        if portable_path_ok(name):
            assert vault.publish("m", obj, bump="patch").files[0].path == name
        else:
            with pytest.raises(InvalidInput) as raised:
                vault.publish("m", obj, bump="patch")
            assert raised.value.code == Code.BAD_PATH
            assert vault.models() == []


def portable_path_ok(path: str) -> bool:
    try:
        return portable_path(path) == path
    except InvalidInput:
        return False


def _made(folder: Path, name: str) -> bool:
    folder.mkdir()
    try:
        (folder / name).write_text("x")
    except (OSError, UnicodeEncodeError):
        return False
    return True


def test_files_whose_names_differ_in_case_alone_are_not_published(place):
    (place / "out" / "a").mkdir(parents=True)
    for name in ("a/x", "a/X"):
        (place / "out" / name).write_text(name)
    with pytest.raises(InvalidInput) as raised:
        Vault(LocalStore(place / "vault")).publish("m", place / "out")
    assert raised.value.code == Code.BAD_PATH


def test_links_pipes_and_devices_are_not_published_and_not_followed(place):
    vault = Vault(LocalStore(place / "vault"))
    plants = {
        "link to a file": lambda path: path.symlink_to(place / "file"),
        "link to a folder": lambda path: path.symlink_to(place / "neighbour"),
        "link to nothing": lambda path: path.symlink_to(place / "nothing"),
        "link to itself": lambda path: path.symlink_to(path),
        "pipe": os.mkfifo,
    }
    for what, plant in plants.items():
        folder = place / "out" / what
        folder.mkdir(parents=True)
        plant(folder / "x")
        with pytest.raises(InvalidInput) as raised:
            vault.publish("m", folder)
        assert raised.value.code == Code.BAD_PATH, what
    for odd in (place / "out" / "pipe" / "x", Path("/dev/null"), Path("/dev/zero")):
        with pytest.raises(InvalidInput) as raised:
            vault.publish("m", odd)
        assert raised.value.code == Code.BAD_PATH
    for missing in (place / "out" / "link to nothing" / "x", place / "out" / "link to itself" / "x", Path("x" * 5_000)):
        with pytest.raises(NotFound) as raised:
            vault.publish("m", missing)
        assert raised.value.code == Code.FILE_NOT_FOUND
    assert vault.models() == []


BAD_NAMES = [
    "", ".", "..", "../m", "m/..", "/m", "m/", "a/b", "a\\b", "C:", "\\\\host", "m\0", "m\n", "M", "é", "m ", " m", "m.", "-m",
    ".m", "_m", "con", "nul.v1", "com1", "m" * 101, "m@prod", "m:1", "m#0", "\ud800", "\u202em", "m%2f..", "~", "*",
]  # fmt: skip


@pytest.mark.parametrize("name", BAD_NAMES)
def test_such_a_name_of_a_model_or_alias_is_refused_by_every_verb(name, place):
    vault = Vault(LocalStore(place / "vault"))
    vault.publish("m", 1, version="1.0.0")
    vault.promote("m@prod", "1.0.0", reason="x")
    for call in (
        lambda: vault.publish(name, 1),
        lambda: vault.publish("n", 1, version=name),
        lambda: vault.publish("m", 1, bump="patch", base=name),
        lambda: vault.versions(name),
        lambda: vault.aliases(name),
        lambda: vault.load(f"{name}@prod"),
        lambda: vault.load(f"m:{name}/../1.0.0"),
        lambda: vault.fetch(f"{name}:1.0.0"),
        lambda: vault.history(f"m@{name}"),
        lambda: vault.promote(f"m@{name}", "1.0.0", reason="x"),
        lambda: vault.promote(f"{name}@prod", "1.0.0", reason="x"),
        lambda: vault.promote("m@prod", f"{name}/../1.0.0", reason="x"),
        lambda: vault.rollback(f"m@{name}", reason="x"),
        lambda: vault.note(f"{name}:1.0.0", "x"),
        lambda: vault.yank(f"m:{name}", reason="x"),
        lambda: vault.verify(f"{name}@prod"),
    ):
        if name == "*" and call.__code__.co_names == ("yank",):
            continue  # a range that matches
        with pytest.raises(InvalidInput):
            call()
    assert vault.models() == ["m"]
    assert [version.number for version in vault.versions("m")] == ["1.0.0"]
    assert list(vault.aliases("m")) == ["prod"]


@given(st.text(string.ascii_letters + string.digits + "./\\@:#~{}^*<>=|- \0\x1b\u202eé\ud800", max_size=30))
def test_any_text_as_a_ref_finds_nothing_or_is_malformed(text):
    vault = Vault(MemoryStore())
    for verb in (
        vault.load,
        vault.version,
        vault.history,
        vault.notes,
        lambda ref: vault.promote(ref, ref, reason="x"),
    ):
        with pytest.raises((InvalidInput, NotFound)) as raised:
            verb(text)
        error = raised.value
        assert f"{error}{error.hint}{error.ref}".isprintable()


@given(
    paths=st.lists(st.text(string.ascii_letters[:4] + "éÉßSsſKk/. ~\u0345\u0301ͅᾳ", min_size=1, max_size=6), max_size=4)
)
def test_paths_that_are_accepted_are_different_to_a_disk_that_sees_neither_case_nor_form(paths):
    try:
        for path in paths:
            portable_path(path)
        portable_paths(paths)
    except InvalidInput:
        return
    blurred = [_caseless(path) for path in paths]
    assert len(set(blurred)) == len(paths)
    assert not any(other.startswith(one + "/") for one in blurred for other in blurred)


def _caseless(path: str) -> str:
    """Canonical caseless matching, as in the Unicode standard, D145."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", path).casefold())


def test_any_single_characters_that_are_accepted_together_are_different_to_such_a_disk():
    seen: dict[str, str] = {}
    for code in range(0x30000):
        character = chr(code)
        if portable_path_ok(character):
            seen.setdefault(_caseless(character), character)
            other = seen[_caseless(character)]
            if other != character:
                with pytest.raises(InvalidInput):
                    portable_paths([other, character])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.text(min_size=1, max_size=12).filter(
        lambda text: "/" not in text and text not in {".", ".."} and "\0" not in text
    )
)
def test_a_file_of_any_name_is_refused_or_comes_back_under_it(path, tmp_path):
    folder = tmp_path / os.urandom(8).hex()
    vault = Vault(MemoryStore(), cache=tmp_path / "cache")
    if not _made(folder, path):
        return
    if portable_path_ok(path):
        vault.publish("m", folder)
        assert [file.name for file in vault.fetch("m:1.0.0", folder / "out").iterdir()] == [path]
    else:
        with pytest.raises(InvalidInput):
            vault.publish("m", folder)
