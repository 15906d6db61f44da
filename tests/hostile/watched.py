"""Runs steps of a vault in a process of its own, and reports what the interpreter was asked to do meanwhile.

Standard input: {"warm": [step…], "steps": [step…]}; standard output: for each step [outcome, alarms].  The warm-up imports
what the verbs import, so that afterwards any import is an alarm.
"""

import grp  # noqa: F401 - whether a group is the user's own is asked of the system
import json
import os
import pwd  # noqa: F401
import sys
from pathlib import Path
from typing import Any

ALARMS = (
    "code.", "compile", "ctypes.", "exec", "function.", "import", "marshal.", "os.exec", "os.fork", "os.posix_spawn",
    "os.spawn", "os.startfile", "os.system", "pickle.", "pty.", "socket.", "subprocess.", "urllib.", "webbrowser.",
)  # fmt: skip
watching: list[str] | None = None
roots: tuple[str, ...] = ()


def hook(event: str, args: tuple[Any, ...]) -> None:
    if watching is None:
        return
    if event.startswith(ALARMS):
        watching.append(f"{event} {args!r:.200}")
    elif event == "open" and isinstance(args[0], str) and os.path.isabs(args[0]) and not args[0].startswith(roots):
        watching.append(f"open {args!r:.200}")


def run(step: dict[str, Any]) -> str:
    from modelvault.errors import VaultError
    from modelvault.stores.local import LocalStore
    from modelvault.stores.wrappers import Wrapper
    from modelvault.vault import Vault

    class Remote(Wrapper):
        url = "s3://bucket"

        def private(self, key: str) -> bool:
            return False

    store = LocalStore(step["vault"])
    vault = Vault(Remote(store) if step.get("far") else store, cache=Path(step["cache"]), trust=step.get("trust"))
    try:
        found = getattr(vault, step["verb"])(*step["args"], **step.get("options", {}))
    except VaultError as error:
        return f"{type(error).__name__} {error.code}"
    return f"found {found!r}"


def main() -> None:
    global watching, roots  # noqa: PLW0603 - the hook cannot be given anything
    asked = json.load(sys.stdin)
    roots = tuple(asked["roots"])
    sys.addaudithook(hook)
    for step in asked["warm"]:
        run(step)
    answers = []
    for step in asked["steps"]:
        watching = []
        outcome = run(step)
        alarms, watching = watching, None
        answers.append([outcome, alarms])
    json.dump(answers, sys.stdout)


main()
