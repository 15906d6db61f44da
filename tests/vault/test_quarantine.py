"""Quarantine: a content is kept from use, whatever number it has."""

import pytest

import modelvault as mv
from modelvault.errors import Code, Corrupt, NotFound, Refused
from modelvault.layout import entry, marks
from modelvault.marks import content_of, standing
from modelvault.stores import Key
from modelvault.wire import Note, read_sealed, record, seal


@pytest.fixture
def three(vault):
    """Versions 1.0.0, 1.1.0 and 1.2.0, promoted one after another."""
    for number in ("1.0.0", "1.1.0", "1.2.0"):
        vault.publish("fraud", {"n": number}, version=number)
        vault.promote("fraud@prod", number, reason=f"try {number}")
    return vault


def test_what_is_in_quarantine_is_not_promoted_until_it_is_released(three):
    three.quarantine("fraud:1.0.0", reason="answers with NaN", evidence={"bad": 5}, actor="guard")
    with pytest.raises(Refused) as caught:
        three.promote("fraud@prod", "1.0.0", reason="r")
    assert caught.value.code == Code.QUARANTINED
    assert "answers with NaN" in str(caught.value)
    assert "modelvault release fraud:1.0.0" in caught.value.hint
    assert len(three.history("fraud@prod")) == 3
    three.release("fraud:1.0.0", reason="the input was wrong")
    assert three.promote("fraud@prod", "1.0.0", reason="r").version == "1.0.0"


def test_equal_bytes_under_another_number_are_refused_too_and_other_bytes_are_not(three, reopen):
    three.quarantine("fraud:1.2.0", reason="bad")
    again = three.publish("fraud", {"n": "1.2.0"}, version="1.2.1", notes="The same.", metrics={"auc": 1.0})
    with pytest.raises(Refused) as caught:
        reopen().promote("fraud@prod", again, reason="r")
    assert caught.value.code == Code.QUARANTINED
    other = three.publish("fraud", {"n": "another"}, version="1.2.2")
    assert three.promote("fraud@prod", other, reason="r").version == "1.2.2"
    three.release(again.ref, reason="by its other number")
    assert reopen().promote("fraud@prod", "1.2.0", reason="r").version == "1.2.0"


def test_what_is_recorded_beside_the_object_makes_no_other_content(vault):
    one = vault.publish("m", abs, version="1.0.0", format="cloudpickle")
    two = vault.publish("m", abs, version="1.1.0", format="cloudpickle", example=3)
    assert one.files != two.files
    assert content_of(one.manifest) == content_of(two.manifest)


def test_a_rollback_passes_it_over_and_says_so(three):
    three.quarantine("fraud:1.1.0", reason="bad")
    move = three.rollback("fraud@prod", reason="worse")
    assert (move.version, move.evidence["skipped"]) == ("1.0.0", [{"version": "1.1.0", "quarantined": "bad"}])


def test_it_is_no_rollback_target_even_by_name(three):
    three.quarantine("fraud:1.1.0", reason="bad")
    with pytest.raises(Refused) as caught:
        three.rollback("fraud@prod", reason="r", to="1.1.0")
    assert caught.value.code == Code.QUARANTINED
    three.quarantine("fraud:1.0.0", reason="bad")
    with pytest.raises(NotFound) as gone:
        three.rollback("fraud@prod", reason="r")
    assert gone.value.code == Code.NOTHING_TO_UNDO


def test_ranges_pass_it_over_and_exact_names_do_not(three):
    three.quarantine("fraud:1.2.0", reason="bad")
    assert three.load("fraud:*") == {"n": "1.1.0"}
    assert three.load("fraud:1.2.0") == three.load("fraud@prod") == {"n": "1.2.0"}


def test_a_note_of_that_kind_is_that_mark(three):
    three.note("fraud:1.1.0", "bad", kind="quarantine")
    assert three.load("fraud:<1.2") == {"n": "1.0.0"}
    three.note("fraud:1.1.0", "good", kind="release")
    assert three.load("fraud:<1.2") == {"n": "1.1.0"}


