"""Records that claim to be enormous: refused, or read, in bounded memory, measured in a process of its own."""

import hashlib
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from modelvault.stores.local import LocalStore

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MIB = 2**20

MEASURED = """
import json, resource, sys
from pathlib import Path
from modelvault.errors import VaultError
from modelvault.stores.local import LocalStore
from modelvault.stores.wrappers import Wrapper
from modelvault.vault import Vault

class Remote(Wrapper):
    url = "s3://bucket"
    def private(self, key):
        return False

place, far, verb, *args = json.loads(sys.argv[1])
store = LocalStore(place + "/vault")
vault = Vault(Remote(store) if far else store, cache=Path(place) / "cache")
try:
    found = getattr(vault, verb)(*args)
    outcome = "found"
except VaultError as error:
    outcome = f"{type(error).__name__} {error.code}"
status = Path("/proc/self/status")  # what `resource` says includes the process that started this one
lines = status.read_text().splitlines() if status.exists() else []
most = next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), None)
print(json.dumps([outcome, most or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))
"""


def measured(place: Path, verb: str, *args: str, far: bool = False) -> tuple[str, int]:
    """The outcome of a verb, and the most memory that its process had, in MiB."""
    asked = json.dumps([str(place), far, verb, *args])
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(MEASURED), asked], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    outcome, kilobytes = json.loads(done.stdout)
    return outcome, kilobytes // 1024


@pytest.fixture
def forged(place, forgery_in):
    return forgery_in(LocalStore(place / "vault"))


def parts(forged, count: int, part: dict) -> dict:
    return {"path": "x", "size": count * part["size"], "digest": forged.digest(b""), "parts": [part] * count}


def test_a_part_of_2_to_the_62_on_a_small_blob_allocates_nothing(place, forged):
    part = forged.blob(b"0123456789") | {"size": 2**62}
    for number, format in enumerate(["files", "numpy", "cloudpickle"]):
        path = {"numpy": "array.npy", "cloudpickle": "model.pkl"}.get(format, "x")
        manifest = forged.manifest(parts(forged, 1, part) | {"path": path}, format=format, version=f"1.0.{number}")
        ref = forged.claim(forged.target(forged.canonical(manifest), f"1.0.{number}"))
        for far in (False, True):
            outcome, most = measured(place, "load" if format != "cloudpickle" or not far else "fetch", ref, far=far)
            assert outcome == "Corrupt digest-mismatch"
            assert most < 128


@pytest.mark.parametrize("far", [False, pytest.param(True, marks=pytest.mark.long)])
def test_a_file_that_repeats_a_part_90_000_times_is_laid_out_in_bounded_memory(far, place, forged):
    part = forged.blob(b"0123456789")
    (place / "out").mkdir()
    ref = forged.version(
        forged.manifest(parts(forged, 90_000, part) | {"digest": forged.digest(b"0123456789" * 90_000)})
    )
    outcome, most = measured(place, "fetch", ref, str(place / "out" / "laid"), far=far)
    assert outcome == "found"
    assert (place / "out" / "laid" / "x").read_bytes() == b"0123456789" * 90_000
    assert most < 512


@pytest.mark.long
def test_a_file_that_repeats_a_large_part_is_laid_out_in_bounded_memory(place, forged):
    data = bytes(MIB)
    part = forged.blob(data)
    (place / "out").mkdir()
    whole = hashlib.sha256()
    for _ in range(1_000):
        whole.update(data)
    digest = {"digest": "sha256:" + whole.hexdigest()}
    ref = forged.version(forged.manifest(parts(forged, 1_000, part) | digest))
    outcome, most = measured(place, "fetch", ref, str(place / "out" / "laid"))
    assert outcome == "found"
    assert (place / "out" / "laid" / "x").stat().st_size == 1_000 * MIB
    assert most < 256


@pytest.mark.parametrize("far", [False, True])
def test_coded_parts_that_stand_for_far_more_than_they_are_take_bounded_memory(far, place, forged):
    packed, size = zstd.compress(bytes(MIB)) * 64, 64 * MIB
    blob = forged.blob(packed)
    part = {
        "digest": forged.digest(bytes(size)),
        "size": size,
        "blob": blob["digest"],
        "enc": "zstd",
        "stored": len(packed),
    }
    on_base = part | {"enc": "delta1+zstd", "base": part}
    many = {"path": "x", "size": 4 * size, "digest": forged.digest(bytes(4 * size)), "parts": [part, on_base] * 2}
    ref = forged.version(forged.manifest(many))
    (place / "out").mkdir()
    outcome, most = measured(place, "fetch", ref, str(place / "out" / "laid"), far=far)
    assert outcome == "found"
    assert most < 384
    lying = {"path": "x", "size": size, "digest": forged.digest(b""), "parts": [part | {"stored": len(packed) // 64}]}
    ref = forged.claim(forged.target(forged.canonical(forged.manifest(lying, version="1.0.1")), "1.0.1"))
    outcome, most = measured(place, "load", ref, far=far)
    assert outcome == "Corrupt digest-mismatch"
    assert most < 256


@pytest.mark.parametrize(("count", "outcome"), [(100_000, "found"), (100_001, "Corrupt bad-record")])
def test_a_hundred_thousand_files_are_a_version_and_one_more_are_not(count, outcome, place, forged):
    files = [{"path": f"{n:x}", "size": 0, "digest": forged.digest(b""), "inline": ""} for n in range(count)]
    ref = forged.version(forged.manifest(*files))
    found, most = measured(place, "version", ref)
    assert found == outcome
    assert most < 768


def test_lists_in_lists_take_memory_in_proportion_to_the_record(place, forged):
    deep: object = "x"
    for _ in range(20):
        deep = [deep]
    raw = forged.canonical(forged.manifest(params={f"{n:x}": deep for n in range(25_000)}))
    outcome, most = measured(place, "version", forged.version(raw))
    assert outcome == "found"
    assert most < 64 + 160 * len(raw) // MIB


def test_a_manifest_that_says_it_is_a_terabyte_allocates_nothing(place, forged):
    raw = forged.canonical(forged.manifest())
    ref = forged.claim(forged.target(raw) | {"size": 2**40})
    outcome, most = measured(place, "version", ref)
    assert outcome.startswith("Corrupt")
    assert most < 128
    forged.claim(forged.target(raw, "2.0.0") | {"size": 2**63 - 1})
    assert measured(place, "version", "m:2.0.0", far=True)[0].startswith("Corrupt")
