"""A real browser, Chromium, driven through Playwright; it ends with each look."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from .server import ROOT, Missing, find

SCRIPT = ROOT / "tests" / "display" / "browser.cjs"
MODULES = Path(os.environ.get("MODELVAULT_NODE_MODULES", ROOT / ".servers" / "node_modules"))


def look(*looks: dict[str, Any]) -> list[dict[str, Any]]:
    """What the browser saw at each look: see `browser.cjs`.

    Raises:
        Missing: there is no browser here, or nothing to drive it with.
    """
    for package in ("playwright-core", "axe-core"):
        if not (MODULES / package).is_dir():
            raise Missing(f"{package} is not installed")
    job = {"program": str(find("chromium")), "looks": looks}
    done = subprocess.run(
        [find("node"), SCRIPT],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
        env=os.environ | {"NODE_PATH": str(MODULES)},
    )
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers
