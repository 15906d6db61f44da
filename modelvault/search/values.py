"""Values as SQLite compares them: numbers it can hold, and texts that sort as what they stand for.  Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime

__all__ = ["instant", "natural", "number_of", "precedence"]


def instant(at: datetime) -> str:
    """A time as a text that sorts as it does."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}".rjust(26, "0")


def number_of(value: float) -> float:
    """A number as SQLite keeps one."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        try:
            return float(value)
        except OverflowError:
            return float("inf") if value > 0 else float("-inf")
    return value


def precedence(number: str) -> str:
    """A version number as a text that sorts as semantic versions do."""
    release, _, before = number.partition("-")
    ids = before.split(".") if before else []
    words = [f"0{len(one):02}{one}!" if one.isdecimal() else f"1{one}!" for one in ids]
    return "".join(f"{len(one):02}{one}" for one in release.split(".")) + ("".join(words) or "~")


def natural(release: str) -> str:
    """The version of a package as a text that sorts by its numbers; letters come before the end, and that before numbers."""
    runs = re.findall(r"[0-9]+|[a-z]+", release.lower(), re.ASCII)
    words = [f"1{len(one.lstrip('0')):03}{one.lstrip('0')}" if one.isdecimal() else f"0{one}" for one in runs]
    return "".join(words) + "0~"
