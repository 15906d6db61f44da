"""The static page: all that the records say, in files that need nothing else, the same bytes each time."""

import json
import os
import re
import shutil
import subprocess

import pytest

from modelvault import cli
from modelvault.display.page import folder, lineage, model
from modelvault.display.page.prose import prose
from modelvault.errors import AlreadyExists, Code, InvalidInput, NotFound, StoreError
from modelvault.stores.local import LocalStore
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import Recording
from modelvault.vault import Vault

from .hostile import HOSTILE, check
from .made import clock, many, vault_of

ASSETS = {"style.css", "search.js"}


@pytest.fixture(scope="module")
def store():
    store = MemoryStore()
    vault_of(store)
    return store


@pytest.fixture
def site(store, tmp_path):
    Vault(store).page(tmp_path / "site")
    return tmp_path / "site"


def files(path):
    return {one.relative_to(path).as_posix(): one.read_bytes() for one in path.rglob("*") if one.is_file()}


def text(path):
    return path.read_text(encoding="utf-8")


def keys(store, prefix):
    for entry in store.list(prefix):
        yield from keys(store, entry.key) if entry.key.endswith("/") else [entry.key]


def test_it_has_a_page_of_all_models_and_one_of_each(site):
    pages = {"index.html", "models/churn.html", "models/fraud.html"}
    assert set(files(site)) == {*pages, *ASSETS, "data.js", folder.MARK}


def test_the_page_of_all_models_says_where_each_is(site):
    seen = check(text(site / "index.html"))
    for said in ("fraud", "churn", "1.4.0", "prod 1.3.0", "auc=0.94"):  # 1.5.0 is yanked
        assert said in seen.text


def test_the_page_of_a_model_tells_its_story(site):
    seen = check(text(site / "models" / "fraud.html"))
    for said in (
        "6 versions",
        "Latest 1.4.0",
        "rollback",
        "latency",
        "slow on large baskets",
        "trained on the test set",
    ):
        assert said in seen.text
    for said in ("Try 5.", "after 1.3.0 (minor)", "auc", "p99", "drill"):
        assert said in seen.text
    for said in ("numpy.ndarray", "1.4.0 to 1.5.0 (2)", "1.0.0 to 1.3.0 (4)"):  # the data, and who was trained on it
        assert said in seen.text
    assert {f"1.{minor}.0" for minor in range(6)} <= {*seen.ids}


def test_every_link_leads_to_a_file_or_a_place_in_it(site):
    pages = {name: check(data.decode()) for name, data in files(site).items() if name.endswith(".html")}
    for name, seen in pages.items():
        for link in seen.links:
            path, _, place = link.partition("#")
            where = os.path.normpath(os.path.join(os.path.dirname(name), path)) if path else name
            assert where in files(site), link
            assert not place or place == "main" or place in pages[where].ids


def test_a_page_lets_nothing_in_from_elsewhere(site):
    for name, data in files(site).items():
        if name.endswith(".html"):
            assert b"default-src &#x27;none&#x27;" in data
        assert b"://" not in data
    seen = check(text(site / "models" / "fraud.html"))
    assert not {name for _, name in seen.attributes} & {"style", "onclick"}


def test_equal_vaults_give_equal_bytes(site, store, tmp_path):
    Vault(store).page(tmp_path / "again")
    assert files(tmp_path / "again") == files(site)
    other = LocalStore(tmp_path / "vault")
    for key in keys(store, ""):
        other.create(key, store.read(key))
    Vault(other).page(tmp_path / "other")
    assert files(tmp_path / "other") == files(site)


