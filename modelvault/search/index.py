"""The index: what is recorded of versions, as facts by name, in a database of SQLite.

It is filled from records that never change, so it only grows; whatever is in doubt is dropped, and read again.  It lives in
memory; its file, in the cache of the user, is a copy behind its own hash, which is replaced as a whole: processes need no
lock, one that is killed leaves the file as it was, and of two that refresh at once the last one's stays.  It is never the
truth: who asks is given versions, whose records are verified, and an index that names others is dropped.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from modelvault import layout, reference
from modelvault.blobs import parallel
from modelvault.cache.folders import of_vault
from modelvault.catalog import Catalog
from modelvault.errors import VaultError
from modelvault.search.grammar import Wanted
from modelvault.search.values import instant, natural, number_of, precedence
from modelvault.stores import Key, KeyMissing
from modelvault.wire import Claim, Manifest

__all__ = ["Hit", "Index", "facts"]

LIMIT: Final = 256 * 1024 * 1024
"""Bytes of the largest index that is kept in a file."""

_SCHEMA: Final = 1
_AT_ONCE: Final = 2_000
"""Versions that are read before the file is written."""

_TABLES: Final = """
CREATE TABLE about (root TEXT NOT NULL);
CREATE TABLE version (
    id INTEGER PRIMARY KEY, model TEXT NOT NULL, number TEXT NOT NULL, rank TEXT NOT NULL, digest TEXT NOT NULL,
    UNIQUE (model, number)
);
CREATE TABLE fact (name TEXT NOT NULL, value NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (name, value, version))
    WITHOUT ROWID;
