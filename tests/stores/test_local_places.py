"""The local store on real file systems that are full, read-only, not ours, or without links."""

import contextlib
import grp
import multiprocessing
import os
import pwd
import shutil
import subprocess
import tempfile

import pytest

from modelvault.errors import Code, CommitUncertain, StoreError
from modelvault.stores import Entry, Key, KeyExists, Span
from modelvault.stores.commit import commit
from modelvault.stores.local import LocalStore, TornWrites
from modelvault.testing.conformance import Streamed

KEY = Key("models/fraud/1.json")
NOBODY = 65534

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@contextlib.contextmanager
def mounted(folder, *command):
    """A store in `folder`, on which `command` has mounted something; skips where that may not be."""
    if os.geteuid() != 0 or not shutil.which(command[0]):
        pytest.skip("nothing can be mounted here")
    if subprocess.run([*command, folder], check=False, capture_output=True).returncode != 0:
        pytest.skip(f"{' '.join(map(str, command))} does not work here")
    try:
        yield LocalStore(folder)
    finally:
        subprocess.run(["umount", folder], check=True)


@contextlib.contextmanager
def device(path, *command):
    """A block device of 16 MiB that `command` has formatted; skips where that may not be."""
    if os.geteuid() != 0 or not shutil.which(command[0]) or not shutil.which("losetup"):
        pytest.skip("no such device can be made here")
    with open(path, "wb") as file:
        file.truncate(16 * 1024 * 1024)
    subprocess.run([*command, path], check=True, capture_output=True)
    made = subprocess.run(["losetup", "-f", "--show", path], check=False, capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip("no loop device here")
    try:
        yield made.stdout.strip()
    finally:
        subprocess.run(["losetup", "-d", made.stdout.strip()], check=True)


@pytest.fixture
def place(tmp_path):
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


def tried(act):
    """The code of the store error that `act` raises in a process of a user who is not root."""
    if os.geteuid() != 0:
        with pytest.raises(StoreError) as failure:
            act()
        return failure.value.code
    return as_user(act, NOBODY, NOBODY)


def as_user(act, user, group, groups=()):
    """What `act` says, or the code of the error that it raises, in a process of that user."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups(groups)
            os.setgid(group)
            os.setuid(user)
            os.write(writing, str(act()).encode())
        except BaseException as error:
            os.write(writing, str(getattr(error, "code", repr(error))).encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as reply:
        return reply.read()


@pytest.fixture
def open_place():
    """A folder that every user can reach."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield folder
        for path, _, _ in os.walk(folder):
            os.chmod(path, 0o755)


# A disk that is full


def test_a_full_disk_takes_nothing_and_says_so(place):
    with mounted(place, "mount", "-t", "tmpfs", "-o", "size=256k", "none") as store:
        store.create(Key("small"), b"x")
        for data in (bytes(1_000_000), Streamed(1_000_000)):
            with pytest.raises(StoreError) as failure:
                store.create(KEY, data)
            assert failure.value.code == Code.STORE_FULL
            assert [Entry(Key("small"), 1)] == [*store.list("")]
        waits = []
        with pytest.raises(StoreError) as failure:
            commit(store, KEY, bytes(1_000_000), txn="t", sleep=waits.append)
        assert (failure.value.code, waits) == (Code.STORE_FULL, [])
        store.create(KEY, bytes(1_000))
        assert bytes(1_000) == store.read(KEY)


def test_a_disk_without_room_for_names_is_full(place):
    with mounted(place, "mount", "-t", "tmpfs", "-o", "nr_inodes=12", "none") as store:
        keys = [Key(f"a/{number:02}") for number in range(12)]

        def fill():
            for key in keys:
                store.create(key, b"x")

        with pytest.raises(StoreError) as failure:
            fill()
        assert failure.value.code == Code.STORE_FULL
        listed = [entry.key for entry in store.list("a/")]
        assert listed
        assert keys[: len(listed)] == listed


# A place that is not ours to write


def test_a_read_only_place_is_read_and_refuses_the_rest(place):
    with mounted(place, "mount", "-t", "tmpfs", "none") as store:
        store.create(KEY, b"x")
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        assert store.read(KEY) == b"x"
        assert [Entry(KEY, 1)] == [*store.list("models/fraud/")]
        with pytest.raises(KeyExists):
            store.create(KEY, b"y")
        for act in (
            lambda: store.create(Key("a"), b"y"),
            lambda: store.create(Key("b/c"), b"y"),
            lambda: store.delete(KEY),
        ):
            with pytest.raises(StoreError) as failure:
                act()
            assert failure.value.code == Code.STORE_DENIED


def test_a_folder_without_permission_to_write_is_denied(open_place):
    store = LocalStore(open_place)
    store.create(KEY, b"x")
    for folder in ["models/fraud", "models", ""]:
        os.chmod(os.path.join(open_place, folder), 0o555)
    assert tried(lambda: store.create(Key("models/fraud/2.json"), b"y")) == Code.STORE_DENIED
    assert tried(lambda: store.create(Key("models/other/1.json"), b"y")) == Code.STORE_DENIED
    assert tried(lambda: store.delete(KEY)) == Code.STORE_DENIED
    assert tried(lambda: store.create(KEY, b"y")) == Code.KEY_EXISTS if os.geteuid() == 0 else True


def test_an_object_without_permission_to_read_is_denied(open_place):
    store = LocalStore(open_place)
    store.create(KEY, b"x")
    os.chmod(os.path.join(open_place, KEY), 0)
    assert tried(lambda: store.read(KEY)) == Code.STORE_DENIED
    assert tried(lambda: store.fetch(KEY, [Span(0, 1)], print)) == Code.STORE_DENIED
    assert tried(lambda: _uncertain(store)) == Code.COMMIT_UNCERTAIN


def _uncertain(store):
    try:
        commit(store, KEY, b"x", txn="t")
    except CommitUncertain as error:
        raise StoreError("known by its code", code=error.code) from error


def test_a_folder_one_cannot_see_into_is_listed_and_denied(open_place):
    store = LocalStore(open_place)
    store.create(KEY, b"x")
    store.create(Key("models/other/1.json"), b"x")
    os.chmod(os.path.join(open_place, "models/fraud"), 0)
    assert tried(lambda: store.list("models/fraud/")) == Code.STORE_DENIED
    assert tried(lambda: store.read(KEY)) == Code.STORE_DENIED

    def listed():
        raise StoreError("", code=Code.STORE_FULL if len([*store.list("models/")]) == 2 else Code.STORE_FAILED)

    assert tried(listed) == Code.STORE_FULL


# Users and groups


@pytest.fixture
def account():
    """A user whose group is their own; skips where there is none, or it cannot be played."""
    if os.geteuid() != 0:
        pytest.skip("only root can be another")
    for each in pwd.getpwall():
        with contextlib.suppress(KeyError):
            group = grp.getgrgid(each.pw_gid)
            if each.pw_uid not in (0, NOBODY) and each.pw_name == group.gr_name and not group.gr_mem:
                return each
    return pytest.skip("no user has such a group")


def published(root):
    os.umask(0o002)
    store = LocalStore(os.path.join(root, "home/vault"))
    store.create(KEY, b"x")
    return store.private(KEY)


@pytest.fixture
def home(open_place, account):
    """The folder of that user, as a umask of 002 makes it."""
    os.mkdir(os.path.join(open_place, "home"))
    os.chown(os.path.join(open_place, "home"), account.pw_uid, account.pw_gid)
    os.chmod(os.path.join(open_place, "home"), 0o775)
    return open_place


def test_a_vault_that_a_user_makes_with_a_group_of_their_own_is_private(home, account):
    assert as_user(lambda: published(home), account.pw_uid, account.pw_gid) == "True"
    store = LocalStore(os.path.join(home, "home/vault"))
    assert os.stat(os.path.join(store.url, KEY)).st_mode & 0o777 == 0o444
    assert os.stat(os.path.join(store.url, "models")).st_mode & 0o777 == 0o775
    os.chown(os.path.join(store.url, "models"), -1, NOBODY)
    assert as_user(lambda: store.private(KEY), account.pw_uid, account.pw_gid) == "False"


@pytest.mark.parametrize("path", ["", "models", "models/fraud", KEY])
def test_what_root_put_there_is_as_good_as_ones_own(home, account, path):
    as_user(lambda: published(home), account.pw_uid, account.pw_gid)
    store = LocalStore(os.path.join(home, "home/vault"))
    os.chown(os.path.join(store.url, path), 0, -1)
    assert as_user(lambda: store.private(KEY), account.pw_uid, account.pw_gid) == "True"
    os.chown(os.path.join(store.url, path), 0, 0)
    ours_alone = path == KEY  # whose mode lets no group write
    assert as_user(lambda: store.private(KEY), account.pw_uid, account.pw_gid) == str(ours_alone)
    os.chown(os.path.join(store.url, path), NOBODY, -1)
    assert as_user(lambda: store.private(KEY), account.pw_uid, account.pw_gid) == "False"


@pytest.mark.parametrize("umask", [0o022, 0o077], ids="{:03o}".format)
def test_a_group_shares_what_each_of_it_puts_there_whatever_their_umask(open_place, account, umask):
    os.chown(open_place, 0, NOBODY)
    os.chmod(open_place, 0o2770)
    store = LocalStore(open_place)

    def create(name):
        os.umask(umask)
        store.create(Key(f"models/fraud/{name}"), b"x")
        return store.read(KEY)

    assert as_user(lambda: create("1.json"), account.pw_uid, account.pw_gid, [NOBODY]) == "b'x'"
    assert as_user(lambda: create("2.json"), NOBODY, NOBODY) == "b'x'"
    assert as_user(lambda: store.read(Key("models/fraud/2.json")), account.pw_uid, account.pw_gid, [NOBODY]) == "b'x'"
    assert as_user(lambda: store.read(KEY), account.pw_uid, account.pw_gid) == Code.STORE_DENIED


# A file system without links


@pytest.fixture(
    params=[("mkfs.vfat", "mount", "-t", "vfat"), ("mkfs.exfat", "mount.exfat-fuse")], ids=["vfat", "exfat"]
)
def linkless(request, tmp_path, place):
    formatter, *mount = request.param
    with device(tmp_path / "image", formatter) as block, mounted(place, *mount, block) as store:
        (place / "plain").write_bytes(b"")
        with pytest.raises(PermissionError):
            os.link(place / "plain", place / "link")
        (place / "plain").unlink()
        yield store


@pytest.mark.filterwarnings("ignore::modelvault.stores.local.TornWrites")
def test_without_links_nothing_is_replaced_and_all_is_whole(linkless):
    content = Streamed(3_000_000)
    linkless.create(KEY, content)
    linkless.create(Key("models/fraud/2.json"), b"x")
    for data in (b"another", Streamed(10)):
        with pytest.raises(KeyExists):
            linkless.create(KEY, data)
    with pytest.raises(ValueError, match="half"):
        linkless.create(Key("models/fraud/3.json"), Streamed(100, sound=50, error=ValueError("half")))
    assert b"".join(content.chunks()) == linkless.read(KEY)
    assert [Entry(KEY, 3_000_000), Entry(Key("models/fraud/2.json"), 1)] == [*linkless.list("models/fraud/")]
    assert sorted(os.listdir(os.path.join(linkless.url, "models/fraud"))) == ["1.json", "2.json"]
    linkless.delete(KEY)
    assert [Entry(Key("models/fraud/2.json"), 1)] == [*linkless.list("models/fraud/")]


@pytest.mark.filterwarnings("ignore::modelvault.stores.local.TornWrites")
@pytest.mark.parametrize("rounds", [10, pytest.param(100, marks=pytest.mark.long)])
def test_without_links_one_of_many_processes_wins(linkless, rounds):
    keys = [Key(f"race/{number}") for number in range(rounds)]
    context = multiprocessing.get_context("fork")
    gate, wins = context.Barrier(4), context.SimpleQueue()

    def rival(me):
        for key in keys:
            gate.wait(60)
            with contextlib.suppress(KeyExists):
                linkless.create(key, f"{me}".encode())
                wins.put((key, me))
        wins.put(None)

    rivals = [context.Process(target=rival, args=(me,)) for me in range(4)]
    for each in rivals:
        each.start()
    won = [pair for each in rivals for pair in iter(wins.get, None)]
    for each in rivals:
        each.join()
    assert sorted(keys) == sorted(key for key, _ in won)
    assert all(f"{me}".encode() == linkless.read(key) for key, me in won)


def test_exfat_by_fuse_is_known_to_tear(tmp_path, place):
    with device(tmp_path / "image", "mkfs.exfat") as block, mounted(place, "mount.exfat-fuse", block) as store:
        with pytest.warns(TornWrites):
            store.create(KEY, b"x")
        assert store.read(KEY) == b"x"
