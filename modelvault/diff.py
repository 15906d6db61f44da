"""What differs between two versions.  Pure: what is recorded of them in, a value out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from modelvault.errors import shown
from modelvault.marks import about, standing
from modelvault.wire import File, Git, Manifest, Note

__all__ = ["Change", "Diff", "compare"]

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class Change(NamedTuple):
    """One difference: `old` or `new` is None where the one or the other has nothing there; both, where `detail` says it all.

    `verdict` says what it means, if that is known: of a metric ``better`` or ``worse``, of signatures and predictions the
    bump that they ask for; `detail` says more in words.
    """

    section: str
    name: str
    old: object
    new: object
    verdict: Literal["", "better", "worse", "major", "minor", "note", "unknown"] = ""
    detail: str = ""

    @property
    def meaning(self) -> str:
        """Verdict and detail: ``better: +0.004``."""
        return ": ".join(filter(None, (self.verdict, self.detail)))


@dataclass(frozen=True, slots=True)
class Diff:
    """The differences between the versions `old` and `new`, and nothing else.  Prints as a table.

    `issues` are those that were noted on either of them, newest first, changed or not; None if the store could not be
    asked.
    """

    old: str
    new: str
    changes: tuple[Change, ...]
    issues: tuple[Note, ...] | None = ()

    def __bool__(self) -> bool:
        return bool(self.changes)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        from modelvault.display import notebook

        return notebook.diff(self)

    def __str__(self) -> str:
        lines = [f"{self.old} → {self.new}" + ("" if self.changes else ": no difference")]
        for one in self.changes:
            sides, meaning = f"{_side(one.old)} → {_side(one.new)}", shown(one.meaning, _LONG)
            said = meaning if one.old is one.new is None else f"{sides}  ({meaning})" if meaning else sides
            lines.append(f"  {one.section} {shown(one.name)}: {said}")
        return "\n".join([*lines, *(f"  issue: {said}" for said in self._issues(shown))])

    def to_markdown(self) -> str:
        """The same for a pull request: nothing that was stored can become markup, a link or a mention."""
        from modelvault import markdown

        title = f"### {markdown.code(self.old)} → {markdown.code(self.new)}"
        lines = [title, "", *(self._rows() if self.changes else ["No difference."])]
        issues = [f"- {said}" for said in self._issues(markdown.code)]
        return "\n".join(lines + (["", "**Issues**", "", *issues] if issues else [])) + "\n"

    def _rows(self) -> list[str]:
        from modelvault import markdown

        sections = dict.fromkeys(one.section for one in self.changes)
        firsts = {id(next(one for one in self.changes if one.section == name)) for name in sections}
        rows = [
            (
                one.section if id(one) in firsts else "",
                *("" if side is None else markdown.code(side) for side in (one.name, one.old, one.new)),
                " ".join(filter(None, (_MARKS.get(one.verdict, ""), markdown.code(one.detail, _LONG)))),
            )
            for one in self.changes
        ]
        return markdown.table(("", "", "before", "after", ""), rows)

    def _issues(self, safe: Any) -> list[str]:
        if self.issues is None:
            return ["not known, for the store cannot be reached"]
        return [
            f"{note.model}:{note.version}, {note.at:%Y-%m-%d}, {safe(note.actor)}: {safe(note.text)}"
            for note in self.issues
        ]


_LONG = 500
_MARKS = {name: f"**{name}**" for name in ("better", "worse", "major", "minor")}


def compare(
    old: Manifest, new: Manifest, examples: tuple[bytes, bytes] | None = None, notes: Sequence[Note] | None = ()
) -> Diff:
    """All differences, by section, each section in order of names.

    Args:
        old: the version before.
        new: the version that is compared with it.
        examples: the files of recorded examples of both, if both have one.
        notes: on either of them, newest first; None if they are not known.
    """
    changes = [*_metrics(old, new), *_signature(old, new), *(_predictions(*examples) if examples else ())]
    for section, left, right in (*_sections(old, new), ("text", _marks(old, notes), _marks(new, notes))):
        changes += [
            Change(section, name, left.get(name), right.get(name))
            for name in sorted(left.keys() | right.keys())
            if left.get(name) != right.get(name)
        ]
    changes += [*_files(old.files, new.files), *_code(old, new)]
    issues = None if notes is None else tuple(note for note in notes if note.kind == "issue")
    ordered = sorted(changes, key=lambda one: _ORDER.index(one.section))
    return Diff(f"{old.model}:{old.version}", f"{new.model}:{new.version}", tuple(ordered), issues)


_ORDER = (
    "metric", "signature", "prediction", "param", "algorithm", "data", "code", "file", "environment", "text",
)  # fmt: skip


def _sections(old: Manifest, new: Manifest) -> list[tuple[str, Mapping[str, object], Mapping[str, object]]]:
    return [
        ("param", old.params, new.params),
        ("algorithm", _algorithm(old), _algorithm(new)),
        ("data", _data(old), _data(new)),
        ("environment", _environment(old), _environment(new)),
        ("text", _text(old), _text(new)),
    ]


def _metrics(old: Manifest, new: Manifest) -> Iterator[Change]:
    from modelvault.metrics import judged

    for name in sorted(old.metrics.keys() | new.metrics.keys()):
        before, after = old.metrics.get(name), new.metrics.get(name)
        if before is None or after is None:
            yield Change("metric", name, before, after)
        elif before != after:
            yield Change("metric", name, before, after, judged(name, before, after), f"{after - before:+.4g}")


def _signature(old: Manifest, new: Manifest) -> Iterator[Change]:
    """What has changed for callers; for who has no signature, that there is one."""
    if old.signature is None or new.signature is None:
        if old.signature is not new.signature:
            yield Change("signature", "", old.signature and "recorded", new.signature and "recorded")
        return
    from modelvault.signature.compat import changes, same

    if not same(old.signature, new.signature):
        for found in changes(old.signature, new.signature):
            yield Change("signature", found.path, found.old or None, found.new or None, found.level or "", found.reason)


def _predictions(old: bytes, new: bytes) -> Iterator[Change]:
    from modelvault.signature.predictions import shifts

    for one in shifts(old, new):
        if one.why:
            yield Change("prediction", one.output, None, None, "unknown", one.why)
            continue
        most = "" if one.largest is None else f", by at most {one.largest:.4g}"
        share = f"{one.differing} of {one.rows} rows differ ({one.differing / one.rows:.0%}){most}"
        yield Change("prediction", one.output, None, None, "minor", share)


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


def _data(manifest: Manifest) -> dict[str, object]:
    return {ref.uri: ref.digest or ref.etag or ref.how for ref in manifest.data}


def _files(old: Sequence[File], new: Sequence[File]) -> Iterator[Change]:
    """Of each file that is not the same: how much of it is in the other version's files, too."""
    known = {file.digest for file in old} | {part.digest for file in old for part in file.parts}
    before, after = {file.path: file for file in old}, {file.path: file for file in new}
    for path in sorted(before.keys() | after.keys()):
        left, right = before.get(path), after.get(path)
        if right is None:
            yield Change("file", path, _file(left), None)
        elif left is None or left.digest != right.digest:
            parts = (right,) if right.digest in known or not right.parts else right.parts
            shared = sum(part.size for part in parts if part.digest in known)
            detail = f"{right.size - shared:,} bytes new, {shared:,} shared"
            yield Change("file", path, _file(left), _file(right), detail=detail)


