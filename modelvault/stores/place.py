"""Where in a service a vault is, as its URL says, and what must be installed and given to reach it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

from modelvault.errors import Code, InvalidInput, Unsupported, shown

__all__ = ["Place", "bare", "checked_options", "needed"]


class Place(NamedTuple):
    """A place in a cloud: the bucket or container, the prefix in it, and what its URL says of the service, by name."""

    bucket: str
    prefix: str
    said: Mapping[str, str]

    def url(self, scheme: str, **said: str) -> str:
        """Its URL as an identity: with what it says of the service, and nothing secret."""
        query = "&".join(f"{word}={bare(value)}" for word, value in said.items() if value)
        return f"{scheme}://{self.bucket}/{self.prefix}".rstrip("/") + (f"?{query}" if query else "")

    @classmethod
    def of(cls, url: str, *words: str) -> Place:
        """The place at `url`, ``scheme://bucket/prefix``, optionally with ``?word=…`` for some of `words`.

        Raises:
            InvalidInput: `bad-value`, it is malformed, or holds a password.
        """
        from urllib.parse import parse_qsl, urlsplit

        parts = urlsplit(url)
        bad = "::" in url or parts.fragment or "@" in parts.netloc or not re.fullmatch(r"[\w.-]+", parts.netloc)
        prefix = parts.path.strip("/")
        said = dict(parse_qsl(parts.query, keep_blank_values=True))
        if bad or set(said) - set(words) or any(bit in {"", ".", ".."} for bit in prefix.split("/") if prefix):
            raise InvalidInput(
                f"not the URL of a place in a store: {shown(bare(url))}",
                code=Code.BAD_VALUE,
                hint=f"write {parts.scheme}://bucket/folder; credentials go into options or the environment",
            )
        return cls(parts.netloc, prefix, said)


def bare(url: str) -> str:
    """`url` without what may be secret in it."""
    scheme, slashes, rest = url.partition("?")[0].partition("://")
    return scheme + slashes + rest.rpartition("@")[2]


def checked_options(
    options: Mapping[str, Any], kind: Any, url: str, ours: AbstractSet[str], more: AbstractSet[str]
) -> None:
    """Every one of `options` is one of the filesystem `kind`, or of `more`, and none is one of `ours`.

    Raises:
        InvalidInput: `bad-value`, with the names that are not, and never their values.
    """
    import inspect

    named = {name for name, one in inspect.signature(kind.__init__).parameters.items() if one.kind != one.VAR_KEYWORD}
    known = (named | more) - ours - {"self"}
    unknown = sorted(set(options) - known)
    if unknown:
        raise InvalidInput(
            f"{shown(url)} has no such options: {shown(', '.join(unknown))}",
            code=Code.BAD_VALUE,
            hint=f"there is: {', '.join(sorted(known))}",
        )


def needed(module: str, extra: str, url: str) -> None:
    """`module` is installed, as `extra` of this package would do.

    Raises:
        Unsupported: `extra-missing`, with the command.
    """
    from importlib.util import find_spec

    if find_spec(module) is None:
        raise Unsupported(
            f"a vault at {shown(url)} needs the package {module}, which is not installed",
            code=Code.EXTRA_MISSING,
            hint=f"pip install 'modelvault-sdk[{extra}]'",
        )
