"""SFTP: the laws of stores on OpenSSH and on a server that has no extensions, and what is particular to SSH."""

import multiprocessing
import os
import pickle
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from modelvault.errors import Code, InvalidInput, StoreError, Unsupported, Untrusted
from modelvault.stores import Entry, Key, KeyMissing, Span
from modelvault.stores.commit import commit
from modelvault.stores.packets import Op, string
from modelvault.stores.sftp import SFTPStore
from modelvault.testing import StoreSuite
from modelvault.testing.conformance import Streamed, pattern, race

from ..servers.proxy import TCPProxy
from ..servers.server import fresh
from ..servers.sftp import OpenSSH

paramiko = pytest.importorskip("paramiko")

KEY = Key("models/fraud/versions/1.4.0.json")
MEBIBYTE = 1024 * 1024
SECRET = "hunter2-and-more"

fork = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
on_openssh = pytest.mark.needs("sftp")


def opened(place, **options):
    return SFTPStore(place.url, **(place.options | options))


def left(server, place):
    """The staged files that are still there."""
    return [*server.folder_of(place).rglob(".tmp-*")]


@pytest.fixture
def place(sftp_server):
    return sftp_server.place()


@pytest.fixture
def store(place):
    return opened(place)


class Loose(paramiko.SFTPServerInterface):
    """A folder served with no extension at all; a rename replaces what is there, unless `strict`."""

    strict = False

    def __init__(self, server):
        self.root = server.root

    def _path(self, path):
        return self.root + self.canonicalize(path)

    def _told(self, act, *args):
        try:
            return act(*args)
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)

    def lstat(self, path):
        return self._told(lambda: paramiko.SFTPAttributes.from_stat(os.lstat(self._path(path))))

    def list_folder(self, path):
        if path.endswith("/closed"):
            return paramiko.SFTP_PERMISSION_DENIED

        def attributes():
            with os.scandir(self._path(path)) as found:
                return [
                    paramiko.SFTPAttributes.from_stat(each.stat(follow_symlinks=False), each.name) for each in found
                ]

        return self._told(attributes)

    def open(self, path, flags, attr):
        def handle():
            found = os.fdopen(
                os.open(self._path(path), flags, attr.st_mode or 0o666), "wb" if flags & os.O_WRONLY else "rb"
            )
            made = paramiko.SFTPHandle(flags)
            made.readfile = made.writefile = found
            made.stat = lambda: (
                (found.flush() if flags & os.O_WRONLY else None)
                or paramiko.SFTPAttributes.from_stat(os.fstat(found.fileno()))
            )
            return made

        return self._told(handle)

    def mkdir(self, path, attr):
        return self._told(os.mkdir, self._path(path)) or paramiko.SFTP_OK

    def remove(self, path):
        return self._told(os.unlink, self._path(path)) or paramiko.SFTP_OK

    def rename(self, old, new):
        def strictly(old, new):
            os.link(old, new)
            os.unlink(old)

        return self._told(strictly if self.strict else os.replace, self._path(old), self._path(new)) or paramiko.SFTP_OK


class Strict(Loose):
    strict = True


class Chatty(paramiko.SubsystemHandler):
    """What some accounts print before SFTP begins."""

    def start_subsystem(self, name, transport, channel):
        channel.sendall(b"Welcome to this machine!\n" * 10)
        channel.recv(1)  # who goes away at once is another matter


