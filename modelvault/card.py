"""The model card of a version: Markdown, with front matter as Hugging Face reads it.

The front matter is YAML in which every text is a double-quoted scalar on one line, so that nothing in it means anything to
YAML.  What a publisher wrote in Markdown stays Markdown, below the front matter and what was found out later; all else is
code.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modelvault.errors import shown
from modelvault.markdown import code, prose, table
from modelvault.marks import standing
from modelvault.wire import Claim, Manifest, Note, SignatureRecord

__all__ = ["card", "split"]

_LISTS = {"base_model", "datasets", "language", "tags"}
_TEXTS = {"library_name", "license", "license_link", "license_name", "pipeline_tag", "thumbnail"}
"""What a text may say in front matter of its own."""

_LIBRARIES = {"torch": "pytorch"}
_PACKAGE = re.compile(r"([a-z][a-z0-9_]{0,40})\.", re.ASCII)
_DATASET = re.compile(r"hf://datasets/([\w.-]+/[\w.-]+)(?:[@/].*)?", re.ASCII | re.DOTALL)
_MEMBER = re.compile(r"([a-z_]+): *(.*)", re.ASCII)
_ITEM = re.compile(r" *- +(.+)")


def card(manifest: Manifest, claim: Claim, notes: Sequence[Note]) -> str:
    """The card of a version, on which these are the notes, newest first."""
    text = next((note.text for note in notes if note.kind == "card"), manifest.notes)
    said, body = split(text)
    front = _front(manifest, claim, said)
    lines = ["---", *_yaml(front), "---", "", *_status(notes), *_issues(notes)]
    if not body.startswith("# "):
        lines += [f"# {manifest.model} {manifest.version}", ""]
    lines += [prose(body), ""] if body else []
    for title, section in _sections(manifest, claim):
        lines += ["", f"## {title}", "", *section] if section else []
    return "\n".join(lines).rstrip("\n") + "\n"


def split(text: str) -> tuple[dict[str, Any], str]:
    """The front matter of a text, as far as a card takes it over, and the rest; all of it is the rest if there is none.

    That is texts and lists of texts, each on a line, in quotes or not; no other YAML is read.
    """
    lines = text.strip().replace("\r\n", "\n").split("\n")
    if lines[0].rstrip() != "---" or "---" not in lines[1:]:
        return {}, text.strip()
    end = lines.index("---", 1)
    found: dict[str, Any] = {}
    member = ""
    for line in lines[1:end]:
        item, named = _ITEM.fullmatch(line), _MEMBER.fullmatch(line)
        if named:
            member = named[1]
            if member in _LISTS | _TEXTS and named[2].strip():
                found[member] = _listed(named[2].strip())
        elif item and member in _LISTS:
            found[member] = [*found.get(member, ()), _plain(item[1])]
    return {name: _as(name, value) for name, value in found.items()}, "\n".join(lines[end + 1 :]).strip()


def _listed(text: str) -> list[str]:
    inner = text[1:-1].split(",") if text.startswith("[") and text.endswith("]") else [text]
    return [plain for each in inner if (plain := _plain(each))]


def _plain(text: str) -> str:
    return text.strip().strip("\"'")


def _as(name: str, values: list[str]) -> str | list[str]:
    return values if name in _LISTS else ", ".join(values)


def _front(manifest: Manifest, claim: Claim, said: Mapping[str, Any]) -> dict[str, Any]:
    algorithm = manifest.provenance.algorithm if manifest.provenance else None
    package = _PACKAGE.match(algorithm.name) if algorithm else None
    library = _LIBRARIES.get(package[1], package[1]) if package else None
    found = [match[1] for ref in manifest.data if (match := _DATASET.fullmatch(ref.uri))]
    made = {
        **said,
        "library_name": said.get("library_name", library),
        "tags": [*dict.fromkeys([*said.get("tags", ()), "modelvault"])],
        "datasets": [*dict.fromkeys([*said.get("datasets", ()), *found])],
        "metrics": [*manifest.metrics],
        "model-index": _index(manifest) if manifest.metrics else [],
        "modelvault": {"ref": f"{manifest.model}:{manifest.version}", "digest": claim.target.digest},
    }
    return {name: value for name, value in made.items() if value}


def _index(manifest: Manifest) -> list[dict[str, Any]]:
    """The metrics, as the hub lists them.  It wants a task and a dataset: what they were is not recorded."""
    unknown = {"type": "other", "name": "not recorded"}
    metrics = [{"type": name, "name": name, "value": value} for name, value in manifest.metrics.items()]
    results = [{"task": unknown, "dataset": unknown, "metrics": metrics}]
    return [{"name": manifest.model, "results": results}]


def _yaml(value: Any, indent: str = "") -> Iterator[str]:
    """The lines of a mapping or a list, in block style."""
    entries = (
        [(f"{name}:", one) for name, one in value.items()] if isinstance(value, dict) else [("-", e) for e in value]
    )
    for label, one in entries:
        if not isinstance(one, dict | list):
            yield f"{indent}{label} {_scalar(one)}"
        elif label == "-":
            first, *rest = _yaml(one, f"{indent}  ")
            yield from (f"{indent}- {first.lstrip(' ')}", *rest)
        else:
            yield f"{indent}{label}"
            yield from _yaml(one, f"{indent}  ")


def _scalar(value: str | float) -> str:
    if isinstance(value, str):
        return json.dumps(shown(value, sys.maxsize), ensure_ascii=False)
    text = repr(value)  # YAML wants a point in what has an exponent
    return text.replace("e", ".0e") if "e" in text and "." not in text and math.isfinite(value) else text


def _status(notes: Sequence[Note]) -> Iterator[str]:
    words = {"yank": "Yanked", "quarantine": "In quarantine"}
    for kind, note in standing(notes).items():
        yield from (f"> **{words[kind]}** since {note.at:%Y-%m-%d}, by {code(note.actor)}: {code(note.text)}", "")


def _issues(notes: Sequence[Note]) -> Iterator[str]:
    issues = [note for note in notes if note.kind == "issue"]
    if issues:
        yield from ("## Issues found later", "")
        yield from (f"- {note.at:%Y-%m-%d}, {code(note.actor)}: {code(note.text)}{_with(note)}" for note in issues)
        yield ""


def _with(note: Note) -> str:
    return "".join(f", {code(f'{name} = {value:.6g}')}" for name, value in note.metrics.items())


def _sections(manifest: Manifest, claim: Claim) -> Iterator[tuple[str, list[str]]]:
    yield (
        "Version",
        [
            f"- {code(f'{manifest.model}:{manifest.version}')}, {code(claim.target.digest)}",
            f"- published {claim.created:%Y-%m-%d %H:%M:%S} UTC by {code(claim.actor)}",
            f"- format {code(manifest.format)}, {len(manifest.files)} file{'s' * (len(manifest.files) != 1)}, {manifest.size:,} bytes",
        ],
    )
    yield "Metrics", _pairs(("metric", "value"), {name: f"{value:.6g}" for name, value in manifest.metrics.items()})
    yield "Inputs", _fields(manifest.signature, "inputs")
    yield "Outputs", _fields(manifest.signature, "outputs")
    rows = [(code(ref.uri), code(ref.digest or ref.etag or ref.how)) for ref in manifest.data]
    yield "Training data", table(("data", "fingerprint"), rows) if rows else []
    yield "Parameters", _pairs(("parameter", "value"), manifest.params)
    yield "Origin", [*_origin(manifest)]


def _pairs(head: tuple[str, str], values: Mapping[str, object]) -> list[str]:
    return table(head, [(code(name), code(value)) for name, value in values.items()]) if values else []


def _fields(signature: SignatureRecord | None, side: str) -> list[str]:
    fields = getattr(signature, side, None)
    if not fields:
        return []
    from modelvault.signature import field_words

    words = [field_words(field) for field in fields]
    return table(("name", "type", ""), [(code(name), code(kind), code(", ".join(rest))) for name, kind, *rest in words])


def _origin(manifest: Manifest) -> Iterator[str]:
    provenance = manifest.provenance
    if provenance and provenance.git:
        git = provenance.git
        changed = " and changes that are not committed" if git.dirty else ""
        yield f"- commit {code(git.commit)}{changed}" + (f" of {code(git.remote)}" if git.remote else "")
    if provenance and provenance.algorithm:
        yield f"- algorithm {code(provenance.algorithm.name)}"
    found = manifest.environment
    if found:
        yield f"- {code(f'{found.implementation} {found.python}')} on {code(found.platform)}"
        yield from (f"- {code(f'{name} {version}')}" for name, version in found.packages.items())
