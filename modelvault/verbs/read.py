"""The verbs that read versions, and list what there is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelvault import layout, reference
from modelvault.blobs import parallel
from modelvault.canonical import Digest
from modelvault.catalog import Catalog
from modelvault.errors import Code, InvalidInput
from modelvault.paths import path_text
from modelvault.reference import NumberRef
from modelvault.tree import Tree, patterns
from modelvault.verbs.opened import LONG, Opened
from modelvault.version import Version
from modelvault.wire import RELEASE_SET, Manifest, Move, Note

if TYPE_CHECKING:
    from modelvault.partial import PartialFile


class Reading(Opened):
    """A vault that can be read."""

    def load(self, ref: str, *, check: bool = False) -> Any:
        """The object of the version that `ref` names.  Every byte is verified before any of it is deserialised.

        Of a release set, a `Release` with the objects of its members.

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
        if manifest.format == RELEASE_SET:
            from modelvault.formats.release_set import Release

            members = self._catalog.followed(manifest)
            return Release(
                {name: self.load(f"{one.model}:{one.target.version}", check=check) for name, one in members.items()}
            )
        format = self._format(manifest, found.key)
        tree = Tree(manifest, Digest(found.target.digest), self._catalog.blobs, self._cache)
        obj = format.load(tree) if tree.size < LONG else self._watched(tree, format.load)
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
        """All notes on a version, and all marks on its content, newest first."""
        found = self._catalog.resolve(reference.parse(ref))
        return self._catalog.said(self._catalog.manifest(found.model, found.target))

    def _open(self, manifest: Manifest, path: str) -> PartialFile:
        from modelvault.partial import opened

        return opened(self._catalog.blobs, manifest, path)

    def _prefetched(self, catalog: Catalog, ref: reference.Ref) -> Version:
        version = self._version(catalog.resolve(ref), catalog)
        blobs = catalog.blobs
        if blobs.cache is not None:
            catalog.records.check_kept(layout.claim(version.model, version.number))
            tree = Tree(version.manifest, Digest(version.digest), blobs, self._cache)
            self._watched(tree, Tree.keep)
            if version.format == "files":  # its object is a folder
                tree.folder()
            for member in catalog.followed(version.manifest).values():
                self._prefetched(catalog, NumberRef(member.model, reference.Number(member.target.version)))
        return version
