"""S3, and what speaks its protocol: `PutObject` with ``If-None-Match: *`` is the create."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from modelvault.stores.answers import Refusal, retry_after
from modelvault.stores.place import Place, checked_options, needed
from modelvault.stores.port import READ_LIMIT
from modelvault.stores.remote import Page, Remote

__all__ = ["S3Store"]

_CONFIG = {
    "connect_timeout": 10,
    "max_pool_connections": 64,
    "read_timeout": 60,
    "retries": {"total_max_attempts": 1},
}
"""Of botocore.  It must not repeat requests: the second would find the first."""

_OURS = {"asynchronous", "loop", "version_aware"}
"""Options of s3fs that the store decides."""
_FOLDER_BUCKET = "--x-s3"
"""How names of buckets end whose listings have no order."""


class S3Store(Remote):
    """A prefix of an S3 bucket, over s3fs.

    The identity of an endpoint that is not Amazon's is in the URL: ``s3://bucket/prefix?endpoint=http://host:port``.
    """

    service = "S3"

    def __init__(self, url: str, *, deadline: float = 60.0, **options: Any) -> None:
        """The store at ``s3://bucket/prefix[?endpoint=…]``; `options` are those of `s3fs.S3FileSystem`.

        Raises:
            InvalidInput: `bad-value`, the URL is malformed, or there is no such option.
            Unsupported: `extra-missing`.
        """
        place = Place.of(url, "endpoint")
        needed("s3fs", "s3", url)
        named = options.get("endpoint_url") or options.get("client_kwargs", {}).get("endpoint_url")
        endpoint = named or place.said.get("endpoint") or _endpoint_of_environment()
        super().__init__(place.url("s3", endpoint=endpoint), place.prefix, deadline=deadline)
        self._bucket = place.bucket
        self.ordered = not place.bucket.endswith(_FOLDER_BUCKET)
        self._options = options | ({"endpoint_url": endpoint} if endpoint and not named else {})
        config = _CONFIG | (options.get("config_kwargs") or {}) | {"retries": _CONFIG["retries"]}
        self._options |= {"config_kwargs": config}
        if options:
            from s3fs import S3FileSystem

            checked_options(options, S3FileSystem, self.url, _OURS, {"profile"})

    def _connect(self) -> Any:
        from s3fs import S3FileSystem

        return S3FileSystem(**self._options, skip_instance_cache=True, use_listings_cache=False)

    async def _ask(self, verb: str, **given: Any) -> Any:
        """One request, with what the options say goes with each (encryption, who pays)."""
        await self.fs.set_session()
        client = await self.fs.get_s3(self._bucket)
        method = getattr(client, verb)
        return await method(**self.fs._get_s3_method_kwargs(method) | {"Bucket": self._bucket} | given)

    async def _read(self, name: str) -> bytes | int:
        answer = await self._ask("get_object", Key=name)
        size: int = answer["ContentLength"]
        async with answer["Body"] as body:
            if size > READ_LIMIT:
                body.close()
                return size
            data: bytes = await body.read()
            return data

    async def _range(self, name: str, begin: int, length: int) -> bytes:
        try:
            answer = await self._ask("get_object", Key=name, Range=f"bytes={begin}-{begin + length - 1}")
        except Exception as error:
            if _word(error) == "InvalidRange":
                return b""
            raise
        async with answer["Body"] as body:
            data: bytes = await body.read()
            return data

    async def _put(self, name: str, body: bytes) -> None:
        await self._ask("put_object", Key=name, Body=body, IfNoneMatch="*")

    async def _page(self, prefix: str, limit: int | None, mark: Any) -> Page:
        given = {"MaxKeys": min(limit, 1000)} if limit is not None else {}
        given |= {"ContinuationToken": mark} if mark else {}
        answer = await self._ask("list_objects_v2", Prefix=prefix, Delimiter="/", **given)
        objects = [(each["Key"], each["Size"]) for each in answer.get("Contents", ())]
        folders = [each["Prefix"] for each in answer.get("CommonPrefixes", ())]
        return Page(objects, folders, answer.get("NextContinuationToken") if answer.get("IsTruncated") else None)

    async def _remove(self, name: str) -> None:
        await self._ask("delete_object", Key=name)

    async def _begin(self, name: str) -> Any:
        return (await self._ask("create_multipart_upload", Key=name))["UploadId"]

    async def _part(self, name: str, upload: Any, number: int, body: bytes, *, last: bool) -> Any:
        answer = await self._ask("upload_part", Key=name, UploadId=upload, PartNumber=number, Body=body)
        return {"ETag": answer["ETag"], "PartNumber": number}

    async def _finish(self, name: str, upload: Any, parts: Sequence[Any]) -> None:
        whole = {"Parts": [*parts]}
        await self._ask("complete_multipart_upload", Key=name, UploadId=upload, MultipartUpload=whole, IfNoneMatch="*")

    async def _abandon(self, name: str, upload: Any) -> None:
        await self._ask("abort_multipart_upload", Key=name, UploadId=upload)

    def _refusal(self, error: Exception) -> Refusal | None:
        import aiohttp
        from botocore import exceptions as boto

        if isinstance(error, boto.ClientError):
            answer = error.response.get("ResponseMetadata", {})
            return Refusal(answer.get("HTTPStatusCode", 0), _word(error), retry_after(answer.get("HTTPHeaders", {})))
        if isinstance(error, _no_credentials(boto)):
            return Refusal(401, "NoCredentials")
        if isinstance(error, boto.HTTPClientError | boto.ConnectionError | aiohttp.ClientError | OSError):
            return Refusal(0, type(error).__name__)
        if isinstance(error, boto.ParamValidationError | boto.BotoCoreError):
            return Refusal(400, type(error).__name__)
        return None


def _word(error: Exception) -> str:
    """The service's own word for what went wrong."""
    said = getattr(error, "response", None) or {}  # a lost connection has None
    return str(said.get("Error", {}).get("Code", ""))


def _no_credentials(boto: Any) -> tuple[type[Exception], ...]:
    return (boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError, boto.ProfileNotFound)


def _endpoint_of_environment() -> str:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
