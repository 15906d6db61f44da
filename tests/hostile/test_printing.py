"""Stored text is written by strangers: printed, it moves no cursor, forges no line and hides no letter."""

import pickle
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelvault.errors import Code, Conflict, InvalidInput, Refused, VaultError, shown
from modelvault.gates import Verdict
from modelvault.stores.memory import MemoryStore
from modelvault.vault import Vault

EVIL = "\x1b[2J\x1b]0;x\x07\r\n\x08\x00\x7f\x9b31m\u202e\u2066\u200b\u2028\ufeff\ud7ff\ue000\U000e0041evil"

text = st.text(st.characters(exclude_categories=()), max_size=300)


def clean(printed: str) -> bool:
    """Lines of printable characters, each as its writer meant it."""
    return all(line.isprintable() for line in printed.split("\n")) and "\r" not in printed


@given(text)
def test_what_is_shown_is_printable_and_short_and_shows_what_was_printable_already(raw):
    assert shown(raw).isprintable()
    assert len(shown(raw, 10)) <= 10 * len("\\U000e0041") + 1
    if raw.isprintable() and len(raw) <= 200:
        assert shown(raw) == raw


@given(text, text, text)
def test_an_error_survives_pickling_with_all_that_it_says(message, hint, ref):
    for kind in (VaultError, InvalidInput):
        error = kind(message, code=Code.BAD_VALUE, hint=hint, ref=ref)
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), again.message, again.code, again.hint, again.ref) == (
            kind,
            message,
            Code.BAD_VALUE,
            hint,
            ref,
        )
    moved = pickle.loads(pickle.dumps(Conflict(message, code=Code.ALIAS_MOVED, expected=hint, actual=ref)))
    assert (moved.expected, moved.actual) == (hint, ref)


@pytest.fixture
def evil() -> Vault:
    """A vault in which all text that can be written through the API is evil."""
    vault = Vault(MemoryStore())
    said = {"params": {EVIL: EVIL, "b": [EVIL]}, "metrics": {EVIL: 1.0}, "notes": EVIL, "actor": EVIL}
    vault.publish("m", 1, version="1.0.0", data=["s3://bucket/" + EVIL.replace("\0", "")], **said)
    vault.publish("m", 2, version="1.1.0", params={EVIL: 5}, notes=EVIL[::-1])
    for number in ("1.0.0", "1.1.0"):
        vault.promote("m@prod", number, reason=EVIL, actor=EVIL, gates=[lambda _: Verdict(passed=True, reason=EVIL)])
    vault.note("m:1.0.0", EVIL, metrics={EVIL: 1.0}, actor=EVIL)
    vault.yank("m:1.0.0", reason=EVIL, actor=EVIL)
    return vault


def test_nothing_that_a_verb_returns_prints_what_was_stored_raw(evil):
    version, other = evil.version("m:1.0.0"), evil.version("m:1.1.0")
    found = [
        version,
        version.manifest,
        version.claim,
        evil.diff(version, other),
        *evil.diff(version, other).changes,
        evil.verify(),
        *evil.history("m@prod"),
        *evil.notes("m:1.0.0"),
        evil.aliases("m"),
        evil.versions("m"),
        evil,
    ]
    for one in found:
        for printed in (repr(one), str(one), f"{one}"):
            assert clean(printed), type(one)


def test_what_was_stored_is_what_was_given(evil):
    version = evil.version("m:1.0.0")
    assert version.notes == version.actor == version.params[EVIL] == EVIL
    assert evil.history("m@prod")[0].reason == EVIL
    assert evil.notes("m:1.0.0")[1].metrics == {EVIL: 1.0}


def test_no_error_prints_what_was_stored_raw(evil):
    def gate(_: object) -> bool:
        raise RuntimeError(EVIL)

    gate.__name__ = EVIL
    calls = {
        Conflict: lambda: evil.promote("m@prod", "1.0.0", reason="x", expect="9.9.9"),
        Refused: lambda: evil.promote("m@prod", "1.0.0", reason="x", gates=[gate]),
        VaultError: lambda: evil.rollback("m@prod", reason="x", to="1.0.0"),
        InvalidInput: lambda: evil.publish("m", 3, bump=EVIL),
    }
    for kind, call in calls.items():
        with pytest.raises(kind) as raised:
            call()
        error = raised.value
        printed = "".join(traceback.format_exception_only(type(error), error))
        assert clean(printed), printed
        assert clean(repr(error))
        assert f"{error}{error.hint}{error.ref}".isprintable()
        for verdict in getattr(error, "verdicts", ()):
            assert verdict.isprintable()


