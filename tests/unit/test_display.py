"""What is shown to people: aligned, cut only on a terminal, and harmless whatever was stored."""

import io
import os
import pty
import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelvault.diff import Change, Diff
from modelvault.display import data, records
from modelvault.display.text import PLAIN, Card, Style, Table, columns, rendered, style_of
from modelvault.errors import Code, Corrupt
from modelvault.wire import Claim, Manifest, Move, Note, Target, digest_of, record, write_manifest

HOSTILE = "\x1b[2J\x1b]0;owned\x07\r\n\u202ereversed\x9b31m\u2028\ud800"
TEXTS = st.text(max_size=30) | st.sampled_from([HOSTILE, "日本語", "e\u0301", "", "a\tb"])
ROWS = st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(TEXTS, min_size=n, max_size=n), min_size=2, max_size=6))
AT = datetime(2026, 11, 23, 7, 49, 15, tzinfo=UTC)
DIGEST = digest_of(b"")
TXN = "0" * 32


def width(text):
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in {"W", "F"} else 1 for c in text
    )


def move(seq, version, kind="promote", reason="why", evidence=None):
    target = record(Target, version=version, digest=DIGEST, size=0, blob=DIGEST) if version else None
    members = {"actor": "ana", "reason": reason, "at": AT, "txn": TXN, "evidence": evidence or {}}
    prev = DIGEST if seq > 1 else None
    return record(Move, model="fraud", alias="prod", seq=seq, prev=prev, kind=kind, target=target, **members)


def note(seq, kind, text="said", metrics=None):
    members = {"kind": kind, "text": text, "metrics": metrics or {}, "prev": DIGEST if seq > 1 else None}
    return record(Note, model="fraud", version="1.0.0", seq=seq, txn=TXN, actor="ana", at=AT, **members)


def published(number="1.0.0", remarks=(), **members):
    files = [{"path": "a.txt", "size": 2, "digest": digest_of(b"hi"), "inline": "aGk="}]
    manifest = record(Manifest, model="fraud", version=number, format="files", files=files, **members)
    raw = write_manifest(manifest)
    target = record(Target, version=number, digest=digest_of(raw), size=len(raw), inline=raw.decode())
    claim = record(Claim, model="fraud", target=target, txn=TXN, created=AT, actor="ana")
    return records.Published(manifest, claim, tuple(remarks))


def escaped(text):
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def after(line, columns):
    """What of `line` stands from the column `columns` on."""
    return next(line[at:] for at in range(len(line) + 1) if width(line[:at]) >= columns)


def lines(view):
    return rendered(view).split("\n")


@given(ROWS, st.integers(0, 60), st.booleans())
def test_a_table_has_one_line_a_row_and_nothing_that_a_terminal_acts_on(rows, columns, coloured):
    head, *body = rows
    text = rendered(Table([f"H{n}" for n in range(len(head))], body), Style(columns, coloured))
    printed = text.replace("\x1b[1m", "").replace("\x1b[2m", "").replace("\x1b[0m", "").split("\n")
    assert len(printed) == len(body) + 1
    assert all(line.isprintable() for line in printed)
    assert coloured or "\x1b" not in text


@given(ROWS)
def test_cells_stand_below_each_other_and_none_is_cut(rows):
    starts = [0]
    for column in zip(*rows, strict=True):
        starts.append(starts[-1] + max(width(escaped(cell)) for cell in column) + 2)
    for row, line in zip(rows, columns(rows), strict=True):
        for cell, start in zip(row, starts, strict=False):
            assert after(line.ljust(start + 1_000), start).startswith(escaped(cell))


@given(st.lists(TEXTS, min_size=1, max_size=5), st.integers(20, 60))
def test_the_last_column_is_cut_to_the_width_of_the_terminal(texts, columns):
    printed = rendered(Table(("A", "REASON"), [("x", text) for text in texts]), Style(columns)).split("\n")
    assert max(map(width, printed)) <= columns


def test_what_is_cut_ends_in_an_ellipsis():
    assert rendered(Table("AB", [("1", "abcdefghi")]), Style(11)).split("\n") == ["A  B", "1  abcdefg…"]
    assert rendered(Table("AB", [("1", "日本語日本語")]), Style(11)).split("\n") == ["A  B", "1  日本語…"]


def test_a_narrow_terminal_still_shows_the_start_of_the_last_column():
    assert rendered(Table("AB", [("1" * 20, "abcdefghi")]), Style(5)).split("\n")[1] == "1" * 20 + "  abcdefg…"


def test_a_very_long_text_is_cut_at_once():
    printed = rendered(Table("A", [["é" * 100_000]]), Style(80)).split("\n")[1]
    assert printed == "é" * 79 + "…"


