"""Release sets: several versions that are published, moved, proved and rolled back as one."""

import base64
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

import modelvault as mv
from modelvault.errors import Code, Corrupt, InvalidInput, NotFound, Refused, Untrusted
from modelvault.formats.release_set import Release
from modelvault.layout import blob, claim
from modelvault.stores import Key
from modelvault.stores.wrappers import Wrapper
from modelvault.vault import Vault
from modelvault.wire import ReleaseSetRecord, read_release_set, write_release_set

WEIGHTS = np.random.default_rng(1).random(20_000)


@pytest.fixture
def parts(vault):
    """Two versions of three models each, `fraud@staging` at the first, and sets of the first and of the second ones."""
    for number in ("1.0.0", "1.1.0"):
        vault.publish("prep", {"prep": number}, version=number)
        vault.publish("fraud", WEIGHTS + float(number[2]), version=number)
        vault.publish("limits", {"limit": number}, version=number)
        vault.promote("fraud@staging", number, reason="r")
        made = mv.ReleaseSet(prep=f"prep:{number}", model="fraud@staging", limits=vault.version(f"limits:{number}"))
        vault.publish("service", made, version=number)
        vault.promote("service@prod", number, reason="r")
    return vault


def said(vault, ref="service@prod"):
    found = vault.load(ref)
    return found.prep["prep"], float(found["model"][0] - WEIGHTS[0]), found.limits["limit"]


def test_a_set_is_loaded_and_moved_as_one(parts, reopen):
    assert said(reopen()) == ("1.1.0", 1.0, "1.1.0")
    parts.promote("fraud@staging", "1.0.0", reason="the set does not follow it")
    assert said(reopen()) == ("1.1.0", 1.0, "1.1.0")
    assert parts.rollback("service@prod", reason="r").evidence["proved"] == "bytes"
    assert said(reopen()) == ("1.0.0", 0.0, "1.0.0")


def test_what_it_names_stands_in_one_small_file(parts, tmp_path):
    version = parts.version("service:1.0.0")
    assert (version.format, [file.path for file in version.files]) == ("release-set", ["release-set.json"])
    folder = parts.fetch("service:1.0.0", tmp_path / "out")
    raw = (folder / "release-set.json").read_bytes()
    members = json.loads(raw)["members"]
    assert members["model"] == {"model": "fraud", "version": "1.0.0", "digest": parts.version("fraud:1.0.0").digest}
    assert [*members] == ["limits", "model", "prep"]
    assert write_release_set(read_release_set(raw, "x")) == raw
    assert {name: member.version for name, member in parts._catalog.members(version.manifest).items()} == {
        "limits": "1.0.0",
        "model": "1.0.0",
        "prep": "1.0.0",
    }
    assert parts._catalog.members(parts.version("fraud:1.0.0").manifest) == {}


def test_the_same_members_are_the_same_content(parts):
    members = {"prep": "prep:1.0.0", "model": "fraud:1.0.0", "limits": "limits:1.0.0"}
    assert parts.publish("service", mv.ReleaseSet(**members), version="1.0.0") == parts.version("service:1.0.0")
    estimate = parts.publish("service", mv.ReleaseSet(**members), version="7.0.0", dry_run=True)
    assert (estimate.files, estimate.blobs) == (1, 0)


def test_a_set_whose_member_is_in_quarantine_is_refused_like_the_member(parts):
    parts.quarantine("prep:1.0.0", reason="answers with NaN")
    with pytest.raises(Refused) as caught:
        parts.promote("service@prod", "1.0.0", reason="r")
    assert caught.value.code == Code.QUARANTINED
    assert "prep:1.0.0 is quarantined" in str(caught.value)
    with pytest.raises(NotFound):
        parts.rollback("service@prod", reason="r")
    assert said(parts, "service:1.0.0") == ("1.0.0", 0.0, "1.0.0")
    assert said(parts, "service:*") == ("1.1.0", 1.0, "1.1.0")
    parts.release("prep:1.0.0", reason="r")
    assert parts.rollback("service@prod", reason="r").version == "1.0.0"


def test_a_set_whose_member_is_yanked_is_passed_over_like_the_member(parts):
    parts.yank("limits:1.1.0", reason="a slip")
    assert said(parts, "service:*") == ("1.0.0", 0.0, "1.0.0")
    assert parts.promote("service@other", "1.1.0", reason="by its exact number").version == "1.1.0"
    parts.yank("limits:1.0.0", reason="a slip")
    with pytest.raises(Refused) as caught:
        parts.rollback("service@prod", reason="r", to="1.0.0")
    assert caught.value.code == Code.YANKED


