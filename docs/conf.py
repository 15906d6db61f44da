"""Sphinx: `sphinx-build -W -n docs docs/_build`."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import modelvault

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "modelvault"
author = "The modelvault developers"
copyright = author
version = release = modelvault.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "command_line", "docstrings"]
exclude_patterns = ["_build"]
nitpicky = True
default_role = "code"
smartquotes = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_class_signature = "separated"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True

# The tour is executed at each build, in a folder and a cache of its own; a cell that fails fails the build.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 120
os.environ |= {"MODELVAULT_CACHE": tempfile.mkdtemp(), "MODELVAULT_ACTOR": "ana"}

html_theme = "furo"
html_title = f"modelvault {release}"
html_copy_source = False
html_show_copyright = False

# Names of the standard library and of dependencies: their documentation is elsewhere, and a build needs no network.
nitpick_ignore_regex = [
    (r"py:.*", r"(collections|contextlib|dataclasses|datetime|enum|os|pathlib|typing|pydantic)\..*"),
    (r"py:class", r"modelvault\.version\._Verbs|dict\[str|Level|Task|Side|JsonValue|datetime|Hook"),
    (
        r"py:class",
        r"modelvault\.(serving\.(source|options)\..*|reference\.AliasRef)|Source|AliasRef|Options|Canary",
    ),  # nobody makes a `Live` by hand
]
