"""What a notebook shows: without a request, without a script, of bounded size, harmless, and as text, too."""

import pickle

import pytest

from modelvault.display import notebook
from modelvault.display.html import INLINE, table
from modelvault.display.text import Table
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import Recording
from modelvault.vault import Vault

from .hostile import HOSTILE, check
from .made import move, vault_of

LIMIT = 50_000


@pytest.fixture(scope="module")
def vault():
    return vault_of(MemoryStore())


def shown(value):
    """What a notebook is given, checked."""
    made = value._repr_mimebundle_(include=None, exclude=None)
    assert set(made) == {"text/plain", "text/html"}
    assert len(made["text/html"].encode()) <= LIMIT
    assert len(made["text/plain"]) <= LIMIT + 2_000
    seen = check(made["text/html"])
    assert not seen.tags & {"script", "link", "a"}
    assert not seen.links
    assert not {name for _, name in seen.attributes} & {"class", "id"}
    return made["text/plain"], made["text/html"]


def test_a_version_is_a_card(vault):
    plain, html = shown(vault.version("fraud:1.2.0"))
    for text in ("fraud:1.2.0", "auc", "0.92", "depth", "Try 2.", "cloudpickle", vault.version("fraud:1.2.0").digest):
        assert text in plain
        assert text in html


def test_the_versions_of_a_model_are_a_table_with_lines_of_its_metrics(vault):
    versions = vault.versions("fraud")
    plain, html = shown(versions)
    assert "fraud: 6 versions" in html
    assert html.count("<polyline") == 2
    assert "auc=0.95" in html
    assert plain.split("\n")[1].startswith("1.5.0")
    assert repr(versions) == plain


def test_a_history_is_a_timeline_and_a_table(vault):
    plain, html = shown(vault.history("fraud@prod"))
    assert html.count("<title>") == 4 + 2  # marks, and those of the legend
    assert "rollback" in html
    assert "latency" in html
    assert plain.split("\n")[1].split()[0] == "4"


def test_aliases_are_a_table(vault):
    plain, html = shown(vault.aliases("fraud"))
    assert "fraud@prod" in plain
    assert "fraud@prod" in html


def test_a_diff_is_a_table_of_what_differs(vault):
    plain, html = shown(vault.diff("fraud:1.0.0", "fraud:1.1.0"))
    assert "fraud:1.0.0 → fraud:1.1.0" in html
    assert "0.9 → 0.91" in html
    assert "0.9 → 0.91" in plain
    assert "do not differ" in shown(vault.diff("fraud:1.0.0", "fraud:1.0.0"))[1]


def test_a_vault_says_where_it_is_and_what_was_seen(vault):
    plain, html = shown(Vault(MemoryStore()))
    assert plain == repr(Vault(MemoryStore()))
    assert "prod" not in html
    assert "fraud@prod" in shown(vault)[1]


def test_no_display_asks_a_store(vault):
    store = Recording(vault._store)
    seen = Vault(store)
    values = [seen, seen.version("fraud@prod"), seen.versions("fraud"), seen.history("fraud@prod")]
    values += [seen.aliases("fraud"), seen.diff("fraud:1.0.0", "fraud@prod")]
    before = dict(store.counts)
    for value in values:
        shown(value)
        repr(value)
    assert dict(store.counts) == before


def test_lists_are_lists_and_dicts_are_dicts(vault):
    versions, history, aliases = vault.versions("fraud"), vault.history("fraud@prod"), vault.aliases("fraud")
    assert isinstance(versions, list)
    assert versions == [*versions]
    assert versions[:2] == [versions[0], versions[1]]
    assert [move.seq for move in history] == [4, 3, 2, 1]
    assert isinstance(aliases, dict)
    assert aliases == {"prod": history[0]}
    assert pickle.loads(pickle.dumps(history)) == history


@pytest.mark.parametrize("value", [notebook.Versions(), notebook.History(), notebook.Aliases()])
def test_nothing_is_shown_as_nothing(value):
    _, html = shown(value)
    assert len(html) < 1_000


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_what_strangers_wrote_does_no_harm(text):
    vault = Vault(MemoryStore(), progress=False)
    short, name = (
        text[:60_000].replace("\ud800", "\\ud800"),
        text[:150].replace("\ud800", "\\ud800").replace("\r\n", "_"),
    )
    members = {"params": {name or "x": short}, "metrics": {name or "x": 1.0}, "notes": short}
    for _ in range(3):
        version = vault.publish(
            "fraud", {"a": len(vault.models())}, bump="patch", actor=name.replace("\x00", "") or "x", **members
        )
        members["params"] = {name or "x": 1}
        vault.promote("fraud@prod", version, reason=short or "x", actor="ana")
    values = [version, vault.versions("fraud"), vault.history("fraud@prod"), vault.aliases("fraud")]
    for value in [*values, vault.diff("fraud:1.0.0", "fraud:1.0.1")]:
        plain, _ = shown(value)
        assert all(line.isprintable() for line in plain.split("\n"))


def test_a_value_of_a_megabyte_is_cut(tmp_path):
    vault = Vault(MemoryStore(), progress=False)
    version = vault.publish("fraud", {"a": 1}, params={"long": "<" * 1_000_000, "lines": ["'\n"] * 100_000})
    shown(version)
    shown(vault.versions("fraud"))
    vault.page(tmp_path / "site")
    assert all(path.stat().st_size < 20_000 for path in tmp_path.rglob("*.html"))


def test_very_long_histories_and_lists_are_cut():
    moves = notebook.History(move(seq, f"1.{seq}.0", reason="<'\">" * 10_000) for seq in range(5_000, 0, -1))
    plain, html = shown(moves)
    assert "more" in plain
    assert "… and 4,995 more" in html
    assert "<svg" in html
    assert len(moves) == 5_000


def test_what_is_too_long_in_any_number_of_rows_is_shown_as_text():
    evil = "'\"<>" * 100
    values = {f"{at}{evil}": evil for at in range(50)}
    made = notebook._bundle(
        "all of it\n<b>", "title", lambda rows: [table(Table(list(values), [list(values)] * rows), INLINE)]
    )
    assert len(made["text/html"]) < LIMIT
    assert "all of it<br>&lt;b&gt;" in made["text/html"]


def test_the_status_of_a_live_handle_is_a_card(vault):
    hostile = {"ref": "fraud@prod", "state": "held", "reason": HOSTILE[0], "rejected": {"1.0.0": "<script>"}, "guard": None, "environment": ["numpy 2"]}  # fmt: skip
    from modelvault.serving import Status

    plain, html = shown(Status(hostile))
    for text in ("fraud@prod", "held", "numpy 2"):
        assert text in plain
        assert text in html
    assert "guard" not in plain
    live = vault.live("fraud@prod", refresh=None)
    assert "serving" in shown(live)[0]
    assert repr(live) == f"<Live fraud@prod {live.version}, serving>"
    live.close()
