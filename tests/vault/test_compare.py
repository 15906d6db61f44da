"""What a diff, a comparison and a card say of versions."""

import warnings
from datetime import datetime

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from modelvault.card import card, split
from modelvault.diff import Change
from modelvault.errors import InvalidInput, NotFound
from modelvault.markdown import code
from modelvault.metrics import direction, judged
from modelvault.stores.memory import MemoryStore
from modelvault.vault import Vault
from modelvault.wire import Note, record

EVIL = "a|b`c`\n---\n<script>x</script> @all [x](http://x) \x1b[31m **b** \\| ```"


class Doubler:
    """A model that can be stored and called."""

    def __init__(self, factor):
        self.factor = factor

    def predict(self, rows):
        return rows[:, 0] * self.factor


@pytest.fixture
def vault():
    return Vault(MemoryStore(), trust="pickle")


@pytest.fixture
def pair(vault):
    """Two versions of a model, with examples in common."""
    rows = np.arange(8.0).reshape(4, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old = vault.publish("m", Doubler(2.0), example=rows, metrics={"auc": 0.9, "loss": 1.0, "x": 1}, actor="ann")
        new = vault.publish(
            "m", Doubler(2.5), bump="minor", example=rows, metrics={"auc": 0.95, "loss": 1.5, "x": 2}, params={"k": 2}
        )
    return old, new


def changes(diff, section):
    return {one.name: one for one in diff.changes if one.section == section}


# --- metrics


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("auc", 1), ("val/roc_auc", 1), ("rocAUC", 1), ("top5_acc", 1), ("F1-macro", 1), ("R^2", 1), ("r2_score", 1), ("mAP@0.5", 1),
        ("score", 1), ("neg_mean_squared_error", 1), ("loss", -1), ("val_loss", -1), ("log_loss", -1), ("RMSE", -1), ("brier_score", -1),
        ("mean_absolute_error", -1), ("p99_ms", -1), ("train_time", -1), ("accuracy_loss", 0), ("rows", 0), ("", 0),
    ],
)  # fmt: skip
def test_the_name_of_a_metric_tells_whether_more_is_better(name, more):
    assert direction(name) == more


@given(st.text(), st.floats(-1e300, 1e300), st.floats(-1e300, 1e300))
def test_a_change_and_its_opposite_are_judged_as_opposites(name, old, new):
    opposite = {"better": "worse", "worse": "better", "": ""}
    assert judged(name, new, old) == opposite[judged(name, old, new)]


# --- diff


def test_metrics_are_judged_by_their_direction(vault, pair):
    found = changes(vault.diff(*pair), "metric")
    assert found["auc"] == Change("metric", "auc", 0.9, 0.95, "better", "+0.05")
    assert (found["loss"].verdict, found["loss"].detail) == ("worse", "+0.5")
    assert (found["x"].verdict, found["x"].meaning) == ("", "+1")
    assert "metric auc: 0.9 → 0.95  (better: +0.05)" in str(vault.diff(*pair))


def test_predictions_are_compared_as_they_were_recorded(vault, pair):
    found = changes(vault.diff(*pair), "prediction")["predict"]
    assert found.verdict == "minor"
    assert found.detail == "3 of 4 rows differ (75%), by at most 3"
    assert changes(vault.diff(pair[0], pair[0]), "prediction") == {}


def test_nothing_is_unpickled_or_called_to_compare_predictions(pair):
    reader = Vault(pair[0]._vault._store)  # which does not trust pickles
    assert changes(reader.diff("m:1.0.0", "m:1.1.0"), "prediction")["predict"].verdict == "minor"


def test_predictions_on_other_examples_are_not_compared(vault, pair):
    other = vault.publish("m", Doubler(2.0), bump="minor", example=np.ones((3, 2)))
    assert "other examples" in changes(vault.diff(pair[0], other), "prediction")[""].detail


