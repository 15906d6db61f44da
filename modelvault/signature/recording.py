"""What a publisher records of a model: its signature, and examples with the outputs on them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from modelvault.errors import Code, Corrupt, IncompleteSignature, Refused, shown
from modelvault.signature import Signature
from modelvault.signature import signature as as_signature
from modelvault.signature.calls import answers
from modelvault.signature.examples import LIMIT, PATH, ROWS, Example, differing, read, sample, stored
from modelvault.signature.infer import inputs_of, outputs_of
from modelvault.signature.nodes import NotStorable
from modelvault.wire import File, Manifest

__all__ = ["Candidate", "candidate", "replayed"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that is about to be published."""

    model: Any
    signature: Signature | None
    example: bytes | None = None
    """The file of examples, if there are any."""

    path: ClassVar[str] = PATH
    """Where it stands among the files of the version."""

    @property
    def members(self) -> dict[str, Any]:
        """The members of the manifest."""
        return {} if self.signature is None else {"signature": self.signature}


def candidate(model: object, example: object = None, signature: object = None) -> Candidate:
    """What there is to record of `model`.  What an example or a signature leaves open is a warning, and recorded.

    Warns:
        IncompleteSignature: with all that could not be found out.

    Raises:
        InvalidInput: `signature-mismatch`, the example is not what the given signature says; `bad-value`, it is none.
    """
    given = None if signature is None else as_signature(signature)
    if example is None:
        found = given or _told(model)
        return Candidate(model, found)
    if given is not None and given.inputs is not None:
        given.validate(example)
    inputs = inputs_of(model, example)
    kept = _kept(model, example)
    said = Signature.of(inputs, outputs_of(model, kept.outputs), kept.faults)
    if given is not None:
        said = given.model_copy(update={"unknown": (*given.unknown, *kept.faults)})
    if said.unknown:
        warnings.warn(IncompleteSignature("; ".join(said.unknown)), stacklevel=4)
    return Candidate(model, said, kept.raw)


def _told(model: object) -> Signature | None:
    found = Signature.infer(model)
    return None if found.inputs is None and found.outputs is None else found


class _Kept(NamedTuple):
    raw: bytes | None
    outputs: dict[str, Any]
    faults: tuple[str, ...]


def _kept(model: object, example: object) -> _Kept:
    """The outputs on a sample of the example, and the file of both: of as many rows as there is room for."""
    rows = ROWS
    while True:
        rows_of = sample(example, rows)
        try:
            inputs = read(stored(rows_of, {}), "the example").inputs
        except (NotStorable, Corrupt) as error:
            given, faults = answers(model, rows_of)
            return _Kept(None, given, (*faults, f"examples: {error}"))
        given, faults = answers(model, inputs)
        try:
            raw = stored(inputs, given)
            steady = not differing(Example.of(raw).outputs, answers(model, inputs).given)
        except NotStorable as error:
            return _Kept(None, given, (*faults, f"examples: outputs: {error}"))
        if not steady:
            return _Kept(None, given, (*faults, "examples: the outputs differ from call to call"))
        if len(raw) <= LIMIT:
            return _Kept(raw, given, faults)
        if rows == 1 or sample(example, rows // 2) is example:
            said = f"examples: {len(raw):,} bytes for {rows} rows, more than {LIMIT:,}"
            return _Kept(None, given, (*faults, said))
        rows //= 2


def replayed(model: object, example: Example) -> tuple[tuple[str, ...] | None, str]:
    """The recorded outputs that `model` does not give; None, and why, if that cannot be told."""
    given, faults = answers(model, example.inputs)
    if not given:
        return None, shown("; ".join(faults), 500)
    try:
        return differing(example.outputs, given), shown("; ".join(faults), 500)
    except NotStorable as error:
        return None, str(error)


def check(manifest: Manifest, model: object, read_file: Callable[[File], bytes]) -> None:
    """A model that was loaded answers to the recorded examples as it did when it was published.

    Raises:
        Refused: `check-failed`.
    """
    ref = f"{manifest.model}:{manifest.version}"
    file = next((file for file in manifest.files if file.path == PATH), None)
    if file is None:
        against: tuple[str, ...] = ("no examples were recorded",)
    else:
        differs, why = replayed(model, read(read_file(file), ref))
        against = (why,) if differs is None else tuple(f"'{shown(name)}' gives other values" for name in differs)
    if against:
        raise Refused(
            f"{ref} is not proved to work here: {'; '.join(against)}",
            code=Code.CHECK_FAILED,
            hint="compare your packages with the version's environment ('modelvault show'); or publish it with example=",
            ref=ref,
            verdicts=against,
        )
