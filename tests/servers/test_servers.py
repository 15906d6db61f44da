"""The servers that other tests rely on do what is relied on."""

import contextlib
import json
import os
import subprocess
import sys
import urllib.error

import pytest

from .gcs import FakeGCSOnDisk
from .s3 import SeaweedFS
from .server import ROOT
from .sftp import OpenSSH

SERVERS = ["s3", "moto", "localbucket", "nanio", "pys3local", "gcs", "gcs_disk", "azure", "sftp", "web"]


def of(names):
    return [pytest.param(name, marks=pytest.mark.needs(name)) for name in names]


@pytest.fixture
def server(request):
    return request.getfixturevalue(f"{request.param}_server")


@pytest.mark.parametrize("server", of(SERVERS), indirect=True)
def test_a_place_is_empty_and_keeps_what_is_put_there(server):
    place, other = server.place(), server.place()
    assert server.objects(place) == {}
    server.put(place, "models/a b/é.json", b"one")
    server.put(place, "empty", b"")
    assert server.objects(place) == {"models/a b/é.json": b"one", "empty": b""}
    assert server.objects(other) == {}
    server.remove(place, "empty")
    assert server.objects(place) == {"models/a b/é.json": b"one"}


def created(server, place, data):
    """Whether a create at ``key`` succeeds, by a client that is not ours."""
    from botocore.exceptions import ClientError

    bucket, _, prefix = place.url.removeprefix("s3://").partition("/")
    try:
        server.client.put_object(Bucket=bucket, Key=f"{prefix}/key", Body=data, IfNoneMatch="*")
    except ClientError as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 412
        return False
    return True


@pytest.mark.parametrize(
    ("server", "wins"),
    [
        pytest.param(name, wins, marks=pytest.mark.needs(name))
        for name, wins in [("s3", 1), ("moto", 1), ("localbucket", 1), ("nanio", 2), ("pys3local", 2)]
    ],
    indirect=["server"],
)
def test_s3_servers_refuse_a_second_create_or_are_known_to_overwrite(server, wins):
    place = server.place()
    assert sum(created(server, place, data) for data in (b"one", b"two")) == wins
    assert server.objects(place) == {"key": b"one" if wins == 1 else b"two"}


@pytest.mark.parametrize("server", of(["gcs", "gcs_disk"]), indirect=True)
@pytest.mark.parametrize(("way", "heard"), [("multipart", True), ("media", False)])
def test_gcs_servers_refuse_a_second_create_in_one_of_two_ways(server, way, heard):
    """The real one refuses it in both."""
    place = server.place()
    name = f"{place.url.removeprefix('gs://vaults/')}/key"

    def create(data):
        if way == "media":
            path = f"/upload/storage/v1/b/vaults/o?uploadType=media&ifGenerationMatch=0&name={name}"
            server.call("POST", path, data)
        else:
            parts = [json.dumps({"name": name}).encode(), data]
            body = b"".join(b"--x\r\nContent-Type: application/json\r\n\r\n%b\r\n" % part for part in parts) + b"--x--"
            path = "/upload/storage/v1/b/vaults/o?uploadType=multipart&ifGenerationMatch=0"
            server.call("POST", path, body, "multipart/related; boundary=x")

    create(b"one")
    if heard:
        with pytest.raises(urllib.error.HTTPError) as raised:
            create(b"two")
        raised.value.close()
        assert raised.value.code == 412
    else:
        create(b"two")
    assert server.objects(place) == {"key": b"one" if heard else b"two"}


def test_azurite_refuses_a_second_create(azure_server):
    from azure.core.exceptions import ResourceExistsError

    place = azure_server.place()
    prefix = place.url.removeprefix("abfs://vaults/")
    with azure_server.client() as container:
        container.upload_blob(f"{prefix}/key", b"one", overwrite=False)
        with pytest.raises(ResourceExistsError):
            container.upload_blob(f"{prefix}/key", b"two", overwrite=False)
    assert azure_server.objects(place) == {"key": b"one"}


