"""The rights that the documentation calls the least suffice, and what they leave out is refused: on real servers."""

import json
import os
import secrets

import pytest

from modelvault.errors import Code, StoreError
from modelvault.stores import Key
from modelvault.stores.remote import PART
from modelvault.vault import Vault

from ..docs.policies import documents
from ..servers.s3 import REGION, SeaweedFS
from ..servers.server import Place, fresh

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


def store_of(vault):
    return vault._store
