"""Promotion and rollback: the rules of what may follow the newest move of an alias."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from modelvault import reference
from modelvault.canonical import free_text, storable
from modelvault.catalog import Catalog, Objection
from modelvault.errors import Code, Conflict, Corrupt, InvalidInput, NotFound, Refused, shown
from modelvault.gates import judge
from modelvault.journal import Slot, restored, undo_of
from modelvault.proposing import Intent, proposed
from modelvault.reference import AliasRef
from modelvault.upkeep.verify import prove
from modelvault.wire import JsonValue, Move, Target, record

__all__ = ["Who", "promote", "reason_given", "retire", "rollback", "undo", "way_back"]

_LOOK_BACK = 20
"""Entries that are searched for a rollback by a guard."""
_PROVE_LIMIT = 64 * 1024 * 1024
"""A rollback verifies every byte of its target up to this size; of a larger one it proves presence and size."""


@dataclass(frozen=True, slots=True)
class Who:
    """What every move says of itself: who makes it, why, when, under which `txn`."""

    actor: str
    reason: str
    clock: Callable[[], datetime]
    txn: str
    ci: Mapping[str, JsonValue] = field(default_factory=dict)
    """Which run of a CI system it is done by."""


def promote(catalog: Catalog, intent: Intent, who: Who, *, expect: str | None, dry: bool = False) -> Move:
    """Append a promotion.  Commit point: the create of the next entry.  See `Vault.promote`.

    Where the alias is there already nothing is added, and the present move is returned; with `dry`, what would be added.
    """
    ref, target = intent.ref, intent.target
    catalog.manifest(ref.model, target)

    def build(newest: Move | None, slot: Slot) -> Move | None:
        _check(ref, newest, expect)
        found = proposed(catalog, intent, newest, slot.at(who.clock))
        _refuse(ref, found.objection)
        if newest and not _differs(target, newest.target):
            return None
        evidence = {**found.ways, **({"policy": found.policy.seq} if found.policy else {})}
        if found.gates:
            evidence["gates"] = judge(found.gates, found.proposal)
        return _move(ref, slot, "promote", who, target, undo_of(newest, target), evidence)

    journal = catalog.journal(ref.model, ref.alias)
    return journal.foreseen(build) if dry else journal.append(build)


def rollback(
    catalog: Catalog,
    ref: AliasRef,
    who: Who,
    *,
    to: Target | None,
    expect: str | None,
    of: int | None = None,
    evidence: Mapping[str, JsonValue] | None = None,
) -> Move:
    """Append a rollback, to `to` if it is given.  Commit point: the create of the next entry.  See `Vault.rollback`.

    `of` is the entry that is undone: none that was made since.  `evidence` goes into the move.
    """
    journal = catalog.journal(ref.model, ref.alias)
    more = dict(evidence or {})

    def build(newest: Move | None, slot: Slot) -> Move:
        _check(ref, newest, expect)
        _check_newest(ref, newest, of)
        newest = newest or catalog.newest(ref.model, ref.alias)
        below, skipped = way_back(catalog, ref, newest, to)
        proved: dict[str, JsonValue] = {"restores": below.seq, "proved": _prove(catalog.fresh(), ref.model, below)}
        if skipped:
            proved["skipped"] = skipped
        return _move(ref, slot, "rollback", who, below.target, below.undo, more | proved)

    return journal.append(build)


def way_back(catalog: Catalog, ref: AliasRef, newest: Move, to: Target | None) -> tuple[Move, list[JsonValue]]:
    """The entry whose target a rollback from `newest` restores, and what it passes over.  Raises as `Vault.rollback`."""
    journal = catalog.journal(ref.model, ref.alias)
    below, skipped = _last_good(catalog, ref, newest, restored(newest, journal.entry), to)
    journal.chain(newest.seq, below.seq)
    return below, skipped


def undo(
    catalog: Catalog,
    ref: AliasRef,
    move: Move,
    who: Who,
    *,
    evidence: Mapping[str, JsonValue],
    cooldown: float,
) -> Move:
    """Append a rollback of `move`, if it is the newest entry still.  Commit point: the create of the next entry.

    So of any number who want to undo it one does, and nobody undoes what somebody has done since.

    Raises:
        Conflict: `alias-moved`, it is not the newest entry.
        Refused: `gate-refused`, a guard rolled back less than `cooldown` seconds ago.
        NotFound, Corrupt: as `rollback`.
    """
    journal, now = catalog.journal(ref.model, ref.alias), who.clock()
    for seq in range(move.seq - 1, max(move.seq - _LOOK_BACK, 0), -1):
        entry = journal.entry(seq)
        if (now - entry.at).total_seconds() >= cooldown:
            break
        if entry.kind == "rollback" and "guard" in entry.evidence:
            raise Refused(
                f"{ref} was rolled back by a guard at {entry.at:%H:%M:%S} UTC, entry {seq}, and is not again so soon",
                code=Code.GATE_REFUSED,
                hint="a person decides: 'modelvault rollback', or leave it",
                ref=str(ref),
                verdicts=("cooldown",),
            )
    return rollback(catalog, ref, who, to=None, expect=None, of=move.seq, evidence=evidence)


def retire(catalog: Catalog, ref: AliasRef, move: Move, who: Who, *, evidence: Mapping[str, JsonValue]) -> Move:
    """Append the end of an alias, if `move` is its newest entry.  Commit point: the create of the next entry.

    Raises:
        Conflict: `alias-moved`, it is not.
    """

    def build(newest: Move | None, slot: Slot) -> Move:
        _check_newest(ref, newest, move.seq)
        return _move(ref, slot, "retire", who, None, move.seq, dict(evidence))

    return catalog.journal(ref.model, ref.alias).append(build)


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
    kind: Literal["promote", "rollback", "retire"],
    who: Who,
    target: Target | None,
    undo: int | None,
    evidence: dict[str, JsonValue],
) -> Move:
    said: dict[str, Any] = {"actor": who.actor, "reason": who.reason, "at": slot.at(who.clock), "txn": who.txn}
    place = {"model": ref.model, "alias": ref.alias, "seq": slot.seq, "prev": slot.prev}
    if who.ci:
        evidence = {**evidence, "ci": dict(who.ci)}
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


def _check_newest(ref: AliasRef, newest: Move | None, seq: int | None) -> None:
    """Nobody has moved the alias since entry `seq`."""
    if seq is None or (newest is not None and newest.seq == seq):
        return
    raise Conflict(
        f"{ref} has moved since entry {seq}: {newest or 'it is gone'}",
        code=Code.ALIAS_MOVED,
        hint="look again",
        ref=str(ref),
        expected=str(seq),
        actual=str(newest.seq if newest else 0),
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
    """The target of `move` is published and all there, with its members if it is a set; how far that was looked into.

    Raises:
        Corrupt: it is not.
    """
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