"""

_POINT: Final = "INSERT INTO fact SELECT 'alias', ?, id FROM version WHERE model = ? AND number = ?"
_MAGIC: Final = b"SQLite format 3\0"
_SEAL: Final = 32

Fact = tuple[str, Any]


class Hit(NamedTuple):
    """A version that was found, and the digest that it had when it was read."""

    model: str
    number: str
    digest: str


class Index:
    """The index of one vault, in memory, and in a file in `folder` if there is one.  Safe for threads."""

    def __init__(self, catalog: Catalog, folder: Path | None, *, near: bool = False) -> None:
        """Of a vault that is `near`, folders are listed one after the other: there is nothing to wait for."""
        self._catalog = catalog
        self._path = folder and folder / f"{of_vault(catalog.store.url)}-{_SCHEMA}"
        self._near = near
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._about = ""
        """The root record of the vault that is indexed."""
        self._open(self._stored())

    @property
    def stranger(self) -> bool:
        """It is of the process that this one was forked from."""
        return self._process != os.getpid()

    def find(self, wanted: Wanted) -> list[Hit]:
        """What there is now, by model, the newest version first."""
        with self._lock:
            self._refresh(wanted)
            sql = (
                f"SELECT model, number, digest FROM version WHERE {wanted.where.sql} ORDER BY model, rank DESC LIMIT ?"  # noqa: S608 - of constants
            )
            rows = self._database.execute(sql, (*wanted.where.values, wanted.limit or -1))
            return [Hit(*row) for row in rows]

    def drop(self) -> None:
        """Forget all, for it is not what the vault says."""
        with self._lock:
            self._open(b"")

    def _refresh(self, wanted: Wanted) -> None:
        root = self._root()
        if root != self._about:
            self._open(b"")
            self._about = root
        models = self._models(wanted)
        pointed = self._pointed(models) if wanted.aliases else []  # first: what an alias points to is there by then
        listed = [*map(self._keys, models)] if self._near else parallel(self._keys, models)
        keys = {model: set[str]() for model in (self._known if wanted.where.models is None else ())}
        keys |= dict(zip(models, listed, strict=True))
        self._forget([(model, key) for model in keys for key in self._known.get(model, set()) - keys[model]])
        self._add([(model, key) for model in keys for key in sorted(keys[model] - self._known.get(model, set()))])
        with self._database as database:
            database.execute("DELETE FROM fact WHERE name = 'alias'")
            database.executemany(_POINT, pointed)

    def _keys(self, model: str) -> set[str]:
        return {one.key for one in self._catalog.store.list(layout.versions(model))}

    def _models(self, wanted: Wanted) -> list[str]:
        if wanted.where.models is None:
            return self._catalog.models()
        return sorted(filter(_is_name, wanted.where.models))

    def _root(self) -> str:
        """What tells a vault from another that was made in its place."""
        try:
            return hashlib.sha256(self._catalog.store.read(Key(layout.VAULT))).hexdigest()
        except KeyMissing:
            return ""

    def _pointed(self, models: Iterable[str]) -> list[tuple[str, str, str]]:
        """Where aliases point now: alias, model, number."""
        names = [(model, alias) for model in models for alias in self._catalog.aliases(model)]
        moves = parallel(lambda name: self._catalog.journal(*name).newest(), names)
        return [(one.alias, one.model, one.version) for one in moves if one and one.version]

    def _forget(self, gone: list[tuple[str, str]]) -> None:
        """What is no longer listed: nothing removes versions, but a vault may be set back."""
        with self._database as database:
            for model, key in gone:
                number = layout.number_of(key)
                [row] = database.execute("SELECT id FROM version WHERE model = ? AND number = ?", (model, number))
                database.execute("DELETE FROM fact WHERE version = ?", row)
                database.execute("DELETE FROM version WHERE id = ?", row)
                self._known[model].discard(key)

    def _add(self, wanting: list[tuple[str, str]]) -> None:
        for begin in range(0, len(wanting), _AT_ONCE):
            some = wanting[begin : begin + _AT_ONCE]
            read = parallel(lambda one: self._read(*one), some)
            with self._database as database:
                for (model, _), (manifest, claim) in zip(some, read, strict=True):
                    row = (model, manifest.version, precedence(manifest.version), claim.target.digest)
                    made = database.execute(
                        "INSERT INTO version (model, number, rank, digest) VALUES (?, ?, ?, ?)", row
                    )
                    values = [(name, value, made.lastrowid) for name, value in facts(manifest, claim)]
                    database.executemany("INSERT OR IGNORE INTO fact VALUES (?, ?, ?)", values)
            for model, key in some:
                self._known.setdefault(model, set()).add(key)
            self._keep()

    def _read(self, model: str, key: str) -> tuple[Manifest, Claim]:
        claim = self._catalog.claim(model, layout.number_of(key))
        return self._catalog.manifest(model, claim.target), claim

    # --- the file ------------------------------------------------------------------------------------------------

    def _open(self, stored: bytes) -> None:
        """The database in `stored`; an empty one, if there is none in it."""
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        weakref.finalize(self, self._database.close)
        self._about = ""
        self._known: dict[str, set[str]] = {}
        try:
            if stored:
                self._database.deserialize(stored)
                [(self._about,)] = self._database.execute("SELECT root FROM about")
                for model, number in self._database.execute("SELECT model, number FROM version"):
                    self._known.setdefault(model, set()).add(layout.claim(model, number))
                return
        except (sqlite3.Error, ValueError):  # no database, or not one of ours
            self._open(b"")
            return
        self._database.executescript(_TABLES)

    def _stored(self) -> bytes:
        """What is in the file; nothing, if it is damaged."""
        if self._path is None or not hasattr(sqlite3.Connection, "deserialize"):
            return b""
        with suppress(OSError):
            if self._path.stat().st_size <= _SEAL + LIMIT:
                raw = self._path.read_bytes()
                body = raw[_SEAL:]
                if body.startswith(_MAGIC) and hashlib.sha256(body).digest() == raw[:_SEAL]:
                    return body
        return b""

    def _keep(self) -> None:
        """Replace the file.  A failure leaves the one that is there: what it lacks is read again."""
        if self._path is None or not hasattr(sqlite3.Connection, "serialize"):
            return
        with self._database as database:
            database.execute("DELETE FROM about")
            database.execute("INSERT INTO about VALUES (?)", (self._about,))
        body = self._database.serialize()
        if len(body) > LIMIT:
            return
        stage = self._path.with_name(f".tmp-{os.urandom(16).hex()}")
        with suppress(OSError):
            try:
                with open(os.open(stage, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
                    file.write(hashlib.sha256(body).digest())
                    file.write(body)
                os.replace(stage, self._path)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(stage)


def _is_name(text: str) -> bool:
    with suppress(VaultError):
        return bool(reference.model_name(text))
    return False


def facts(manifest: Manifest, claim: Claim) -> Iterator[Fact]:
    """What can be asked of a version, by name; of some names there are several."""
    yield from (
        ("model", manifest.model),
        ("version", manifest.version),
        ("version order", precedence(manifest.version)),
    )
    yield from (("created", instant(claim.created)), ("actor", claim.actor), ("digest", claim.target.digest))
    yield from (("format", manifest.format), ("size", number_of(manifest.size)), ("notes", manifest.notes))
    yield from (("file", file.path) for file in manifest.files)
    yield from ((f"metrics.{name}", value) for name, value in manifest.metrics.items())
    for name, value in manifest.params.items():
        yield from _leaves(f"params.{name}", value)
    for ref in manifest.data:
        yield "data.uri", ref.uri
        yield from (("data.digest", digest) for digest in (ref.digest, ref.etag) if digest)
    if manifest.environment:
        yield from (("python", manifest.environment.python), ("platform", manifest.environment.platform))
        for name, release in manifest.environment.packages.items():
            yield from ((f"packages.{name}", release), (f"packages.{name} order", natural(release)))
    if manifest.provenance and manifest.provenance.algorithm:
        yield "algorithm", manifest.provenance.algorithm.name
    if manifest.provenance and manifest.provenance.git:
        git = manifest.provenance.git
        yield from (("git.commit", git.commit), ("git.dirty", "true" if git.dirty else "false"))
        yield from (("git.remote", remote) for remote in (git.remote,) if remote)


def _leaves(name: str, value: Any) -> Iterator[Fact]:
    """The scalars in a value; those of a list under its own name."""
    if isinstance(value, Mapping):
        for member, inner in value.items():
            yield from _leaves(f"{name}.{member}", inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _leaves(name, inner)
    elif isinstance(value, bool) or value is None:
        yield name, {True: "true", False: "false", None: "null"}[value]
    else:
        yield name, value if isinstance(value, str) else number_of(value)
