"""Write `v1/*.schema.json` from the records of `modelvault.wire`: run it when a record has changed.

A schema says less than the specification: not that parts add up, nor that paths are portable.  What breaks a schema is
wrong; what fits it need not be right.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from modelvault import reference, wire

FOLDER = Path(__file__).parent / "v1"
SEALED = {
    "vault": wire.VaultRecord,
    "claim": wire.Claim,
    "move": wire.Move,
    "note": wire.Note,
    "policy": wire.Policy,
}


def schemas() -> dict[str, str]:
    """The text of each schema, by the name of its file."""
    made = {name: _sealed(_schema(name, kind)) for name, kind in SEALED.items()}
    made["manifest"] = _schema("manifest", wire.Manifest)
    return {f"{name}.schema.json": json.dumps(schema, indent=2) + "\n" for name, schema in sorted(made.items())}


def _schema(name: str, kind: Any) -> dict[str, Any]:
    schema = _lean(kind.model_json_schema())
    record = schema["properties"]["record"]
    record.pop("default")
    schema["required"] = ["record", *schema["required"]]
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:modelvault:v1:{name}",
        "title": name,
    }
    return head | {member: value for member, value in schema.items() if member != "title"}


def _sealed(schema: dict[str, Any]) -> dict[str, Any]:
    schema["properties"]["~sha256"] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
    schema["required"].append("~sha256")
    return schema


def _lean(node: Any, name: str = "") -> Any:
    """Without the titles that pydantic makes up; with the patterns that it cannot see."""
    if isinstance(node, list):
        return [_lean(each) for each in node]
    if not isinstance(node, dict):
        return node
    members = {key: _lean(value, key) for key, value in node.items() if key != "title" or isinstance(value, dict)}
    if members.get("type") == "string":
        members |= _NAMED.get(name, {})
    return members


def _pattern(pattern: str) -> str:
    """A Python pattern that is to match all of a text, in ECMA's spelling."""
    return f"^(?:{pattern})$".replace(r"\Z", "$")


_NAME = {"pattern": _pattern(reference._NAME.pattern)}  # noqa: SLF001 - the schema states the rule, and must not restate it
_NAMED = {
    "model": _NAME,
    "alias": _NAME,
    "version": {"pattern": _pattern(reference._NUMBER.pattern), "maxLength": reference._NUMBER_LIMIT},  # noqa: SLF001
}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in schemas().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(f"wrote {FOLDER.name}/{name}")
