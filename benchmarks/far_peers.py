"""The task on a bucket: publish a small model and a large file, load the current one of each.

Each class is what a user of that package would write, from its own documentation and with its own defaults.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

PIECE = 8 * 1024 * 1024
"""Bytes of a request of the raw clients."""
AT_ONCE = 8
"""Their requests under way."""


class FarPeer:
    """A package, and where its bucket is: `settings` has url, endpoint, key and secret."""

    title: ClassVar[str]
    package: ClassVar[str]

    def __init__(self, settings: dict[str, str]) -> None:
        raise NotImplementedError

    def publish_small(self, model: Any) -> None:
        """Store a model, and make it the current one."""
        raise NotImplementedError

    def publish_large(self, path: Path) -> None:
        """Store a file, and make it the current one."""
        raise NotImplementedError

    def load_small(self) -> Any:
        """The current model."""
        raise NotImplementedError

    def load_large(self) -> Path:
        """The current file, on this disk."""
        raise NotImplementedError


class Pins(FarPeer):
    """Versions and "the latest"; a cache."""

    title = "pins"
    package = "pins"

    def __init__(self, settings: dict[str, str]) -> None:
        import pins

        _environment(settings)
        os.environ["PINS_CACHE_DIR"] = os.path.abspath("pins-cache")
        self.board = pins.board_s3(settings["url"].removeprefix("s3://"), allow_pickle_read=True)

    def publish_small(self, model: Any) -> None:
        self.board.pin_write(model, "small", type="joblib")

    def publish_large(self, path: Path) -> None:
        self.board.pin_upload([str(path)], "large")

    def load_small(self) -> Any:
        return self.board.pin_read("small")

    def load_large(self) -> Path:
        (path,) = self.board.pin_download("large")
        return Path(path)


class MLflow(FarPeer):
    """Aliases in a database on this machine, which is not held back; files in the bucket; no cache."""

    title = "MLflow (sqlite)"
    package = "mlflow"

    def __init__(self, settings: dict[str, str]) -> None:
        import mlflow

        _environment(settings)
        os.environ["MLFLOW_S3_ENDPOINT_URL"] = settings["endpoint"]
        self.client = mlflow.MlflowClient()
        if mlflow.get_experiment_by_name("far") is None:
            mlflow.create_experiment("far", artifact_location=settings["url"])
        mlflow.set_experiment("far")

    def publish_small(self, model: Any) -> None:
        import mlflow

        done = mlflow.sklearn.log_model(model, name="model", registered_model_name="small")
        self.client.set_registered_model_alias("small", "prod", str(done.registered_model_version))

    def publish_large(self, path: Path) -> None:
        import mlflow

        with mlflow.start_run() as run:
            mlflow.log_artifact(str(path))
        self.client.create_registered_model("large")
        version = self.client.create_model_version("large", f"{run.info.artifact_uri}", run.info.run_id)
        self.client.set_registered_model_alias("large", "prod", version.version)

    def load_small(self) -> Any:
        import mlflow

        return mlflow.sklearn.load_model("models:/small@prod")

    def load_large(self) -> Path:
        import mlflow

        return next(Path(mlflow.artifacts.download_artifacts("models:/large@prod")).glob("**/large.bin"))


class Modelvault(FarPeer):
    """Aliases in the bucket; every byte is verified; a cache."""

    title = "modelvault"
    package = "modelvault"

    def __init__(self, settings: dict[str, str]) -> None:
        import modelvault

        options = {"key": settings["key"], "secret": settings["secret"], "endpoint_url": settings["endpoint"]}
        cache = os.path.abspath(f"cache-{os.getpid()}")
        self.vault = modelvault.open(settings["url"], cache=cache, trust="pickle", **options)

    def publish_small(self, model: Any) -> None:
        self.vault.promote("small@prod", self.vault.publish("small", model), reason="measured")

    def publish_large(self, path: Path) -> None:
        self.vault.promote("large@prod", self.vault.publish("large", path), reason="measured")

    def load_small(self) -> Any:
        return self.vault.load("small@prod")

    def load_large(self) -> Path:
        return self.vault.fetch("large@prod") / "large.bin"


class Raw(FarPeer):
    """No registry at all: one object for each, sent and fetched in pieces, many at once.  The floor."""

    title = "raw aiobotocore"
    package = "aiobotocore"

    def __init__(self, settings: dict[str, str]) -> None:
        import asyncio

        from aiobotocore.config import AioConfig
        from aiobotocore.session import get_session

        _environment(settings)
        self.bucket, _, self.prefix = settings["url"].removeprefix("s3://").partition("/")
        self.loop = asyncio.new_event_loop()
        client = get_session().create_client("s3", config=AioConfig(max_pool_connections=AT_ONCE))
        self.client: Any = self.loop.run_until_complete(client.__aenter__())

    def publish_small(self, model: Any) -> None:
        self._ask("put_object", Key=f"{self.prefix}/small", Body=pickle.dumps(model))

    def load_small(self) -> Any:
        return pickle.loads(self.loop.run_until_complete(self._get("small")))

    def publish_large(self, path: Path) -> None:
        with path.open("rb") as file:
            self.loop.run_until_complete(self._publish_large(file.fileno(), path.stat().st_size))

    def load_large(self) -> Path:
        size = self._ask("head_object", Key=f"{self.prefix}/large")["ContentLength"]
        path = Path(f"large-{os.getpid()}")
        with path.open("wb", buffering=0) as file:
            self.loop.run_until_complete(self._all(lambda at: self._piece_to(file.fileno(), at), size))
        return path

    async def _publish_large(self, file: int, size: int) -> None:
        key = {"Bucket": self.bucket, "Key": f"{self.prefix}/large"}
        upload = {"UploadId": (await self.client.create_multipart_upload(**key))["UploadId"]}

        async def send(at: int) -> dict[str, Any]:
            number = at // PIECE + 1
            body = os.pread(file, PIECE, at)
            answer = await self.client.upload_part(**key, **upload, PartNumber=number, Body=body)
            return {"ETag": answer["ETag"], "PartNumber": number}

        parts = await self._all(send, size)
        await self.client.complete_multipart_upload(**key, **upload, MultipartUpload={"Parts": parts})

    async def _all(self, work: Callable[[int], Coroutine[Any, Any, Any]], size: int) -> list[Any]:
        import asyncio

        room = asyncio.Semaphore(AT_ONCE)

        async def one(at: int) -> Any:
            async with room:
                return await work(at)

        return await asyncio.gather(*(one(at) for at in range(0, size, PIECE)))

    async def _piece_to(self, file: int, at: int) -> None:
        os.pwrite(file, await self._get("large", Range=f"bytes={at}-{at + PIECE - 1}"), at)

    async def _get(self, name: str, **given: str) -> bytes:
        answer = await self.client.get_object(Bucket=self.bucket, Key=f"{self.prefix}/{name}", **given)
        async with answer["Body"] as body:
            data: bytes = await body.read()
            return data

    def _ask(self, verb: str, **given: Any) -> Any:
        return self.loop.run_until_complete(getattr(self.client, verb)(Bucket=self.bucket, **given))


class Obstore(FarPeer):
    """The same with a client in Rust."""

    title = "raw obstore"
    package = "obstore"

    def __init__(self, settings: dict[str, str]) -> None:
        from obstore.store import S3Store

        bucket, _, prefix = settings["url"].removeprefix("s3://").partition("/")
        self.store = S3Store(
            bucket,
            prefix=prefix,
            endpoint=settings["endpoint"],
            access_key_id=settings["key"],
            secret_access_key=settings["secret"],
            region="us-east-1",
            client_options={"allow_http": True},
        )

    def publish_small(self, model: Any) -> None:
        self.store.put("small", pickle.dumps(model))

    def load_small(self) -> Any:
        return pickle.loads(bytes(self.store.get("small").bytes()))

    def publish_large(self, path: Path) -> None:
        self.store.put("large", path, chunk_size=PIECE, max_concurrency=AT_ONCE)

    def load_large(self) -> Path:
        size, path = self.store.head("large")["size"], Path(f"large-{os.getpid()}")
        with path.open("wb", buffering=0) as file, ThreadPoolExecutor(AT_ONCE) as pool:

            def bring(at: int) -> None:
                os.pwrite(file.fileno(), self.store.get_range("large", start=at, end=min(at + PIECE, size)), at)

            list(pool.map(bring, range(0, size, PIECE)))
        return path


def _environment(settings: dict[str, str]) -> None:
    os.environ["AWS_ACCESS_KEY_ID"] = settings["key"]
    os.environ["AWS_SECRET_ACCESS_KEY"] = settings["secret"]
    os.environ["AWS_ENDPOINT_URL"] = settings["endpoint"]
    os.environ["AWS_DEFAULT_REGION"] = "us-east-1"


PEERS: tuple[type[FarPeer], ...] = (Raw, Obstore, Pins, MLflow, Modelvault)