@given(TEXTS, st.lists(st.tuples(st.sampled_from(["one", "three"]), st.lists(TEXTS, max_size=3)), max_size=3))
def test_no_line_of_a_card_can_pass_for_another_label(title, fields):
    printed = lines(Card(title, fields))
    assert len(printed) == 1 + sum(len(texts) for _, texts in fields)
    assert all(line.isprintable() for line in printed)
    labels = [line[2:].split(" ")[0] for line in printed[1:] if line[2:3].strip()]
    assert [label for label, texts in fields if texts] == labels


def test_text_is_lines():
    assert rendered("churn\nfr\x1baud") == "churn\nfr\\x1baud"


def test_only_a_terminal_is_given_colours(monkeypatch):
    monkeypatch.setenv("COLUMNS", "77")
    other, terminal = pty.openpty()
    with open(terminal, "w", encoding="utf-8") as stream:
        assert Style(77, coloured=True) == style_of(stream, {"TERM": "xterm"})
        assert Style(77) == style_of(stream, {"TERM": "xterm", "NO_COLOR": "1"})
        assert Style(77) == style_of(stream, {"TERM": "dumb"})
    os.close(other)
    assert style_of(io.StringIO(), {"TERM": "xterm"}) == PLAIN


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (12_345, "12.3 kB"), (999_499, "999 kB"), (999_500, "1 MB")],
)
def test_a_size_has_three_digits(size, text):
    assert text == records.size_text(size)


@given(st.integers(0, 2**63 - 1))
def test_a_size_is_near_enough(size):
    number, unit = records.size_text(size).split(" ")
    assert abs(float(number) * 1000 ** ["B", "kB", "MB", "GB", "TB", "PB", "EB"].index(unit) - size) <= size * 0.005


def test_a_history_says_where_each_move_came_from():
    moves = [move(3, None, "retire"), move(2, "1.1.0"), move(1, "1.0.0", reason="first\nrelease")]
    assert lines(records.history_table(moves)) == [
        "#  WHEN               MOVE     FROM   TO     BY   REASON",
        "3  2026-11-23 07:49Z  retire   1.1.0  -      ana  why",
        "2  2026-11-23 07:49Z  promote  1.0.0  1.1.0  ana  why",
        "1  2026-11-23 07:49Z  promote  -      1.0.0  ana  first\\nrelease",
    ]


def test_a_rollback_says_what_it_passed_over():
    skipped = [{"version": "1.1.0", "yanked": "leaked\nlabels"}]
    printed = lines(records.move_card(move(4, "1.0.0", "rollback", evidence={"skipped": skipped})))
    assert printed[1:] == ["  passed over  1.1.0, yanked: leaked\\nlabels"]
    assert printed[0].startswith("#4 rollback fraud@prod → 1.0.0 by ana, ")


def test_aliases_say_since_when_they_point_where():
    assert lines(records.alias_table("fraud", {"canary": move(2, None, "retire"), "prod": move(1, "1.0.0")})) == [
        "ALIAS         VERSION  SINCE              MOVE     BY   REASON",
        "fraud@canary  -        2026-11-23 07:49Z  retire   ana  why",
        "fraud@prod    1.0.0    2026-11-23 07:49Z  promote  ana  why",
    ]
    assert records.alias_table("fraud", {}).empty == "fraud has no aliases"


def test_versions_are_marked_with_their_aliases():
    found = [
        published("1.1.0", [note(1, "yank")], metrics={"auc": 1 / 3, "f1": 0.5}, notes="Line one.\nLine two."),
        published("1.0.0", [note(2, "unyank"), note(1, "yank")], metrics=dict.fromkeys("abcd", 1)),
    ]
    aliases = {"canary": move(1, "1.1.0"), "old": move(1, "0.9.0"), "prod": move(1, "1.1.0")}
    assert lines(records.version_table(found, aliases)) == [
        "VERSION  ALIASES                 PUBLISHED          BY   SIZE  METRICS               NOTES",
        "1.1.0    canary, prod, (yanked)  2026-11-23 07:49Z  ana  2 B   auc=0.333333, f1=0.5  Line one.",
        "1.0.0                            2026-11-23 07:49Z  ana  2 B   a=1, b=1, c=1, …",
    ]


