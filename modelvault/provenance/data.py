"""Fingerprints of training data: named and digested, never copied."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from modelvault.blobs import parallel
from modelvault.canonical import Digest, canonical, digest_of, refuse_secret
from modelvault.errors import Code, InvalidInput, NotFound, shown
from modelvault.folder import found, measured, opened, ranged
from modelvault.paths import path_text
from modelvault.provenance import remote, tables
from modelvault.provenance.urls import without_credentials
from modelvault.wire import DataRef, record

__all__ = ["HASHED", "data_ref", "data_refs"]

HASHED = 16 * 1024**3
"""Bytes of a local file or folder that are read; of a larger file some are."""
_SAMPLES, _SAMPLE = 64, 1024 * 1024
"""Pieces of a large file that are read, and their size in bytes."""


def data_refs(sources: Any) -> tuple[DataRef, ...]:
    """A reference for each of `sources`: one source, or a list of them.

    Raises:
        InvalidInput: `bad-value`, this is no list; and as `data_ref`.
    """
    single = isinstance(sources, str | os.PathLike) or tables.is_table(sources) or remote.is_open_file(sources)
    given = [sources] if single else sources
    try:
        each = [] if isinstance(given, bytes) else [*given]
    except TypeError:
        each = None
    if each is None or isinstance(given, bytes):
        raise InvalidInput(
            f"data is a list of paths, URLs and tables, not {shown(type(sources).__name__)}", code=Code.BAD_VALUE
        )
    return tuple(parallel(data_ref, each))


def data_ref(source: Any) -> DataRef:
    """A reference to `source`, a path, a URL, an open file of fsspec, a table or an array, which says how much it is worth.

    Local files and folders are read, those of more than 16 GiB in part.  Of a URL its store is asked; only where that has
    no ETag are its bytes read, up to 64 MiB.  A URL is recorded without credentials, query or fragment.

    Raises:
        NotFound: `file-not-found`, there is no such file.
        InvalidInput: `bad-value`, this is no data; `bad-path`, what is there cannot be read; `secret-found`, in its name.
    """
    if tables.is_table(source):
        return tables.table_ref(source)
    if remote.is_open_file(source):
        return _remote(without_credentials(source.full_name), source.fs, source.path)
    text = path_text(source, "data")
    if "://" in text and isinstance(source, str):
        uri = without_credentials(text)
        scheme, _, path = uri.partition("://")
        return (
            _local(path if path.startswith("/") else "/" + path, uri) if scheme == "file" else _remote(uri, None, text)
        )
    return _local(text, Path(text).as_posix())


def _remote(uri: str, fs: Any, path: str) -> DataRef:
    refuse_secret(uri, "the URL of data")
    return record(DataRef, uri=uri, **remote.facts(fs, path))


def _local(text: str, uri: str) -> DataRef:
    refuse_secret(uri, "the path of data")
    path = Path(text)
    if not os.path.exists(path):
        raise NotFound(f"there is no data at {shown(text)}", code=Code.FILE_NOT_FOUND, ref=shown(text))
    if path.is_file():
        return record(DataRef, uri=uri, **_file(path))
    files = found(path)
    if sum(os.stat(file).st_size for file, _ in files) > HASHED:
        facts = parallel(lambda file: _file(file[0], 0), files)
        digests, how = [one["digest"] for one in facts], "sample"
        size = sum(one["size"] for one in facts)
    else:
        each = parallel(lambda file: measured(file[0]), files)
        digests, how, size = [digest for _, digest in each], "sha256-tree", sum(size for size, _ in each)
    listing = canonical([[name, digest] for (_, name), digest in zip(files, digests, strict=True)])
    return record(DataRef, uri=uri, how=how, digest=digest_of(listing), size=size)


def _file(path: Path, limit: int = HASHED) -> dict[str, Any]:
    size = os.stat(path).st_size
    if size <= max(limit, _SAMPLES * _SAMPLE):
        size, digest = measured(path)
        return {"how": "sha256", "digest": digest, "size": size}
    return {"how": "sample", "digest": _sampled(path, size), "size": size}


def _sampled(path: Path, size: int) -> Digest:
    """The digest of the size and of 64 pieces of 1 MiB, evenly spread, the first and the last among them."""
    hasher = hashlib.sha256(size.to_bytes(8, "big"))
    with opened(path) as file:
        for number in range(_SAMPLES):
            for chunk in ranged(file, (size - _SAMPLE) * number // (_SAMPLES - 1), _SAMPLE):
                hasher.update(chunk)
    return Digest("sha256:" + hasher.hexdigest())
