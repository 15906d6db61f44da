"""A promotion may be made again, tried without being made, and checked; and it says which run of CI it was made by."""

import pytest

import modelvault as mv
from modelvault import gates
from modelvault.errors import Code, Conflict, InvalidInput, NotFound, Refused
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import Recording
from modelvault.vault import Vault

SIGNATURE = {"inputs": [{"name": "amount", "dtype": "float64"}], "outputs": [{"name": "score", "dtype": "float64"}]}
WIDER = {**SIGNATURE, "inputs": [*SIGNATURE["inputs"], {"name": "age", "dtype": "int64"}]}


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def two(store):
    """1.0.0 is in place; 1.1.0 has a better metric; 2.0.0 asks for more, and is worse."""
    vault = Vault(store)
    for number, auc, signature in (("1.0.0", 0.9, SIGNATURE), ("1.1.0", 0.92, SIGNATURE), ("2.0.0", 0.8, WIDER)):
        vault.publish("fraud", number, version=number, metrics={"auc": auc}, signature=signature)
    vault.promote("fraud@prod", "1.0.0", reason="first", actor="ann")
    return vault


def test_a_promotion_to_where_the_alias_is_writes_nothing_and_returns_the_present_move(two, store):
    first = two.history("fraud@prod")[0]
    seen = Recording(store)
    again = Vault(seen).promote("fraud@prod", "1.0.0", reason="again", actor="bob")
    assert again == first
    assert (again.reason, again.actor) == ("first", "ann")
    assert seen.counts["create"] == 0
    assert len(two.history("fraud@prod")) == 1


def test_what_is_expected_is_expected_there_too(two):
    with pytest.raises(Conflict):
        two.promote("fraud@prod", "1.0.0", reason="again", expect="")
    assert two.promote("fraud@prod", "1.0.0", reason="again", expect="1.0.0").seq == 1


def test_what_is_in_quarantine_is_refused_there_too(two):
    two.quarantine("fraud:1.0.0", reason="bad")
    with pytest.raises(Refused):
        two.promote("fraud@prod", "1.0.0", reason="again")


def test_after_a_rollback_what_was_left_can_be_promoted_again(two):
    two.promote("fraud@prod", "1.1.0", reason="r")
    two.rollback("fraud@prod", reason="r")
    assert two.promote("fraud@prod", "1.0.0", reason="r").kind == "rollback"
    assert two.promote("fraud@prod", "1.1.0", reason="r").seq == 4


def test_a_dry_run_says_what_would_be_and_writes_nothing(two, store):
    seen = Recording(store)
    move = Vault(seen).promote("fraud@prod", "1.1.0", reason="r", gates=[gates.no_worse("auc")], dry_run=True)
    assert (move.seq, move.version, move.undo, move.evidence["rollback_safe"]) == (2, "1.1.0", 1, True)
    assert move.evidence["gates"][0]["passed"] is True
    assert seen.counts["create"] == 0
    assert len(two.history("fraud@prod")) == 1
    made = two.promote("fraud@prod", "1.1.0", reason="r", gates=[gates.no_worse("auc")])
    assert (made.target, made.evidence) == (move.target, move.evidence)


def test_a_dry_run_raises_what_promoting_would(two):
    def promote(**options):
        return two.promote("fraud@prod", "2.0.0", **{"reason": "r", "dry_run": True} | options)

    with pytest.raises(Refused):
        promote(gates=[gates.no_worse("auc")])
    with pytest.raises(Conflict):
        promote(expect="1.1.0")
    two.protect("fraud@prod", gates=[gates.compatible], reason="r")
    with pytest.raises(Refused) as caught:
        promote()
    assert caught.value.code == Code.GATE_REFUSED
    with pytest.raises(InvalidInput):
        promote(dry_run="no")
    assert len(two.history("fraud@prod")) == 1


