"""Whether one contract can stand in for another: every rule in one table.  Pure: two signatures in, findings out.

What a model takes may only grow, what it answers with may only shrink.  **Major**: callers must change.  **Minor**: they
need not, and there is something new.  A change of type, of missing values, of a dimension or of categories counts for an
output as its opposite does for an input.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any, Final, Literal, NamedTuple

from modelvault.errors import shown
from modelvault.signature.dtypes import exact, step
from modelvault.wire import FieldRecord, SignatureRecord

__all__ = ["RULES", "Finding", "changes", "compare", "level", "same"]

Severity = Literal["major", "minor", "note", "unknown"]
Side = Literal["input", "output"]

RULES: Final[dict[str, tuple[Severity | None, Severity | None, str]]] = {
    "required field added": ("major", "minor", "is new, and required"),
    "optional field added": ("minor", "minor", "is new, and optional"),
    "field added, by position": ("major", "major", "is new, among fields that are known by their position"),
    "field removed": ("minor", "major", "is gone"),
    "field removed, nothing extra allowed": ("major", "major", "is gone, and what is not listed is refused"),
    "field removed, by position": ("major", "major", "is gone, among fields that are known by their position"),
    "field renamed": ("major", "major", "was called {old}"),
    "order of fields changed": ("major", "major", "stand in another order, and are known by their position"),
    "matched by name or position": ("major", "major", "are known by their {new}, no longer by their {old}"),
    "extra fields forbidden": ("major", None, "that are not listed are refused, no longer ignored"),
    "extra fields ignored": ("minor", None, "that are not listed are ignored, no longer refused"),
    "required to optional": ("minor", "major", "is optional now"),
    "optional to required": ("major", "minor", "is required now"),
    "type widened": ("minor", "major", "was {old}, is the wider {new}"),
    "type narrowed": ("major", "minor", "was {old}, is the narrower {new}"),
    "type changed": ("major", "major", "was {old}, is {new}"),
    "whole numbers rounded": ("note", None, "holds whole numbers exactly only up to {new}"),
    "missing values allowed": ("minor", "major", "may be missing now"),
    "missing values forbidden": ("major", "minor", "may not be missing any more"),
    "dimension freed": ("minor", "major", "had the shape {old}, has any {new}"),
    "dimension fixed": ("major", "minor", "had any shape {old}, must have {new}"),
    "dimension changed": ("major", "major", "had the shape {old}, has {new}"),
    "number of dimensions changed": ("major", "major", "had the shape {old}, has {new}"),
    "category added": ("minor", "major", "may be {new}, too"),
    "category removed": ("major", "minor", "may not be {old} any more"),
    "order of categories changed": (None, "major", "has its categories in another order: {old}, now {new}"),
    "range widened": ("note", "note", "was meant to be {old}, now {new}"),
    "range narrowed": ("note", "note", "was meant to be {old}, now {new}"),
    "predictions changed": (None, "minor", "gives other values on the recorded examples"),
    "not known": ("unknown", "unknown", "cannot be compared: {new}"),
}
"""By the name of a change: how much it matters for an input, for an output (None: it does not), and what is said of it."""

_FEW: Final = 5


class Finding(NamedTuple):
    """A difference between two contracts, and what it means for those who call the model; `old` and `new` are words."""

    rule: str
    side: Side
    name: str = ""
    old: str = ""
    new: str = ""

    @property
    def level(self) -> Severity | None:
        """How much it matters; None if not at all."""
        return RULES[self.rule][self.side == "output"]  # type: ignore[return-value] # neither is the sentence

    @property
    def path(self) -> str:
        """Of what: ``inputs.age``."""
        return f"{self.side}s.{self.name}" if self.name else f"{self.side}s"

    @property
    def reason(self) -> str:
        """A sentence."""
        subject = f"the {self.side} '{shown(self.name)}'" if self.name else f"the {self.side}"
        subject = f"the {self.side}s" if self.rule in _OF_ALL else subject
        return f"{subject} {RULES[self.rule][2].format(old=self.old, new=self.new)}"

    def __str__(self) -> str:
        return f"{self.level}: {self.reason}"


def compare(old: SignatureRecord, new: SignatureRecord) -> tuple[Finding, ...]:
    """What callers of `old` find changed when they are given `new`; nothing, for equal contracts."""
    return () if same(old, new) else tuple(found for found in changes(old, new) if found.level)


def level(findings: Iterable[Finding]) -> Literal["major", "minor", "patch"]:
    """How far the number must go up for these findings."""
    found = {finding.level for finding in findings}
    return "major" if "major" in found else "minor" if "minor" in found else "patch"


def same(old: SignatureRecord, new: SignatureRecord) -> bool:
    """They are one contract, whatever is said of what is not known."""
    if old is new:
        return True
    members = ("inputs_by", "outputs_by", "extra", "inputs", "outputs")
    return all(getattr(old, member) == getattr(new, member) for member in members) and not any(
        _recategorised(*pair)
        for side in ("inputs", "outputs")
        for pair in zip(getattr(old, side) or (), getattr(new, side) or (), strict=True)
    )


def changes(old: SignatureRecord, new: SignatureRecord) -> Iterator[Finding]:
    """All differences, inputs first; some do not matter."""
    if old.extra != new.extra:
        yield Finding("extra fields forbidden" if new.extra == "forbid" else "extra fields ignored", "input", "")
    gone = "field removed" if new.extra == "ignore" else "field removed, nothing extra allowed"
    yield from _side("input", old.inputs, new.inputs, (old.inputs_by, new.inputs_by), gone)
    yield from _side("output", old.outputs, new.outputs, (old.outputs_by, new.outputs_by), "field removed")


_OF_ALL: Final = {
    "order of fields changed", "matched by name or position", "extra fields forbidden", "extra fields ignored",
}  # fmt: skip

_MEMBERS: Final = tuple(name for name in FieldRecord.model_fields if name != "name")

_Fields = Sequence[FieldRecord]
_Pair = tuple[FieldRecord | None, FieldRecord | None]


def _side(side: Side, old: _Fields | None, new: _Fields | None, by: tuple[str, str], gone: str) -> Iterator[Finding]:
    if old is None and new is None:
        return
    if old is None or new is None:
        which = "before" if old is None else "now"
        yield Finding("not known", side, "", new=f"what they are is not known {which}")
        return
    if by[0] != by[1]:
        yield Finding("matched by name or position", side, "", *by)
    positional = by[0] == by[1] == "position"
    if positional and _reordered(old, new):
        yield Finding("order of fields changed", side, "")
        positional = False
    added = "field added, by position" if by[1] == "position" and side == "output" else None
    gone = "field removed, by position" if by[1] == "position" else gone
    for before, after in zip_longest(old, new) if positional else _paired(old, new):
        if before is None and after is not None:
            required = "required field added" if after.required else "optional field added"
            yield Finding(added or required, side, after.name)
        elif after is None and before is not None:
            yield Finding(gone, side, before.name)
        elif before is not None and after is not None and _differ(before, after):
            yield from _within(side, before, after)


def _differ(one: FieldRecord, other: FieldRecord) -> bool:
    if one is other:
        return False
    return one != other or _recategorised(one, other)


def _recategorised(one: FieldRecord, other: FieldRecord) -> bool:
    """Of two fields that compare as equal: True may be where 1 was."""
    return one.categories is not None and _typed(one.categories) != _typed(other.categories)


def _reordered(old: _Fields, new: _Fields) -> bool:
    """The same names, each once, in another order."""
    before, after = [field.name for field in old], [field.name for field in new]
    return before != after and len(set(before)) == len(before) and sorted(before) == sorted(after)


def _paired(old: _Fields, new: _Fields) -> Iterator[_Pair]:
    """Fields of one name; where at one place all but the name is the same, and neither name is there twice, those, too."""
    before, after = {field.name: field for field in old}, {field.name: field for field in new}
    renamed = {
        one.name: other.name
        for one, other in zip(old, new, strict=False)
        if one.name not in after and other.name not in before and _but_for_the_name(one, other)
    }
    for one in old:
        yield one, after.get(renamed.get(one.name, one.name))
    taken = set(renamed.values())
    for other in new:
        if other.name not in before and other.name not in taken:
            yield None, other


def _but_for_the_name(one: FieldRecord, other: FieldRecord) -> bool:
    return all(getattr(one, member) == getattr(other, member) for member in _MEMBERS)


def _within(side: Side, old: FieldRecord, new: FieldRecord) -> Iterator[Finding]:
    """What differs between two fields that answer to each other."""
    name = new.name
    if old.name and new.name and old.name != new.name:
        yield Finding("field renamed", side, name, f"'{shown(old.name)}'")
    if old.required != new.required:
        yield Finding("optional to required" if new.required else "required to optional", side, name)
    if old.dtype != new.dtype:
        yield from _dtype(side, name, old.dtype, new.dtype)
    if old.nullable != new.nullable:
        yield Finding("missing values allowed" if new.nullable else "missing values forbidden", side, name)
    if old.shape != new.shape:
        yield from _shape(side, name, old.shape, new.shape)
    if old.categories != new.categories or _typed(old.categories) != _typed(new.categories):
        yield from _categories(side, name, old.categories, new.categories)
    if (old.low, old.high) != (new.low, new.high):
        wider = _inside(old, new)
        yield Finding("range widened" if wider else "range narrowed", side, name, _range(old), _range(new))


def _dtype(side: Side, name: str, old: str | None, new: str | None) -> Iterator[Finding]:
    if old is None or new is None:
        which = "before" if old is None else "now"
        yield Finding("not known", side, name, new=f"its type is not known {which}")
        return
    change = step(old, new)
    yield Finding(f"type {change}", side, name, shown(old), shown(new))
    bits = exact(old, new) if change == "widened" else None
    if bits:
        yield Finding("whole numbers rounded", side, name, new=f"2^{bits}")


_Shape = tuple[int | None, ...]


def _shape(side: Side, name: str, old: _Shape | None, new: _Shape | None) -> Iterator[Finding]:
    words = side, name, _shape_text(old), _shape_text(new)
    if old is None or new is None:
        yield Finding("dimension freed" if new is None else "dimension fixed", *words)
    elif len(old) != len(new):
        yield Finding("number of dimensions changed", *words)
    else:
        kinds = {_dimension(one, other) for one, other in zip(old, new, strict=True) if one != other}
        for kind in sorted(kinds):
            yield Finding(kind, *words)


def _dimension(old: int | None, new: int | None) -> str:
    return "dimension freed" if new is None else "dimension fixed" if old is None else "dimension changed"


def _shape_text(shape: _Shape | None) -> str:
    return "of any kind" if shape is None else f"({', '.join('any' if one is None else str(one) for one in shape)})"


_Categories = tuple[Any, ...]


def _typed(values: _Categories | None) -> list[tuple[type, Any]] | None:
    """To tell True from 1."""
    return None if values is None else [(type(value), value) for value in values]


def _categories(side: Side, name: str, old: _Categories | None, new: _Categories | None) -> Iterator[Finding]:
    if old is None or new is None:
        rule = "category added" if new is None else "category removed"
        yield Finding(rule, side, name, "any other value", "any value")
        return
    before, after = dict.fromkeys(_typed(old) or ()), dict.fromkeys(_typed(new) or ())
    gone, fresh = [each for each in before if each not in after], [each for each in after if each not in before]
    if fresh:
        yield Finding("category added", side, name, new=_few(fresh))
    if gone:
        yield Finding("category removed", side, name, old=_few(gone))
    kept, still = [each for each in before if each in after], [each for each in after if each in before]
    if kept != still:
        yield Finding("order of categories changed", side, name, _few(kept), _few(still))


def _few(values: Sequence[tuple[type, Any]]) -> str:
    more = f" and {len(values) - _FEW} more" if len(values) > _FEW else ""
    return ", ".join(shown(repr(value)) for _, value in values[:_FEW]) + more


def _inside(old: FieldRecord, new: FieldRecord) -> bool:
    """The range of `old` lies within that of `new`."""
    lower = new.low is None or (old.low is not None and new.low <= old.low)
    return lower and (new.high is None or (old.high is not None and old.high <= new.high))


def _range(field: FieldRecord) -> str:
    return f"{'any' if field.low is None else field.low} to {'any' if field.high is None else field.high}"
