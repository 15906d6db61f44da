"""Forged records, under the right digests and seals: refused as `Corrupt`, or good; never anything else."""

import copy
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelvault.errors import Code, Corrupt, Unsupported, VaultError
from modelvault.stores.memory import MemoryStore
from modelvault.vault import Vault

SPEC = Path(__file__).parents[2] / "docs" / "spec" / "v1"
HEX = "0" * 64
SHA = f"sha256:{HEX}"

WRONG: list[Any] = [
    None, True, False, 0, 1, -1, 2**63, 10**19, 0.5, -0.0, 1e308, "", "x", "\0", "\x1b[2J", "../x", "/x", "a" * 300, "é",
    SHA, SHA.upper(), SHA + "\n", "blake3:" + HEX, SHA + ".00000000", "1.0.0", "1.0.0\n", "2026-11-23T07:49:15.000000Z",
    "2026-11-23T07:49:15.000000+00:00", "9999-99-99T99:99:99.000000Z", "0" * 32, "manifest/1", "move/1",
    [], [None], [[]], ["x"], [SHA], {}, {"": None}, {"x": 1}, {"x": None}, {"x": {"y": []}}, {"digest": SHA, "size": 1},
]  # fmt: skip


def whole_manifest(forgery: Any) -> dict[str, Any]:
    """A manifest with every member that there is."""
    part = forgery.blob(b"0123456789")
    split = [part | {"size": 10}, part | {"blob": part["digest"], "offset": 0}]
    files = [
        forgery.file("a/one", b"hello"),
        {"path": "a/two", "size": 10, "digest": part["digest"], "parts": [part]},
        {"path": "b", "size": 20, "digest": forgery.digest(b"0123456789" * 2), "parts": split},
    ]
    return forgery.manifest(
        *files,
        signature={"inputs": [{"name": "x"}]},
        params={"depth": 3, "nested": {"a": [1, 2.5, None, "x"]}},
        metrics={"auc": 0.5},
        data=[{"uri": "s3://x", "how": "unread"}, {"uri": "y", "how": "sha256", "digest": SHA, "size": 3}],
        notes="notes",
        environment={"python": "3.11", "implementation": "cpython", "platform": "linux", "packages": {"x": "1"}},
        provenance={"git": {"commit": "0" * 40, "dirty": False, "remote": "https://x/y"}},
    )


def spots(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each member, at every depth."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield (*path, key)
        yield from spots(member, (*path, key))


REMOVED = object()


def changes(value: Any, step: int) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """`value` with one thing wrong, and where: each thing in each place, or every `step`-th of those."""
    every = ((path, wrong) for path in spots(value) for wrong in [*WRONG, REMOVED])
    for path, wrong in itertools.islice(every, 0, None, step):
        yield path, changed(value, path, wrong)


def changed(value: Any, path: tuple[Any, ...], wrong: object) -> Any:
    """A copy of `value` with something else at `path`."""
    whole = copy.deepcopy(value)
    inner = whole
    for key in path[:-1]:
        inner = inner[key]
    if wrong is REMOVED:
        del inner[path[-1]]
    else:
        inner[path[-1]] = wrong
    return whole


def schema(name: str) -> jsonschema.protocols.Validator:
    return jsonschema.Draft202012Validator(json.loads((SPEC / f"{name}.schema.json").read_text()))


def outcome(call: Callable[[], Any]) -> Any:
    """What `call` gives, or the error of the vault that it raises; nothing else may come out of it."""
    try:
        return call()
    except (Corrupt, Unsupported) as error:
        assert f"{error}{error.hint}{error.ref}".isprintable()
        return error


SOME_AND_ALL = pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.long)])


@SOME_AND_ALL
def test_a_manifest_with_any_member_replaced_or_removed_is_corrupt_or_within_the_schema(step, forgery):
    manifest = whole_manifest(forgery)
    forgery.version(manifest)
    assert Vault(forgery.store).version("m:1.0.0").metrics == {"auc": 0.5}
    validator = schema("manifest")
    good = 0
    for path, forged in changes(manifest, step):
        other = type(forgery)(MemoryStore())
        other.version(forged)
        found = outcome(lambda other=other: Vault(other.store).version("m:1.0.0"))
        if not isinstance(found, VaultError):
            assert validator.is_valid(forged), path
            assert str(found).replace("\n", "").isprintable()
            good += 1
    assert good > 20


