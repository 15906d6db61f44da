"""The rights that the documentation calls the least suffice, and what they leave out is refused: on real servers."""

import grp
import json
import os
import pwd
import re
import secrets
import shutil
import tempfile
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from modelvault.errors import Code, StoreError
from modelvault.stores import Key
from modelvault.stores.remote import PART
from modelvault.vault import Vault

from ..docs.policies import HOW_TO, documents
from ..servers.azure import ACCOUNT, CONTAINER, KEY
from ..servers.s3 import REGION, SeaweedFS
from ..servers.server import Place, fresh
from ..servers.sftp import OpenSSH

LARGE = PART + 1


class WithUsers(SeaweedFS):
    """With the part of IAM that makes users and gives them policies."""

    def launch(self, *command, **variables):
        super().launch(*command, *(["-s3.iam.readOnly=false"] if "-s3" in command else []), **variables)

    def allowed(self, place, *names):
        """The same place, for a new user with these policies of the documentation."""
        import boto3

        bucket, prefix = place.url.removeprefix("s3://").split("/")
        user, known = secrets.token_hex(6), documents("s3")
        iam = boto3.client(
            "iam", REGION, endpoint_url=self.endpoint, aws_access_key_id=self.key, aws_secret_access_key=self.secret
        )
        iam.create_user(UserName=user)
        for name in names:
            text = json.dumps(known[f"policy of {name}"]).replace("acme-models/vault", f"{bucket}/{prefix}")
            text = text.replace("acme-models", bucket).replace("vault/", f"{prefix}/")
            iam.put_user_policy(UserName=user, PolicyName=name, PolicyDocument=text)
        key = iam.create_access_key(UserName=user)["AccessKey"]
        iam.close()
        return Place(place.url, self.options(key["AccessKeyId"], key["SecretAccessKey"]), self)


@pytest.fixture(scope="module")
def server(_servers):
    return _servers.start(WithUsers)


@pytest.fixture
def place(server):
    """A vault that the founder has made: 1.0.0 and 1.1.0 of `fraud`, `prod` at 1.1.0, and another model."""
    place = server.place()
    vault = opened(place)
    for number in ("1.0.0", "1.1.0"):
        vault.publish("fraud", os.urandom(20_000), version=number)
        vault.promote("fraud@prod", number, reason="x")
    vault.publish("other", 1)
    return place


def opened(place):
    return Vault(place.connect(), trust="pickle", cache=False)


def refused(verb):
    with pytest.raises(StoreError) as refusal:
        verb()
    assert refusal.value.code == Code.STORE_DENIED


def test_readers_read_and_change_nothing(place, server):
    vault = opened(server.allowed(place, "readers"))
    first = vault.load("fraud@prod")
    assert vault.load("fraud@prod") == first  # which asks for a move that is not there
    assert vault.load("fraud@prod~1") == vault.load("fraud:1.0.0") != first
    assert vault.load("fraud:^1") == first
    assert vault.models() == ["fraud", "other"]
    assert len(vault.history("fraud@prod")) == 2
    assert vault.verify().problems == ()
    refused(lambda: vault.publish("fraud", 1, bump="major"))
    refused(lambda: vault.promote("fraud@prod", "1.0.0", reason="x"))
    refused(lambda: vault.rollback("fraud@prod", reason="x"))
    refused(lambda: vault.note("fraud:1.0.0", "x"))
    refused(lambda: store_of(vault).delete(Key("modelvault.json")))


def test_they_see_nothing_beside_the_vault(place, server):
    beside = server.place()
    server.put(beside, "modelvault.json", b"{}")
    reader = server.allowed(place, "readers")
    stranger = Place(beside.url, reader.options, server).connect()
    refused(lambda: stranger.read(Key("modelvault.json")))
    refused(lambda: [*stranger.list("")])


def test_publishers_publish_and_note_and_move_nothing(place, server):
    vault = opened(server.allowed(place, "readers", "publishers"))
    assert vault.publish("fraud", b"small", bump="minor").number == "1.2.0"
    assert vault.publish("fraud", b"small", version="3.0.0").number == "3.0.0"  # it looks first whether that is free
    large = os.urandom(LARGE)
    assert vault.publish("fraud", large, bump="minor").load() == large
    vault.yank("fraud:1.2.0", reason="x")
    refused(lambda: vault.promote("fraud@prod", "1.2.0", reason="x"))
    refused(lambda: vault.publish("other", 2, bump="major"))
    refused(lambda: store_of(vault).delete(Key("models/fraud/versions/1.2.0.json")))


