"""The proxies do what their rules say, and count what reached the server."""

import http.client
import multiprocessing
import threading
import time

import pytest

from .proxy import (
    Answer,
    Cut,
    CutBody,
    CutReply,
    Delay,
    DropReply,
    Hang,
    HTTPProxy,
    TCPProxy,
    always,
    expired_token,
    first,
    nth,
    slow_down,
    sometimes,
    too_many_requests,
    writes,
)


@pytest.fixture
def proxy(s3_server):
    with HTTPProxy(s3_server) as proxy:
        yield proxy


@pytest.fixture
def s3(s3_server, proxy):
    """What an S3 client does through the proxy, at a place of its own; it tries nothing again."""
    place = s3_server.place()
    client = s3_server.client_of(place.through(proxy))
    bucket, _, prefix = place.url.removeprefix("s3://").partition("/")

    class Client:
        def put(self, key, data, **options):
            return client.put_object(Bucket=bucket, Key=f"{prefix}/{key}", Body=data, **options)

        def get(self, key):
            with client.get_object(Bucket=bucket, Key=f"{prefix}/{key}")["Body"] as body:
                return body.read()

        def keys(self):
            found = client.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/").get("Contents", ())
            return [each["Key"].removeprefix(f"{prefix}/") for each in found]

        def stored(self):
            return s3_server.objects(place)

    yield Client()
    client.close()


def cut():
    """What the client of a cut connection gets."""
    from botocore.exceptions import BotoCoreError
    from urllib3.exceptions import ProtocolError

    return pytest.raises((BotoCoreError, ProtocolError))


def lost():
    """What the client of a lost SFTP session gets."""
    from paramiko import SSHException

    return pytest.raises((OSError, EOFError, SSHException))


def refused(status):
    from botocore.exceptions import ClientError

    return pytest.raises(ClientError, match=status)


def test_what_passes_is_whole_signed_and_counted(proxy, s3):
    content = bytes(range(256)) * 5_000
    s3.put("a b/é+%.json", content)
    s3.put("empty", b"")
    assert s3.get("a b/é+%.json") == content
    assert s3.get("empty") == b""
    assert s3.keys() == ["a b/é+%.json", "empty"]
    assert [(each.method, each.status) for each in proxy.requests] == [
        ("PUT", 200),
        ("PUT", 200),
        ("GET", 200),
        ("GET", 200),
        ("GET", 200),
    ]
    assert proxy.count("PUT") == 2
    assert proxy.count("GET", query="list-type=2") == 1
    assert proxy.count("GET", path="a%20b/%C3%A9%2B%25.json") == 1


def test_of_a_dropped_reply_the_server_has_the_object_and_the_client_an_error(proxy, s3):
    proxy.rule = first(DropReply(), when=writes)
    with cut():
        s3.put("key", b"one", IfNoneMatch="*")
    assert s3.stored() == {"key": b"one"}
    assert proxy.count("PUT", status=200) == 1
    with refused("PreconditionFailed"):
        s3.put("key", b"one", IfNoneMatch="*")


def test_a_request_that_is_cut_never_reaches_the_server(proxy, s3):
    proxy.rule = always(Cut())
    with cut():
        s3.put("key", b"one")
    assert (len(proxy.requests), proxy.count()) == (1, 0)
    assert s3.stored() == {}


def test_half_a_body_is_not_stored_where_the_server_is_a_good_one(proxy, s3):
    proxy.rule = first(CutBody(after=100_000), when=writes)
    with cut():
        s3.put("key", bytes(200_000))
    assert s3.stored() == {}


def test_half_a_body_is_stored_where_the_server_is_localbucket(localbucket_server):
    place = localbucket_server.place()
    with HTTPProxy(localbucket_server, first(CutBody(after=100_000), when=writes)) as proxy:
        client = localbucket_server.client_of(place.through(proxy))
        bucket, _, prefix = place.url.removeprefix("s3://").partition("/")
        with cut():
            client.put_object(Bucket=bucket, Key=f"{prefix}/key", Body=bytes(200_000))
        client.close()
    deadline = time.monotonic() + 5  # it hears of the cut when it hears of it
    while time.monotonic() < deadline and not localbucket_server.objects(place):
        time.sleep(0.01)
    assert 0 < len(localbucket_server.objects(place)["key"]) < 200_000


def test_half_a_reply_is_an_error_of_the_client(proxy, s3):
    s3.put("key", bytes(200_000))
    proxy.rule = always(CutReply(after=100_000))
    with cut():
        s3.get("key")
    assert proxy.count("GET", status=200) == 1


@pytest.mark.parametrize(
    ("answer", "said", "header"),
    [
        (slow_down(), "SlowDown", None),
        (slow_down(7), "SlowDown", "7"),
        (too_many_requests(9), "429", "9"),
        (expired_token(), "ExpiredToken", None),
        (Answer(500, b"", (("X-Why", "because"),)), "500", None),
    ],
)
def test_an_answer_in_the_servers_stead_never_reaches_the_server(proxy, s3, answer, said, header):
    proxy.rule = first(answer)
    with refused(said) as raised:
        s3.put("key", bytes(200_000))
    sent = raised.value.response["ResponseMetadata"]["HTTPHeaders"]
    assert sent.get("retry-after") == header
    assert s3.stored() == {}
    s3.put("key", b"one")  # over the same connection
    assert [each.status for each in proxy.requests] == [None, 200]


