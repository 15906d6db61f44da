"""The local store keeps the laws on every file system, touches nothing outside, and says what went wrong."""

import contextlib
import errno
import grp
import multiprocessing
import os
import pickle
import pwd
import socket
import stat
import struct
import sys
import tempfile
import types

import pytest

from modelvault.errors import Code, Corrupt, InvalidInput, StoreError, Unsupported, Untrusted
from modelvault.stores import Entry, Key, KeyExists, KeyMissing, Span, posix
from modelvault.stores.local import LocalStore, TornWrites
from modelvault.testing import StoreSuite
from modelvault.testing.conformance import Streamed, race

KEY = Key("models/fraud/versions/1.4.0.json")
FOLDERS = ["models", "models/fraud", "models/fraud/versions"]
RAM = pytest.param("/dev/shm", marks=pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="no tmpfs here"))


def fails(code):
    def fail(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    return fail


def once(function, *, after=False, code=errno.EIO):
    """`function`, whose first call fails, and does nothing or (`after`) all."""
    calls = []

    def call(*args, **kwargs):
        calls.append(args)
        result = function(*args, **kwargs) if after or len(calls) > 1 else None
        if len(calls) == 1:
            fails(code)()
        return result

    return call


def files(root):
    return sorted(os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names)


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "vault")


class TestOnDisk(StoreSuite):
    @pytest.fixture
    def store(self, tmp_path):
        return LocalStore(tmp_path / "vault")


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="no tmpfs here")
class TestOnTmpfs(StoreSuite):
    @pytest.fixture
    def store(self):
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            yield LocalStore(os.path.join(folder, "vault"))


class TestByRename(StoreSuite):
    """Without hard links, by exclusive renames."""

    @pytest.fixture
    def store(self, tmp_path, monkeypatch):
        monkeypatch.setattr(os, "link", fails(errno.EPERM))
        return LocalStore(tmp_path / "vault")

    def opener(self, store):
        return None  # another process would have links


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("rounds", [60, pytest.param(500, marks=pytest.mark.long)])
@pytest.mark.parametrize("base", ["", RAM])
def test_of_eight_processes_one_wins_every_round(tmp_path, base, rounds):
    with tempfile.TemporaryDirectory(dir=base or tmp_path) as folder:
        store, context = LocalStore(folder), multiprocessing.get_context("fork")
        race(store, lambda: LocalStore(folder), context, context.SimpleQueue(), contenders=8, rounds=rounds)
        assert [path for path in files(folder) if ".tmp-" in path] == []


# Where it is


