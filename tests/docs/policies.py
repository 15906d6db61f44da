"""The JSON of the how-to pages of stores, by what the page says it is."""

import json
import re
from pathlib import Path

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"
STORES = ["s3", "gcs", "azure", "sftp", "read-only-stores"]
_JSON = re.compile(r"<!-- not run: (?P<title>[^\n]*) -->\n```json\n(?P<text>.*?)^```", re.DOTALL | re.MULTILINE)


def documents(page):
    """The documents of a page, by their titles."""
    text = (HOW_TO / f"{page}.md").read_text(encoding="utf-8")
    return {found["title"]: json.loads(found["text"]) for found in _JSON.finditer(text)}


def fences(page):
    """How many there are to be found."""
    return (HOW_TO / f"{page}.md").read_text(encoding="utf-8").count("```json")
