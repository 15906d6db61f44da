"""The verbs that compare, search and show."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modelvault.blobs import parallel
from modelvault.errors import Code, StoreError, VaultError
from modelvault.paths import path_text
from modelvault.progress import Meter
from modelvault.reference import Number, NumberRef
from modelvault.verbs.opened import is_near
from modelvault.verbs.read import Reading
from modelvault.version import Version
from modelvault.wire import Note

if TYPE_CHECKING:
    from modelvault.comparison import Comparison
    from modelvault.diff import Diff
    from modelvault.display.page import Site
    from modelvault.provenance.recipe import Recipe


class Looking(Reading):
    """A vault that can be looked at."""

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        from modelvault.catalog import age
        from modelvault.display import notebook

        seen = {
            f"{move.model}@{move.alias}": f"{move.version or 'nothing'}, {age(ago)} ago"
            for move, ago in self._catalog.seen()
        }
        return notebook.vault(self.url, seen)

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
            self._index = Index(self._catalog, self._index_folder(), near=is_near(self._store))
        for _ in range(2):
            hits = self._index.find(wanted)
            refs = [NumberRef(hit.model, Number(hit.number)) for hit in hits]
            found = [*map(self._numbered, refs)] if is_near(self._store) else parallel(self._numbered, refs)
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

        meter = Meter(self._show())
        try:
            return write(self._catalog, Path(path_text(to, "to")), models, meter)
        finally:
            meter.end()

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
            notes = [self._catalog.said(one.manifest) for one in versions]
        except StoreError as error:
            if error.code == Code.STORE_UNREACHABLE:
                return None
            raise
        return sorted((note for some in notes for note in some), key=lambda note: note.at, reverse=True)

    def _index_folder(self) -> Path | None:
        """Where an index is kept; nowhere, if no cache can be used."""
        with contextlib.suppress(VaultError):
            if cache := self._cache():
                return cache.index()
        return None

    def _numbered(self, ref: NumberRef) -> Version:
        return self._version(self._catalog.resolve(ref))
