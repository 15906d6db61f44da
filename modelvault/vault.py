"""The vault: every verb of `modelvault.verbs`, in one object.

What a verb does before its commit point is harmless garbage if the process dies; what it does after is done.  Each verb
has one commit point, and names it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from modelvault.paths import path_text
from modelvault.progress import Show
from modelvault.stores import connect
from modelvault.verbs.drill import Drilling
from modelvault.verbs.look import Looking
from modelvault.verbs.protect import Protecting
from modelvault.verbs.publish import Publishing
from modelvault.verbs.serve import Serving
from modelvault.verbs.upkeep import Keeping

__all__ = ["Vault", "load", "open"]


class Vault(Publishing, Looking, Drilling, Protecting, Keeping, Serving):
    """One root URL that holds models.  Make one with `open`; use it from any number of threads."""


def open(
    url: str | os.PathLike[str] | None = None,
    *,
    cache: bool | str | os.PathLike[str] = True,
    trust: Literal["pickle"] | None = None,
    single_writer: bool = False,
    progress: bool | Show = True,
    **storage_options: object,
) -> Vault:
    """The vault at `url`: a folder, or a URL of a store.  Nothing is read or written until a verb asks for it.

    Args:
        url: a path, ``s3://bucket/folder``, ``gs://…``, ``abfs://…``, ``sftp://…``, ``memory://name``, or for reading any URL
            that fsspec knows; ``$MODELVAULT_URL``, else the user's own local vault, if left out.
        cache: where verified content is kept: True for ``$MODELVAULT_CACHE`` or the user's cache folder, a path, or False.
        trust: ``"pickle"`` loads pickles that anyone who can write to the vault may have made.
        single_writer: write to a store that cannot decide between writers; there must be only one.
        progress: True shows a bar for what takes long, in a terminal or a notebook, if tqdm is installed; or a function that
            is called with each `Progress`; False shows nothing.
        storage_options: for the store: credentials, endpoint, ``deadline`` in seconds.  See `docs/reference/stores.md`.

    Raises:
        Unsupported: `unknown-store`, there is no store for such a URL.
        InvalidInput: `bad-value`, an option or the URL is malformed.
        Untrusted: `unsafe-folder`, others could change the cache.
    """
    store = connect(url if url is not None else os.environ.get("MODELVAULT_URL") or _own_vault(), **storage_options)
    where = cache if isinstance(cache, bool) else Path(path_text(cache, "cache"))
    return Vault(store, cache=where, trust=trust, single_writer=single_writer, progress=progress)


def load(ref: str, *, vault: Vault | str | os.PathLike[str] | None = None) -> Any:
    """The object that `ref` names, for application start-up: `Vault.load` on `vault`, or on the vault that `open` finds."""
    return (vault if isinstance(vault, Vault) else open(vault)).load(ref)


def _own_vault() -> Path:
    import platformdirs

    return platformdirs.user_data_path("modelvault", appauthor=False)
