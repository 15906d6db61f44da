"""What differs between two versions.  Pure: two manifests in, a value out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from modelvault.errors import shown
from modelvault.wire import Manifest

__all__ = ["Change", "Diff", "compare"]


class Change(NamedTuple):
    """One difference: `old` or `new` is None where the one or the other has nothing there."""

    section: str
    name: str
    old: object
    new: object


@dataclass(frozen=True, slots=True)
class Diff:
    """The differences between the versions `old` and `new`, and nothing else.  Prints as a table."""

    old: str
    new: str
    changes: tuple[Change, ...]

    def __bool__(self) -> bool:
        return bool(self.changes)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        from modelvault.display import notebook

        return notebook.diff(self)

    def __str__(self) -> str:
        lines = [f"{self.old} → {self.new}" + ("" if self.changes else ": no difference")]
        lines += [f"  {one.section} {shown(one.name)}: {_side(one.old)} → {_side(one.new)}" for one in self.changes]
        return "\n".join(lines)


def compare(old: Manifest, new: Manifest) -> Diff:
    """All differences, by section, each section in order of names."""
    changes = [
        Change(section, name, left.get(name), right.get(name))
        for section, left, right in _sections(old, new)
        for name in sorted(left.keys() | right.keys())
        if left.get(name) != right.get(name)
    ]
    return Diff(f"{old.model}:{old.version}", f"{new.model}:{new.version}", tuple(changes))


def _sections(old: Manifest, new: Manifest) -> list[tuple[str, Mapping[str, object], Mapping[str, object]]]:
    return [
        ("metric", old.metrics, new.metrics),
        ("param", old.params, new.params),
        ("algorithm", _algorithm(old), _algorithm(new)),
        ("signature", _signature(old), _signature(new)),
        ("data", _data(old), _data(new)),
        ("file", _files(old), _files(new)),
        ("environment", _environment(old), _environment(new)),
        ("code", _code(old), _code(new)),
        (
            "text",
            {"format": old.format, "notes": old.notes or None},
            {"format": new.format, "notes": new.notes or None},
        ),
    ]


def _algorithm(manifest: Manifest) -> dict[str, object]:
    found = manifest.provenance.algorithm if manifest.provenance else None
    return dict(_leaves("", {"class": found.name, "params": found.params})) if found else {}


def _leaves(name: str, value: Any) -> Iterator[tuple[str, object]]:
    """The parameters in a tree of estimators, each by the names on the way to it."""
    match value:
        case {"class": kind, "params": dict(params), **rest} if not rest:
            yield name or "class", kind
            for param, member in params.items():
                yield from _leaves(f"{name}.{param}".lstrip("."), member)
        case [[str(), _, *_], *_] if all(
            isinstance(step, list) and step and isinstance(step[0], str) for step in value
        ):
            for step, *members in value:
                for member in members:
                    yield from _leaves(f"{name}.{step}", member)
        case _:
            yield name, value


def _signature(manifest: Manifest) -> dict[str, object]:
    found = manifest.signature
    if found is None:
        return {}
    from modelvault.signature import field_words

    sides = [("inputs", found.inputs), ("outputs", found.outputs)]
    said: dict[str, object] = {
        f"{side}.{one.name or at}": "  ".join(field_words(one)[1:])
        for side, fields in sides
        for at, one in enumerate(fields or ())
    }
    return said | {"inputs by": found.inputs_by, "outputs by": found.outputs_by, "extra": found.extra}


def _data(manifest: Manifest) -> dict[str, object]:
    return {ref.uri: ref.digest or ref.etag or ref.how for ref in manifest.data}


def _files(manifest: Manifest) -> dict[str, object]:
    return {file.path: f"{file.size:,} bytes, {file.digest[:19]}…" for file in manifest.files}


def _environment(manifest: Manifest) -> dict[str, object]:
    found = manifest.environment
    if found is None:
        return {}
    return {"python": f"{found.implementation} {found.python}", "platform": found.platform, **found.packages}


def _code(manifest: Manifest) -> dict[str, object]:
    git = manifest.provenance.git if manifest.provenance else None
    if git is None:
        return {}
    return {"commit": git.commit + (" and uncommitted changes" if git.dirty else ""), "remote": git.remote}


def _side(value: object) -> str:
    return "none" if value is None else shown(value)
