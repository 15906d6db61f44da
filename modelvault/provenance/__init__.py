"""Where a version came from: git, environment, data.  Captured by allow-list; no environment variable enters a record."""

from modelvault.provenance.data import data_ref
from modelvault.provenance.environment import actor, environment
from modelvault.provenance.git import git

__all__ = ["actor", "data_ref", "environment", "git"]
