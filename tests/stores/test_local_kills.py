"""A process that dies anywhere in a create leaves the whole object or nothing, and nothing that stands in the way."""

import errno
import os
import signal
from contextlib import nullcontext

import pytest

from modelvault.stores import Entry, Key, KeyExists, KeyMissing
from modelvault.stores.local import LocalStore
from modelvault.testing.conformance import Streamed

KEY = Key("models/fraud/1.json")
CALLS = ["open", "close", "stat", "fstat", "mkdir", "write", "fsync", "link", "unlink"]
DATA = {
    "bytes": b"0123456789" * 100,
    "content": b"".join(Streamed(300_000).chunks()),
    "staged": b"".join(Streamed(300_000).chunks()),
}

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def arm(number, moment):
    """From now on the process dies at the system call of that number: before it, after it, or halfway in a write."""
    calls = iter(range(1, number + 1))

    def armed(name, real):
        def call(*args, **kwargs):
            last = next(calls, number) == number
            if last and moment == "before":
                die()
            if last and moment == "halfway" and name == "write":
                real(args[0], args[1][: len(args[1]) // 2])
                die()
            result = real(*args, **kwargs)
            if last and moment != "before":
                die()
            return result

        return call

    for name in CALLS:
        setattr(os, name, armed(name, getattr(os, name)))


def in_child(act):
    """The status of a forked process that does `act`."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            act()
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1]


def staged(store, form, data):
    """What to create, in the form that is asked for."""
    if form == "staged":
        return store.stage("blobs/", Streamed(len(data)))
    return nullcontext(data if form == "bytes" else Streamed(len(data)))


def no_link(*args, **kwargs):
    raise OSError(errno.EPERM, "no links")


@pytest.mark.parametrize("way", ["link", "rename"])
@pytest.mark.parametrize("form", DATA)
@pytest.mark.parametrize("moment", ["before", "halfway", "after"])
def test_a_kill_at_any_system_call_leaves_all_or_nothing(tmp_path, monkeypatch, way, form, moment):
    if way == "rename":
        monkeypatch.setattr(os, "link", no_link)
    data = DATA[form]
    outcomes = []
    for number in range(1, 100):
        root = tmp_path / str(number)
        store = LocalStore(root)

        def create(store=store, number=number):
            arm(number, moment)
            with staged(store, form, data) as content:
                store.create(KEY, content)

        status = in_child(create)
        after = LocalStore(root)
        try:
            outcomes.append(data == after.read(KEY))
        except KeyMissing:
            outcomes.append(None)
        assert [*after.list("models/fraud/")] == [Entry(KEY, len(data))] * (outcomes[-1] is True)
        assert [*after.list("")] == [Entry(Key("models/"), 0)] * (outcomes[-1] is True)
        if outcomes[-1]:
            with pytest.raises(KeyExists):
                after.create(KEY, b"another")
        else:
            after.create(KEY, data)
        assert data == after.read(KEY)
        if status == 0:
            break
        assert status == signal.SIGKILL
    assert outcomes == sorted(outcomes, key=bool)  # there is one moment before which nothing is there
    assert {None, True} == set(outcomes)
    assert number > 25


@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(n, marks=pytest.mark.long) for n in range(4, 60))])
def test_what_was_acknowledged_before_a_kill_is_there_whole(tmp_path, seed):
    store = LocalStore(tmp_path / "vault")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        for number in range(1_000_000):
            store.create(Key(f"a/{number % 7}/{number}"), f"{number};".encode() * 5_000)
            os.write(writing, b"%d\n" % number)
    os.close(writing)
    with os.fdopen(reading) as replies:
        acknowledged = [int(replies.readline()) for _ in range(1 + 7 * seed)]
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        acknowledged += [int(line) for line in replies]
    stored = [entry for n in range(7) for entry in store.list(f"a/{n}/")]
    numbers = [int(entry.key.rpartition("/")[2]) for entry in stored]
    assert set(acknowledged) <= set(numbers)
    assert len(numbers) <= len(acknowledged) + 1
    for entry, number in zip(stored, numbers, strict=True):
        assert f"{number};".encode() * 5_000 == store.read(entry.key)
