"""Protected aliases: gates that stand in the vault, and are asked of whoever promotes."""

from datetime import UTC, datetime, timedelta

import pytest

from modelvault import gates
from modelvault.errors import Code, Corrupt, InvalidInput, NotFound, Refused
from modelvault.layout import blob, entry, policy
from modelvault.stores import Key
from modelvault.stores.memory import MemoryStore
from modelvault.vault import Vault
from modelvault.wire import GateRule, Policy, read_sealed, record, seal


@pytest.fixture
def two(vault):
    """Versions 1.0.0, in place, and 1.1.0, which is worse."""
    for number, auc in (("1.0.0", 0.9), ("1.1.0", 0.8)):
        vault.publish("fraud", number, version=number, metrics={"auc": auc})
    vault.promote("fraud@prod", "1.0.0", reason="first")
    return vault


def refused(vault, to="1.1.0", **options):
    """Why a promotion is refused."""
    with pytest.raises(Refused) as caught:
        vault.promote("fraud@prod", to, **{"reason": "r"} | options)
    assert caught.value.code == Code.GATE_REFUSED
    assert vault.aliases("fraud")["prod"].version == "1.0.0"
    return caught.value.verdicts


def test_a_policy_binds_whoever_promotes(two, reopen):
    made = two.protect("fraud@prod", gates=[gates.no_worse("auc")], reason="on call", actor="ann")
    assert refused(reopen()) == ("no_worse: auc 0.9 → 0.8",)
    assert reopen().policy("fraud@prod") == made
    assert (made.kind, made.seq, made.actor, made.reason) == ("protect", 1, "ann", "on call")
    assert reopen().promote("fraud@other", "1.1.0", reason="r").version == "1.1.0"
    two.publish("fraud", "better", version="1.2.0", metrics={"auc": 0.95})
    move = reopen().promote("fraud@prod", "1.2.0", reason="r")
    assert move.evidence["policy"] == 1
    assert move.evidence["gates"] == [
        {"gate": "no_worse", "passed": True, "reason": "auc 0.9 → 0.95", "metric": "auc", "old": 0.9, "new": 0.95}
    ]


def test_the_gates_of_the_caller_are_asked_too(two):
    two.protect("fraud@prod", gates=[gates.no_worse("auc")], reason="r")
    assert len(refused(two, gates=[lambda _: False])) == 2


def test_the_newest_policy_counts_until_it_is_taken_away(two, reopen):
    two.protect("fraud@prod", gates=[gates.no_worse("auc")], reason="r")
    two.protect("fraud@prod", gates=[gates.no_worse("auc", tolerance=0.2)], reason="r")
    assert reopen().promote("fraud@prod", "1.1.0", reason="r").evidence["policy"] == 2
    two.promote("fraud@prod", "1.0.0", reason="r")
    two.protect("fraud@prod", gates=[gates.approved(1)], reason="r")
    assert refused(reopen()) == ("approved: 0 of 1 others approve of 1.1.0",)
    assert two.unprotect("fraud@prod", reason="r").seq == 4
    assert reopen().policy("fraud@prod") is None
    assert "policy" not in reopen().promote("fraud@prod", "1.1.0", reason="r").evidence


def test_a_rollback_is_asked_nothing(two):
    two.promote("fraud@prod", "1.1.0", reason="r")
    two.protect("fraud@prod", gates=[gates.approved(5), gates.reason_like("OPS-*")], reason="r")
    assert two.rollback("fraud@prod", reason="now").version == "1.0.0"


def test_an_alias_can_be_protected_before_it_is_made(two):
    two.protect("fraud@new", gates=[gates.signature], reason="r")
    with pytest.raises(Refused):
        two.promote("fraud@new", "1.0.0", reason="r")


@pytest.mark.parametrize("given", [[], [lambda _: True], ["no_worse(auc)"], [None], [gates.no_worse]])
def test_a_policy_holds_gates_that_others_know(two, given):
    with pytest.raises(InvalidInput) as caught:
        two.protect("fraud@prod", gates=given, reason="r")
    assert caught.value.code == Code.BAD_VALUE
    assert two.policy("fraud@prod") is None


def test_there_must_be_such_a_model_and_such_a_policy(two):
    with pytest.raises(NotFound) as caught:
        two.protect("fruad@prod", gates=[gates.signature], reason="r")
    assert caught.value.code == Code.MODEL_NOT_FOUND
    with pytest.raises(NotFound) as gone:
        two.unprotect("fraud@prdo", reason="r")
    assert gone.value.code == Code.POLICY_NOT_FOUND


