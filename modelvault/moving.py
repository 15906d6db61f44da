"""Promotion and rollback: the rules of what may follow the newest move of an alias."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast

from modelvault import reference
from modelvault.blobs import parallel
from modelvault.canonical import free_text, storable
from modelvault.catalog import Catalog, Objection
from modelvault.errors import Code, Conflict, Corrupt, InvalidInput, NotFound, Refused, shown
from modelvault.gates import Gate, Proposal, judge, listed
from modelvault.gates.contract import ways
from modelvault.gates.policy import demands, in_force
from modelvault.journal import Slot, restored, undo_of
from modelvault.reference import AliasRef
from modelvault.upkeep.verify import prove
from modelvault.wire import JsonValue, Manifest, Move, Note, Policy, Target, record

__all__ = ["Who", "promote", "reason_given", "rollback"]

_PROVE_LIMIT = 64 * 1024 * 1024
"""A rollback verifies every byte of its target up to this size; of a larger one it proves presence and size."""


@dataclass(frozen=True, slots=True)
class Who:
    """What every move says of itself: who makes it, why, when, under which `txn`."""

    actor: str
    reason: str
    clock: Callable[[], datetime]
    txn: str


def promote(
    catalog: Catalog, ref: AliasRef, target: Target, who: Who, *, expect: str | None, gates: Sequence[Gate], far: bool
) -> Move:
    """Append a promotion to `target`.  Commit point: the create of the next entry.  See `Vault.promote`.

    A store that is `far` is asked two things at a time.
    """
    proposed = catalog.manifest(ref.model, target)
    own = listed(gates)

    def build(newest: Move | None, slot: Slot) -> Move:
        _check(ref, newest, expect)
        objection, policy = _spoken(catalog, ref, proposed, far=far)
        _refuse(ref, objection)
        checks = [*(demands(policy) if policy else ()), *own]
        current, evidence = _current(catalog, ref, newest, proposed, judged=bool(checks))
        if policy:
            evidence["policy"] = policy.seq
        if checks:
            past, at = _Past(catalog, ref.model), slot.at(who.clock)
            said = (newest, current, proposed, who.reason, who.actor, target.digest, at, past)
            evidence["gates"] = judge(checks, Proposal(ref.model, ref.alias, *said))
        return _move(ref, slot, "promote", who, target, undo_of(newest, target), evidence)

    return catalog.journal(ref.model, ref.alias).append(build)


def _spoken(
    catalog: Catalog, ref: AliasRef, proposed: Manifest, *, far: bool
) -> tuple[Objection | None, Policy | None]:
    """What speaks against the version, and what the policy of the alias asks."""
    policies = catalog.policies(ref.model, ref.alias)
    asked: list[Callable[[], object]] = [
        lambda: catalog.objection(proposed, to_yanked=False),
        lambda: in_force(policies.newest()),
    ]
    objection, policy = parallel(lambda ask: ask(), asked) if far else [ask() for ask in asked]
    return cast("Objection | None", objection), cast("Policy | None", policy)


def _current(
    catalog: Catalog, ref: AliasRef, newest: Move | None, proposed: Manifest, *, judged: bool
) -> tuple[Manifest | None, dict[str, JsonValue]]:
    """What the alias points to, and whether callers of the one can call the other, as evidence."""
    if newest is None or newest.target is None:
        return None, {}
    try:
        current = catalog.manifest(ref.model, newest.target)
    except Corrupt as error:
        if judged:
            raise
        return None, {"backward": None, "rollback_safe": None, "because": [shown(error)]}
    return current, ways(current, proposed)


class _Past:
    """Notes and histories of a model, for gates."""

    def __init__(self, catalog: Catalog, model: str) -> None:
        self._catalog = catalog
        self._model = model

    def history(self, alias: str, /) -> Sequence[Move]:
        return self._catalog.journal(self._model, alias).entries()

    def notes(self, number: str, /) -> Sequence[Note]:
        return self._catalog.notes(self._model, number).entries()


def rollback(catalog: Catalog, ref: AliasRef, who: Who, *, to: Target | None, expect: str | None) -> Move:
    """Append a rollback, to `to` if it is given.  Commit point: the create of the next entry.  See `Vault.rollback`."""
    journal = catalog.journal(ref.model, ref.alias)

    def build(newest: Move | None, slot: Slot) -> Move:
        _check(ref, newest, expect)
        newest = newest or catalog.newest(ref.model, ref.alias)
        below, skipped = _last_good(catalog, ref, newest, restored(newest, journal.entry), to)
        journal.chain(newest.seq, below.seq)
        evidence: dict[str, JsonValue] = {"restores": below.seq, "proved": _prove(catalog.fresh(), ref.model, below)}
        if skipped:
            evidence["skipped"] = skipped
        return _move(ref, slot, "rollback", who, below.target, below.undo, evidence)

    return journal.append(build)


def reason_given(reason: str) -> str:
    """`reason`, if it says something.

    Raises:
        InvalidInput: `bad-value`; `secret-found`.
    """
    text = free_text(reason, "a reason")
    if text.strip():
        return text
    raise InvalidInput("a reason is needed: the history keeps it", code=Code.BAD_VALUE, hint='reason="AUC +0.8 pt"')


def _move(
    ref: AliasRef,
    slot: Slot,
    kind: Literal["promote", "rollback"],
    who: Who,
    target: Target | None,
    undo: int | None,
    evidence: dict[str, JsonValue],
) -> Move:
    said: dict[str, Any] = {"actor": who.actor, "reason": who.reason, "at": slot.at(who.clock), "txn": who.txn}
    place = {"model": ref.model, "alias": ref.alias, "seq": slot.seq, "prev": slot.prev}
    return record(Move, **place, **said, kind=kind, target=target, undo=undo, evidence=evidence)


def _check(ref: AliasRef, newest: Move | None, expect: str | None) -> None:
    """The alias points to the number `expect`; to nothing, where that is ``""``; to anything, where it is None."""
    actual = (newest.version if newest else None) or ""
    if expect is None:
        return
    expected = storable(expect, "what is expected, a number,")
    if (expected and reference.number(expected)) == actual:
        return
    since = f", moved there by {shown(newest.actor)} on {newest.at:%Y-%m-%d %H:%M:%S} UTC" if newest else ""
    raise Conflict(
        f"{ref} points to {actual or 'nothing'}{since}, not to {shown(expect) or 'nothing'}",
        code=Code.ALIAS_MOVED,
        hint=f"look again, then pass expect={actual!r}",
        ref=str(ref),
        expected=expect,
        actual=actual,
    )


def _last_good(
    catalog: Catalog, ref: AliasRef, newest: Move, stack: Iterator[Move], to: Target | None
) -> tuple[Move, list[JsonValue]]:
    """The nearest entry of the undo stack that nothing speaks against (and is `to`, if given), and what was passed over."""
    skipped: list[JsonValue] = []
    for below in stack:
        if below.target is None or not _differs(below.target, newest.target) or (to and _differs(below.target, to)):
            continue
        objection = catalog.objection(catalog.manifest(ref.model, below.target))
        if objection is None:
            return below, skipped
        if to is not None:
            _refuse(ref, objection)
        skipped.append({"version": below.target.version, objection.kind: objection.text})
    raise NotFound(
        f"{ref} is at {newest.version or 'nothing'}, and below it there is "
        + (f"no {to.version}" if to else "nothing" + (" that is not yanked or quarantined" if skipped else "")),
        code=Code.NOTHING_TO_UNDO,
        hint=f"'modelvault history {ref}' shows where it was; promote goes anywhere",
        ref=str(ref),
    )


def _refuse(ref: AliasRef, objection: Objection | None) -> None:
    """Nothing speaks against what was named for `ref`."""
    if objection is not None:
        undo = "release" if objection.kind == "quarantined" else "unyank"
        raise Refused(
            f"{objection.ref} is {objection.kind}: {shown(objection.text)}",
            code=Code(objection.kind),
            hint=f"'modelvault {undo} {objection.ref}' takes that back; or name another version",
            ref=str(ref),
        )


def _differs(one: Target, other: Target | None) -> bool:
    return other is None or one.digest != other.digest


def _prove(catalog: Catalog, model: str, move: Move) -> str:
    """The target of `move` is published and all there, with its members if it is a set; how far that was looked into.  Raises `Corrupt` if it is not."""
    assert move.target is not None
    claim = catalog.claim(model, move.target.version)
    if _differs(claim.target, move.target):
        raise Corrupt(
            f"{model}:{move.target.version} is claimed with another digest than entry {move.seq} names",
            code=Code.DIGEST_MISMATCH,
            hint="a record was forged or restored; 'modelvault verify' tells more",
            ref=f"{model}:{move.target.version}",
        )
    manifest = catalog.manifest(model, move.target)
    members = (catalog.manifest(found.model, found.target) for found in catalog.followed(manifest).values())
    whole = [manifest, *members]
    level: Literal["bytes", "presence"] = "bytes" if sum(one.size for one in whole) <= _PROVE_LIMIT else "presence"
    for one in whole:
        for _ in prove(catalog.blobs, one, level):
            pass
    return level
