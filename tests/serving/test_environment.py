"""A version that was published with other packages, or another Python."""

import platform
from importlib import metadata

import numpy as np
import pytest

from modelvault.errors import Code, Refused
from modelvault.serving.environment import mismatches
from modelvault.stores.memory import MemoryStore
from modelvault.vault import Vault
from modelvault.wire import Environment, record

PYTHON, NUMPY = platform.python_version(), metadata.version("numpy")


def environment(python=PYTHON, **packages):
    return record(Environment, python=python, implementation="cpython", platform="linux-x86_64", packages=packages)


def other(version, *, major=0, minor=0, patch=0):
    numbers = [int(one) for one in version.split(".")[:3]]
    return ".".join(str(one + more) for one, more in zip(numbers, (major, minor, patch), strict=True))


def test_a_patch_is_nothing_a_minor_version_is_noticed_a_major_one_is_grave():
    assert mismatches(None) == mismatches(environment(numpy=NUMPY)) == ()
    assert mismatches(environment(other(PYTHON, patch=1), numpy=other(NUMPY, patch=1))) == ()
    (minor,) = mismatches(environment(numpy=other(NUMPY, minor=1)))
    assert (minor.name, minor.grave) == ("numpy", False)
    (major,) = mismatches(environment(numpy=other(NUMPY, major=1)))
    assert major.grave
    assert str(major) == f"numpy {NUMPY}, published with {other(NUMPY, major=1)}"
    (missing,) = mismatches(environment(**{"no-such-package": "1.0"}))
    assert (missing.here, missing.grave) == ("none", True)


def test_another_python_is_grave_where_there_is_bytecode():
    (plain,) = mismatches(environment(other(PYTHON, minor=1)))
    assert not plain.grave
    (coded,) = mismatches(environment(other(PYTHON, minor=1), cloudpickle=metadata.version("cloudpickle")))
    assert coded.grave


@pytest.fixture
def vault(monkeypatch):
    """A version that was published with the next major version of numpy."""
    vault = Vault(MemoryStore(), trust="pickle", cache=False)
    real = metadata.version
    with monkeypatch.context() as patched:
        patched.setattr(metadata, "version", lambda name: other(NUMPY, major=1) if name == "numpy" else real(name))
        vault.publish("m", np.float64(3), version="1.0.0")
    vault.promote("m@prod", "1.0.0", reason="x")
    return vault


def test_it_is_refused_if_that_is_asked_for_and_else_said(vault, caplog):
    with pytest.raises(Refused) as refused:
        vault.live("m@prod", refresh=None, env="strict")
    assert refused.value.code == Code.GATE_REFUSED
    assert "numpy" in str(refused.value)
    for _ in range(2):
        with vault.live("m@prod", refresh=None) as live:
            assert live.model == 3
            assert "numpy" in live.status()["environment"][0]
    assert caplog.text.count("m:1.0.0 is in service with numpy") == 1
    with vault.live("m@prod", refresh=None, env="off") as live:
        assert live.status()["environment"] == []