def written(vault, **changes):
    """A policy that another release, or another hand, has written."""
    made = {
        "model": "fraud",
        "alias": "prod",
        "seq": 1,
        "txn": "0" * 32,
        "kind": "protect",
        "actor": "a",
        "reason": "r",
    }
    made |= {"at": datetime(2026, 1, 1, tzinfo=UTC)} | changes
    vault._store.create(Key(entry(policy("fraud", "prod"), 1)), seal(record(Policy, **made)))
    return vault


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"gates": [{"gate": "signed"}]}, "signed: this release cannot judge it"),
        ({"gates": [{"gate": "no_worse"}]}, "no_worse: this release cannot judge it"),
        ({"gates": [{"gate": "no_worse", "arguments": {"metric": ["auc"]}}]}, "no_worse: this release cannot"),
        ({"gates": [{"gate": "no_worse", "arguments": {"metric": "shoe size"}}]}, "no_worse: this release cannot"),
        ({"gates": [{"gate": "soaked", "arguments": {"alias": "staging", "hours": -1}}]}, "soaked: this release"),
        ({"gates": [{"gate": "soaked", "arguments": {"alias": "../x", "hours": 1}}]}, "soaked: this release"),
        ({"gates": [{"gate": "compatible", "arguments": {"gate": 1}}]}, "compatible: this release cannot judge it"),
        ({"gates": [{"gate": "compatible", "unless": "friday"}]}, "compatible: this release cannot judge it"),
        ({"gates": [{"gate": "approved", "arguments": {"others": True}}]}, "approved: this release cannot judge it"),
        ({"actors": ["ann"]}, "policy: this release cannot judge it: the member actors"),
        ({"kind": "freeze"}, "policy: this release cannot judge it: the kind freeze"),
    ],
)
def test_what_a_release_does_not_know_refuses(two, changes, why):
    [verdict] = refused(written(two, **changes))
    assert verdict.startswith(why)
    assert verdict.isprintable()


@pytest.mark.parametrize(
    "changes", [{"model": "other"}, {"alias": "staging"}, {"seq": 2, "prev": "sha256:" + "0" * 64}]
)
def test_a_policy_of_another_place_is_damage(two, changes):
    written(two, **changes)
    with pytest.raises(Corrupt) as caught:
        two.promote("fraud@prod", "1.1.0", reason="r")
    assert caught.value.code == Code.JOURNAL_BROKEN
    assert not two.verify().ok
    assert not two.verify("fraud@prod").ok


def test_a_policy_that_was_rewritten_is_found(two):
    for number in (1, 2):
        two.protect("fraud@prod", gates=[gates.approved(number)], reason="r")
    key = Key(entry(policy("fraud", "prod"), 1))
    found = read_sealed(Policy, two._store.read(key), key)
    two._store.delete(key)
    two._store.create(key, seal(record(Policy, **(dict(found) | {"gates": [GateRule(gate="signature")]}))))
    assert [problem.code for problem in two.verify().problems] == [Code.JOURNAL_BROKEN]


# --- the gates, by what a vault remembers


class Clock:
    """Now, which a test moves."""

    def __init__(self):
        self.now = datetime(2026, 11, 1, tzinfo=UTC)

    def __call__(self):
        return self.now

    def later(self, **span):
        self.now += timedelta(**span)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def aging(clock):
    """A vault with 1.0.0 in prod, and 1.1.0."""
    vault = Vault(MemoryStore(), clock=clock, trust="pickle")
    for number in ("1.0.0", "1.1.0"):
        vault.publish("fraud", number, version=number)
    vault.promote("fraud@prod", "1.0.0", reason="first")
    return vault


def soaks(vault, hours=24):
    try:
        vault.promote("fraud@prod", "1.1.0", reason="r", gates=[gates.soaked("staging", hours)])
    except Refused as error:
        return error.verdicts[0]
    return ""


def test_soaked_is_the_longest_stay_without_a_break(aging, clock):
    assert soaks(aging) == "soaked: 0 of 24 hours at staging"
    aging.promote("fraud@staging", "1.1.0", reason="r")
    clock.later(hours=20)
    assert soaks(aging) == "soaked: 20 of 24 hours at staging"
    aging.promote("fraud@staging", "1.0.0", reason="r")
    clock.later(hours=5)
    aging.promote("fraud@staging", "1.1.0", reason="r")
    clock.later(hours=10)
    assert soaks(aging) == "soaked: 20 of 24 hours at staging"
    clock.later(hours=14)
    assert soaks(aging) == ""
    assert aging.history("fraud@prod")[0].evidence["gates"][0]["hours"] == 24


def test_a_stay_that_is_over_counts_too(aging, clock):
    aging.promote("fraud@staging", "1.1.0", reason="r")
    clock.later(hours=25)
    aging.promote("fraud@staging", "1.0.0", reason="r")
    clock.later(hours=99)
    assert soaks(aging) == ""


def drills(vault):
    try:
        vault.promote("fraud@prod", "1.1.0", reason="r", gates=[gates.drilled_within(7)])
    except Refused as error:
        return error.verdicts[0]
    return ""


def test_drilled_takes_a_drill_that_passed_of_this_alias_lately(aging, clock):
    no = "drilled_within: no drill has passed in the last 7 days"
    for evidence in ({"alias": "prod", "passed": False}, {"alias": "staging", "passed": True}, {"passed": True}, {}):
        aging.note("fraud:1.0.0", "drill", kind="drill", evidence=evidence)
        assert drills(aging) == no
    aging.note("fraud:1.0.0", "no drill", evidence={"alias": "prod", "passed": True})
    assert drills(aging) == no
    aging.note("fraud:1.0.0", "drill", kind="drill", evidence={"alias": "prod", "passed": True})
    clock.later(days=8)
    assert drills(aging) == no
    aging.note("fraud:1.0.0", "drill", kind="drill", evidence={"alias": "fraud@prod", "passed": True})
    clock.later(days=6)
    assert drills(aging) == ""


