"""Odd things where a vault or a cache keeps its own: refused or passed over, never followed, never waited for."""

import itertools
import os
import shutil
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from modelvault.cache import Cache
from modelvault.errors import Code, Corrupt, StoreError, Untrusted, VaultError
from modelvault.stores.local import LocalStore
from modelvault.vault import Vault

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices and gives files away")


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        here = os.getcwd()
        os.chdir(path.parent)  # a socket's path is short
        made.bind(path.name)
        os.chdir(here)


def _sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 2**40)


PLANTS: dict[str, Callable[[Path], object]] = {
    "a folder": lambda path: path.mkdir(),
    "a folder of files": lambda path: (path.mkdir(), (path / "x").write_text("x")),
    "a pipe": os.mkfifo,
    "a socket": _socket,
    "a link to a file": lambda path: path.symlink_to(Path.cwd() / "file"),
    "a link to a folder": lambda path: path.symlink_to(Path.cwd()),
    "a link to what is not there": lambda path: path.symlink_to(Path.cwd() / "new"),
    "a link to itself": lambda path: path.symlink_to(path),
    "nothing": lambda path: None,
    "no bytes": lambda path: path.touch(),
    "other bytes": lambda path: path.write_bytes(b"other"),
    "a terabyte of holes": _sparse,
}
if os.geteuid() == 0:
    PLANTS["a device"] = lambda path: os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))  # /dev/zero

SOME_AND_ALL = pytest.mark.parametrize("step", [11, pytest.param(1, marks=pytest.mark.long)])


@pytest.fixture
def filled(place: Path) -> Path:
    """A vault with blobs, inline files, an alias and a note."""
    (place / "out").mkdir()
    (place / "out" / "large").write_bytes(os.urandom(20_000))
    (place / "out" / "small").write_bytes(b"small")
    vault = Vault(LocalStore(place / "vault"))
    vault.publish("m", place / "out")
    vault.promote("m@prod", "1.0.0", reason="x")
    vault.note("m:1.0.0", "x")
    return place / "vault"


def planted(root: Path, place: Path, step: int) -> list[tuple[str, Path]]:
    """Copies of `root`, each with one odd thing in the place of a file or folder."""
    nodes = sorted(path.relative_to(root) for path in root.rglob("*"))
    cases = itertools.islice(itertools.product(nodes, PLANTS), 0, None, step)
    return [(f"{plant} at {node}", _plant(root, place / "cache" / str(n), node, plant)) for n, (node, plant) in enumerate(cases)]  # fmt: skip


def _plant(root: Path, copy: Path, node: Path, plant: str) -> Path:
    shutil.copytree(root, copy)
    spot = copy / node
    (shutil.rmtree if spot.is_dir() else os.unlink)(spot)
    PLANTS[plant](spot)
    return copy


@pytest.mark.timeout(600)
@SOME_AND_ALL
def test_a_vault_with_odd_things_in_it_answers_or_fails_as_a_vault_does(filled, place, step):
    for what, copy in planted(filled, place, step):
        cache = copy.with_name(copy.name + "-cache")
        vault = Vault(LocalStore(copy), cache=cache)
        for verb in (
            lambda: vault.load("m@prod"),  # noqa: B023
            lambda: vault.fetch("m@prod"),  # noqa: B023
            lambda: vault.history("m@prod"),  # noqa: B023
            lambda: vault.notes("m:1.0.0"),  # noqa: B023
            lambda: vault.versions("m"),  # noqa: B023
            lambda: vault.aliases("m"),  # noqa: B023
            vault.models,
            vault.verify,
            lambda: vault.publish("m", place / "out", bump="minor"),  # noqa: B023
            lambda: vault.promote("m@prod", "1.0.0", reason="x"),  # noqa: B023
        ):
            try:
                verb()
            except VaultError as error:
                assert f"{error}{error.hint}{error.ref}".isprintable(), what
        shutil.rmtree(copy, ignore_errors=True)


