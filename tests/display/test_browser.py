"""The static page in a real browser, from the disk: nothing runs that should not, all can be read by all, all fits."""

import os
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from modelvault.stores.memory import MemoryStore

from ..servers.browser import look
from ..servers.server import Missing
from .hostile import HOSTILE
from .made import many, vault_of

SIZES = [(width, dark) for width in (390, 1280) for dark in (False, True)]


@pytest.fixture(scope="module")
def seen():
    """Looks, or skips where there is no browser; CI requires one."""

    def seen(*looks):
        try:
            return look(*looks)
        except Missing as error:
            if os.environ.get("MODELVAULT_SERVERS") == "required":
                pytest.fail(f"browser missing: {error}", pytrace=False)
            pytest.skip(f"server missing: {error}")

    return seen


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    vault = vault_of(MemoryStore())
    for at, text in enumerate(HOSTILE):
        short, long = (text[:size].replace("\ud800", "").replace("\x00", "") for size in (150, 60_000))
        members = {"params": {short or "x": long}, "metrics": {short or "x": float(at)}, "notes": long}
        version = vault.publish("hostile", {"a": at}, bump="minor", actor=short.replace("\r\n", "_"), **members)
        vault.promote("hostile@prod", version, reason=long, actor="ana")
        vault.note("hostile@prod", long, kind="issue", actor="ana")
    path = tmp_path_factory.mktemp("page") / "site"
    vault.page(path)
    return path


def pages(site):
    return [(site / name).as_uri() for name in ("index.html", "models/fraud.html", "models/hostile.html")]


def test_axe_finds_nothing_wide_and_narrow_light_and_dark(seen, site):
    opened = "document.querySelectorAll('details').forEach((each) => { each.open = true; })"
    looks = [
        {"url": url, "width": width, "dark": dark, "axe": True, "evaluate": opened}
        for url in pages(site)
        for width, dark in SIZES
    ]
    for answer, asked in zip(seen(*looks), looks, strict=True):
        assert answer["violations"] == [], asked
        assert answer["errors"] == [], asked
        assert not answer["wide"], asked


def test_nothing_is_asked_of_anybody_and_nothing_that_was_stored_runs(seen, site):
    for answer in seen(*({"url": url, "type": "<script>alert(1)</script>"} for url in pages(site))):
        assert all(url.startswith(site.as_uri()) for url in answer["requests"])
        assert answer["errors"] == []


def test_it_can_be_read_without_scripts(seen, site):
    [answer] = seen({"url": pages(site)[1], "script": False, "wait": "text=Aliases"})
    assert answer["errors"] == []


def test_the_search_finds_models_and_versions_by_all_words(seen, site):
    links = "[...document.querySelectorAll('#found a')].map((each) => each.textContent)"
    asked = ["churn", "fraud 1.3", "PROD try", "nothing at all"]
    answers = seen(*({"url": pages(site)[1], "type": words, "evaluate": links} for words in asked))
    assert [answer["value"] for answer in answers] == [
        ["churn", "churn:1.0.0"],
        ["fraud:1.3.0"],
        ["fraud:1.3.0"],
        [],
    ]


def test_a_link_to_a_version_opens_it(seen, site):
    opened = "[...document.querySelectorAll('details[open] > summary')].map((each) => each.textContent)"
    [answer] = seen({"url": f"{pages(site)[1]}#1.2.0", "evaluate": opened})
    assert answer["value"] == ["1.2.0"]


@pytest.mark.long
def test_the_page_of_many_versions_is_usable(seen, tmp_path):
    many(MemoryStore(), 10_000).page(tmp_path / "site")
    link = "document.querySelector('#found a').href"
    [answer] = seen({"url": (tmp_path / "site" / "models" / "fraud.html").as_uri(), "type": "0.7.0", "evaluate": link})
    assert answer["value"].endswith("older/fraud/100.html#0.7.0")
    [there] = seen(
        {"url": answer["value"], "axe": True, "evaluate": "document.querySelector('details[open]').textContent"}
    )
    assert "Try 7." in there["value"]
    assert there["violations"] == []


def test_it_works_below_any_address_of_a_server(seen, site):
    """As in a folder of a bucket, which serves files by their names and knows no index pages."""
    handler = partial(Quiet, directory=site.parent)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        root = f"http://127.0.0.1:{server.server_port}/site/"
        link = "document.querySelector('#found a').href"
        [answer] = seen({"url": f"{root}models/fraud.html", "type": "churn", "evaluate": link})
        server.shutdown()
    assert answer["value"] == f"{root}models/churn.html"
    assert [url for url in answer["requests"] if not url.startswith(root)] == []
    assert answer["errors"] == []


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass
