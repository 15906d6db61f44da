"""What an import costs: counted in modules, in fresh interpreters."""

import subprocess
import sys

import pytest

from modelvault.stores.local import LocalStore
from modelvault.vault import Vault

HEAVY = {
    "asyncio", "backports.zstd", "blake3", "click", "cloudpickle", "concurrent.futures", "concurrent.futures.thread",
    "ctypes", "fsspec", "getpass", "http", "hypothesis", "importlib.metadata", "logging", "multiprocessing", "numpy",
    "pandas", "platformdirs", "pydantic", "pytest", "rich", "semver", "socket", "sqlite3", "ssl", "subprocess", "tempfile",
    "urllib.request", "yaml", "zipfile",
}  # fmt: skip
BY_PYDANTIC = (
    "from pydantic import *; import pydantic.main\nclass M(BaseModel):\n  x: int\nM.model_validate_json('{\"x\": 1}')"
)


def imported(code: str) -> set[str]:
    """The modules that `code` brings into a new interpreter."""
    watch = f"import sys\nbefore = set(sys.modules)\n{code}\nprint(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", watch], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_package_itself_imports_nothing_heavy_and_nothing_of_its_own():
    found = imported("import modelvault")
    assert found & HEAVY == set()
    assert {name for name in found if name.startswith("modelvault")} == {"modelvault"}
    assert len(found) <= 40


def test_to_read_the_errors_imports_the_errors():
    assert {name for name in imported("from modelvault import errors") if name.startswith("modelvault")} == {
        "modelvault",
        "modelvault.errors",
    }


def test_to_open_a_vault_imports_no_format_no_publisher_and_no_upkeep():
    found = imported("import modelvault; modelvault.open('/nowhere', cache=False)")
    assert not found & {
        "modelvault.formats.pickled",
        "modelvault.publishing",
        "modelvault.moving",
        "modelvault.provenance",
    }
    assert not found & {"modelvault.upkeep.verify", "modelvault.stores.memory", "modelvault.stores.wrappers"}


OWN = {
    "modelvault", "modelvault.blobs", "modelvault.blobs.content", "modelvault.blobs.hashing", "modelvault.blobs.together", "modelvault.blobs.workers", "modelvault.cache", "modelvault.canonical", "modelvault.catalog", "modelvault.diff",
    "modelvault.errors", "modelvault.folder", "modelvault.formats", "modelvault.formats.pickled", "modelvault.journal", "modelvault.layout", "modelvault.marks",
    "modelvault.paths", "modelvault.progress", "modelvault.reference", "modelvault.secrets", "modelvault.stores", "modelvault.stores.commit", "modelvault.stores.local",
    "modelvault.stores.pace",
    "modelvault.stores.port", "modelvault.stores.posix", "modelvault.stores.staged", "modelvault.tree", "modelvault.trust",
    "modelvault.vault", "modelvault.verbs", "modelvault.verbs.drill", "modelvault.verbs.look", "modelvault.verbs.move", "modelvault.verbs.opened", "modelvault.verbs.protect",
    "modelvault.verbs.publish", "modelvault.verbs.read", "modelvault.verbs.serve", "modelvault.verbs.upkeep",
    "modelvault.version", "modelvault.wire",
}  # fmt: skip
STANDARD = {
    "_compat_pickle",
    "_heapq",
    "_pickle",
    "errno",
    "fnmatch",
    "heapq",
    "pickle",
    "shutil",
    "stat",
    "unicodedata",
}


def test_a_load_by_alias_imports_pydantic_and_a_known_few_more(tmp_path):
    vault = Vault(LocalStore(tmp_path / "vault"))
    vault.promote("m@prod", vault.publish("m", {"a": 1}), reason="x")
    load = f"import modelvault\nmodelvault.open({str(tmp_path / 'vault')!r}, cache=False).load('m@prod')"
    found = imported(load) - imported(BY_PYDANTIC)
    assert {name for name in found if name.startswith("modelvault")} == OWN
    assert found - OWN <= STANDARD
    assert found & HEAVY == set()


@pytest.mark.parametrize("ref", ["m:1.0.0", "m@prod~0", "m#0123456789"])
def test_no_ref_but_a_range_needs_semver(ref, tmp_path):
    Vault(LocalStore(tmp_path / "vault")).publish("m", {"a": 1})
    assert "semver" not in imported(f"from modelvault.reference import parse; parse({ref!r})")