def test_no_error_prints_what_was_asked_for_raw(evil, tmp_path):
    folder = tmp_path / "x\x1b[2J\u202e"
    folder.mkdir()
    (folder / "file").write_text("x")
    for call in (
        lambda: evil.load(f"m@{EVIL}"),
        lambda: evil.load(f"m:{EVIL}"),
        lambda: evil.load(f"m#{EVIL}"),
        lambda: evil.load(f"m@prod@{{{EVIL}}}"),
        lambda: evil.publish(EVIL, 1),
        lambda: evil.publish("m", 1, version=EVIL),
        lambda: evil.publish("m", 1, bump="patch", base=EVIL),
        lambda: evil.publish("m", 1, bump="patch", format=EVIL),
        lambda: evil.publish("m", 1, bump="patch", data=[folder / "nothing"]),
        lambda: evil.publish("m", folder / "nothing", bump="patch"),
        lambda: evil.publish("m", tmp_path, bump="patch"),
        lambda: evil.publish("m", type(EVIL.replace("\0", ""), (), {"__reduce__": lambda _: 1 / 0})(), bump="patch"),
        lambda: evil.note("m:1.0.0", "x", kind=EVIL),
        lambda: evil.verify(level=EVIL),
        lambda: evil.fetch("m:1.0.0", folder),
        lambda: evil.fetch("m:1.0.0", tmp_path / "out", only=[EVIL]),
        lambda: evil.fetch("m:1.0.0", folder / "file" / "x"),
        lambda: Vault(MemoryStore(), trust=EVIL),
        lambda: Vault(MemoryStore(), cache=folder / "file").fetch("m:1.0.0"),
        lambda: evil.rollback(f"m@{EVIL}", reason="x"),
        lambda: evil.rollback("m@prod", reason="x", to=EVIL),
        lambda: evil.promote("m@prod", "1.0.0", reason="x", expect=EVIL),
    ):
        with pytest.raises(VaultError) as raised:
            call()
        error = raised.value
        assert f"{error}{error.hint}{error.ref}".isprintable()
        assert clean("".join(traceback.format_exception_only(type(error), error)))


def test_no_error_prints_a_forged_record_raw(forgery, reader):
    """Text in places that the API would not let it into."""
    strange = forgery.manifest(forgery.file("x", b"x"), format=EVIL, **{EVIL: EVIL})
    strange |= {"environment": {"python": EVIL, "implementation": EVIL, "platform": EVIL, "packages": {EVIL: EVIL}}}
    strange |= {"provenance": {"git": {"commit": EVIL, "dirty": True, "remote": EVIL}}}
    strange |= {"data": [{"uri": EVIL, "how": EVIL}]}
    target = forgery.target(forgery.canonical(strange))
    forgery.claim(target, **{EVIL: EVIL})
    first = forgery.move(1, target, **{EVIL: EVIL, "actor": EVIL})
    forgery.move(2, None, first, reason=EVIL, actor=EVIL, undo=1)
    vault = reader()
    version = vault.version("m:1.0.0")
    plain = forgery.canonical(forgery.manifest(version="2.0.0"))
    forgery.claim(forgery.target(plain, "2.0.0"))
    for one in (
        version,
        version.manifest,
        version.claim,
        *vault.history("m@prod"),
        vault.diff("m:2.0.0", "m:1.0.0"),
        vault.compare("m"),
        vault.verify(),
    ):
        assert clean(repr(one)), one
        assert clean(str(one)), one
    for text in (vault.diff("m:2.0.0", "m:1.0.0").to_markdown(), vault.compare("m").to_markdown(), version.card()):
        assert clean(text), text
    for call in (
        lambda: vault.load("m@prod"),
        lambda: vault.load("m:1.0.0"),
        lambda: vault.promote("m@prod", "1.0.0", reason="x", expect="1.0.0"),
    ):
        with pytest.raises(VaultError) as raised:
            call()
        assert f"{raised.value}{raised.value.hint}{raised.value.ref}".isprintable()


@pytest.mark.parametrize("member", ["model", "version", "format", "files", "notes", "record", "metrics", "data"])
def test_no_error_about_a_member_prints_it_raw(member, forgery, reader):
    for wrong in (EVIL, [EVIL], {EVIL: EVIL}, [{"path": EVIL, "size": 0, "digest": EVIL, "inline": EVIL}]):
        other = type(forgery)(MemoryStore())
        ref = other.version(other.manifest(**{member: wrong}))
        try:
            found = repr(Vault(other.store).version(ref))
        except VaultError as error:
            found = f"{error}{error.hint}{error.ref}"
        assert found.isprintable()
