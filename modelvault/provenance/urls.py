"""URLs as they may stand in a record."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

__all__ = ["without_credentials"]

_HOST = re.compile(r"@(?:[\w-]+\.)+[A-Za-z]{2,}(?::\d+)?(?:/|\Z)")
"""In the path of a URL: what stands before it is a user or password with a ``/`` in it."""


def without_credentials(url: str) -> str:
    """`url`, or a place such as ``git@host:path``, without user, password, query and fragment."""
    if "://" not in url:
        host, slash, path = url.partition("/")
        return host.rpartition("@")[2] + slash + path
    try:
        parts = urlsplit(url)
        _ = parts.port  # what looks like one and is none is a piece of a password
    except ValueError:
        return url.partition("://")[0] + "://"
    if _HOST.search(parts.path):
        return parts.scheme + "://"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