def test_a_change_of_the_signature_has_its_level_and_its_reason(vault):
    field = {"name": "age", "dtype": "int64"}
    old = vault.publish("s", 1, signature={"inputs": [field], "outputs": [{"name": "y"}]})
    new = vault.publish("s", 2, bump="major", signature={"inputs": [field, {"name": "b"}], "outputs": [{"name": "y"}]})
    found = changes(vault.diff(old, new), "signature")
    assert (found["inputs.b"].verdict, found["inputs.b"].detail) == ("major", "the input 'b' is new, and required")
    assert changes(vault.diff(new, vault.publish("s", 3, bump="minor")), "signature")[""][2:4] == ("recorded", None)


def test_a_file_says_how_much_of_it_is_shared(vault, tmp_path):
    weights = np.arange(400_000, dtype="f4")
    old = vault.publish("w", {"a": weights, "b": weights + 1}, format="numpy")
    new = vault.publish("w", {"a": weights, "b": weights + 2}, format="numpy", bump="minor")
    [found] = changes(vault.diff(old, new), "file").values()
    fresh, shared = (int(word.replace(",", "")) for word in found.detail.split() if word[0].isdigit())
    assert fresh + shared == new.size
    assert 1_600_000 <= shared < 1_610_000


def test_the_code_between_two_versions_is_a_range_of_commits(vault):
    from modelvault.diff import compare

    old = vault.publish("m", 1).manifest
    one, two = (
        old.model_copy(update={"provenance": old.provenance.model_copy(update={"git": git})} if git else {})
        for git in (record_git("a" * 40), record_git("b" * 40))
    )
    found = changes(compare(one, two), "code")["commit"]
    assert found.detail == f"git log {'a' * 12}..{'b' * 12}"
    hostile = old.model_copy(update={"provenance": old.provenance.model_copy(update={"git": record_git("; rm -rf /")})})
    assert changes(compare(one, hostile), "code")["commit"].detail == ""


def record_git(commit):
    from modelvault.wire import Git

    return record(Git, commit=commit, dirty=False)


def test_issues_of_both_sides_are_told(vault, pair):
    vault.note("m:1.0.0", "old one", kind="issue", actor="ann")
    vault.note("m:1.1.0", "no issue")
    vault.note("m:1.1.0", "wrong for new shops", kind="issue", actor="bob")
    diff = vault.diff(*pair)
    assert [note.text for note in diff.issues] == ["wrong for new shops", "old one"]
    assert "issue: m:1.1.0" in str(diff)
    assert "**Issues**" in diff.to_markdown()
    same = vault.diff(pair[0], pair[0])
    assert not same
    assert [note.text for note in same.issues] == ["old one"]


def test_a_yank_is_a_difference_as_long_as_it_holds(vault, pair):
    vault.yank("m:1.1.0", reason="leaks")
    assert changes(vault.diff(*pair), "text")["yanked"][2:4] == (None, "leaks")
    vault.unyank("m:1.1.0", reason="it does not")
    assert changes(vault.diff(*pair), "text") == {}


def test_markdown_is_one_table(vault, pair):
    text = vault.diff(*pair).to_markdown()
    head, _, *lines = text.splitlines()
    assert head == "### `m:1.0.0` → `m:1.1.0`"
    assert lines[0] == "|  |  | before | after |  |"
    assert lines[2] == "| metric | `auc` | `0.9` | `0.95` | **better** `+0.05` |"
    assert {line.count("|") for line in lines} == {6}
    assert vault.diff(pair[0], pair[0]).to_markdown() == "### `m:1.0.0` → `m:1.0.0`\n\nNo difference.\n"


def html_of(text):
    markdown_it = pytest.importorskip("markdown_it")
    return markdown_it.MarkdownIt("gfm-like", {"linkify": False}).render(text)


@given(st.one_of(st.just(EVIL), st.text()))
def test_what_was_stored_becomes_no_markup(text):
    import re

    from modelvault.errors import shown
    from modelvault.markdown import table

    cell = code(text)
    found = html_of("\n".join(table(("a", "b"), [(cell, "`x`")])))
    inner = re.findall(r"<td>(.*?)</td>", found, re.DOTALL)
    assert len(inner) == 2
    assert inner[1] == "<code>x</code>"
    import html as escapes

    assert inner[0].count("<") == (2 if cell else 0)
    assert escapes.unescape(inner[0].removeprefix("<code>").removesuffix("</code>")).strip() == (
        shown(text, 500).strip() if cell else ""
    )


# --- compare


def test_versions_stand_side_by_side(vault, pair):
    vault.promote("m@prod", pair[0], reason="r")
    vault.publish("m", 3, bump="minor", metrics={"auc": 0.93})
    found = vault.compare("m", "auc")
    assert [one.number for one in found.versions] == ["1.2.0", "1.1.0", "1.0.0"]
    assert found.points("auc") == [("1.0.0", 0.9), ("1.1.0", 0.95), ("1.2.0", 0.93)]
    lines = str(found).splitlines()
    assert lines[0].split() == ["VERSION", "PUBLISHED", "auc", "ALIASES"]
    assert lines[3].split()[0::3] == ["1.0.0", "0.9"]
    assert lines[-3:] == ["auc, more is better", "  ▁█▅  0.9 to 0.95", "  └ 1.0.0 prod"]
    assert vault.compare("m").metrics == ("auc", "loss", "x")
    assert vault.compare("m", "loss").data()["metrics"] == {"loss": "less is better"}
    assert "| `1.2.0` |" in found.to_markdown()
    seen = found._repr_mimebundle_()
    assert (seen["text/plain"], seen["text/markdown"]) == (str(found), found.to_markdown())
    assert seen["text/html"].count("<figure") == 1
    assert "0.9 to 0.95 in 3 versions, 0.93" in seen["text/html"]


def test_a_line_marks_each_alias_and_leaves_gaps(vault):
    for number, metrics in enumerate([{"auc": 1}, {}, {"auc": 1}]):
        vault.publish("m", number, bump="minor", metrics=metrics)
    vault.promote("m@prod", "1.0.0", reason="r")
    vault.promote("m@next", "1.2.0", reason="r")
    assert [line.strip() for line in str(vault.compare("m", "auc")).splitlines()[-3:]] == [
        "▅·▅  1 to 1",
        "│ └ 1.2.0 next",
        "└ 1.0.0 prod",
    ]


def test_a_metric_that_nobody_has_is_an_error(vault, pair):
    with pytest.raises(InvalidInput) as caught:
        vault.compare("m", "nope")
    assert "auc, loss, x" in caught.value.hint
    with pytest.raises(NotFound):
        vault.compare("q")


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=80))
def test_a_line_has_a_bar_for_each_value(values):
    from modelvault.comparison import Compared, Comparison

    rows = [Compared(f"1.{at}.0", datetime(2026, 1, 1), {"m": value}, ()) for at, value in enumerate(values)]  # noqa: DTZ001
    text = str(Comparison("m", ("m",), tuple(rows)))
    bars = text.splitlines()[-1].split()[0]
    assert len(bars) == min(len(values), 60)
    assert set(bars) <= set("▁▂▃▄▅▆▇█")


# --- card


def front(text):
    _, matter, body = text.split("---\n", 2)
    return yaml.safe_load(matter), body


def test_a_card_has_front_matter_and_what_is_recorded(vault, pair):
    data, body = front(pair[0].card())
    assert data["metrics"] == ["auc", "loss", "x"]
    assert data["tags"] == ["modelvault"]
    assert data["modelvault"] == {"ref": "m:1.0.0", "digest": pair[0].digest}
    [result] = data["model-index"][0]["results"]
    assert result["metrics"][0] == {"type": "auc", "name": "auc", "value": 0.9}
    assert "# m 1.0.0" in body
    assert "| `auc` | `0.9` |" in body


def test_the_newest_text_counts_and_its_front_matter_is_taken_over(vault, pair):
    vault.note("m:1.0.0", "first", kind="card")
    vault.note(
        "m:1.0.0",
        "---\nlicense: apache-2.0\nlanguage: [en, de]\ntags:\n- tabular\n- 'a: b'\ndatasets:\n  - x/y\nodd: {}\n---\n# Mine\n\n*text*",
        kind="card",
    )
    data, body = front(vault.card("m:1.0.0"))
    assert (data["license"], data["language"], data["datasets"]) == ("apache-2.0", ["en", "de"], ["x/y"])
    assert data["tags"] == ["tabular", "a: b", "modelvault"]
    assert "odd" not in data
    assert "# Mine\n\n*text*" in body
    assert "first" not in body
    assert "# m 1.0.0" not in body


def test_what_was_found_later_stands_on_the_card(vault, pair):
    vault.note("m:1.0.0", "wrong for new shops", kind="issue", metrics={"recall": 0.4}, actor="bob")
    vault.yank("m:1.0.0", reason="leaks")
    text = vault.card("m:1.0.0")
    assert "`bob`: `wrong for new shops`, `recall = 0.4`" in text
    assert "**Yanked**" in text
    vault.unyank("m:1.0.0", reason="no")
    assert "**Yanked**" not in vault.card("m:1.0.0")


NASTY = st.one_of(
    st.just(EVIL), st.text(), st.sampled_from(["---", "yes", "null", "1e5", "# x", "- a", "&a *a !!x", "'", '"', "\\"])
)


@given(
    NASTY,
    NASTY,
    st.dictionaries(
        NASTY.filter(lambda name: len(name) < 50), st.floats(allow_nan=False, allow_infinity=False), max_size=3
    ),
    NASTY,
)
def test_nothing_breaks_out_of_the_front_matter(notes, text, metrics, member):
    from modelvault.errors import shown

    version = EXEMPLAR
    manifest = version.manifest.model_copy(update={"notes": notes, "metrics": metrics})
    said = f"---\nlicense: {member}\ntags: [{member}]\n---\n{text}"
    note = record(
        Note, model="m", version="1.0.0", seq=1, txn="0" * 32, kind="card", text=said, actor="x", at=version.created
    )
    for given_notes in ([], [note]):
        made = card(manifest, version.claim, given_notes)
        lines = made.split("\n")
        data = yaml.safe_load("\n".join(lines[1 : lines.index("---", 1)]))
        assert data["modelvault"]["ref"] == "m:1.0.0"
        assert data.get("metrics", []) == [shown(name, 10**9) for name in metrics]
        values = [one["value"] for one in data["model-index"][0]["results"][0]["metrics"]] if metrics else []
        assert values == list(metrics.values())
        assert set(data) <= {"license", "tags", "metrics", "model-index", "modelvault", "library_name", "datasets"}
        assert all(line.isprintable() for line in lines)


EXEMPLAR = Vault(MemoryStore()).publish("m", 1)


@given(st.text())
def test_any_text_splits_into_front_matter_and_the_rest(text):
    found, body = split(text)
    assert found == {} or body in text.replace("\r\n", "\n")


def test_hugging_face_reads_the_card(vault, pair, tmp_path):
    hub = pytest.importorskip("huggingface_hub")
    vault.note("m:1.0.0", "---\nlicense: mit\n---\nText.", kind="card")
    path = tmp_path / "README.md"
    path.write_text(vault.card("m:1.0.0"), encoding="utf-8")
    loaded = hub.ModelCard.load(path)
    assert loaded.data.license == "mit"
    assert [(one.metric_type, one.metric_value) for one in loaded.data.eval_results] == [
        ("auc", 0.9),
        ("loss", 1.0),
        ("x", 1.0),
    ]
    assert hub.metadata_load(path)["tags"] == ["modelvault"]
