"""The task with a large model: publish a folder of files, publish it again, publish what changed, fetch the current one.

Each class is what a user of that package would write, from its own documentation and with its own defaults.  Everything is
kept below the working directory, in the folder `kept`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar


class BigPeer:
    """A package; made in the process that is measured, before the clock starts."""

    title: ClassVar[str]
    package: ClassVar[str]
    kept: ClassVar[str]
    """The folder that grows."""

    def publish(self, tree: Path) -> None:
        """Store all files of `tree` as the current version."""
        raise NotImplementedError

    def fetch(self, to: Path) -> Path:
        """The files of the current version, in the folder `to`, or where the package keeps them."""
        raise NotImplementedError


class Pins(BigPeer):
    """A folder of copies; hashes the whole."""

    title, package, kept = "pins", "pins", "pins"

    def __init__(self) -> None:
        import pins

        self.board = pins.board_folder("pins")

    def publish(self, tree: Path) -> None:
        self.board.pin_upload([str(path) for path in sorted(tree.iterdir())], "big")

    def fetch(self, to: Path) -> Path:
        return Path(self.board.pin_download("big")[0]).parent


class MLflow(BigPeer):
    """A folder of copies, and a database; hashes nothing."""

    title, package, kept = "MLflow (sqlite)", "mlflow", "mlruns"

    def __init__(self) -> None:
        import mlflow

        self.client = mlflow.MlflowClient()
        if mlflow.get_experiment_by_name("big") is None:
            mlflow.create_experiment("big", artifact_location=Path("mlruns").absolute().as_uri())
            self.client.create_registered_model("big")
        mlflow.set_experiment("big")

    def publish(self, tree: Path) -> None:
        import mlflow

        with mlflow.start_run() as run:
            mlflow.log_artifacts(str(tree), "model")
        version = self.client.create_model_version("big", f"{run.info.artifact_uri}/model", run.info.run_id)
        self.client.set_registered_model_alias("big", "prod", version.version)

    def fetch(self, to: Path) -> Path:
        import mlflow

        to.mkdir()
        return Path(mlflow.artifacts.download_artifacts("models:/big@prod", dst_path=str(to)))


class Modelvault(BigPeer):
    """Durable on return; every byte hashed when it is published, and verified when it is fetched."""

    title, package, kept = "modelvault", "modelvault", "vault"

    def __init__(self) -> None:
        import modelvault

        self.vault = modelvault.open("vault", cache=os.path.abspath("cache"), progress=False)

    def publish(self, tree: Path) -> None:
        bump = "minor" if self.vault.models() else None
        self.vault.promote("big@prod", self.vault.publish("big", tree, bump=bump), reason="measured")

    def fetch(self, to: Path) -> Path:
        return self.vault.fetch("big@prod", to)


PEERS: tuple[type[BigPeer], ...] = (Pins, MLflow, Modelvault)
