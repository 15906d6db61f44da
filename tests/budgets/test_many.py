"""What a verb asks of the store does not grow with what the vault holds: 200 versions, or 10,000 of 10,000 models."""

import os
import sys
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from modelvault import layout
from modelvault.canonical import digest_of
from modelvault.stores.local import LocalStore
from modelvault.stores.memory import MemoryStore
from modelvault.stores.port import Key, Store
from modelvault.stores.wrappers import Recording, Wrapper
from modelvault.vault import Vault
from modelvault.wire import Claim, Manifest, Target, record, seal, write_manifest

CROWDS = [200, pytest.param(10_000, marks=pytest.mark.long)]
LARGE = 140_000


class Remote(Wrapper):
    url = "s3://bucket"


@cache
def crowd(count: int) -> dict[str, bytes]:
    """All objects of a vault: versions 1.0.0, 1.0.1, … of `m`, of which `prod` has been at the first, and as many other models."""
    vault = Vault(store := MemoryStore())
    first = vault.publish("m", "an object")
    vault.promote("m@prod", first, reason="x")
    store._objects |= dict(claimed(first.manifest, first.claim, "m", f"1.0.{number}") for number in range(1, count))
    store._objects |= dict(claimed(first.manifest, first.claim, f"m{number}", "1.0.0") for number in range(1, count))
    return store._objects


def claimed(manifest: Manifest, claim: Claim, model: str, number: str) -> tuple[str, bytes]:
    """The claim of the same content under another name."""
    raw = write_manifest(manifest.model_copy(update={"model": model, "version": number}))
    target = record(Target, version=number, digest=digest_of(raw), size=len(raw), inline=raw.decode())
    said = record(Claim, model=model, target=target, txn=os.urandom(16).hex(), created=claim.created, actor="x")
    return layout.claim(model, number), seal(said)


def memory(count: int) -> MemoryStore:
    store = MemoryStore()
    store._objects = dict(crowd(count))
    return store


VERBS: dict[str, Callable[[Vault, Path], object]] = {
    "an alias": lambda vault, _: vault.version("m@prod"),
    "a number": lambda vault, _: vault.version("m:1.0.0"),
    "load": lambda vault, _: vault.load("m@prod"),
    "load a number": lambda vault, _: vault.load("m:1.0.0"),
    "a range": lambda vault, _: vault.version("m:~1.0"),
    "promote": lambda vault, _: vault.promote("m@prod", "1.0.0", reason="x", expect="1.0.0"),
    "promote anew": lambda vault, _: vault.promote("m@other", "1.0.0", reason="x"),
    "note": lambda vault, _: vault.note("m:1.0.0", "x"),
    "yank": lambda vault, _: vault.yank("m:1.0.0", reason="x"),
    "history": lambda vault, _: vault.history("m@prod"),
    "aliases": lambda vault, _: vault.aliases("m"),
    "publish": lambda vault, folder: vault.publish("m", folder, version="7.0.0"),
    "publish, by bump": lambda vault, folder: vault.publish("m", folder, bump="minor"),
    "publish another": lambda vault, folder: vault.publish("another", folder),
    "dry run": lambda vault, folder: vault.publish("m", folder, bump="minor", dry_run=True),
    "models": lambda vault, _: vault.models(),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two files to publish."""
    root = tmp_path / "files"
    root.mkdir()
    for number in range(2):
        (root / f"{number}").write_bytes(os.urandom(LARGE))
    return root


def asked(store: Store, verb: Callable[[Vault, Path], object], folder: Path) -> list[tuple[str, int]]:
    """The operations of a verb in a new vault object: of each the kind, and the bytes that it moves."""
    recording = Recording(store)
    verb(Vault(recording), folder)
    return [(one.verb, one.size if one.size >= LARGE else 0) for one in recording.operations]


@pytest.mark.parametrize("count", CROWDS)
@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_a_verb_asks_the_store_for_as_much_as_if_there_were_one_version(verb, count, folder):
    assert sorted(asked(memory(count), verb, folder)) == sorted(asked(memory(1), verb, folder))


@pytest.mark.parametrize("count", CROWDS)
def test_a_file_to_share_with_is_found_as_quickly(count, folder):
    """From 16 MiB on the newest version is looked at, and what the aliases point to."""
    (folder / "large").write_bytes(os.urandom(17 * 2**20))
    verb = VERBS["publish, by bump"]
    assert sorted(asked(memory(count), verb, folder)) == sorted(asked(memory(1), verb, folder))


def system(call: Callable[[], object]) -> Counter[str]:
    """How often each function of the operating system is called, while `call` runs."""
    found: Counter[str] = Counter()

    def seen(_: object, event: str, function: object) -> None:
        if event == "c_call" and getattr(function, "__module__", "") == "posix":
            found[function.__name__] += 1

    sys.setprofile(seen)
    try:
        call()
    finally:
        sys.setprofile(None)
    return found


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """Vaults in folders, with so many versions and models."""

    @cache
    def made(count: int) -> Path:
        root = tmp_path_factory.mktemp(f"vault{count}")
        for key, data in crowd(count).items():
            (root / key).parent.mkdir(parents=True, exist_ok=True)
            (root / key).write_bytes(data)
        return root

    return made


@pytest.mark.parametrize("count", CROWDS)
@pytest.mark.parametrize("verb", ["an alias", "a number", "load", "load a number", "promote anew", "publish"])
def test_on_a_disk_a_verb_calls_the_system_as_often(verb, count, local, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))  # nobody waits for git, which takes as many calls as it takes

    def calls(root: Path) -> Counter[str]:
        vault = Vault(LocalStore(root))
        found = system(lambda: VERBS[verb](vault, folder))
        for key in (layout.claim("m", "7.0.0"), layout.entry(layout.journal("m", "other"), 1)):
            (root / key).unlink(missing_ok=True)
        return found

    calls(local(1))  # what is imported and made once
    calls(local(count))
    assert calls(local(count)) == calls(local(1)) != {}


def test_two_hundred_versions_are_listed_with_one_request_where_they_have_been_read(tmp_path):
    store = memory(200)
    for expected in ({"list": 1, "read": 200}, {"list": 1}):
        vault = Vault(recording := Recording(Remote(store)), cache=tmp_path / "cache")
        assert len(vault.versions("m")) == 200
        assert recording.counts == expected
        recording.operations.clear()
        vault.versions("m")
        assert recording.counts == {"list": 1}


def test_the_crowd_is_a_sound_vault():
    store = memory(20)
    report = Vault(store).verify()
    assert report.ok
    assert len(Vault(store).models()) == 20
    assert Key(layout.claim("m", "1.0.19")) in store._objects
