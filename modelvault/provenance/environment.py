"""The interpreter, the distributions that an artifact refers to, and who is publishing."""

from __future__ import annotations

import functools
import getpass
import json
import os
import platform
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from modelvault.canonical import refuse_secret, storable
from modelvault.folder import measured
from modelvault.provenance.ci import ci_actor
from modelvault.provenance.urls import without_credentials
from modelvault.wire import TEXT_LIMIT, DataRef, Environment, record

__all__ = ["actor", "environment", "lock", "locks"]

_LOCKS = ("uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "pylock.toml", "requirements.txt", "environment.yml")
"""Files that say what is to be installed, by the tools that write them."""
_DIST_INFO = re.compile(r"(?P<name>[A-Za-z0-9][\w.]*?)-(?P<version>[\w.!+]+)\.(?:dist|egg)-info")


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


def lock() -> str:
    """Every distribution of this interpreter as a requirement, one a line; "" if there is no room for them in a record.

    Names and versions are read off the names of the folders, a hundred times quicker than the metadata in them.
    """
    found = dict[str, str]()
    for folder in sys.path:
        for name, requirement in _installed(folder or "."):
            found.setdefault(name, requirement)
    text = "\n".join(found[name] for name in sorted(found))
    return text if len(text) <= TEXT_LIMIT else ""


def _installed(folder: str) -> Iterator[tuple[str, str]]:
    with suppress(OSError), os.scandir(folder) as listing:
        for one in listing:
            matched = _DIST_INFO.fullmatch(one.name)
            if matched:
                name = re.sub(r"[-_.]+", "-", matched["name"]).lower()
                yield name, f"{name}{_origin(one.path + '/direct_url.json') or '==' + matched['version']}"


def _origin(path: str) -> str:
    """`` @ URL`` of a distribution that came from no index, without credentials; "" of any other."""
    if not os.path.exists(path):
        return ""
    with suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
        said = json.loads(Path(path).read_bytes())
        url, vcs = without_credentials(said["url"]), said.get("vcs_info")
        return f" @ {vcs['vcs']}+{url}@{vcs['commit_id']}" if vcs else f" @ {url}"
    return ""


def locks() -> tuple[DataRef, ...]:
    """The lock files of the working directory, or of the nearest folder above it that has one, up to the repository's root."""
    with suppress(OSError):
        here = Path.cwd()
        for folder in (here, *here.parents):
            found = [folder / name for name in _LOCKS if (folder / name).is_file()]
            if found:
                return tuple(_lock_file(path, here) for path in found)
            if (folder / ".git").exists():
                break
    return ()


def _lock_file(path: Path, here: Path) -> DataRef:
    size, digest = measured(path)
    return record(DataRef, uri=os.path.relpath(path, here), how="sha256", digest=digest, size=size)


def actor(name: str | None) -> str:
    """`name`, or ``$MODELVAULT_ACTOR``, or who started this run in CI, or the user's login name.

    Raises:
        InvalidInput: `bad-value`, it is no text; `secret-found`.
    """
    given = storable(name, "an actor") if name is not None else ""
    if named := given or os.environ.get("MODELVAULT_ACTOR"):
        refuse_secret(named, "the actor")
        return named
    if started := ci_actor():
        return started
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
