"""The verbs that make versions."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, overload

from modelvault import reference
from modelvault.canonical import storable
from modelvault.errors import Code, InvalidInput, VaultError
from modelvault.progress import Meter
from modelvault.reference import Level
from modelvault.verbs.opened import Opened, is_near
from modelvault.version import Version
from modelvault.wire import RELEASE_SET, ReleaseSetRecord, record

if TYPE_CHECKING:
    from modelvault.cache.measures import Measures
    from modelvault.estimate import Estimate
    from modelvault.formats.release_set import ReleaseSet
    from modelvault.signature.bump import Bump
    from modelvault.submission import Draft, Submission


class Publishing(Opened):
    """A vault that can be published to."""

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
            obj: a Python object; a `Path`, of a file or folder to be stored as it is; or a `ReleaseSet`, of versions in this
                vault, whose refs are pinned now.
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
        from modelvault.formats.release_set import ReleaseSet
        from modelvault.publishing import Label
        from modelvault.submission import submitted

        model = reference.model_name(model)
        label = Label(version, bump, base)
        flags: list[tuple[str, object]] = [("dry_run", dry_run), ("compress", compress)]
        for name, given in flags:
            if not isinstance(given, bool):
                raise InvalidInput(f"{name} is True or False", code=Code.BAD_VALUE)
        if isinstance(obj, ReleaseSet):
            if format is not None and storable(format, "a format") != RELEASE_SET:
                raise InvalidInput(
                    "a release set has a format of its own", code=Code.BAD_VALUE, hint="leave format out"
                )
            obj = self._pinned(obj)
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

    def _pinned(self, given: ReleaseSet) -> ReleaseSetRecord:
        """The set, with what each of its refs means now."""
        members = {}
        for name, to in given.members.items():
            model = to.model if isinstance(to, Version) else reference.parse(storable(to, f"the member {name}")).model
            found = self._within(model, to)
            if self._catalog.manifest(model, found.target).format == RELEASE_SET:
                raise InvalidInput(
                    f"{model}:{found.target.version} is a release set itself",
                    code=Code.BAD_VALUE,
                    hint="name its members",
                )
            members[name] = {"model": model, "version": found.target.version, "digest": found.target.digest}
        return record(ReleaseSetRecord, members=members)

    def _publish(self, what: Submission, actor: str | None) -> Version:
        from modelvault import bumping, founding, publishing
        from modelvault.provenance import actor as named

        if not self._ensured:
            near = is_near(self._store)
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
        return self._made(manifest, claim)

    def _rehearsed(self, what: Submission, actor: str | None) -> Estimate:
        """What `_publish` would do with the same arguments."""
        from modelvault.estimate import Rehearsal, estimated

        store = Rehearsal(self._store)
        vault = type(self)(
            store, cache=self._cached_in, single_writer=self._single_writer, progress=False, clock=self._clock
        )
        version = vault._publish(what, actor)  # noqa: SLF001 - of its own kind
        return estimated(version.manifest, version.claim, store)

    def _measures(self) -> Measures:
        """What files measured that were published before: where no cache can be used, nothing is known."""
        from modelvault.cache.measures import Measures

        with contextlib.suppress(VaultError):
            if cache := self._cache():
                return cache.measures()
        return Measures()