def test_the_url_is_the_absolute_path_whatever_the_way(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("vault")
    expected = os.path.realpath(tmp_path / "vault")
    assert [expected] * 4 == [
        LocalStore(root).url for root in ["vault", tmp_path / "vault", "link", f"{tmp_path}/x/../vault/"]
    ]


def test_a_symlink_to_the_root_is_resolved_once(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "link").symlink_to("one")
    store = LocalStore(tmp_path / "link")
    store.create(KEY, b"x")
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("two")
    assert store.read(KEY) == b"x"


def test_only_create_makes_the_root(tmp_path):
    store = LocalStore(tmp_path / "a/b/vault")
    with pytest.raises(KeyMissing):
        store.read(KEY)
    assert [*store.list("")] == []
    store.delete(KEY)
    assert not store.private(KEY)
    assert os.listdir(tmp_path) == []
    store.create(KEY, b"x")
    assert (tmp_path / "a/b/vault" / KEY).read_bytes() == b"x"


@pytest.mark.parametrize("root", ["", "a\0b"])
def test_what_is_no_path_is_refused(root):
    with pytest.raises(InvalidInput) as refusal:
        LocalStore(root)
    assert refusal.value.code == Code.BAD_VALUE


def test_a_working_folder_that_is_gone_is_a_store_error(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(StoreError):
        LocalStore("vault")


def test_a_platform_without_descriptors_of_folders_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "supports_dir_fd", set())
    with pytest.raises(Unsupported):
        LocalStore(tmp_path)


@pytest.mark.parametrize("root", ["file", "file/below"])
def test_a_root_that_is_no_folder_is_an_error_and_not_an_empty_vault(tmp_path, root):
    (tmp_path / "file").write_bytes(b"a model, say")
    store = LocalStore(tmp_path / root)
    for verb in [
        lambda: store.read(KEY),
        lambda: store.fetch(KEY, [], print),
        lambda: store.list(""),
        lambda: store.create(KEY, b""),
        lambda: store.delete(KEY),
    ]:
        with pytest.raises(StoreError, match="not a folder") as failure:
            verb()
        assert isinstance(failure.value.__cause__, NotADirectoryError)


def test_it_travels_to_another_process(store):
    store.create(KEY, b"x")
    assert pickle.loads(pickle.dumps(store)).read(KEY) == b"x"


# What it leaves on the disk


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.fixture(params=[0o000, 0o002, 0o022, 0o027, 0o077], ids="umask {:03o}".format)
def umask(request):
    previous = os.umask(request.param)
    yield request.param
    os.umask(previous)


@pytest.mark.parametrize("mode", [0o700, 0o750, 0o755, 0o770, 0o775, 0o777, 0o2770, 0o2775], ids="{:o}".format)
def test_below_the_root_all_is_as_open_as_the_root_whatever_the_umask(tmp_path, umask, mode):
    root = tmp_path / "vault"
    root.mkdir()
    root.chmod(mode)
    LocalStore(root).create(KEY, b"x")
    assert [mode] * 3 == [mode_of(root / folder) for folder in FOLDERS]
    assert 0o400 | mode & 0o044 == mode_of(root / KEY)


@pytest.mark.filterwarnings("ignore::modelvault.stores.local.TornWrites")
@pytest.mark.parametrize("mode", [0o700, 0o750, 0o755], ids="{:o}".format)
def test_an_object_written_under_its_own_name_is_as_open_as_any(bare, umask, mode):
    os.mkdir(bare.url)
    os.chmod(bare.url, mode)
    bare.create(KEY, b"x")
    assert 0o400 | mode & 0o044 == mode_of(os.path.join(bare.url, KEY))


@pytest.mark.parametrize("above", [0o700, 0o755, 0o777, 0o1777], ids="{:o}".format)
def test_the_root_and_what_is_made_above_it_are_as_open_as_the_umask_says(tmp_path, umask, above):
    tmp_path.chmod(above)
    LocalStore(tmp_path / "a/vault").create(KEY, b"x")
    expected = 0o777 & ~umask
    assert [expected] * 5 == [
        mode_of(tmp_path / "a" / folder) for folder in ["", "vault", *(f"vault/{f}" for f in FOLDERS)]
    ]
    assert 0o400 | expected & 0o044 == mode_of(tmp_path / "a/vault" / KEY)


def test_a_folder_that_another_has_made_keeps_its_mode(store):
    store.create(Key("a/1"), b"x")
    os.chmod(os.path.join(store.url, "a"), 0o700)
    os.chmod(store.url, 0o755)
    store.create(Key("a/2"), b"x")
    assert mode_of(os.path.join(store.url, "a")) == 0o700


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS])
def test_where_modes_are_fixed_they_are_as_they_are(tmp_path, monkeypatch, number):
    tmp_path.chmod(0o777)
    monkeypatch.setattr(os, "fchmod", fails(number))
    store = LocalStore(tmp_path)
    store.create(KEY, b"x")
    assert store.read(KEY) == b"x"


def test_nothing_staged_is_left_or_listed(tmp_path, store):
    store.create(KEY, b"x")
    with pytest.raises(KeyExists):
        store.create(KEY, b"y")
    with pytest.raises(ValueError, match="half"):
        store.create(Key("other"), Streamed(100, sound=50, error=ValueError("half")))
    assert [str(tmp_path / "vault" / KEY)] == files(tmp_path)
    (tmp_path / "vault/.tmp-0123").write_bytes(b"left by a kill")
    (tmp_path / "vault/empty/.tmp-dir").mkdir(parents=True)
    assert [Entry(Key("models/"), 0)] == [*store.list("")]


def test_what_is_no_key_is_not_listed(tmp_path, store):
    store.create(KEY, b"x")
    vault = tmp_path / "vault"
    for name in [".git", "with space", "ümlaut", "_hidden", "a" * 201, os.fsdecode(b"\xff\xfe")]:
        (vault / name).mkdir()
        (vault / name / "x").write_bytes(b"")
        (vault / "models" / name).write_bytes(b"")
    assert [Entry(Key("models/"), 0)] == [*store.list("")]
    assert [Entry(Key("models/fraud/"), 0)] == [*store.list("models/")]


