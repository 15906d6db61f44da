"""Every fenced block of the documentation runs, or says why not.

A page is a session: its blocks run in order, in an empty folder, as one user.

- `python` is executed; what it prints is compared with a `text` block that follows it.
- `console` lines that begin with `$ ` run in one shell; the lines below a command are compared with what it prints.
- `...` in expected output stands for anything, as in doctest.
- A block of another kind, or one that cannot run here, has `<!-- not run: the reason -->` on the line before it.
"""

import contextlib
import doctest
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sybil import Document
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer, RawFencedCodeBlockLexer

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
NOT_RUN = re.compile(r"<!-- not run: \S.*-->\n\s*\Z")
RUNS = {"python", "console", "text"}
SEPARATOR = "\x1e"


def blocks(page):
    """The fenced blocks of a page, in order, without directives such as `{toctree}` and those that are not run."""
    document = Document(page.read_text(encoding="utf-8"), str(page))
    for region in FencedCodeBlockLexer(r"[^{\n]+")(document):
        if not NOT_RUN.search(document.text[: region.start]):
            line = document.text.count("\n", 0, region.start) + 1
            yield region.lexemes["language"].strip(), region.lexemes["source"], line


def alike(expected, actual):
    return doctest.OutputChecker().check_output(
        expected.rstrip() + "\n", actual.rstrip() + "\n", doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    )


def executed(source, where, line, names):
    """What the statements print."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile("\n" * line + source, where, "exec"), names)
    return printed.getvalue()


def session(source):
    """The commands of a console block, run in one shell: each with the lines it is shown to print, and those it prints."""
    chunks = [re.sub(r"\\\n", "", chunk).partition("\n") for chunk in re.split(r"^\$ ", source, flags=re.MULTILINE)[1:]]
    script = "".join(f"{command}\nprintf '{SEPARATOR}'\n" for command, _, _ in chunks)
    shell = ["bash", "-e", "-o", "pipefail", "-c", script]
    done = subprocess.run(shell, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"{source}\n{done.stdout}"
    return [
        (command, expected, printed)
        for (command, _, expected), printed in zip(chunks, done.stdout.split(SEPARATOR)[:-1], strict=True)
    ]


def played(page):
    """Run a page from top to bottom."""
    names, printed = {"__name__": "__main__"}, ""
    for language, source, line in blocks(page):
        place = f"{page.relative_to(ROOT)}:{line}"
        if language == "python":
            printed = executed(source, str(page), line, names)
        elif language == "console":
            for command, expected, printed in session(source):
                assert not expected.strip() or alike(expected, printed), f"{place}: $ {command}\n{printed}"
        elif language == "text":
            assert alike(source, printed), f"{place}: expected\n{source}\ngot\n{printed}"


@pytest.fixture
def a_user_of_an_empty_folder(tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for name in [name for name in os.environ if name.startswith(("GIT_", "MODELVAULT_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("MODELVAULT_ACTOR", "ada")
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")  # the order of `sort`


@pytest.mark.parametrize("page", [page for page in PAGES if [*blocks(page)]], ids=lambda page: page.stem)
@pytest.mark.usefixtures("a_user_of_an_empty_folder")
def test_the_examples_of_a_page_do_what_it_says(page):
    played(page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_fenced_block_runs_or_says_why_not(page):
    everything = re.compile(r"(?P<info>[^\n]*)\n")
    document = Document(page.read_text(encoding="utf-8"), str(page))
    fences = [
        region
        for region in RawFencedCodeBlockLexer(everything)(document)
        if not NOT_RUN.search(document.text[: region.start])
    ]
    infos = {region.lexemes["info"].strip() for region in fences}
    directives = {
        info for info in infos if info.startswith("{") and not re.match(r"\{(code|code-block|sourcecode)\}", info)
    }
    assert infos - directives <= RUNS


def test_the_checks_of_examples_fail_where_they_should(tmp_path, monkeypatch):
    """What guards the documentation is guarded itself."""
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    fine = "```python\nprint(40 + 2)\n```\n\n```text\n4...\n```\n\n```console\n$ echo one\none\n$ echo two\n```\n"
    for text, works in [
        (fine, True),
        (fine.replace("4...", "5..."), False),
        (fine.replace("\none\n", "\ntwo\n"), False),
        (fine.replace("echo two", "false"), False),
        (fine.replace("```python", "<!-- not run: it is wrong -->\n```python").replace("4...", ""), True),
    ]:
        page = tmp_path / "page.md"
        page.write_text(text, encoding="utf-8")
        with contextlib.nullcontext() if works else pytest.raises(AssertionError):
            played(page)


@pytest.mark.long
def test_the_store_of_the_documentation_keeps_the_promises_of_a_store(tmp_path):
    text = (ROOT / "docs" / "how-to" / "write-a-store.md").read_text(encoding="utf-8")
    sources = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    (tmp_path / "acme_store.py").write_text(next(each for each in sources if "class SqliteStore" in each))
    (tmp_path / "test_acme_store.py").write_text(next(each for each in sources if "class TestSqliteStore" in each))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_acme_store.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