def test_a_rollback_proves_the_members(parts, reopen):
    part = next(part for file in parts.version("fraud:1.0.0").files for part in file.parts)
    parts._store.delete(Key(blob(part.blob or part.digest)))
    with pytest.raises(Corrupt) as caught:
        reopen().rollback("service@prod", reason="r")
    assert caught.value.code == Code.BLOB_MISSING
    assert {problem.code for problem in parts.verify("service:1.0.0").problems} == {Code.BLOB_MISSING}
    assert parts.verify("limits:1.0.0").ok


def test_a_member_that_is_gone_is_damage(parts, reopen):
    parts._store.delete(Key(claim("prep", "1.0.0")))
    for call in (
        lambda vault: vault.load("service:1.0.0"),
        lambda vault: vault.promote("service@prod", "1.0.0", reason="r"),
        lambda vault: vault.rollback("service@prod", reason="r"),
    ):
        with pytest.raises(Corrupt) as caught:
            call(reopen())
        assert "prep:1.0.0, a member of service:1.0.0, is gone" in str(caught.value)
    assert not reopen().verify().ok
    assert not reopen().verify("service:1.0.0").ok


def test_a_member_that_is_another_is_damage(parts, reopen, tmp_path):
    other = mv.open(tmp_path / "other")
    other.publish("prep", {"prep": "forged"}, version="1.0.0")
    parts._store.delete(Key(claim("prep", "1.0.0")))
    parts._store.create(Key(claim("prep", "1.0.0")), other._store.read(Key(claim("prep", "1.0.0"))))
    with pytest.raises(Corrupt) as caught:
        reopen().load("service:1.0.0")
    assert caught.value.code == Code.DIGEST_MISMATCH
    assert Code.DIGEST_MISMATCH in {problem.code for problem in reopen().verify().problems}


def test_trust_is_asked_for_each_member(parts):
    class Shared(Wrapper):
        def private(self, key):
            return False

    stranger = Vault(Shared(parts._store))
    with pytest.raises(Untrusted):
        stranger.load("service:1.0.0")
    arrays = mv.ReleaseSet(one="fraud:1.0.0", two="fraud:1.1.0")
    parts.publish("arrays", arrays, version="1.0.0")
    assert len(stranger.load("arrays:1.0.0")) == 2


def forged(vault, text, path="release-set.json"):
    """A version that says it is a release set, and whose file holds `text`."""
    from modelvault.canonical import digest_of
    from modelvault.wire import Claim, File, Manifest, record, seal, write_manifest

    raw = text if isinstance(text, bytes) else text.encode()
    file = record(File, path=path, size=len(raw), digest=digest_of(raw), inline=base64.b64encode(raw).decode())
    body = write_manifest(record(Manifest, model="evil", version="1.0.0", format="release-set", files=[file]))
    target = {"version": "1.0.0", "digest": digest_of(body), "size": len(body), "inline": body.decode()}
    made = record(Claim, model="evil", target=target, txn="0" * 32, created="2026-01-01T00:00:00.000000Z", actor="eve")
    vault._store.create(Key(claim("evil", "1.0.0")), seal(made))


DIGEST = "sha256:" + "0" * 64


def naming(name="a", model="m", version="1.0.0", digest=DIGEST):
    """The file of a set with one member."""
    member = {"digest": digest, "model": model, "version": version}
    return json.dumps({"members": {name: member}, "record": "release-set/1"}, separators=(",", ":"))


@pytest.mark.parametrize(
    "text",
    [
        "", "{}", "[]", "null", "{", "\x00", b"\xff", '{"members":{},"record":"release-set/1"}', '{"members": {}, "record": "release-set/1"}',
        '{"members":{"a":"m:1.0.0"},"record":"release-set/1"}', '{"members":' + '{"a":' * 5_000 + "1" + "}" * 5_001,
        naming().replace(',"record":"release-set/1"', ""), naming(), naming(model="../m"), naming(version="*"), naming(digest="x"),
        naming("__class__"), naming("a b"),
    ],
    ids=range(18),
)  # fmt: skip
def test_what_a_stranger_wrote_is_damage_and_nothing_else(vault, text):
    vault.publish("m", 1, version="1.0.0")
    forged(vault, text)
    for call in (
        lambda: vault.load("evil:1.0.0"),
        lambda: vault.promote("evil@prod", "1.0.0", reason="r"),
        lambda: vault.load("evil:*"),
    ):
        with pytest.raises(Corrupt) as caught:
            call()
        assert str(caught.value).isprintable()
    assert not vault.verify().ok
    assert not vault.verify("evil:1.0.0").ok