def test_a_check_says_all_of_it_and_raises_none_of_it(two, store):
    two.protect("fraud@prod", gates=[gates.no_worse("auc"), gates.approved(1)], reason="r")
    seen = Recording(store)
    found = Vault(seen).check("2.0.0", against="fraud@prod", gates=[lambda _: True])
    assert seen.counts["create"] == 0
    assert not found.ok
    assert (found.candidate, found.against, found.current) == ("fraud:2.0.0", "fraud@prod", "1.0.0")
    assert found.data() == {
        "candidate": "fraud:2.0.0",
        "against": "fraud@prod",
        "current": "1.0.0",
        "ok": False,
        "bump": "major",
        "backward": False,
        "rollback_safe": True,
        "because": ["the input 'age' is new, and required"],
        "objection": "",
        "gates": [
            {"gate": "no_worse", "passed": False, "reason": "auc 0.9 → 0.8"},
            {"gate": "approved", "passed": False, "reason": "0 of 1 others approve of 2.0.0"},
            {"gate": "<lambda>", "passed": True, "reason": ""},
        ],
    }
    text = str(found)
    assert text.splitlines()[0] == "fraud:2.0.0 against fraud@prod, at 1.0.0: not yet"
    assert "  no   no_worse: auc 0.9 → 0.8" in text
    assert "the input 'age' is new, and required" in text
    markdown = found.to_markdown()
    assert "**fraud:2.0.0** against **fraud@prod**, at 1.0.0: not yet" in markdown
    assert "| no_worse" in markdown.replace("`", "")


def test_a_check_of_what_may_be_promoted_is_fine(two):
    found = two.check("fraud:1.1.0", against="fraud@prod")
    assert found.ok
    assert found.data()["bump"] == "patch"
    assert two.check("1.1.0", against="fraud@new").ok
    two.quarantine("fraud:1.1.0", reason="answers with \x1b[2J")
    found = two.check("fraud:1.1.0", against="fraud@prod")
    assert not found.ok
    assert "fraud:1.1.0 is quarantined" in found.objection
    assert all(line.isprintable() for line in [*str(found).splitlines(), *found.to_markdown().splitlines()])
    with pytest.raises(NotFound):
        two.check("9.9.9", against="fraud@prod")
    with pytest.raises(InvalidInput):
        two.check("1.1.0", against="fraud")


GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_ACTOR": "octocat",
    "GITHUB_SHA": "ab" * 20,
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "acme/fraud",
    "GITHUB_RUN_ID": "4711",
    "GITHUB_TOKEN": "ghs_secret",
}
GITLAB = {
    "GITLAB_CI": "true",
    "GITLAB_USER_LOGIN": "tanuki",
    "CI_COMMIT_SHA": "cd" * 20,
    "CI_JOB_URL": "https://user:word@gitlab.example/acme/fraud/-/jobs/12",
    "CI_JOB_TOKEN": "glpat-secret",
}


@pytest.mark.parametrize(
    ("given", "actor", "run"),
    [
        (GITHUB, "octocat", "https://github.com/acme/fraud/actions/runs/4711"),
        (GITLAB, "tanuki", "https://gitlab.example/acme/fraud/-/jobs/12"),
    ],
    ids=["github", "gitlab"],
)
def test_a_move_says_which_run_of_ci_made_it(two, monkeypatch, given, actor, run):
    monkeypatch.delenv("MODELVAULT_ACTOR")
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    for move in (two.promote("fraud@prod", "1.1.0", reason="r"), two.rollback("fraud@prod", reason="r")):
        assert set(move.evidence["ci"]) == {"system", "actor", "commit", "run"}
        assert (move.actor, move.evidence["ci"]["actor"], move.evidence["ci"]["run"]) == (actor, actor, run)
        assert "secret" not in str(move.evidence)
        assert "word" not in str(move.evidence)
    assert two.promote("fraud@prod", "1.1.0", reason="r", actor="ann").actor == "ann"
    monkeypatch.setenv("MODELVAULT_ACTOR", "bot")
    assert two.rollback("fraud@prod", reason="r").actor == "bot"


@pytest.mark.parametrize("value", ["", "a\x1b[2J", "x" * 201, "ghp_" + "a1B2" * 9, "two\nlines"])
def test_what_a_run_says_of_itself_that_cannot_be_kept_is_left_out(two, monkeypatch, value):
    for name in GITHUB:
        monkeypatch.setenv(name, "true" if name == "GITHUB_ACTIONS" else value)
    assert two.promote("fraud@prod", "1.1.0", reason="r").evidence["ci"] == {"system": "github"}


def test_outside_of_ci_nothing_is_said(two, monkeypatch):
    for name, said in GITHUB.items():
        monkeypatch.setenv(name, "false" if name == "GITHUB_ACTIONS" else said)
    assert "ci" not in two.promote("fraud@prod", "1.1.0", reason="r").evidence
    assert mv.Check.__doc__
