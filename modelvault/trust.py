"""What a reader accepts.  Trust is the reader's: nothing inside an artifact can ask for it.

A format that runs no code from its files loads from anywhere.  A pickle runs whatever its author wrote, so it loads only
from a vault that nobody but the reader can have written, or where the reader has said ``trust="pickle"``.
"""

from __future__ import annotations

from typing import Literal

from modelvault.errors import Code, InvalidInput, Untrusted, shown

__all__ = ["Trust", "check", "level"]

Trust = Literal["pickle"]


def level(text: object) -> Trust | None:
    """`text` as a trust level.

    Raises:
        InvalidInput: `bad-value`, there is no such level.
    """
    if text is None:
        return None
    if isinstance(text, str) and text == "pickle":
        return "pickle"
    raise InvalidInput(
        f"trust={shown(text)} is no trust level", code=Code.BAD_VALUE, hint='trust=None or trust="pickle"'
    )


def check(format: str, *, safe: bool, private: bool, trust: Trust | None, ref: str) -> None:
    """Refuse to deserialise what could run code that nobody vouches for.

    `safe`: loading the format runs no code from its files.  `private`: only the reader can have written the record that
    pins the version's digest.

    Raises:
        Untrusted: `format-not-trusted`.
    """
    if safe or private or trust == "pickle":
        return
    raise Untrusted(
        f"{ref} is stored as {format}, which can run any code when it is loaded, and others may have written it",
        code=Code.FORMAT_NOT_TRUSTED,
        hint='if you trust everyone who can write to this vault: open(url, trust="pickle"); '
        "else publish it in a safe format, or use fetch() to look at the files",
        ref=ref,
    )
