"""From a move of an alias to a model that may serve: fetch, compare, load, warm up, check.  Nothing here is in service yet."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from modelvault.errors import Code, Refused, Unsupported, VaultError, shown
from modelvault.serving.environment import Mismatch, mismatches
from modelvault.serving.options import Options
from modelvault.serving.snapshot import Snapshot
from modelvault.serving.source import Source
from modelvault.signature import Signature, signature
from modelvault.signature.calls import answers
from modelvault.signature.compat import compare
from modelvault.signature.recording import recorded, replayed
from modelvault.wire import Manifest, Move

__all__ = ["Phases", "Rejection", "Rejections", "Swap", "digest_of", "prepared", "said"]

_FIRST, _LAST = 60.0, 600.0
"""Seconds until a version that could not be brought into service is tried again."""
_REMEMBERED = 32
_FOR_GOOD = float("inf")


class Swap(NamedTuple):
    """What became of a version that the alias points to: ``swapped`` into service, or ``held`` back, with the `reason`."""

    result: Literal["swapped", "held"]
    version: str
    previous: str
    reason: str = ""
    seconds: dict[str, float] = {}  # noqa: RUF012 - nobody writes to it


@dataclass(slots=True)
class Phases:
    """How long each phase took, in seconds, and what is remarkable."""

    seconds: dict[str, float] = field(default_factory=dict)
    warnings: tuple[Mismatch, ...] = ()

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Time what is done inside."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = time.perf_counter() - began


def prepared(
    source: Source, move: Move, options: Options, phases: Phases, isolated: Callable[[Manifest, Move], None] | None
) -> Snapshot:
    """The version that `move` points to, loaded, warm and checked.

    Raises:
        Refused: `gate-refused`, the application expects another signature, or another environment is needed;
            `check-failed`, it answers otherwise here.
        Untrusted, Corrupt, Unsupported, StoreError: as `Vault.load`.
    """
    with phases.timed("fetch"):
        manifest = source.fetch(move)
    ref = f"{manifest.model}:{manifest.version}"
    _fits(manifest, options.expects, ref)
    phases.warnings = () if options.env == "off" else mismatches(manifest.environment)
    _suits(phases.warnings, ref, strict=options.env == "strict")
    if isolated is not None:
        with phases.timed("isolate"):
            isolated(manifest, move)
    with phases.timed("load"):
        model = _loaded(source, manifest, move)
    checked = _answers(source, manifest, model, options, phases)
    assert move.target is not None
    known = None if manifest.signature is None else signature(manifest.signature)
    return Snapshot(
        model, manifest.version, move.target.digest, known, datetime.now(UTC), move, checked, _noticed(phases, ref)
    )


def _loaded(source: Source, manifest: Manifest, move: Move) -> Any:
    try:
        return source.load(manifest, move)
    except (MemoryError, RecursionError, SystemExit) as error:  # the object's own code runs here
        raise Unsupported(
            f"{manifest.model}:{manifest.version} cannot be loaded here: {type(error).__name__}: {shown(error)}",
            code=Code.LOAD_FAILED,
            ref=f"{manifest.model}:{manifest.version}",
        ) from error


def _fits(manifest: Manifest, expects: Signature | str | None, ref: str) -> None:
    """The application can call it as it calls the one before."""
    if expects is None:
        return
    if manifest.signature is None:
        against = ["it has no signature"]
    elif isinstance(expects, str):
        same = signature(manifest.signature).contract == expects
        against = [] if same else [f"its contract is not {expects}"]
    else:
        sides = {side for side in ("input", "output") if getattr(expects, f"{side}s") is not None}
        found = [one for one in compare(expects, manifest.signature) if one.side in sides]
        against = [one.reason for one in found if one.level in {"major", "unknown"}]
    if against:
        raise _refused(f"{ref} is not what this application expects: {'; '.join(against)}", against, ref)


def _suits(found: tuple[Mismatch, ...], ref: str, *, strict: bool) -> None:
    grave = [str(one) for one in found if one.grave]
    if strict and grave:
        raise _refused(f"{ref} was published in another environment: {'; '.join(grave)}", grave, ref)


_said: set[str] = set()
"""Once per process is enough."""


def _noticed(phases: Phases, ref: str) -> tuple[str, ...]:
    """What differs in the environment, in words; it is logged, too."""
    found = tuple(map(str, phases.warnings))
    for one in {*found} - _said:
        import logging

        _said.add(one)
        logging.getLogger("modelvault.serving").warning("%s is in service with %s", ref, one)
    return found


def _refused(message: str, against: list[str], ref: str) -> Refused:
    hint = "promote a version that fits, or change the application first"
    return Refused(shown(message, 1000), code=Code.GATE_REFUSED, hint=hint, ref=ref, verdicts=tuple(against))


def _answers(source: Source, manifest: Manifest, model: object, options: Options, phases: Phases) -> bool:
    """Whether it was checked; it is warm."""
    example = None
    if options.warmup or options.check:
        example = recorded(manifest, source.catalog.blobs.read)
    if example is None:
        return False
    if options.warmup:
        with phases.timed("warmup"):
            answers(model, example.inputs)
    if not options.check:
        return False
    with phases.timed("check"):
        differs, why = replayed(model, example)
    if differs == ():
        return True
    against = [why] if differs is None else [f"'{shown(name)}' gives other values" for name in differs]
    ref = f"{manifest.model}:{manifest.version}"
    here = "".join(f"; {one}" for one in phases.warnings)
    raise Refused(
        shown(f"{ref} answers otherwise here: {'; '.join(against)}{here}", 1000),
        code=Code.CHECK_FAILED,
        hint="compare your packages with the version's environment ('modelvault show')",
        ref=ref,
        verdicts=tuple(against),
    )


class Rejection(NamedTuple):
    """A version that may not serve here, for as long as the alias stays at the move `seq`, or until it is tried again."""

    version: str
    reason: str
    seq: int
    tries: int
    until: float
    """By the monotonic clock."""


class Rejections:
    """By digest."""

    def __init__(self) -> None:
        self.all: dict[str, Rejection] = {}

    def of(self, move: Move) -> Rejection | None:
        """Why `move` is not followed."""
        found = self.all.get(digest_of(move) or "")
        return found if found and found.seq == move.seq else None

    def refuse(self, move: Move) -> bool:
        """`move` is not followed, and it is not time to try again."""
        found = self.of(move)
        return found is not None and time.monotonic() < found.until

    def add(self, move: Move, reason: str, *, for_good: bool = False) -> None:
        """`move` could not be followed; with `for_good`, it never is, whatever the time."""
        assert move.target is not None
        before = self.all.pop(move.target.digest, None)
        tries = before.tries + 1 if before and before.seq == move.seq else 1
        until = _FOR_GOOD if for_good else time.monotonic() + min(_FIRST * 2 ** (tries - 1), _LAST)
        self.all[move.target.digest] = Rejection(move.target.version, reason, move.seq, tries, until)
        while len(self.all) > _REMEMBERED:
            self.all.pop(next(iter(self.all)))

    def retry(self, move: Move) -> None:
        """It is time to try `move` again, unless it was refused for good."""
        found = self.of(move)
        if found and move.target and found.until != _FOR_GOOD:
            self.all[move.target.digest] = found._replace(until=0.0)

    def drop(self, digest: str) -> None:
        """It serves."""
        self.all.pop(digest, None)


def digest_of(move: Move) -> str | None:
    """Of the version that `move` points to; None if the alias is retired."""
    return move.target.digest if move.target else None


def said(error: VaultError) -> str:
    """An error as a reason: printable, with its code."""
    return f"{error.code}: {shown(error, 1000)}"