def _file(file: File | None) -> str | None:
    return None if file is None else f"{file.size:,} bytes, {file.digest[:19]}…"


def _environment(manifest: Manifest) -> dict[str, object]:
    found = manifest.environment
    if found is None:
        return {}
    return {"python": f"{found.implementation} {found.python}", "platform": found.platform, **found.packages}


def _text(manifest: Manifest) -> dict[str, object]:
    return {"format": manifest.format, "notes": manifest.notes or None}


def _marks(manifest: Manifest, notes: Sequence[Note] | None) -> dict[str, object]:
    """Why it is yanked or in quarantine, if it is: the newest word on it counts."""
    words = {"yank": "yanked", "quarantine": "quarantined"}
    own = sorted((one for one in notes or () if about(manifest, one)), key=lambda one: one.seq, reverse=True)
    return {words[kind]: note.text for kind, note in standing(own).items()}


def _code(old: Manifest, new: Manifest) -> Iterator[Change]:
    before, after = (one.provenance.git if one.provenance else None for one in (old, new))
    old_commit, new_commit = (_commit(one) if one else None for one in (before, after))
    if old_commit != new_commit:
        ends = [one.commit[:12] for one in (before, after) if one and _COMMIT.fullmatch(one.commit)]
        known = len(ends) == 2 and ends[0] != ends[1]
        yield Change("code", "commit", old_commit, new_commit, detail=f"git log {ends[0]}..{ends[1]}" if known else "")
    old_remote, new_remote = (one.remote if one else None for one in (before, after))
    if old_remote != new_remote:
        yield Change("code", "remote", old_remote, new_remote)


def _commit(git: Git) -> str:
    return git.commit + (" and uncommitted changes" if git.dirty else "")


def _side(value: object) -> str:
    return "none" if value is None else shown(value)