@SOME_AND_ALL
@pytest.mark.parametrize("kind", ["claim", "move", "note"])
def test_a_record_with_any_member_replaced_or_removed_is_corrupt_or_within_the_schema(kind, step, forgery):
    target = forgery.target(forgery.canonical(forgery.manifest(forgery.file("x", b"x"))))
    forgery.claim(target)
    forgery.move(1, target, evidence={"x": [1]}, undo=None)
    forgery.note(1, metrics={"a": 1.0})
    key = {
        "claim": "models/m/versions/1.0.0.json",
        "move": "models/m/aliases/prod/9999999998.json",
        "note": "models/m/notes/1.0.0/9999999998.json",
    }[kind]
    read = {
        "claim": lambda vault: vault.version("m:1.0.0"),
        "move": lambda vault: vault.history("m@prod"),
        "note": lambda vault: vault.notes("m:1.0.0"),
    }[kind]
    record = json.loads(forgery.store.read(key))
    del record["~sha256"]
    validator = schema(kind)
    good = 0
    for path, forged in changes(record, step):
        store = MemoryStore()
        for entry in dict(forgery.store._objects):
            store.create(entry, forgery.store.read(entry) if entry != key else forgery.sealed(canonical(forged)))
        found = outcome(lambda store=store: read(Vault(store)))
        if not isinstance(found, VaultError):
            assert validator.is_valid(forged | {"~sha256": HEX}), path
            good += 1
    assert good > 2


def canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


PLAIN = canonical({"files": [], "format": "files", "model": "m", "record": "manifest/1", "version": "1.0.0"})

NOT_JSON = {
    "nothing": b"",
    "one byte": b"{",
    "not an object": b"[]",
    "null": b"null",
    "not UTF-8": PLAIN[:-1] + b',"x":"\xff"}',
    "a byte order mark": b"\xef\xbb\xbf" + PLAIN,
    "UTF-16": PLAIN.decode().encode("utf-16"),
    "a duplicate member": PLAIN[:-1] + b',"version":"1.0.0"}',
    "a duplicate member below": PLAIN.replace(b'"files":[]', b'"files":[],"params":{"a":1,"a":2}'),
    "NaN": PLAIN.replace(b'"files":[]', b'"files":[],"metrics":{"a":NaN}'),
    "Infinity": PLAIN.replace(b'"files":[]', b'"files":[],"metrics":{"a":-Infinity}'),
    "1e400": PLAIN.replace(b'"files":[]', b'"files":[],"metrics":{"a":1e400}'),
    "an integer of 5,000 digits": PLAIN.replace(b'"model"', b'"metrics":{"a":' + b"9" * 5_000 + b'},"model"'),
    "an integer of a million digits": PLAIN.replace(b'"model"', b'"metrics":{"a":' + b"9" * 10**6 + b'},"model"'),
    "a float of a million digits": PLAIN.replace(b'"model"', b'"metrics":{"a":0.' + b"1" * 10**6 + b'},"model"'),
    "arrays 100,000 deep": PLAIN.replace(b'"record"', b'"params":{"a":' + b"[" * 10**5 + b"]" * 10**5 + b'},"record"'),
    "objects 100,000 deep": PLAIN.replace(b'"record"', b'"params":' + b'{"a":' * 10**5 + b"1" + b"}" * 10**5 + b',"record"'),
    "open brackets alone": b"[" * 10**6,
    "open braces alone": b'{"a":' * 10**6,
    "34 deep": PLAIN.replace(b'"record"', b'"params":{"a":' + b"[" * 34 + b"]" * 34 + b'},"record"'),
    "spaces": PLAIN.replace(b":", b": "),
    "a newline at the end": PLAIN + b"\n",
    "two objects": PLAIN + PLAIN,
    "members out of order": b'{"record":"manifest/1",' + PLAIN[1:].replace(b',"record":"manifest/1"', b""),
    "escapes that need not be": PLAIN.replace(b'"m"', b'"\\u006d"'),
    "half a surrogate pair": PLAIN.replace(b'"record"', b'"notes":"\\ud800","record"'),
    "a control character": PLAIN.replace(b'"record"', b'"notes":"\x1b","record"'),
    "a negative zero": PLAIN.replace(b'"files":[]', b'"files":[],"metrics":{"a":-0}'),
    "1.0 written 1.00": PLAIN.replace(b'"files":[]', b'"files":[],"metrics":{"a":1.00}'),
    "a comment": PLAIN + b"//",
}  # fmt: skip


