"""What the answers of a service mean: from an HTTP status and the service's own word to the category of an error."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import NamedTuple

from modelvault.errors import Code, StoreError, VaultError, shown
from modelvault.stores.port import KeyExists, KeyMissing

__all__ = ["Refusal", "failed", "refused", "retry_after"]


class Refusal(NamedTuple):
    """What a server answered instead: an HTTP status (0 for none), its own word for it, and ``Retry-After`` in seconds."""

    status: int
    word: str = ""
    retry_after: float | None = None


def refused(url: str, key: str, refusal: Refusal) -> VaultError:
    """The error for a refusal by the service at `url`, to a request for `key`."""
    status, word, retry_after = refusal
    if status in {404, 410} and word not in _NO_BUCKET:
        return KeyMissing(key)
    if status == 412:
        return KeyExists(key)
    said = f"answered {status} {word}".rstrip() if status else f"cannot be reached: {word}"
    return failed(url, key, _code(status, word), said, retry_after)


def failed(url: str, key: str, code: Code, said: str, retry_after: float | None = None) -> StoreError:
    """The error for what the service at `url` did."""
    message = f"{shown(url)} {shown(said)}"
    return StoreError(message, code=code, hint=_HINTS[code], ref=key, retry_after=retry_after)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that ``Retry-After`` asks for, as a number or a date (RFC 9110, 10.2.3)."""
    from datetime import UTC, datetime
    from email.utils import parsedate_to_datetime

    said = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    with contextlib.suppress(ValueError):
        return max(0.0, float(said))
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds())
    return None


_BUSY = {"SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "ServerBusy", "TooManyRequests"}
_DENIED = {
    "AccessDenied",
    "AuthenticationFailed",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "NoCredentials",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
}
_NO_BUCKET = {"NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted"}
_HINTS = {
    Code.STORE_BUSY: "try again later, with fewer writers at once",
    Code.STORE_DENIED: "check the credentials, when they expire, and what they may do: docs/how-to tells the least rights",
    Code.STORE_FAILED: "try again; if it stays so, look at the service",
    Code.STORE_FULL: "make room, or raise the quota",
    Code.STORE_MISSING: "correct the URL, or create the bucket first",
    Code.STORE_UNREACHABLE: "check the network and the endpoint, then try again",
}


def _code(status: int, word: str) -> Code:
    if status == 429 or word in _BUSY:
        return Code.STORE_BUSY
    if status in {401, 403} or word in _DENIED:
        return Code.STORE_DENIED
    if word in _NO_BUCKET:
        return Code.STORE_MISSING
    if status == 507 or "Quota" in word:
        return Code.STORE_FULL
    return Code.STORE_UNREACHABLE if status in {0, 502, 503, 504} else Code.STORE_FAILED
