"""The verbs that look after what is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from modelvault import reference
from modelvault.verbs.opened import Opened

if TYPE_CHECKING:
    from modelvault.upkeep.verify import Report


class Keeping(Opened):
    """A vault that can be looked after."""

    def verify(self, ref: str | None = None, *, level: Literal["structure", "presence", "bytes"] = "bytes") -> Report:
        """Check what is stored, and report all that is wrong.

        Args:
            ref: a version or alias; the whole vault if left out.
            level: ``"structure"`` the records and their chains; ``"presence"`` also that each blob is there, with its
                size; ``"bytes"`` also every byte.

        Raises:
            NotFound: nothing answers to `ref`.
        """
        from modelvault.upkeep.verify import verify

        return verify(self._catalog.fresh(), None if ref is None else reference.parse(ref), level)
