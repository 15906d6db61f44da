"""Azure Blob Storage: `Put Blob` with ``If-None-Match: *`` is the create."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Sequence
from typing import Any

from modelvault.errors import Code, InvalidInput, shown
from modelvault.stores.answers import Refusal, retry_after
from modelvault.stores.place import Place, bare, checked_options, needed
from modelvault.stores.port import READ_LIMIT
from modelvault.stores.remote import Page, Remote

__all__ = ["AzureStore"]

_OURS = {"asynchronous", "loop", "version_aware", "request_session", "socket_timeout"}
"""Options of adlfs that the store decides."""

_LONG_URL = re.compile(r"(\w+)://([^@/]+)@([\w-]+)\.(?:dfs|blob)\.core\.windows\.net(/[^?]*)?\Z")
_FOLDER = "hdi_isfolder"
_ONCE: dict[str, Any] = {"retry_total": 0}
"""The service's library must not repeat requests: the second would find the first."""


class AzureStore(Remote):
    """A prefix of a container, over adlfs.

    The identity of the account is in the URL: ``abfs://container/prefix?account=name``, also written as
    ``abfs://container@name.dfs.core.windows.net/prefix``.
    """

    service = "Azure Blob Storage"

    def __init__(self, url: str, *, deadline: float = 60.0, **options: Any) -> None:
        """The store at ``abfs://container/prefix``; `options` are those of `adlfs.AzureBlobFileSystem`.

        Raises:
            InvalidInput: `bad-value`, the URL is malformed, or there is no such option.
            Unsupported: `extra-missing`.
        """
        place = Place.of(_LONG_URL.sub(r"\1://\2\4?account=\3", url), "account", "endpoint")
        needed("adlfs", "azure", url)
        account = (
            options.get("account_name") or place.said.get("account") or os.environ.get("AZURE_STORAGE_ACCOUNT_NAME")
        )
        said = _said(options.get("connection_string") or os.environ.get("AZURE_STORAGE_CONNECTION_STRING") or "")
        account = account or said.get("AccountName") or ""
        if place.said.get("endpoint", "") not in ("", bare(said.get("BlobEndpoint", ""))):
            raise InvalidInput(
                "the endpoint in the URL is not the one of the connection string",
                code=Code.BAD_VALUE,
                hint="an endpoint that is not Azure's is given by connection_string= or AZURE_STORAGE_CONNECTION_STRING",
            )
        where = place.url("abfs", account=account, endpoint=said.get("BlobEndpoint", ""))
        super().__init__(where, place.prefix, deadline=deadline)
        self._container = place.bucket
        self._options = options | ({"account_name": account} if account else {})
        if options:
            from adlfs import AzureBlobFileSystem

            checked_options(options, AzureBlobFileSystem, self.url, _OURS, set())

    def _connect(self) -> Any:
        from adlfs import AzureBlobFileSystem

        try:
            return AzureBlobFileSystem(**self._options, skip_instance_cache=True, use_listings_cache=False)
        except ValueError as error:  # its message may hold the connection string
            raise InvalidInput(
                f"{shown(self.url)} cannot be opened with these options",
                code=Code.BAD_VALUE,
                hint="give account_name and credentials, or a connection_string; or set AZURE_STORAGE_…",
            ) from None if self._options else error

    def _blob(self, name: str) -> Any:
        return self.fs.service_client.get_blob_client(self._container, name)

    async def _read(self, name: str) -> bytes | int:
        found = await self._found(name, 0, READ_LIMIT + 1)
        if found is None:
            return b""
        size: int = found.properties.size
        return bytes(await found.readall()) if size <= READ_LIMIT else size

    async def _range(self, name: str, begin: int, length: int) -> bytes:
        found = await self._found(name, begin, length)
        return b"" if found is None else bytes(await found.readall())

    async def _found(self, name: str, begin: int, length: int) -> Any:
        """The answer to a request for a range; None where the object ends before it, or is empty."""
        from azure.core.exceptions import HttpResponseError

        try:
            return await self._blob(name).download_blob(begin, length, **_ONCE)
        except HttpResponseError as error:
            if _word(error) == "InvalidRange":
                return None
            raise

    async def _put(self, name: str, body: bytes) -> None:
        await self._blob(name).upload_blob(body, overwrite=False, length=len(body), max_concurrency=1, **_ONCE)

    async def _page(self, prefix: str, limit: int | None, mark: Any) -> Page:
        container = self.fs.service_client.get_container_client(self._container)
        pages = container.walk_blobs(prefix, delimiter="/", results_per_page=limit, **_ONCE).by_page(mark)
        objects, folders = list[tuple[str, int]](), list[str]()
        async for each in await anext(pages):
            if each.name.endswith("/"):
                folders.append(each.name)
            elif not (each.metadata or {}).get(_FOLDER):
                objects.append((each.name, each.size))
        return Page(objects, folders, pages.continuation_token or None)

    async def _remove(self, name: str) -> None:
        await self._blob(name).delete_blob(**_ONCE)

    async def _begin(self, name: str) -> Any:
        return secrets.token_hex(8)

    async def _part(self, name: str, upload: Any, number: int, body: bytes, *, last: bool) -> Any:
        block = f"{upload}-{number:06}"  # of one length for a blob, as the service wants it
        await self._blob(name).stage_block(block, body, len(body), **_ONCE)
        return block

    async def _finish(self, name: str, upload: Any, parts: Sequence[Any]) -> None:
        from azure.core import MatchConditions
        from azure.storage.blob import BlobBlock

        blocks = [BlobBlock(block) for block in parts]
        new = {"match_condition": MatchConditions.IfMissing}
        await self._blob(name).commit_block_list(blocks, **new, **_ONCE)

    def _refusal(self, error: Exception) -> Refusal | None:
        import aiohttp
        from azure.core import exceptions as azure

        if isinstance(error, azure.HttpResponseError) and error.status_code:
            word, headers = _word(error), getattr(error.response, "headers", {})
            return Refusal(412 if word == "BlobAlreadyExists" else error.status_code, word, retry_after(headers))
        if isinstance(error, ValueError):  # the library makes nothing of what somebody else has answered
            return Refusal(200, type(error).__name__)
        if isinstance(error, azure.ClientAuthenticationError):
            return Refusal(401, "NoCredentials")
        if isinstance(error, azure.AzureError | aiohttp.ClientError | OSError):
            return Refusal(0, type(error).__name__)
        return None


def _word(error: Exception) -> str:
    """The service's own word for what went wrong."""
    word = getattr(error, "error_code", None) or ""
    return str(getattr(word, "value", word))


def _said(connection_string: str) -> dict[str, str]:
    """The parts of a connection string, by name."""
    return dict(part.split("=", 1) for part in connection_string.split(";") if "=" in part)
