"""What each verb asks of an S3 server, counted in front of it: what a bucket charges, and what each start-up waits for."""

import json
import multiprocessing
import os
import zipfile
from functools import partial

import numpy as np
import pytest
from safetensors.numpy import save_file

import modelvault as mv

from ..servers.proxy import HTTPProxy

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

LARGE = 140_000


@pytest.fixture(scope="module")
def proxy(s3_server):
    with HTTPProxy(s3_server) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def place(s3_server, proxy, tmp_path_factory):
    """A vault: `small:1.0.0` and `small:1.1.0` stand in their claims, `large:1.0.0` has three blobs; each has a `prod`."""
    place = s3_server.place()
    folder = tmp_path_factory.mktemp("large")
    for number in range(3):
        (folder / f"{number}").write_bytes(os.urandom(LARGE))
    vault = mv.open(place.url, cache=False, **place.options)
    for version in (vault.publish("small", 1), vault.publish("small", 2, bump="minor"), vault.publish("large", folder)):
        vault.promote(f"{version.model}@prod", version, reason="x")
    return place.through(proxy)


@pytest.fixture
def asked(place, proxy, tmp_path):
    """The requests of a verb in a new vault object, by method; the cache is this test's."""

    def count(verb, vault=None):
        vault = vault or mv.open(place.url, cache=tmp_path / "cache", trust="pickle", **place.options)
        vault.models()  # the connection, and what it asks for credentials, are not the verb's
        proxy.clear()
        verb(vault)
        gets = [each for each in proxy.requests if each.method == "GET"]
        lists = [each for each in gets if "list-type" in each.query]
        found = {"list": len(lists), "get": len(gets) - len(lists), "put": proxy.count("PUT")}
        assert sum(found.values()) == len(proxy.requests)
        return {name: number for name, number in found.items() if number}

    return count


def test_a_small_model_by_alias_is_one_list_and_one_get_and_then_one_get(asked, place, tmp_path):
    load = lambda vault: vault.load("small@prod")  # noqa: E731
    assert asked(load) == {"list": 1, "get": 1}
    vault = mv.open(place.url, cache=tmp_path / "cache", trust="pickle", **place.options)
    assert asked(load, vault) == {"list": 1, "get": 1}
    assert asked(load, vault) == {"get": 1}


def test_a_large_model_by_alias_is_that_and_a_get_for_each_blob_once_in_the_life_of_the_cache(asked, place, tmp_path):
    load = lambda vault: vault.load("large@prod")  # noqa: E731
    assert asked(load) == {"list": 1, "get": 4}
    assert asked(load) == {"list": 1, "get": 1}
    vault = mv.open(place.url, cache=tmp_path / "cache", trust="pickle", **place.options)
    assert asked(load, vault) == {"list": 1, "get": 1}
    assert asked(load, vault) == {"get": 1}


@pytest.mark.parametrize("ref", ["small:1.0.0", "large:1.0.0"])
def test_a_pinned_version_in_the_cache_is_no_request(asked, ref):
    asked(lambda vault: vault.load(ref))
    assert asked(lambda vault: vault.load(ref)) == {}


def test_to_publish_a_small_model_is_four_requests_the_first_time_and_then_two(asked, place):
    publish = lambda vault: vault.publish("more", os.urandom(8), bump="minor")  # noqa: E731
    assert asked(publish) == {"list": 1, "get": 1, "put": 2}  # one put is the self-test, which is refused
    vault = mv.open(place.url, cache=False, **place.options)
    vault.publish("more", os.urandom(8), bump="minor")
    assert asked(publish, vault) == {"list": 1, "put": 1}


def test_to_publish_files_is_one_request_more_for_each(asked, tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}").write_bytes(os.urandom(LARGE))
    assert asked(lambda vault: vault.publish("files", folder)) == {"list": 1, "get": 1, "put": 2 + 5}


@pytest.mark.parametrize("count", [0, 1, 5, 120])
def test_a_dry_run_writes_nothing_and_foretells_the_requests(asked, s3_server, proxy, tmp_path, count):
    """Into a new vault, and into one with a version to share with."""
    place = s3_server.place().through(proxy)
    tmp_path.joinpath("files").mkdir()
    tmp_path.joinpath("files", "config.json").write_text("{}")
    for number in range(count):
        (tmp_path / "files" / f"{number}").write_bytes(os.urandom(LARGE))
    for label in ({}, {"bump": "minor"}, {"version": "7.0.0"}):
        publish = partial(mv.Vault.publish, model="m", obj=tmp_path / "files", **label)
        proxy.clear()
        estimate = publish(mv.open(place.url, cache=False, **place.options), dry_run=True)
        assert {each.method for each in proxy.requests} == {"GET"}
        (tmp_path / "files" / "config.json").write_text(json.dumps(label))
        made = asked(publish, mv.open(place.url, cache=False, **place.options))
        assert sum(made.values()) == estimate.requests


