"""Any other filesystem of fsspec, for reading: https, zip, git, WebDAV and the rest.  None of them decides a create."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from modelvault.errors import Code, Corrupt, InvalidInput, StoreError, Unsupported, VaultError, shown
from modelvault.stores.answers import Refusal, refused
from modelvault.stores.fork import PerProcess
from modelvault.stores.place import bare
from modelvault.stores.port import (
    READ_LIMIT,
    Data,
    Entry,
    Key,
    KeyMissing,
    Sink,
    Span,
    checked,
    checked_prefix,
)

__all__ = ["FsspecStore"]

_CHUNK = 1024 * 1024
_ABSENT = (FileNotFoundError, IsADirectoryError, NotADirectoryError, KeyError)
_OTHER = 500
T = TypeVar("T")


class FsspecStore:
    """A folder of any filesystem that fsspec knows.  It is read as it is now, past no cache, and never written to.

    Aliases need a filesystem that lists; where one does not, versions can be loaded by their number.
    """

    exclusive = False

    def __init__(self, url: str, *, deadline: float = 60.0, **options: Any) -> None:
        """The folder at `url`; `options` are those of its filesystem, `deadline` the seconds that connecting may take.

        Raises:
            InvalidInput: `bad-value`, the URL holds a password, or chains filesystems.
        """
        if "::" in url or "@" in url.partition("://")[2].partition("/")[0]:
            raise InvalidInput(
                f"not the URL of a place in a store: {shown(bare(url))}",
                code=Code.BAD_VALUE,
                hint="give credentials as options; open the inner URL: a vault has its own cache, and wants no other",
            )
        self.url = bare(url).rstrip("/")
        self._fs = PerProcess(partial(_opened, url, options))
        self._root = _class(url)._strip_protocol(url).rstrip("/")  # noqa: SLF001 - as every filesystem is asked

    def private(self, key: Key) -> bool:
        """Never: who can write there is not to be seen from here."""
        checked(key)
        return False

    def read(self, key: Key) -> bytes:
        """The whole of a small object."""
        checked(key)
        with self._open(key) as file:
            data: bytes = self._do(key, lambda: file.read(READ_LIMIT + 1))
        if len(data) > READ_LIMIT:
            raise Corrupt(f"{key} has more than {READ_LIMIT} bytes and is no record", code=Code.TOO_LARGE, ref=key)
        return data

    def create(self, key: Key, data: Data) -> None:
        """Never."""
        checked(key)
        raise _no_writing(self.url)

    def fetch(self, key: Key, spans: Sequence[Span], sink: Sink) -> None:
        """Hand the bytes of `spans` to `sink`, in order."""
        checked(key)
        with self._open(key) as file:
            for offset, length in spans:
                at, end = offset, offset + length
                while at < end:
                    size = min(_CHUNK, end - at)
                    chunk = self._do(key, partial(_read_at, file, at, size))
                    if len(chunk) != size:
                        raise Corrupt(f"{key} has not {length} bytes from {offset}", code=Code.DIGEST_MISMATCH, ref=key)
                    sink(at, chunk)
                    at += size

    def list(self, prefix: str, *, limit: int | None = None) -> Iterator[Entry]:
        """One level of the tree."""
        folder, slash, start = checked_prefix(prefix).rpartition("/")
        path = self._path(folder)
        try:
            found = self._do(prefix, lambda: self._fs.get().ls(f"{path}/" if path else "", detail=True))
        except KeyMissing:
            found = []
        lines = sorted(_lines(found, folder + slash, start))
        return iter([self._sized(key, size, name) for key, size, name in islice(lines, limit)])

    def delete(self, key: Key) -> None:
        """Never."""
        checked(key)
        raise _no_writing(self.url)

    def _path(self, key: str) -> str:
        return "/".join(part for part in (self._root, key) if part)

    def _sized(self, key: str, size: int, name: str) -> Entry:
        """A line of a listing, asked for its size where the listing does not say."""
        if size < 0:
            size = self._do(key, lambda: self._fs.get().size(name)) or 0
        return Entry(Key(key), size)

    def _open(self, key: str) -> Any:
        return self._do(key, lambda: _file(self._fs.get(), self._path(key)))

    def _do(self, key: str, call: Callable[[], T]) -> T:
        try:
            return call()
        except _ABSENT as error:
            answer = _answer(error.__cause__ or error)  # over http, "not found" is said of whatever went wrong
            raise (KeyMissing(key) if answer.status == _OTHER else refused(self.url, key, answer)) from error
        except VaultError:
            raise
        except Exception as error:  # every filesystem has its own
            raise refused(self.url, key, _answer(error)) from error


def _class(url: str) -> Any:
    from fsspec import get_filesystem_class

    scheme = url.partition("://")[0].lower()
    try:
        return get_filesystem_class(scheme)
    except ImportError as error:
        hint = "pip install 'modelvault-sdk[http]'" if scheme in {"http", "https"} else shown(error)
        raise Unsupported(f"{shown(bare(url))} cannot be opened", code=Code.EXTRA_MISSING, hint=hint) from error


def _opened(url: str, options: dict[str, Any]) -> Any:
    from fsspec.core import url_to_fs

    try:
        return url_to_fs(url, skip_instance_cache=True, use_listings_cache=False, **options)[0]
    except (TypeError, ValueError) as error:  # their text may hold what was given
        message = f"{shown(bare(url))} cannot be opened with these options: {type(error).__name__}"
        raise InvalidInput(message, code=Code.BAD_VALUE) from None


def _file(fs: Any, path: str) -> Any:
    return fs.open(path, "rb", **({"cache_type": "none"} if "http" in fs.protocol else {}))


def _read_at(file: Any, at: int, size: int) -> bytes:
    if file.tell() != at:
        file.seek(at)
    data = b""
    while len(data) < size and (more := file.read(size - len(data))):
        data += more
    return data


def _lines(found: Sequence[dict[str, Any]], folder: str, start: str) -> Iterator[tuple[str, int, str]]:
    """Key, size (-1 where it is not said) and the filesystem's own name, of what has the right name."""
    for each in found:
        name = each["name"].rstrip("/").rpartition("/")[2]
        if name.startswith(start):
            try:
                key = checked(folder + name)
            except InvalidInput:
                continue
            is_folder = each["type"] == "directory" or each["name"].endswith("/")
            size = each.get("size")
            yield (key + "/", 0, "") if is_folder else (key, -1 if size is None else size, each["name"])


def _answer(error: BaseException) -> Refusal:
    if isinstance(error, PermissionError):
        return Refusal(403, "")
    if isinstance(error, TimeoutError | ConnectionError):
        return Refusal(0, type(error).__name__)
    status = getattr(error, "status", 0)
    if isinstance(status, int) and status:
        return Refusal(status, "")
    unreached = "Connect" in type(error).__name__ or "Timeout" in type(error).__name__
    return Refusal(0 if unreached else _OTHER, type(error).__name__)


def _no_writing(url: str) -> StoreError:
    hint = "write through a path, s3://, gs://, abfs:// or sftp://"
    return StoreError(f"{shown(url)} is open for reading only", code=Code.STORE_DENIED, hint=hint)
