"""Stamps: files that are as they were are not verified again, and all others are."""

import os
import shutil
import time
from pathlib import Path

import pytest

from modelvault.cache import Cache, room
from modelvault.cache.stamps import Stamps

OLD = time.time_ns() - 3_600_000_000_000


class Checked:
    """Says of the files at `paths` whether they are sound, and counts how often it was asked to look."""

    def __init__(self, stamps: Stamps, *paths: Path) -> None:
        self.stamps = stamps
        self.paths = paths
        self.times = 0
        self.meanwhile = lambda: None

    def __call__(self, what: str = "x", answer: bool = True) -> bool:
        def check() -> bool:
            self.times += 1
            self.meanwhile()
            return answer

        return self.stamps.sound(what, lambda: [path.lstat() for path in self.paths], check)


def written(path: Path, data: bytes, at: int | None = OLD) -> Path:
    path.write_bytes(data)
    if at is not None:
        os.utime(path, ns=(at, at))
    return path


@pytest.fixture
def stamps(tmp_path):
    return Cache(tmp_path / "cache").stamps


@pytest.fixture
def files(tmp_path):
    return [written(tmp_path / name, name.encode()) for name in "ab"]


@pytest.fixture
def sound(stamps, files):
    return Checked(stamps, *files)


def test_what_was_verified_is_not_verified_again(sound):
    assert [sound(), sound(), sound()] == [True] * 3
    assert sound.times == 1


def test_nor_by_another_process(sound, tmp_path, files):
    sound()
    again = Checked(Cache(tmp_path / "cache").stamps, *files)
    assert again()
    assert again.times == 0


def test_what_was_found_wrong_is_looked_at_each_time(sound):
    assert [sound(answer=False), sound(answer=False), sound()] == [False, False, True]
    assert sound.times == 3


def test_files_are_sound_as_what_they_were_verified_as(sound):
    assert sound("x")
    assert not sound("y", answer=False)


def _replaced(path: Path) -> None:
    """By a copy, which has its size and its times."""
    shutil.copy2(path, path.with_name("copy"))
    path.with_name("copy").rename(path)


CHANGES = {
    "written": lambda path: path.write_bytes(b"?"),
    "longer": lambda path: written(path, b"??"),
    "shorter": lambda path: written(path, b""),
    "touched": lambda path: path.touch(),
    "older": lambda path: os.utime(path, ns=(OLD, OLD - 1)),
    "replaced": _replaced,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("which", [0, 1])
def test_files_that_have_changed_are_verified_again(which, change, sound, files):
    sound()
    change(files[which])
    assert not sound(answer=False)
    assert sound.times == 2


def test_files_that_have_changed_places_are_verified_again(sound, files, stamps):
    sound()
    assert not Checked(stamps, *reversed(files))(answer=False)


def test_what_was_dropped_is_verified_again(sound, files, stamps):
    sound()
    for _ in range(2):
        stamps.drop("x", [path.lstat() for path in files])
    assert not sound(answer=False)


def test_what_only_was_read_or_has_another_name_or_another_mode_has_not_changed(sound, files, tmp_path):
    sound()
    os.utime(files[0], ns=(time.time_ns(), OLD))
    os.link(files[0], tmp_path / "other")
    files[0].chmod(0o400)
    assert sound()
    assert sound.times == 1


@pytest.mark.parametrize("ago", [0, 1, -3600], ids="a moment {} s".format)
def test_what_was_written_a_moment_before_is_verified_again(ago, stamps, tmp_path):
    sound = Checked(stamps, written(tmp_path / "new", b"new", time.time_ns() - ago * 1_000_000_000))
    assert [sound(), sound()] == [True, True]
    assert sound.times == 2


def test_what_was_settled_is_not(stamps, tmp_path):
    path = written(tmp_path / "new", b"new", None)
    sound = Checked(stamps, path)
    stamps.settle(path)
    assert [sound(), sound()] == [True, True]
    assert sound.times == 1
    path.write_bytes(b"old")
    stamps.settle(path)
    assert not sound(answer=False)


def test_to_settle_moves_no_time_but_that_of_the_last_write_and_none_that_is_old(stamps, files, tmp_path):
    path = written(tmp_path / "new", b"new", None)
    read = path.stat().st_atime_ns
    stamps.settle(path)
    assert path.stat().st_atime_ns == read
    stamps.settle(files[0])
    assert files[0].stat().st_mtime_ns == OLD
    stamps.settle(tmp_path / "nothing")


def test_what_is_written_while_it_is_verified_is_verified_again(sound, files):
    sound.meanwhile = lambda: written(files[1], b"?", OLD + 1)
    assert sound()
    sound.meanwhile = lambda: None
    assert sound()
    assert sound.times == 2
    assert sound()
    assert sound.times == 2


def test_files_that_are_gone_are_no_files_that_were_verified(stamps):
    nothing = Checked(stamps)
    assert [nothing(), nothing()] == [True, True]
    assert nothing.times == 2


@pytest.mark.parametrize("folder", [None, "missing"])
def test_where_nothing_can_be_noted_down_all_is_verified(folder, files, tmp_path):
    sound = Checked(Stamps(folder and tmp_path / folder), *files)
    assert [sound(), sound()] == [True, True]
    assert sound.times == 2


def test_others_can_write_no_stamps(sound, tmp_path):
    sound()
    folder = tmp_path / "cache" / "stamps"
    assert folder.stat().st_mode & 0o77 == 0
    assert [path.stat().st_size for path in folder.iterdir()] == [0]


def test_a_stamp_is_believed_for_a_month(sound, tmp_path):
    sound()
    [stamp] = (tmp_path / "cache" / "stamps").iterdir()
    for days, times in ((29, 1), (31, 2)):
        os.utime(stamp, (time.time() - days * 86_400,) * 2)
        room.prune(tmp_path / "cache", 1)
        sound()
        assert sound.times == times
