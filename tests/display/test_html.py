"""Whatever was stored, markup is what was built here: known elements and attributes, and text that is printable."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelvault.display import html
from modelvault.display.html import INLINE, PAGE, Html, card, element, joined, table, text
from modelvault.display.text import Card, Table

from .hostile import HOSTILE, Seen

TEXTS = st.text(max_size=40) | st.sampled_from(HOSTILE)


@given(TEXTS, TEXTS)
def test_text_stays_text_between_tags_and_in_quotes(inner, quoted):
    seen = Seen(element("p", inner, title=quoted).markup)
    assert seen.tags == {"p"}
    assert seen.attributes == {("p", "title")}
    assert seen.text.isprintable()
    assert all(value.isprintable() for value in seen.values)


@given(TEXTS)
def test_text_reads_as_it_is_printed_elsewhere(value):
    from modelvault.errors import shown

    assert Seen(element("p", value).markup).text == shown(value, 300)


def test_only_html_goes_in_as_it_is():
    assert element("p", "<b>", element("b", "&")).markup == "<p>&lt;b&gt;<b>&amp;</b></p>"
    assert joined(["<", Html("<br>")]).markup == "&lt;<br>"
    assert text("'\"").markup == "&#x27;&quot;"


def test_attributes_are_spelt_as_html_spells_them():
    made = element("td", "x", class_="cell", aria_label="a", colspan=2, id=None)
    assert made.markup == '<td class="cell" aria-label="a" colspan="2">x</td>'
    assert element("br").markup == "<br>"


@pytest.mark.parametrize("size", [10**6, 10**7])
def test_a_very_long_text_is_cut(size):
    assert len(element("p", "x" * size).markup) < 400
    assert len(html.lines("x\n" * size, 100).markup) < 400


def test_what_is_beyond_the_rows_is_counted():
    rows = [(str(number), "x") for number in range(262)]
    made = table(Table(("A", "B"), rows), PAGE).markup
    assert made.count("<tr>") == 51
    assert "… and 212 more" in made
    assert "more" not in table(Table(("A", "B"), rows[:50]), PAGE).markup


def test_a_card_is_cut_below_each_label():
    made = card(Card("t", [("one", [("a", 1)] * 60), ("two", ["x"]), ("none", [])]), INLINE).markup
    assert "… and 10 more" in made
    assert (made.count("<dt"), made.count("<tr")) == (2, 50)


def test_a_table_without_rows_says_what_that_means():
    assert Seen(table(Table((), (), empty="there is <nothing>"), PAGE).markup).text == "there is <nothing>"


@pytest.mark.parametrize("name", sorted(html._STYLES))
def test_inline_styles_have_no_colours_of_their_own_and_load_nothing(name):
    style = INLINE(name)["style"]
    assert not re.search(r"#|rgb|url|import|expression|white[;\"]|black", style)