class Plain(paramiko.ServerInterface):
    """An SSH server in a thread of this process."""

    def __init__(self, folder, *handler):
        self.root = str(folder)
        self.handler = handler
        self.key = paramiko.ECDSAKey.generate()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.known_hosts = folder.with_name("known_hosts")
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {self.key.get_name()} {self.key.get_base64()}\n")
        self.transports = []
        self.closing = threading.Event()
        self.serving = threading.Thread(target=self.serve, daemon=True)
        self.serving.start()

    def serve(self):
        with suppress(OSError):
            while True:
                line, _ = self.listener.accept()
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                transport = paramiko.Transport(line)
                transport.set_log_channel("modelvault.ssh.plain")
                transport.add_server_key(self.key)
                if self.handler:
                    transport.set_subsystem_handler("sftp", *self.handler)
                transport.start_server(event=threading.Event(), server=self)
                self.transports.append(transport)

    def close(self):
        self.closing.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.serving.join()
        for transport in self.transports:
            transport.close()
            transport.join()

    def check_auth_password(self, username, password):
        return paramiko.AUTH_SUCCESSFUL if password == SECRET else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username):
        return "password"

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_subsystem_request(self, channel, name):
        if not self.handler:
            self.closing.wait()
        return super().check_channel_subsystem_request(channel, name)

    def opener(self):
        """What opens an empty place."""
        url = f"sftp://somebody@127.0.0.1:{self.port}/{fresh()}"
        return partial(SFTPStore, url, password=SECRET, known_hosts=str(self.known_hosts))


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    """Starts a `Plain` server, whose subsystem is as said, or never answers."""
    started = []

    def start(*handler):
        folder = tmp_path_factory.mktemp("plain") / "served"
        folder.mkdir()
        started.append(Plain(folder, *handler))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture(scope="module")
def strict(serve):
    return serve(paramiko.SFTPServer, Strict)


@pytest.fixture(scope="module")
def line(sftp_server):
    """A connection for many tests: to make one takes longer than most of them."""
    return opened(sftp_server.place())._pool


@on_openssh
class TestOpenSSH(StoreSuite):
    @pytest.fixture
    def store(self, place, line):
        self.place = place
        store = opened(place)
        store._pool = line
        return store

    def opener(self, store):
        return partial(SFTPStore, self.place.url, **self.place.options)


class TestNoExtensions(StoreSuite):
    many = 150
    rounds = 5

    @pytest.fixture
    def store(self, strict):
        self.open = strict.opener()
        return self.open()

    def opener(self, store):
        return self.open

    @pytest.mark.long
    def test_of_many_processes_one_creates(self, store):
        super().test_of_many_processes_one_creates(store)


# Who decides


@on_openssh
@fork
@pytest.mark.parametrize("rounds", [30, pytest.param(200, marks=pytest.mark.long)])
def test_of_eight_processes_that_were_forked_with_a_connection_one_creates(store, rounds):
    store.create(Key("before"), b"a connection")
    store.delete(Key("before"))
    context = multiprocessing.get_context("fork")
    race(store, lambda: store, context, context.SimpleQueue(), contenders=8, rounds=rounds)


def test_a_server_that_renames_onto_names_that_are_taken_is_refused(serve):
    server = serve(paramiko.SFTPServer, Loose)
    store = server.opener()()
    for _ in range(2):
        with pytest.raises(Unsupported) as refusal:
            store.create(KEY, b"x")
        assert Code.NO_EXCLUSIVE_CREATE == refusal.value.code
    assert [*store.list("")] == []
    assert not [path for path in Path(server.root).rglob("*") if path.is_file()]


# What a call costs


@on_openssh
def test_each_call_asks_for_no_more_than_it_must(sftp_server, store):
    def asked(act):
        seen = len(sftp_server.operations())
        act()
        return [each for each in sftp_server.operations()[seen:] if not each.startswith("close")]

    way = ["lstat"] * 4
    store.create(KEY, b"x")
    other = Key(KEY.replace("1.4.0", "1.4.1"))
    assert [*way, "open", "fsync", "open", "hardlink", "remove", "fsync"] == asked(lambda: store.create(other, b"x"))
    assert [*way, "open"] == asked(lambda: store.read(KEY))
    assert [*way[1:], "opendir"] == asked(lambda: [*store.list("models/fraud/versions/")])
    assert [*way[1:], "opendir"] == asked(lambda: [*store.list("models/fraud/versions/", limit=1)])
    assert ["lstat", "opendir", "opendir", "opendir"] == asked(lambda: [*store.list("models/")])
    assert [*way, "remove"] == asked(lambda: store.delete(KEY))