@contextlib.contextmanager
def session_of(place):
    """An SFTP session of a client that knows host and user keys as the adapter does."""
    import paramiko

    server = place.server
    with paramiko.SSHClient() as client:
        client.load_host_keys(place.options["known_hosts"])
        key = {"key_filename": place.options["key_filename"], "look_for_keys": False, "allow_agent": False}
        client.connect("127.0.0.1", port=server.port, username=server.user, **key)
        with client.open_sftp() as session:
            yield session


def test_an_sftp_session_ends_when_its_server_is_killed(start_server):
    server = start_server(OpenSSH)
    place = server.place()
    with session_of(place) as session:
        session.mkdir(str(server.folder_of(place)))
        server.restart()
        with pytest.raises((OSError, EOFError)):
            session.listdir("/")
    with session_of(place) as session:
        assert session.listdir(str(server.folder_of(place))) == []


@pytest.fixture
def sftp(sftp_server):
    place = sftp_server.place()
    with session_of(place) as session:
        session.mkdir(str(sftp_server.folder_of(place)))
        yield place, session


def test_openssh_refuses_to_rename_onto_another_and_says_what_it_did(sftp_server, sftp):
    place, session = sftp
    folder = sftp_server.folder_of(place)
    before = len(sftp_server.operations())
    for name in ("one", "two"):
        with session.open(f"{folder}/{name}", "xw") as file:
            file.write(name.encode())
    session.rename(f"{folder}/one", f"{folder}/key")
    with pytest.raises(OSError, match="Failure"):
        session.rename(f"{folder}/two", f"{folder}/key")
    assert sftp_server.objects(place) == {"key": b"one", "two": b"two"}
    assert sftp_server.operations()[before:] == ["open", "close", "open", "close", "rename", "rename"]


def test_one_who_may_read_only_may_not_write(s3_server):
    from botocore.exceptions import ClientError

    place = s3_server.place()
    s3_server.put(place, "key", b"one")
    bucket, _, prefix = place.url.removeprefix("s3://").partition("/")
    reader = s3_server.client_of(s3_server.read_only(place))
    try:
        with reader.get_object(Bucket=bucket, Key=f"{prefix}/key")["Body"] as body:
            assert body.read() == b"one"
        with pytest.raises(ClientError, match="AccessDenied"):
            reader.put_object(Bucket=bucket, Key=f"{prefix}/key", Body=b"two")
    finally:
        reader.close()


@pytest.mark.parametrize("kind", [pytest.param(SeaweedFS, marks=pytest.mark.long), FakeGCSOnDisk])
def test_a_server_that_is_killed_comes_back_at_the_same_port_with_what_it_acknowledged(start_server, kind):
    server = start_server(kind)
    place, address = server.place(), server.address
    for number in range(20):
        server.put(place, f"key{number}", b"%d" % number)
    server.restart()
    assert server.address == address
    assert server.objects(place) == {f"key{number}": b"%d" % number for number in range(20)}


def test_a_full_disk_is_an_error_at_the_server(sftp_server, small_disk):
    folder = sftp_server.folder_of(sftp_server.place(under=small_disk))
    folder.mkdir()
    with pytest.raises(OSError, match="No space left"):
        (folder / "large").write_bytes(bytes(17 << 20))


@pytest.mark.parametrize(
    ("required", "code", "said"),
    [
        ("", 0, "1 servers missing: Azurite; 1 tests skipped"),
        ("required", 1, "server missing: Azurite: azurite-blob is not installed"),
    ],
)
def test_a_missing_server_is_skipped_and_counted_or_an_error_where_it_is_required(tmp_path, required, code, said):
    (tmp_path / "nowhere.py").write_text(
        "import shutil\n"
        "which = shutil.which\n"
        "shutil.which = lambda name, **options: None if name == 'azurite-blob' else which(name, **options)\n"
    )
    tests = [f"{__file__}::test_azurite_refuses_a_second_create", "-p", "nowhere", "-p", "no:cacheprovider"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "MODELVAULT_SERVERS": required}
    command = [sys.executable, "-P", "-m", "pytest", "--basetemp", str(tmp_path / "base"), *tests]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, said in ended.stdout) == (code, True), ended.stdout