@pytest.mark.timeout(600)
@SOME_AND_ALL
def test_a_cache_with_odd_things_in_it_is_mended_or_refused_and_never_believed(filled, place, remote, step):
    right = {path.name: path.read_bytes() for path in (place / "out").iterdir()}
    far = remote(LocalStore(filled))
    Vault(far, cache=place / "cache").load("m@prod")
    root = place / "cache"
    root.rename(place / "out" / "filled")
    for what, copy in planted(place / "out" / "filled", place, step):
        for _ in range(2):
            try:
                found = Vault(far, cache=copy).load("m@prod")
            except (StoreError, Untrusted):
                break
            assert {path.name: path.read_bytes() for path in found.iterdir()} == right, what
        shutil.rmtree(copy, ignore_errors=True)


def test_a_cache_that_others_can_write_is_refused(filled, place, remote):
    for mode in (0o777, 0o770, 0o720, 0o702, 0o1777):
        (place / "cache").mkdir(exist_ok=True)
        (place / "cache").chmod(mode)
        with pytest.raises(Untrusted) as raised:
            Vault(remote(LocalStore(filled)), cache=place / "cache")
        assert raised.value.code == Code.UNSAFE_FOLDER
        vault = Vault(LocalStore(filled), cache=place / "cache")
        with pytest.raises(Untrusted):
            vault.fetch("m@prod")
        assert list((place / "cache").iterdir()) == []


def test_a_cache_that_is_a_link_or_a_file_is_refused(filled, place, remote):
    (place / "out" / "elsewhere").mkdir()
    (place / "cache").symlink_to(place / "out" / "elsewhere")
    with pytest.raises(Untrusted):
        Vault(remote(LocalStore(filled)), cache=place / "cache")
    (place / "cache").unlink()
    (place / "cache").write_text("x")
    with pytest.raises((StoreError, Untrusted)):
        Vault(remote(LocalStore(filled)), cache=place / "cache")
    assert list((place / "out" / "elsewhere").iterdir()) == []


def test_a_folder_of_the_cache_that_is_a_link_or_open_to_others_is_refused(filled, place):
    (place / "out" / "elsewhere").mkdir()
    (place / "cache").mkdir(mode=0o700)
    (place / "cache" / "trees").symlink_to(place / "out" / "elsewhere")
    vault = Vault(LocalStore(filled), cache=place / "cache")
    with pytest.raises(Untrusted):
        vault.fetch("m@prod")
    assert list((place / "out" / "elsewhere").iterdir()) == []
    (place / "cache" / "trees").unlink()
    (place / "cache" / "trees").mkdir()
    (place / "cache" / "trees").chmod(0o777)
    with pytest.raises(Untrusted):
        vault.fetch("m@prod")


@AS_ROOT
def test_a_cache_of_another_user_is_refused(place):
    (place / "cache").mkdir(mode=0o700)
    os.chown(place / "cache", 12345, 12345)
    with pytest.raises(Untrusted):
        Cache(place / "cache")


def test_a_cache_below_a_file_is_a_store_error(place):
    for folder in (place / "file" / "cache", place / "file"):
        with pytest.raises((StoreError, Untrusted)):
            Cache(folder)


def test_fetch_writes_nowhere_but_into_a_new_folder(filled, place):
    vault = Vault(LocalStore(filled), cache=place / "cache")
    for taken in ("file", "neighbour", "neighbour/file", "vault", ".", "..", "/", "neighbour/.."):
        with pytest.raises(VaultError) as raised:
            vault.fetch("m@prod", Path("..") / taken if taken != "/" else taken)
        assert raised.value.code in {Code.TARGET_EXISTS, Code.STORE_DENIED}, taken
    (place / "out" / "link").symlink_to(place / "neighbour")
    with pytest.raises(VaultError):
        vault.fetch("m@prod", place / "out" / "link")
    with pytest.raises(Corrupt):
        _damaged(filled, vault).fetch("m@prod", place / "out" / "damaged")
    assert sorted(path.name for path in (place / "out").iterdir()) == ["large", "link", "small"]


def _damaged(root: Path, vault: Vault) -> Vault:
    blob = next(path for path in (root / "blobs").rglob("*") if path.is_file())
    blob.chmod(0o600)
    blob.write_bytes(b"x" * blob.stat().st_size)
    return vault
