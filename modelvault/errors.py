"""Every error a vault raises, sorted by what its handler will do.

    VaultError                   .code  .hint  .ref
    ├─ NotFound       KeyError   nothing there: check the name
    ├─ AlreadyExists             taken for ever: choose another label
    ├─ Conflict                  the alias moved: look again, then decide
    ├─ Refused                   a gate said no: fix the model
    ├─ Corrupt                   stored bytes are not what they claim: stop, alert
    ├─ Untrusted                 loading could run code that nobody vouched for
    ├─ InvalidInput   ValueError the call is wrong
    ├─ Unsupported               this store, format or platform cannot do it
    ├─ StoreError     OSError    the store failed: retry, or call operations
    └─ CommitUncertain           it may or may not have happened: find out, never guess

Codes are append-only and each has a heading in ``docs/reference/errors.md``.  Messages are for people and may change.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

__all__ = [
    "AlreadyExists",
    "Code",
    "CommitUncertain",
    "Conflict",
    "Corrupt",
    "IncompleteSignature",
    "InvalidInput",
    "NotFound",
    "Refused",
    "StaleAlias",
    "StoreError",
    "Unsupported",
    "Untrusted",
    "VaultError",
    "shown",
]

_SHOWN_LIMIT = 200
_AHEAD = 600
"""Characters that are looked at beyond: half a secret is one, too."""


class Code(StrEnum):
    """What happened, for programs.  Append-only."""

    # NotFound
    MODEL_NOT_FOUND = "model-not-found"
    VERSION_NOT_FOUND = "version-not-found"
    ALIAS_NOT_FOUND = "alias-not-found"
    FILE_NOT_FOUND = "file-not-found"
    POLICY_NOT_FOUND = "policy-not-found"
    NOTHING_TO_UNDO = "nothing-to-undo"
    KEY_MISSING = "key-missing"
    # AlreadyExists
    VERSION_EXISTS = "version-exists"
    KEY_EXISTS = "key-exists"
    TARGET_EXISTS = "target-exists"
    # Conflict
    ALIAS_MOVED = "alias-moved"
    JOURNAL_BUSY = "journal-busy"
    # Refused
    GATE_REFUSED = "gate-refused"
    YANKED = "yanked"
    QUARANTINED = "quarantined"
    BUMP_TOO_SMALL = "bump-too-small"
    CHECK_FAILED = "check-failed"
    # Corrupt
    DIGEST_MISMATCH = "digest-mismatch"
    BAD_RECORD = "bad-record"
    BLOB_MISSING = "blob-missing"
    JOURNAL_BROKEN = "journal-broken"
    ALIAS_WENT_BACKWARDS = "alias-went-backwards"
    # Untrusted
    FORMAT_NOT_TRUSTED = "format-not-trusted"
    UNSAFE_FOLDER = "unsafe-folder"
    # InvalidInput
    BAD_NAME = "bad-name"
    BAD_REF = "bad-ref"
    BAD_VERSION = "bad-version"
    BAD_PATH = "bad-path"
    BAD_KEY = "bad-key"
    BAD_VALUE = "bad-value"
    TOO_LARGE = "too-large"
    SECRET_FOUND = "secret-found"  # noqa: S105 - a code
    SIGNATURE_MISMATCH = "signature-mismatch"
    # Unsupported
    NEWER_FORMAT = "newer-format"
    UNKNOWN_FORMAT = "unknown-format"
    UNKNOWN_STORE = "unknown-store"
    NO_EXCLUSIVE_CREATE = "no-exclusive-create"
    EXTRA_MISSING = "extra-missing"
    LOAD_FAILED = "load-failed"
    # StoreError
    STORE_FAILED = "store-failed"
    STORE_DENIED = "store-denied"
    STORE_FULL = "store-full"
    STORE_BUSY = "store-busy"
    STORE_UNREACHABLE = "store-unreachable"
    STORE_MISSING = "store-missing"
    # CommitUncertain
    COMMIT_UNCERTAIN = "commit-uncertain"


def shown(text: object, limit: int = _SHOWN_LIMIT) -> str:
    """`text` as it may be printed: at most `limit` characters, ``***`` for secrets, what is not printable escaped.

    Stored text is written by strangers; it must not be able to move a cursor or forge a line of a log.
    """
    from modelvault.secrets import redacted  # the errors of a process that sees none cost it nothing

    raw = _text(text)
    cut = redacted(raw[: limit + _AHEAD])[:limit]
    safe = cut if cut.isprintable() else "".join(map(_printable, cut))
    return safe if len(raw) <= limit else safe + "…"


def _printable(c: str) -> str:
    return c if c.isprintable() else c.encode("unicode_escape").decode("ascii")


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # whatever the value's own code raises: a message is still needed
        return f"<{type(value).__qualname__}>"


class VaultError(Exception):
    """The root of all errors of this package.

    `code` says what happened, `hint` what to do next, `ref` which model, version, alias or key it is about.
    """

    def __init__(self, message: str, *, code: Code, hint: str = "", ref: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint
        self.ref = ref
        if hint:
            self.add_note(f"hint: {hint}")

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), dict(self.__dict__))


def _rebuild(kind: type[VaultError], state: dict[str, Any]) -> VaultError:
    error = kind.__new__(kind, state["message"])
    error.args = (state["message"],)
    error.__dict__.update(state)
    return error


class NotFound(VaultError, KeyError):
    """Nothing answers to that name."""


class AlreadyExists(VaultError):
    """The label is taken, and labels are never reused."""


class Conflict(VaultError):
    """Somebody else moved first.  `expected` and `actual` are version numbers (or "nothing")."""

    def __init__(
        self, message: str, *, code: Code, hint: str = "", ref: str = "", expected: str = "", actual: str = ""
    ) -> None:
        super().__init__(message, code=code, hint=hint, ref=ref)
        self.expected = expected
        self.actual = actual


class Refused(VaultError):
    """A gate refused the move.  `verdicts` holds a reason per gate that said no."""

    def __init__(
        self, message: str, *, code: Code, hint: str = "", ref: str = "", verdicts: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message, code=code, hint=hint, ref=ref)
        self.verdicts = verdicts


class Corrupt(VaultError):
    """Stored bytes are not what they claim to be."""


class Untrusted(VaultError):
    """Loading could run code, and nobody whom the reader trusts vouches for it."""


class InvalidInput(VaultError, ValueError):
    """The call itself is wrong."""


class Unsupported(VaultError):
    """This store, format or platform cannot do what was asked."""


class StoreError(VaultError, OSError):
    """The store failed; what was asked may work later, not before `retry_after` seconds if the store said so."""

    def __init__(
        self, message: str, *, code: Code, hint: str = "", ref: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(message, code=code, hint=hint, ref=ref)
        self.retry_after = retry_after


class CommitUncertain(VaultError):
    """The store took the write, or not, and could not say.  `key` and `txn` find out later: read `key`, look for `txn`."""

    def __init__(
        self, message: str, *, code: Code, hint: str = "", ref: str = "", key: str = "", txn: str = ""
    ) -> None:
        super().__init__(message, code=code, hint=hint, ref=ref)
        self.key = key
        self.txn = txn


class StaleAlias(UserWarning):
    """The store cannot be reached, and an alias was resolved to what it was when the store last answered.

    To refuse that: ``warnings.simplefilter("error", StaleAlias)``.
    """


class IncompleteSignature(UserWarning):
    """An example or a signature was given, and something of the model could not be found out, or not be recorded."""
