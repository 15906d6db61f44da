"""Pictures tell the same as the tables beside them: each event once, each kind by a shape of its own."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelvault.display import drawn, figures, svg
from modelvault.display.html import INLINE, PAGE
from modelvault.display.records import history_table, version_table
from modelvault.display.svg import Point
from modelvault.display.text import PLAIN, Style, rendered

from .hostile import HOSTILE, check
from .made import move, note

NUMBERS = st.sampled_from(["1.0.0", "1.1.0", "2.0.0", "2.0.0-rc.1", None])
MOVES = [
    move(4, "1.0.0", "rollback", reason="latency"), move(3, "2.0.0"), move(2, "1.0.0", days=2), move(1, "1.1.0")
]  # fmt: skip


def titles(markup):
    return re.findall(r"<title>([^<]*)</title>", markup)


def test_each_move_has_a_mark_that_says_what_when_who_and_why():
    shown = svg.events(MOVES)
    found = titles(svg.timeline(shown, "l").markup)
    assert found[0] == "promote 1.1.0, 2026-11-24 07:49Z, ana: why"
    assert found[-1] == "rollback 1.0.0, 2026-11-27 07:49Z, ana: latency"
    assert len(found) == 4


def test_kinds_differ_in_shape_and_not_in_colour():
    shapes = {
        kind: svg._mark(kind, "t", 0, 0).markup
        for kind in ["promote", "rollback", "retire", "drill", "failed drill", "quarantine"]
    }
    assert len({re.search(r' d="([^"]*)"', markup)[1] for markup in shapes.values()}) == 6
    markup = svg.timeline(svg.events(MOVES), "l").markup
    assert set(re.findall(r'(?:fill|stroke)="([^"]*)"', markup)) == {"currentColor", "none"}


def test_notes_on_the_versions_of_an_alias_stand_among_its_moves():
    notes = [note(1, "2.0.0", "drill", days=3), note(1, "9.0.0", "drill"), note(2, "2.0.0", "remark")]
    kinds = [one.kind for one in svg.events(MOVES, notes)]
    assert kinds == ["promote", "promote", "promote", "drill", "rollback"]


def test_a_drill_that_failed_is_told_from_one_that_passed():
    passed = note(1, "2.0.0", "drill", days=3)
    failed = passed.model_copy(update={"evidence": {"passed": False}})
    assert passed.model_copy(update={"evidence": {"passed": True}}).kind == "drill"
    for one, kind in (passed, "drill"), (failed, "failed drill"):
        made = svg.events(MOVES, [one])
        assert [title for title in titles(svg.timeline(made, "l").markup) if title.startswith(f"{kind} 2.0.0")]
        assert f" {kind}  " in svg.legend(made).markup


def test_a_rollback_goes_back_to_the_lane_where_the_alias_was():
    markup = svg.timeline(svg.events(MOVES), "l").markup
    heights = [int(y) for y in re.findall(r"translate\(\d+ (\d+)\)", markup)]
    assert heights[1] == heights[3]
    assert heights[2] < heights[0] < heights[1]  # 2.0.0 stands above 1.1.0, and that above 1.0.0


def test_a_long_history_is_cut_to_the_newest():
    moves = [move(seq, f"1.{seq % 7}.0") for seq in range(500, 0, -1)]
    shown = svg.events(moves)
    assert [one.seq for one in shown] == [*range(461, 501)]
    assert len(figures.history(moves, (), INLINE).markup) < 20_000


@pytest.mark.parametrize("text", HOSTILE)
def test_a_title_is_text(text):
    text = text.replace("\ud800", "")  # what no record can hold
    moves = [move(2, None, "retire"), move(1, "1.0.0", reason=text[:60_000], actor=text[:200])]
    seen = check(figures.history(moves, (), PAGE).markup)
    assert "alert(1)" not in "".join(seen.links)
    assert "script" not in seen.tags


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=30))
def test_any_finite_values_make_a_line_within_its_picture(values):
    markup = svg.line([Point(f"1.{at}.0", value) for at, value in enumerate(values)], "l").markup
    [points] = re.findall(r'points="([^"]*)"', markup)
    places = [tuple(map(float, each.split(","))) for each in points.split()]
    assert len(places) == len(values)
    assert all(0 <= x <= 280 and 0 <= y <= 90 for x, y in places)
    assert places[values.index(max(values))][1] == min(y for _, y in places)


def test_a_line_of_ten_thousand_values_keeps_its_peaks_and_what_is_marked():
    values = [0.5] * 10_000
    values[4_321], values[7_000] = 2.0, -1.0
    points = [Point(f"1.{at}.0", value, at == 5_555) for at, value in enumerate(values)]
    kept = svg._thinned(points)
    assert {points[4_321], points[7_000], points[5_555]} <= {*kept}
    markup = svg.line(points, "l").markup
    assert len(markup) < 20_000
    assert titles(markup) == ["1.5555.0: 0.5"]


def test_a_metric_of_one_version_makes_no_line():
    assert figures.metrics([figures.Measured("1.0.0", {"auc": 1.0})], ["auc"], (), PAGE).markup == ""
    assert figures.metrics([], ["auc"], (), PAGE).markup == ""


def test_a_terminal_shows_where_the_alias_was_and_a_pipe_does_not():
    view = history_table(MOVES)
    printed = rendered(view, Style(80)).split("\n")
    assert printed[:5] == [
        "2.0.0      ●─╮",
        "1.1.0  ●─╮ │ │",
        "1.0.0    ●─╯ ◀─",
        "● promote  ◀ rollback",
        "",
    ]
    assert rendered(view, PLAIN) == "\n".join(printed[5:])


def test_a_picture_of_a_long_history_is_no_wider_than_the_terminal():
    moves = [move(seq, f"{seq}.0.0") for seq in range(300, 0, -1)]
    for width in (1, 20, 40, 80, 200):
        drawn_lines = drawn.lanes(moves)(width)
        assert len(drawn_lines) <= 14
        assert max(map(len, drawn_lines[:-2])) <= max(width, 30)


@given(st.lists(NUMBERS, min_size=1, max_size=30), st.integers(0, 100))
def test_a_picture_has_a_sign_for_each_move_that_it_shows(numbers, width):
    moves = [move(seq, number, "promote" if number else "retire") for seq, number in reversed([*enumerate(numbers, 1)])]
    *lines, legend, _ = drawn.lanes(moves)(width)
    assert sum(line.count(sign) for line in lines for sign in "●✕") == min(len(numbers), max((width - 23) // 2, 1))
    assert legend


def test_a_terminal_shows_metrics_from_version_to_version():
    from ..unit.test_display import published

    versions = [published(f"1.{n}.0", metrics={"auc": n / 10, "b\x1b": 1.0}) for n in (3, 2, 1)]
    printed = rendered(version_table(versions, {}), Style(200)).split("\n")
    assert printed[:3] == ["auc    ▁▅█  0.1 → 0.3", "b\\x1b  ▄▄▄  1 → 1", ""]
    assert "▁" not in rendered(version_table(versions, {}), PLAIN)