@on_openssh
def test_sixteen_threads_share_one_connection(sftp_server, place):
    with TCPProxy(sftp_server) as proxy:
        store = opened(place.through(proxy))
        wrong = []

        def work(me):
            data = pattern(me, 300_000)
            for number in range(4):
                key = Key(f"a/{me}/{number}")
                store.create(key, data)
                if store.read(key) != data or [*store.list(key)] != [Entry(key, len(data))]:
                    wrong.append(key)

        threads = [threading.Thread(target=work, args=(me,)) for me in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        assert proxy.connections == 1
        assert len([*store.list("a/")]) == 16


@on_openssh
@pytest.mark.long
def test_what_is_larger_than_one_key_of_the_line_may_protect(store):
    size = 700 * MEBIBYTE  # paramiko changes keys after 512 MiB
    store.create(KEY, Streamed(size, step=MEBIBYTE))
    got = [0]

    def same(at, chunk):
        assert at == got[0]
        assert pattern(at, len(chunk)) == chunk
        got[0] += len(chunk)

    store.fetch(KEY, [Span(0, size)], same)
    assert size == got[0]


@on_openssh
def test_what_is_on_the_way_when_a_sink_raises_is_not_taken_for_something_else(sftp_server, store):
    def asked():
        [(_, session)] = store._pool._idle
        session.begin("")
        assert not session._awaited
        assert not session._answers
        session.do(Op.LSTAT, string("/"))  # which is answered after all that was asked before
        return sftp_server.operations()

    store.create(KEY, Streamed(12 * MEBIBYTE))
    store.create(Key("a"), b"a")
    before = asked()
    for number in range(5):

        def full(at, chunk, number=number):
            if at >= number * MEBIBYTE:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            store.fetch(KEY, [Span(0, 12 * MEBIBYTE)], full)
        assert store.read(Key("a")) == b"a"
        with pytest.raises(KeyboardInterrupt):
            store.create(Key("b"), Streamed(12 * MEBIBYTE, sound=number * MEBIBYTE, error=KeyboardInterrupt()))
        assert [Entry(Key("a"), 1), Entry(Key("models/"), 0)] == [*store.list("")]
    new = asked()[len(before) :]
    assert new.count("open") == new.count("close") == 15


@on_openssh
def test_calls_go_on_side_by_side(line, place):
    store = opened(place)
    store._pool = line
    store.create(KEY, b"x")
    together = threading.Barrier(6)
    done = []

    def work():
        store.fetch(KEY, [Span(0, 1)], lambda *_: together.wait(30))
        done.append(True)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [True] * 6 == done


def test_a_folder_that_may_not_be_looked_into_is_listed(strict):
    store = strict.opener()()
    store.create(Key("a/closed/b"), b"x")
    assert [Entry(Key("a/"), 0)] == [*store.list("")]
    assert [Entry(Key("a/closed/"), 0)] == [*store.list("a/")]
    with pytest.raises(StoreError) as refusal:
        store.list("a/closed/")
    assert Code.STORE_DENIED == refusal.value.code


# When the line or the server breaks


@on_openssh
@pytest.mark.parametrize("step", [250, pytest.param(20, marks=pytest.mark.long)])
def test_wherever_the_line_is_cut_the_object_is_there_whole_or_not_at_all(sftp_server, place, step):
    data = pattern(0, 200_000)
    outcomes = []
    with TCPProxy(sftp_server) as proxy:
        store, direct = opened(place.through(proxy)), opened(place)
        direct.create(Key("a/0"), b"")
        for number, bytes_ in enumerate([1, 1_000, 100_000, *range(201_000, 202_600, step)]):
            store.read(Key("a/0"))
            key = Key(f"a/{number + 1}")
            proxy.cut_after(to_server=bytes_)
            with suppress(StoreError):
                store.create(key, data)
            proxy.clear()
            there = [entry.size for entry in direct.list(key) if entry.key == key]
            assert there in ([], [len(data)])
            outcomes.append(bool(there))
            if there:
                assert direct.read(key) == data
    assert (outcomes[0], outcomes[-1]) == (False, True)


@on_openssh
@pytest.mark.parametrize("replies", range(8))
def test_a_lost_answer_is_found_out_by_a_commit(sftp_server, place, replies):
    with TCPProxy(sftp_server) as proxy:
        store = opened(place.through(proxy))
        store.create(Key("a/0"), b"")
        proxy.drop_reply(after=replies)
        commit(store, Key("a/1"), b"mine, and nobody else's", txn="1", sleep=lambda _: None)
        proxy.clear()
        assert store.read(Key("a/1")) == b"mine, and nobody else's"
        assert [Entry(Key("a/0"), 0), Entry(Key("a/1"), 23)] == [*store.list("a/")]


@on_openssh
def test_a_cut_takes_its_staged_file_along_when_the_server_answers_again(sftp_server, place):
    with TCPProxy(sftp_server) as proxy:
        store = opened(place.through(proxy))
        store.create(KEY, b"x")
        proxy.cut_after(to_server=500_000)
        with pytest.raises(StoreError):
            store.create(Key("models/large"), Streamed(2 * MEBIBYTE))
        assert left(sftp_server, place) == []
        assert store.read(KEY) == b"x"


def descendants(server):
    """The processes of a server's sessions: they are in process groups of their own."""
    below = {}
    listed = subprocess.run(["ps", "-eo", "ppid=,pid="], capture_output=True, text=True, check=True).stdout
    for parent, pid in (map(int, line.split()) for line in listed.splitlines()):
        below.setdefault(parent, []).append(pid)
    found = [process.pid for process in server.processes]
    for each in found:
        found += below.get(each, [])
    return found[len(server.processes) :]


def cut_down(server):
    """Kill a server, and all that it does."""
    for pid in descendants(server):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    server.kill()


def test_a_server_that_is_killed_in_the_middle_of_a_write_and_comes_back(start_server):
    server = start_server(OpenSSH)
    place = server.place()
    store = opened(place)
    store.create(KEY, b"before")

    class Killing(Streamed):
        def chunks(self):
            for number, chunk in enumerate(super().chunks()):
                if number == 40:
                    cut_down(server)
                yield chunk

    with pytest.raises(StoreError) as failure:
        store.create(Key("models/large"), Killing(20 * MEBIBYTE))
    assert Code.STORE_UNREACHABLE == failure.value.code
    with pytest.raises(StoreError) as failure:
        store.read(KEY)
    assert Code.STORE_UNREACHABLE == failure.value.code
    server.start()
    assert store.read(KEY) == b"before"
    assert [Entry(Key("models/fraud/"), 0)] == [*store.list("models/")]
    assert left(server, place)
    store.create(Key("models/large"), Streamed(20 * MEBIBYTE))
    assert [Entry(Key("models/large"), 20 * MEBIBYTE)] == [*store.list("models/l")]


@on_openssh
@fork
def test_what_a_killed_writer_leaves_is_never_listed(sftp_server, place):
    store = opened(place)
    store.create(KEY, b"x")

    class Dying(Streamed):
        def chunks(self):
            for number, chunk in enumerate(super().chunks()):
                if number == 5:
                    os.kill(os.getpid(), signal.SIGKILL)
                yield chunk

    child = os.fork()
    if child == 0:
        store.create(Key("models/other/versions/1.0.0.json"), Dying(MEBIBYTE))
    assert signal.SIGKILL == os.waitpid(child, 0)[1]
    assert left(sftp_server, place)
    assert [Entry(Key("models/fraud/"), 0)] == [*store.list("models/")]
    assert [*store.list("models/other/versions/")] == []
    store.create(Key("models/other/versions/1.0.0.json"), b"y")
    assert [Entry(Key("models/fraud/"), 0), Entry(Key("models/other/"), 0)] == [*store.list("models/")]


LONGER = [
    lambda store: [*store.list("models/")],
    lambda store: store.create(Key("a"), b"x"),
    lambda store: store.fetch(KEY, [Span(0, 1)], lambda *_: None),
    lambda store: store.delete(KEY),
]


@on_openssh
@pytest.mark.parametrize(
    "act",
    [
        lambda store: store.read(KEY),
        lambda store: store.create(Key("a"), Streamed(40 * MEBIBYTE)),
        *(pytest.param(act, marks=pytest.mark.long) for act in LONGER),
    ],
)
def test_a_server_that_does_not_answer_is_given_up(sftp_server, place, act):
    opened(place).create(KEY, b"x")
    with TCPProxy(sftp_server) as proxy:
        store = opened(place.through(proxy), deadline=1, connect_timeout=1)
        until(lambda: store.read(KEY) == b"x")
        proxy.hang = True
        for _ in range(2):  # on the line that is there, and when it makes another
            with pytest.raises(StoreError) as failure:
                act(store)
            assert Code.STORE_UNREACHABLE == failure.value.code
        proxy.hang = False
        until(lambda: store.read(KEY) == b"x")


def test_a_server_that_never_gives_a_channel_is_given_up(serve):
    store = serve().opener()(deadline=1)
    with pytest.raises(StoreError) as failure:
        store.read(KEY)
    assert Code.STORE_UNREACHABLE == failure.value.code
    assert "within 1 s" in str(failure.value)


@on_openssh
def test_a_session_that_is_stuck_is_left_for_another(sftp_server, place):
    opened(place).create(KEY, b"x")
    store = opened(place, deadline=1)
    until(lambda: store.read(KEY) == b"x")
    stuck = descendants(sftp_server)  # with sessions of earlier tests, that may end by themselves
    for pid in stuck:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(StoreError) as failure:
            store.read(KEY)
        assert Code.STORE_UNREACHABLE == failure.value.code
        until(lambda: store.read(KEY) == b"x")
    finally:
        for pid in stuck:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def until(true):
    """A second is short on a machine that has much to do."""
    for _ in range(20):
        with suppress(StoreError):
            assert true()
            return
    raise AssertionError


@on_openssh
def test_a_slow_source_or_sink_is_not_held_against_the_server(place):
    store = opened(place, deadline=1)
    until(lambda: [*store.list("")] == [])

    class Slow(Streamed):
        def chunks(self):
            yield from super().chunks()
            time.sleep(1.1)

    until(lambda: store.create(Key("a"), Slow(3)) is None)
    until(lambda: store.fetch(Key("a"), [Span(0, 1), Span(1, 2)], lambda at, _: time.sleep(1.1 - at)) is None)


@on_openssh
def test_a_child_that_ends_as_any_program_does_leaves_the_parents_line_alone(place):
    program = f"""
        import gc, os
        from modelvault.stores.sftp import SFTPStore
        store = SFTPStore({place.url!r}, **{place.options!r})
        store.create("a", b"parent")
        for number in range(3):
            child = os.fork()
            if child == 0:
                if number:
                    assert store.read("a") == b"parent"
                del store
                gc.collect()
                raise SystemExit(0)
            assert os.waitpid(child, 0)[1] == 0
            store.create(f"b{{number}}", b"x" * 100_000)
        print(*(entry.key for entry in store.list("")), len(store._pool._idle))
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore:.*fork:DeprecationWarning", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ("a b0 b1 b2 1\n", "", 0) == (done.stdout, done.stderr, done.returncode)


@on_openssh
@fork
def test_a_fork_in_the_middle_of_a_call_leaves_the_call_to_the_parent(store):
    store.create(KEY, Streamed(12 * MEBIBYTE))
    store.create(Key("a"), b"x")
    children, got = [], [0]

    def forks(at, chunk):
        if not children:
            children.append(os.fork())
        got[0] += len(chunk)

    status = 1
    try:
        store.fetch(KEY, [Span(0, 12 * MEBIBYTE)], forks)
    except StoreError as error:
        if children != [0]:
            raise
        status = 0 if error.code == Code.STORE_UNREACHABLE and store.read(Key("a")) == b"x" else 2
    finally:
        if children == [0]:
            os._exit(status)
    assert 12 * MEBIBYTE == got[0]
    assert store.read(Key("a")) == b"x"
    assert os.waitpid(children[0], 0)[1] == 0


# Who may get in, and what is told


@on_openssh
def test_an_unknown_server_is_refused_with_what_to_do(place, tmp_path):
    nobody = tmp_path / "known"
    nobody.write_text("")
    with pytest.raises(StoreError) as refusal:
        opened(place, known_hosts=str(nobody)).read(KEY)
    assert Code.STORE_DENIED == refusal.value.code
    assert "SHA256:" in str(refusal.value)
    port = place.server.port
    assert refusal.value.hint.endswith(f"ssh-keyscan -p {port} 127.0.0.1 >> {nobody}")


@on_openssh
def test_a_server_with_another_key_than_the_known_one_is_refused(place, tmp_path):
    other = paramiko.ECDSAKey.generate()
    known = tmp_path / "known"
    known.write_text(f"[127.0.0.1]:{place.server.port} {other.get_name()} {other.get_base64()}\n")
    with pytest.raises(StoreError) as refusal:
        opened(place, known_hosts=str(known)).read(KEY)
    assert Code.STORE_DENIED == refusal.value.code
    assert "another key" in str(refusal.value)


@on_openssh
def test_who_has_not_the_key_is_denied(place, tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", SECRET, "-f", tmp_path / "key"], check=True)
    for passphrase in (SECRET, None, "wrong"):
        with pytest.raises(StoreError) as refusal:
            opened(place, key_filename=str(tmp_path / "key"), passphrase=passphrase).read(KEY)
        assert Code.STORE_DENIED == refusal.value.code
        assert refusal.value.hint
    with pytest.raises(StoreError) as refusal:
        SFTPStore(place.url, known_hosts=place.options["known_hosts"], password=SECRET).read(KEY)
    assert Code.STORE_DENIED == refusal.value.code


def test_nothing_listens_there():
    with pytest.raises(StoreError) as failure:
        SFTPStore("sftp://127.0.0.1:9/vault").read(KEY)
    assert Code.STORE_UNREACHABLE == failure.value.code


def test_an_account_that_prints_is_found_out(serve):
    with pytest.raises(StoreError) as failure:
        serve(Chatty).opener()().read(KEY)
    assert Code.STORE_FAILED == failure.value.code
    assert "no SFTP" in str(failure.value)


def test_a_wrong_password_is_not_told(strict):
    store = strict.opener()(password=f"wrong-{SECRET}")
    with pytest.raises(StoreError) as refusal:
        store.read(KEY)
    assert Code.STORE_DENIED == refusal.value.code
    told = [repr(store), repr(store._pool._login), store.url, *refusal.value.__notes__]
    error = refusal.value
    while error:
        told += [repr(error), str(error)]
        error = error.__cause__ or error.__context__
    assert not [each for each in told if SECRET in each]
    assert not [each for each in told if "somebody" in each and "Login" not in each]


def test_a_password_in_a_url_is_refused_and_not_told():
    for url in (f"sftp://me:{SECRET}@host/vault", f"sftp://me:@{SECRET}/vault", f"sftp://me:{SECRET}/x@host/vault"):
        with pytest.raises(InvalidInput) as refusal:
            SFTPStore(url)
        assert SECRET not in str(refusal.value) + "".join(refusal.value.__notes__)


def test_a_store_goes_to_another_process_with_its_login(strict):
    store = strict.opener()()
    store.create(KEY, b"x")
    again = pickle.loads(pickle.dumps(store))
    assert again.read(KEY) == b"x"
    assert (store.url, SECRET in repr(again)) == (again.url, False)


@on_openssh
def test_the_users_own_configuration_is_followed(place, tmp_path, monkeypatch):
    server = place.server
    ssh = tmp_path / "home" / ".ssh"
    ssh.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(ssh.parent))
    key = place.options["key_filename"]
    settings = [
        "HostName 127.0.0.1",
        f"Port {server.port}",
        f"User {server.user}",
        f"IdentityFile {key}",
        "ProxyJump x",
    ]
    (ssh / "config").write_text("\n  ".join(["Host models", *settings]))
    (ssh / "known_hosts").write_text(server.known_hosts.read_text())
    store = SFTPStore(f"sftp://models{server.folder_of(place)}")
    store.create(KEY, b"x")
    assert opened(place).read(KEY) == b"x"
    assert f"sftp://models{server.folder_of(place)}" == store.url


# What else is in the folder


@on_openssh
@pytest.mark.parametrize("what", ["file", "folder", "pipe", "loop"])
def test_what_is_planted_leads_nowhere(sftp_server, place, tmp_path, what):
    store = opened(place)
    store.create(KEY, b"x")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "1.json").write_bytes(b"secret")
    planted = sftp_server.folder_of(place) / "models" / "planted"
    if what == "pipe":
        os.mkfifo(planted)
    else:
        planted.symlink_to({"file": outside / "1.json", "folder": outside, "loop": planted}[what])
    assert [Entry(Key("models/fraud/"), 0)] == [*store.list("models/")]
    key = Key("models/planted/1.json" if what == "folder" else "models/planted")
    acts = [
        lambda: store.read(key),
        lambda: store.fetch(key, [Span(0, 1)], lambda *_: None),
        lambda: store.create(key, b"y"),
        lambda: store.create(Key("models/planted/2.json"), b"y"),
        lambda: store.list("models/planted/"),
        lambda: store.delete(key),
    ]
    for act in acts:
        with pytest.raises(Untrusted):
            act()
    if what == "pipe":
        os.close(os.open(planted, os.O_RDWR))  # lets those go that were made to open it
    assert [outside / "1.json"] == [*outside.iterdir()]
    assert store.read(KEY) == b"x"


@on_openssh
def test_objects_are_files_that_nobody_writes_to(sftp_server, place):
    store = opened(place)
    store.create(KEY, b"x")
    assert stat.S_IMODE((sftp_server.folder_of(place) / KEY).stat().st_mode) & 0o222 == 0
    assert {KEY: b"x"} == sftp_server.objects(place)
    assert store.private(KEY) is False


@on_openssh
def test_names_that_are_no_keys_are_not_listed(sftp_server, place):
    store = opened(place)
    store.create(Key("a/b"), b"x")
    folder = sftp_server.folder_of(place) / "a"
    for name in [".hidden", "ä", "a b", "x" * 201, "_x"]:
        (folder / name).write_bytes(b"")
    (folder / "empty" / "still").mkdir(parents=True)
    assert [Entry(Key("a/b"), 1)] == [*store.list("a/")]


@on_openssh
def test_a_listing_of_many_folders_is_right(sftp_server, place):
    store = opened(place)
    for number in range(90):
        path = sftp_server.folder_of(place) / f"models/m{number:03}/versions"
        path.mkdir(parents=True)
        (path.parent / "aliases").mkdir()
        if number % 3:
            (path / "1.json").write_bytes(b"")
    expected = [f"models/m{number:03}/" for number in range(90) if number % 3]
    seen = len(sftp_server.operations())
    assert expected == [entry.key for entry in store.list("models/")]
    until(lambda: [*store.list("none/")] == [])
    asked = sftp_server.operations()[seen:]
    assert asked.count("opendir") - 1 == asked.count("closedir") > 200
    assert expected[:40] == [entry.key for entry in store.list("models/", limit=40)]


def test_a_full_disk_is_called_full(sftp_server, small_disk):
    place = sftp_server.place(under=small_disk)
    store = opened(place)
    store.create(KEY, b"x")
    with pytest.raises(StoreError) as failure:
        store.create(Key("models/large"), Streamed(40 * MEBIBYTE))
    assert (Code.STORE_FULL, "models/large") == (failure.value.code, failure.value.ref)
    assert left(sftp_server, place) == []
    store.create(Key("models/small"), b"y")


@on_openssh
def test_where_the_account_may_not_write_it_is_denied(sftp_server):
    store = opened(sftp_server.place(under=Path("/sys")))  # where not even root makes a folder
    with pytest.raises(StoreError) as refusal:
        store.create(KEY, b"x")
    assert Code.STORE_DENIED == refusal.value.code
    with pytest.raises(KeyMissing):
        store.read(KEY)


# What a URL and the options say


@pytest.mark.parametrize(
    ("given", "shown", "folder"),
    [
        ("sftp://host/srv/models", "sftp://host/srv/models", "/srv/models"),
        ("sftp://me@host:22/srv//models/", "sftp://host/srv/models", "/srv/models"),
        ("SFTP://me@HOST:2222/srv", "sftp://host:2222/srv", "/srv"),
        ("ssh://host/srv", "sftp://host/srv", "/srv"),
        ("sftp://host", "sftp://host/", "/"),
        ("sftp://host/", "sftp://host/", "/"),
        ("sftp://host/~", "sftp://host/~", "."),
        ("sftp://host/~/my%20models", "sftp://host/~/my%20models", "./my models"),
        ("sftp://me%40work@[::1]:2222/a%3Fb@c", "sftp://[::1]:2222/a%3Fb%40c", "/a?b@c"),
    ],
)
def test_a_url_says_where_and_not_who(given, shown, folder):
    store = SFTPStore(given)
    assert (shown, folder) == (store.url, store._root)


@pytest.mark.parametrize(
    "url",
    [
        "sftp:///srv",
        "sftp://me@/srv",
        "sftp://host:port/srv",
        "sftp://host:70000/srv",
        "sftp://host/srv?x=1",
        "sftp://host/srv#x",
        "sftp://host/srv/../etc",
        "sftp://host/%2e%2e/etc",
        "sftp://[::1/srv",
        "scp://host/srv",
        "sftp://host/a%00b",
    ],
)
def test_a_url_that_is_none_is_refused(url):
    with pytest.raises(InvalidInput) as refusal:
        SFTPStore(url)
    assert Code.BAD_VALUE == refusal.value.code


@pytest.mark.parametrize(
    "options",
    [
        {"passwd": "x"},
        {"username": "you"},
        {"port": 2},
        {"port": 0},
        {"port": "22"},
        {"deadline": 0},
        {"deadline": "60"},
        {"deadline": float("nan")},
        {"connect_timeout": -1},
        {"key_filename": "/nowhere/key"},
        {"known_hosts": "/nowhere/known_hosts"},
    ],
)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(InvalidInput) as refusal:
        SFTPStore("sftp://me@host:2222/srv", **options)
    assert Code.BAD_VALUE == refusal.value.code
    assert next(iter(options)) in str(refusal.value) or "URL" in str(refusal.value)


def test_user_and_port_may_stand_in_the_options():
    store = SFTPStore("sftp://host/srv", username="me", port=2222)
    assert ("sftp://host:2222/srv", "me", 2222) == (store.url, store._pool._login.username, store._pool._login.port)
    assert SFTPStore("sftp://me@host:2222/srv", username="me", port=2222).url == store.url


def test_without_paramiko_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "paramiko", None)
    with pytest.raises(Unsupported) as refusal:
        SFTPStore("sftp://host/srv")
    assert Code.EXTRA_MISSING == refusal.value.code
    assert "modelvault-sdk[sftp]" in refusal.value.hint
