"""A folder served over HTTP, reading only."""

import sys

from .server import Place, Server, fresh


class Web(Server):
    """Python's own file server."""

    title = "http.server"
    program = "python"
    durable = True

    def run(self) -> None:
        (self.folder / "data").mkdir(exist_ok=True)
        here = [str(self.port), "--bind", "127.0.0.1", "--directory", "data"]
        self.launch(sys.executable, "-m", "http.server", *here)
        self.wait(self.listening)

    def place(self) -> Place:
        place = Place(f"http://{self.address}/{fresh()}", {}, self)
        (self._root(place)).mkdir()
        return place

    def _root(self, place: Place):
        return self.folder / "data" / place.url.rpartition("/")[2]

    def objects(self, place: Place) -> dict[str, bytes]:
        root = self._root(place)
        return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}

    def put(self, place: Place, key: str, data: bytes) -> None:
        path = self._root(place) / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def remove(self, place: Place, key: str) -> None:
        (self._root(place) / key).unlink()