@pytest.mark.parametrize("seen", [False, True])
def test_who_hangs_never_answers(proxy, seen):
    proxy.rule = always(Hang(seen=seen))
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=0.5)
    connection.request("GET", "/")
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()
    assert proxy.count() == seen


def test_a_delay_comes_before_what_follows(proxy, s3):
    proxy.rule = always(Delay(0.3, DropReply()))
    began = time.monotonic()
    with cut():
        s3.put("key", b"one")
    assert time.monotonic() - began >= 0.3
    assert s3.stored() == {"key": b"one"}


def test_one_of_many_is_chosen_by_number_or_by_lot(proxy, s3):
    from botocore.exceptions import BotoCoreError

    proxy.rule = nth(Cut(), 1, when=writes)
    s3.put("a", b"")
    with cut():
        s3.put("b", b"")
    s3.put("c", b"")
    assert s3.keys() == ["a", "c"]

    def outcomes(seed):
        proxy.rule, done = sometimes(DropReply(), 0.3, seed, when=writes), []
        for _ in range(20):
            try:
                s3.put("d", b"")
                done.append(True)
            except BotoCoreError:
                done.append(False)
        return done

    assert outcomes(1) == outcomes(1)
    assert outcomes(1) != outcomes(2)
    assert {True, False} == set(outcomes(3))


def _ask(port, times):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for _ in range(times):
        connection.request("GET", "/")
        connection.getresponse().read()
    connection.close()


def test_other_processes_and_threads_use_it_too(proxy):
    context = multiprocessing.get_context("fork")
    tasks = [context.Process(target=_ask, args=(proxy.port, 10)) for _ in range(2)]
    tasks += [threading.Thread(target=_ask, args=(proxy.port, 10)) for _ in range(4)]
    for task in tasks:
        task.start()
    for task in tasks:
        task.join()
    assert proxy.count("GET", path="/") == 60


@pytest.mark.needs("gcs")
def test_the_address_in_a_reply_is_the_proxys_own(gcs_server):
    with HTTPProxy(gcs_server) as proxy:
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port)
        connection.request("POST", "/upload/storage/v1/b/vaults/o?uploadType=resumable&name=key", b"{}")
        reply = connection.getresponse()
        reply.read()
        assert reply.headers["Location"].startswith(f"http://{proxy.address}/")
        connection.close()


@pytest.fixture
def tunnel(sftp_server):
    with TCPProxy(sftp_server) as proxy:
        yield proxy


@pytest.fixture
def sftp(sftp_server, tunnel):
    """An SFTP session through the proxy."""
    import paramiko

    place = sftp_server.place().through(tunnel)
    with paramiko.SSHClient() as client:
        client.load_host_keys(place.options["known_hosts"])
        key = {"key_filename": place.options["key_filename"], "look_for_keys": False, "allow_agent": False}
        client.connect("127.0.0.1", port=tunnel.port, username=sftp_server.user, **key)
        with client.open_sftp() as session:
            yield session


def test_of_a_lost_sftp_reply_the_server_has_done_it(tunnel, sftp, tmp_path):
    (tmp_path / "one").write_bytes(b"one")
    tunnel.drop_reply()
    with lost():
        sftp.rename(f"{tmp_path}/one", f"{tmp_path}/key")
    assert (tmp_path / "key").read_bytes() == b"one"


def test_the_reply_that_is_lost_is_counted(tunnel, sftp, tmp_path):
    tunnel.drop_reply(after=2)
    sftp.mkdir(f"{tmp_path}/a")
    sftp.mkdir(f"{tmp_path}/b")
    with lost():
        sftp.mkdir(f"{tmp_path}/c")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]


def test_what_is_cut_on_the_way_arrives_in_part(tunnel, sftp, tmp_path):
    tunnel.cut_after(to_server=300_000)
    with lost(), sftp.open(f"{tmp_path}/key", "wb") as file:
        file.write(bytes(1_000_000))
        file.flush()
    assert 0 < (tmp_path / "key").stat().st_size < 1_000_000


def test_a_tunnel_that_hangs_answers_when_it_goes_on(tunnel, sftp, tmp_path):
    tunnel.hang = True
    going = threading.Thread(target=sftp.mkdir, args=(f"{tmp_path}/a",))
    going.start()
    going.join(0.3)
    assert going.is_alive()
    assert not (tmp_path / "a").exists()
    tunnel.clear()
    going.join(10)
    assert (tmp_path / "a").exists()


def test_a_delay_is_paid_on_each_way(tunnel, sftp, tmp_path):
    tunnel.delay = 0.1
    began = time.monotonic()
    sftp.stat(str(tmp_path))
    assert time.monotonic() - began >= 0.2


def test_connections_are_cut_at_once_and_counted(tunnel, sftp, tmp_path):
    tunnel.cut()
    with lost():
        sftp.stat(str(tmp_path))
    assert tunnel.connections == 1
