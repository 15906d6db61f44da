"""Records: sealed, strict, kept whole."""

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelvault.canonical import RECORD_LIMIT, canonical, digest_of
from modelvault.errors import Code, Corrupt, InvalidInput, Unsupported
from modelvault.wire import (
    Claim,
    File,
    Manifest,
    Move,
    Note,
    Part,
    Target,
    VaultRecord,
    read_manifest,
    read_sealed,
    record,
    seal,
    write_manifest,
)

NOW = datetime(2026, 11, 23, 7, 49, 15, tzinfo=UTC)
TXN = "0" * 32
DIGEST = digest_of(b"abc")
FILE = {"path": "a.bin", "size": 3, "digest": DIGEST, "inline": base64.b64encode(b"abc").decode()}
TARGET = {"version": "1.0.0", "digest": DIGEST, "size": 3, "inline": "abc"}
MOVE = {
    "model": "fraud", "alias": "prod", "seq": 2, "txn": TXN, "kind": "promote", "target": TARGET, "undo": 1,
    "prev": DIGEST, "actor": "ann", "reason": "better", "at": NOW,
}  # fmt: skip
NOTE = {
    "model": "fraud", "version": "1.0.0", "seq": 1, "txn": TXN, "kind": "remark", "text": "hm", "actor": "ann", "at": NOW,
}  # fmt: skip
CLAIM = {"model": "fraud", "target": TARGET, "txn": TXN, "created": NOW, "actor": "ann"}
MANIFEST = {"model": "fraud", "version": "1.0.0", "format": "files", "files": [FILE]}
SEALED = [(VaultRecord, {"format": 1, "id": TXN, "created": NOW}), (Claim, CLAIM), (Move, MOVE), (Note, NOTE)]


@pytest.mark.parametrize(("kind", "members"), SEALED, ids=lambda one: getattr(one, "__name__", ""))
def test_a_record_is_read_as_it_was_written(kind, members):
    written = record(kind, **members)
    assert read_sealed(kind, seal(written), "here") == written


@pytest.mark.parametrize(("kind", "members"), SEALED, ids=lambda one: getattr(one, "__name__", ""))
def test_every_flipped_bit_and_every_cut_shows(kind, members):
    raw = seal(record(kind, **members))
    damaged = [raw[:at] for at in range(len(raw))]
    damaged += [raw[: at // 8] + bytes([raw[at // 8] ^ 1 << at % 8]) + raw[at // 8 + 1 :] for at in range(len(raw) * 8)]
    for bad in [*damaged, raw + b"}", b" " + raw]:
        with pytest.raises(Corrupt) as caught:
            read_sealed(kind, bad, "here")
        assert caught.value.code == Code.BAD_RECORD


def test_the_seal_is_the_digest_of_the_record_without_it():
    raw = seal(record(Note, **NOTE))
    members = json.loads(raw)
    assert members.pop("~sha256") == digest_of(canonical(members)).removeprefix("sha256:")


def test_records_of_one_kind_are_not_read_as_another():
    raw = seal(record(Note, **NOTE))
    with pytest.raises(Corrupt):
        read_sealed(Move, raw, "here")


def test_members_of_a_later_release_are_kept():
    later = record(Note, **NOTE, mood="good")
    again = read_sealed(Note, seal(later), "here")
    assert again.mood == "good"
    assert seal(again) == seal(later)


def resealed(kind, **changes):
    return seal(kind.model_construct(**(dict(NOTE) | changes)))


@pytest.mark.parametrize("name", ["note/2", "note/17"])
def test_a_later_major_is_refused_by_name(name):
    body = canonical({"record": name})
    raw = body[:-1] + b',"~sha256":"' + digest_of(body).removeprefix("sha256:").encode() + b'"}'
    with pytest.raises(Unsupported) as caught:
        read_sealed(Note, raw, "here")
    assert caught.value.code == Code.NEWER_FORMAT


@pytest.mark.parametrize("name", ["note/0", "note", "move/2", "note/x", "note/²", 7, None])
def test_another_name_is_no_later_major(name):
    body = canonical({"record": name})
    raw = body[:-1] + b',"~sha256":"' + digest_of(body).removeprefix("sha256:").encode() + b'"}'
    with pytest.raises(Corrupt):
        read_sealed(Note, raw, "here")


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Move, MOVE, {"seq": 0}),
        (Move, MOVE, {"seq": 10**10}),
        (Move, MOVE, {"seq": 1}),
        (Move, MOVE, {"prev": None}),
        (Move, MOVE, {"undo": 2}),
        (Move, MOVE, {"undo": 3}),
        (Move, MOVE, {"kind": "retire"}),
        (Move, MOVE, {"target": None}),
        (Move, MOVE, {"kind": ""}),
        (Move, MOVE, {"txn": "x"}),
        (Move, MOVE, {"model": "../x"}),
        (Move, MOVE, {"alias": "1.0.0"}),
        (Move, MOVE, {"at": "yesterday"}),
        (Move, MOVE, {"at": "2026-13-45T00:00:00.000000Z"}),
        (Move, MOVE, {"at": 0.5j}),
        (Move, MOVE, {"target": TARGET | {"blob": DIGEST}}),
        (Move, MOVE, {"target": {**TARGET, "inline": None}}),
        (Move, MOVE, {"target": TARGET | {"version": "1.0"}}),
        (Move, MOVE, {"reason": "x" * 70_000}),
        (Note, NOTE, {"metrics": {"auc": float("nan")}}),
        (Note, NOTE, {"kind": "Shout!"}),
        (Manifest, MANIFEST, {"files": [FILE, FILE]}),
        (Manifest, MANIFEST, {"files": [FILE | {"path": "../a"}]}),
        (Manifest, MANIFEST, {"files": [FILE | {"size": 4}]}),
        (Manifest, MANIFEST, {"files": [FILE | {"inline": "!"}]}),
        (Manifest, MANIFEST, {"files": [FILE | {"inline": "YWJk"}]}),
        (Manifest, MANIFEST, {"files": [FILE | {"inline": None}]}),
        (Manifest, MANIFEST, {"files": [FILE | {"parts": [{"digest": DIGEST, "size": 3}]}]}),
        (Manifest, MANIFEST, {"files": [FILE | {"inline": None, "parts": [{"digest": DIGEST, "size": 4}]}]}),
        (
            Manifest,
            MANIFEST,
            {"files": [FILE | {"inline": None, "parts": [{"digest": "blake3:" + "0" * 64, "size": 3}]}]},
        ),
        (Manifest, MANIFEST, {"files": [FILE | {"digest": "md5:" + "0" * 32}]}),
        (Manifest, MANIFEST, {"metrics": {"auc": "high"}}),
        (VaultRecord, SEALED[0][1], {"format": 0}),
        (VaultRecord, SEALED[0][1], {"format": 1.5}),
        (Move, MOVE, {"target": TARGET | {"size": 4}}),
    ],
    ids=lambda one: str(one)[:60] if isinstance(one, dict) else getattr(one, "__name__", ""),
)
def test_what_breaks_the_format_is_neither_written_nor_read(kind, good, bad):
    with pytest.raises(InvalidInput) as caught:
        record(kind, **(good | bad))
    assert caught.value.code == Code.BAD_VALUE
    plain = json.loads(
        json.dumps(record(kind, **good).model_dump(mode="json") | {"record": kind.model_fields["record"].default})
    )
    try:
        body = canonical(plain | json.loads(json.dumps(bad, default=str)))
    except InvalidInput:
        return
    with pytest.raises(Corrupt):
        if kind is Manifest:
            read_manifest(body, digest_of(body), "here")
        else:
            read_sealed(kind, body[:-1] + b',"~sha256":"' + digest_of(body)[7:].encode() + b'"}', "here")


