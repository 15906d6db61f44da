"""What is captured by itself, with ``***`` for its secrets; what the user says is refused instead."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from modelvault.provenance.urls import without_credentials
from modelvault.secrets import HIDDEN, random_looking, redacted, secret_in

__all__ = ["hidden", "hidden_arguments"]

_NUMBER = re.compile(r"[-+]?[\d_.]+(?:[eE][-+]?\d+)?|true|false|none", re.IGNORECASE)
_TELLING = {
    "pass",
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "key",
    "auth",
    "credential",
    "credentials",
}
_TELLING |= {"cookie", "sas", "sig", "signature", "jwt", "bearer", "login", "user"}


def hidden(value: Any, name: str = "") -> Any:
    """A JSON value in which ``***`` stands for each secret."""
    if isinstance(value, dict):
        return {redacted(key): hidden(member, key) for key, member in value.items()}
    if isinstance(value, list):
        return [hidden(member, name) for member in value]
    if not isinstance(value, str) or not secret_in(value, name):
        return value
    return shorter if (shorter := redacted(value)) != value else HIDDEN


def hidden_arguments(words: Sequence[str]) -> list[str]:
    """The arguments of a command, with ``***`` for what follows an option of a telling name, and for all that may be a key.

    Here a doubt costs little: what is left out has to be filled in by who runs it again.
    """
    return list(_arguments(words))


def _arguments(words: Sequence[str]) -> Iterator[str]:
    before = ""
    for word in words:
        name, equals, value = word.partition("=")
        if before.startswith("-") and "=" not in before and not word.startswith("-") and _tells(before, word):
            yield HIDDEN
        elif equals and _tells(name, value):
            yield f"{name}={HIDDEN}"
        else:
            yield name + equals + _argument(value) if equals and "://" not in name else _argument(word)
        before = word


def _tells(name: str, value: str) -> bool:
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())
    return bool(words) and words[-1] in _TELLING and not _NUMBER.fullmatch(value)


def _argument(text: str) -> str:
    if re.match(r"[A-Za-z][\w+.-]*://", text):
        text = without_credentials(text)
    return HIDDEN if any(map(random_looking, re.split(r"[,;:@ ]", text))) else redacted(text)
