"""The names that a user may rely on.  A change here is a change for users: it stands in the changelog."""

import inspect
from importlib import import_module
from types import ModuleType

import pytest

import modelvault

PUBLIC = {
    "modelvault": {
        "Bump", "Change", "Check", "Comparison", "Diff", "Draft", "DrillReport", "Estimate", "Field", "Finding", "Gate", "Guard", "Manifest", "Move", "Note", "Policy", "Progress", "Proposal", "Recipe", "ReleaseSet", "Report",
        "Signature", "Vault", "Verdict", "Version", "errors", "gates", "load", "open",
    },
    "modelvault.errors": {
        "AlreadyExists", "Code", "CommitUncertain", "Conflict", "Corrupt", "IncompleteSignature", "InvalidInput", "NotFound", "Refused", "StaleAlias", "StoreError",
        "Unsupported", "Untrusted", "VaultError", "shown",
    },
    "modelvault.formats": {"Files", "Format", "choose", "named"},
    "modelvault.gates": {
        "Gate", "Named", "Past", "Proposal", "Verdict", "approved", "asked", "compatible", "drilled_within", "judge", "listed", "no_worse", "reason_like",
        "rollback_safe", "signature", "soaked", "spelled",
    },
    "modelvault.stores": {
        "READ_LIMIT", "Content", "Data", "Entry", "Key", "KeyExists", "KeyMissing", "Sink", "Span", "Stages", "Store", "Taken", "checked",
        "connect",
    },
    "modelvault.testing": {"Crash", "Fault", "FaultStore", "StoreSuite", "VaultMachine"},
}  # fmt: skip

VERBS = {
    "aliases", "card", "check", "compare", "diff", "draft", "drill", "explain", "fetch", "find", "history", "live", "load", "models", "note", "notes", "page", "policy", "prefetch", "promote", "protect", "publish", "quarantine", "release", "unprotect",
    "reproduce", "rollback",
    "suggest_bump",
    "unyank", "url", "verify", "version", "versions", "yank",
}  # fmt: skip


@pytest.mark.parametrize("module", PUBLIC)
def test_a_module_exports_these_names_and_no_others(module):
    found = import_module(module)
    assert set(found.__all__) == PUBLIC[module]
    assert len(set(found.__all__)) == len(found.__all__)
    for name in found.__all__:
        assert getattr(found, name) is not None


def test_dir_shows_what_is_public_and_the_version():
    assert set(dir(modelvault)) == PUBLIC["modelvault"] | {"__version__"}
    assert modelvault.__version__.count(".") == 2


def test_a_vault_has_these_verbs_and_no_others():
    assert {name for name in dir(modelvault.Vault) if not name.startswith("_")} == VERBS


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_documented(module):
    found = import_module(module)
    assert found.__doc__
    for name in found.__all__:
        value = getattr(found, name)
        if inspect.isclass(value) or inspect.isroutine(value) or isinstance(value, ModuleType):
            assert value.__doc__, name
        if (
            inspect.isclass(value)
            and value.__module__.startswith("modelvault")
            and not value.__name__.endswith("Suite")
        ):
            for member, what in vars(value).items():
                if not member.startswith("_") and (inspect.isfunction(what) or isinstance(what, property)):
                    assert inspect.getdoc(what) or value.__module__.endswith("port"), f"{name}.{member}"


def test_a_name_that_is_not_there_is_an_attribute_error():
    for module in PUBLIC:
        with pytest.raises(AttributeError):
            _ = import_module(module).nothing


def test_every_code_of_an_error_is_a_word_of_its_own():
    codes = [code.value for code in modelvault.errors.Code]
    assert len(set(codes)) == len(codes)
    assert all(code == code.lower() and code.replace("-", "").isalpha() for code in codes)
