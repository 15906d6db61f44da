"""A version, as a value: what `publish` returns and a ref names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from modelvault.diff import Diff
from modelvault.errors import shown
from modelvault.wire import Claim, DataRef, Environment, File, JsonValue, Manifest, Note, Provenance

if TYPE_CHECKING:
    from modelvault.partial import PartialFile
    from modelvault.signature import Signature

__all__ = ["Version"]


class _Verbs(Protocol):
    """The verbs that a version offers on itself."""

    def load(self, ref: str, *, check: bool = False) -> Any: ...
    def fetch(self, ref: str, to: str | PathLike[str] | None = None, *, only: Sequence[str] = ()) -> Path: ...
    def diff(self, a: Any, b: Any) -> Diff: ...
    def notes(self, ref: str) -> list[Note]: ...
    def card(self, ref: str) -> str: ...
    def _open(self, manifest: Manifest, path: str) -> PartialFile: ...


@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """One immutable published release of a model.  Equal versions have equal digests."""

    manifest: Manifest
    claim: Claim
    _vault: _Verbs = field(repr=False)
    stale: float | None = None
    """None; or, where the store could not be reached, how many seconds ago it confirmed that the alias is here."""

    @property
    def model(self) -> str:
        """The name of the model."""
        return self.manifest.model

    @property
    def number(self) -> str:
        """The semantic version, such as ``1.4.0``."""
        return self.manifest.version

    @property
    def digest(self) -> str:
        """``sha256:<64 hex>`` of the manifest, which names the digest of every file."""
        return self.claim.target.digest

    @property
    def ref(self) -> str:
        """``model:number``."""
        return f"{self.model}:{self.number}"

    @property
    def created(self) -> datetime:
        """When it was published, by the publisher's clock (UTC)."""
        return self.claim.created

    @property
    def actor(self) -> str:
        """Who published it."""
        return self.claim.actor

    @property
    def format(self) -> str:
        """How the object is stored."""
        return self.manifest.format

    @property
    def files(self) -> tuple[File, ...]:
        """Its files: path, size in bytes, digest."""
        return self.manifest.files

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return self.manifest.size

    @property
    def metrics(self) -> Mapping[str, float]:
        """Metrics that were recorded at publish."""
        return self.manifest.metrics

    @property
    def params(self) -> Mapping[str, JsonValue]:
        """Parameters of the algorithm."""
        return self.manifest.params

    @property
    def data(self) -> tuple[DataRef, ...]:
        """What it was trained on."""
        return self.manifest.data

    @property
    def notes(self) -> str:
        """The text that was recorded at publish."""
        return self.manifest.notes

    @property
    def signature(self) -> Signature | None:
        """What it takes and answers with; None if that is not known.  ``signature.validate(x)`` checks what it is to take."""
        if self.manifest.signature is None:
            return None
        from modelvault.signature import signature

        return signature(self.manifest.signature)

    @property
    def environment(self) -> Environment | None:
        """The interpreter and packages that it was published with."""
        return self.manifest.environment

    @property
    def provenance(self) -> Provenance | None:
        """The code that it came from."""
        return self.manifest.provenance

    def load(self, *, check: bool = False) -> Any:
        """The object: as `Vault.load`."""
        return self._vault.load(self.ref, check=check)

    def fetch(self, to: str | PathLike[str] | None = None, *, only: Sequence[str] = ()) -> Path:
        """Its files in a folder: as `Vault.fetch`."""
        return self._vault.fetch(self.ref, to, only=only)

    def open(self, path: str) -> PartialFile:
        """One of its files, open for reading in binary: it can be sought, and only what is read is fetched.

        The parts that a read touches are fetched whole, and verified before a byte of them is given; the last few are kept,
        up to 64 MiB.  Their digests, and how they make up the file, stand in the manifest, which is verified; the digest of
        the whole file, which `fetch` checks too, is not.  What the cache has is read there.

        Args:
            path: of the file in the version, such as ``"weights/model.safetensors"``.

        Raises:
            NotFound: `file-not-found`, with names that are close; when it is opened.
            Corrupt: a part is not what was published; when it is read.
            StoreError: the store failed; when it is read.
        """
        return self._vault._open(self.manifest, path)  # noqa: SLF001 - a version is its vault's own

    def diff(self, other: Version | str) -> Diff:
        """What `other` changes: as `Vault.diff`."""
        return self._vault.diff(self, other)

    def card(self) -> str:
        """Its model card, in Markdown: as `Vault.card`."""
        return self._vault.card(self.ref)

    def remarks(self) -> list[Note]:
        """The notes made since, newest first."""
        return self._vault.notes(self.ref)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"<Version {self.ref} {self.digest[:19]}…>"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        from modelvault.display import notebook

        return notebook.version(self.manifest, self.claim, self._staleness)

    @property
    def _staleness(self) -> str:
        return "" if self.stale is None else f"the store could not be asked; it said so {self.stale:.0f} s ago"

    def __str__(self) -> str:
        lines = [f"{self.ref}  {self.digest}"]
        if self._staleness:
            lines.append(f"  stale: {self._staleness}")
        lines.append(f"  published {self.created:%Y-%m-%d %H:%M:%S} UTC by {shown(self.actor)}")
        lines.append(f"  {shown(self.format)}, {len(self.files)} file(s), {self.size:,} bytes")
        for name, values in (("metrics", self.metrics), ("params", self.params)):
            if values:
                lines.append(f"  {name}: " + shown(", ".join(f"{key}={value}" for key, value in values.items()), 1000))
        if self.notes:
            lines.append(f"  notes: {shown(self.notes, 1000)}")
        return "\n".join(lines)
