"""The documentation builds without a warning; every reference in it leads somewhere."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_documentation_builds_without_a_warning(tmp_path):
    for needed in ("sphinx", "myst_nb", "ipykernel", "furo"):
        pytest.importorskip(needed, reason="the extra 'docs' is not installed")
    command = [sys.executable, "-m", "sphinx", "-nqW", "-d", tmp_path / "trees", ROOT / "docs", tmp_path / "html"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout  # the kernel of the tour may say this and that
    assert (tmp_path / "html" / "index.html").is_file()
    tour = (tmp_path / "html" / "tutorial" / "tour.html").read_text(encoding="utf-8")
    assert tour.count("wrong for small tumours") > 3  # it was executed
