"""Servers that speak S3: one to rely on, one for details, and three that must not be trusted."""

import json
import urllib.request
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ClassVar

from .server import Missing, Place, Server, find, free_port, fresh

REGION = "us-east-1"
BUCKET = "vaults"


class S3(Server):
    """What all of them share.  A place is a prefix in a bucket of its own server."""

    key: ClassVar[str] = "writer"
    secret: ClassVar[str] = "writer-secret"
    bucket: ClassVar[str] = BUCKET

    @property
    def endpoint(self) -> str:
        return f"http://{self.address}"

    def options(self, key: str = "", secret: str = "") -> dict[str, Any]:
        """The storage options of a place."""
        where = {"endpoint_url": self.endpoint, "client_kwargs": {"region_name": REGION}}
        return {"key": key or self.key, "secret": secret or self.secret} | where

    @cached_property
    def client(self) -> Any:
        """A boto3 client that never tries anything again; it is closed with the server."""
        return self.client_of(Place("", self.options()))

    def client_of(self, place: Place) -> Any:
        """The same, with the key and at the endpoint of a place; the caller closes it."""
        try:
            import boto3
            from botocore.config import Config
        except ImportError as error:
            raise Missing(f"boto3 is not installed: {error}") from error
        options = place.options
        path = {"addressing_style": "path"}
        quick = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=60, s3=path)
        session = boto3.Session(options["key"], options["secret"], region_name=REGION)
        return session.client("s3", endpoint_url=options["endpoint_url"], config=quick)

    def prepare(self) -> None:
        """Make the bucket and see that it takes an object, which takes some servers a while after they listen."""
        _describe_once()
        self.wait(self.client.list_buckets)
        if self.bucket not in [each["Name"] for each in self.client.list_buckets()["Buckets"]]:
            self.wait(lambda: self.client.create_bucket(Bucket=self.bucket))
        self.wait(lambda: self.client.put_object(Bucket=self.bucket, Key="ready", Body=b"ready"))

    def kill(self) -> None:
        super().kill()
        if "client" in self.__dict__:
            self.__dict__.pop("client").close()

    def place(self) -> Place:
        return Place(f"s3://{self.bucket}/{fresh()}", self.options(), self)

    def objects(self, place: Place) -> dict[str, bytes]:
        bucket, prefix = _split(place)
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
        keys = [each["Key"] for page in pages for each in page.get("Contents", ())]
        return {key.removeprefix(f"{prefix}/"): self._body(bucket, key) for key in keys}

    def _body(self, bucket: str, key: str) -> bytes:
        with self.client.get_object(Bucket=bucket, Key=key)["Body"] as body:
            whole: bytes = body.read()
        return whole

    def put(self, place: Place, key: str, data: bytes) -> None:
        bucket, prefix = _split(place)
        self.client.put_object(Bucket=bucket, Key=f"{prefix}/{key}", Body=data)

    def remove(self, place: Place, key: str) -> None:
        bucket, prefix = _split(place)
        self.client.delete_object(Bucket=bucket, Key=f"{prefix}/{key}")


@cache
def _describe_once() -> None:
    """botocore reads its description of S3 anew for each session; for the thousands of the tests it is read once."""
    import botocore.session

    botocore.session.create_loader = cache(botocore.session.create_loader)


class SeaweedFS(S3):
    """A real distributed object store in one binary: the S3 that the tests rely on."""

    title = "SeaweedFS"
    program = "weed"
    durable = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.ports = [free_port() for _ in range(7)]

    def run(self) -> None:
        weed, (master, master_grpc, volume, volume_grpc, filer, filer_grpc, grpc) = find(self.program), self.ports
        (self.folder / "master").mkdir(exist_ok=True)
        (self.folder / "data").mkdir(exist_ok=True)
        (self.folder / "identities.json").write_text(json.dumps(_IDENTITIES))
        here = ["-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
        raft = ["-electionTimeout=1s", "-heartbeatInterval=100ms", "-telemetry=false", "-volumeSizeLimitMB=64"]
        self.launch(weed, "master", "-mdir=master", *here, f"-port={master}", f"-port.grpc={master_grpc}", *raft)
        # A volume server that meets no leader asks again only after five seconds, so the leader comes first.
        self.wait(lambda: b'"IsLeader":true' in _get(f"http://127.0.0.1:{master}/cluster/status"))
        self.launch(
            weed,
            "server",
            "-master=false",
            f"-master.peers=127.0.0.1:{master}.{master_grpc}",
            "-dir=data",
            *here,
            f"-volume.port={volume}",
            f"-volume.port.grpc={volume_grpc}",
            "-volume.max=0",
            "-filer",
            f"-filer.port={filer}",
            f"-filer.port.grpc={filer_grpc}",
            "-filer.localSocket=filer.sock",
            "-s3",
            f"-s3.port={self.port}",
            f"-s3.port.grpc={grpc}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-s3.localSocket=s3.sock",
            "-s3.config=identities.json",
        )
        self.prepare()

    def kill(self) -> None:
        super().kill()
        _, master, _, volume, _, filer, s3 = self.ports
        for name, port in {"master": master, "volume": volume, "filer": filer, "s3": s3}.items():
            Path(f"/tmp/seaweedfs-{name}-grpc-{port}.sock").unlink(missing_ok=True)  # where it puts them, come what may

    def read_only(self, place: Place) -> Place:
        """The same place, for one who may read and list and nothing else."""
        return Place(place.url, self.options("reader", "reader-secret"), self)


_IDENTITIES = {
    "identities": [
        {
            "name": "writer",
            "credentials": [{"accessKey": "writer", "secretKey": "writer-secret"}],
            "actions": ["Admin", "Read", "List", "Tagging", "Write"],
        },
        {
            "name": "reader",
            "credentials": [{"accessKey": "reader", "secretKey": "reader-secret"}],
            "actions": ["Read", "List"],
        },
    ]
}


class Moto(S3):
    """Keeps everything in memory; a create may be won twice in races: for details, not for races."""

    title = "moto"
    program = "moto_server"

    def run(self) -> None:
        self.launch(find(self.program), "-H", "127.0.0.1", "-p", str(self.port))
        self.prepare()


class LocalBucket(S3):
    """Honours If-None-Match, ignores If-Match, and shows half an upload when the client or the server is cut."""

    title = "localbucket"
    program = "localbucket"

    def run(self) -> None:
        self.launch(find(self.program), "--host", "127.0.0.1", "--port", str(self.port), "data")
        self.prepare()


class Nanio(S3):
    """Silently overwrites: it does not know If-None-Match."""

    title = "nanio"
    program = "nanio"

    def run(self) -> None:
        (self.folder / "data").mkdir(exist_ok=True)
        where = ["--host", "127.0.0.1", "--port", str(self.port), "--data-dir", "data"]
        self.launch(find(self.program), "serve", *where, NANIO_ACCESS_KEY=self.key, NANIO_SECRET_KEY=self.secret)
        self.prepare()


class PyS3Local(S3):
    """Silently overwrites, too."""

    title = "pys3local"
    program = "pys3local"
    bucket = "default"  # the one it has

    def run(self) -> None:
        keys = ["--access-key-id", self.key, "--secret-access-key", self.secret]
        self.launch(find(self.program), "serve", "--path", "data", "--listen", self.address, *keys)
        self.prepare()


def _split(place: Place) -> tuple[str, str]:
    bucket, _, prefix = place.url.removeprefix("s3://").partition("/")
    return bucket, prefix


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5) as reply:
        whole: bytes = reply.read()
    return whole
