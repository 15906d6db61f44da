"""The task on a bucket: publish a small model and a large file, load the current one of each.

Each class is what a user of that package would write, from its own documentation and with its own defaults.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar


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


def _environment(settings: dict[str, str]) -> None:
    os.environ["AWS_ACCESS_KEY_ID"] = settings["key"]
    os.environ["AWS_SECRET_ACCESS_KEY"] = settings["secret"]
    os.environ["AWS_ENDPOINT_URL"] = settings["endpoint"]
    os.environ["AWS_DEFAULT_REGION"] = "us-east-1"


PEERS: tuple[type[FarPeer], ...] = (Pins, MLflow, Modelvault)
