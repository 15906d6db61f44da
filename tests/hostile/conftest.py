"""An attacker who knows the format: forged records that are correctly sealed, and a place to see what they touch."""

import base64
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from modelvault.stores.memory import MemoryStore
from modelvault.stores.port import Store
from modelvault.stores.wrappers import Wrapper
from modelvault.vault import Vault

OWN = {"vault", "cache", "out", "own-vault", "own-cache"}
TXN, AT = "0" * 32, "2026-11-23T07:49:15.000000Z"


def snapshot(folder: Path) -> dict[str, tuple[int, bytes | str]]:
    """All that lies below `folder`, but for the places that a vault, its cache and its output have to themselves."""
    found: dict[str, tuple[int, bytes | str]] = {}
    for above, folders, files in os.walk(folder):
        if Path(above) == folder:
            folders[:] = [name for name in folders if name not in OWN]
            files[:] = [name for name in files if name not in OWN]
        for path in (Path(above, name) for name in [*folders, *files]):
            mode = path.lstat().st_mode
            what = os.readlink(path) if stat.S_ISLNK(mode) else path.read_bytes() if stat.S_ISREG(mode) else ""
            found[str(path.relative_to(folder))] = (mode, what)
    return found


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder where all but `vault`, `cache` and `out` must be at the end what it was at the beginning."""
    (tmp_path / "neighbour").mkdir()
    (tmp_path / "neighbour" / "file").write_text("not yours")
    (tmp_path / "file").write_text("not yours either")
    monkeypatch.chdir(tmp_path / "neighbour")
    before = snapshot(tmp_path)
    yield tmp_path
    assert snapshot(tmp_path) == before


def canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def sealed(body: bytes) -> bytes:
    """`body`, a canonical object, with the seal that the format asks for."""
    return body[:-1] + b',"~sha256":"' + hashlib.sha256(body).hexdigest().encode() + b'"}'


class Forgery:
    """Writes into a store what no publisher would, under the right digests and seals."""

    canonical, digest, sealed = staticmethod(canonical), staticmethod(digest), staticmethod(sealed)

    def __init__(self, store: Store) -> None:
        self.store = store

    def blob(self, data: bytes) -> dict[str, Any]:
        """Store `data`; the part that names it."""
        name = hashlib.sha256(data).hexdigest()
        if data:
            self.store.create(f"blobs/sha256/{name[:2]}/{name}", data)
        return {"digest": f"sha256:{name}", "size": len(data)}

    def file(self, path: object, data: bytes) -> dict[str, Any]:
        """A file record with `data` inline."""
        return {
            "path": path,
            "size": len(data),
            "digest": digest(data),
            "inline": base64.b64encode(data).decode(),
        }

    def manifest(self, *files: object, **members: object) -> dict[str, Any]:
        plain: dict[str, Any] = {"record": "manifest/1", "model": "m", "version": "1.0.0", "format": "files"}
        return plain | {"files": list(files)} | members

    def target(self, manifest: bytes, number: str = "1.0.0") -> dict[str, Any]:
        """Store a manifest; the target that pins it."""
        name = digest(manifest)
        key = f"blobs/sha256/{name[7:9]}/{name[7:]}"
        try:
            self.store.read(key)
        except KeyError:
            self.store.create(key, manifest)
        return {"version": number, "digest": name, "size": len(manifest), "blob": name}

    def claim(self, target: dict[str, Any], **members: object) -> str:
        """Claim a number of the model `m`; the ref."""
        number = str(target["version"])
        claim = {"record": "claim/1", "model": "m", "target": target, "txn": TXN, "created": AT, "actor": "mallory"}
        self.store.create(f"models/m/versions/{number}.json", sealed(canonical(claim | members)))
        return f"m:{number}"

    def version(self, manifest: dict[str, Any] | bytes, **members: object) -> str:
        raw = manifest if isinstance(manifest, bytes) else canonical(manifest)
        return self.claim(self.target(raw), **members)

    def move(self, seq: int, target: dict[str, Any] | None, before: bytes | None = None, **members: object) -> bytes:
        """Store an entry of the alias `m@prod`; its bytes."""
        move = {"record": "move/1", "model": "m", "alias": "prod", "seq": seq, "txn": TXN, "at": AT}
        move |= {"kind": "promote" if target else "retire", "actor": "mallory", "reason": "because"}
        move |= ({"target": target} if target else {}) | ({"prev": digest(before)} if before else {}) | members
        raw = sealed(canonical(move))
        self.store.create(f"models/m/aliases/prod/{9_999_999_999 - seq:010d}.json", raw)
        return raw

    def note(self, seq: int, before: bytes | None = None, **members: object) -> bytes:
        """Store a note on `m:1.0.0`; its bytes."""
        note = {"record": "note/1", "model": "m", "version": "1.0.0", "seq": seq, "txn": TXN, "at": AT}
        note |= {"kind": "remark", "text": "x", "actor": "mallory"} | ({"prev": digest(before)} if before else {})
        raw = sealed(canonical(note | members))
        self.store.create(f"models/m/notes/1.0.0/{9_999_999_999 - seq:010d}.json", raw)
        return raw


class Remote(Wrapper):
    """A store that others can write to, far away."""

    url = "s3://bucket"

    def private(self, key: str) -> bool:
        return False


@pytest.fixture
def forgery() -> Forgery:
    """Writes into a store in memory."""
    return Forgery(MemoryStore())


@pytest.fixture
def forgery_in() -> Callable[[Store], Forgery]:
    """Writes into that store."""
    return Forgery


@pytest.fixture
def remote() -> Callable[[Store], Store]:
    """That store, as one that others can write to."""
    return Remote


@pytest.fixture
def reader(forgery: Forgery, place: Path) -> Callable[..., Vault]:
    """Opens the forged vault: near, or with a disk cache in front as if it were far away."""

    def opened(*, far: bool = False, **options: Any) -> Vault:
        store: Store = Remote(forgery.store) if far else forgery.store
        return Vault(store, **({"cache": place / "cache"} | options))

    return opened
