"""Fingerprints of training data: named and digested, never copied."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from modelvault.blobs import parallel
from modelvault.canonical import canonical, digest_of
from modelvault.errors import Code, NotFound, shown
from modelvault.folder import found, measured
from modelvault.paths import path_text
from modelvault.wire import DataRef, record

__all__ = ["data_ref", "without_secrets"]


def data_ref(source: str | os.PathLike[str]) -> DataRef:
    """A reference to `source`: of a local file the digest of its bytes, of a folder that of the list of its files.

    A URL is named only (``how="unread"``), without credentials, query or fragment.

    Raises:
        NotFound: `file-not-found`, there is no such file.
        InvalidInput: `bad-value`, this is no path; `bad-path`, what is there cannot be read.
    """
    text = path_text(source, "data")
    if "://" in text:
        return record(DataRef, uri=without_secrets(text), how="unread")
    path = Path(text)
    if not os.path.exists(path):
        raise NotFound(f"there is no data at {shown(text)}", code=Code.FILE_NOT_FOUND, ref=shown(text))
    if path.is_file():
        size, digest = measured(path)
        return record(DataRef, uri=path.as_posix(), how="sha256", digest=digest, size=size)
    files = found(path)
    each = parallel(lambda file: measured(file[0]), files)
    listing = canonical([[name, digest] for (_, name), (_, digest) in zip(files, each, strict=True)])
    size = sum(size for size, _ in each)
    return record(DataRef, uri=path.as_posix(), how="sha256-tree", digest=digest_of(listing), size=size)


def without_secrets(url: str) -> str:
    """`url` without user, password, query and fragment: what may stand in a record."""
    if "://" not in url:
        host, slash, path = url.partition("/")
        return host.rpartition("@")[2] + slash + path
    try:
        parts = urlsplit(url)
        _ = parts.port  # what looks like one and is none is a piece of a password
    except ValueError:
        return url.partition("://")[0] + "://"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
