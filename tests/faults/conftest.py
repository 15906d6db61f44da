"""Where the fault tests run."""

import hashlib
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _workplace(_own_places: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is no repository, with no git to ask and the files of a model in `trained`: content is what it is."""
    work = tmp_path / "work"
    (work / "trained" / "deep").mkdir(parents=True)
    for seed, name in enumerate(("weights.bin", "vocabulary.bin", "deep/tail.bin")):
        (work / "trained" / name).write_bytes(hashlib.shake_256(bytes([seed])).digest(20_000 + seed))
    monkeypatch.chdir(work)
    monkeypatch.setenv("PATH", str(work))
    monkeypatch.setattr("tempfile.tempdir", str(work))  # what the killed leave behind goes with the test


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A create that is tried again is tried at once."""
    monkeypatch.setattr("modelvault.stores.pace._FIRST", 0.0)
