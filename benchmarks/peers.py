"""The same task in each package: publish a model, find the current version, load it, move on, go back.

Each class is what a user of that package would write, from its own documentation and with its own defaults.  A verb that
a package does not have is `None`.  Everything is kept below the working directory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

ENVIRONMENT = {
    "BENTOML_DO_NOT_TRACK": "True",
    "BENTOML_HOME": "bentoml",
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db",
}
"""Of every process that is measured: peers stay local and silent."""


class Peer:
    """A package, and what is measured of it."""

    title: ClassVar[str]
    package: ClassVar[str]
    """The distribution; its import name is the same."""
    start: ClassVar[str]
    """A program that starts with nothing and ends with `model`, the current version of ``cancer``."""
    promote: Callable[[str, str], object] | None = None
    rollback: Callable[[str], object] | None = None
    current: Callable[[str], str] | None = None

    def publish(self, name: str, model: Any) -> str:
        """Store `model` as a new version of `name`; the version."""
        raise NotImplementedError

    def load(self, name: str) -> Any:
        """The current version."""
        raise NotImplementedError


class Joblib(Peer):
    """A file that is overwritten: no versions, no check of the bytes.  The floor."""

    title = "bare joblib file"
    package = "joblib"
    start = "import joblib\nmodel = joblib.load('cancer.joblib')"

    def publish(self, name: str, model: Any) -> str:
        import joblib

        joblib.dump(model, f"{name}.joblib")
        return ""

    def load(self, name: str) -> Any:
        import joblib

        return joblib.load(f"{name}.joblib")


class Pins(Peer):
    """Versions and "the latest"; no alias."""

    title = "pins"
    package = "pins"
    start = "import pins\nmodel = pins.board_folder('pins', allow_pickle_read=True).pin_read('cancer')"

    def __init__(self) -> None:
        import pins

        self.board = pins.board_folder("pins", allow_pickle_read=True)

    def publish(self, name: str, model: Any) -> str:
        return self.board.pin_write(model, name, type="joblib").version.version

    def current(self, name: str) -> str:
        return self.board.pin_meta(name).version.version

    def load(self, name: str) -> Any:
        return self.board.pin_read(name)


class BentoML(Peer):
    """Versions and "the latest"; no alias."""

    title = "BentoML"
    package = "bentoml"
    start = (
        "import bentoml, joblib\n"
        "model = joblib.load(bentoml.models.get('cancer:latest').path_of('model.joblib'))"
    )  # fmt: skip

    def publish(self, name: str, model: Any) -> str:
        import bentoml
        import joblib

        with bentoml.models.create(name) as stored:
            joblib.dump(model, stored.path_of("model.joblib"))
        return str(stored.tag.version)

    def current(self, name: str) -> str:
        import bentoml

        return str(bentoml.models.get(f"{name}:latest").tag.version)

    def load(self, name: str) -> Any:
        import bentoml
        import joblib

        return joblib.load(bentoml.models.get(f"{name}:latest").path_of("model.joblib"))


class Modelstore(Peer):
    """States, which any number of versions can have: to move one is to take it from the old and give it to the new."""

    title = "modelstore"
    package = "modelstore"
    start = (
        "from modelstore import ModelStore\n"
        "store = ModelStore.from_file_system(root_directory='.')\n"
        "model = store.load('cancer', store.list_models('cancer', 'prod')[0])"
    )

    def __init__(self) -> None:
        from modelstore import ModelStore

        self.store = ModelStore.from_file_system(root_directory=".")
        self.store.create_model_state("prod")

    def publish(self, name: str, model: Any) -> str:
        return self.store.upload(name, model=model)["model"]["model_id"]

    def current(self, name: str) -> str:
        return self.store.list_models(name, "prod")[0]

    def load(self, name: str) -> Any:
        return self.store.load(name, self.current(name))

    def promote(self, name: str, version: str) -> None:
        old = self.store.list_models(name, "prod")
        self.store.set_model_state(name, version, "prod")
        for model in old:
            self.store.remove_model_state(name, model, "prod")


class MLflow(Peer):
    """Aliases; to go back is to set the alias to a version that the caller knows."""

    title = "MLflow (sqlite)"
    package = "mlflow"
    start = "import mlflow\nmodel = mlflow.sklearn.load_model('models:/cancer@prod')"

    def __init__(self) -> None:
        import mlflow

        self.client = mlflow.MlflowClient()

    def publish(self, name: str, model: Any) -> str:
        import mlflow

        return str(mlflow.sklearn.log_model(model, name="model", registered_model_name=name).registered_model_version)

    def current(self, name: str) -> str:
        return str(self.client.get_model_version_by_alias(name, "prod").version)

    def load(self, name: str) -> Any:
        import mlflow

        return mlflow.sklearn.load_model(f"models:/{name}@prod")

    def promote(self, name: str, version: str) -> None:
        self.client.set_registered_model_alias(name, "prod", version)


class Modelvault(Peer):
    """Aliases with a history and a rollback; every byte is verified, every write is flushed to the disk."""

    title = "modelvault"
    package = "modelvault"
    start = "import modelvault\nmodel = modelvault.load('cancer@prod', vault='vault')"

    def __init__(self) -> None:
        import modelvault

        self.vault = modelvault.open("vault")

    def publish(self, name: str, model: Any) -> str:
        return self.vault.publish(name, model, bump="patch").number

    def current(self, name: str) -> str:
        return self.vault.version(f"{name}@prod").number

    def load(self, name: str) -> Any:
        return self.vault.load(f"{name}@prod")

    def promote(self, name: str, version: str) -> None:
        self.vault.promote(f"{name}@prod", version, reason="measured")

    def rollback(self, name: str) -> None:
        self.vault.rollback(f"{name}@prod", reason="measured")


PEERS: tuple[type[Peer], ...] = (Joblib, Pins, BentoML, Modelstore, MLflow, Modelvault)
