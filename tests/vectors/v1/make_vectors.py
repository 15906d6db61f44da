"""Write the vectors of format 1: `valid/` and `invalid/`.  Imports nothing of modelvault, so that they can judge it.

A file is named after its kind of record and what it shows.  Each invalid one breaks one rule and is otherwise in order:
its seal is right wherever the seal is not the point.  Readers answer those named `…-newer-major` with "unsupported",
all others with "corrupt".
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
TXN = "00112233445566778899aabbccddeeff"
AT = "2026-11-23T07:49:15.000000Z"
HELLO = b"hello\n"


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def seal(body: bytes) -> bytes:
    return body[:-1] + b',"~sha256":"' + hashlib.sha256(body).hexdigest().encode() + b'"}'


def sealed(value: dict[str, Any]) -> bytes:
    return seal(canonical(value))


def without(value: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: member for key, member in value.items() if key != name}


def inline(path: str, data: bytes) -> dict[str, Any]:
    return {"path": path, "size": len(data), "digest": sha256(data), "inline": base64.b64encode(data).decode()}


def stored(path: str, *parts: dict[str, Any]) -> dict[str, Any]:
    """A file of `parts`.  Its digest is made up: no reader can tell before it has the bytes."""
    return {"path": path, "size": sum(part["size"] for part in parts), "digest": sha256(b"?"), "parts": list(parts)}


def manifest(*files: dict[str, Any], **more: Any) -> dict[str, Any]:
    listed = list(files) or [inline("model.txt", HELLO)]
    return {"record": "manifest/1", "model": "fraud", "version": "1.0.0", "format": "files", "files": listed} | more


def target(raw: bytes, version: str = "1.0.0") -> dict[str, Any]:
    return {"version": version, "digest": sha256(raw), "size": len(raw), "inline": raw.decode()}


POLICY = {
    "record": "policy/1",
    "model": "fraud",
    "alias": "prod",
    "seq": 1,
    "kind": "protect",
    "gates": [{"gate": "no_worse", "arguments": {"metric": "auc", "tolerance": 0.002}}, {"gate": "compatible"}],
    "txn": TXN,
    "at": AT,
    "actor": "ada",
    "reason": "asked for by those on call",
}
VAULT = {"record": "vault/1", "format": 1, "id": TXN, "created": AT}
FIRST, SECOND = canonical(manifest()), canonical(manifest(version="1.1.0"))
CLAIM = {
    "record": "claim/1",
    "model": "fraud",
    "target": target(FIRST),
    "txn": TXN,
    "created": AT,
    "actor": "ada",
}
BLOB = {"version": "1.0.0", "digest": sha256(FIRST), "size": len(FIRST), "blob": sha256(FIRST)}
MOVE = {
    "record": "move/1",
    "model": "fraud",
    "alias": "prod",
    "seq": 1,
    "txn": TXN,
    "kind": "promote",
    "target": target(FIRST),
    "actor": "ada",
    "reason": "first release",
    "at": AT,
}
MOVE_2 = MOVE | {
    "seq": 2,
    "target": target(SECOND, "1.1.0"),
    "undo": 1,
    "prev": sha256(sealed(MOVE)),
    "reason": "better",
}
ROLLBACK = without(MOVE, "undo") | {
    "seq": 3,
    "kind": "rollback",
    "prev": sha256(sealed(MOVE_2)),
    "reason": "latency",
    "evidence": {"proved": "bytes", "restores": 1},
}
RETIRE = without(MOVE, "target") | {
    "seq": 4,
    "kind": "retire",
    "undo": 3,
    "prev": sha256(sealed(ROLLBACK)),
    "reason": "replaced by another model",
}
NOTE = {
    "record": "note/1",
    "model": "fraud",
    "version": "1.0.0",
    "seq": 1,
    "txn": TXN,
    "kind": "remark",
    "text": "looked at by the risk team",
    "actor": "ada",
    "at": AT,
}
NOTE_2 = NOTE | {"seq": 2, "kind": "yank", "text": "wrong labels", "prev": sha256(sealed(NOTE))}

PART = {"digest": sha256(b"part"), "size": 4}
CODED = PART | {"blob": sha256(b"pack"), "enc": "zstd", "stored": 3}
BASE = {"digest": sha256(b"base"), "size": 4, "blob": sha256(b"pack"), "offset": 3}
EVERYTHING = {
    "signature": {
        "inputs": [
            {"name": "amount", "dtype": "float64", "shape": [None], "low": 0},
            {
                "name": "shop",
                "dtype": "string",
                "shape": [None],
                "required": False,
                "nullable": True,
                "categories": ["a", "b"],
            },
        ],
        "inputs_by": "position",
        "extra": "forbid",
        "outputs": [{"name": "predict_proba", "dtype": "float64", "shape": [None, 2], "categories": [False, True]}],
        "unknown": ["examples: the outputs differ from call to call"],
    },
    "params": {"C": 0.1, "penalty": "l2", "classes": [0, 1], "n_jobs": None, "warm_start": False},
    "metrics": {"auc": 0.947, "loss": 1e-05, "rows": 12000},
    "data": [
        {"uri": "s3://lake/tx/2026-11.parquet", "how": "unread"},
        {"uri": "train.csv", "how": "sha256", "digest": sha256(b"csv"), "size": 3},
        {
            "uri": "s3://lake/tx/2026-10.parquet",
            "how": "etag",
            "etag": "9b2cf535f27731c974343645a3985328-7",
            "size": 70,
        },
        {"uri": "pandas.DataFrame", "how": "content", "digest": sha256(b"frame"), "rows": 12000, "columns": 7},
        {"uri": "lake", "how": "of-a-later-release"},
    ],
    "notes": "Merchant features.",
    "environment": {
        "python": "3.11.7",
        "implementation": "cpython",
        "platform": "linux-x86_64",
        "packages": {"scikit-learn": "1.9.1"},
    },
    "provenance": {
        "git": {"commit": "0" * 40, "dirty": False, "remote": "https://example.org/fraud.git"},
        "algorithm": {
            "name": "sklearn.pipeline.Pipeline",
            "params": {"steps": [["scale", {"class": "sklearn.preprocessing._data.StandardScaler", "params": {}}]]},
            "layers": "Linear(in_features=4, out_features=2)",
        },
        "run": {
            "command": ["python", "train.py", "--api-key", "***"],
            "folder": "training",
            "notebook": "train.ipynb",
            "seeds": {"random_state": 7},
            "hardware": {"cpu": "Xeon", "cores": 2, "memory": 8589934592, "gpus": ["H100"]},
            "tracking": {"mlflow.run": "f3"},
        },
        "lock": "numpy==2.3.4\nscikit-learn==1.9.1",
        "locks": [{"uri": "../uv.lock", "how": "sha256", "digest": sha256(b"lock"), "size": 4}],
    },
}


def nested(depth: int) -> Any:
    """Lists in lists: `depth` of them."""
    value: Any = []
    for _ in range(depth - 1):
        value = [value]
    return value


VALID: dict[str, bytes] = {
    "vault": sealed(VAULT),
    "vault-of-a-single-writer": sealed(VAULT | {"single_writer": True}),
    "vault-with-an-unknown-member": sealed(VAULT | {"region": "eu"}),
    "manifest-smallest": FIRST,
    "manifest-with-everything": canonical(manifest(**EVERYTHING)),
    "manifest-with-unknown-members": canonical(manifest(inline("a", b"") | {"mode": 420}, licence="MIT")),
    "manifest-of-many-files": canonical(
        manifest(inline("a.txt", b"a"), inline("sub/b.txt", b"b"), stored("big", PART))
    ),
    "manifest-with-an-empty-signature": canonical(manifest(signature={})),
    "manifest-with-unknown-members-of-a-signature": canonical(
        manifest(signature={"inputs": [{"name": "x", "unit": "EUR"}], "params": {"n": 1}})
    ),
    "manifest-with-an-empty-file": canonical(manifest(inline("empty", b""))),
    "manifest-with-a-path-beyond-ascii": canonical(manifest(inline("modèle/données 1.txt", HELLO))),
    "manifest-with-parts-of-other-blobs": canonical(
        manifest(stored("w", PART | {"blob": sha256(b"pack"), "offset": 512}, PART | {"blob": sha256(b"pack")}, PART))
    ),
    "manifest-with-a-blake3-part": canonical(
        manifest(stored("w", {"digest": "blake3:" + "0" * 64, "size": 4, "blob": sha256(b"w")}))
    ),
    "manifest-with-a-coded-part": canonical(manifest(stored("w", CODED))),
    "manifest-with-a-part-coded-on-a-base": canonical(
        manifest(stored("w", CODED | {"enc": "delta2+zstd", "base": BASE}))
    ),
    "manifest-with-a-part-coded-on-a-coded-base": canonical(
        manifest(stored("w", CODED | {"enc": "delta2+zstd", "base": BASE | {"enc": "planes2+zstd", "stored": 2}}))
    ),
    "manifest-with-a-coding-of-a-later-release": canonical(manifest(stored("w", CODED | {"enc": "ans-2.x+cm"}))),
    "manifest-with-a-blob-of-a-nonce": canonical(
        manifest(stored("w", PART | {"blob": PART["digest"] + ".0123456789abcdef"}))
    ),
    "manifest-with-a-format-of-a-third-party": canonical(manifest(format="acme-trees")),
    "manifest-with-the-longest-integer": canonical(manifest(params={"seed": 10**20 - 1})),
    "manifest-with-the-deepest-params": canonical(manifest(params={"deep": nested(30)})),
    "claim-with-the-manifest-inline": sealed(CLAIM),
    "claim-with-the-manifest-in-a-blob": sealed(CLAIM | {"target": BLOB}),
    "claim-of-a-prerelease": sealed(
        CLAIM | {"target": target(canonical(manifest(version="2.0.0-rc.1")), "2.0.0-rc.1")}
    ),
    "move-1-promote": sealed(MOVE),
    "move-2-promote": sealed(MOVE_2),
    "move-3-rollback": sealed(ROLLBACK),
    "move-4-retire": sealed(RETIRE),
    "move-last-of-all": sealed(MOVE | {"seq": 9_999_999_998, "prev": sha256(b"before"), "undo": 9_999_999_997}),
    "move-with-null-for-absent": sealed(MOVE | {"undo": None, "prev": None}),
    "move-with-a-member-that-sorts-after-the-seal": sealed(MOVE | {"étape": "canary"}),
    "note-1-remark": sealed(NOTE),
    "note-2-yank": sealed(NOTE_2),
    "policy-1-protect": sealed(POLICY),
    "policy-of-a-gate-of-a-later-release": sealed(POLICY | {"gates": [{"gate": "signed", "by": ["ops"]}], "until": AT}),
    "policy-2-unprotect": sealed(
        without(POLICY, "gates") | {"kind": "unprotect", "seq": 2, "prev": sha256(sealed(POLICY))}
    ),
    "note-that-marks-a-content": sealed(
        NOTE | {"kind": "quarantine", "content": sha256(b"files"), "evidence": {"bad": 5, "of": [210]}}
    ),
    "note-of-a-kind-of-a-later-release": sealed(NOTE | {"kind": "rumour"}),
    "note-with-metrics": sealed(NOTE | {"kind": "metrics", "metrics": {"auc": 0.93, "p99": 12}}),
    "note-with-escapes": sealed(
        NOTE | {"text": 'tab\t, line\n, quote ", back-slash \\, bell \x07, delete \x7f, é, \U0001d518'}
    ),
}


def spelt(value: dict[str, Any], right: bytes, wrong: bytes) -> bytes:
    """`value` with one spelling changed, and a seal over what then stands there."""
    body = canonical(value)
    assert body.count(right) == 1
    return seal(body.replace(right, wrong))


def bad_path(path: str) -> bytes:
    return canonical(manifest(inline(path, HELLO)))


def bad_file(**wrong: Any) -> bytes:
    return canonical(
        manifest({name: value for name, value in (inline("a", HELLO) | wrong).items() if value is not None})
    )


def coded(**wrong: Any) -> bytes:
    part = {name: value for name, value in (CODED | wrong).items() if value is not None}
    return canonical(manifest(stored("w", part)))


METERED = NOTE | {"metrics": {"auc": 0.5}}
GOOD = sealed(NOTE)

INVALID: dict[str, bytes] = {
    # bytes
    "note-empty": b"",
    "note-truncated": GOOD[:-40],
    "note-followed-by-a-newline": GOOD + b"\n",
    "note-not-json": seal(b"{note}"),
    "note-not-an-object": b'["a","~sha256":"' + hashlib.sha256(b'["a"}').hexdigest().encode() + b'"}',
    "note-not-utf-8": spelt(NOTE, b"risk", b"\xff"),
    "note-with-overlong-utf-8": spelt(NOTE, b"risk", b"\xc0\xaf"),
    "note-with-a-byte-order-mark": seal(b"\xef\xbb\xbf" + canonical(NOTE)),
    "note-with-a-lone-surrogate": spelt(NOTE, b"risk", b"\\ud800"),
    "note-with-a-duplicate-member": spelt(NOTE, b'"seq":1', b'"seq":1,"seq":1'),
    "note-with-a-space": spelt(NOTE, b'"seq":1', b'"seq": 1'),
    "note-unsorted": spelt(NOTE, b'"kind":"remark","model":"fraud"', b'"model":"fraud","kind":"remark"'),
    "note-with-a-needless-escape": spelt(NOTE, b"risk", b"ris\\u006b"),
    "note-with-an-escaped-slash": spelt(NOTE | {"text": "a/b"}, b"a/b", b"a\\/b"),
    "note-with-an-escape-in-upper-case": spelt(NOTE | {"text": "\x1f"}, b"\\u001f", b"\\u001F"),
    "note-with-nan": spelt(METERED, b"0.5", b"NaN"),
    "note-with-infinity": spelt(METERED, b"0.5", b"Infinity"),
    "note-with-1e400": spelt(METERED, b"0.5", b"1e400"),
    "note-with-a-number-too-long": spelt(METERED, b"0.5", b"0.50"),
    "note-with-a-number-in-another-exponent": spelt(METERED, b"0.5", b"5e-1"),
    "note-with-minus-zero": spelt(METERED, b"0.5", b"-0"),
    "note-with-an-integer-of-21-digits": spelt(METERED, b"0.5", b"100000000000000000000"),
    "note-nested-too-deep": sealed(NOTE | {"more": nested(32)}),
    "note-nested-so-deep-that-parsers-fall": spelt(
        NOTE | {"more": 0}, b'"more":0', b'"more":' + b"[" * 9_999 + b"]" * 9_999
    ),
    # seals
    "note-without-a-seal": canonical(NOTE),
    "note-with-the-seal-of-another": sealed(NOTE_2)[:-66] + GOOD[-66:],
    "note-with-a-byte-changed": GOOD.replace(b"risk", b"disk"),
    "note-with-a-seal-in-upper-case": GOOD[:-66] + GOOD[-66:-2].upper() + GOOD[-2:],
    "note-with-a-seal-of-63-digits": GOOD[:-3] + GOOD[-2:],
    "note-with-the-seal-in-front": b'{"~sha256":"' + GOOD[-66:-2] + b'",' + canonical(NOTE)[1:],
    # members
    "note-of-another-kind": sealed(MOVE),
    "note-without-saying-what-it-is": sealed(without(NOTE, "record")),
    "note-of-an-older-major": sealed(NOTE | {"record": "note/0"}),
    "note-without-txn": sealed(without(NOTE, "txn")),
    "note-with-a-short-txn": sealed(NOTE | {"txn": "0011"}),
    "note-with-text-for-a-number": sealed(NOTE | {"seq": "1"}),
    "note-with-a-number-for-text": sealed(NOTE | {"actor": 7}),
    "note-with-seq-0": sealed(NOTE | {"seq": 0}),
    "note-with-a-fractional-seq": sealed(NOTE | {"seq": 1.5}),
    "note-with-seq-beyond-the-last": sealed(NOTE_2 | {"seq": 9_999_999_999}),
    "policy-with-a-gate-without-a-name": sealed(POLICY | {"gates": [{"arguments": {"metric": "auc"}}]}),
    "policy-with-a-gate-of-a-bad-name": sealed(POLICY | {"gates": [{"gate": "No worse"}]}),
    "policy-with-a-gate-that-is-text": sealed(POLICY | {"gates": ["signature"]}),
    "policy-with-101-gates": sealed(POLICY | {"gates": [{"gate": "signature"}] * 101}),
    "policy-of-a-bad-alias": sealed(POLICY | {"alias": "../prod"}),
    "policy-first-with-prev": sealed(POLICY | {"prev": sha256(b"before")}),
    "policy-newer-major": sealed(POLICY | {"record": "policy/2"}),
    "note-with-a-content-by-another-digest": sealed(NOTE | {"content": "blake3:" + "0" * 64}),
    "note-with-evidence-that-is-no-object": sealed(NOTE | {"evidence": ["bad"]}),
    "note-of-no-kind": sealed(NOTE | {"kind": "Rumour!"}),
    "note-with-a-seal-within-its-seal": seal(sealed(NOTE)),
    "vault-of-a-format-that-is-no-integer": sealed(VAULT | {"format": 1.0}),
    "claim-with-a-size-that-its-manifest-has-not": sealed(CLAIM | {"target": CLAIM["target"] | {"size": 1}}),
    "note-with-a-metric-of-text": sealed(NOTE | {"metrics": {"auc": "0.9"}}),
    "note-first-with-prev": sealed(NOTE | {"prev": sha256(b"before")}),
    "note-second-without-prev": sealed(without(NOTE_2, "prev")),
    "note-with-an-actor-too-long": sealed(NOTE | {"actor": "a" * 201}),
    "note-with-an-instant-without-zone": sealed(NOTE | {"at": "2026-11-23T07:49:15.000000"}),
    "note-with-an-instant-without-fraction": sealed(NOTE | {"at": "2026-11-23T07:49:15Z"}),
    "note-with-an-instant-that-never-was": sealed(NOTE | {"at": "2026-02-30T07:49:15.000000Z"}),
    "vault-of-a-single-writer-in-words": sealed(VAULT | {"single_writer": "yes"}),
    "vault-of-format-0": sealed(VAULT | {"format": 0}),
    "claim-with-a-model-in-upper-case": sealed(CLAIM | {"model": "Fraud"}),
    "claim-with-a-model-of-a-reserved-name": sealed(CLAIM | {"model": "con"}),
    "claim-with-a-model-that-leaves-its-folder": sealed(CLAIM | {"model": "../fraud"}),
    "claim-with-build-metadata": sealed(CLAIM | {"target": BLOB | {"version": "1.0.0+a"}}),
    "claim-with-a-leading-v": sealed(CLAIM | {"target": BLOB | {"version": "v1.0.0"}}),
    "claim-without-a-target": sealed(without(CLAIM, "target")),
    "claim-with-the-manifest-twice": sealed(CLAIM | {"target": CLAIM["target"] | {"blob": sha256(FIRST)}}),
    "claim-with-the-manifest-nowhere": sealed(CLAIM | {"target": without(BLOB, "blob")}),
    "claim-with-a-digest-of-no-algorithm": sealed(CLAIM | {"target": BLOB | {"digest": sha256(FIRST)[7:]}}),
    "claim-with-a-digest-in-upper-case": sealed(CLAIM | {"target": BLOB | {"digest": "sha256:" + "A" * 64}}),
    "claim-with-a-digest-of-another-algorithm": sealed(CLAIM | {"target": BLOB | {"digest": "md5:" + "0" * 32}}),
    "claim-with-a-blob-that-is-a-path": sealed(CLAIM | {"target": BLOB | {"blob": "sha256:../../etc/passwd"}}),
    "move-retire-with-a-target": sealed(RETIRE | {"target": target(FIRST)}),
    "move-promote-without-a-target": sealed(without(MOVE, "target")),
    "move-undo-forward": sealed(MOVE_2 | {"undo": 3}),
    "move-undo-of-itself": sealed(MOVE_2 | {"undo": 2}),
    "move-with-an-alias-that-is-a-number": sealed(MOVE | {"alias": "1.0.0"}),
    "move-with-an-alias-of-a-space": sealed(MOVE | {"alias": "prod eu"}),
    # manifests
    "manifest-with-files-as-an-object": canonical(manifest() | {"files": {}}),
    "manifest-with-a-signature-of-text": canonical(manifest(signature="x: float64")),
    "manifest-with-two-inputs-of-one-name": canonical(manifest(signature={"inputs": [{"name": "x"}, {"name": "x"}]})),
    "manifest-with-a-negative-dimension": canonical(manifest(signature={"inputs": [{"name": "x", "shape": [-1]}]})),
    "manifest-with-a-category-of-null": canonical(manifest(signature={"outputs": [{"categories": ["a", None]}]})),
    "manifest-with-inputs-known-by-nothing": canonical(manifest(signature={"inputs_by": "nothing"})),
    "manifest-with-a-metric-of-null": canonical(manifest(metrics={"auc": None})),
    "manifest-with-the-inline-digest-of-other-bytes": bad_file(digest=sha256(b"other")),
    "manifest-with-the-inline-size-of-other-bytes": bad_file(size=7),
    "manifest-with-inline-that-is-not-base64": bad_file(inline="aGVsbG8K!"),
    "manifest-with-a-file-inline-and-in-parts": bad_file(parts=[{"digest": sha256(HELLO), "size": 6}]),
    "manifest-with-a-file-nowhere": bad_file(inline=None),
    "manifest-with-parts-that-do-not-add-up": canonical(manifest(stored("a", PART) | {"size": 5})),
    "manifest-with-a-negative-size": bad_file(size=-1),
    "manifest-with-a-negative-offset": canonical(manifest(stored("a", PART | {"offset": -1}))),
    "manifest-with-a-blake3-part-of-no-blob": canonical(
        manifest(stored("a", {"digest": "blake3:" + "0" * 64, "size": 4}))
    ),
    "manifest-with-a-coded-part-of-no-blob": coded(blob=None),
    "manifest-with-a-coded-part-of-no-stored-length": coded(stored=None),
    "manifest-with-a-coded-part-that-has-grown": coded(stored=5),
    "manifest-with-a-coded-part-of-a-negative-length": coded(stored=-1),
    "manifest-with-a-coded-part-too-large": coded(size=64 * 1024 * 1024 + 1),
    "manifest-with-a-coding-of-no-name": coded(enc=""),
    "manifest-with-a-coding-in-upper-case": coded(enc="ZSTD"),
    "manifest-with-a-stored-length-of-no-coding": coded(enc=None),
    "manifest-with-a-base-of-no-coding": coded(enc=None, stored=None, base=BASE),
    "manifest-with-a-base-of-another-size": coded(base=BASE | {"size": 5}),
    "manifest-with-a-base-of-a-base": coded(base=CODED | {"base": BASE}),
    "manifest-with-a-base-nowhere": coded(base={"size": 4}),
    "manifest-with-the-path-dot-dot": bad_path("../model.txt"),
    "manifest-with-the-path-dot": bad_path("./model.txt"),
    "manifest-with-an-absolute-path": bad_path("/etc/passwd"),
    "manifest-with-a-drive": bad_path("C:/model.txt"),
    "manifest-with-a-unc-path": bad_path("//server/share"),
    "manifest-with-a-back-slash": bad_path("a\\b"),
    "manifest-with-an-empty-path": bad_path(""),
    "manifest-with-an-empty-segment": bad_path("a//b"),
    "manifest-with-a-final-slash": bad_path("a/"),
    "manifest-with-nul-in-a-path": bad_path("model\0.txt"),
    "manifest-with-a-line-end-in-a-path": bad_path("model\n.txt"),
    "manifest-with-a-text-direction-in-a-path": bad_path("model\u202etxt"),
    "manifest-with-a-wildcard-in-a-path": bad_path("model*.txt"),
    "manifest-with-a-stream-in-a-path": bad_path("model.txt:hidden"),
    "manifest-with-a-reserved-name": bad_path("sub/aux.txt"),
    "manifest-with-a-trailing-dot": bad_path("model."),
    "manifest-with-a-trailing-space": bad_path("model "),
    "manifest-with-a-path-not-in-nfc": bad_path("mode\u0301.txt"),
    "manifest-with-a-segment-too-long": bad_path("a" * 256),
    "manifest-with-a-path-too-long": bad_path("/".join(["a" * 200] * 6)),
    "manifest-with-a-path-twice": canonical(manifest(inline("a", b"1"), inline("a", b"2"))),
    "manifest-with-paths-that-differ-by-case": canonical(
        manifest(inline("Model.txt", b"1"), inline("model.TXT", b"2"))
    ),
    "manifest-with-a-file-that-is-a-folder": canonical(manifest(inline("a", b"1"), inline("A/b", b"2"))),
    # later releases
    "vault-newer-major": sealed(VAULT | {"record": "vault/2", "format": 2}),
    "manifest-newer-major": canonical({"record": "manifest/2", "tensors": []}),
    "claim-newer-major": sealed({"record": "claim/2"}),
    "move-newer-major": sealed(MOVE | {"record": "move/10"}),
    "note-newer-major": sealed(NOTE | {"record": "note/2", "seq": "one"}),
}


def vectors() -> dict[str, bytes]:
    """Every vector, by its path below this folder."""
    return {
        f"{folder}/{name}.json": raw
        for folder, made in (("valid", VALID), ("invalid", INVALID))
        for name, raw in made.items()
    }


if __name__ == "__main__":
    for folder in ("valid", "invalid"):
        (FOLDER / folder).mkdir(exist_ok=True)
        for old in (FOLDER / folder).glob("*.json"):
            old.unlink()
    for path, raw in vectors().items():
        (FOLDER / path).write_bytes(raw)
    print(f"wrote {len(VALID)} valid and {len(INVALID)} invalid vectors")  # noqa: T201
