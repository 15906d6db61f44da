"""What a drill gets of a vault: copies of it, and proofs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from modelvault import layout, moving, reference
from modelvault.catalog import Found
from modelvault.serving.drill.bench import Plan, Stage
from modelvault.stores import Key
from modelvault.stores.overlay import overlay
from modelvault.wire import RELEASE_SET, File, Manifest, Move, Target

if TYPE_CHECKING:
    from modelvault.verbs.drill import Drilling


class Bench:
    """This vault, as a drill sees it: see `modelvault.serving.drill.bench`."""

    def __init__(
        self, vault: Drilling, ref: reference.AliasRef, to: Target | None, scratch: Path, *, quick: bool
    ) -> None:
        self.scratch = scratch
        self.newest = self._found(vault, ref)
        self._vault, self._ref, self._to, self._quick = vault, ref, to, quick
        self._catalog = vault._catalog.fresh()  # noqa: SLF001 - its own
        self._origin = Key(layout.entry(layout.journal(ref.model, ref.alias), self.newest.seq))

    def _found(self, vault: Drilling, ref: reference.AliasRef) -> Move:
        found = vault._catalog.resolve(ref)  # noqa: SLF001 - its own; a retired alias raises here
        return vault._catalog.journal(ref.model, ref.alias).entry(layout.seq_of(found.key))  # noqa: SLF001

    def plan(self) -> Plan:
        """Which version a rollback would go to."""
        below, skipped = moving.way_back(self._catalog, self._ref, self.newest, self._to)
        current, target = map(self._manifest, (self.newest, below))
        return Plan(current, target, below.seq, skipped)

    def stage(self, name: str, *, clock: Callable[[], datetime] | None = None) -> Stage:
        """A copy of the vault.  Its cache is of the drill alone, and goes with it."""
        vault = self._vault
        store = overlay(vault._store, name, self._origin)  # noqa: SLF001 - its own
        made = type(vault)(
            store,
            cache=self.scratch / "cache",
            trust=vault._trust,  # noqa: SLF001 - its own
            single_writer=vault._single_writer,  # noqa: SLF001 - its own
            progress=False,
            clock=clock or vault._clock,  # noqa: SLF001 - its own
        )
        if self._quick:
            made._share(vault)  # noqa: SLF001 - its own
        return Stage(cast("Any", made), store)

    def files(self, manifest: Manifest, *, kept: bool) -> Path:
        """The files of a version in a folder, verified."""
        ref = f"{manifest.model}:{manifest.version}"
        if kept and self._vault._cache() is not None:  # noqa: SLF001 - its own
            return cast("Any", self._vault).fetch(ref)  # type: ignore[no-any-return] # a path
        return self.stage("files").vault.fetch(ref)

    def parts(self, manifest: Manifest) -> Mapping[str, Manifest]:
        """What is loaded for a version."""
        if manifest.format != RELEASE_SET:
            return {"": manifest}
        members = self._catalog.followed(manifest)
        return {name: self._catalog.manifest(found.model, found.target) for name, found in members.items()}

    def read(self, file: File) -> bytes:
        """One file."""
        return self._catalog.blobs.read(file)

    def trusted(self, manifest: Manifest) -> None:
        """This reader may load it, whoever wrote the newest move of the alias."""
        self._vault._format(manifest, self._origin)  # noqa: SLF001 - its own

    def _manifest(self, move: Move) -> Manifest:
        assert move.target is not None
        entry = layout.entry(layout.journal(self._ref.model, self._ref.alias), move.seq)
        found = Found(self._ref.model, move.target, entry)
        return self._vault._version(found, self._catalog).manifest  # noqa: SLF001 - its own
