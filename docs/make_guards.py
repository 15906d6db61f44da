"""Makes docs/pictures/guards.svg: the same traffic, watched by a guard and by rules of windows.  Prints the figures.

pip install . numpy; python docs/make_guards.py
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np

from modelvault.display.html import Html, element, joined
from tests.serving.traffic import NEVER, RULES, EProcess, chance

LIMIT, ALPHA, RUNS = 0.05, 0.001, 1_000
WIDTH, HEIGHT, LEFT, TOP = 420, 190, 46, 34
STROKES = {"guard": ("", 2.6), "failure limit of 3": ("7 3", 1.4), "threshold of 10": ("2 3", 1.4)} | {
    "three in a row": ("9 3 2 3", 1.4),
    "z-test, each request": ("", 0.9),
}


def fired(bad: np.ndarray) -> dict[str, np.ndarray]:
    """For each rule the request after which it fires, in each run."""
    guard = EProcess(LIMIT, ALPHA, bad.shape[1])
    return {"guard": guard(bad)} | {name: rule(bad, LIMIT) for name, rule in RULES.items()}


def panel(title: str, found: dict[str, np.ndarray], length: int, top: int) -> Html:
    """The share of runs that were rolled back, over the requests."""
    across, down = WIDTH - LEFT - 12, HEIGHT - 60
    lines = []
    for name, when in found.items():
        places = np.unique(np.linspace(1, length, 241).astype(int))
        share = [(when <= at).mean() for at in places]
        path = " ".join(
            f"{LEFT + at / length * across:.1f},{top + TOP + down * (1 - y):.1f}"
            for at, y in zip(places, share, strict=True)
        )
        dashes, width = STROKES[name]
        lines.append(
            element(
                "polyline",
                element("title", name),
                points=Html(path),
                stroke="currentColor",
                stroke_width=width,
                stroke_dasharray=dashes or None,
                fill="none",
            )
        )
    base = top + TOP + down
    ticks = [
        element("text", f"{length * part // 4:,}", x=LEFT + across * part // 4, y=base + 16, text_anchor="middle")
        for part in range(5)
    ]
    shares = [
        element("text", f"{share} %", x=LEFT - 6, y=base - down * share / 100 + 4, text_anchor="end")
        for share in (0, 50, 100)
    ]
    frame = f"M{LEFT} {top + TOP}V{base}H{LEFT + across}"
    head = element("text", title, x=LEFT, y=top + 20, font_weight="600")
    return joined([head, element("path", d=frame, stroke="currentColor", fill="none"), *ticks, *shares, *lines])


def legend(top: int) -> Html:
    """The lines, with their names."""
    made = []
    for at, (name, (dashes, width)) in enumerate(STROKES.items()):
        y = top + 34 + 22 * at
        line = element(
            "path",
            d=f"M{WIDTH + 10} {y - 4}h40",
            stroke="currentColor",
            stroke_width=width,
            stroke_dasharray=dashes or None,
        )
        made += [line, element("text", name, x=WIDTH + 58, y=y)]
    return joined(made)


def main() -> None:
    """Simulate, print, draw."""
    rng = np.random.default_rng(20)
    healthy = fired(rng.random((RUNS, 10_000)) < 0.04)
    limit = fired(rng.random((RUNS, 10_000)) < LIMIT)
    broken = fired(rng.random((RUNS, 2_000)) < 5 * LIMIT)
    print(f"{'rule':<22}{'4 %, 10,000':>14}{'5 %, 10,000':>14}{'25 %: median':>14}")
    for name in healthy:
        false, edge = ((found[name] < NEVER).mean() for found in (healthy, limit))
        print(f"{name:<22}{false:>14.1%}{edge:>14.1%}{np.median(broken[name]):>14,.0f}")
    for m in (0.01, 0.05, 0.3):
        print(f"at a limit of {m:g}, exactly: P(rolled back within 5,000) = {chance(m, m, ALPHA, 5_000):.2e}")
    for m in (0.01, 0.05, 0.1):
        for times in (1.5, 2, 3, 5, 10):
            when = EProcess(m, ALPHA, 20_000)(rng.random((400, 20_000)) < m * times)
            print(f"limit {m:g}, {times:g} times: median {np.median(when):,.0f}, 90 % by {np.quantile(when, 0.9):,.0f}")
    first = panel("Healthy: 4 % bad, 5 % allowed. Share of runs rolled back", healthy, 10_000, 0)
    second = panel("Broken: 25 % bad from the first request", broken, 1_000, HEIGHT)
    size = {"width": WIDTH + 220, "height": 2 * HEIGHT, "viewBox": f"0 0 {WIDTH + 220} {2 * HEIGHT}"}
    look = {"font_size": "12", "font_family": "system-ui,sans-serif", "fill": "currentColor", "style": "max-width:100%"}
    label = "Share of runs that each rule rolls back, over the requests: of a healthy service, and of a broken one"
    picture = element("svg", first, second, legend(0), role="img", aria_label=label, **size, **look)
    (ROOT / "docs" / "pictures" / "guards.svg").write_text(picture.markup + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