def test_an_object_does_not_stand_below_another_nor_where_a_folder_is(store):
    store.create(Key("a"), b"x")
    with pytest.raises(StoreError):
        store.create(Key("a/b"), b"y")
    assert [*store.list("a/")] == []
    store.create(Key("c/d"), b"x")
    with pytest.raises(KeyExists):
        store.create(Key("c"), b"y")
    with pytest.raises(KeyMissing):
        store.read(Key("c"))


# Durability


@pytest.fixture
def events(monkeypatch):
    """What was flushed, linked, unlinked and made, in order."""
    seen = []

    def path_of(descriptor):
        return os.readlink(f"/proc/self/fd/{descriptor}")

    def spy(name, describe):
        real = getattr(os, name)

        def call(*args, **kwargs):
            seen.append((name, describe(*args, **kwargs)))
            return real(*args, **kwargs)

        monkeypatch.setattr(os, name, call)

    def shorten(path):
        return ".tmp" if os.path.basename(path).startswith(".tmp-") else os.path.basename(path)

    spy("fsync", lambda descriptor: shorten(path_of(descriptor)))
    spy("link", lambda source, target, **_: (shorten(source), target))
    spy("unlink", lambda name, **_: shorten(name))
    spy("mkdir", lambda name, _mode, **_kwargs: name)
    return seen


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no names of descriptors here")
def test_bytes_are_flushed_before_their_name_and_the_folder_after(tmp_path, store, events):
    publish = [("fsync", ".tmp"), ("link", (".tmp", "1.json")), ("unlink", ".tmp"), ("fsync", "b")]
    store.create(Key("a/b/1.json"), b"x")
    made = [
        ("mkdir", "vault"),
        ("fsync", tmp_path.name),
        ("mkdir", "a"),
        ("fsync", "vault"),
        ("mkdir", "b"),
        ("fsync", "a"),
    ]
    assert made + publish == events
    events.clear()
    store.create(Key("a/b/2.json"), Streamed(3_000_000))
    assert events == [("fsync", ".tmp"), ("link", (".tmp", "2.json")), ("unlink", ".tmp"), ("fsync", "b")]
    events.clear()
    with pytest.raises(KeyExists):
        store.create(Key("a/b/1.json"), b"y")
    assert events == [("fsync", "b")]


def test_a_folder_that_another_has_just_made_is_flushed_too(store, monkeypatch, events):
    mkdir = os.mkdir

    def late(name, mode, *, dir_fd):
        mkdir(name, mode, dir_fd=dir_fd)
        mkdir(name, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "mkdir", late)
    store.create(Key("a/1"), b"x")
    assert ("fsync", "vault") in events
    assert store.read(Key("a/1")) == b"x"


# Specials and symlinks


@pytest.fixture
def outside(tmp_path):
    """A folder of somebody else, and a check that it is as it was."""
    folder = tmp_path / "outside"
    (folder / "fraud/versions").mkdir(parents=True)
    (folder / "versions").mkdir()
    for name in ["fraud/versions/1.4.0.json", "versions/1.4.0.json", "1.4.0.json"]:
        (folder / name).write_bytes(b"secret")

    def look():
        return {path: os.lstat(path)[:9] for path in [folder, *folder.rglob("*")]}

    before = look()
    yield folder
    assert before == look()


@pytest.mark.parametrize("level", range(3))
@pytest.mark.parametrize("name", ["1.4.0.json", "new.json"])
def test_a_symlink_in_place_of_a_folder_leads_nowhere(tmp_path, store, outside, level, name):
    store.create(Key("x"), b"")
    link = tmp_path / "vault" / FOLDERS[level]
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside)
    key = Key(f"models/fraud/versions/{name}")
    verbs = [
        lambda: store.read(key),
        lambda: store.create(key, b"x"),
        lambda: store.fetch(key, [Span(0, 1)], print),
        lambda: store.list("models/fraud/versions/"),
        lambda: store.delete(key),
    ]
    for verb in verbs:
        with pytest.raises(Untrusted) as refusal:
            verb()
        assert refusal.value.code == Code.UNSAFE_FOLDER
    assert not store.private(key)
    assert f"{FOLDERS[level]}/" not in [entry.key for entry in store.list(FOLDERS[level])]


