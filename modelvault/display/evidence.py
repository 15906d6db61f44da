"""Evidence against its bound, as bars: in characters, and as SVG.  The bound is a mark; what is beyond it stands out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modelvault.display.html import Html, element, text
from modelvault.display.text import Line

__all__ = ["bars", "picture"]

_CELLS, _BEYOND = 16, 4
_WIDTH, _PART, _ROW, _NAME, _LETTER = 220, 160, 22, 24, 7
_NOTHING = "no data"


def bars(guards: Sequence[Mapping[str, object]]) -> list[Line]:
    """A line for each guard: its name, a bar, figures.  `evidence` and `bound` are powers of ten."""
    return [(_name(each), _bar(each), _figures(each), str(each.get("state", ""))) for each in guards]


def picture(guards: Sequence[Mapping[str, object]]) -> Html:
    """A bar for each guard, as SVG."""
    if not guards:
        return Html("")
    left = _LETTER * min(max(len(_name(each)) for each in guards), _NAME) + 12
    rows = [_row(each, left, _ROW * at) for at, each in enumerate(guards)]
    height = _ROW * len(guards) + 4
    label = "; ".join(f"{_name(each)}: {_figures(each)}" for each in guards)
    mark = element("path", d=f"M{left + _PART} 0V{height}", stroke="currentColor", stroke_dasharray="3 2")
    return element(
        "svg",
        *rows,
        mark,
        role="img",
        aria_label=text(label, 2_000),
        width=left + _WIDTH + 10,
        height=height,
        viewBox=f"0 0 {left + _WIDTH + 10} {height}",
        font_size="12",
        font_family="system-ui,sans-serif",
        fill="currentColor",
    )


def _row(guard: Mapping[str, object], left: int, top: int) -> Html:
    part = _part(guard)
    width = round(min(part, _WIDTH / _PART) * _PART, 1)
    outline = element(
        "rect", x=left, y=top + 6, width=_PART, height=10, fill="none", stroke="currentColor", stroke_opacity="0.4"
    )
    bar = element(
        "rect",
        element("title", f"{_name(guard)}: {_figures(guard)}"),
        x=left,
        y=top + 6,
        width=width,
        height=10,
        fill="currentColor",
        fill_opacity="1" if part >= 1 else "0.55",
    )
    name = element("text", text(_name(guard), _NAME), x=left - 6, y=top + 15, text_anchor="end")
    return element("g", name, outline, bar)


def _bar(guard: Mapping[str, object]) -> str:
    filled = round(min(_part(guard), 1 + _BEYOND / _CELLS) * _CELLS)
    inside = "█" * min(filled, _CELLS) + "·" * (_CELLS - min(filled, _CELLS))
    return f"{inside}│{'█' * max(filled - _CELLS, 0)}"


def _part(guard: Mapping[str, object]) -> float:
    """How far the evidence is on its way to the bound; none where it speaks for the model."""
    evidence, bound = guard.get("evidence"), guard.get("bound")
    if not isinstance(evidence, int | float) or not isinstance(bound, int | float) or bound <= 0:
        return 0.0
    return max(evidence, 0.0) / bound


def _figures(guard: Mapping[str, object]) -> str:
    evidence, bound, n, bad = (guard.get(name) for name in ("evidence", "bound", "n", "bad"))
    if not isinstance(evidence, int | float) or not isinstance(bound, int | float):
        return _NOTHING
    counted = f", {bad:g} of {n:,}" if isinstance(n, int) and isinstance(bad, int | float) else ""
    return f"10^{evidence:.1f} of 10^{bound:.1f}{counted}"


def _name(guard: Mapping[str, object]) -> str:
    return str(guard.get("name", ""))
