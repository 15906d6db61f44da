"""What a publisher records of a model: its signature, and examples with the outputs on them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from modelvault.errors import Code, Corrupt, IncompleteSignature, Refused, shown
from modelvault.signature import Signature
from modelvault.signature import signature as as_signature
from modelvault.signature.calls import answers
from modelvault.signature.examples import LIMIT, PATH, ROWS, Example, differing, read, rows, sample, stored
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
    missing: str = ""
    """What an example or a signature leaves open."""

    path: ClassVar[str] = PATH
    """Where it stands among the files of the version."""

    def warn(self) -> None:
        """Say what is missing.  Warns `IncompleteSignature`."""
        if self.missing:
            warnings.warn(IncompleteSignature(shown(self.missing, 2000)), stacklevel=4)

    @property
    def members(self) -> dict[str, Any]:
        """The members of the manifest."""
        return {} if self.signature is None else {"signature": self.signature}


def candidate(model: object, example: object = None, signature: object = None) -> Candidate:
    """What there is to record of `model`.

    Raises:
        InvalidInput: `signature-mismatch`, the example is not what the given signature says; `bad-value`, it is none.
    """
    said = None if signature is None else as_signature(signature)
    if said is None and (example is None or isinstance(model, Path)):
        said = _told(model)
    if example is None:
        return Candidate(model, said)
    if said is not None and said.inputs is not None:
        said.validate(example)
    kept = _kept(model, example)
    if said is None:
        said = Signature.of(inputs_of(model, example), outputs_of(model, kept.outputs), kept.faults)
    else:
        said = _completed(said, model, kept)
    return Candidate(model, said, kept.raw, "; ".join(said.unknown))


def _completed(said: Signature, model: object, kept: _Kept) -> Signature:
    """What was given, with what the example shows of outputs that were not."""
    if said.outputs is not None or not kept.outputs:
        return said.model_copy(update={"unknown": (*said.unknown, *kept.faults)})
    found = outputs_of(model, kept.outputs)
    unknown = (*(one for one in said.unknown if not one.startswith("outputs:")), *kept.faults, *found.unknown)
    return said.model_copy(update={"outputs": found.fields, "outputs_by": found.by, "unknown": unknown})


def _told(model: object) -> Signature | None:
    found = Signature.infer(model)
    return None if found.inputs is None and found.outputs is None else found


class _Kept(NamedTuple):
    raw: bytes | None
    outputs: dict[str, Any]
    faults: tuple[str, ...]


def _kept(model: object, example: object) -> _Kept:
    """The outputs on a sample of the example, and the file of both: of as many rows as there is room for."""
    try:
        return _fitting(model, example)
    except Exception as error:  # whatever the example's own code raises
        return _Kept(None, {}, (f"examples: {shown(type(error).__name__)}: {shown(error)}",))


def _fitting(model: object, example: object) -> _Kept:
    count = rows(example)
    most = ROWS if count is None else min(count, ROWS)
    while True:
        kept = _tried(model, sample(example, most))
        if kept.raw is None or len(kept.raw) <= LIMIT:
            return kept
        if count is None or most <= 1:
            said = f"examples: {len(kept.raw):,} bytes for the least that can be kept, more than {LIMIT:,}"
            return kept._replace(raw=None, faults=(*kept.faults, said))
        most //= 2


def _tried(model: object, example: object) -> _Kept:
    """The outputs on all of the example, and the file, if they can be stored, and come again when the model is called again."""
    try:
        example = read(stored(example, {}), "the example").inputs  # as whoever checks it later will have it
        storable = True
    except (NotStorable, Corrupt) as error:
        storable, why = False, f"examples: {error}"
    given, faults = answers(model, example)
    if not storable:
        return _Kept(None, given, (*faults, why))
    if not given:
        return _Kept(None, given, faults)
    try:
        raw = stored(example, given)
        steady = not differing(Example.of(raw).outputs, answers(model, example).given)
    except NotStorable as error:
        return _Kept(None, given, (*faults, f"examples: outputs: {error}"))
    if not steady:
        return _Kept(None, given, (*faults, "examples: the outputs differ from call to call"))
    return _Kept(raw, given, faults)


def recorded(manifest: Manifest, read_file: Callable[[File], bytes]) -> Example | None:
    """The example of a version, if it has one.

    Raises:
        Corrupt: `bad-record`, it cannot be read, or is larger than any.
    """
    ref = f"{manifest.model}:{manifest.version}"
    file = next((file for file in manifest.files if file.path == PATH), None)
    if file is not None and file.size > LIMIT:
        raise Corrupt(
            f"the example of {ref} has {file.size:,} bytes, more than {LIMIT:,}", code=Code.BAD_RECORD, ref=ref
        )
    return None if file is None else read(read_file(file), ref)


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
    example = recorded(manifest, read_file)
    if example is None:
        against: tuple[str, ...] = ("no examples were recorded",)
    else:
        differs, why = replayed(model, example)
        against = (why,) if differs is None else tuple(f"'{shown(name)}' gives other values" for name in differs)
    if against:
        raise Refused(
            f"{ref} is not proved to work here: {'; '.join(against)}",
            code=Code.CHECK_FAILED,
            hint="compare your packages with the version's environment ('modelvault show'); or publish it with example=",
            ref=ref,
            verdicts=against,
        )