def test_a_symlink_planted_while_a_folder_is_made_leads_nowhere(tmp_path, store, outside, monkeypatch):
    def planted(name, mode, *, dir_fd):
        os.symlink(outside, name, dir_fd=dir_fd)
        raise FileExistsError

    store.create(Key("x"), b"")
    monkeypatch.setattr(os, "mkdir", planted)
    with pytest.raises(Untrusted):
        store.create(Key("versions/new.json"), b"x")


@pytest.mark.parametrize("target", ["outside/1.4.0.json", "outside/nothing", "outside"])
def test_a_symlink_in_place_of_an_object_leads_nowhere(tmp_path, store, outside, target):
    store.create(Key("models/fraud/versions/1.3.0.json"), b"x")
    link = tmp_path / "vault" / KEY
    link.symlink_to(tmp_path / target)
    with pytest.raises(Untrusted):
        store.read(KEY)
    with pytest.raises(Untrusted):
        store.fetch(KEY, [Span(0, 1)], print)
    with pytest.raises(KeyExists):
        store.create(KEY, b"x")
    assert [entry.key for entry in store.list("models/fraud/versions/")] == ["models/fraud/versions/1.3.0.json"]
    assert not store.private(KEY)
    store.delete(KEY)
    assert not link.is_symlink()


def test_a_pipe_or_a_socket_is_no_object_and_does_not_hang(tmp_path, store, monkeypatch):
    store.create(Key("a"), b"x")
    monkeypatch.chdir(tmp_path / "vault")
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        for key in map(Key, ["pipe", "socket"]):
            with pytest.raises(Untrusted):
                store.read(key)
            with pytest.raises(KeyExists):
                store.create(key, b"y")
    assert [entry.key for entry in store.list("")] == ["a"]


# Privacy


def test_what_the_user_alone_can_write_is_private(store):
    store.create(KEY, b"x")
    assert store.private(KEY)
    assert not store.private(Key("models/fraud/versions/1.5.0.json"))
    assert not store.private(Key("models/fraud"))


def group_of_others():
    """A group that is not the user's own, or None if nothing can be given to one."""
    if os.geteuid() == 0:
        return 65534
    return next((group for group in os.getgroups() if group != pwd.getpwuid(os.geteuid()).pw_gid), None)


@pytest.mark.parametrize("path", ["..", ".", *FOLDERS, KEY])
@pytest.mark.parametrize("mode", [0o020, 0o002, 0o022])
def test_what_others_can_write_is_not_private(tmp_path, store, path, mode):
    store.create(KEY, b"x")
    path = tmp_path / "vault" / path
    group = group_of_others()
    if group is None:
        pytest.skip("the user has no other group")
    os.chown(path, -1, group)
    own = mode_of(path) & ~0o022
    os.chmod(path, own | mode)
    assert not store.private(KEY)
    os.chmod(path, own)
    assert store.private(KEY)


def test_a_sticky_folder_above_is_as_good_as_ones_own(tmp_path, store):
    store.create(KEY, b"x")
    os.chmod(tmp_path, 0o1777)
    assert store.private(KEY)
    os.chmod(tmp_path, 0o700)
    os.chmod(tmp_path / "vault", 0o1777)
    assert not store.private(KEY)


@pytest.fixture
def own_group(monkeypatch):
    """Changes to what the system says of the user's group, which is else a group of the user alone."""
    posix._is_own_group.cache_clear()
    account = pwd.getpwuid(os.geteuid())

    def say(**changes):
        said = {"gr_name": account.pw_name, "gr_mem": [], **changes}
        monkeypatch.setattr(grp, "getgrgid", lambda _: types.SimpleNamespace(**said))
        monkeypatch.setattr(
            pwd, "getpwuid", lambda _: types.SimpleNamespace(pw_name=account.pw_name, pw_gid=os.getgid())
        )

    yield say
    posix._is_own_group.cache_clear()


@pytest.fixture
def open_to_the_group(tmp_path, store):
    """A vault made with a umask of 002, in a folder made so too; all of it is what the group may write."""
    store.create(KEY, b"x")
    places = [tmp_path, *(tmp_path / "vault" / path for path in ["", *FOLDERS, KEY])]
    for place in places:
        os.chown(place, -1, os.getgid())
        os.chmod(place, mode_of(place) | 0o020)
    return places