def test_to_promote_is_six_requests_at_most(asked, place):
    turn = iter(["1.0.0", "1.1.0", "1.0.0"])
    promote = lambda vault: vault.promote("small@prod", next(turn), reason="x")  # noqa: E731
    assert asked(promote) == {"list": 3, "get": 2, "put": 1}
    assert sum(asked(promote).values()) <= 6


def test_what_is_not_there_is_one_get(asked):
    def missing(vault):
        with pytest.raises(mv.errors.NotFound):
            vault.load("small:9.9.9")

    assert asked(missing) == {"list": 1, "get": 1}


@pytest.fixture(scope="module")
def tensors(s3_server, proxy, tmp_path_factory):
    """A vault whose `m:1.0.0` has eight tensors of 2 MiB in a file, an array of 4 MiB, and an archive of two such."""
    place, folder = s3_server.place(), tmp_path_factory.mktemp("tensors")
    rows = np.random.default_rng(1).random((512, 1024), np.float32)
    save_file({f"t{number}": rows + number for number in range(8)}, folder / "model.safetensors")
    np.save(folder / "x.npy", np.vstack([rows, rows + 1]))
    np.savez(folder / "x.npz", a=rows, b=rows + 1)
    mv.open(place.url, cache=False, **place.options).publish("m", folder)
    return place.through(proxy), rows


def test_to_read_one_tensor_of_eight_is_a_get_for_the_header_and_one_for_the_tensor(tensors, proxy):
    place, rows = tensors
    version = mv.open(place.url, cache=False, **place.options).version("m:1.0.0")
    proxy.clear()
    file = version.open("model.safetensors")
    assert proxy.requests == []
    length = int.from_bytes(file.read(8), "little")
    header = json.loads(file.read(length))
    for number in (5, 5, 6):
        begin, end = header[f"t{number}"]["data_offsets"]
        file.seek(8 + length + begin)
        assert np.array_equal(np.frombuffer(file.read(end - begin), np.float32).reshape(rows.shape), rows + number)
    assert [each.method for each in proxy.requests] == ["GET"] * 3
    with version.open("model.safetensors") as file:
        file.read()
    assert len(proxy.requests) == 3 + 3  # windows of 8 MiB


def test_numpy_and_zip_fetch_what_they_touch(tensors, proxy):
    place, rows = tensors
    version = mv.open(place.url, cache=False, **place.options).version("m:1.0.0")
    proxy.clear()
    assert np.array_equal(np.load(version.open("x.npy")), np.vstack([rows, rows + 1]))
    assert len(proxy.requests) == 2  # the header, and the array
    proxy.clear()
    with zipfile.ZipFile(version.open("x.npz")) as archive, archive.open("b.npy") as member:
        assert len(proxy.requests) == 2  # the directory at the end, and the header of the member
        assert np.array_equal(np.load(member), rows + 1)
    assert len(proxy.requests) == 3


def test_sixteen_processes_that_start_at_once_on_one_machine_download_each_blob_once(place, proxy, tmp_path):
    mv.open(place.url, cache=False, **place.options).models()  # what is imported is there for all of them
    context = multiprocessing.get_context("fork")
    gate, answers = context.Barrier(16), context.SimpleQueue()
    workers = [context.Process(target=start, args=(place, tmp_path / "cache", gate, answers)) for _ in range(16)]
    proxy.clear()
    for worker in workers:
        worker.start()
    assert [answers.get() for _ in workers] == [True] * 16
    for worker in workers:
        worker.join()
    blobs = [each.path for each in proxy.seen("GET", path="/blobs/")]
    assert (len(blobs), len({*blobs})) == (3, 3)


def start(place, cache, gate, answers):
    vault = mv.open(place.url, cache=cache, **place.options)
    gate.wait(60)
    try:
        answers.put(sorted(path.stat().st_size for path in vault.fetch("large@prod").iterdir()) == [LARGE] * 3)
    except BaseException as error:
        answers.put(repr(error))
