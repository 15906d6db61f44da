"""Records, made by hand, and a vault of models that have a history."""

from datetime import UTC, datetime, timedelta

import numpy as np

from modelvault import layout
from modelvault.vault import Vault
from modelvault.wire import Claim, Move, Note, Target, digest_of, record, seal, write_manifest

AT = datetime(2026, 11, 23, 7, 49, 15, tzinfo=UTC)
DIGEST = digest_of(b"")
TXN = "0" * 32


def move(seq, version, kind="promote", reason="why", actor="ana", days=0):
    target = record(Target, version=version, digest=DIGEST, size=0, blob=DIGEST) if version else None
    members = {"actor": actor, "reason": reason, "at": AT + timedelta(days=days or seq), "txn": TXN}
    prev = DIGEST if seq > 1 else None
    return record(Move, model="fraud", alias="prod", seq=seq, prev=prev, kind=kind, target=target, **members)


def note(seq, version, kind, text="said", days=0):
    members = {"kind": kind, "text": text, "prev": DIGEST if seq > 1 else None, "at": AT + timedelta(days=days or seq)}
    return record(Note, model="fraud", version=version, seq=seq, txn=TXN, actor="ana", **members)


def clock():
    """A clock that an hour passes on each time."""
    hours = iter(range(1_000_000))
    return lambda: AT + timedelta(hours=next(hours))


def vault_of(store):
    """Two models: one with six versions, moves, notes, the other with one version."""
    vault = Vault(store, clock=clock(), progress=False)
    for number in range(6):
        said = {"metrics": {"auc": 0.9 + number / 100, "p99": 30.0 - number}, "params": {"depth": number}}
        said["data"] = [np.eye(3 if number < 4 else 4)]
        version = vault.publish("fraud", {"n": number}, bump="minor", notes=f"Try {number}.", **said, actor="ana")
        if number % 2:
            vault.promote("fraud@prod", version, reason=f"try {number}", actor="ana")
    vault.rollback("fraud@prod", reason="latency", actor="ben")
    vault.note("fraud@prod", "back in 2 s", kind="drill", actor="ci")
    vault.note("fraud@prod", "slow on large baskets", kind="issue", actor="ben")
    vault.yank("fraud:1.5.0", reason="trained on the test set", actor="ana")
    vault.publish("churn", {"a": 1}, actor="ana")
    return vault


def many(store, count):
    """A vault of `count` versions of one model, 0.0.0, 0.1.0, … 1.0.0, …, each with all that a usual one has recorded."""
    vault = Vault(store, clock=clock(), progress=False)
    first = vault.publish("fraud", {"a": 1}, version="0.0.0", params={"depth": 6, "eta": 0.1}, actor="ana")
    for at in range(1, count):
        members = {"version": f"{at // 100}.{at % 100}.0", "metrics": {"auc": 0.9 + at / 10**6, "p99": 20.0}}
        notes = f"Try {at}. Merchant features; known issue: new merchants."
        raw = write_manifest(first.manifest.model_copy(update=members | {"notes": notes}))
        target = record(Target, version=members["version"], digest=digest_of(raw), size=len(raw), inline=raw.decode())
        created = AT + timedelta(minutes=at)
        claim = record(Claim, model="fraud", target=target, txn=f"{at:032x}", created=created, actor="ana")
        store.create(layout.claim("fraud", members["version"]), seal(claim))
    return vault
