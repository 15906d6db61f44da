"""The first version: what the alias points to; or, where that cannot be had, the last one that served on this host."""

from __future__ import annotations

import threading
from collections.abc import Callable

from modelvault.errors import Code, Corrupt, NotFound, StoreError, VaultError, shown
from modelvault.reference import AliasRef
from modelvault.wire import Move

__all__ = ["check_forwards", "check_in_use", "within"]


def within(seconds: float, ask: Callable[[], Move], ref: AliasRef) -> Move:
    """What `ask` says, if it says so in time; it goes on, and nobody listens, if it does not.

    Raises:
        StoreError: `store-unreachable`, it did not; or as `ask`.
    """
    found: list[Move] = []
    failed: list[Exception] = []

    def run() -> None:
        try:
            found.append(ask())
        except Exception as error:  # it is raised again where it is waited for
            failed.append(error)

    thread = threading.Thread(target=run, name="modelvault-first", daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0] if isinstance(failed[0], VaultError) else _strange(failed[0])
    if found:
        return found[0]
    raise StoreError(
        f"the store did not say within {seconds:g} s where {ref} points",
        code=Code.STORE_UNREACHABLE,
        hint="timeout= says how long to wait",
        ref=str(ref),
    )


def _strange(error: Exception) -> StoreError:
    made = StoreError(f"the store failed: {type(error).__name__}: {shown(error)}", code=Code.STORE_FAILED)
    made.__cause__ = error
    return made


def check_forwards(ref: AliasRef, move: Move, good: Move | None) -> None:
    """The store knows of what has served on this host.

    Raises:
        Corrupt: `alias-went-backwards`.
    """
    if good is not None and good.seq > move.seq:
        raise Corrupt(
            f"{ref} is at entry {move.seq}, and entry {good.seq} has served on this host",
            code=Code.ALIAS_WENT_BACKWARDS,
            hint="the store was restored from an older copy, or answers from a stale replica: find out which; "
            "if it is meant, 'modelvault cache forget' with the URL of the vault",
            ref=str(ref),
        )


def check_in_use(ref: AliasRef, move: Move) -> None:
    """The alias points to something.

    Raises:
        NotFound: `alias-not-found`, it is retired.
    """
    if move.target is None:
        raise NotFound(
            f"{ref} is retired: {shown(move.reason)}",
            code=Code.ALIAS_NOT_FOUND,
            hint="promote a version to bring it back",
            ref=str(ref),
        )
