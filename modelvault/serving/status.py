"""What a live handle says of itself: values of JSON, that show themselves."""

from __future__ import annotations

from modelvault.wire import JsonValue

__all__ = ["Status"]


class Status(dict[str, JsonValue]):
    """What there is to say, by name.

    ``state`` is ``serving``, ``held`` (the alias points elsewhere, and ``reason`` says why that is not followed), ``stale``
    (the store cannot be asked) or ``closed``.
    """

    def __repr__(self) -> str:
        from modelvault.display.notebook import live

        return live(self)["text/plain"]

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        from modelvault.display.notebook import live

        return live(self)
