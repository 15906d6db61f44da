"""Records, made by hand, and a vault of models that have a history."""

from datetime import UTC, datetime, timedelta

from modelvault.vault import Vault
from modelvault.wire import Move, Note, Target, digest_of, record

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
        version = vault.publish("fraud", {"n": number}, bump="minor", notes=f"Try {number}.", **said, actor="ana")
        if number % 2:
            vault.promote("fraud@prod", version, reason=f"try {number}", actor="ana")
    vault.rollback("fraud@prod", reason="latency", actor="ben")
    vault.note("fraud@prod", "back in 2 s", kind="drill", actor="ci")
    vault.note("fraud@prod", "slow on large baskets", kind="issue", actor="ben")
    vault.yank("fraud:1.5.0", reason="trained on the test set", actor="ana")
    vault.publish("churn", {"a": 1}, actor="ana")
    return vault