def test_a_card_tells_all_that_is_known_of_a_version():
    version = published(
        remarks=[note(2, "yank", "leaked"), note(1, "metrics", "one week", {"auc": 0.93})],
        metrics={"auc": 0.947, "f1": 1 / 3},
        params={"C": 1.5, "layers": [8, 8]},
        data=[
            {"uri": "train.csv", "how": "sha256", "digest": DIGEST, "size": 1_234_567},
            {"uri": "s3://x", "how": "unread"},
        ],
        notes="Merchants.\n\nKnown issue: new ones.",
        environment={
            "python": "3.11.7",
            "implementation": "cpython",
            "platform": "linux",
            "packages": {"numpy": "2.0"},
        },
        provenance={"git": {"commit": "abc", "dirty": True, "remote": "https://example.org/x"}},
    )
    assert [
        "fraud:1.0.0",
        "  published  2026-11-23 07:49:15Z by ana",
        f"  digest     {version.claim.target.digest}",
        "  aliases    prod, (yanked)",
        "  metrics    auc  0.947",
        "             f1   0.3333333333333333",
        "  params     C       1.5",
        "             layers  [8, 8]",
        f"  data       train.csv  1.23 MB  {DIGEST}",
        "             s3://x              unread",
        "  notes      Merchants.",
        "",
        "             Known issue: new ones.",
        "  remarks    2026-11-23 07:49Z  yank     ana  leaked",
        "             2026-11-23 07:49Z  metrics  ana  one week, auc=0.93",
        "  code       abc and uncommitted changes",
        "             https://example.org/x",
        "  python     cpython 3.11.7, linux",
        "  packages   numpy  2.0",
        "  format     files",
        f"  files      a.txt  2 B  {digest_of(b'hi')}",
    ] == lines(records.version_card(version, {"prod": move(1, "1.0.0")}))


def test_a_card_leaves_out_what_is_not_known():
    version = published(provenance={"git": {"commit": "abc", "dirty": False}})
    labels = [line.split()[0] for line in lines(records.version_card(version, {}))[1:]]
    assert labels == ["published", "digest", "code", "format", "files"]


def test_what_was_stored_by_a_stranger_is_escaped():
    version = published(
        remarks=[note(1, "remark", HOSTILE[:-1])], notes=HOSTILE[:-1], params={HOSTILE[:-1]: HOSTILE[:-1]}
    )
    for view in (records.version_card(version, {}), records.version_table([version], {})):
        assert all(line.isprintable() for line in lines(view))


def test_a_difference_stands_on_one_line():
    diff = Diff(
        "fraud:1.0.0",
        "fraud:1.1.0",
        (Change("metric", "auc", 0.9, 0.95, "better", "+0.05"), Change("text", "notes", None, "a\nb")),
    )
    assert lines(records.diff_table(diff)) == [
        "               fraud:1.0.0 → fraud:1.1.0",
        "metric  auc    0.9 → 0.95  better: +0.05",
        "text    notes  - → a\\nb",
    ]
    nothing = records.diff_table(Diff("fraud:1.0.0", "fraud:1.1.0", ()))
    assert (rendered(nothing), nothing.empty) == ("", "fraud:1.0.0 and fraud:1.1.0 do not differ")


def test_a_problem_is_listed_by_its_code():
    problem = Corrupt("the blob is\ngone", code=Code.BLOB_MISSING)
    assert lines(records.problem_card("1 problem", [problem])) == ["1 problem", "  blob-missing  the blob is\\ngone"]


def test_a_version_as_data_has_the_names_of_a_version_and_no_bytes():
    version = published("1.0.0", [note(1, "yank")], metrics={"auc": 0.947})
    said = data.published_data(version, {"prod": move(1, "1.0.0"), "old": move(1, "0.9.0")})
    assert said["ref"] == "fraud:1.0.0"
    assert (said["model"], said["number"], said["actor"], said["size"]) == ("fraud", "1.0.0", "ana", 2)
    assert (said["created"], said["digest"]) == ("2026-11-23T07:49:15.000000Z", version.claim.target.digest)
    assert (said["metrics"], said["aliases"], said["yanked"]) == ({"auc": 0.947}, ["prod"], True)
    assert [remark["kind"] for remark in said["remarks"]] == ["yank"]
    assert said["files"] == [{"path": "a.txt", "size": 2, "digest": digest_of(b"hi"), "parts": []}]


def test_a_move_as_data_has_its_version_and_no_bytes():
    said = data.move_data(move(2, "1.0.0"))
    assert (said["version"], said["kind"], said["seq"]) == ("1.0.0", "promote", 2)
    assert "inline" not in said["target"]
    assert data.move_data(move(2, None, "retire"))["version"] is None


def test_a_difference_as_data_names_its_sides():
    diff = Diff("fraud:1.0.0", "fraud:1.1.0", (Change("metric", "auc", 0.9, None),))
    changes = [{"section": "metric", "name": "auc", "old": 0.9, "new": None, "verdict": "", "detail": ""}]
    assert {"old": "fraud:1.0.0", "new": "fraud:1.1.0", "changes": changes, "issues": []} == data.diff_data(diff)
