"""What a cache knows of each vault: labels, and where aliases were last seen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from modelvault import layout
from modelvault.cache import folders
from modelvault.errors import Corrupt, Unsupported
from modelvault.wire import Claim, Move, read_sealed

__all__ = ["Known", "known"]


class Known(NamedTuple):
    """Of one vault: its URL, if that was noted down; all claims; the heads, with the time when each was confirmed."""

    url: str
    claims: list[Claim]
    heads: list[tuple[Move, float]]
    damaged: list[Path]


def known(folder: Path) -> list[Known]:
    """What the cache in `folder` knows, in the order of the URLs; vaults of which it knows nothing are left out."""
    found = [_of(vault) for vault in folders.listed(folder / "vaults") if vault.is_dir()]
    return sorted((one for one in found if any(one[1:])), key=lambda one: one.url)


def _of(vault: Path) -> Known:
    claims, heads, damaged = list[Claim](), dict[str, tuple[Move, float]](), list[Path]()
    for path, kind in _records(vault):
        key = path.relative_to(vault).as_posix()
        try:
            raw, confirmed = path.read_bytes(), path.stat().st_mtime
            if kind == layout.VERSIONS:
                claims.append(read_sealed(Claim, raw, key))
            else:
                heads.setdefault(str(path.parent), (read_sealed(Move, raw, key), confirmed))
        except Corrupt:
            damaged.append(path)
        except (OSError, Unsupported):  # dropped meanwhile; kept by a later release
            continue
    return Known(_url(vault), claims, [*heads.values()], damaged)


def _records(vault: Path) -> Iterator[tuple[Path, str]]:
    """Files, each with what it should be a record of; of an alias the newest comes first."""
    models = folders.listed(vault / layout.MODELS)
    for model in sorted(models):
        yield from ((path, layout.VERSIONS) for path in _files(model / layout.VERSIONS))
        for alias in sorted(folders.listed(model / layout.ALIASES)):
            yield from ((path, layout.ALIASES) for path in _files(alias))


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folders.listed(folder)) if path.is_file() and not path.name.startswith(".")]


def _url(vault: Path) -> str:
    try:
        url = (vault / folders.URL).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
    return url if folders.of_vault(url) == vault.name else ""
