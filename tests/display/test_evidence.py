"""Evidence against its bound, drawn."""

import pytest

from modelvault import Guard
from modelvault.display.evidence import bars, picture
from modelvault.display.notebook import live
from tests.serving.scene import Scene

SOME = {"name": "errors", "n": 300, "bad": 12, "evidence": 1.5, "bound": 3.0, "state": "watching"}


@pytest.mark.parametrize(
    ("evidence", "bar"),
    [
        (-4.0, "················│"),
        (1.5, "████████········│"),
        (3.0, "████████████████│"),
        (30.0, "████████████████│████"),
    ],
)
def test_a_bar_of_characters(evidence, bar):
    assert bars([SOME | {"evidence": evidence}]) == [
        ("errors", bar, f"10^{evidence:.1f} of 10^3.0, 12 of 300", "watching")
    ]


def test_what_has_no_data_has_no_bar():
    assert bars([{"name": "wrong", "state": "no baseline"}]) == [
        ("wrong", "················│", "no data", "no baseline")
    ]
    assert picture([]).markup == ""


def test_the_picture_says_what_it_shows_and_escapes_it():
    drawn = picture([SOME, SOME | {"name": "<script>", "evidence": 6.0}]).markup
    assert 'aria-label="errors: 10^1.5 of 10^3.0, 12 of 300; &lt;script&gt;: 10^6.0' in drawn
    assert "<script>" not in drawn
    assert drawn.count("<rect") == 4
    assert 'width="80.0"' in drawn


def test_a_status_and_an_explanation_show_it():
    scene = Scene(Guard.errors(limit=0.05), Guard.rate("wrong", limit="baseline+25%"))
    scene.calls(100, 3)
    scene.monitor.tick()
    shown = live({"ref": "m@prod", "version": "1.1.0", "guard": scene.monitor.status()})
    assert "wrong      ················│  no data" in shown["text/plain"]
    assert "3 of 100" in shown["text/plain"]
    assert "<svg" in shown["text/html"]
    scene.calls(60, 60)
    scene.monitor.tick()
    shown = scene.vault.explain("m@prod")._repr_mimebundle_()
    assert "the evidence holds" in shown["text/plain"]
    assert "<svg" in shown["text/html"]
    assert scene.vault.explain("m@prod", 1)._repr_mimebundle_()["text/html"]
