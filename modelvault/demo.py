"""What ``modelvault demo`` runs: two real models and a bad one, a service that knows an alias, and a rollback.

Every step is shown, then executed as it was shown: what is printed is what happened.
"""

from __future__ import annotations

import ast
import contextlib
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from modelvault.errors import AlreadyExists, Code, Unsupported
from modelvault.vault import open

__all__ = ["patients", "run"]

Say = Callable[[str], object]

IMPORTS = """\
import modelvault as mv
from modelvault.demo import patients
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import shuffle
"""

SERVICE = """\
import os, sys
import modelvault as mv
from modelvault.demo import patients

_, X_test, _, y_test = patients()
vault = mv.open()
for request in sys.stdin:
    model = vault.load("cancer@prod")
    right = model.score(X_test, y_test)
    print(f"process {os.getpid()}: right about {right:.1%} of new patients", flush=True)
"""

STEPS = (
    (
        "Train a modest model, publish it, and point the alias prod at it. Versions never change.",
        "python",
        """\
vault = mv.open(URL)
X, X_test, y, y_test = patients()
near = KNeighborsClassifier(n_neighbors=1).fit(X, y)
vault.publish("cancer", near, version="1.0.0", params=near.get_params(),
              metrics={"accuracy": near.score(X_test, y_test)}, notes="The nearest patient.")
print(vault.promote("cancer@prod", "1.0.0", reason="first release"))
""",
    ),
    (
        "Publish a better one. It is promoted only if prod still points to 1.0.0.",
        "python",
        """\
linear = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
better = vault.publish("cancer", linear, bump="minor", params=linear[-1].get_params(),
                       metrics={"accuracy": linear.score(X_test, y_test)}, notes="Linear.")
print(vault.promote("cancer@prod", better, reason="more accurate", expect="1.0.0"))
""",
    ),
    ("A service, in a process of its own, knows the alias and no version. Ask it.", "service", SERVICE),
    (
        "A bad day: labels were shuffled on the way, and nobody measured.",
        "python",
        """\
broken = DecisionTreeClassifier(random_state=0).fit(X, shuffle(y, random_state=0))
vault.publish("cancer", broken, bump="minor", notes="On the new extract.")
print(vault.promote("cancer@prod", "1.2.0", reason="fresh data"))
""",
    ),
    ("Ask the service again: it does what prod now says.", "service", ""),
    (
        "Roll back. The vault knows what was good before, and proves first that it is all there.",
        "python",
        """\
print(vault.rollback("cancer@prod", reason="wrong diagnoses since 1.2.0"))
print(vault.yank("cancer:1.2.0", reason="trained on shuffled labels"))
""",
    ),
    ("Ask the service again: it is as good as it was.", "service", ""),
    ("Who did what, when and why is kept.", "shell", "modelvault history cancer@prod\nmodelvault versions cancer\n"),
)


def run(folder: Path | None, say: Say = print) -> dict[str, Any]:
    """Play the demo in a vault in `folder`; answers where the vault is, and what the service said.

    Raises:
        Unsupported: `extra-missing`, scikit-learn is not installed.
        AlreadyExists: `target-exists`, the vault in `folder` has such a model already.
    """
    if find_spec("sklearn") is None:
        hint = "pip install 'modelvault-sdk[demo]'"
        raise Unsupported("the demo needs scikit-learn", code=Code.EXTRA_MISSING, hint=hint)
    vault = open(folder or tempfile.mkdtemp(prefix="modelvault-demo-"))
    if "cancer" in vault.models():
        hint = "give --dir a new folder, or leave it out"
        raise AlreadyExists(
            f"{vault.url} has a model 'cancer' already", code=Code.TARGET_EXISTS, hint=hint, ref="cancer"
        )
    environment = {**os.environ, "MODELVAULT_URL": vault.url}
    names: dict[str, Any] = {"print": lambda value: say(_indented(str(value)))}
    exec(IMPORTS, names)  # noqa: S102 - text of this module
    say(f"A vault is a folder. This one is new:\n\n   $ export MODELVAULT_URL={shlex.quote(vault.url)}\n")
    heard: list[str] = []
    with _started(SERVICE, environment) as service:
        for number, (title, kind, text) in enumerate(STEPS, 1):
            say(f"{number}. {title}\n")
            if kind == "python":
                _python(text.replace("URL", repr(vault.url)), names, say)
            elif kind == "shell":
                _shell(text, environment, say)
            else:
                heard.append(_service(text, service, say))
            say("")
    say(f"The vault is yours to look at and to delete: {vault.url}")
    return {"vault": vault.url, "service": heard}


def patients() -> tuple[Any, ...]:
    """Breast cancer data: measurements to train on and to test on, diagnoses to train on and to test on."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.model_selection import train_test_split

    return tuple(train_test_split(*load_breast_cancer(return_X_y=True), random_state=0))


def _python(text: str, names: dict[str, Any], say: Say) -> None:
    for statement in ast.parse(text).body:
        source = ast.get_source_segment(text, statement) or ""
        say("   >>> " + source.replace("\n", "\n   ... "))
        if isinstance(statement, ast.Expr):
            value = eval(source, names)  # noqa: S307 - text of this module
            if value is not None:
                names["print"](repr(value))
        else:
            exec(source, names)  # noqa: S102 - text of this module


def _shell(text: str, environment: Mapping[str, str], say: Say) -> None:
    for number, line in enumerate(text.splitlines()):
        say("\n" * (number > 0) + f"   $ {line}")
        _, *arguments = shlex.split(line)
        command = [sys.executable, "-m", "modelvault", *arguments]
        done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
        say(_indented(done.stdout))


def _started(program: str, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program]
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603


def _service(text: str, service: subprocess.Popen[str], say: Say) -> str:
    if text:
        say("\n".join(f"   | {line}".rstrip() for line in text.splitlines()) + "\n")
    assert service.stdin
    assert service.stdout
    with contextlib.suppress(BrokenPipeError):  # it is gone, and then its answer is empty
        os.write(service.stdin.fileno(), b"\n")  # past any buffer, which would fail a second time when it is closed
    said = service.stdout.readline().strip()
    if not said:
        service.stdin.close()
        raise RuntimeError(f"the service gave no answer, and ended with exit code {service.wait()}")
    say(_indented(said))
    return said


def _indented(text: str) -> str:
    return "\n".join(f"   {line}" for line in text.splitlines())
