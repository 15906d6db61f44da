"""What a vault has in hand, whatever the verb: its store, its cache, its records."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from modelvault import formats, reference
from modelvault import trust as trusted
from modelvault.blobs import Blobs
from modelvault.cache import Records
from modelvault.canonical import storable
from modelvault.catalog import Catalog, Found
from modelvault.errors import Code, Corrupt, InvalidInput, VaultError, shown
from modelvault.progress import Meter, Show
from modelvault.reference import Number, NumberRef
from modelvault.stores import Key, Store
from modelvault.tree import Tree
from modelvault.version import Version
from modelvault.wire import Claim, Manifest

if TYPE_CHECKING:
    from modelvault.cache import Cache
    from modelvault.cache.stamps import Stamps
    from modelvault.formats import Format
    from modelvault.moving import Who
    from modelvault.search import Index

Used = TypeVar("Used")

LONG = 8 * 1024 * 1024
"""Bytes that take long enough to be shown."""


def cache_at(folder: Path | None = None) -> Cache:
    """The cache in `folder`, or in the user's own if left out, as the environment says.

    `$MODELVAULT_CACHE_LAYERS` names its layers, and `$MODELVAULT_CACHE_LIMIT` its size.  Raises as `Cache`, and
    InvalidInput `bad-value` for what is no size.
    """
    from modelvault.cache import Cache, room

    layers, limit = os.environ.get("MODELVAULT_CACHE_LAYERS", ""), os.environ.get("MODELVAULT_CACHE_LIMIT")
    return Cache(
        folder or _own_cache(),
        layers=[Path(layer) for layer in layers.split(os.pathsep) if layer],
        limit=room.size(limit) if limit else room.LIMIT,
    )


def _own_cache() -> Path:
    named = os.environ.get("MODELVAULT_CACHE")
    if named:
        return Path(named)
    import platformdirs

    return platformdirs.user_cache_path("modelvault", appauthor=False)


def _now() -> datetime:
    return datetime.now(UTC)


class Opened:
    """A vault that was opened: what its verbs share."""

    def __init__(
        self,
        store: Store,
        *,
        cache: Path | bool | None = None,
        trust: str | None = None,
        single_writer: bool = False,
        progress: bool | Show = True,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        """A vault in `store`.  `clock` dates the records; nothing is decided by it.  The rest is as in `open`."""
        self._store = store
        self._trust = trusted.level(trust)
        self._single_writer = single_writer
        self._progress = progress
        self._clock = clock
        self._ensured = False
        self._cached_in = cache
        self._opened: Cache | None = None
        self._index: Index | None = None
        self._catalog = self._read_anew()

    @property
    def url(self) -> str:
        """Where the vault is."""
        return self._store.url

    def __repr__(self) -> str:
        return f"<Vault {shown(self.url)}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """To another process: the same vault, with nothing remembered."""
        opened = partial(
            type(self),
            cache=self._cached_in,
            trust=self._trust,
            single_writer=self._single_writer,
            progress=self._progress,
            clock=self._clock,
        )
        return opened, (self._store,)

    def _read_anew(self) -> Catalog:
        """The records of the vault, with nothing in memory; behind the cache, if it is far."""
        store, cache = self._store, None if is_near(self._store) else self._cache()
        if cache is None:
            return Catalog(Records(store), Blobs(store, stamps=self._stamps))
        records = Records(store, cache.records(store.url))
        blobs = Blobs(store, cache.blobs, cache.flight, lambda: cache.stamps)
        return Catalog(records, blobs, cache.heads(store.url))

    def _format(self, manifest: Manifest, key: str) -> Format:
        """The format of a version, whose digest the record at `key` pins, if this reader trusts it."""
        format = formats.named(manifest.format)
        trusted.check(
            format.name,
            safe=format.safe,
            private=format.safe or self._store.private(Key(key)),
            trust=self._trust,
            ref=f"{manifest.model}:{manifest.version}",
        )
        return format

    def _watched(self, tree: Tree, use: Callable[[Tree], Used]) -> Used:
        """What `use` makes of the files of a version, while it is shown what comes."""
        meter = Meter(self._show())
        meter.begin("fetch", tree.size)
        try:
            return use(tree.metered(meter))
        finally:
            meter.end()

    def _show(self) -> Show | None:
        if self._progress is not True:
            return self._progress or None
        from modelvault.display.bar import bar

        return bar()

    def _numbered(self, ref: NumberRef) -> Version:
        return self._version(self._catalog.resolve(ref))

    def _version(self, found: Found, catalog: Catalog | None = None) -> Version:
        catalog = catalog or self._catalog
        claim = catalog.claim(found.model, found.target.version)
        if claim.target.digest != found.target.digest:
            raise Corrupt(
                f"{found.key} names another digest than the claim of {found.model}:{found.target.version}",
                code=Code.DIGEST_MISMATCH,
                hint="a record was forged or restored; 'modelvault verify' tells more",
                ref=found.key,
            )
        return self._made(catalog.manifest(found.model, found.target), claim, found.stale)

    def _made(self, manifest: Manifest, claim: Claim, stale: float | None = None) -> Version:
        return Version(manifest, claim, cast("Any", self), stale)

    def _cache(self) -> Cache | None:
        if self._opened is None and self._cached_in:
            self._opened = cache_at(None if self._cached_in is True else self._cached_in)
        return self._opened

    def _stamps(self) -> Stamps:
        """What says which files of a vault that is near were verified: of a cache that cannot be used, nothing does."""
        from modelvault.cache.stamps import Stamps

        with contextlib.suppress(VaultError):
            if cache := self._cache():
                return cache.stamps
        return Stamps()

    def _within(self, model: str, to: Version | str) -> Found:
        """What `to` names: a version, its number, or a ref; of `model`, and of this vault."""
        ref = _named(model, to)
        if ref.model != model:
            raise InvalidInput(
                f"{ref} is no version of {model}",
                code=Code.BAD_REF,
                hint="an alias points within its model",
                ref=str(ref),
            )
        found = self._catalog.resolve(ref)
        if isinstance(to, Version) and to.digest != found.target.digest:
            raise InvalidInput(
                f"{ref} is another version in this vault", code=Code.BAD_REF, hint="publish it here first", ref=str(ref)
            )
        return found

    def _who(self, actor: str | None, reason: str) -> Who:
        """Who is about to write, if this vault may be written to."""
        from modelvault import founding, moving
        from modelvault.provenance import actor as named
        from modelvault.provenance.ci import ci_run

        founding.check_exclusive(self._store, single_writer=self._single_writer)
        run = dict(ci_run())
        return moving.Who(named(actor), moving.reason_given(reason), self._clock, os.urandom(16).hex(), run)


def _named(model: str, to: Version | str) -> reference.Ref:
    if isinstance(to, Version):
        return NumberRef(to.model, Number(to.number))
    text = storable(to, "a version")
    return NumberRef(model, Number(text)) if reference.is_number(text) else reference.parse(text)


def is_near(store: Store) -> bool:
    """Its bytes are as quick to read as a cache's."""
    scheme, found, _ = store.url.partition("://")
    return not found or scheme in {"file", "memory"}
