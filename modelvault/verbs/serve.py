"""The verbs of models in service."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from modelvault import layout, reference
from modelvault.canonical import Digest
from modelvault.catalog import Catalog, Found
from modelvault.errors import Code, InvalidInput, NotFound, shown
from modelvault.marks import content_of
from modelvault.stores import Key
from modelvault.tree import Tree
from modelvault.verbs.move import Moving
from modelvault.verbs.opened import is_near
from modelvault.wire import RELEASE_SET, JsonValue, Manifest, Move

if TYPE_CHECKING:
    from modelvault.serving import Live
    from modelvault.serving.beside import Canary
    from modelvault.serving.events import Hook
    from modelvault.serving.explain import Explanation
    from modelvault.serving.guards import Guard
    from modelvault.signature import Signature


class Serving(Moving):
    """A vault whose models can be in service."""

    def live(
        self,
        ref: str,
        *,
        refresh: float | Literal["lazy"] | None = 5.0,
        timeout: float = 10.0,
        guard: Guard | Sequence[Guard] = (),
        expects: Signature | Mapping[str, Any] | str | type | None = None,
        warmup: bool = True,
        check: bool = True,
        isolate: bool | None = None,
        env: Literal["strict", "warn", "off"] = "warn",
        keep_previous: bool | None = None,
        offline: Literal["last-good", "fail"] = "last-good",
        on_event: Hook | Sequence[Hook] | None = None,
        canary: str | None = None,
        share: float = 0.05,
        canary_key: Callable[..., object] | None = None,
        shadow: float | None = None,
    ) -> Live:
        """The model that an alias points to, followed while the process runs.

        It is loaded and checked when this returns.  From then on, a version that the alias is moved to is fetched,
        verified, loaded, warmed up and checked in the background, and replaces the one in service at once and between two
        calls.  One that fails on the way does not, and the one before goes on.

        Args:
            ref: an alias, such as ``"fraud@prod"``.
            refresh: seconds between two looks at the alias, by one process of this host for all; six times as long when it
                has stood still for a day.  ``"lazy"`` asks in the background of a call, and has no thread of its own; None
                asks only when `Live.refresh` is called.
            timeout: seconds that the store has at the start to say where the alias points.
            guard: limits on what the running model does; evidence that one is exceeded undoes the promotion.
            expects: the signature that the application was written for, or the digest of its contract: a version that does
                not fit it does not come into service here, wherever the alias points.
            warmup: call a new version with its recorded examples before it serves.
            check: compare what it answers to them with what it answered when it was published.
            isolate: load a new version in a process of its own first.  None: a pickle that this host has not loaded before,
                while another version is there to go on.
            env: what to do with a version that was published with another Python, or with other major versions of its
                packages: ``"strict"`` refuses it, ``"warn"`` says so and lets the check decide.
            keep_previous: keep the version before in memory.  None: while a guard may undo the move.
            offline: where the store cannot be reached at the start, or the version cannot serve: ``"last-good"`` serves the
                last one that did on this host, ``"fail"`` raises.
            on_event: called with each `Event`; or several such.  What one raises is logged.
            canary: an alias of the same model, whose version answers a share of the calls.  Where it is worse than the one
                in service beyond doubt, by the guards, it stops, and the alias is retired with the evidence.
            share: of the keys that the canary gets, or of the calls, if there is no `canary_key`.
            canary_key: a function of the first argument of a call: one key always gets the same version.
            shadow: the canary answers nobody, but this share of the calls is put to it once more, in the background.

        Raises:
            NotFound: there is no such alias, or it is retired.
            Refused: `check-failed`, it answers otherwise here; `gate-refused`, it is not what `expects` or `env` ask for.
            Untrusted: `format-not-trusted`, its format can run code, and others can write to this vault.
            Corrupt: what is stored is not what was published.
            Unsupported: its format, or a package that it needs, is not installed; `load-failed`, its code failed.
            StoreError: the store failed.
            InvalidInput: `bad-ref`, `ref` is no alias; `bad-value`, an option is malformed.
        """
        from modelvault.serving.live import Live
        from modelvault.serving.options import checked

        given: dict[str, Any] = {
            "refresh": refresh,
            "timeout": timeout,
            "guard": guard,
            "expects": expects,
            "warmup": warmup,
            "check": check,
            "isolate": isolate,
            "env": env,
            "keep_previous": keep_previous,
            "offline": offline,
            "on_event": on_event,
        }
        alias = reference.parse_alias(ref)
        beside = None if canary is None else _beside(alias, canary, share, canary_key, shadow)
        split: dict[str, Any] = {"canary": canary, "share": share, "canary_key": canary_key, "shadow": shadow}
        again = partial(self.live, str(alias), **given, **split)
        return Live(_Source(self), alias, checked(**given), again, beside)

    def explain(self, alias: str, seq: int | None = None) -> Explanation:
        """Why an alias was moved; for a rollback by a guard, its evidence, computed again from the record alone.

        Args:
            alias: such as ``"fraud@prod"``.
            seq: the number of the entry in its history; the newest, if left out.

        Raises:
            NotFound: `alias-not-found`, there is no such alias or entry.
            Corrupt: a record is damaged.
        """
        from modelvault.serving.explain import explained

        ref = reference.parse_alias(alias)
        if seq is not None and (type(seq) is not int or seq < 1):
            raise InvalidInput(f"{shown(seq)} is no number of an entry", code=Code.BAD_VALUE, hint="seq=1 is the first")
        journal = self._catalog.journal(ref.model, ref.alias)
        newest = journal.newest()
        last = newest.seq if newest else 0
        if not last or (seq or last) > last:
            raise NotFound(
                f"{ref} has {last:,} entries" if last else f"there is no {ref}",
                code=Code.ALIAS_NOT_FOUND,
                hint=f"'modelvault history {ref}'",
                ref=str(ref),
            )
        move, *before = journal.chain(seq or last, max((seq or last) - 1, 1))
        return explained(move, before[0] if before else None)


def _beside(
    alias: reference.AliasRef, canary: str, share: float, key: Callable[..., object] | None, shadow: float | None
) -> Canary:
    from modelvault.serving.beside import Canary

    ref = reference.parse_alias(canary)
    if ref.model != alias.model or ref == alias:
        raise InvalidInput(
            f"{ref} is no canary of {alias}", code=Code.BAD_VALUE, hint="another alias of the same model"
        )
    return Canary(ref, share, key, shadow)


class _Source:
    """This vault, as a live handle sees it: see `modelvault.serving.source`."""

    def __init__(self, vault: Moving) -> None:
        self._vault = vault
        self.shared = not is_near(vault._store)  # noqa: SLF001 - its own

    @cached_property
    def catalog(self) -> Catalog:
        """The records, with nothing in memory."""
        return self._vault._read_anew()  # noqa: SLF001 - its own

    def renewed(self) -> Self:
        """The same, with nothing remembered."""
        return type(self)(self._vault)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._vault,)

    def folder(self) -> Path | None:
        """Where this user's processes keep what they know of the vault."""
        import contextlib

        from modelvault.errors import VaultError

        with contextlib.suppress(VaultError):
            if cache := self._vault._cache():  # noqa: SLF001 - its own
                return cache.live(self._vault.url)
        return None

    def fetch(self, move: Move) -> Manifest:
        """Bring the files of a version into the cache, verified; of a release set, those of its members, too."""
        assert move.target is not None
        manifest = self.catalog.manifest(move.model, move.target)
        if self.catalog.blobs.cache is not None:
            for found in (Found(move.model, move.target, ""), *self.catalog.followed(manifest).values()):
                self._vault._watched(self._tree(found), Tree.keep)  # noqa: SLF001 - its own
        return manifest

    def load(self, manifest: Manifest, move: Move) -> Any:
        """The object; of a release set, a `Release` with those of its members."""
        assert move.target is not None
        if manifest.format == RELEASE_SET:
            from modelvault.formats.release_set import Release

            members = self.catalog.followed(manifest)
            return Release({name: self._object(member) for name, member in members.items()})
        return self._object(Found(move.model, move.target, self._pinned(move)))

    def _object(self, found: Found) -> Any:
        manifest = self.catalog.manifest(found.model, found.target)
        format = self._vault._format(manifest, found.key)  # noqa: SLF001 - its own
        return format.load(self._tree(found))

    def rollback(self, move: Move, *, reason: str, evidence: Mapping[str, JsonValue]) -> Move:
        """Undo `move`, if it is still the newest.  Commit point: the create of the alias's next entry."""
        from modelvault import moving
        from modelvault.serving.record import actor, cooldown_of

        ref = reference.AliasRef(move.model, move.alias)
        who = self._vault._who(actor(), reason)  # noqa: SLF001 - its own
        cooldown = cooldown_of(evidence)
        return moving.undo(self.catalog, ref, move, who, evidence=evidence, cooldown=cooldown)

    def quarantine(self, move: Move, made: Move, *, reason: str) -> bool:
        """Keep the content of a version from use.  Commit point: the create of the content's next mark."""
        from modelvault.serving.record import actor

        assert move.target is not None
        assert made.target is not None
        left, restored = (content_of(self.catalog.manifest(move.model, to)) for to in (move.target, made.target))
        if left != restored:
            evidence = {"alias": f"{move.model}@{move.alias}", "seq": made.seq}
            self._vault.quarantine(f"{move.model}:{move.version}", reason=reason, evidence=evidence, actor=actor())
        return left != restored

    def retire(self, move: Move, *, reason: str, evidence: Mapping[str, JsonValue]) -> Move:
        """Retire the alias of `move`, if that is its newest.  Commit point: the create of the alias's next entry."""
        from modelvault import moving
        from modelvault.serving.record import actor

        ref = reference.AliasRef(move.model, move.alias)
        who = self._vault._who(actor(), reason)  # noqa: SLF001 - its own
        return moving.retire(self.catalog, ref, move, who, evidence=evidence)

    def _pinned(self, move: Move) -> str:
        """The record that pins the digest: the move, or the claim, in a vault that was set back to before the move."""
        assert move.target is not None
        entry = layout.entry(layout.journal(move.model, move.alias), move.seq)
        if self.shared or self._vault._store.private(Key(entry)):  # noqa: SLF001 - its own
            return entry
        claim = self.catalog.claim(move.model, move.target.version)
        return layout.claim(move.model, move.target.version) if claim.target.digest == move.target.digest else entry

    def _tree(self, found: Found) -> Tree:
        manifest = self.catalog.manifest(found.model, found.target)
        cache = self._vault._cache  # noqa: SLF001 - its own
        return Tree(manifest, Digest(found.target.digest), self.catalog.blobs, cache)