@pytest.mark.parametrize("members", [[], [pwd.getpwuid(os.geteuid()).pw_name]], ids=["none", "self"])
def test_what_ones_own_group_can_write_is_private(own_group, store, open_to_the_group, members):
    own_group(gr_mem=members)
    assert store.private(KEY)
    for place in open_to_the_group:
        os.chmod(place, mode_of(place) | 0o002)
        assert not store.private(KEY)
        os.chmod(place, mode_of(place) & ~0o002)
    assert store.private(KEY)


@pytest.mark.parametrize("changes", [{"gr_name": "team"}, {"gr_mem": ["colleague"]}], ids=["name", "member"])
def test_a_group_of_another_name_or_with_another_member_is_not_ones_own(own_group, store, open_to_the_group, changes):
    own_group(**changes)
    assert not store.private(KEY)


def test_a_group_that_the_system_does_not_know_is_not_ones_own(own_group, store, open_to_the_group, monkeypatch):
    own_group()
    monkeypatch.setattr(grp, "getgrgid", {}.__getitem__)
    assert not store.private(KEY)


def test_no_group_is_looked_up_where_none_can_write(store, monkeypatch):
    os.mkdir(store.url, 0o700)
    store.create(KEY, b"x")
    monkeypatch.setattr(posix, "alone", pytest.fail)
    assert store.private(KEY)


@pytest.mark.skipif(sys.platform != "linux", reason="no such access lists here")
@pytest.mark.parametrize("place", range(6))
def test_what_an_access_list_lets_another_write_is_not_private(own_group, store, open_to_the_group, place):
    own_group()
    tags = [(0x01, 7, -1), (0x02, 7, 65534), (0x04, 5, -1), (0x10, 7, -1), (0x20, 5, -1)]
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *tag) for tag in tags)
    try:
        os.setxattr(open_to_the_group[place], "system.posix_acl_access", acl)
    except OSError:
        pytest.skip("no access lists here")
    assert not store.private(KEY)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("path", ["..", ".", *FOLDERS, KEY])
def test_what_another_owns_is_not_private(tmp_path, store, path):
    store.create(KEY, b"x")
    os.chown(tmp_path / "vault" / path, 65534, 65534)
    assert not store.private(KEY)


def test_a_folder_made_a_symlink_is_not_private(tmp_path, store):
    store.create(KEY, b"x")
    fraud = tmp_path / "vault/models/fraud"
    fraud.rename(tmp_path / "vault/models/moved")
    fraud.symlink_to("moved")
    assert not store.private(KEY)


# Failures


@pytest.mark.parametrize("call", ["open", "fsync", "link", "mkdir", "stat"])
@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, Code.STORE_FULL),
        (errno.EDQUOT, Code.STORE_FULL),
        (errno.EACCES, Code.STORE_DENIED),
        (errno.EROFS, Code.STORE_DENIED),
        (errno.EIO, Code.STORE_FAILED),
        (errno.ENAMETOOLONG, Code.STORE_FAILED),
    ],
)
def test_what_the_system_says_comes_out_as_a_store_error(store, monkeypatch, call, number, code):
    store.create(Key("a"), b"x")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, fails(number))
        with pytest.raises(StoreError) as failure:
            store.create(KEY, b"x")
    assert (code, KEY) == (failure.value.code, failure.value.ref)
    assert failure.value.hint
    assert isinstance(failure.value.__cause__, OSError)
    with pytest.raises(KeyMissing):
        store.read(KEY)
    assert len(files(store.url)) == 1


@pytest.mark.parametrize(
    ("call", "verb"), [("read", "read"), ("pread", "fetch"), ("scandir", "list"), ("unlink", "delete")]
)
def test_no_error_of_the_system_leaks(store, monkeypatch, call, verb):
    store.create(KEY, b"x")
    monkeypatch.setattr(os, call, fails(errno.EIO))
    arguments = {"read": [KEY], "fetch": [KEY, [Span(0, 1)], print], "list": ["models/"], "delete": [KEY]}[verb]
    with pytest.raises(StoreError):
        getattr(store, verb)(*arguments)


