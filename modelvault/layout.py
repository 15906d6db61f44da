"""Noun to key: the only file that spells a key (`docs/spec/v1.md`, Layout)."""

from __future__ import annotations

from typing import Final

from modelvault.errors import Code, Corrupt
from modelvault.reference import Number, is_number

__all__ = [
    "ALIASES",
    "BLOBS",
    "LAST_SEQ",
    "MODELS",
    "NOTES",
    "POLICIES",
    "QUARANTINE",
    "SELF_TEST",
    "VAULT",
    "VERSIONS",
    "aliases",
    "blob",
    "claim",
    "entry",
    "folder_name",
    "journal",
    "marked",
    "marks",
    "noted",
    "notes",
    "number_of",
    "policies",
    "policy",
    "seq_of",
    "versions",
]

VAULT: Final = "modelvault.json"
SELF_TEST: Final = "self-test.json"
MODELS: Final = "models/"
BLOBS: Final = "blobs/sha256/"
VERSIONS, ALIASES, NOTES = "versions", "aliases", "notes"
QUARANTINE, POLICIES = "quarantine", "policies"
LAST_SEQ: Final = 9_999_999_998
_SUFFIX: Final = ".json"


def versions(model: str) -> str:
    """The folder of a model's claims."""
    return f"{MODELS}{model}/{VERSIONS}/"


def claim(model: str, number: str) -> str:
    """The key of a version's claim."""
    return f"{versions(model)}{number}{_SUFFIX}"


def aliases(model: str) -> str:
    """The folder of a model's aliases."""
    return f"{MODELS}{model}/{ALIASES}/"


def journal(model: str, alias: str) -> str:
    """The folder of an alias's moves."""
    return f"{aliases(model)}{alias}/"


def noted(model: str) -> str:
    """The folder of all notes on a model's versions."""
    return f"{MODELS}{model}/{NOTES}/"


def notes(model: str, number: str) -> str:
    """The folder of a version's notes."""
    return f"{noted(model)}{number}/"


def marked(model: str) -> str:
    """The folder of all marks on the contents of a model."""
    return f"{MODELS}{model}/{QUARANTINE}/"


def marks(model: str, content: str) -> str:
    """The folder of the marks on one content, which is a digest."""
    return f"{marked(model)}{content.partition(':')[2]}/"


def policies(model: str) -> str:
    """The folder of all policies of a model's aliases."""
    return f"{MODELS}{model}/{POLICIES}/"


def policy(model: str, alias: str) -> str:
    """The folder of an alias's policies."""
    return f"{policies(model)}{alias}/"


def entry(folder: str, seq: int) -> str:
    """The key of entry `seq` of the journal in `folder`: the newest sorts first, so "newest" is a list of one."""
    return f"{folder}{LAST_SEQ + 1 - seq:010d}{_SUFFIX}"


def seq_of(key: str) -> int:
    """The seq of a journal entry's key.

    Raises:
        Corrupt: `journal-broken`, no journal writes such a key.
    """
    name = key.rpartition("/")[2].removesuffix(_SUFFIX)
    seq = LAST_SEQ + 1 - int(name) if len(name) == len(str(LAST_SEQ)) and name.isascii() and name.isdecimal() else 0
    if not 1 <= seq <= LAST_SEQ or not key.endswith(_SUFFIX):
        raise Corrupt(f"{key} is no journal entry", code=Code.JOURNAL_BROKEN, ref=key)
    return seq


def number_of(key: str) -> Number:
    """The version number that a claim's key spells.

    Raises:
        Corrupt: `bad-record`, no claim has such a key.
    """
    name = key.rpartition("/")[2]
    number = name.removesuffix(_SUFFIX)
    if name == number or not is_number(number):
        raise Corrupt(f"{key} is no claim", code=Code.BAD_RECORD, ref=key)
    return Number(number)


def blob(name: str) -> str:
    """The key of a blob named ``sha256:<64 hex>[.<nonce>]``."""
    hexed = name.partition(":")[2]
    return f"{BLOBS}{hexed[:2]}/{hexed}"


def folder_name(key: str) -> str:
    """The last name of a folder's key."""
    return key.rstrip("/").rpartition("/")[2]
