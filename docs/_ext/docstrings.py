"""Sections `Args:` and `Raises:` of docstrings as field lists, and short names of types as links."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

_FIELDS = {"Args:": "param", "Raises:": "raises"}
_ITEM = re.compile(r"    (\w+): (.*)")


def fields(lines: list[str]) -> list[str]:
    """`lines`, where each item of a section has become a field."""
    made, field = [], ""
    for line in lines:
        item = _ITEM.fullmatch(line) if field else None
        if line in _FIELDS:
            field = _FIELDS[line]
        elif item:
            made.append(f":{field} {item[1]}: {item[2]}")
        else:
            made.append(line)
    return made


def _process(_app: Sphinx, _what: str, _name: str, _obj: object, _options: object, lines: list[str]) -> None:
    lines[:] = fields(lines)


def _resolve(app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: nodes.Element) -> nodes.Node | None:
    """Names that are imported for type checkers alone, or defined elsewhere than they are documented."""
    if node.get("refdomain") != "py":
        return None
    short = node["reftarget"].rpartition(".")[2]
    found = [name for name in env.domains["py"].objects if name.rpartition(".")[2] == short]  # type: ignore[attr-defined]
    if len(found) != 1:
        return None
    return env.domains["py"].resolve_xref(env, node["refdoc"], app.builder, "obj", found[0], node, contnode)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("autodoc-process-docstring", _process)
    app.connect("missing-reference", _resolve)
    return {"parallel_read_safe": True, "version": "1"}