def test_marks_stand_among_the_notes_of_every_version_of_that_content(three):
    three.note("fraud:1.2.0", "before")
    mark = three.quarantine("fraud:1.2.0", reason="bad", evidence={"bad": 5, "of": [9]})
    three.note("fraud:1.2.0", "after")
    again = three.publish("fraud", {"n": "1.2.0"}, version="1.2.1")
    assert [note.text for note in three.notes("fraud:1.2.0")] == ["after", "bad", "before"]
    assert three.notes(again.ref) == [mark]
    assert (mark.kind, mark.evidence, mark.version) == ("quarantine", {"bad": 5, "of": [9]}, "1.2.0")
    assert mark.content == content_of(again.manifest)


def test_it_is_shown_where_a_yank_is(three, tmp_path):
    three.quarantine("fraud:1.2.0", reason="answers with NaN", actor="guard")
    again = three.publish("fraud", {"n": "1.2.0"}, version="1.2.1")
    assert "> **In quarantine** since" in three.card(again.ref)
    changed = {(change.name, change.new) for change in three.diff("fraud:1.1.0", again).changes}
    assert ("quarantined", "answers with NaN") in changed
    three.page(tmp_path / "site")
    page = (tmp_path / "site" / "models" / "fraud.html").read_text()
    assert "prod, (quarantined)" in page
    assert page.count("(quarantined)") == 2 * 2  # in the table and in the card, of both numbers
    assert "quarantine 1.2.0" in page
    assert "Latest 1.1.0" in page


@pytest.mark.parametrize("evidence", [{"token": "ghp_" + "a1B2" * 9}, {"a": {"password": "hunter2hunter2"}}])
def test_evidence_holds_no_secret(three, evidence):
    with pytest.raises(mv.errors.InvalidInput) as caught:
        three.quarantine("fraud:1.2.0", reason="bad", evidence=evidence)
    assert caught.value.code == Code.SECRET_FOUND


def test_a_mark_that_lies_in_the_place_of_another_content_is_found(three):
    three.quarantine("fraud:1.2.0", reason="bad")
    ours, theirs = (content_of(three.version(f"fraud:{number}").manifest) for number in ("1.2.0", "1.1.0"))
    raw = three._store.read(Key(entry(marks("fraud", ours), 1)))
    three._store.create(Key(entry(marks("fraud", theirs), 1)), raw)
    with pytest.raises(Corrupt) as caught:
        three.promote("fraud@prod", "1.1.0", reason="r")
    assert caught.value.code == Code.JOURNAL_BROKEN
    assert [problem.code for problem in three.verify().problems] == [Code.JOURNAL_BROKEN]
    assert [problem.code for problem in three.verify("fraud:1.1.0").problems] == [Code.JOURNAL_BROKEN]


def test_a_mark_is_no_note_of_its_version(three):
    three.quarantine("fraud:1.2.0", reason="bad")
    content = content_of(three.version("fraud:1.2.0").manifest)
    raw = three._store.read(Key(entry(marks("fraud", content), 1)))
    three._store.create(Key("models/fraud/notes/1.2.0/9999999998.json"), raw)
    assert [problem.code for problem in three.verify().problems] == [Code.JOURNAL_BROKEN]


def test_a_mark_that_is_forged_is_found(three):
    three.quarantine("fraud:1.2.0", reason="bad")
    three.release("fraud:1.2.0", reason="good")
    content = content_of(three.version("fraud:1.2.0").manifest)
    key = Key(entry(marks("fraud", content), 1))
    note = read_sealed(Note, three._store.read(key), key)
    three._store.delete(key)
    three._store.create(key, seal(record(Note, **(dict(note) | {"text": "forged"}))))
    assert [problem.code for problem in three.verify().problems] == [Code.JOURNAL_BROKEN]


def test_the_newest_word_counts_for_each_kind_of_mark():
    said = [
        Note.model_construct(kind=kind, text=str(at))
        for at, kind in enumerate(["remark", "yank", "release", "quarantine", "unyank"])
    ]
    assert {kind: note.text for kind, note in standing(said).items()} == {"yank": "1"}
    assert [*standing(said[3:])] == ["quarantine"]
    assert standing([]) == {}