def test_a_path_too_long_for_the_system_is_a_store_error(tmp_path):
    store = LocalStore(tmp_path / "/".join(["a" * 200] * 25))
    with pytest.raises(StoreError):
        store.create(KEY, b"x")
    with pytest.raises(StoreError):
        store.read(KEY)


def test_short_reads_and_writes_are_carried_on(store, monkeypatch):
    write, read, pread = os.write, os.read, os.pread
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:7]))
    monkeypatch.setattr(os, "read", lambda fd, size: read(fd, min(size, 5)))
    monkeypatch.setattr(os, "pread", lambda fd, size, at: pread(fd, min(size, 3), at))
    data = bytes(range(100))
    store.create(KEY, data)
    assert data == store.read(KEY)
    got = []
    store.fetch(KEY, [Span(10, 50)], lambda at, chunk: got.append((at, chunk)))
    assert data[10:60] == b"".join(chunk for _, chunk in got)
    assert [*range(10, 60, 3)] == [at for at, _ in got]


def test_an_object_cut_while_it_is_read_is_corrupt(store, monkeypatch):
    store.create(KEY, b"0123456789")
    monkeypatch.setattr(os, "pread", lambda fd, size, at: b"")
    with pytest.raises(Corrupt):
        store.fetch(KEY, [Span(0, 10)], print)
    monkeypatch.setattr(os, "read", lambda fd, size, rest=[b"0123"]: rest.pop() if rest else b"")
    assert store.read(KEY) == b"0123"


def test_a_staged_file_that_cannot_be_removed_is_no_failure(store, monkeypatch):
    monkeypatch.setattr(os, "unlink", fails(errno.EIO))
    store.create(KEY, b"x")
    assert store.read(KEY) == b"x"
    assert [Entry(KEY, 1)] == [*store.list("models/fraud/versions/")]


def test_a_close_that_fails_is_no_failure(store, monkeypatch):
    close = os.close
    monkeypatch.setattr(os, "close", lambda fd: (close(fd), fails(errno.EIO)()))
    store.create(KEY, b"x")
    assert store.read(KEY) == b"x"


def test_what_goes_while_it_is_listed_is_left_out(tmp_path, store, monkeypatch):
    for key in ["a", "b", "c/x", "d/x"]:
        store.create(Key(key), b"")
    scandir = os.scandir

    def late(folder):
        found = [*scandir(folder)]
        if "a" in [entry.name for entry in found]:
            os.unlink(tmp_path / "vault/a")
            os.rename(tmp_path / "vault/c", tmp_path / "gone")
        return _Closing(found)

    monkeypatch.setattr(os, "scandir", late)
    assert [entry.key for entry in store.list("")] == ["b", "d/"]


def test_a_folder_one_cannot_see_into_is_listed(store, monkeypatch):
    for key in ["a/x", "b/x"]:
        store.create(Key(key), b"")
    real = os.open

    def closed(name, flags, **options):
        return fails(errno.EACCES)() if name == "a" else real(name, flags, **options)

    monkeypatch.setattr(os, "open", closed)
    assert [entry.key for entry in store.list("")] == ["a/", "b/"]
    with pytest.raises(StoreError):
        store.list("a/")


class _Closing(list):
    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no list of descriptors here")
def test_no_descriptor_stays_open(tmp_path, store, monkeypatch):
    def workout():
        keys = [KEY, Key("a"), Key("a/b"), Key("models"), Key("no"), Key("pipe"), Key("link/x")]
        verbs = [
            store.read,
            store.delete,
            lambda key: store.fetch(key, [Span(0, 9)], print),
            lambda key: store.create(key, b""),
        ]
        verbs += [
            lambda key: store.create(key, Streamed(9, sound=1, error=ValueError())),
            lambda key: [*store.list(key)],
        ]
        for key in keys:
            for verb in verbs:
                with contextlib.suppress(KeyMissing, KeyExists, StoreError, Untrusted, Corrupt, ValueError):
                    verb(key)

    store.create(KEY, b"x")
    os.mkfifo(tmp_path / "vault/pipe")
    (tmp_path / "vault/link").symlink_to("models")
    workout()
    for call in ["fsync", "link", "mkdir", "stat", "lstat", "fstat", "write", "scandir", "unlink"]:
        with monkeypatch.context() as patch:
            patch.setattr(os, call, fails(errno.EIO))
            workout()
    assert [] == [file for file in map(os.path.realpath, os.scandir("/proc/self/fd")) if str(tmp_path) in file]


