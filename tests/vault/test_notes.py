"""Notes, yank, diff, verify."""

import numpy as np
import pytest

from modelvault import layout
from modelvault.errors import Code, InvalidInput, NotFound
from modelvault.stores import Key


def test_notes_are_kept_in_order(vault, reopen):
    vault.publish("fraud", 1)
    vault.note("fraud:1.0.0", "first look", actor="ann")
    vault.note("fraud:1.0.0", "wrong for new merchants", kind="issue", metrics={"recall": 0.4})
    newest, oldest = reopen().notes("fraud:1.0.0")
    assert (newest.kind, newest.text, newest.metrics, newest.seq) == (
        "issue",
        "wrong for new merchants",
        {"recall": 0.4},
        2,
    )
    assert (oldest.kind, oldest.text, oldest.actor) == ("remark", "first look", "ann")


def test_a_note_goes_where_the_ref_points(vault):
    vault.promote("fraud@prod", vault.publish("fraud", 1), reason="r")
    assert vault.note("fraud@prod", "seen").version == "1.0.0"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"kind": "shout"}, InvalidInput),
        ({"metrics": {"auc": float("nan")}}, InvalidInput),
        ({"text": "x" * 70_000}, InvalidInput),
        ({"ref": "fraud:9.0.0"}, NotFound),
        ({"ref": "fraud"}, InvalidInput),
    ],
)
def test_a_note_that_cannot_be_kept_is_refused(vault, options, error):
    vault.publish("fraud", 1)
    said = {"ref": "fraud:1.0.0", "text": "hm"} | options
    with pytest.raises(error):
        vault.note(said.pop("ref"), said.pop("text"), **said)
    assert vault.notes("fraud:1.0.0") == []


def test_the_newest_yank_or_unyank_counts(vault):
    vault.publish("fraud", 1)
    vault.yank("fraud:1.0.0", reason="leaks")
    vault.note("fraud:1.0.0", "why?")
    with pytest.raises(NotFound):
        vault.load("fraud:*")
    vault.unyank("fraud:1.0.0", reason="it does not")
    assert vault.load("fraud:*") == 1


def test_a_diff_shows_differences_only(vault, tmp_path):
    old = vault.publish("fraud", np.zeros(3), metrics={"auc": 0.9, "f1": 0.5}, params={"depth": 3}, notes="first")
    new = vault.publish(
        "fraud", np.ones(3), bump="minor", metrics={"auc": 0.95, "f1": 0.5}, params={"depth": 4, "eta": 0.1}
    )
    changes = {(one.section, one.name): (one.old, one.new) for one in vault.diff(old, "fraud:1.1.0").changes}
    assert changes.pop(("file", "array.npy"))[0].startswith("152 bytes")
    assert changes == {
        ("metric", "auc"): (0.9, 0.95),
        ("param", "depth"): (3, 4),
        ("param", "eta"): (None, 0.1),
        ("text", "notes"): ("first", None),
    }
    assert "metric auc: 0.9 → 0.95" in str(vault.diff(old, new))
    assert not vault.diff(old, old)
    assert str(vault.diff(old, old)) == "fraud:1.0.0 → fraud:1.0.0: no difference"


@pytest.fixture
def full(vault, tmp_path):
    vault.publish("fraud", np.zeros(9_000))
    vault.publish("fraud", 2, bump="minor")
    vault.promote("fraud@prod", "1.0.0", reason="r")
    vault.promote("fraud@prod", "1.1.0", reason="r")
    vault.note("fraud:1.0.0", "hm")
    return vault


def gone(vault, key):
    vault._store.delete(Key(key))


def test_a_whole_vault_verifies(full):
    report = full.verify()
    assert (report.ok, report.versions, report.moves, report.notes, report.files) == (True, 2, 2, 1, 2)
    assert report.bytes == 72_128 + sum(file.size for file in full.version("fraud:1.1.0").files)
    assert str(report).endswith("all well")


@pytest.mark.parametrize(("level", "found"), [("structure", False), ("presence", True), ("bytes", True)])
def test_a_missing_blob_is_found_by_those_who_look(full, level, found):
    blob = full.version("fraud:1.0.0").files[0].parts[0].digest
    gone(full, layout.blob(blob))
    problems = full.verify(level=level).problems
    assert [one.code for one in problems] == [Code.BLOB_MISSING] * found
    assert full.verify("fraud:1.1.0", level=level).ok


def test_every_problem_is_reported(full):
    gone(full, layout.VAULT)
    gone(full, layout.claim("fraud", "1.1.0"))
    gone(full, layout.entry(layout.journal("fraud", "prod"), 1))
    report = full.verify()
    assert [one.code for one in report.problems] == [Code.BAD_RECORD, Code.JOURNAL_BROKEN]
    assert not report.ok
    assert "problems: 2" in str(report)


def test_a_ref_narrows_what_is_verified(full):
    assert full.verify("fraud:1.0.0").versions == 1
    assert full.verify("fraud@prod").moves == 2
    with pytest.raises(NotFound) as caught:
        full.verify("fraud:9.0.0")
    assert caught.value.code == Code.VERSION_NOT_FOUND


def test_a_stray_object_is_reported(full):
    full._store.create(Key("models/fraud/versions/latest.json"), b"{}")
    assert [one.code for one in full.verify().problems] == [Code.BAD_RECORD]


def test_an_alias_that_names_another_digest_is_reported(full, reopen):
    from modelvault.canonical import digest_of

    key = layout.claim("fraud", "1.1.0")
    from modelvault.wire import Claim, read_sealed, record, seal, write_manifest

    claim = read_sealed(Claim, full._store.read(Key(key)), key)
    manifest = full.version("fraud:1.1.0").manifest.model_copy(update={"notes": "forged"})
    raw = write_manifest(manifest)
    target = claim.target.model_copy(update={"digest": digest_of(raw), "size": len(raw), "inline": raw.decode()})
    gone(full, key)
    full._store.create(Key(key), seal(record(Claim, **(dict(claim) | {"target": target}))))
    fresh = reopen()
    assert fresh.load("fraud@prod") == 2
    assert [one.code for one in fresh.verify().problems] == [Code.DIGEST_MISMATCH]
    fresh.promote("fraud@prod", "1.0.0", reason="r")
    from modelvault.errors import Corrupt

    with pytest.raises(Corrupt) as caught:
        fresh.rollback("fraud@prod", reason="r")
    assert caught.value.code == Code.DIGEST_MISMATCH


def test_every_damaged_file_of_a_version_is_reported(vault, tmp_path, reopen):
    folder = tmp_path / "model"
    folder.mkdir()
    for name in "abc":
        (folder / name).write_bytes(name.encode() * 200_000)
    version = vault.publish("fraud", folder)
    for file in version.files[:2]:
        gone(vault, layout.blob(file.digest))
    for level in ("presence", "bytes"):
        report = reopen().verify(level=level)
        assert [one.code for one in report.problems] == [Code.BLOB_MISSING] * 2
        assert report.files == 3