def test_no_file_of_a_version_is_read(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(os.urandom(300_000))
    seen = Recording(MemoryStore())
    vault = Vault(seen, progress=False)
    vault.publish("big", tmp_path / "model")
    before = seen.counts["fetch"]
    Vault(seen).page(tmp_path / "site")
    assert seen.counts["fetch"] == before


def test_requests_are_a_read_for_each_record_and_few_lists(store, tmp_path):
    seen = Recording(store)
    Vault(seen).page(tmp_path / "site")
    assert dict(seen.counts) == {"list": 12, "read": 14}  # of 7 versions, 4 moves, 3 notes


def test_what_was_written_before_is_replaced_and_what_is_gone_is_removed(site, store):
    Vault(store).page(site, ["churn"])
    assert set(files(site)) == {"index.html", "models/churn.html", *ASSETS, "data.js", folder.MARK}
    Vault(store).page(site)
    assert "models/fraud.html" in files(site)


def test_a_file_of_somebody_else_is_not_touched(site, store):
    (site / "models" / "mine.txt").write_text("mine")
    Vault(store).page(site, ["churn"])
    assert (site / "models" / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "mark", [None, "{", "[]", '{"files": ["../outside.html"]}', '{"files": ["/etc/passwd"]}', '{"files": [1]}']
)
def test_a_folder_of_somebody_else_is_refused(store, tmp_path, mark):
    site = tmp_path / "site"
    site.mkdir()
    (tmp_path / "outside.html").write_text("mine")
    (site / "mine.txt" if mark is None else site / folder.MARK).write_text(mark or "mine")
    before = files(tmp_path)
    with pytest.raises(AlreadyExists) as caught:
        Vault(store).page(site)
    assert caught.value.code == Code.TARGET_EXISTS
    assert files(tmp_path) == before


def test_a_file_where_the_folder_should_be_is_refused(store, tmp_path):
    (tmp_path / "site").write_text("mine")
    with pytest.raises(AlreadyExists):
        Vault(store).page(tmp_path / "site")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs /proc")
def test_a_folder_that_cannot_be_written_is_an_error_of_the_store(store):
    with pytest.raises(StoreError) as caught:
        Vault(store).page("/proc/site")
    assert caught.value.code == Code.STORE_DENIED


def test_a_file_where_a_folder_of_ours_should_be_is_an_error_of_the_store(store, tmp_path):
    Vault(MemoryStore()).page(tmp_path / "site")
    (tmp_path / "site" / "models").write_text("mine")
    with pytest.raises(StoreError):
        Vault(store).page(tmp_path / "site")
    assert (tmp_path / "site" / "models").read_text() == "mine"


def test_what_failed_can_be_written_again(store, tmp_path):
    with pytest.raises(NotFound):
        Vault(store).page(tmp_path / "site", ["churn", "none"])
    assert not (tmp_path / "site" / "index.html").exists()
    Vault(store).page(tmp_path / "site", ["fraud"])
    assert set(files(tmp_path / "site")) == {"index.html", "models/fraud.html", *ASSETS, "data.js", folder.MARK}


def test_names_of_models_are_checked(store, tmp_path):
    with pytest.raises(InvalidInput):
        Vault(store).page(tmp_path / "site", ["../fraud"])
    with pytest.raises(InvalidInput):
        Vault(store).page(tmp_path / "site", "fraud")
    with pytest.raises(NotFound):
        Vault(store).page(tmp_path / "site", ["none"])


def test_an_empty_vault_has_a_page(tmp_path):
    Vault(MemoryStore()).page(tmp_path / "site")
    assert "There are no models." in check(text(tmp_path / "site" / "index.html")).text


CARD = """---
license: mit
---
# Fraud

Less *noise*, see [the paper](https://example.org/paper).

| metric | value |
|:--:|--:|
| auc | 0.9 |

<script>alert(1)</script> <img src=x onerror=alert(1)> ![picture](https://example.org/x.png)
[a](javascript:alert(1)) [b](data:text/html,x) [c](../index.html "t") <https://example.org/auto> [d](//example.org)

```js" onclick="alert(1)
code
```

7. seventh

###### Deep
"""


def test_a_card_is_markdown_and_nothing_more(tmp_path):
    vault = Vault(MemoryStore(), progress=False)
    vault.publish("fraud", {"a": 1}, notes="Not on the card.")
    vault.note("fraud:1.0.0", CARD, kind="card")
    vault.publish("fraud", {"a": 2}, version="2.0.0-rc.1", notes="Not latest.")
    vault.page(tmp_path / "site")
    page = text(tmp_path / "site" / "models" / "fraud.html")
    seen = check(page)
    for made in ("<h3>Fraud</h3>", "<em>noise</em>", "<td>auc</td>", "<pre><code>code", "<ol>", "<h4>Deep</h4>"):
        assert made in page
    assert {link for link in seen.links if ":" in link} == {
        f"https://example.org/{at}" for at in ("paper", "auto", "x.png")
    }
    assert ("a", "rel") in seen.attributes
    assert not {tag for tag, name in seen.attributes if name == "src"} - {"script"}
    assert "license: mit" not in page.partition("Model card</h2>")[2].partition("</section>")[0]


def test_a_long_card_is_cut_at_a_line():
    made = prose("word\n\n" * 10_000, 600).markup
    assert made.endswith("<p>word</p>\n<p>…</p>\n</div>")
    assert len(made) < 2_000
    assert prose("word", 4).markup == '<div class="prose"><p>word</p>\n</div>'


def test_it_tells_how_far_it_is(store, tmp_path):
    told = []
    Vault(store, progress=told.append).page(tmp_path / "site")
    assert (told[-1].task, told[-1].total, told[-1].ended) == ("page", 7, True)


@pytest.mark.parametrize("said", HOSTILE, ids=range(len(HOSTILE)))
def test_what_strangers_wrote_does_no_harm(said, tmp_path):
    vault = Vault(MemoryStore(), progress=False)
    long = said[:60_000].replace("\ud800", "")
    short = said[:150].replace("\ud800", "").replace("\r\n", "_").replace("\x00", "")
    for _ in range(2):
        version = vault.publish(
            "fraud", {"a": 1}, bump="patch", actor=short, params={short: long}, metrics={short: 1.0}, notes=long
        )
        vault.promote("fraud@prod", version, reason=long, actor=short)
        vault.note("fraud@prod", long, kind="issue", actor=short, metrics={short: 1.0})
    vault.page(tmp_path / "site")
    for name, data in files(tmp_path / "site").items():
        if name.endswith(".html"):
            seen = check(data.decode())
            assert not [link for link in seen.links if ":" in link and not link.startswith("https://")]
            assert len(data) < 100_000
    script = text(tmp_path / "site" / "data.js")
    assert script.isascii()
    assert json.loads(script.removeprefix("globalThis.modelvault=").removesuffix(";\n"))["per"] == model.PER


def test_a_page_of_hostile_versions_is_below_two_megabytes(tmp_path):
    vault = Vault(MemoryStore(), progress=False, clock=clock())
    evil = "'\"<>&" * 40
    params = {f"{at}{evil}": evil * 10 for at in range(60)}
    for at in range(103):
        version = vault.publish(
            "fraud",
            {"a": at},
            version=f"1.{at}.0",
            actor=evil,
            params=params,
            metrics={f"{n}{evil}": 1.0 for n in range(20)},
            notes=evil,
        )
        vault.promote(f"fraud@a{at % 9}", version, reason=evil * 5, actor=evil)
    vault.page(tmp_path / "site")
    assert {"models/fraud.html", "older/fraud/2.html"} <= set(files(tmp_path / "site"))
    assert max(map(len, files(tmp_path / "site").values())) < 2_000_000


def test_older_versions_are_on_pages_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(model, "PER", 2)
    vault_of(store := MemoryStore())
    Vault(store).page(tmp_path / "site", ["fraud"])
    first = check(text(tmp_path / "site" / "models" / "fraud.html"))
    last = check(text(tmp_path / "site" / "older" / "fraud" / "3.html"))
    assert {"1.5.0", "1.4.0"} <= {*first.ids}
    assert {"1.1.0", "1.0.0"} <= {*last.ids}
    assert "../older/fraud/2.html" in first.links
    assert {"2.html", "../../models/fraud.html"} <= {*last.links}
    assert "Versions 5 to 6 of 6" in last.text


def test_a_version_of_no_known_origin_has_no_lineage():
    traces = lineage.Traces()
    manifest = Vault(MemoryStore()).publish("fraud", {"a": 1}).manifest.model_copy(update={"provenance": None})
    traces.add(manifest)
    assert [*traces.sections()] == []


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (0, "after 1.2.1 (major)"),
        (1, "after 1.2.1 (major)"),
        (2, "after 1.2.0 (patch)"),
        (3, "after 1.0.0 (minor)"),
        (4, ""),
    ],
)
def test_a_version_goes_on_from_the_stable_one_before(at, expected):
    assert lineage.after(["2.0.0", "2.0.0-rc.1", "1.2.1", "1.2.0", "1.0.0"], at) == expected