def test_a_drill_of_a_version_that_was_in_place_long_ago_is_not_looked_for(aging, clock):
    aging.promote("fraud@prod", "1.1.0", reason="r")
    clock.later(days=30)
    aging.note("fraud:1.0.0", "drill", kind="drill", evidence={"alias": "prod", "passed": True})
    aging.publish("fraud", "new", version="1.2.0")
    with pytest.raises(Refused):
        aging.promote("fraud@prod", "1.2.0", reason="r", gates=[gates.drilled_within(7)])
    aging.note("fraud:1.2.0", "drill", kind="drill", evidence={"alias": "prod", "passed": True})
    assert aging.promote("fraud@prod", "1.2.0", reason="r", gates=[gates.drilled_within(7)]).seq == 3


def test_the_first_promotion_needs_no_drill(aging):
    assert aging.promote("fraud@new", "1.1.0", reason="r", gates=[gates.drilled_within(7)]).seq == 1


def test_approvals_are_of_others_each_counted_once(aging):
    def promote(actor="ann"):
        return aging.promote("fraud@prod", "1.1.0", reason="r", gates=[gates.approved(2)], actor=actor)

    for actor in ("ann", "bob", "bob"):
        aging.note("fraud:1.1.0", "fine", kind="approval", actor=actor)
    aging.note("fraud:1.0.0", "fine", kind="approval", actor="eve")
    aging.note("fraud:1.1.0", "hm", actor="eve")
    with pytest.raises(Refused) as caught:
        promote()
    assert caught.value.verdicts == ("approved: 1 of 2 others approve of 1.1.0",)
    assert promote("carol").evidence["gates"][0]["by"] == ["ann", "bob"]


def test_a_metric_that_was_noted_later_counts(aging):
    gate = gates.no_worse("p99_ms")
    with pytest.raises(Refused) as caught:
        aging.promote("fraud@prod", "1.1.0", reason="r", gates=[gate])
    assert caught.value.verdicts == ("no_worse: 1.1.0 has no metric p99_ms",)
    aging.note("fraud:1.1.0", "measured", metrics={"p99_ms": 170})
    with pytest.raises(Refused) as caught:
        aging.promote("fraud@prod", "1.1.0", reason="r", gates=[gate])
    assert caught.value.verdicts == ("no_worse: 1.0.0, in place, has no metric p99_ms: note it",)
    aging.note("fraud:1.0.0", "measured", metrics={"p99_ms": 150})
    aging.note("fraud:1.0.0", "measured again", metrics={"p99_ms": 180})
    assert aging.promote("fraud@prod", "1.1.0", reason="r", gates=[gate]).version == "1.1.0"


def test_every_promotion_says_whether_the_way_back_is_open(aging):
    def published(number, fields):
        signature = {"inputs": [{"name": name, "dtype": "float64"} for name in fields], "outputs": []}
        aging.publish("scores", number, version=number, signature=signature)
        return aging.promote("scores@prod", number, reason="r").evidence

    assert published("1.0.0", ["amount"]) == {}
    assert published("2.0.0", ["amount", "age"]) == {
        "backward": False,
        "rollback_safe": True,
        "because": ["the input 'age' is new, and required"],
    }
    assert published("3.0.0", ["amount"])["rollback_safe"] is False
    assert aging.promote("fraud@prod", "1.1.0", reason="r").evidence == {
        "backward": None,
        "rollback_safe": None,
        "because": [
            "the input cannot be compared: 1.0.0 has no signature",
            "on the way back, the input cannot be compared: 1.1.0 has no signature",
        ],
    }


def test_away_from_a_version_that_is_damaged(aging):
    """Its manifest cannot be read: nothing is known of the way back, and the alias can be moved away."""
    long = aging.publish("fraud", 1, version="1.2.0", params={f"p{number}": "x" * 100 for number in range(300)})
    aging.promote("fraud@prod", long, reason="r")
    aging._store.delete(Key(blob(long.claim.target.blob)))
    fresh = Vault(aging._store, trust="pickle")
    with pytest.raises(Corrupt):
        fresh.promote("fraud@prod", "1.1.0", reason="r", gates=[lambda _: True])
    move = fresh.promote("fraud@prod", "1.1.0", reason="r")
    assert (move.version, move.evidence["rollback_safe"]) == ("1.1.0", None)


def test_a_policy_says_what_it_asks_and_who_asks_it():
    vault = Vault(MemoryStore())
    vault.publish("fraud", 1)
    vault.protect("fraud@prod", gates=[gates.signature, gates.approved(2)], reason="four eyes", actor="ana")
    said = str(vault.policy("fraud@prod"))
    assert said.startswith("#1 protect fraud@prod asks for signature(), approved(")
    assert said.endswith(": four eyes")
    assert " by ana, " in said
    assert repr(vault.policy("fraud@prod")) == f"<Policy {said}>"
