"""What the fault tests play with: a vault with a past, the verbs, and what each of them adds to it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelvault.formats.release_set import ReleaseSet
from modelvault.gates import Proposal, reason_like
from modelvault.stores import Store
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import Recording, Wrapper
from modelvault.vault import Vault
from modelvault.version import Version

Shown = dict[str, Any]
"""Everything that a vault shows, by name: versions, moves and notes."""

BLOB = hashlib.shake_256(b"weights").digest(20_000)


def past(vault: Vault) -> None:
    """Four versions, two of them with a blob, each promoted in its turn, and a remark."""
    for minor in range(4):
        vault.publish("fraud", {"n": minor, "weights": BLOB[minor % 2 :] if minor > 1 else b""}, version=f"1.{minor}.0")
        vault.promote("fraud@prod", f"1.{minor}.0", reason=f"release {minor}")
    vault.note("fraud:1.2.0", "new merchants are scored too high", kind="issue")


def nothing(_: Vault) -> None:
    """An empty vault."""


def yanked(vault: Vault) -> None:
    """The past, and the version below the newest is yanked."""
    past(vault)
    vault.yank("fraud:1.2.0", reason="leaks the label")


def quarantined(vault: Vault) -> None:
    """The past, and the content of the version below the newest is in quarantine."""
    past(vault)
    vault.quarantine("fraud:1.2.0", reason="answers with NaN")


def protected(vault: Vault) -> None:
    """The past, and the alias has a policy."""
    past(vault)
    vault.protect("fraud@prod", gates=[reason_like("*")], reason="on call")


def served(vault: Vault) -> None:
    """The past, and a service of which three release sets were promoted."""
    past(vault)
    for minor in range(3):
        members = ReleaseSet(model=f"fraud:1.{minor + 1}.0", old="fraud:1.0.0")
        vault.promote("service@prod", vault.publish("service", members, version=f"1.{minor}.0"), reason="release")


@dataclass(frozen=True)
class Verb:
    """A call, what `shows` says after it, and after it was made twice (`once` again, where the second adds nothing)."""

    name: str
    call: Callable[[Vault], Any]
    shows: Callable[[Vault], Any]
    once: Any
    twice: Any
    given: Callable[[Vault], None] = past

    def __str__(self) -> str:
        return self.name

    @property
    def repeats(self) -> bool:
        """The second call adds something, too."""
        return self.once != self.twice

    def store(self) -> MemoryStore:
        """The store that the verb is called on."""
        store = MemoryStore("scene")
        self.given(Vault(store))
        return store


def _publish(vault: Vault) -> Version:
    return vault.publish("fraud", {"n": 9}, version="2.0.0", metrics={"auc": 0.9}, notes="Merchant features.")


def _set() -> ReleaseSet:
    return ReleaseSet(model="fraud:1.3.0", old="fraud:1.0.0")


def _draft(vault: Vault) -> Version | None:
    with vault.draft("fraud", version="2.0.0") as draft:
        (draft.path / "card.md").write_text("A model.")
        (draft.path / "weights.bin").write_bytes(BLOB)
        draft.metrics = {"auc": 0.9}
    return draft.version


def _better(proposal: Proposal) -> bool:
    return proposal.proposed.version > "0"


def _number(alias: str) -> Callable[[Vault], str]:
    return lambda vault: vault.version(f"fraud@{alias}").number


def _files(vault: Vault) -> dict[str, str]:
    """The digests of the files of 2.0.0, from their bytes."""
    assert vault.verify("fraud:2.0.0").ok
    return {file.path: file.digest for file in vault.version("fraud:2.0.0").files}


def _kinds(ref: str) -> Callable[[Vault], list[str]]:
    return lambda vault: [note.kind for note in vault.notes(ref)]


def _marks(ref: str) -> Callable[[Vault], list[str]]:
    return lambda vault: [note.kind for note in vault.notes(ref) if note.content]


def _policies(vault: Vault) -> list[str]:
    return [policy.kind for policy in vault._catalog.policies("fraud", "prod").entries()]


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


_TRAINED = {
    name: _digest(hashlib.shake_256(bytes([seed])).digest(20_000 + seed))
    for seed, name in enumerate(("weights.bin", "vocabulary.bin", "deep/tail.bin"))
}
_DRAFTED = {"card.md": _digest(b"A model."), "weights.bin": _digest(BLOB)}
_WORDS = {"words": [f"word {n}" for n in range(5_000)]}
_MANY = {f"layer{n}": "x" * 100 for n in range(300)}
_REASON = "AUC +0.8 pt"

VERBS = [
    Verb("publish", _publish, lambda vault: vault.load("fraud:2.0.0"), {"n": 9}, {"n": 9}),
    Verb("publish-first", _publish, lambda vault: vault.load("fraud:2.0.0"), {"n": 9}, {"n": 9}, nothing),
    Verb(
        "publish-files",
        lambda vault: vault.publish("fraud", Path("trained"), version="2.0.0"),
        _files,
        _TRAINED,
        _TRAINED,
    ),
    Verb(
        "publish-compressed",
        lambda vault: vault.publish("fraud", _WORDS, version="2.0.0", compress=True),
        lambda vault: ([part.enc for part in vault.version("fraud:2.0.0").files[0].parts], vault.load("fraud:2.0.0")),
        (["zstd"], _WORDS),
        (["zstd"], _WORDS),
    ),
    Verb(
        "publish-long-manifest",
        lambda vault: vault.publish("fraud", BLOB, version="2.0.0", params=_MANY),
        lambda vault: (vault.version("fraud:2.0.0").params, vault.load("fraud:2.0.0")),
        (_MANY, BLOB),
        (_MANY, BLOB),
    ),
    Verb(
        "publish-bump",
        lambda vault: vault.publish("fraud", BLOB, bump="minor"),
        lambda vault: [version.number for version in vault.versions("fraud")][:-4],
        ["1.4.0"],
        ["1.5.0", "1.4.0"],
    ),
    Verb(
        "publish-set",
        lambda vault: vault.publish("service", _set(), version="1.0.0"),
        lambda vault: [vault.load("service:1.0.0").old["n"], len(vault.load("service:1.0.0"))],
        [0, 2],
        [0, 2],
    ),
    Verb(
        "rollback-set",
        lambda vault: vault.rollback("service@prod", reason="latency"),
        lambda vault: [move.version for move in vault.history("service@prod")][:-3],
        ["1.1.0"],
        ["1.0.0", "1.1.0"],
        served,
    ),
    Verb("draft", _draft, _files, _DRAFTED, _DRAFTED),
    Verb(
        "promote-first",
        lambda vault: vault.promote("fraud@canary", "1.3.0", reason=_REASON),
        lambda vault: [move.version for move in vault.history("fraud@canary")],
        ["1.3.0"],
        ["1.3.0"],
    ),
    Verb(
        "promote",
        lambda vault: vault.promote("fraud@prod", "1.0.0", reason=_REASON),
        lambda vault: [move.version for move in vault.history("fraud@prod")][:-4],
        ["1.0.0"],
        ["1.0.0"],
    ),
    Verb(
        "promote-with-gates",
        lambda vault: vault.promote("fraud@prod", "1.1.0", reason=_REASON, gates=[_better, lambda _: True]),
        lambda vault: [len(move.evidence["gates"]) for move in vault.history("fraud@prod")[:-4]],
        [2],
        [2],
    ),
    Verb("rollback", lambda vault: vault.rollback("fraud@prod", reason="latency"), _number("prod"), "1.2.0", "1.1.0"),
    Verb(
        "rollback-over-yanked",
        lambda vault: vault.rollback("fraud@prod", reason="latency"),
        _number("prod"),
        "1.1.0",
        "1.0.0",
        yanked,
    ),
    Verb(
        "note",
        lambda vault: vault.note("fraud:1.2.0", "seen in week 47", metrics={"auc": 0.8}),
        _kinds("fraud:1.2.0"),
        ["remark", "issue"],
        ["remark", "remark", "issue"],
    ),
    Verb(
        "yank",
        lambda vault: vault.yank("fraud:1.0.0", reason="leaks"),
        _kinds("fraud:1.0.0"),
        ["yank"],
        ["yank", "yank"],
    ),
    Verb(
        "unyank",
        lambda vault: vault.unyank("fraud:1.2.0", reason="does not"),
        _kinds("fraud:1.2.0"),
        ["unyank", "yank", "issue"],
        ["unyank", "unyank", "yank", "issue"],
        yanked,
    ),
    Verb(
        "quarantine",
        lambda vault: vault.quarantine("fraud:1.2.0", reason="answers with NaN", evidence={"bad": 5, "of": 9}),
        _marks("fraud:1.2.0"),
        ["quarantine"],
        ["quarantine", "quarantine"],
    ),
    Verb(
        "release",
        lambda vault: vault.release("fraud:1.2.0", reason="the input was wrong"),
        _marks("fraud:1.2.0"),
        ["release", "quarantine"],
        ["release", "release", "quarantine"],
        quarantined,
    ),
    Verb(
        "protect",
        lambda vault: vault.protect("fraud@prod", gates=[reason_like("*")], reason="on call"),
        _policies,
        ["protect"],
        ["protect", "protect"],
    ),
    Verb(
        "unprotect",
        lambda vault: vault.unprotect("fraud@prod", reason="moved"),
        _policies,
        ["unprotect", "protect"],
        ["unprotect", "unprotect", "protect"],
        protected,
    ),
    Verb(
        "promote-protected",
        lambda vault: vault.promote("fraud@prod", "1.1.0", reason=_REASON),
        lambda vault: [len(move.evidence["gates"]) for move in vault.history("fraud@prod")[:-4]],
        [1],
        [1],
        protected,
    ),
    Verb(
        "rollback-over-quarantined",
        lambda vault: vault.rollback("fraud@prod", reason="latency"),
        _number("prod"),
        "1.1.0",
        "1.0.0",
        quarantined,
    ),
]


class Far(Wrapper):
    """A store so far away that what is read from it is kept in the cache."""

    url = "far://bucket"


def copied(store: MemoryStore) -> Recording:
    """A copy of `store`, which remembers every call."""
    other = MemoryStore("scene")
    other._objects.update(store._objects)
    return Recording(other)


def seen(store: Store) -> Shown:
    """What a vault in `store` shows to one who has never opened it, after a proof that all of it is whole."""
    vault = Vault(store)
    report = vault.verify()
    assert report.ok, str(report)
    return dict(_lines(vault))


def _lines(vault: Vault) -> Iterator[tuple[str, Any]]:
    for model in vault.models():
        for version in vault.versions(model):
            yield version.ref, acknowledged(version)
            yield from ((f"{version.ref} note {note.content}{note.seq}", note) for note in vault.notes(version.ref))
        for alias in vault._catalog.protected(model):
            policies = vault._catalog.policies(model, alias).entries()
            yield from ((f"{model}@{alias} policy {policy.seq}", policy) for policy in policies)
        for alias in vault.aliases(model):
            history = vault.history(f"{model}@{alias}")
            assert [move.seq for move in history] == list(range(len(history), 0, -1))
            yield from ((f"{model}@{alias} move {move.seq}", move) for move in history)


def acknowledged(result: Any) -> Any:
    """What `seen` shows of what a verb has returned."""
    return (result.digest, result.claim.txn) if isinstance(result, Version) else result


def added(before: Shown, after: Shown) -> list[str]:
    """The names of what is new; all that was there is as it was."""
    assert before == {name: after.get(name) for name in before}
    return sorted(after.keys() - before.keys())


def no_object_was_removed(recording: Recording) -> bool:
    """Nothing was asked to go."""
    return recording.counts["delete"] == 0


def call_again(verb: Verb, vault: Vault, store: Store, before: Shown) -> None:
    """The verb, called when it may have been done already, succeeds and adds what it should; `before` is from before both."""
    done = len(added(before, seen(store)))
    result = verb.call(vault)
    after = seen(store)
    total = len(added(before, after))
    assert total == (done + 1 if verb.repeats else 1)
    assert acknowledged(result) in after.values()
    assert verb.shows(Vault(store)) == (verb.once if total == 1 else verb.twice)
