"""Trust: decided by the reader, from what cannot be forged."""

from pathlib import Path

import pytest

from modelvault.errors import Code, InvalidInput, Untrusted
from modelvault.stores.local import LocalStore
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import ReadOnly, Recording
from modelvault.trust import check, level
from modelvault.vault import Vault


@pytest.mark.parametrize("safe", [False, True])
@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("trust", [None, "pickle"])
def test_what_can_run_code_loads_only_from_a_private_place_or_where_the_reader_said_so(safe, private, trust):
    if safe or private or trust:
        check("cloudpickle", safe=safe, private=private, trust=trust, ref="m:1.0.0")
        return
    with pytest.raises(Untrusted) as raised:
        check("cloudpickle", safe=safe, private=private, trust=trust, ref="m:1.0.0")
    assert raised.value.code == Code.FORMAT_NOT_TRUSTED
    assert raised.value.ref == "m:1.0.0"
    assert 'trust="pickle"' in raised.value.hint


def test_there_are_two_levels():
    assert level(None) is None
    assert level("pickle") == "pickle"


@pytest.mark.parametrize("text", ["", "all", "PICKLE", "pickle ", True, False, 0, 1, b"pickle", ["pickle"], object()])
def test_anything_else_is_no_level(text):
    with pytest.raises(InvalidInput) as raised:
        level(text)
    assert raised.value.code == Code.BAD_VALUE
    with pytest.raises(InvalidInput):
        Vault(MemoryStore(), trust=text)


def test_a_safe_format_is_loaded_without_a_look_at_who_can_write(tmp_path: Path):
    class Public(Recording):
        def private(self, key: str) -> bool:
            raise AssertionError(key)

    (tmp_path / "file").write_text("x")
    vault = Vault(Public(MemoryStore()), cache=tmp_path / "cache")
    vault.publish("m", tmp_path / "file")
    assert vault.load("m:1.0.0").read_text() == "x"


def test_it_is_the_record_that_pins_the_digest_whose_writer_counts(tmp_path: Path):
    """Blobs prove themselves; the claim, or the move where an alias was asked for, is what must be the reader's own."""
    vault = Vault(LocalStore(tmp_path / "vault"))
    vault.promote("m@prod", vault.publish("m", ["x" * 20_000]), reason="x")
    for blob in (tmp_path / "vault" / "blobs").rglob("*"):
        blob.chmod(0o777)
    assert vault.load("m@prod") == vault.load("m:1.0.0") == ["x" * 20_000]
    (tmp_path / "vault/models/m/versions/1.0.0.json").chmod(0o666)
    assert vault.load("m@prod") == ["x" * 20_000]
    with pytest.raises(Untrusted):
        vault.load("m:1.0.0")
    (tmp_path / "vault/models/m/versions/1.0.0.json").chmod(0o444)
    (tmp_path / "vault/models/m/aliases/prod").chmod(0o777)
    with pytest.raises(Untrusted):
        vault.load("m@prod")
    assert vault.load("m:1.0.0") == ["x" * 20_000]


def test_trust_is_of_the_vault_object_and_not_of_the_vault(tmp_path: Path):
    Vault(LocalStore(tmp_path / "vault")).publish("m", {"a": 1})
    (tmp_path / "vault").chmod(0o777)
    assert Vault(LocalStore(tmp_path / "vault"), trust="pickle").load("m:1.0.0") == {"a": 1}
    with pytest.raises(Untrusted):
        Vault(LocalStore(tmp_path / "vault")).load("m:1.0.0")


def test_a_wrapper_is_as_private_as_what_it_wraps(tmp_path: Path):
    Vault(LocalStore(tmp_path / "vault")).publish("m", {"a": 1})
    assert Vault(ReadOnly(LocalStore(tmp_path / "vault"))).load("m:1.0.0") == {"a": 1}
    (tmp_path / "vault").chmod(0o777)
    with pytest.raises(Untrusted):
        Vault(ReadOnly(LocalStore(tmp_path / "vault"))).load("m:1.0.0")


def test_nothing_in_an_artifact_can_ask_for_trust(tmp_path: Path):
    vault = Vault(LocalStore(tmp_path / "vault"))
    vault.publish("m", {"a": 1}, params={"trust": "pickle", "safe": True}, notes='trust="pickle"')
    (tmp_path / "vault").chmod(0o777)
    with pytest.raises(Untrusted):
        vault.load("m:1.0.0")
