"""The interpreter, the distributions that an artifact refers to, and who is publishing."""

from __future__ import annotations

import functools
import getpass
import os
import platform
import sys
from collections.abc import Iterable
from importlib import metadata

from modelvault.canonical import storable
from modelvault.wire import Environment

__all__ = ["actor", "environment"]


def environment(modules: Iterable[str]) -> Environment:
    """This interpreter, with the versions of the distributions that `modules` belong to."""
    roots = {module.partition(".")[0] for module in modules} - sys.stdlib_module_names - {"__main__"}
    packages = dict(found for root in sorted(roots) for found in _distributions(root))
    return Environment(
        python=platform.python_version(),
        implementation=sys.implementation.name,
        platform=f"{sys.platform}-{platform.machine()}",
        packages=packages,
    )


def actor(name: str | None) -> str:
    """`name`, or ``$MODELVAULT_ACTOR``, or the user's login name.

    Raises:
        InvalidInput: `bad-value`, it is no text.
    """
    given = storable(name, "an actor") if name is not None else ""
    if named := given or os.environ.get("MODELVAULT_ACTOR"):
        return named
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"


def _distributions(root: str) -> list[tuple[str, str]]:
    names = [root] if _version(root) else _by_module().get(root, [])
    return [(name, version) for name in names if (version := _version(name))]


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except (metadata.PackageNotFoundError, ValueError):
        return None


@functools.lru_cache(maxsize=1)
def _by_module() -> dict[str, list[str]]:
    return {module: sorted(set(names)) for module, names in metadata.packages_distributions().items()}
