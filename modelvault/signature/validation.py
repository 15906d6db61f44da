"""Whether data is what a model takes: the data is a contract of its own, which the signature must take in."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any, Final

from modelvault.errors import Code, InvalidInput, shown
from modelvault.signature.compat import Finding, changes
from modelvault.signature.sources import Said, described
from modelvault.wire import FieldRecord, SignatureRecord, record

__all__ = ["check", "faults"]

_SAID: Final = {
    "required field added": "is not given",
    "field removed, nothing extra allowed": "is not listed, and nothing extra is taken",
    "field removed, by position": "is one too many",
    "field renamed": "stands where {old} was given",
    "order of fields changed": "stand in another order than they must",
    "type narrowed": "is {old}, which {new} cannot hold",
    "type changed": "is {old}, not {new}",
    "missing values forbidden": "is missing, and must not be",
    "dimension fixed": "has the shape {old}, not {new}",
    "dimension changed": "has the shape {old}, not {new}",
    "number of dimensions changed": "has the shape {old}, not {new}",
    "category removed": "may not be {old}",
}
"""What the changes that matter mean here."""
_MOST, _LONGEST = 20, 1500


def check(signature: SignatureRecord, data: object) -> None:
    """Raise what `Signature.validate` says."""
    if signature.inputs is None:
        raise InvalidInput(
            "it is not known what the model takes",
            code=Code.BAD_VALUE,
            hint="publish it with an example, or with a signature",
        )
    found = faults(signature, data)
    if found:
        more = f"; and {len(found) - _MOST} more" if len(found) > _MOST else ""
        raise InvalidInput(
            f"this is not what the model takes: {shown('; '.join(found[:_MOST]), _LONGEST)}{more}",
            code=Code.SIGNATURE_MISMATCH,
            hint="the signature of the version lists what it takes",
        )


def faults(signature: SignatureRecord, data: object) -> tuple[str, ...]:
    """All that keeps the model from taking `data`, in words; nothing for what is not known of either."""
    given = _given(signature, described(data, given=True), data)
    found = changes(given, signature)
    return tuple(_sentence(one) for one in found if one.side == "input" and one.level == "major")


def _sentence(one: Finding) -> str:
    subject = f"the input '{shown(one.name)}'" if one.name else "the inputs" if "order" in one.rule else "the input"
    return f"{subject} {_SAID.get(one.rule, one.rule).format(old=one.old, new=one.new)}"


def _given(signature: SignatureRecord, said: Said, data: object) -> SignatureRecord:
    """The contract of the data: told apart as the signature does, its categories those of its values."""
    listed = {one.name: one for one in signature.inputs or ()}
    given = said.fields or ()
    if signature.inputs_by == "position":
        pairs: list[Any] = list(zip_longest(given, signature.inputs or ()))
    else:
        pairs = [(one, listed.get(one.name)) for one in given]
    fields = tuple(_seen(one, wanted, data) for one, wanted in pairs if one is not None)
    return record(
        SignatureRecord,
        inputs=fields,
        inputs_by=signature.inputs_by,
        outputs=signature.outputs,
        outputs_by=signature.outputs_by,
        extra=signature.extra,
    )


def _seen(one: FieldRecord, wanted: FieldRecord | None, data: Any) -> FieldRecord:
    """A field of the data beside what is wanted: with its real length, and its values where only certain ones may be."""
    if wanted is None:
        return one
    update: dict[str, Any] = {"categories": None}
    if wanted.categories is not None:
        update["categories"] = tuple(dict.fromkeys(_values(data, one.name)))
    if wanted.dtype is None or one.dtype is None:
        update["dtype"] = wanted.dtype
    if wanted.shape is None or one.shape is None:
        update["shape"] = wanted.shape
    elif wanted.shape[:1] != (None,) and one.shape[:1] == (None,):
        update["shape"] = (_length(data, one.name), *one.shape[1:])
    return one.model_copy(update=update)


def _length(data: Any, name: str) -> int | None:
    column = _column(data, name)
    return len(column) if hasattr(column, "__len__") else None


def _values(data: Any, name: str) -> Iterator[Any]:
    """The values of a column, those that are missing left out."""
    column = _column(data, name)
    found = (
        column.to_list()
        if hasattr(column, "to_list")
        else column.to_pylist()
        if hasattr(column, "to_pylist")
        else column
    )
    found = found.tolist() if hasattr(found, "tolist") else found
    for value in found if isinstance(found, list | tuple) else [found]:
        if isinstance(value, bool | int | float | str) and value == value:  # noqa: PLR0124 - only NaN differs from itself
            yield value


def _column(data: Any, name: str) -> Any:
    if isinstance(data, list | tuple) and data and all(isinstance(row, dict) for row in data):
        return [row.get(name) for row in data]
    try:
        return data[name] if name else data
    except Exception:  # whatever the data's own class raises
        return []
