"""The vault: every verb, one method each.

What a verb does before its commit point is harmless garbage if the process dies; what it does after is done.  Each verb
has one commit point, and names it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, overload

from modelvault import formats, layout, reference
from modelvault import trust as trusted
from modelvault.blobs import Blobs, parallel
from modelvault.cache import Records
from modelvault.canonical import Digest, storable
from modelvault.catalog import Catalog, Found
from modelvault.errors import Code, Corrupt, InvalidInput, StoreError, VaultError, shown
from modelvault.paths import path_text
from modelvault.progress import Meter, Show
from modelvault.reference import Level, Number, NumberRef
from modelvault.stores import Key, Store, connect
from modelvault.tree import Tree, patterns
from modelvault.version import Version
from modelvault.wire import Manifest, Move, Note, NoteKind, record

if TYPE_CHECKING:
    from modelvault.cache import Cache
    from modelvault.cache.measures import Measures
    from modelvault.cache.stamps import Stamps
    from modelvault.comparison import Comparison
    from modelvault.diff import Diff
    from modelvault.display.page import Site
    from modelvault.estimate import Estimate
    from modelvault.gates import Gate
    from modelvault.moving import Who
    from modelvault.partial import PartialFile
    from modelvault.provenance.recipe import Recipe
    from modelvault.search import Index
    from modelvault.signature.bump import Bump
    from modelvault.submission import Draft, Submission
    from modelvault.upkeep.verify import Report

__all__ = ["Vault", "load", "open"]

Used = TypeVar("Used")

_LONG = 8 * 1024 * 1024
"""Bytes that take long enough to be shown."""


def open(
    url: str | os.PathLike[str] | None = None,
    *,
    cache: bool | str | os.PathLike[str] = True,
    trust: Literal["pickle"] | None = None,
    single_writer: bool = False,
    progress: bool | Show = True,
    **storage_options: object,
) -> Vault:
    """The vault at `url`: a folder, or a URL of a store.  Nothing is read or written until a verb asks for it.

    Args:
        url: a path, ``s3://bucket/folder``, ``gs://…``, ``abfs://…``, ``sftp://…``, ``memory://name``, or for reading any URL
            that fsspec knows; ``$MODELVAULT_URL``, else the user's own local vault, if left out.
        cache: where verified content is kept: True for ``$MODELVAULT_CACHE`` or the user's cache folder, a path, or False.
        trust: ``"pickle"`` loads pickles that anyone who can write to the vault may have made.
        single_writer: write to a store that cannot decide between writers; there must be only one.
        progress: True shows a bar for what takes long, in a terminal or a notebook, if tqdm is installed; or a function that
            is called with each `Progress`; False shows nothing.
        storage_options: for the store: credentials, endpoint, ``deadline`` in seconds.  See `docs/reference/stores.md`.

    Raises:
        Unsupported: `unknown-store`, there is no store for such a URL.
        InvalidInput: `bad-value`, an option or the URL is malformed.
        Untrusted: `unsafe-folder`, others could change the cache.
    """
    store = connect(url if url is not None else os.environ.get("MODELVAULT_URL") or _own_vault(), **storage_options)
    where = cache if isinstance(cache, bool) else Path(path_text(cache, "cache"))
    return Vault(store, cache=where, trust=trust, single_writer=single_writer, progress=progress)


def load(ref: str, *, vault: Vault | str | os.PathLike[str] | None = None) -> Any:
    """The object that `ref` names, for application start-up: `Vault.load` on `vault`, or on the vault that `open` finds."""
    return (vault if isinstance(vault, Vault) else open(vault)).load(ref)


def _own_vault() -> Path:
    import platformdirs

    return platformdirs.user_data_path("modelvault", appauthor=False)


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


class Vault:
    """One root URL that holds models.  Make one with `open`; use it from any number of threads."""

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

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        from modelvault.catalog import age
        from modelvault.display import notebook

        seen = {
            f"{move.model}@{move.alias}": f"{move.version or 'nothing'}, {age(ago)} ago"
            for move, ago in self._catalog.seen()
        }
        return notebook.vault(self.url, seen)

    def __reduce__(self) -> tuple[Any, ...]:
        """To another process: the same vault, with nothing remembered."""
        opened = partial(
            Vault,
            cache=self._cached_in,
            trust=self._trust,
            single_writer=self._single_writer,
            progress=self._progress,
            clock=self._clock,
        )
        return opened, (self._store,)

    # --- publish ---------------------------------------------------------------------------------------------------

    @overload
    def publish(
        self,
        model: str,
        obj: object,
        *,
        version: str | None = None,
        bump: Level | Literal["auto"] | None = None,
        base: str | None = None,
        format: str | None = None,
        example: object = None,
        signature: object = None,
        params: Mapping[str, object] | None = None,
        metrics: Mapping[str, float] | None = None,
        data: Any = (),
        notes: str = "",
        keep_diff: bool = False,
        actor: str | None = None,
        compress: bool = False,
        dry_run: Literal[False] = False,
    ) -> Version: ...

    @overload
    def publish(
        self,
        model: str,
        obj: object,
        *,
        version: str | None = None,
        bump: Level | Literal["auto"] | None = None,
        base: str | None = None,
        format: str | None = None,
        example: object = None,
        signature: object = None,
        params: Mapping[str, object] | None = None,
        metrics: Mapping[str, float] | None = None,
        data: Any = (),
        notes: str = "",
        keep_diff: bool = False,
        actor: str | None = None,
        compress: bool = False,
        dry_run: Literal[True],
    ) -> Estimate: ...

    def publish(
        self,
        model: str,
        obj: object,
        *,
        version: str | None = None,
        bump: Level | Literal["auto"] | None = None,
        base: str | None = None,
        format: str | None = None,
        example: object = None,
        signature: object = None,
        params: Mapping[str, object] | None = None,
        metrics: Mapping[str, float] | None = None,
        data: Any = (),
        notes: str = "",
        keep_diff: bool = False,
        actor: str | None = None,
        compress: bool = False,
        dry_run: bool = False,
    ) -> Version | Estimate:
        """Store `obj` as a new version of `model`, for ever.  Commit point: the create of the version's claim.

        Safe if any number of publishers do it at once: one gets the number, the others an error that says who has it
        (with `bump`, the next number).  Publishing equal content under the same number again returns what is there; so do
        two at once with `bump` and equal content.

        Args:
            model: its name, such as ``"fraud"``.
            obj: a Python object; or a `Path`, of a file or folder to be stored as it is.
            version: the number, such as ``"1.4.0"`` or ``"2.0.0-rc.1"``.
            bump: instead: how far from the latest stable version; with ``"auto"`` as far as signatures, and predictions on the
                recorded examples, ask for.  The first version of a model is 1.0.0.
            base: with `bump`, the version to go on from: ``bump="patch", base="1.4.2"`` is a hotfix of the line 1.4.
            format: ``"cloudpickle"``, ``"files"``, ``"numpy"`` or an installed one; chosen by the object if left out.
            example: rows as callers pass them.  They give the signature; up to 64 of them are stored, with the outputs on them.
            signature: a `Signature`, its members, or a class of pydantic for the inputs; nothing is stored beside it.
            params: parameters of the algorithm, of any type; what JSON cannot say is kept as its `repr`.
            metrics: finite numbers by name.
            data: what it was trained on: paths, which are hashed; URLs, whose stores are asked; tables and arrays in memory.
                What is known of each, and how, stands in `Version.data`.
            notes: what changed, known issues.
            keep_diff: keep what is not committed of the working directory, as the file ``_modelvault/changes.patch``.
            actor: who publishes; ``$MODELVAULT_ACTOR`` or the login name if left out.
            compress: store what is new smaller, where that pays: weights by planes and Zstandard, fine-tuned ones as the
                difference to the version before.  Readers need the extra ``compress``, too.
            dry_run: write nothing, and return an `Estimate` of what would be done; raises what publishing would.

        Raises:
            AlreadyExists: `version-exists`, with who published it and when.
            Refused: `bump-too-small`, the number says less than what has changed, with every reason.
            InvalidInput: a name, number or value is malformed, or the object cannot be stored; `signature-mismatch`, the
                example is not what the signature says; `secret-found`, what would be kept for ever holds what looks like a
                secret.
            Unsupported: `extra-missing`, to compress takes an extra.

        Warns:
            IncompleteSignature: an example or a signature was given, and something could not be found out.
        """
        from modelvault.publishing import Label
        from modelvault.submission import submitted

        model = reference.model_name(model)
        label = Label(version, bump, base)
        flags: list[tuple[str, object]] = [("dry_run", dry_run), ("compress", compress)]
        for name, given in flags:
            if not isinstance(given, bool):
                raise InvalidInput(f"{name} is True or False", code=Code.BAD_VALUE)
        with submitted(
            model,
            obj,
            label,
            format=format,
            params=params,
            metrics=metrics,
            data=data,
            notes=notes,
            example=example,
            signature=signature,
            keep_diff=keep_diff,
            compress=compress,
        ) as what:
            return self._rehearsed(what, actor) if dry_run else self._publish(what, actor)

    def suggest_bump(
        self, model: str, obj: object, *, example: object = None, signature: object = None, base: str | None = None
    ) -> Bump:
        """The least bump that `obj` needs as a new version, with all that was found; nothing is written.

        Inputs and outputs are compared, and if they are equal the predictions on the examples of the other version: that is
        exact for these examples, and says nothing of others.

        Args:
            model: its name.
            obj: as `publish` takes it.
            example: as `publish` takes it.
            signature: as `publish` takes it.
            base: the version to compare with, a number or a ref of this model; the latest stable one if left out.

        Raises:
            NotFound: there is no such version.
        """
        from modelvault import bumping
        from modelvault.signature.recording import candidate

        model = reference.model_name(model)
        found = self._within(model, base if base is not None else f"{model}:*")
        return bumping.needed(self._catalog, model, candidate(obj, example, signature), found.target.version)

    @contextlib.contextmanager
    def draft(
        self,
        model: str,
        *,
        version: str | None = None,
        bump: Level | Literal["auto"] | None = None,
        base: str | None = None,
        keep_diff: bool = False,
        actor: str | None = None,
    ) -> Iterator[Draft]:
        """Write the files of a new version by hand, in a ``with`` block; on an exception nothing is published.

        Takes and raises what `publish` does.  Commit point: the create of the version's claim, at the end of the block.
        """
        from modelvault.publishing import Label
        from modelvault.submission import drafted, drafting

        model, label = reference.model_name(model), Label(version, bump, base)
        with drafting() as draft:
            yield draft
            with drafted(model, draft, label, keep_diff) as what:
                draft.version = self._publish(what, actor)

    # --- read ------------------------------------------------------------------------------------------------------

    def load(self, ref: str, *, check: bool = False) -> Any:
        """The object of the version that `ref` names.  Every byte is verified before any of it is deserialised.

        Args:
            ref: the version.
            check: call the object with the examples that were recorded, and compare what it answers with what it answered
                when it was published.

        Raises:
            NotFound: nothing answers to `ref`.
            Refused: `check-failed`, it answers otherwise here, or there is nothing to check it by.
            Untrusted: `format-not-trusted`, its format can run code, and others can write to this vault.
            Corrupt: what is stored is not what was published.
            Unsupported: its format, or a package that it needs, is not installed.
            StoreError: the store failed.  Where it cannot be reached, what is in the cache loads all the same, by its
                number without a request, and by its alias as it was last seen, with a warning: `StaleAlias`.
        """
        given: object = check
        if not isinstance(given, bool):
            raise InvalidInput("check is True or False", code=Code.BAD_VALUE)
        found = self._catalog.resolve(reference.parse(ref), offline=True)
        manifest = self._catalog.manifest(found.model, found.target)
        format = formats.named(manifest.format)
        trusted.check(
            format.name,
            safe=format.safe,
            private=format.safe or self._store.private(Key(found.key)),
            trust=self._trust,
            ref=f"{manifest.model}:{manifest.version}",
        )
        tree = Tree(manifest, Digest(found.target.digest), self._catalog.blobs, self._cache)
        obj = format.load(tree) if tree.size < _LONG else self._watched(tree, format.load)
        if check:
            from modelvault.signature.recording import check as checked

            checked(manifest, obj, self._catalog.blobs.read)
        return obj

    def fetch(self, ref: str, to: str | os.PathLike[str] | None = None, *, only: Sequence[str] = ()) -> Path:
        """The verified files of a version, in a folder.  Nothing of them is run.

        Args:
            ref: the version.
            to: a folder that is new or empty; a read-only folder of the cache if left out.
            only: patterns such as ``"*.json"``: of these files alone.  Needs `to`.

        Raises:
            NotFound: nothing answers to `ref`, or to a pattern.
            AlreadyExists: `target-exists`, `to` is not empty.
            Corrupt: what is stored is not what was published.
        """
        folder, wanted = None if to is None else Path(path_text(to, "to")), patterns(only)
        if wanted and folder is None:
            raise InvalidInput("only= needs a folder to put the files in", code=Code.BAD_VALUE, hint="fetch(ref, to=…)")
        found = self._catalog.resolve(reference.parse(ref), offline=True)
        manifest = self._catalog.manifest(found.model, found.target)
        tree = Tree(manifest, Digest(found.target.digest), self._catalog.blobs, self._cache)
        return self._watched(tree, lambda tree: tree.folder() if folder is None else tree.lay(folder, wanted))

    def version(self, ref: str) -> Version:
        """What is known of the version that `ref` names; no file is read.

        Raises:
            NotFound: nothing answers to `ref`.
            Corrupt: its records are damaged.
        """
        return self._version(self._catalog.resolve(reference.parse(ref), offline=True))

    def prefetch(self, *refs: str) -> list[Version]:
        """Bring all that loading these versions needs into the cache, verified; nothing is deserialised.

        What it leaves there serves as a layer, too.  Of a local vault nothing is kept: it is as near as the cache.

        Raises:
            NotFound: nothing answers to a ref.
            InvalidInput: `bad-value`, the vault was opened without a cache.
            StoreError: the store failed, or the cache cannot take it.
        """
        if self._cache() is None:
            raise InvalidInput("there is no cache to fetch to", code=Code.BAD_VALUE, hint="open(url, cache=True)")
        catalog = self._read_anew()  # what this process has in memory may be in the cache no more
        return [self._prefetched(catalog, ref) for ref in map(reference.parse, refs)]

    def models(self) -> list[str]:
        """The names of all models, in order."""
        return self._catalog.models()

    def versions(self, model: str) -> list[Version]:
        """All versions of a model, newest first.

        Raises:
            NotFound: `model-not-found`.
        """
        model = reference.model_name(model)
        found = self._catalog.numbers(model)
        if not found:
            raise self._catalog.missing(model, model)
        from modelvault.display.notebook import Versions

        return Versions(parallel(lambda number: self._version(self._catalog.resolve(NumberRef(model, number))), found))

    def aliases(self, model: str) -> dict[str, Move]:
        """The newest move of each alias of a model.

        Raises:
            NotFound: `model-not-found`.
        """
        model = reference.model_name(model)
        names = self._catalog.aliases(model)
        if not names and not self._catalog.numbers(model):
            raise self._catalog.missing(model, model)
        from modelvault.display.notebook import Aliases

        return Aliases((alias, self._catalog.newest(model, alias)) for alias in names)

    def history(self, alias: str) -> list[Move]:
        """All moves of an alias such as ``"fraud@prod"``, newest first, the chain of digests checked.

        Raises:
            NotFound: `alias-not-found`.
            Corrupt: `journal-broken`, with the seq where the chain breaks.
        """
        ref = reference.parse_alias(alias)
        newest = self._catalog.newest(ref.model, ref.alias)
        from modelvault.display.notebook import History

        return History(self._catalog.journal(ref.model, ref.alias).chain(newest.seq, 1))

    def notes(self, ref: str) -> list[Note]:
        """All notes on a version, newest first."""
        found = self._catalog.resolve(reference.parse(ref))
        return self._catalog.notes(found.model, found.target.version).entries()

    def diff(self, a: Version | str, b: Version | str) -> Diff:
        """What version `b` changes against version `a`, with the issues that were noted on either.

        Predictions are compared as they were recorded, if both versions recorded the same examples; no model is loaded.

        Raises:
            NotFound: nothing answers to a ref.
            Corrupt: what is stored is not what was published.
        """
        from modelvault.diff import compare

        old, new = (one if isinstance(one, Version) else self.version(one) for one in (a, b))
        notes = self._said_of({old.ref: old, new.ref: new}.values())
        return compare(old.manifest, new.manifest, self._examples(old, new), notes)

    def compare(self, model: str, *metrics: str) -> Comparison:
        """The versions of a model side by side: their metrics, and the aliases that point to them.

        Args:
            model: its name.
            metrics: which; all that any version has, if left out.

        Raises:
            NotFound: `model-not-found`.
            InvalidInput: `bad-value`, no version has such a metric.
        """
        from modelvault.comparison import compared

        versions = self.versions(model)
        return compared(model, [(one.manifest, one.claim) for one in versions], self.aliases(model), metrics)

    def find(self, expression: str, *, limit: int | None = None) -> list[Version]:
        """The versions that an expression is true of, by model, the newest first.

        What is recorded of versions is searched in an index of this user's, which is brought up to date first: the store
        is asked which versions there are, and what is new is read.  Where aliases point is asked each time.

        Args:
            expression: such as ``"metrics.auc > 0.9 and alias == 'prod'"``.
            limit: how many, at most.

        Raises:
            InvalidInput: `bad-value`, it is no such expression; with the position.
            Corrupt: a record is damaged.
            StoreError: the store failed.
        """
        from modelvault.search import Index, parsed

        wanted = parsed(expression, limit)
        if self._index is None or self._index.stranger:
            self._index = Index(self._catalog, self._index_folder(), near=_is_near(self._store))
        for _ in range(2):
            hits = self._index.find(wanted)
            refs = [NumberRef(hit.model, Number(hit.number)) for hit in hits]
            found = [*map(self._numbered, refs)] if _is_near(self._store) else parallel(self._numbered, refs)
            if all(one.digest == hit.digest for one, hit in zip(found, hits, strict=True)):
                break
            self._index.drop()  # it is of another vault that was here before
        return found

    def card(self, ref: str) -> str:
        """The model card of a version, as Markdown with the front matter that Hugging Face reads.

        It is made of what is recorded and of the notes since: issues, a yank, and the text of the newest note of the kind
        ``"card"``, whose own front matter (license, language, tags, …) is taken over.

        Raises:
            NotFound: nothing answers to `ref`.
            Corrupt: what is stored is not what was published.
        """
        from modelvault.card import card

        version = self.version(ref)
        return card(version.manifest, version.claim, self.notes(version.ref))

    def page(self, to: str | os.PathLike[str], models: Sequence[str] = ()) -> Site:
        """Write what is known of all models, or of some, as pages for a browser, that need no server.

        No file of a version is read.  Equal vaults give equal pages.

        Args:
            to: a folder that is new or empty, or that pages were written to before.
            models: of these alone.

        Raises:
            NotFound: `model-not-found`.
            AlreadyExists: `target-exists`, other files are in `to`.
            Corrupt: a record is damaged.
            StoreError: the store failed, or `to` cannot be written.
        """
        from modelvault.display.page import write

        return write(self._catalog, Path(path_text(to, "to")), models)

    def reproduce(self, ref: str, to: str | os.PathLike[str] | None = None) -> Recipe:
        """How a version was made, and how to make it again.  Nothing that the vault names is run.

        Args:
            ref: the version.
            to: a folder that is new or empty, for the recipe as files: ``README.md``, ``recipe.json``, ``run.sh``,
                ``requirements.txt``, and ``changes.patch`` if it was kept.

        Raises:
            NotFound: nothing answers to `ref`.
            AlreadyExists: `target-exists`, `to` is not empty.
            Corrupt: what is stored is not what was published.
        """
        from modelvault.provenance import CHANGES
        from modelvault.provenance.recipe import Recipe

        folder = None if to is None else Path(path_text(to, "to"))
        manifest = self.version(ref).manifest
        kept = next((file for file in manifest.files if file.path == CHANGES), None)
        recipe = Recipe(manifest, self._catalog.blobs.read(kept) if kept else b"")
        if folder is not None:
            recipe.write(folder)
        return recipe

    def verify(self, ref: str | None = None, *, level: Literal["structure", "presence", "bytes"] = "bytes") -> Report:
        """Check what is stored, and report all that is wrong.

        Args:
            ref: a version or alias; the whole vault if left out.
            level: ``"structure"`` the records and their chains; ``"presence"`` also that each blob is there, with its
                size; ``"bytes"`` also every byte.

        Raises:
            NotFound: nothing answers to `ref`.
        """
        from modelvault.upkeep.verify import verify

        return verify(self._catalog.fresh(), None if ref is None else reference.parse(ref), level)

    # --- move ------------------------------------------------------------------------------------------------------

    def promote(
        self,
        alias: str,
        to: Version | str,
        *,
        reason: str,
        expect: str | None = None,
        gates: Sequence[Gate] = (),
        actor: str | None = None,
    ) -> Move:
        """Point an alias at a version.  Commit point: the create of the alias's next entry.

        Takes exactly the version that is named, yanked or not.

        Args:
            alias: such as ``"fraud@prod"``; it is made by its first promotion.
            to: a version, its number, or a ref of the same model.
            reason: why; it stays in the history.
            expect: the number that the alias must point to now; ``""`` that it must not exist.
            gates: checks that may refuse; they see the current and the proposed manifest.
            actor: who promotes.

        Raises:
            Conflict: `alias-moved`, it does not point to what was expected.
            Refused: `gate-refused`, with every reason.
            NotFound: there is no such version.
            CommitUncertain: the store could not say whether it happened.
        """
        from modelvault import moving

        ref = reference.parse_alias(alias)
        target = self._within(ref.model, to).target
        return moving.promote(self._catalog, ref, target, self._who(actor, reason), expect=expect, gates=gates)

    def rollback(
        self,
        alias: str,
        *,
        reason: str,
        to: Version | str | None = None,
        expect: str | None = None,
        actor: str | None = None,
    ) -> Move:
        """Point an alias back at what it pointed to before.  Commit point: the create of the alias's next entry.

        An undo, not a swap: a second rollback goes one further back.  Yanked versions are passed over, and the move says
        so (``evidence["skipped"]``).  The target is proven present first, and up to 64 MiB every byte of it is verified.

        Args:
            alias: such as ``"fraud@prod"``.
            reason: why; it stays in the history.
            to: go back as far as this version, which the alias must have pointed to.
            expect: the number that the alias must point to now.
            actor: who rolls back.

        Raises:
            NotFound: `nothing-to-undo`; `alias-not-found`.
            Conflict: `alias-moved`, it does not point to what was expected.
            Refused: `yanked`, the version given as `to` is yanked.
            Corrupt: the target is damaged; the alias stays where it is.
        """
        from modelvault import moving

        ref = reference.parse_alias(alias)
        target = None if to is None else self._within(ref.model, to).target
        return moving.rollback(self._catalog, ref, self._who(actor, reason), to=target, expect=expect)

    # --- note ------------------------------------------------------------------------------------------------------

    def note(
        self,
        ref: str,
        text: str,
        *,
        kind: NoteKind = "remark",
        metrics: Mapping[str, float] | None = None,
        actor: str | None = None,
    ) -> Note:
        """Add a remark to a version, for ever.  Commit point: the create of the version's next note.

        Raises:
            NotFound: nothing answers to `ref`.
            InvalidInput: `bad-value`, there is no such kind, or a metric is not finite.
        """
        from modelvault.publishing import metrics_of

        if storable(kind, "a kind") not in get_args(NoteKind):
            raise InvalidInput(
                f"{shown(kind)} is no kind of note", code=Code.BAD_VALUE, hint=", ".join(get_args(NoteKind))
            )
        found = self._catalog.resolve(reference.parse(ref))
        who = self._who(actor, text)
        journal = self._catalog.notes(found.model, found.target.version)
        return journal.append(
            lambda _, slot: record(
                Note,
                model=found.model,
                version=found.target.version,
                seq=slot.seq,
                prev=slot.prev,
                txn=who.txn,
                kind=kind,
                text=who.reason,
                metrics=metrics_of(metrics),
                actor=who.actor,
                at=slot.at(who.clock),
            )
        )

    def yank(self, ref: str, *, reason: str, actor: str | None = None) -> Note:
        """Take a version out of ranges and rollbacks; whoever names it exactly still gets it.  Raises as `note`."""
        return self.note(ref, reason, kind="yank", actor=actor)

    def unyank(self, ref: str, *, reason: str, actor: str | None = None) -> Note:
        """Undo a yank.  Raises as `note`."""
        return self.note(ref, reason, kind="unyank", actor=actor)

    # --- parts of the verbs ----------------------------------------------------------------------------------------

    def _publish(self, what: Submission, actor: str | None) -> Version:
        from modelvault import bumping, founding, publishing
        from modelvault.provenance import actor as named

        if not self._ensured:
            near = _is_near(self._store)
            founding.found(self._store, self._clock(), single_writer=self._single_writer, tested=near)
            self._ensured = True
        who, meter = named(actor), Meter(self._show())
        what.candidate.warn()
        suits = what.candidate.signature is not None or what.label.bump == "auto"
        suit = partial(bumping.suited, self._catalog, what.model, what.candidate) if suits else None
        try:
            manifest, claim = publishing.publish(
                self._catalog,
                what.root,
                model=what.model,
                label=what.label,
                content={**what.content, **what.candidate.members},
                actor=who,
                clock=self._clock,
                meter=meter,
                measures=self._measures,
                beside=what.beside,
                suit=suit,
                compress=what.compress,
            )
        finally:
            meter.end()
        return Version(manifest, claim, self)

    def _rehearsed(self, what: Submission, actor: str | None) -> Estimate:
        """What `_publish` would do with the same arguments."""
        from modelvault.estimate import Rehearsal, estimated

        store = Rehearsal(self._store)
        vault = Vault(
            store, cache=self._cached_in, single_writer=self._single_writer, progress=False, clock=self._clock
        )
        version = vault._publish(what, actor)
        return estimated(version.manifest, version.claim, store)

    def _read_anew(self) -> Catalog:
        """The records of the vault, with nothing in memory; behind the cache, if it is far."""
        store, cache = self._store, None if _is_near(self._store) else self._cache()
        if cache is None:
            return Catalog(Records(store), Blobs(store, stamps=self._stamps))
        records = Records(store, cache.records(store.url))
        blobs = Blobs(store, cache.blobs, cache.flight, lambda: cache.stamps)
        return Catalog(records, blobs, cache.heads(store.url))

    def _prefetched(self, catalog: Catalog, ref: reference.Ref) -> Version:
        version = self._version(catalog.resolve(ref), catalog)
        blobs = catalog.blobs
        if blobs.cache is not None:
            catalog.records.check_kept(layout.claim(version.model, version.number))
            tree = Tree(version.manifest, Digest(version.digest), blobs, self._cache)
            self._watched(tree, Tree.keep)
            if version.format == "files":  # its object is a folder
                tree.folder()
        return version

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
        return Version(catalog.manifest(found.model, found.target), claim, self, found.stale)

    def _examples(self, old: Version, new: Version) -> tuple[bytes, bytes] | None:
        """The files of examples of two versions, if both recorded some, and not the same."""
        from modelvault.signature.examples import LIMIT, PATH

        left, right = (next((one for one in each.files if one.path == PATH), None) for each in (old, new))
        if left is None or right is None or left.digest == right.digest or max(left.size, right.size) > LIMIT:
            return None
        return self._catalog.blobs.read(left), self._catalog.blobs.read(right)

    def _said_of(self, versions: Iterable[Version]) -> list[Note] | None:
        """The notes on versions, newest first; None where the store cannot be reached."""
        try:
            notes = [self._catalog.notes(one.model, one.number).entries() for one in versions]
        except StoreError as error:
            if error.code == Code.STORE_UNREACHABLE:
                return None
            raise
        return sorted((note for some in notes for note in some), key=lambda note: note.at, reverse=True)

    def _open(self, manifest: Manifest, path: str) -> PartialFile:
        from modelvault.partial import opened

        return opened(self._catalog.blobs, manifest, path)

    def _cache(self) -> Cache | None:
        if self._opened is None and self._cached_in:
            self._opened = cache_at(None if self._cached_in is True else self._cached_in)
        return self._opened

    def _index_folder(self) -> Path | None:
        """Where an index is kept; nowhere, if no cache can be used."""
        with contextlib.suppress(VaultError):
            if cache := self._cache():
                return cache.index()
        return None

    def _stamps(self) -> Stamps:
        """What says which files of a vault that is near were verified: of a cache that cannot be used, nothing does."""
        from modelvault.cache.stamps import Stamps

        with contextlib.suppress(VaultError):
            if cache := self._cache():
                return cache.stamps
        return Stamps()

    def _measures(self) -> Measures:
        """What files measured that were published before: where no cache can be used, nothing is known."""
        from modelvault.cache.measures import Measures

        with contextlib.suppress(VaultError):
            if cache := self._cache():
                return cache.measures()
        return Measures()

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

        founding.check_exclusive(self._store, single_writer=self._single_writer)
        return moving.Who(named(actor), moving.reason_given(reason), self._clock, os.urandom(16).hex())


def _named(model: str, to: Version | str) -> reference.Ref:
    if isinstance(to, Version):
        return NumberRef(to.model, Number(to.number))
    text = storable(to, "a version")
    return NumberRef(model, Number(text)) if reference.is_number(text) else reference.parse(text)


def _is_near(store: Store) -> bool:
    """Its bytes are as quick to read as a cache's."""
    scheme, found, _ = store.url.partition("://")
    return not found or scheme in {"file", "memory"}
