"""What was published and has not changed since is not read again; what has, is."""

import os
import threading
import time

import pytest

import modelvault as mv
from modelvault.blobs.sources import Source
from modelvault.cache import measures as measures_module
from modelvault.cache.measures import Measure, Measures
from modelvault.canonical import digest_of
from modelvault.errors import Code, InvalidInput

LARGE = 3 * 1024 * 1024


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """The files of these tests were all written a moment ago."""
    monkeypatch.setattr(measures_module, "CLEAR", 0)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(os.urandom(LARGE))
    settled()
    return path


@pytest.fixture
def vault(tmp_path):
    return mv.open(str(tmp_path / "vault"), cache=tmp_path / "cache")


def settled():
    """The clock of the file system has moved on."""
    time.sleep(0.05)


def kept(tmp_path):
    folder = tmp_path / "cache" / "measures"
    return sorted(folder.iterdir()) if folder.exists() else []


def unread(monkeypatch):
    """From here on no file is read to be measured."""

    def chunks(_):
        raise AssertionError("it was read")

    monkeypatch.setattr(Source, "chunks", chunks)


def test_what_has_not_changed_is_not_read_again(vault, file, monkeypatch):
    first = vault.publish("m", file)
    unread(monkeypatch)
    assert vault.publish("m", file).digest == first.digest
    assert vault.publish("m", file, bump="patch").files == first.files


def test_it_is_known_in_another_vault_where_its_bytes_are_stored(vault, file, tmp_path, monkeypatch):
    vault.publish("m", file)
    unread(monkeypatch)
    other = mv.open(str(tmp_path / "other"), cache=tmp_path / "cache")
    other.publish("m", file)
    assert (other.fetch("m:1.0.0", tmp_path / "out") / file.name).read_bytes() == file.read_bytes()
    assert other.verify().ok


@pytest.mark.parametrize("change", ["append", "in place", "replaced", "touched"])
def test_what_has_changed_is_read(vault, file, change):
    vault.publish("m", file)
    before = file.stat()
    if change == "append":
        with open(file, "ab") as out:
            out.write(b"more")
    elif change == "in place":
        with open(file, "r+b") as out:
            out.write(b"other bytes, as many as before, and the time set back")
    elif change == "replaced":
        file.with_name("new").write_bytes(os.urandom(LARGE))
        os.replace(file.with_name("new"), file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    second = vault.publish("m", file, bump="patch")
    assert second.files[0].digest == digest_of(file.read_bytes())


def test_what_was_written_to_a_moment_ago_is_not_noted_down(vault, file, tmp_path, monkeypatch):
    monkeypatch.setattr(measures_module, "CLEAR", 60_000_000_000)
    vault.publish("m", file)
    assert kept(tmp_path) == []


def test_what_is_small_is_not_noted_down(vault, tmp_path):
    (tmp_path / "small").write_bytes(bytes(1000))
    settled()
    vault.publish("m", tmp_path / "small")
    assert kept(tmp_path) == []


def test_without_a_cache_nothing_is_noted_down(file, tmp_path):
    vault = mv.open(str(tmp_path / "vault"), cache=False)
    assert vault.publish("m", file).digest == vault.publish("m", file).digest
    assert kept(tmp_path) == []


@pytest.mark.parametrize("garbled", [b"", b"\0" * 200, "cut", "flipped"])
def test_a_garbled_measure_is_none(vault, file, tmp_path, garbled):
    first = vault.publish("m", file)
    (measure,) = kept(tmp_path)
    raw = bytearray(measure.read_bytes())
    raw[-5] ^= 1
    measure.write_bytes({"cut": measure.read_bytes()[:-1], "flipped": raw}.get(garbled, garbled))
    assert vault.publish("m", file).digest == first.digest
    assert len(kept(tmp_path)) == 1


def test_a_wrong_measure_stores_nothing_and_is_dropped(vault, file, tmp_path):
    source = Source(file, file.name)
    wrong = Measure("sha256:" + "0" * 64, [("blake3:" + "0" * 64, LARGE - 7, ""), ("blake3:" + "1" * 64, 7, "")])
    (tmp_path / "cache" / "measures").mkdir(parents=True, mode=0o700)
    (tmp_path / "cache").chmod(0o700)
    Measures(tmp_path / "cache" / "measures").note(source._found, source._how, time.time_ns(), wrong)
    with pytest.raises(InvalidInput) as caught:
        vault.publish("m", file)
    assert caught.value.code == Code.BAD_VALUE
    assert vault.models() == []
    assert vault.publish("m", file).files[0].digest == digest_of(file.read_bytes())


def test_a_folder_that_is_gone_does_no_harm(file, tmp_path):
    source = Source(file, file.name)
    measures = Measures(tmp_path / "gone")
    measures.note(source._found, source._how, time.time_ns(), Measure("sha256:" + "0" * 64, []))
    assert measures.of(source._found, source._how) is None
    measures.drop(source._found, source._how)


def test_a_publisher_that_fails_leaves_no_thread_behind(tmp_path):
    path = tmp_path / "opaque.bin"
    path.write_bytes(os.urandom(48 * 1024 * 1024))
    before = threading.active_count()
    reading = Source(path, path.name).chunks()
    next(reading)
    assert threading.active_count() > before  # the cuts are looked for ahead
    with pytest.raises(RuntimeError) as held:
        reading.throw(RuntimeError("the store is gone"))
    assert held.value.__traceback__  # which keeps the frames that failed
    assert threading.active_count() == before
