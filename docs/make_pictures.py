"""Makes docs/pictures: the static page and the displays of a notebook, as a browser shows them.

    pip install . notebook pillow scikit-learn; tests/servers/install; python docs/make_pictures.py

The notebook is run by a kernel, and shown by a server of Jupyter that is started for it; the browser is Chromium.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import nbclient
import nbformat
from PIL import Image

from modelvault.stores.local import LocalStore
from modelvault.vault import Vault
from tests.display.hostile import HOSTILE
from tests.servers.browser import look
from tests.servers.server import free_port

PICTURES = ROOT / "docs" / "pictures"
DISPLAYS = {
    "vault": "vault.history('fraud@prod'), vault.history('fraud@staging'); vault",
    "versions": "vault.versions('fraud')",
    "version": "vault.version('fraud@prod')",
    "aliases": "vault.aliases('fraud')",
    "history": "vault.history('fraud@prod')",
    "diff": "vault.diff('fraud:1.2.0', 'fraud@prod')",
    "compare": "vault.compare('fraud', 'auc', 'p99_ms')",
    "hostile": "vault.version('hostile:1.0.0')",
    "hostile-history": "vault.history('hostile@prod')",
}
STORY = [
    # bump, auc, p99, depth, promoted to, note
    ("patch", 0.912, 31.0, 4, "prod", "First release."),
    ("minor", 0.921, 29.5, 5, "prod", "Merchant features."),
    ("minor", 0.918, 28.0, 5, "staging", "Fewer trees."),
    ("patch", 0.919, 27.5, 5, "", "Retrained on October."),
    ("major", 0.933, 33.0, 6, "prod", "Currency is a required input."),
    ("minor", 0.938, 34.5, 6, "staging", "Merchant features, second set.\nKnown issue: new merchants."),
    ("minor", 0.947, 41.0, 8, "prod", "Deeper trees.\nKnown issue: slow on large baskets."),
    ("patch", 0.946, 35.0, 7, "staging", "Trees pruned again."),
]


def told(vault: Vault) -> None:
    """Models with a history, and one whose texts would do harm."""
    for at, (bump, auc, p99, depth, alias, notes) in enumerate(STORY):
        params = {"max_depth": depth, "learning_rate": 0.1, "n_estimators": 300 + 20 * at}
        metrics = {"auc": auc, "p99_ms": p99}
        version = vault.publish(
            "fraud", {"try": at}, bump=bump, params=params, metrics=metrics, notes=notes, actor="ana"
        )
        if alias:
            vault.promote(f"fraud@{alias}", version, reason=f"auc {auc}", actor="ana")
        if at == 4:
            vault.note(version.ref, "back at 1.1.0 in 1.4 s", kind="drill", actor="ci")
    vault.rollback("fraud@prod", reason="p99 above 40 ms", actor="ben")
    vault.note("fraud:2.2.0", "p99 of 44 ms on baskets of more than 200 items", kind="issue", actor="ben")
    vault.publish("churn", {"try": 0}, metrics={"auc": 0.81}, notes="A first try.", actor="ben")
    for text in HOSTILE:
        short, long = (text[:size].replace("\ud800", "").replace("\x00", "") for size in (100, 60_000))
        params = {one[:60].replace("\ud800", "") or "x": one[:2_000].replace("\ud800", "") for one in HOSTILE}
        version = vault.publish(
            "hostile", {"a": 1}, bump="minor", params=params, metrics={short: 1.0}, notes=long, actor="mallory"
        )
        vault.promote("hostile@prod", version, reason=long, actor="mallory")


def notebook(folder: Path, vault: Path) -> None:
    """A notebook of all displays, run."""
    first = nbformat.v4.new_code_cell(f"import modelvault as mv\nvault = mv.open({str(vault)!r})")
    cells = [first, *map(nbformat.v4.new_code_cell, DISPLAYS.values())]
    made = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(made, timeout=120, kernel_name="python3").execute()
    nbformat.write(made, folder / "displays.ipynb")
    subprocess.run([sys.executable, "-m", "jupyter", "trust", folder / "displays.ipynb"], check=True)


def shown_by_a_server(folder: Path, *, dark: bool) -> None:
    """The outputs of the notebook, each a picture."""
    port, token = free_port(), secrets.token_hex(16)
    settings = folder / ("dark" if dark else "light")
    theme = settings / "@jupyterlab" / "apputils-extension"
    theme.mkdir(parents=True)
    name = "JupyterLab Dark" if dark else "JupyterLab Light"
    (theme / "themes.jupyterlab-settings").write_text(json.dumps({"theme": name}))
    (theme / "notification.jupyterlab-settings").write_text(json.dumps({"fetchNews": "false"}))
    command = [
        sys.executable,
        "-m",
        "jupyter",
        "lab",
        "--no-browser",
        "--allow-root",
        "--ip=127.0.0.1",
        f"--port={port}",
    ]
    options = [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}"]
    server = subprocess.Popen([*command, *options], env=os.environ | {"JUPYTERLAB_SETTINGS_DIR": str(settings)})
    try:
        answers(f"http://127.0.0.1:{port}/api/status?token={token}")
        mood = "dark" if dark else "light"
        pictures = {
            str(PICTURES / f"notebook-{name}-{mood}.png"): f".jp-Notebook .jp-Cell[data-windowed-list-index='{at}'] "
            ".jp-OutputArea-output"
            for at, name in enumerate(DISPLAYS, 1)
        }
        [seen] = look(
            {
                "url": f"http://127.0.0.1:{port}/doc/tree/displays.ipynb?token={token}",
                "width": 1000,
                "height": 9000,
                "dark": dark,
                "wait": f".jp-Cell[data-windowed-list-index='{len(DISPLAYS)}'] .jp-OutputArea-output",
                "settle": 4000,
                "pictures": pictures,
            }
        )
        assert not [each for each in seen["errors"] if "dialog" in each], seen["errors"]
    finally:
        server.terminate()
        server.wait()


def answers(url: str) -> None:
    """Wait until a server does."""
    for _ in range(600):
        try:
            urllib.request.urlopen(url).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(url)


def pages(site: Path) -> None:
    """The static page, wide and narrow, light and dark."""
    looks: list[dict[str, Any]] = []
    for name, path, width, dark in [
        ("index", "index.html", 1280, False),
        ("index", "index.html", 390, True),
        ("model", "models/fraud.html", 1280, False),
        ("model", "models/fraud.html", 1280, True),
        ("model", "models/fraud.html", 390, False),
        ("model", "models/fraud.html", 390, True),
        ("hostile", "models/hostile.html#1.13.0", 1280, False),
        ("details", "models/fraud.html#2.2.0", 390, False),
    ]:
        picture = PICTURES / f"page-{name}-{width}-{'dark' if dark else 'light'}.png"
        looks.append({"url": f"{site.as_uri()}/{path}", "width": width, "dark": dark, "picture": str(picture)})
    search = PICTURES / "page-search-1280-light.png"
    found = {"url": (site / "index.html").as_uri(), "type": "fraud prod", "picture": str(search), "height": 500}
    for one in look(*looks, found):
        assert not one["errors"], one["errors"]
        assert all(url.startswith(site.as_uri()) for url in one["requests"])


def shrink(path: Path, tallest: int = 2600) -> None:
    """Fewer colours, no more than is looked at."""
    with Image.open(path) as picture:
        cut = picture.convert("RGB").crop((0, 0, picture.width, min(picture.height, tallest)))
    cut.quantize(32, method=Image.Quantize.MAXCOVERAGE).save(path, optimize=True)


def main() -> None:
    """All pictures, anew."""
    PICTURES.mkdir(exist_ok=True)
    hours = iter(range(0, 100_000, 31))
    folder = Path(tempfile.gettempdir()) / "acme"  # it is seen in the pictures
    folder.mkdir()
    try:
        begin = datetime(2026, 9, 1, 9, tzinfo=UTC)
        vault = Vault(LocalStore(folder / "models"), progress=False, clock=lambda: begin + timedelta(hours=next(hours)))
        os.chdir(folder)  # of no repository
        sys.argv = ["train.py"]
        told(vault)
        vault.page(folder / "site")
        pages(folder / "site")
        notebook(folder, folder / "models")
        for dark in (False, True):
            shown_by_a_server(folder, dark=dark)
    finally:
        shutil.rmtree(folder)
    for path in PICTURES.glob("*.png"):
        shrink(path)
    print(sum(path.stat().st_size for path in PICTURES.glob("*.png")), "bytes")


if __name__ == "__main__":
    main()
