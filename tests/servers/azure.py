"""Azurite, Microsoft's own stand-in for Azure Blob Storage."""

from typing import Any

from .server import Missing, Place, Server, find, fresh

ACCOUNT = "devstoreaccount1"
# Azurite's development account: the same key everywhere, documented, and worth nothing.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
CONTAINER = "vaults"


class Azurite(Server):
    """Writes its index now and then only: killed, it has lost what it acknowledged."""

    title = "Azurite"
    program = "azurite-blob"

    def run(self) -> None:
        where = ["--blobHost", "127.0.0.1", "--blobPort", str(self.port), "--location", "data"]
        self.launch(find(self.program), *where, "--silent", "--skipApiVersionCheck", "--disableTelemetry")
        self.wait(self.listening)
        with self.client() as container:
            self.wait(lambda: container.exists() or container.create_container())

    @property
    def connection(self) -> str:
        """The connection string."""
        endpoint = f"http://{self.address}/{ACCOUNT}"
        return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={endpoint};"

    def client(self) -> Any:
        """A container client of the vendor's that never tries anything again."""
        try:
            from azure.storage.blob import ContainerClient
        except ImportError as error:
            raise Missing(f"azure-storage-blob is not installed: {error}") from error
        return ContainerClient.from_connection_string(self.connection, CONTAINER, retry_total=0)

    def place(self) -> Place:
        return Place(f"abfs://{CONTAINER}/{fresh()}", {"connection_string": self.connection}, self)

    def objects(self, place: Place) -> dict[str, bytes]:
        prefix = _prefix(place)
        with self.client() as container:
            names = list(container.list_blob_names(name_starts_with=f"{prefix}/"))
            return {name.removeprefix(f"{prefix}/"): container.download_blob(name).readall() for name in names}

    def put(self, place: Place, key: str, data: bytes) -> None:
        with self.client() as container:
            container.upload_blob(f"{_prefix(place)}/{key}", data, overwrite=True)

    def remove(self, place: Place, key: str) -> None:
        with self.client() as container:
            container.delete_blob(f"{_prefix(place)}/{key}")


def _prefix(place: Place) -> str:
    return place.url.removeprefix(f"abfs://{CONTAINER}/")
