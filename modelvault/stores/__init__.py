"""Where a vault is kept: `connect` makes a store of a URL, and `modelvault.stores.port` says what a store is."""

from __future__ import annotations

import os
import re
from typing import Any

from modelvault.errors import Code, InvalidInput, Unsupported, shown
from modelvault.paths import path_text
from modelvault.stores.port import (
    READ_LIMIT,
    Content,
    Data,
    Entry,
    Key,
    KeyExists,
    KeyMissing,
    Sink,
    Span,
    Stages,
    Store,
    Taken,
    checked,
)

__all__ = [
    "READ_LIMIT",
    "Content",
    "Data",
    "Entry",
    "Key",
    "KeyExists",
    "KeyMissing",
    "Sink",
    "Span",
    "Stages",
    "Store",
    "Taken",
    "checked",
    "connect",
]

_URL = re.compile(r"([a-z][a-z0-9+.-]+):(//)?(.*)", re.IGNORECASE | re.DOTALL)
_GROUP = "modelvault.stores"
_CLOUDS = {
    "s3": "s3:S3Store",
    "s3a": "s3:S3Store",
    "gs": "gcs:GCSStore",
    "gcs": "gcs:GCSStore",
    "abfs": "azure:AzureStore",
    "abfss": "azure:AzureStore",
    "az": "azure:AzureStore",
    "sftp": "sftp:SFTPStore",
    "ssh": "sftp:SFTPStore",
}
"""Module and class of each scheme that is kept by a server."""
_WRAPPERS = {
    *(
        "async_wrapper",
        "asynclocal",
        "asyncwrapper",
        "blockcache",
        "cached",
        "data",
        "dir",
        "filecache",
        "generic",
        "local",
    ),
    *("reference", "simplecache"),
}
"""Filesystems around others: a cache around a vault would answer with what was true once."""


def connect(url: str | os.PathLike[str], **options: Any) -> Store:
    """The store at `url`: a path, ``file:///…``, ``memory://name``, ``s3://…``, ``gs://…``, ``abfs://…``, ``sftp://…``.

    A path may begin with ``~``, the home folder (``./~`` is a folder of that name).  What else fsspec knows is opened for
    reading only.
    A package adds one by an entry point of the group ``modelvault.stores``: its name is the scheme, its object is called
    with the URL and the options.

    Raises:
        InvalidInput: `bad-value`, no URL and no path, or an option that the store does not have.
        Unsupported: `unknown-store`, nothing installed knows the scheme; `extra-missing`, what knows it cannot start.
    """
    text = path_text(url, "the place of a vault")
    matched = _URL.fullmatch(text) if isinstance(url, str) else None
    if matched is None:
        return _local(os.path.expanduser(text), options)
    scheme, slashes, rest = matched[1].lower(), matched[2], matched[3]
    if not slashes:
        hint = f"write {scheme}://… for a URL, ./{shown(text)} for a path"
        raise InvalidInput(f"neither a URL nor a path: {shown(text)}", code=Code.BAD_VALUE, hint=hint)
    if scheme == "file":
        return _local(_path(rest), options)
    if scheme == "memory":
        from modelvault.stores.memory import shared

        _refuse(options)
        return shared(rest)
    if scheme in _CLOUDS:
        return _cloud(scheme, text, options)
    return _installed(scheme, text, options)


def _cloud(scheme: str, url: str, options: dict[str, Any]) -> Store:
    from importlib import import_module

    from modelvault.stores.wrappers import Retrying

    module, _, name = _CLOUDS[scheme].partition(":")
    store: Store = getattr(import_module(f"modelvault.stores.{module}"), name)(url, **options)
    return Retrying(store, deadline=options.get("deadline", 60.0))


def _other(scheme: str, url: str, options: dict[str, Any]) -> Store | None:
    """A filesystem of fsspec, for reading, if it knows the scheme and it is no wrapper of others."""
    from fsspec import available_protocols

    from modelvault.stores.readonly import FsspecStore
    from modelvault.stores.wrappers import Retrying

    if scheme in _WRAPPERS or scheme not in available_protocols():
        return None
    return Retrying(FsspecStore(url, **options), deadline=options.get("deadline", 60.0))


def _local(path: str, options: dict[str, Any]) -> Store:
    from modelvault.stores.local import LocalStore

    _refuse(options)
    return LocalStore(path)


def _refuse(options: dict[str, Any]) -> None:
    if options:
        names = ", ".join(sorted(options))
        raise InvalidInput(f"this store has no such options: {shown(names)}", code=Code.BAD_VALUE)


def _path(rest: str) -> str:
    """The path of a ``file://`` URL, whose host is empty or ``localhost``."""
    from urllib.parse import unquote

    path = rest.removeprefix("localhost")
    if not path.startswith("/") or "?" in path or "#" in path:
        hint = "write file:///absolute/path, with ? as %3F and # as %23"
        raise InvalidInput(f"not a file URL: {shown('file://' + rest)}", code=Code.BAD_VALUE, hint=hint)
    return unquote(path, errors="surrogateescape")


def _installed(scheme: str, url: str, options: dict[str, Any]) -> Store:
    from importlib.metadata import entry_points

    found = {each.name: each for each in entry_points(group=_GROUP)}
    if scheme not in found:
        other = _other(scheme, url, options)
        if other is not None:
            return other
        known = ", ".join(["a path", *(f"{name}://" for name in ["file", "memory", *_CLOUDS, "https", *sorted(found)])])
        raise Unsupported(f"no store for {scheme}://", code=Code.UNKNOWN_STORE, hint=f"there is: {known}")
    try:
        factory = found[scheme].load()
    except ImportError as error:
        hint = f"install what {found[scheme].value} needs: {error}"
        raise Unsupported(f"the store for {scheme}:// cannot start", code=Code.EXTRA_MISSING, hint=hint) from error
    store: Store = factory(url, **options)
    return store