def test_a_manifest_is_read_only_under_its_digest():
    manifest = record(Manifest, **MANIFEST)
    raw = write_manifest(manifest)
    assert read_manifest(raw, digest_of(raw), "here") == manifest
    with pytest.raises(Corrupt) as caught:
        read_manifest(raw, DIGEST, "here")
    assert caught.value.code == Code.DIGEST_MISMATCH


@given(st.text(max_size=200), st.dictionaries(st.text(max_size=9), st.floats(allow_nan=False, allow_infinity=False)))
def test_any_text_and_number_survives(notes, metrics):
    try:
        manifest = record(Manifest, **MANIFEST, notes=notes, metrics=metrics)
        raw = write_manifest(manifest)
    except InvalidInput:
        assert not (notes + "".join(metrics)).isprintable()
        return
    again = read_manifest(raw, digest_of(raw), "here")
    assert (again.notes, again.metrics) == (notes, metrics)


def test_a_record_that_nobody_could_read_is_not_written():
    with pytest.raises(InvalidInput) as caught:
        write_manifest(record(Manifest, **MANIFEST, params={"a": "x" * RECORD_LIMIT}))
    assert caught.value.code == Code.TOO_LARGE


def test_defaults_are_left_out():
    part = Part(digest=DIGEST, size=3)
    file = File(path="a", size=3, digest=DIGEST, parts=(part,))
    raw = write_manifest(record(Manifest, **(MANIFEST | {"files": [file]})))
    assert json.loads(raw)["files"] == [
        {"path": "a", "size": 3, "digest": DIGEST, "parts": [{"digest": DIGEST, "size": 3}]}
    ]


def test_records_print_as_a_sentence():
    assert str(record(Move, **MOVE)) == "#2 promote fraud@prod → 1.0.0 by ann, 2026-11-23 07:49:15 UTC: better"
    assert repr(record(Note, **NOTE)) == f"<Note {record(Note, **NOTE)}>"
    assert repr(record(Move, **MOVE)) == f"<Move {record(Move, **MOVE)}>"
    assert str(record(Target, **TARGET)) == repr(record(Target, **TARGET))
    assert str(record(Note, **NOTE)) == "#1 remark on fraud:1.0.0 by ann, 2026-11-23 07:49:15 UTC: hm"
    retired = record(Move, **(MOVE | {"kind": "retire", "target": None}))
    assert retired.version is None
    assert "→ nothing" in str(retired)


def test_a_target_says_where_its_manifest_is():
    assert record(Target, version="1.0.0", digest=DIGEST, size=3, blob=DIGEST).inline is None


def test_a_manifest_knows_its_size():
    assert record(Manifest, **MANIFEST).size == 3
