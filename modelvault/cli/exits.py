"""What an exit code says: what the caller may do."""

from __future__ import annotations

from typing import Any

from modelvault import errors
from modelvault.errors import Code, VaultError

EXITS: dict[type[VaultError], int] = {
    errors.InvalidInput: 2,
    errors.NotFound: 3,
    errors.Conflict: 4,
    errors.Refused: 5,
    errors.Corrupt: 6,
    errors.AlreadyExists: 8,
    errors.Untrusted: 9,
    errors.Unsupported: 10,
    errors.CommitUncertain: 11,
    errors.StoreError: 75,
}
"""The exit code of each category of error.  0 is done; 1 is a fault of this program; 75 means "try later" since sendmail."""

EXITS_OF_CODES: dict[str, int] = {Code.STORE_DENIED: 77}
"""Where a category says too little: who is denied now is denied later.  77 means "no permission" since sendmail."""

STEP_FAILED = 7
"""A drill was made, and a step of it failed: no error, but nothing to go on with."""

INTERRUPTED, PIPE_CLOSED = 130, 141
"""As a shell reports SIGINT and SIGPIPE."""


def category(error: VaultError) -> type[VaultError]:
    """The category that an error is of."""
    return next(kind for kind in type(error).__mro__ if kind in EXITS)


def exit_code(error: VaultError) -> int:
    """The exit code for an error."""
    return EXITS_OF_CODES.get(error.code, EXITS[category(error)])


def error_data(error: VaultError) -> dict[str, Any]:
    """An error, for ``--json``."""
    said = {name: value for name, value in vars(error).items() if not name.startswith("_")}
    return {"category": category(error).__name__, "code": error.code, **said}