def test_whoever_publishes_first_needs_two_keys_more(server):
    place = server.place()
    refused(lambda: opened(server.allowed(place, "readers", "publishers")).publish("fraud", 1))
    founder = opened(server.allowed(place, "readers", "publishers", "founders"))
    assert founder.publish("fraud", 1).number == "1.0.0"
    assert founder.publish("fraud", 2, bump="minor").number == "1.1.0"


@pytest.mark.parametrize("at", ["1.0.0", "1.1.0"])
def test_promoters_move_one_alias_and_nothing_else(at, place, server):
    vault = opened(server.allowed(place, "readers", "promoters"))
    vault.promote("fraud@prod", at, reason="x", expect="1.1.0")
    assert vault.rollback("fraud@prod", reason="x").version == ("1.1.0" if at == "1.0.0" else "1.0.0")
    refused(lambda: vault.promote("fraud@staging", "1.0.0", reason="x"))
    refused(lambda: vault.promote("fraud@prod2", "1.0.0", reason="x"))
    refused(lambda: vault.promote("other@prod", "1.0.0", reason="x"))
    refused(lambda: vault.publish("fraud", 2, bump="major"))
    refused(lambda: vault.note("fraud:1.0.0", "x"))


def test_collectors_delete_blobs_only(place, server):
    store = server.allowed(place, "readers", "collectors").connect()
    blob = next(Key(key) for key in server.objects(place) if key.startswith("blobs/"))
    store.delete(blob)
    assert blob not in server.objects(place)
    for key in ("modelvault.json", "models/fraud/versions/1.0.0.json"):
        refused(lambda: store.delete(Key(key)))  # noqa: B023


