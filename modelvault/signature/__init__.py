"""Signatures: what a model takes and what it answers with; whether one can stand in for another; the bump that it asks for.

A signature is inferred from an example and the model, or given.  What could not be found out is said, in `unknown`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from modelvault.canonical import canonical
from modelvault.errors import Code, InvalidInput, shown
from modelvault.signature.compat import Finding, compare
from modelvault.wire import FieldRecord, SignatureRecord, record

if TYPE_CHECKING:
    from modelvault.signature.sources import Said

__all__ = ["Field", "Finding", "Signature", "field_words", "signature"]

Field = FieldRecord

_SIDES = ("inputs", "outputs")
_ADVICE = ("low", "high")


class Signature(SignatureRecord):
    """The contract of a model: fields it takes, fields it answers with, and in words what is not known of them."""

    @classmethod
    def infer(cls, model: object, example: object = None) -> Self:
        """What `model` tells of itself, and what it shows when it is called with `example`.

        Args:
            model: an object, the path of a file, or a class of pydantic that describes the inputs.
            example: rows as users pass them: an array, a frame, a table, a list, a dict; not kept.
        """
        from modelvault.signature.calls import answers
        from modelvault.signature.infer import from_example, from_model
        from modelvault.signature.sources import schemas

        if schemas.is_schema(model):
            return cls.of(schemas.described(model), None)
        if example is None:
            return cls.of(*from_model(model))
        given, faults = answers(model, example)
        return cls.of(*from_example(model, example, given), faults)

    @classmethod
    def of(cls, inputs: Said, outputs: Said | None, faults: tuple[str, ...] = ()) -> Self:
        """What was found out of the two sides, and in words what was not."""
        found: dict[str, Any] = {"inputs": inputs.fields, "inputs_by": inputs.by, "extra": inputs.extra}
        found["unknown"] = (*inputs.unknown, *faults)
        if outputs is not None:
            found |= {"outputs": outputs.fields, "outputs_by": outputs.by}
            found["unknown"] += outputs.unknown
        else:
            found["unknown"] += ("outputs: they were not described",)
        found["unknown"] = tuple(dict.fromkeys(str(one)[:1000] for one in found["unknown"]))
        return record(cls, **found)

    @property
    def contract(self) -> str:
        """``sha256:<64 hex>`` of what callers rely on: equal contracts need no comparison.  Advice and remarks are left out."""
        known = self.model_dump(mode="json", include={*_SIDES, "inputs_by", "outputs_by", "extra"})
        for side in _SIDES:
            for one in known[side] or ():
                for name in _ADVICE:
                    del one[name]
        return "sha256:" + hashlib.sha256(canonical(known)).hexdigest()

    def compare(self, new: SignatureRecord) -> tuple[Finding, ...]:
        """What callers of this find changed when they are given `new`."""
        return compare(self, new)

    def validate(self, data: object) -> None:  # type: ignore[override] # pydantic's of this name is an old one
        """Check that the model can be called with `data`.

        Raises:
            InvalidInput: `signature-mismatch`, with every fault; `bad-value`, it is not known what the model takes.
        """
        from modelvault.signature.validation import check

        check(self, data)

    def __str__(self) -> str:
        lines = []
        for side, by in (("inputs", self.inputs_by), ("outputs", self.outputs_by)):
            fields: tuple[FieldRecord, ...] | None = getattr(self, side)
            lines.append(f"{side}, by {by}" if fields is not None else f"{side}: not known")
            lines += [f"  {'  '.join(field_words(one))}" for one in fields or ()]
        lines += [f"not known: {shown(one, 1000)}" for one in self.unknown]
        return "\n".join(lines)


def field_words(one: FieldRecord) -> list[str]:
    """A field in words, one for each of its members that says something."""
    shape = (
        "any shape" if one.shape is None else "(" + ", ".join("any" if n is None else str(n) for n in one.shape) + ")"
    )
    words = [shown(one.name) or "-", shown(one.dtype or "of an unknown type"), shape]
    words += [word for word, said in (("optional", not one.required), ("may be missing", one.nullable)) if said]
    if one.categories is not None:
        words.append(f"one of {shown(', '.join(map(repr, one.categories)))}")
    return words


def signature(given: object) -> Signature:
    """`given` as a signature: one, a class of pydantic that describes the inputs, or the members of one by name.

    Raises:
        InvalidInput: `bad-value`.
    """
    from modelvault.signature.sources import schemas

    if isinstance(given, SignatureRecord):
        return Signature.model_validate(given.model_dump(exclude_defaults=True), strict=False)
    if schemas.is_schema(given):
        return Signature.infer(given)
    if isinstance(given, Mapping) and all(isinstance(name, str) for name in given):
        return _spelt(record(Signature, **given))
    raise InvalidInput(
        f"a {shown(type(given).__qualname__)} is no signature",
        code=Code.BAD_VALUE,
        hint="Signature.infer(model, example), a class of pydantic, or a dict of inputs and outputs",
    )


def _spelt(given: Signature) -> Signature:
    """`given`, if it has no members that a signature has not: a slip of the pen would say nothing."""
    for one in (given, *(given.inputs or ()), *(given.outputs or ())):
        for name in one.model_extra or ():
            raise InvalidInput(
                f"a signature has no member {shown(name)!r}",
                code=Code.BAD_VALUE,
                hint=f"members: {', '.join(type(one).model_fields)}",
            )
    return given
