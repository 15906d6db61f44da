"""Fixtures that all tests share."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from modelvault.stores.local import LocalStore
from modelvault.stores.memory import MemoryStore
from modelvault.vault import Vault

settings.register_profile("default", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", deadline=None, max_examples=2_000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's own vault or cache."""
    monkeypatch.setenv("MODELVAULT_URL", str(tmp_path / "own-vault"))
    monkeypatch.setenv("MODELVAULT_CACHE", str(tmp_path / "own-cache"))
    monkeypatch.setenv("MODELVAULT_ACTOR", "tester")


@pytest.fixture(params=["local", "memory"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Vault]:
    """Opens the same vault again, with nothing remembered; options go to `Vault`."""
    store = LocalStore(tmp_path / "vault") if request.param == "local" else MemoryStore()
    return lambda **options: Vault(store, **({"cache": tmp_path / "cache"} | options))


@pytest.fixture
def vault(reopen: Callable[..., Vault]) -> Vault:
    """An empty vault, on each store."""
    return reopen()