def test_a_vault_lives_where_what_is_written_is_locked(server):
    rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}
    bucket = fresh()
    server.client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    server.client.put_object_lock_configuration(
        Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    place = Place(f"s3://{bucket}/vault", server.options(), server)
    vault = opened(place)
    for number, size in (("1.0.0", 20_000), ("1.1.0", LARGE)):
        vault.publish("fraud", os.urandom(size), version=number)
        vault.promote("fraud@prod", number, reason="x")
    assert vault.rollback("fraud@prod", reason="x").version == "1.0.0"
    assert vault.verify().problems == ()
    store_of(vault).delete(Key("modelvault.json"))  # hides it, and destroys nothing
    versions = server.client.list_object_versions(Bucket=bucket, Prefix="vault/modelvault.json")["Versions"]
    with pytest.raises(server.client.exceptions.ClientError):
        server.client.delete_object(Bucket=bucket, Key="vault/modelvault.json", VersionId=versions[0]["VersionId"])


# --- Azure: a SAS of the container


@pytest.fixture
def container(azure_server):
    place = azure_server.place()
    vault = opened(place)
    for number in ("1.0.0", "1.1.0"):
        vault.publish("fraud", os.urandom(20_000), version=number)
    vault.promote("fraud@prod", "1.0.0", reason="x")
    return place


def signed(place, permission):
    """The same place by a shared access signature with these rights."""
    from azure.storage.blob import generate_container_sas

    end = datetime.now(UTC) + timedelta(hours=1)
    sas = generate_container_sas(ACCOUNT, CONTAINER, account_key=KEY, permission=permission, expiry=end)
    endpoint = f"BlobEndpoint=http://{place.server.address}/{ACCOUNT};SharedAccessSignature={sas};"
    return Place(place.url, {"connection_string": endpoint}, place.server)


def said_of(role):
    """The letters that the table of the page has for them."""
    return re.search(rf"^\| {role}.*`(\w+)` \|$", (HOW_TO / "azure.md").read_text(), re.MULTILINE)[1]


def test_readers_of_a_container_read_and_change_nothing(container):
    vault = opened(signed(container, said_of("readers")))
    assert vault.load("fraud@prod") == vault.load("fraud@prod") == vault.load("fraud:1.0.0")
    refused(lambda: vault.publish("fraud", 1, bump="major"))
    refused(lambda: vault.promote("fraud@prod", "1.1.0", reason="x"))
    refused(lambda: store_of(vault).delete(Key("modelvault.json")))


def test_promoters_of_a_container_create_and_replace_nothing(container):
    from azure.core.exceptions import HttpResponseError
    from azure.storage.blob import BlobClient

    place = signed(container, said_of("promoters"))
    vault = opened(place)
    vault.promote("fraud@prod", "1.1.0", reason="x")
    refused(lambda: store_of(vault).delete(Key("modelvault.json")))
    name = f"{place.url.rpartition('/')[2]}/modelvault.json"
    with (
        BlobClient.from_connection_string(place.options["connection_string"], CONTAINER, name, retry_total=0) as blob,
        pytest.raises(HttpResponseError),
    ):
        blob.upload_blob(b"of another tool", overwrite=True)


def test_publishers_of_a_container_publish_what_is_large(container):
    vault = opened(signed(container, said_of("publishers")))
    large = os.urandom(LARGE)
    assert vault.publish("fraud", large, bump="minor").load() == large
    assert vault.publish("fraud", large, bump="minor", notes="the same file").load() == large
    refused(lambda: store_of(vault).delete(Key("modelvault.json")))


# --- SFTP: groups and commands of sshd

WRITER, PROMOTER, READER = "daemon", "games", "nobody"
"""Accounts of every Debian, for those of the page."""


class WithGroups(OpenSSH):
    """With the part of its configuration that the page shows, for accounts that are on this machine."""

    def launch(self, *command, **variables):
        page = (HOW_TO / "sftp.md").read_text()
        text = re.search(r"^```text\n(Match Group models-writers.*?)^```", page, re.DOTALL | re.MULTILINE)[1]
        text = re.sub(r" *ChrootDirectory .*\n", "", text)  # below /tmp it cannot be
        text = text.replace("models-writers,fraud-on-call", f"{group(WRITER)},{group(PROMOTER)}")
        text = text.replace("Match Group models\n", f"Match Group {group(READER)}\n")
        path = self.folder / "sshd_config"
        if text not in path.read_text():
            path.write_text(f"{path.read_text()}\n{text}")
        super().launch(*command, **variables)

    def of(self, user, root):
        options = {"key_filename": str(self.folder / "user_key"), "known_hosts": str(self.known_hosts)}
        return Place(f"sftp://{user}@{self.address}{root}", options, self)


def group(user):
    return grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name


@pytest.fixture(scope="module")
def ssh(_servers):
    known = {user.pw_name for user in pwd.getpwall()}
    if os.getuid() != 0 or not {WRITER, PROMOTER, READER} <= known:
        pytest.skip("to log in as others takes root, and the accounts of a Debian")
    with shared() as folder:
        yield _servers.start(WithGroups, folder)


@pytest.fixture
def root(ssh):
    """A folder with the groups and modes of the page, and a vault in it that the writer has made."""
    with shared() as above:
        vault = above / "vault"
        _install(vault, WRITER)
        publisher = opened(ssh.of(WRITER, vault))
        publisher.publish("fraud", os.urandom(20_000), version="1.0.0")
        publisher.publish("fraud", os.urandom(LARGE), bump="minor")
        _install(vault / "models/fraud/aliases", WRITER)
        _install(vault / "models/fraud/aliases/prod", PROMOTER)
        yield vault


def _install(folder, user):
    folder.mkdir()
    shutil.chown(folder, group=group(user))
    folder.chmod(0o2775)


@contextmanager
def shared():
    """A folder that all accounts can enter, as those of pytest are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_groups_of_an_ssh_server_do_what_is_theirs_and_nothing_else(ssh, root):
    writer, promoter, reader = (opened(ssh.of(user, root)) for user in (WRITER, PROMOTER, READER))
    promoter.promote("fraud@prod", "1.0.0", reason="x")
    promoter.promote("fraud@prod", "1.1.0", reason="x")
    promoter.rollback("fraud@prod", reason="x")
    assert reader.load("fraud@prod") == writer.load("fraud:1.0.0")
    assert reader.verify().problems == ()
    refused(lambda: promoter.publish("fraud", 1, bump="major"))
    refused(lambda: promoter.promote("fraud@staging", "1.0.0", reason="x"))
    refused(lambda: writer.promote("fraud@prod", "1.1.0", reason="x"))
    for vault in (writer, promoter, reader):
        refused(lambda: store_of(vault).delete(Key("modelvault.json")))  # noqa: B023
    refused(lambda: reader.publish("fraud", 1, bump="major"))
    refused(lambda: reader.promote("fraud@prod", "1.1.0", reason="x"))


def test_a_writer_over_ssh_can_neither_replace_nor_reopen_an_object(ssh, root):
    import paramiko

    place = ssh.of(WRITER, root)
    with paramiko.SSHClient() as client:
        client.load_host_keys(place.options["known_hosts"])
        host, _, port = ssh.address.partition(":")
        client.connect(host, int(port), WRITER, key_filename=place.options["key_filename"], look_for_keys=False)
        with client.open_sftp() as sftp:
            target, other = f"{root}/modelvault.json", f"{root}/other"
            sftp.open(other, "w").close()
            for careless in (
                lambda: sftp.open(target, "w"),
                lambda: sftp.open(target, "a"),
                lambda: sftp.chmod(target, 0o644),
                lambda: sftp.posix_rename(other, target),
                lambda: sftp.rename(target, f"{root}/elsewhere"),
                lambda: sftp.remove(target),
            ):
                with pytest.raises(OSError, match=r"[Dd]enied|unsupported|[Ff]ailure"):
                    careless()


def store_of(vault):
    return vault._store
