"""What is handed to `publish`, as it is to be stored: files on this disk, members of the manifest, what lies beside them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelvault import formats
from modelvault.errors import Code, InvalidInput, NotFound, StoreError, shown
from modelvault.provenance import CHANGES, changes
from modelvault.publishing import Label, content
from modelvault.signature.recording import Candidate, candidate
from modelvault.version import Version
from modelvault.wire import RELEASE_SET

__all__ = ["Draft", "Submission", "drafted", "drafting", "submitted"]

_PATH_LIMIT = 4096


@dataclass
class Draft:
    """A version in the making: write its files below `path`, set what should be recorded, and leave the ``with`` block."""

    path: Path
    params: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    data: list[Any] = field(default_factory=list)
    notes: str = ""
    signature: object = None
    """As `Vault.publish` takes it; what a file of ONNX tells if left out."""
    version: Version | None = None
    """The published version, once the block has been left without an exception."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A version before it is one."""

    model: str
    label: Label
    root: Path
    """Its files: one, or all below a folder."""
    content: Mapping[str, Any]
    """Members of the manifest."""
    candidate: Candidate
    beside: Mapping[str, Path]
    """Files of our own, by their names in the version."""
    compress: bool = False


@contextmanager
def submitted(
    model: str,
    obj: object,
    label: Label,
    *,
    format: str | None,
    params: Mapping[str, object] | None,
    metrics: Mapping[str, float] | None,
    data: Sequence[object],
    notes: str,
    example: object,
    signature: object,
    keep_diff: object,
    compress: bool,
) -> Iterator[Submission]:
    """`obj` as files, as long as the ``with`` block lasts; arguments and errors are those of `Vault.publish`."""
    if compress:
        from modelvault import coding

        coding.require()
    if isinstance(obj, str) and len(obj) < _PATH_LIMIT and os.path.exists(obj.replace("\0", "")):
        raise InvalidInput(
            "a text that names a file: is it the file that is meant?",
            code=Code.BAD_VALUE,
            hint=f"publish({model!r}, Path({shown(obj)!r}))",
        )
    chosen, modules, described = formats.choose(obj, format), tuple[str, ...](), obj
    with ExitStack() as stack:
        if isinstance(obj, Path) and chosen.name == "files":
            if not os.path.exists(obj):
                raise NotFound(f"there is nothing at {shown(obj)}", code=Code.FILE_NOT_FOUND, ref=shown(obj))
            root, described = obj, None
        else:
            root = stack.enter_context(_scratch())
            modules = _dumped(chosen, obj, root)  # as it was before it was called
            described = None if chosen.name == RELEASE_SET else obj
        said = content(chosen.name, modules, params, metrics, data, notes, described)
        recorded = candidate(obj, example, signature)
        beside = stack.enter_context(_beside(recorded, keep_diff))
        yield Submission(model, label, root, said, recorded, beside, compress)


@contextmanager
def drafting() -> Iterator[Draft]:
    """An empty draft; its folder is gone when the ``with`` block ends."""
    with _scratch() as folder:
        yield Draft(folder)


@contextmanager
def drafted(model: str, draft: Draft, label: Label, keep_diff: object) -> Iterator[Submission]:
    """What was written into `draft`; arguments and errors are those of `Vault.draft`."""
    said = content("files", (), draft.params, draft.metrics, draft.data, draft.notes)
    recorded = candidate(draft.path, None, draft.signature)
    with _beside(recorded, keep_diff) as beside:
        yield Submission(model, label, draft.path, said, recorded, beside)


@contextmanager
def _beside(candidate: Candidate, keep_diff: object) -> Iterator[dict[str, Path]]:
    """What is to be stored beside the object: examples, and the changes that are not committed, if there are any."""
    if not isinstance(keep_diff, bool):
        raise InvalidInput("keep_diff is True or False", code=Code.BAD_VALUE)
    kept = {candidate.path: candidate.example, CHANGES: changes() if keep_diff else b""}
    with ExitStack() as stack:
        folder, paths = None, dict[str, Path]()
        for name, data in kept.items():
            if data:
                folder = folder or stack.enter_context(_scratch())
                paths[name] = _written(folder / name.rpartition("/")[2], data)
        yield paths


@contextmanager
def _scratch() -> Iterator[Path]:
    """A private folder that is gone afterwards."""
    import tempfile

    try:
        scratch = tempfile.TemporaryDirectory(prefix="modelvault-", ignore_cleanup_errors=True)
    except OSError as error:
        raise _no_room(error) from error
    with scratch as folder:
        yield Path(folder)


def _written(path: Path, data: bytes) -> Path:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise _no_room(error) from error
    return path


def _dumped(format: formats.Format, obj: object, folder: Path) -> tuple[str, ...]:
    try:
        return tuple(format.dump(obj, folder))
    except StoreError:
        raise
    except OSError as error:
        raise _no_room(error) from error


def _no_room(error: OSError) -> StoreError:
    return StoreError(
        f"the object cannot be written to a temporary folder: {error.strerror}",
        code=Code.STORE_FULL,
        hint="free some space, or set TMPDIR to a folder with more",
    )
