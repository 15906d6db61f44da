"""Google Cloud Storage: an upload with ``ifGenerationMatch=0`` is the create."""

from __future__ import annotations

import asyncio
import io
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from modelvault.stores.answers import Refusal, retry_after
from modelvault.stores.place import Place, checked_options, needed
from modelvault.stores.port import READ_LIMIT
from modelvault.stores.remote import Page, Remote

__all__ = ["GCSStore"]

_OURS = {"asynchronous", "loop", "version_aware", "location"}
"""Options of gcsfs that the store decides."""

_NEW: dict[str, Any] = {"ifGenerationMatch": "0"}
_BYTES = {"Content-Type": "application/octet-stream"}
_OBJECTS = "/storage/v1/b/{bucket}/o"
_UPLOAD = "/upload/storage/v1/b/{bucket}/o"
_MORE, _NO_RANGE = 308, 416
"""Statuses: an upload goes on; an object ends before the range."""
_SWITCH = "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"


class GCSStore(Remote):
    """A prefix of a standard bucket, over gcsfs.  Zonal ("Rapid") buckets cannot create under a condition.

    The identity of an endpoint that is not Google's is in the URL: ``gs://bucket/prefix?endpoint=http://host:port``.
    """

    service = "Google Cloud Storage"
    uploads = 1  # parts follow one another

    def __init__(self, url: str, *, deadline: float = 60.0, **options: Any) -> None:
        """The store at ``gs://bucket/prefix[?endpoint=…]``; `options` are those of `gcsfs.GCSFileSystem`.

        Raises:
            InvalidInput: `bad-value`, the URL is malformed, or there is no such option.
            Unsupported: `extra-missing`.
        """
        place = Place.of(url, "endpoint")
        needed("gcsfs", "gcs", url)
        endpoint = options.get("endpoint_url") or place.said.get("endpoint") or os.environ.get("STORAGE_EMULATOR_HOST")
        super().__init__(place.url("gs", endpoint=endpoint or ""), place.prefix, deadline=deadline)
        self._bucket = place.bucket
        self._options = options | ({"endpoint_url": endpoint} if endpoint else {})
        if options:
            checked_options(options, _filesystem(), self.url, _OURS, set())

    def _connect(self) -> Any:
        return _filesystem()(**self._options, skip_instance_cache=True, use_listings_cache=False)

    async def _ask(
        self, method: str, path: str, *, data: bytes = b"", headers: Mapping[str, str] | None = None, **params: Any
    ) -> _Reply:
        """One request, with the credentials of the filesystem.  The body of a reply is left where it exceeds `READ_LIMIT`."""
        fs = self.fs
        await fs._set_session()
        request = fs.session.request(
            method,
            path if "://" in path else fs._location + path.format(bucket=quote(self._bucket, safe="")),
            params=fs._get_params(params),
            headers=await asyncio.to_thread(fs._get_headers, dict(headers or {})),  # it may fetch a token, and wait
            data=io.BytesIO(data) if data else None,
            allow_redirects=False,
        )
        async with request as answer:
            size = answer.content_length or 0
            reply = _Reply(answer.status, answer.headers, size, await answer.read() if size <= READ_LIMIT else b"")
        if reply.status >= 300 and reply.status != _MORE:
            raise _Refused(reply)
        return reply

    async def _read(self, name: str) -> bytes | int:
        reply = await self._ask("GET", _object(name), alt="media")
        return reply.body if reply.size <= READ_LIMIT else reply.size

    async def _range(self, name: str, begin: int, length: int) -> bytes:
        try:
            headers = {"Range": f"bytes={begin}-{begin + length - 1}"}
            return (await self._ask("GET", _object(name), headers=headers, alt="media")).body
        except _Refused as refused:
            if refused.reply.status == _NO_RANGE:
                return b""
            raise

    async def _put(self, name: str, body: bytes) -> None:
        boundary = secrets.token_hex(16)  # which the body cannot know
        head = f"--{boundary}\r\nContent-Type: application/json\r\n\r\n{json.dumps({'name': name})}\r\n--{boundary}\r\n"
        data = f"{head}Content-Type: application/octet-stream\r\n\r\n".encode() + body + f"\r\n--{boundary}--".encode()
        headers = {"Content-Type": f"multipart/related; boundary={boundary}"}
        await self._ask("POST", _UPLOAD, data=data, headers=headers, uploadType="multipart", **_NEW)

    async def _page(self, prefix: str, limit: int | None, mark: Any) -> Page:
        given: dict[str, Any] = {"maxResults": str(min(limit, 1000))} if limit is not None else {}
        given |= {"pageToken": mark} if mark else {}
        fields = "items(name,size),prefixes,nextPageToken"
        reply = await self._ask("GET", _OBJECTS, prefix=prefix, delimiter="/", fields=fields, **given)
        try:
            found = json.loads(reply.body)
            objects = [(each["name"], int(each["size"])) for each in found.get("items", ())]
            return Page(objects, found.get("prefixes", []), found.get("nextPageToken"))
        except (ValueError, LookupError, TypeError, AttributeError) as error:  # somebody else has answered
            raise _Refused(reply) from error

    async def _remove(self, name: str) -> None:
        await self._ask("DELETE", _object(name))

    async def _begin(self, name: str) -> Any:
        reply = await self._ask("POST", _UPLOAD, headers=_BYTES, name=name, uploadType="resumable", **_NEW)
        return _Session(reply.headers["Location"])

    async def _part(self, name: str, upload: Any, number: int, body: bytes, *, last: bool) -> Any:
        """Send what the session does not have of `body` yet: it keeps what came before a connection broke."""
        end = upload.begin + len(body)
        if upload.number == number:
            had = await self._ask("PUT", upload.url, headers={"Content-Range": f"bytes */{end if last else '*'}"})
            upload.kept = _kept(had) if had.status == _MORE else end
        upload.number = number
        while upload.kept < end:
            place = f"bytes {upload.kept}-{end - 1}/{end if last else '*'}"
            data = body[upload.kept - upload.begin :]
            reply = await self._ask("PUT", upload.url, data=data, headers={"Content-Range": place})
            upload.kept = _kept(reply) if reply.status == _MORE else end
        upload.begin = end

    async def _finish(self, name: str, upload: Any, parts: Sequence[Any]) -> None:
        """The last part has done it."""

    async def _abandon(self, name: str, upload: Any) -> None:
        await self._ask("DELETE", upload.url)

    def _refusal(self, error: Exception) -> Refusal | None:
        import aiohttp
        from google.auth.exceptions import GoogleAuthError

        if isinstance(error, _Refused):
            return Refusal(error.reply.status, _word(error.reply.body), retry_after(error.reply.headers))
        if isinstance(error, GoogleAuthError):
            return Refusal(401, "NoCredentials")
        if isinstance(error, aiohttp.ClientError | OSError):
            return Refusal(0, type(error).__name__)
        return None