@pytest.mark.parametrize("raw", NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_not_canonical_json_is_a_bad_record(raw, forgery):
    with pytest.raises(Corrupt) as raised:
        Vault(forgery.store).version(forgery.version(raw))
    assert raised.value.code == Code.BAD_RECORD
    assert len(str(raised.value)) < 1_000


@pytest.mark.parametrize("raw", NOT_JSON.values(), ids=NOT_JSON)
def test_a_claim_that_is_not_canonical_json_is_a_bad_record(raw, forgery):
    forgery.store.create("models/m/versions/1.0.0.json", forgery.sealed(raw) if raw.endswith(b"}") else raw)
    with pytest.raises(Corrupt) as raised:
        Vault(forgery.store).version("m:1.0.0")
    assert raised.value.code == Code.BAD_RECORD


def test_a_record_of_17_mib_is_refused_by_the_store_and_as_a_blob(forgery):
    huge = canonical({"record": "claim/1", "x": "a" * (17 * 2**20)})
    forgery.store.create("models/m/versions/1.0.0.json", forgery.sealed(huge))
    with pytest.raises(Corrupt) as raised:
        Vault(forgery.store).version("m:1.0.0")
    assert raised.value.code == Code.TOO_LARGE
    forgery.claim(forgery.target(PLAIN[:-1] + b',"x":"' + b"a" * (17 * 2**20) + b'"}', "2.0.0"))
    with pytest.raises(Corrupt):
        Vault(forgery.store).version("m:2.0.0")


def test_a_record_of_a_later_format_is_unsupported_and_not_corrupt(forgery):
    later = forgery.manifest(record="manifest/2", files={"another": "shape"})
    with pytest.raises(Unsupported) as raised:
        Vault(forgery.store).version(forgery.version(later))
    assert raised.value.code == Code.NEWER_FORMAT


@pytest.mark.parametrize(
    "name", ["manifest/0", "manifest/01", "manifest/1 ", "manifest/٢", "manifest/1e9", "x" * 10_000]
)
def test_a_record_of_a_strange_name_is_corrupt(name, forgery):
    with pytest.raises(Corrupt):
        Vault(forgery.store).version(forgery.version(forgery.manifest(record=name)))


def test_members_that_nobody_knows_are_ignored_whatever_they_are_called(forgery):
    strange = [
        "__class__",
        "__dict__",
        "model_dump",
        "model_fields_set",
        "size",
        "__pydantic_extra__",
        "\x1b[2J",
        "é" * 1_000,
    ]
    ref = forgery.version(forgery.manifest(forgery.file("x", b"x"), **{name: {"x": [1]} for name in strange}))
    version = Vault(forgery.store).version(ref)
    assert version.size == 1
    assert repr(version.manifest).isprintable()
    assert str(version.manifest).isprintable()


def test_another_version_s_records_are_refused_wherever_they_are_put(forgery):
    mine = forgery.canonical(forgery.manifest(forgery.file("x", b"x")))
    theirs = forgery.canonical(forgery.manifest(forgery.file("x", b"y"), model="other"))
    later = forgery.canonical(forgery.manifest(forgery.file("x", b"z"), version="2.0.0"))
    vault = Vault(forgery.store)
    for number, manifest in (("1.0.0", theirs), ("1.0.1", later), ("1.0.2", mine)):
        ref = forgery.claim(forgery.target(manifest, number))
        with pytest.raises(Corrupt):
            vault.version(ref)
    forgery.store.create("models/n/versions/1.0.2.json", forgery.store.read("models/m/versions/1.0.2.json"))
    with pytest.raises(Corrupt):
        vault.version("n:1.0.2")
    forgery.store.create("models/m/versions/3.0.0.json", forgery.store.read("models/m/versions/1.0.2.json"))
    with pytest.raises(Corrupt):
        vault.version("m:3.0.0")


def test_a_target_whose_digest_or_size_lies_is_refused(forgery):
    raw = forgery.canonical(forgery.manifest(forgery.file("x", b"x")))
    honest = forgery.target(raw)
    inline = {"version": "1.0.0", "digest": honest["digest"], "size": len(raw), "inline": raw.decode()}
    other = forgery.canonical(forgery.manifest(forgery.file("x", b"y"))).decode()
    lies = [
        inline | {"inline": other},
        inline | {"inline": ""},
        inline | {"inline": other + "\udcff".encode("utf-8", "replace").decode()},
        honest | {"digest": SHA, "blob": SHA},
        honest | {"digest": SHA},
        honest | {"size": 2**62},
        honest | {"size": 0},
        honest | {"size": len(raw) - 1},
        honest | {"blob": honest["blob"] + ".0000000000000000"},
    ]
    for number, lie in enumerate(lies):
        store = MemoryStore()
        for key in dict(forgery.store._objects):
            store.create(key, forgery.store.read(key))
        ref = type(forgery)(store).claim(lie)
        with pytest.raises(Corrupt):
            Vault(store).version(ref)
            pytest.fail(f"lie {number} was believed")


def part_lies(forgery: Any) -> dict[str, dict[str, Any]]:
    ten = forgery.blob(b"0123456789")
    return {
        "a size of 2**62": ten | {"size": 2**62},
        "a size of 2**63 - 1": ten | {"size": 2**63 - 1},
        "one byte more": ten | {"size": 11},
        "one byte less": ten | {"size": 9},
        "an offset at the end": ten | {"offset": 10, "blob": ten["digest"]},
        "an offset of 2**62": ten | {"offset": 2**62, "blob": ten["digest"]},
        "an offset and size that overflow": ten | {"offset": 2**63 - 1, "size": 2**63 - 1, "blob": ten["digest"]},
        "a blob that is not there": {"digest": SHA, "size": 10},
        "a blob of another name": ten | {"blob": SHA},
        "a part of blake3": {"digest": "blake3:" + HEX, "size": 10, "blob": ten["digest"]},
        "another digest": {"digest": SHA, "size": 10, "blob": ten["digest"]},
    }


@pytest.mark.parametrize("far", [False, True])
def test_a_part_that_lies_is_refused_before_anything_is_used(far, forgery, reader, place):
    for name, part in part_lies(forgery).items():
        other = type(forgery)(MemoryStore())
        other.blob(b"0123456789")
        file = {
            "path": "x",
            "size": part["size"],
            "digest": part["digest"].replace("blake3", "sha256"),
            "parts": [part],
        }
        ref = other.version(other.manifest(file))
        forgery.store = other.store
        vault = reader(far=far)
        for verb in (lambda: vault.load(ref), lambda: vault.fetch(ref, place / "out")):  # noqa: B023
            with pytest.raises((Corrupt, Unsupported)):
                verb()
                pytest.fail(f"{name} was believed")
        assert not (place / "out").exists()
        assert not vault.verify(ref).ok


def test_a_file_whose_digest_is_not_that_of_its_parts_is_found_by_verify_and_not_rolled_back_to(forgery):
    part = forgery.blob(b"0123456789")
    honest = {"path": "x", "size": 20, "digest": forgery.digest(b"0123456789" * 2), "parts": [part, part]}
    lies = [honest | {"digest": SHA}, {"path": "x", "size": 10, "digest": SHA, "parts": [part]}]
    for number, file in enumerate([honest, *lies]):
        target = forgery.target(forgery.canonical(forgery.manifest(file, version=f"1.0.{number}")), f"1.0.{number}")
        forgery.claim(target)
        assert Vault(forgery.store).verify(f"m:1.0.{number}").ok == (number == 0)
    vault = Vault(forgery.store)
    vault.promote("m@prod", "1.0.1", reason="x")
    vault.promote("m@prod", "1.0.0", reason="x")
    with pytest.raises(Corrupt) as raised:
        vault.rollback("m@prod", reason="x")
    assert raised.value.code == Code.DIGEST_MISMATCH


INLINE = {
    "no base64": "€€€€",
    "base64 of the wrong length": "aGVsbG8",
    "base64 with a newline": "aGVsbG8=\n",
    "base64 of other bytes": "aGVsbG8h",
    "base64 for URLs": "-_-_",
    "padding alone": "====",
    "nothing": "",
}


@pytest.mark.parametrize("text", INLINE.values(), ids=INLINE)
def test_inline_bytes_that_are_not_what_they_claim_are_corrupt(text, forgery):
    file = forgery.file("x", b"hello") | {"inline": text}
    with pytest.raises(Corrupt):
        Vault(forgery.store).version(forgery.version(forgery.manifest(file)))


def test_a_journal_with_strangers_in_its_folder_is_corrupt_or_works(forgery, tmp_path):
    target = forgery.target(forgery.canonical(forgery.manifest(forgery.file("x", b"x"))))
    forgery.claim(target)
    forgery.move(1, target)
    folder = "models/m/aliases/prod/"
    for name in ["0000000000.json", "9999999999.json", "0.json", "README", "00000000001.json", "9999999998", "a.json", "9999999998.json.bak", "x/y"]:  # fmt: skip
        store = MemoryStore()
        for key in dict(forgery.store._objects):
            store.create(key, forgery.store.read(key))
        store.create(folder + name, b"hello")
        vault = Vault(store, cache=tmp_path)
        for verb in (vault.load, vault.history, vault.version, lambda ref: vault.aliases("m")):  # noqa: B023
            outcome(lambda verb=verb: verb("m@prod"))
        vault.verify()


def test_a_chain_that_does_not_hold_together_is_broken(forgery):
    target = forgery.target(forgery.canonical(forgery.manifest(forgery.file("x", b"x"))))
    forgery.claim(target)
    forgery.move(1, target)
    forgery.move(2, target, b"another entry one")
    vault = Vault(forgery.store)
    with pytest.raises(Corrupt) as raised:
        vault.history("m@prod")
    assert raised.value.code == Code.JOURNAL_BROKEN
    assert [problem.code for problem in vault.verify("m@prod").problems] == [Code.JOURNAL_BROKEN]


def test_an_undo_stack_that_names_what_is_not_there_is_corrupt(forgery):
    target = forgery.target(forgery.canonical(forgery.manifest(forgery.file("x", b"x"))))
    forgery.claim(target)
    forgery.move(5, target, b"x", undo=3)
    vault = Vault(forgery.store)
    with pytest.raises(Corrupt):
        vault.rollback("m@prod", reason="x")
    with pytest.raises(Corrupt):
        vault.version("m@prod~1")
    assert forgery.store.list("models/m/aliases/prod/")


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["record", "model", "version", "format", "files", "params", "x"]), values))
def test_any_json_in_the_place_of_a_manifest_is_corrupt_or_a_manifest(value):
    from_memory = MemoryStore()
    raw = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
    key = hashlib.sha256(raw).hexdigest()
    from_memory.create(f"blobs/sha256/{key[:2]}/{key}", raw)
    target = {"version": "1.0.0", "digest": f"sha256:{key}", "size": len(raw), "blob": f"sha256:{key}"}
    claim = {"record": "claim/1", "model": "m", "target": target, "txn": "0" * 32, "actor": "x"}
    body = canonical(claim | {"created": "2026-11-23T07:49:15.000000Z"})
    seal = hashlib.sha256(body).hexdigest()
    from_memory.create("models/m/versions/1.0.0.json", body[:-1] + f',"~sha256":"{seal}"}}'.encode())
    outcome(lambda: Vault(from_memory).version("m:1.0.0"))


@given(st.binary(max_size=200))
def test_any_bytes_in_the_place_of_a_record_are_corrupt(data):
    store = MemoryStore()
    store.create("models/m/versions/1.0.0.json", data)
    store.create("models/m/aliases/prod/9999999998.json", data)
    with pytest.raises(Corrupt):
        Vault(store).version("m:1.0.0")
    with pytest.raises(Corrupt):
        Vault(store).history("m@prod")
