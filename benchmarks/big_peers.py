"""The task with a large model: publish a folder of files, publish it again, publish what changed, fetch the current one.

Each class is what a user of that package would write, from its own documentation and with its own defaults.  Everything is
kept below the working directory, in the folder `kept`.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import ClassVar


class BigPeer:
    """A package; made in the process that is measured, before the clock starts."""

    title: ClassVar[str]
    package: ClassVar[str]
    kept: ClassVar[str]
    """The folder that grows."""
    commands: ClassVar[bool] = False
    """It is a command."""

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


class Xet(BigPeer):
    """Chunks of 64 KiB by content, each compressed where that pays; into a folder, where its users have a service."""

    title, package, kept = "hf_xet", "hf_xet", "xet"

    def __init__(self) -> None:
        import hf_xet

        self.session = hf_xet.XetSession()
        self.endpoint = "local://" + os.path.abspath("xet")
        os.makedirs("xet", exist_ok=True)

    def publish(self, tree: Path) -> None:
        with self.session.new_upload_commit(endpoint=self.endpoint) as commit:
            sent = [(path.name, commit.start_upload_file(str(path))) for path in sorted(tree.iterdir())]
        infos = [(name, each.result().xet_info) for name, each in sent]
        Path("xet.json").write_text(json.dumps([(name, info.hash, info.file_size) for name, info in infos]))

    def fetch(self, to: Path) -> Path:
        from hf_xet import XetFileInfo

        to.mkdir()
        with self.session.new_file_download_group(endpoint=self.endpoint) as group:
            for name, digest, size in json.loads(Path("xet.json").read_text()):
                group.start_download_file(XetFileInfo(digest, size), str(to / name))
        return to


class Restic(BigPeer):
    """Chunks by content, encrypted; told not to compress."""

    title, package, kept, commands = "restic", "restic", "restic", True

    def __init__(self) -> None:
        os.environ |= {"RESTIC_PASSWORD": "-", "RESTIC_REPOSITORY": "restic", "RESTIC_CACHE_DIR": "restic-cache"}
        if not os.path.exists("restic"):
            _run("restic", "init", "--repository-version", "2")

    def publish(self, tree: Path) -> None:
        _run("restic", "backup", "--compression", "off", str(tree))

    def fetch(self, to: Path) -> Path:
        _run("restic", "restore", "latest", "--target", str(to))
        return next(path.parent for path in to.rglob("*.safetensors"))


class Borg(BigPeer):
    """Chunks by content; told neither to compress nor to encrypt."""

    title, package, kept, commands = "borg", "borg", "borg", True

    def __init__(self) -> None:
        os.environ |= {"BORG_BASE_DIR": os.path.abspath("borg-cache"), "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes"}
        if not os.path.exists("borg"):
            _run("borg", "init", "--encryption", "none", "borg")

    def publish(self, tree: Path) -> None:
        _run("borg", "create", "--compression", "none", f"borg::{time.time_ns()}", str(tree))

    def fetch(self, to: Path) -> Path:
        to.mkdir()
        names = subprocess.run(["borg", "list", "--short", "borg"], check=True, capture_output=True, text=True)
        archive = os.path.abspath("borg") + "::" + names.stdout.split()[-1]
        subprocess.run(["borg", "extract", archive], cwd=to, check=True, capture_output=True)
        return next(path.parent for path in to.rglob("*.safetensors"))


class Casync(BigPeer):
    """Chunks by content, compressed: it knows no other way."""

    title, package, kept, commands = "casync", "casync", "casync", True

    def __init__(self) -> None:
        os.makedirs("casync", exist_ok=True)

    def publish(self, tree: Path) -> None:
        _run("casync", "make", "--store=casync/store.castr", "casync/current.caidx", str(tree))

    def fetch(self, to: Path) -> Path:
        _run("casync", "extract", "--store=casync/store.castr", "casync/current.caidx", str(to))
        return to


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


REGISTRIES: tuple[type[BigPeer], ...] = (Pins, MLflow, Modelvault)
CHUNKERS: tuple[type[BigPeer], ...] = (Xet, Restic, Borg, Casync, Modelvault)
