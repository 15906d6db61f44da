"""The pages of stores: their examples run on servers, their policies name what a vault has, and no key beside it."""

import re

import pytest

from modelvault import layout

from .policies import HOW_TO, STORES, documents, fences
from .test_examples import alike, executed

_OURS = re.compile(
    r"<!-- not run: it needs a (?:bucket|container); a test of its own has one -->\n```(\w+)\n(.*?)^```",
    re.DOTALL | re.MULTILINE,
)
BUCKET = "acme-models"
MODEL = {layout.versions("fraud"), layout.notes("fraud", "1.0.0"), layout.journal("fraud", "prod")}
FOLDERS = {"", layout.BLOBS, *MODEL, layout.notes("fraud", "1.0.0").removesuffix("1.0.0/")}
"""What a prefix of a policy may be, below the root of the vault."""


def s3(request, monkeypatch):
    server = request.getfixturevalue("moto_server")
    server.client.create_bucket(Bucket=BUCKET)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


def gcs(request, monkeypatch):
    server = request.getfixturevalue("gcs_server")
    server.call("POST", "/storage/v1/b?project=p", b'{"name":"acme-models"}')
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://{server.address}")


def az(request, monkeypatch):
    from azure.storage.blob import BlobServiceClient

    server = request.getfixturevalue("azure_server")
    with BlobServiceClient.from_connection_string(server.connection) as client:
        client.create_container("models")
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", server.connection)


@pytest.mark.parametrize(("page", "begin"), [("s3", s3), ("gcs", gcs), ("azure", az)], ids=["s3", "gcs", "azure"])
def test_the_examples_of_a_page_run_on_a_server(page, begin, request, monkeypatch):
    begin(request, monkeypatch)
    path = HOW_TO / f"{page}.md"
    names, printed, ran = {"__name__": "__main__"}, "", 0
    for language, source in _OURS.findall(path.read_text(encoding="utf-8")):
        ran += 1
        if language == "python":
            printed = executed(source, str(path), 0, names)
        else:
            assert alike(source, printed), printed
    assert ran == 2


@pytest.mark.parametrize("page", STORES)
def test_every_piece_of_json_is_titled_and_parses(page):
    assert len(documents(page)) == fences(page)


@pytest.mark.parametrize(("page", "kinds"), [("s3", 6), ("gcs", 1), ("azure", 1)])
def test_a_policy_names_no_key_that_a_vault_has_not(page, kinds):
    assert len(documents(page)) >= kinds
    text = (HOW_TO / f"{page}.md").read_text(encoding="utf-8")
    named = [
        *re.findall(r"arn:aws:s3:::acme-models/vault/([^\"]*)\"", text),
        *(
            f"{prefix}*"
            for prefix in re.findall(r"startsWith\('projects/_/buckets/acme-models/objects/vault/([^']*)'", text)
        ),
        *re.findall(r"resource\.name == 'projects/_/buckets/acme-models/objects/vault/([^']*)'", text),
        *(f"{prefix}*" for prefix in re.findall(r"StringStartsWith 'vault/([^']*)'", text)),
    ]
    assert len(named) > 3
    for key in named:
        assert key in {layout.VAULT, layout.SELF_TEST} or (key[-1] == "*" and key[:-1] in FOLDERS), key


@pytest.mark.parametrize("page", ["s3", "gcs"])
def test_all_that_is_named_is_of_one_bucket(page):
    said = re.findall(r"arn:aws:s3:::([^/\"]+)|buckets/([^/']+)", (HOW_TO / f"{page}.md").read_text(encoding="utf-8"))
    assert {name for pair in said for name in pair if name} == {BUCKET}
