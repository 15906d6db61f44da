"""What every page has around it: the head, the way back, the search, the policy that lets nothing else in."""

from __future__ import annotations

from modelvault.display.html import Html, element, joined

__all__ = ["section", "shell", "wide"]

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'"
)


def shell(title: str, root: str, *body: object, state: str = "") -> str:
    """A whole page.  `root` leads to the folder of ``index.html``: ``""``, ``"../"``; `state` is of when it tells."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("link", rel="icon", href="data:,"),  # else a browser asks a server for one
        element("link", rel="stylesheet", href=f"{root}style.css"),
        element("script", src=f"{root}data.js", defer=""),
        element("script", src=f"{root}search.js", defer=""),
    )
    search = element(
        "form",
        element("label", "Search ", element("input", type="search", id="query", autocomplete="off"), for_="query"),
        element("div", id="found", aria_live="polite"),
        role="search",
        hidden="",
    )
    header = element(
        "header", element("nav", element("a", "Models", href=f"{root}index.html"), aria_label="Site"), search
    )
    footer = element("footer", "Made by modelvault" + (f" of records up to {state}." if state else "."))
    skip = element("a", "Skip to the content", href="#main", class_="skip")
    main = element("main", element("h1", title), *body, id="main")
    whole = element("html", head, element("body", skip, header, main, footer), lang="en", data_root=root)
    return f"<!doctype html>\n{whole.markup}\n"


def section(title: str, *body: object) -> Html:
    """A part of a page, under a heading."""
    return element("section", element("h2", title), *body)


def wide(label: str, *body: object) -> Html:
    """What may be wider than the screen, and is scrolled by itself, with the keyboard, too."""
    return element("div", joined(body), class_="wide", tabindex=0, role="region", aria_label=label)