def test_the_command_writes_it_and_says_where(tmp_path, capsys):
    vault_of(LocalStore(tmp_path / "vault"))
    where = ["--vault", str(tmp_path / "vault"), "-o", str(tmp_path / "site")]
    assert cli.main(["page", *where]) == 0
    assert capsys.readouterr().out == f"2 models and 7 versions are shown in {tmp_path / 'site' / 'index.html'}\n"
    assert cli.main(["page", "churn", *where, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == {"path": str(tmp_path / "site" / "index.html"), "models": 1, "versions": 1, "files": 5}
    assert cli.main(["page", "none", *where]) == 3


def test_the_script_is_a_script(site):
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node")
    for name in ("search.js", "data.js"):
        subprocess.run([node, "--check", site / name], check=True)


@pytest.mark.long
def test_ten_thousand_versions_make_pages_that_are_small(tmp_path):
    vault = many(store := MemoryStore(), 10_000)
    for at in range(0, 10_000, 200):
        vault.promote("fraud@prod", f"{at // 100}.{at % 100}.0", reason="better")
    Vault(store).page(tmp_path / "site")
    found = files(tmp_path / "site")
    assert max(len(data) for name, data in found.items() if name.endswith(".html")) < 2_000_000
    assert len(found["data.js"]) < 2_000_000
    assert len([name for name in found if name.startswith("older/")]) == 99
    pages = [name for name in found if name.startswith(("older/", "models/"))]
    assert sum(len(re.findall(rb"<details><summary>[0-9]", found[name])) for name in pages) == 10_000


def test_a_vault_in_a_bucket_has_the_same_page(s3_server, store, tmp_path):
    place = s3_server.place()
    for key in keys(store, ""):
        s3_server.put(place, key, store.read(key))
    Vault(place.connect()).page(tmp_path / "far")
    Vault(store).page(tmp_path / "near")
    assert files(tmp_path / "far") == files(tmp_path / "near")
