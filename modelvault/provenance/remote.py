"""What a store says of data that lies there, within a deadline.  The second door to fsspec."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Mapping
from typing import Any

from modelvault.canonical import Digest, canonical, digest_of
from modelvault.wire import NAME_LIMIT

__all__ = ["SCHEMES", "facts", "is_open_file"]

SCHEMES = {"http", "https", "s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "hf", "memory"}
"""Stores that are asked by URL alone, with the credentials that the user has for them."""
_SECONDS = 10.0
_READ = 64 * 1024 * 1024
_FILES = 10_000
_CHUNK = 1024 * 1024


def is_open_file(source: Any) -> bool:
    """What ``fsspec.open`` gives."""
    return all(hasattr(source, name) for name in ("fs", "path", "full_name"))


def facts(fs: Any, path: str) -> dict[str, Any]:
    """Members of a data reference for `path` in `fs`, or for the URL `path`; ``how="unread"`` where nothing can be said.

    It waits ten seconds at most: data that cannot be asked for is no reason not to publish.
    """
    if fs is None and not re.match(rf"(?:{'|'.join(SCHEMES)})://(?!.*::)", path, re.DOTALL):
        return {"how": "unread"}
    said: list[dict[str, Any]] = []
    asking = threading.Thread(target=_ask, args=(fs, path, said), daemon=True, name="modelvault-data")
    asking.start()
    asking.join(_SECONDS)
    return next(iter([*said]), {"how": "unread"})


def _ask(fs: Any, path: str, said: list[dict[str, Any]]) -> None:
    try:
        fs, path = (fs, path) if fs is not None else _opened(path)
        info = fs.info(path)
        said.append(_folder(fs, path) if info.get("type") == "directory" else _file(fs, path, info))
    except Exception:  # whatever the store, its library or the network raises; it may name a secret, too
        said.append({"how": "unread"})


def _opened(url: str) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    found: tuple[Any, str] = url_to_fs(url)
    return found


def _etag(info: Mapping[str, Any]) -> str:
    return next((str(info[name]).strip('"') for name in ("ETag", "etag", "md5Hash") if info.get(name)), "")[:NAME_LIMIT]


def _file(fs: Any, path: str, info: Mapping[str, Any]) -> dict[str, Any]:
    size, etag = info.get("size"), _etag(info)
    if etag:
        return {"how": "etag", "etag": etag, "size": size}
    if size is None:
        return {"how": "unread"}
    if size > _READ:
        return {"how": "size", "size": size}
    hasher, read = hashlib.sha256(), 0
    with fs.open(path, "rb") as file:
        while (chunk := file.read(_CHUNK)) and read <= _READ:
            hasher.update(chunk)
            read += len(chunk)
    return {"how": "sha256", "digest": Digest("sha256:" + hasher.hexdigest()), "size": read}


def _folder(fs: Any, path: str) -> dict[str, Any]:
    """Of a folder: the digest of the list of its files, each with its size and ETag."""
    files = sorted(fs.find(path, detail=True).items())
    if not files or len(files) > _FILES:
        return {"how": "unread"}
    root = len(fs._strip_protocol(path))  # noqa: SLF001 - as fsspec names its files
    listing = [[name[root:].strip("/"), info.get("size"), _etag(info)] for name, info in files]
    total = sum(size or 0 for _, size, _ in listing)
    if not all(etag for _, _, etag in listing):
        return {"how": "size", "size": total}
    return {"how": "etag-tree", "digest": digest_of(canonical(listing)), "size": total}