def test_one_whose_file_is_elsewhere_or_newer(vault):
    forged(vault, "{}", path="members.json")
    with pytest.raises(Corrupt):
        vault.load("evil:1.0.0")


def test_a_set_of_sets_is_refused(parts):
    with pytest.raises(InvalidInput) as caught:
        parts.publish("all", mv.ReleaseSet(a="service@prod"))
    assert caught.value.code == Code.BAD_VALUE
    digest = parts.version("service:1.0.0").digest
    record = ReleaseSetRecord.model_validate(
        {"members": {"a": {"model": "service", "version": "1.0.0", "digest": digest}}}
    )
    forged(parts, write_release_set(record))
    with pytest.raises(Corrupt) as nested:
        parts.load("evil:1.0.0")
    assert "is a set itself" in str(nested.value)


@pytest.mark.parametrize("name", ["_hidden", "a b", "é", "1st", "x" * 101, "", "a.b", "a\n"])
def test_a_member_has_the_name_of_an_attribute(name):
    with pytest.raises(InvalidInput) as caught:
        mv.ReleaseSet(**{name: "fraud@prod"})
    assert caught.value.code == Code.BAD_NAME


@pytest.mark.parametrize(
    "to", [None, 5, "fraud", "fraud:", "fraud:9.9.9", "nothing@prod", "", "\ud800", object(), Path("x"), []]
)
def test_a_member_is_a_version_or_a_ref(parts, to):
    before = len(parts.versions("service"))
    with pytest.raises((InvalidInput, NotFound)):
        parts.publish("service", mv.ReleaseSet(model=to), bump="major")
    assert len(parts.versions("service")) == before


def test_a_set_has_members_and_its_own_format(parts, tmp_path):
    with pytest.raises(InvalidInput):
        mv.ReleaseSet()
    with pytest.raises(InvalidInput):
        parts.publish("service", mv.ReleaseSet(model="fraud@staging"), bump="major", format="cloudpickle")
    stranger = mv.open(tmp_path / "other").publish("fraud", 1)
    with pytest.raises(InvalidInput):
        parts.publish("service", mv.ReleaseSet(model=stranger), bump="major")


def test_it_may_have_a_signature_and_a_bump(parts):
    signature = {"inputs": [{"name": "amount", "dtype": "float64"}], "outputs": [{"name": "score", "dtype": "float64"}]}
    made = mv.ReleaseSet(self="prep:1.0.0", model="fraud:1.0.0")
    version = parts.publish("service", made, bump="minor", signature=signature, metrics={"auc": 0.9})
    assert (version.number, version.signature.inputs[0].name) == ("1.2.0", "amount")
    assert parts.load(version.ref).self == {"prep": "1.0.0"}


def test_all_that_a_set_needs_is_prefetched(parts, tmp_path):
    class Far(Wrapper):
        url = "far://away"

        def around(self, operation, call):
            if self.gone:
                raise mv.errors.StoreError("gone", code=Code.STORE_UNREACHABLE)
            return call()

    far = Far(parts._store)
    far.gone = False
    [version] = Vault(far, cache=tmp_path / "cache").prefetch("service@prod")
    far.gone = True
    fresh = Vault(far, cache=tmp_path / "cache", trust="pickle")
    assert said(fresh, version.ref) == ("1.1.0", 1.0, "1.1.0")
    with pytest.warns(mv.errors.StaleAlias):
        assert said(fresh) == ("1.1.0", 1.0, "1.1.0")


def test_a_release_is_a_value():
    release = Release({"model": 1, "items": 2})
    assert (release.model, release["items"], release.items, len(release), [*release]) == (
        1,
        2,
        2,
        2,
        ["model", "items"],
    )
    assert [*pickle.loads(pickle.dumps(release))] == ["model", "items"]
    assert {"model", "items"} <= set(dir(release))
    assert repr(release) == "<Release model, items>"
    for name in ("nothing", "_members_", "__wrapped__"):
        assert not hasattr(release, name)
    with pytest.raises(KeyError):
        release["nothing"]
