"""Names and notes that would do harm if they were markup, and a reader of markup that tells what it found."""

from html.parser import HTMLParser

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)//",
    "<img src=x onerror=alert(1)>",
    "'\"><svg/onload=alert(1)>",
    '" onmouseover="alert(1)',
    "</title></textarea></style><iframe src=javascript:alert(1)>",
    "<!-- --><![CDATA[ ]]>",
    "&lt;script&gt;&#60;script&#62;",
    "\x1b[2J\x1b]0;owned\x07\x9b31m",
    "a\u202egnp.exe\u2066\u2069\u200f",
    "a\r\nb\x00c\u2028d\ud800e",
    "javascript:alert(1)",
    "{{7*7}} ${7*7} `x`",
    "\ufeff\u200b\u00ad\U000e0041",
    "x" * 1_000_000,
]

TAGS = {
    "a", "b", "blockquote", "body", "br", "circle", "code", "dd", "details", "div", "dl", "dt", "em", "figcaption", "figure",
    "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "head", "hr", "header", "html", "input", "label", "li", "link", "main", "meta", "nav", "ol", "p", "path",
    "polyline", "pre", "script", "section", "strong", "summary", "svg", "table", "tbody", "td", "text", "th", "thead", "title", "tr", "ul",
}  # fmt: skip
ATTRIBUTES = {
    "aria-current", "aria-hidden", "aria-label", "aria-live", "autocomplete", "charset", "class", "content", "cx", "cy",
    "d", "data-root", "defer", "fill", "font-family", "font-size", "for", "height", "hidden", "href", "http-equiv", "id",
    "lang", "name", "opacity", "points", "r", "rel", "role", "scope", "src", "stroke", "stroke-opacity", "stroke-width",
    "style", "tabindex", "text-anchor", "transform", "type", "viewbox", "width", "x", "y",
}  # fmt: skip
VOID = {"br", "hr", "input", "link", "meta"}


class Seen(HTMLParser):
    """The elements, attributes and text of markup; it must be closed as it was opened."""

    def __init__(self, markup):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.values, self.links, self.ids, self.text = set(), set(), [], [], [], ""
        self._open = []
        self.feed(markup)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        for name, value in attributes:
            self.attributes.add((tag, name))
            self.values.append(value)
            if name in {"href", "src"} and value != "data:,":
                self.links.append(value)
            if name == "id":
                self.ids.append(value)
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def handle_comment(self, data):
        raise AssertionError(data)

    def handle_pi(self, data):
        raise AssertionError(data)

    def unknown_decl(self, data):
        raise AssertionError(data)


def check(markup):
    """The markup, read, if it has nothing in it that is not ours."""
    seen = Seen(markup)
    assert seen.tags <= TAGS
    assert {name for _, name in seen.attributes} <= ATTRIBUTES
    assert all(value.isprintable() for value in seen.values)
    assert all(one.isprintable() or one == "\n" for one in seen.text)
    return seen
