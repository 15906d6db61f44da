"""Where a version came from: code, algorithm, data, environment, run.

Captured by allow-list: no environment variable enters a record, and no secret that is seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelvault.provenance.algorithm import algorithm
from modelvault.provenance.data import data_ref, data_refs
from modelvault.provenance.environment import actor, environment, lock, locks
from modelvault.provenance.git import changes, git
from modelvault.provenance.run import run
from modelvault.wire import Provenance, record

__all__ = ["CHANGES", "actor", "changes", "data_ref", "data_refs", "environment", "git", "provenance"]

CHANGES = "_modelvault/changes.patch"
"""The file of a version that holds what was not committed."""


def provenance(obj: object, params: Mapping[str, Any]) -> Provenance:
    """All that is known of where `obj` came from; None for an object that is only a path."""
    what = algorithm(obj)
    return record(Provenance, git=git(), algorithm=what, run=run(params, what), lock=lock(), locks=locks())
