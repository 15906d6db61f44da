"""Which run of a CI system this is, by an allow-list of the variables that it sets."""

from __future__ import annotations

import os

from modelvault.canonical import free_text
from modelvault.errors import VaultError
from modelvault.provenance.urls import without_credentials

__all__ = ["ci_actor", "ci_run"]

_LONGEST = 200


def ci_run() -> dict[str, str]:
    """`system`, `actor`, `commit` and `run`, a URL, as far as they are known; nothing outside of CI."""
    if os.environ.get("GITHUB_ACTIONS") == "true":
        at = [_said(name) for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")]
        run = "{}/{}/actions/runs/{}".format(*at) if all(at) else ""
        found = {"system": "github", "actor": _said("GITHUB_ACTOR"), "commit": _said("GITHUB_SHA"), "run": run}
    elif os.environ.get("GITLAB_CI") == "true":
        commit, run = _said("CI_COMMIT_SHA"), _said("CI_JOB_URL")
        found = {"system": "gitlab", "actor": _said("GITLAB_USER_LOGIN"), "commit": commit, "run": run}
    else:
        return {}
    return {name: text for name, text in found.items() if text}


def ci_actor() -> str:
    """Who started this run; nobody, outside of CI."""
    return ci_run().get("actor", "")


def _said(name: str) -> str:
    """What the variable says, if that can stand in a record for ever."""
    try:
        text = free_text(without_credentials(os.environ.get(name, "")), name)
    except VaultError:
        return ""
    return text if len(text) <= _LONGEST and text.isprintable() else ""
