"""URLs as they may stand in a record."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

__all__ = ["without_credentials"]


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
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