class _Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    size: int
    body: bytes


class _Refused(Exception):
    def __init__(self, reply: _Reply) -> None:
        super().__init__(f"{reply.status} {_word(reply.body)}")
        self.reply = reply


class _Session:
    """A resumable upload: where the part that is under way begins, which it is, and up to where bytes are kept."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.begin = self.kept = self.number = 0


def _kept(reply: _Reply) -> int:
    """How many bytes a session has: ``Range: bytes=0-99`` is 100, none at all is 0."""
    return int(reply.headers["Range"].rpartition("-")[2]) + 1 if "Range" in reply.headers else 0


def _word(body: bytes) -> str:
    """The service's own word for what went wrong."""
    try:
        said = json.loads(body)["error"]
        return str(said["errors"][0]["reason"] if said.get("errors") else said.get("status", ""))
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""


def _object(name: str) -> str:
    return f"{_OBJECTS}/{quote(name, safe='')}"  # a key has no brace


def _filesystem() -> Any:
    """The filesystem of gcsfs, without its experimental part, which asks what kind of bucket it is by another protocol."""
    before = os.environ.get(_SWITCH)
    os.environ.setdefault(_SWITCH, "false")
    try:
        from gcsfs.core import GCSFileSystem
    finally:
        if before is None:
            os.environ.pop(_SWITCH, None)
    return GCSFileSystem
