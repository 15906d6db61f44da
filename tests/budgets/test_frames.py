"""How much of this package stands between `load` and the object, once a version has been loaded before."""

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import numpy as np
import pytest

import modelvault
from modelvault.stores.local import LocalStore
from modelvault.vault import Vault

HOME = str(Path(modelvault.__file__).parent)


class Frames:
    """Calls into this package while `call` runs."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.calls: list[str] = []
        self.deepest = 0
        self._stack: list[bool] = []
        sys.setprofile(self._seen)
        try:
            call()
        finally:
            sys.setprofile(None)

    def _seen(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            own = frame.f_code.co_filename.startswith(HOME)
            self._stack.append(own)
            if own:
                self.calls.append(f"{frame.f_code.co_filename[len(HOME) + 1 :]}:{frame.f_code.co_qualname}")
                self.deepest = max(self.deepest, sum(self._stack))
        elif event == "return" and self._stack:
            self._stack.pop()

    @property
    def files(self) -> set[str]:
        return {call.partition(":")[0] for call in self.calls}


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    (tmp_path / "file").write_bytes(bytes(20_000))
    made = Vault(LocalStore(tmp_path / "vault"), cache=tmp_path / "cache")
    for alias, obj in {"pickle": {"a": 1}, "array": np.arange(3), "files": tmp_path / "file"}.items():
        made.promote(f"m@{alias}", made.publish("m", obj, bump="minor"), reason="x")
        made.load(f"m@{alias}")
    return made


@pytest.mark.parametrize(
    ("ref", "calls", "depth", "files"),
    [("m@pickle", 26, 6, 15), ("m@array", 25, 6, 15), ("m:1.0.0", 25, 6, 15), ("m@files", 50, 14, 18)],
)
def test_a_warm_load_stays_within_its_frames(ref, calls, depth, files, vault):
    vault.load(ref)
    found = Frames(lambda: vault.load(ref))
    assert len(found.calls) <= calls, Counter(found.calls)
    assert found.deepest <= depth, found.calls
    assert len(found.files) <= files, sorted(found.files)


def test_nothing_is_called_that_writes(vault):
    found = Frames(lambda: vault.load("m@pickle"))
    assert not found.files & {"publishing.py", "moving.py", "stores/commit.py", "diff.py"}
