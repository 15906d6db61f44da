"""Nothing that a vault holds is run, unless the reader trusts it: watched from inside the interpreter."""

import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelvault.stores.local import LocalStore
from modelvault.vault import Vault

WATCHED = Path(__file__).with_name("watched.py")
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")

Step = dict[str, Any]
Watch = Callable[[list[Step]], list[tuple[str, list[str]]]]


class Trap:
    """Unpickling it leaves a file behind.  Large, so that it is stored as a blob; or small, and inline."""

    def __init__(self, canary: Path, size: int) -> None:
        self.canary = canary
        self.size = size

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.canary}; exit 7 # {'x' * self.size}",)


def trap(canary: Path, size: int = 0) -> bytes:
    return pickle.dumps(Trap(canary, size))


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


@pytest.fixture
def trapped(tmp_path: Path, canary: Path) -> Path:
    """A vault where each version but `files` is a trap: 1.0.0 small and inline, 1.1.0 a blob."""
    vault = Vault(LocalStore(tmp_path / "vault"))
    vault.publish("m", Trap(canary, 0), version="1.0.0")
    vault.publish("m", Trap(canary, 20_000), version="1.1.0")
    vault.promote("m@prod", "1.0.0", reason="x")
    vault.promote("m@prod", "1.1.0", reason="x")
    vault.note("m:1.0.0", "x")
    return tmp_path / "vault"


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    """Runs steps in another process: the outcome of each, and the alarms."""
    warm = tmp_path / "warm-vault"
    vault = Vault(LocalStore(warm))
    (tmp_path / "warm-files").mkdir()
    (tmp_path / "warm-files" / "large").write_bytes(bytes(20_000))
    vault.publish("m", {"a": 1}, version="1.0.0")
    vault.publish("m", np.arange(5_000), version="1.1.0")
    vault.publish("m", {"a": np.arange(5)}, version="1.2.0")
    vault.publish("m", tmp_path / "warm-files", version="1.3.0")
    vault.promote("m@prod", "1.0.0", reason="x")
    vault.promote("m@prod", "1.1.0", reason="x")
    common = {"vault": str(warm), "cache": str(tmp_path / "warm-cache")}
    refs = [f"m:1.{minor}.0" for minor in range(4)]
    warm_up = [common | {"verb": "load", "args": [ref], "far": far} for ref in refs for far in (False, True)]
    warm_up += [common | step for step in safe_steps(tmp_path / "warm-out", warm)]
    warm_up += [common | {"verb": "load", "args": ["m:9.9.9"]}]
    shutil.copytree(warm, tmp_path / "damaged-vault")
    damage(tmp_path / "damaged-vault", b"x" * 10)
    wrong = {"vault": str(tmp_path / "damaged-vault"), "cache": str(tmp_path / "warm-cache-2")}
    warm_up += [wrong | {"verb": "load", "args": [ref]} for ref in refs]
    warm_up += [wrong | {"verb": "load", "args": [ref], "far": True, "trust": "pickle"} for ref in refs]
    warm_up += [wrong | {"verb": "verify", "args": []}]

    def watched(steps: list[Step]) -> list[tuple[str, list[str]]]:
        asked = {"roots": [str(tmp_path)], "warm": warm_up, "steps": steps}
        done = subprocess.run(
            [sys.executable, str(WATCHED)], input=json.dumps(asked), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return [(outcome, alarms) for outcome, alarms in json.loads(done.stdout)]

    return watched


def safe_steps(out: Path, vault: Path) -> list[Step]:
    """Every verb that does not deserialise."""
    return [
        {"verb": "version", "args": ["m@prod"]},
        {"verb": "versions", "args": ["m"]},
        {"verb": "aliases", "args": ["m"]},
        {"verb": "models", "args": []},
        {"verb": "history", "args": ["m@prod"]},
        {"verb": "notes", "args": ["m:1.0.0"]},
        {"verb": "diff", "args": ["m:1.0.0", "m:1.1.0"]},
        {"verb": "verify", "args": []},
        {"verb": "verify", "args": ["m@prod"], "options": {"level": "presence"}},
        {"verb": "fetch", "args": ["m@prod"]},
        {"verb": "fetch", "args": ["m:1.0.0", str(out)]},
        {"verb": "note", "args": ["m:1.0.0", "x"], "options": {"actor": "x"}},
        {"verb": "promote", "args": ["m@prod", "1.0.0"], "options": {"reason": "x", "actor": "x"}},
        {"verb": "rollback", "args": ["m@prod"], "options": {"reason": "x", "actor": "x"}},
    ]


def damage(root: Path, data: bytes | Callable[[bytes], bytes]) -> None:
    """Put other bytes into every blob."""
    for blob in (root / "blobs").rglob("*"):
        if blob.is_file():
            blob.chmod(0o600)
            blob.write_bytes(data if isinstance(data, bytes) else data(blob.read_bytes()))


def test_a_vault_of_strangers_runs_nothing_whatever_is_asked_of_it(trapped, canary, watch, tmp_path):
    far = {"vault": str(trapped), "cache": str(tmp_path / "cache"), "far": True}
    loads = [far | {"verb": "load", "args": [ref]} for ref in ("m:1.0.0", "m:1.1.0", "m@prod", "m@prod~1", "m:*")]
    answers = watch(loads + [far | step for step in safe_steps(tmp_path / "out", trapped)])
    assert [outcome for outcome, _ in answers[: len(loads)]] == ["Untrusted format-not-trusted"] * len(loads)
    assert all(outcome.startswith("found ") for outcome, _ in answers[len(loads) :]), answers
    assert [alarms for _, alarms in answers] == [[]] * len(answers)
    assert not canary.exists()


def test_a_reader_who_trusts_pickles_gets_them_and_the_watch_sees_it(trapped, canary, watch, tmp_path):
    far = {"vault": str(trapped), "cache": str(tmp_path / "cache"), "far": True, "trust": "pickle"}
    near = {"vault": str(trapped), "cache": str(tmp_path / "cache")}
    for trusted in (far, near):
        for ref in ("m:1.0.0", "m:1.1.0", "m@prod"):
            [(outcome, alarms)] = watch([trusted | {"verb": "load", "args": [ref]}])
            assert outcome == "found 1792"
            assert any(alarm.startswith("pickle.find_class") for alarm in alarms)
            assert any(alarm.startswith("os.system") for alarm in alarms)
            canary.unlink()


def test_a_local_vault_that_others_can_write_is_not_trusted(trapped, canary, watch, tmp_path):
    folders = ["", "models", "models/m", "models/m/versions", "models/m/aliases", "models/m/aliases/prod"]
    files = ["models/m/versions/1.0.0.json", "models/m/aliases/prod/9999999997.json"]
    steps, copies = [], [("m:1.0.0", files[0]), ("m@prod", files[1])]
    for number, (spot, bits) in enumerate((spot, bits) for spot in folders + files for bits in (0o020, 0o002)):
        if bits == 0o020 and os.geteuid() != 0:
            continue  # only root can give a file to another group than the user's own
        copy = tmp_path / f"copy-{number}"
        shutil.copytree(trapped, copy)
        os.chown(copy / spot, -1, 4242 if bits == 0o020 else -1)
        (copy / spot).chmod((copy / spot).stat().st_mode | bits)
        for ref, pin in copies:
            if (pin + "/").startswith(spot + "/" if spot else ""):
                step = {"vault": str(copy), "cache": str(tmp_path / "cache"), "verb": "load", "args": [ref]}
                steps.append(step)
    answers = watch(steps)
    assert len(answers) == (22 if os.geteuid() == 0 else 11)
    assert answers == [("Untrusted format-not-trusted", [])] * len(steps)
    assert not canary.exists()


def test_a_local_vault_below_a_folder_that_others_can_write_is_not_trusted(trapped, canary, watch, tmp_path):
    (tmp_path / "open").mkdir()
    trapped.rename(tmp_path / "open" / "vault")
    step = {
        "vault": str(tmp_path / "open" / "vault"),
        "cache": str(tmp_path / "cache"),
        "verb": "load",
        "args": ["m:1.0.0"],
    }
    (tmp_path / "open").chmod(0o777)
    assert watch([step]) == [("Untrusted format-not-trusted", [])]
    (tmp_path / "open").chmod(0o1777)
    [(outcome, alarms)] = watch([step])
    assert outcome == "found 1792"  # where the sticky bit is set, others can add but not replace
    assert alarms


@AS_ROOT
def test_a_local_vault_of_another_user_is_not_trusted(trapped, canary, watch, tmp_path):
    steps = []
    for number, spot in enumerate(["", "models", "models/m/versions", "models/m/versions/1.0.0.json"]):
        copy = tmp_path / f"copy-{number}"
        shutil.copytree(trapped, copy)
        os.chown(copy / spot, 12345, 12345)
        steps.append({"vault": str(copy), "cache": str(tmp_path / "cache"), "verb": "load", "args": ["m:1.0.0"]})
    assert watch(steps) == [("Untrusted format-not-trusted", [])] * len(steps)
    assert not canary.exists()


def test_damaged_and_swapped_bytes_are_refused_before_unpickling_begins(trapped, canary, watch, tmp_path):
    blob = next(path for path in (trapped / "blobs").rglob("*") if path.is_file())
    size = blob.stat().st_size
    evil = trap(canary)
    damages: dict[str, bytes | Callable[[bytes], bytes]] = {
        "one bit at the end": lambda data: data[:-2] + bytes([data[-2] ^ 1]) + data[-1:],
        "one bit of the padding": lambda data: data.replace(b"x" * 10, b"x" * 9 + b"y", 1),
        "another pickle": evil,
        "another pickle of the same size": evil + b"." * (size - len(evil)),
        "more at the end": lambda data: data + b".",
        "cut short": lambda data: data[:-1],
        "nothing": b"",
    }
    steps, expected = [], []
    for number, (what, data) in enumerate(damages.items()):
        copy = tmp_path / f"copy-{number}"
        shutil.copytree(trapped, copy)
        damage(copy, data)
        for far in (False, True):
            common = {"vault": str(copy), "cache": str(tmp_path / f"cache-{number}"), "trust": "pickle", "far": far}
            steps.append(common | {"verb": "load", "args": ["m:1.1.0"]})
            whole = what == "more at the end"  # the version's own bytes are all there
            expected.append("found 1792" if whole else "Corrupt digest-mismatch")
    answers = watch(steps)
    assert [outcome for outcome, _ in answers] == expected
    assert all(alarms == [] for outcome, alarms in answers if outcome.startswith("Corrupt"))


def test_a_damaged_record_is_refused_before_unpickling_begins(trapped, canary, watch, tmp_path):
    claim = trapped / "models/m/versions/1.0.0.json"
    raw = claim.read_bytes()
    steps = []
    for number, place in enumerate(range(10, len(raw), 97)):
        copy = tmp_path / f"copy-{number}"
        shutil.copytree(trapped, copy)
        spot = copy / claim.relative_to(trapped)
        spot.chmod(0o600)
        spot.write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
        spot.chmod(0o400)
        steps.append({"vault": str(copy), "cache": str(tmp_path / "cache"), "trust": "pickle", "verb": "load", "args": ["m:1.0.0"]})  # fmt: skip
    assert watch(steps) == [("Corrupt bad-record", [])] * len(steps)


def test_a_pickle_slipped_into_the_cache_is_mended_and_not_run(tmp_path, canary, watch, remote):
    vault = Vault(LocalStore(tmp_path / "vault"))
    vault.publish("m", ["x" * 20_000], version="1.0.0")
    cache = tmp_path / "cache"
    far = {"vault": str(tmp_path / "vault"), "cache": str(cache), "far": True, "trust": "pickle"}
    Vault(remote(LocalStore(tmp_path / "vault")), cache=cache, trust="pickle").load("m:1.0.0")
    kept = [path for path in (cache / "content").rglob("*") if path.is_file()]
    assert kept
    for path in kept:
        path.chmod(0o600)
        path.write_bytes(trap(canary))
    [(outcome, alarms)] = watch([far | {"verb": "load", "args": ["m:1.0.0"]}])
    assert outcome.startswith("found ['xxx")
    assert alarms == []
    assert not canary.exists()


def test_a_forged_manifest_cannot_make_another_format_unpickle(tmp_path, canary, watch, forgery_in):
    forgery = forgery_in(LocalStore(tmp_path / "vault"))
    small, large = trap(canary), trap(canary, 20_000)
    part = forgery.blob(large)
    as_object = np.array([Trap(canary, 0)], dtype=object)
    npy, npz, renamed = io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.save(npy, as_object, allow_pickle=True)
    np.savez(npz, allow_pickle=True, a=as_object)
    with zipfile.ZipFile(renamed, "w") as out:
        out.writestr("a.npy", small)
        out.writestr("b.pkl", small)
    contents = {"model.pkl": small, "array.npy": small, "arrays.npz": small}
    arrays = [("array.npy", npy.getvalue()), ("arrays.npz", npz.getvalue()), ("arrays.npz", renamed.getvalue())]
    number, steps = 0, []
    for format in (
        "numpy",
        "files",
        "safetensors",
        "pickle",
        "Cloudpickle",
        "cloudpickle ",
        "modelvault.formats.pickled",
        "",
    ):
        files = [[forgery.file(path, data)] for path, data in [*contents.items(), *arrays]]
        files.append([{"path": "array.npy", "size": len(large), "digest": part["digest"], "parts": [part]}])
        files.append([forgery.file(path, data) for path, data in contents.items()])
        for some in files:
            number += 1
            manifest = forgery.manifest(*some, format=format, version=f"1.0.{number}")
            forgery.claim(forgery.target(forgery.canonical(manifest), f"1.0.{number}"))
            for trust in (None, "pickle"):
                common = {"vault": str(tmp_path / "vault"), "cache": str(tmp_path / "cache"), "trust": trust}
                steps.append(common | {"verb": "load", "args": [f"m:1.0.{number}"], "far": True, "format": format})
    answers = watch(steps)
    expected = {"numpy": "Corrupt bad-record", "files": "found PosixPath"}
    for step, (outcome, alarms) in zip(steps, answers, strict=True):
        assert outcome.startswith(expected.get(step["format"], "Unsupported unknown-format")), step
        assert [alarm for alarm in alarms if not alarm.startswith(("import", "exec", "compile", "open"))] == []
    assert not canary.exists()
