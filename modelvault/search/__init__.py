"""Search: an expression, and an index of what is recorded of versions, which answers it."""

from __future__ import annotations

from modelvault.search.grammar import Wanted, parsed
from modelvault.search.index import Index

__all__ = ["Index", "Wanted", "parsed"]
