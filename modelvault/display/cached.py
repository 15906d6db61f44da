"""What a cache keeps, and what was taken out of it, for people and as JSON data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from modelvault.cache import Cache
from modelvault.cache.known import Known
from modelvault.cache.room import Kept
from modelvault.display.records import size_text
from modelvault.display.text import Card, columns
from modelvault.wire import Move

__all__ = ["cache_card", "cache_data", "pruned_data", "pruned_text"]


def cache_data(cache: Cache, entries: Sequence[Kept], vaults: Sequence[Known]) -> dict[str, Any]:
    """All that `cache` keeps."""
    labels = _labels(vaults)
    return {
        "folder": str(cache.folder),
        "writable": cache.own is not None,
        "limit": cache.limit,
        "size": _total(entries),
        "trees": [_data(one) | {"versions": labels.get(one.digest, [])} for one in entries if one.kind == "tree"],
        "content": [_data(one) for one in entries if one.kind == "content"],
        "vaults": [
            {"url": one.url, "versions": len(one.claims), "aliases": [_head(move, at) for move, at in one.heads]}
            for one in vaults
        ],
        "layers": [str(layer) for layer in cache.layers],
    }


def cache_card(cache: Cache, entries: Sequence[Kept], vaults: Sequence[Known]) -> Card:
    """The same, with totals; what was used last stands last."""
    labels = _labels(vaults)
    lines = {
        kind: columns(
            (one.digest[:19], size_text(one.size), f"used {_minute(one.used)}", ", ".join(labels.get(one.digest, [])))
            for one in entries
            if one.kind == kind
        )
        for kind in ("tree", "content")
    }
    known = [
        (
            one.url or "a vault",
            f"{len(one.claims)} versions",
            ", ".join(f"{move.model}@{move.alias} {move.version or '-'} as of {_minute(at)}" for move, at in one.heads),
        )
        for one in vaults
    ]
    title = f"{cache.folder}: {size_text(_total(entries))} of {size_text(cache.limit)}"
    fields = [("folders", lines["tree"]), ("parts", lines["content"]), ("vaults", columns(known))]
    return Card(title, [*fields, ("layers", [str(layer) for layer in cache.layers])])


def pruned_data(gone: Sequence[Kept], left: Sequence[Kept]) -> dict[str, Any]:
    """What was removed, and the bytes that went and that stay."""
    return {"removed": [_data(one) for one in gone], "freed": _total(gone), "size": _total(left)}


def pruned_text(gone: Sequence[Kept], left: Sequence[Kept]) -> str:
    """The same, in a line."""
    return f"removed {len(gone)} of {len(gone) + len(left)}, {size_text(_total(gone))}; {size_text(_total(left))} stay"


def _labels(vaults: Iterable[Known]) -> Mapping[str, list[str]]:
    """The versions that have a digest, in any vault."""
    labels: dict[str, set[str]] = {}
    for one in vaults:
        for claim in one.claims:
            labels.setdefault(claim.target.digest, set()).add(f"{claim.model}:{claim.target.version}")
        for move, _ in one.heads:
            if move.target:
                labels.setdefault(move.target.digest, set()).add(f"{move.model}:{move.target.version}")
    return {digest: sorted(found) for digest, found in labels.items()}


def _data(one: Kept) -> dict[str, Any]:
    return {"kind": one.kind, "digest": one.digest, "size": one.size, "used": _instant(one.used)}


def _head(move: Move, confirmed: float) -> dict[str, Any]:
    return {
        "alias": f"{move.model}@{move.alias}",
        "version": move.version,
        "seq": move.seq,
        "confirmed": _instant(confirmed),
    }


def _total(entries: Iterable[Kept]) -> int:
    return sum(one.size for one in entries)


def _instant(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _minute(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%MZ}"