# Names without hard links


@pytest.mark.parametrize("number", [errno.EIO, errno.EEXIST, errno.EPERM])
def test_a_link_that_was_made_though_the_reply_was_lost_is_made(store, monkeypatch, number):
    monkeypatch.setattr(os, "link", once(os.link, after=True, code=number))
    store.create(KEY, b"x")
    assert store.read(KEY) == b"x"
    assert len(files(store.url)) == 1


def test_the_link_of_another_is_not_taken_for_ours(tmp_path, store, monkeypatch):
    def beaten(source, target, *, dst_dir_fd, **_):
        rival = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, dir_fd=dst_dir_fd)
        os.write(rival, b"theirs")
        os.close(rival)
        fails(errno.EEXIST)()

    monkeypatch.setattr(os, "link", beaten)
    with pytest.raises(KeyExists):
        store.create(KEY, b"x")
    assert store.read(KEY) == b"theirs"


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV])
def test_without_links_a_rename_gives_the_name(store, monkeypatch, number):
    monkeypatch.setattr(os, "link", fails(number))
    store.create(KEY, b"x")
    assert store.read(KEY) == b"x"
    assert len(files(store.url)) == 1


def test_a_rename_loses_to_what_was_there_first(store, monkeypatch):
    stat = os.stat

    def late(name, **options):  # nothing stood there when it was looked at
        if name == "1.4.0.json":
            raise FileNotFoundError
        return stat(name, **options)

    store.create(KEY, b"first")
    monkeypatch.setattr(os, "link", fails(errno.EPERM))
    monkeypatch.setattr(os, "stat", late)
    with pytest.raises(KeyExists):
        store.create(KEY, b"second")
    assert store.read(KEY) == b"first"
    assert len(files(store.url)) == 1


@pytest.fixture
def bare(store, monkeypatch):
    """A store on a file system that has neither links nor exclusive renames."""
    monkeypatch.setattr(os, "link", fails(errno.EPERM))
    monkeypatch.setattr("modelvault.stores.posix.rename", fails(errno.EINVAL))
    return store


def test_without_both_it_warns_once_and_the_name_is_still_exclusive(bare):
    with pytest.warns(TornWrites, match="a part of an object") as warned:
        bare.create(KEY, Streamed(3_000_000))
    assert __file__ == warned[0].filename
    bare.create(Key("other"), b"x")
    with pytest.raises(KeyExists):
        bare.create(KEY, b"y")
    assert b"".join(Streamed(3_000_000).chunks()) == bare.read(KEY)
    assert bare.exclusive
    assert len(files(bare.url)) == 2


@pytest.mark.filterwarnings("ignore::modelvault.stores.local.TornWrites")
def test_without_both_a_failure_leaves_nothing(bare, monkeypatch):
    monkeypatch.setattr(os, "pread", fails(errno.EIO))
    with pytest.raises(StoreError):
        bare.create(KEY, b"x")
    assert files(bare.url) == []


@pytest.mark.filterwarnings("ignore::modelvault.stores.local.TornWrites")
def test_without_both_one_of_many_threads_wins(bare):
    import threading

    wins, gate = [], threading.Barrier(8)

    def rival(me):
        gate.wait()
        try:
            bare.create(KEY, f"{me}".encode())
            wins.append(me)
        except KeyExists:
            pass

    threads = [threading.Thread(target=rival, args=(me,)) for me in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [f"{me}".encode() for me in wins] == [bare.read(KEY)]


@pytest.mark.filterwarnings("error")
def test_a_rename_that_fails_for_another_reason_is_an_error(store, monkeypatch):
    monkeypatch.setattr(os, "link", fails(errno.EPERM))
    monkeypatch.setattr("modelvault.stores.posix.rename", fails(errno.EACCES))
    with pytest.raises(StoreError):
        store.create(KEY, b"x")
    assert files(store.url) == []


def test_a_system_library_without_exclusive_renames_is_noticed(store, monkeypatch):
    import ctypes

    monkeypatch.setattr(os, "link", fails(errno.EPERM))
    monkeypatch.setattr(ctypes, "CDLL", lambda *args, **kwargs: object())
    with pytest.warns(TornWrites):
        store.create(KEY, b"x")
    assert store.read(KEY) == b"x"
