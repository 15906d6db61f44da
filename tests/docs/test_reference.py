"""The reference lists what there is, no more and no less."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from modelvault import errors
from modelvault.cli import EXITS, EXITS_OF_CODES, VERBS
from modelvault.errors import Code, VaultError

ROOT = Path(__file__).parents[2]
ERRORS = (ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
DECISIONS = ROOT / "docs" / "decisions"


def headings(level):
    return re.findall(rf"^{'#' * level} (.*)$", ERRORS, re.MULTILINE)


def test_there_is_a_heading_for_each_code_and_a_code_for_each_heading():
    assert [code.value for code in Code] == headings(3)


def test_there_is_a_heading_for_each_category():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, VaultError)]
    assert [kind.__name__ for kind in kinds if kind is not VaultError] == headings(2)


def test_every_category_states_its_exit_code():
    for section in re.split(r"^## ", ERRORS, flags=re.MULTILINE)[1:]:
        kind = getattr(errors, section.partition("\n")[0])
        assert f"Exit code {EXITS[kind]}" in section


def test_a_code_with_an_exit_code_of_its_own_states_it():
    sections = re.split(r"^### ", ERRORS, flags=re.MULTILINE)[1:]
    told = {section.partition("\n")[0]: re.findall(r"^Exit code (\d+)", section, re.MULTILINE) for section in sections}
    assert {code: [int(exit) for exit in exits] for code, exits in told.items() if exits} == {
        code: [exit] for code, exit in EXITS_OF_CODES.items()
    }


def test_under_each_code_stands_what_it_means_and_what_to_do():
    for section in re.split(r"^### ", ERRORS, flags=re.MULTILINE)[1:]:
        assert "**Do:**" in section, section.partition("\n")[0]


@pytest.mark.parametrize("path", sorted(DECISIONS.glob("0*.md")), ids=lambda path: path.stem)
def test_a_decision_has_the_usual_parts_and_is_in_the_index(path):
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Context", "Options", "Outcome", "Costs"]
    assert path.stem in (DECISIONS / "index.md").read_text(encoding="utf-8")


def test_every_verb_of_the_command_is_shown_somewhere():
    text = "".join(page.read_text(encoding="utf-8") for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
    assert {verb for verb in VERBS if f"modelvault {verb}" not in text} == set()


def test_the_schemas_are_linked_from_the_specification():
    spec = (ROOT / "docs" / "spec" / "v1.md").read_text(encoding="utf-8")
    names = {json.loads(path.read_text())["title"] for path in (ROOT / "docs" / "spec" / "v1").glob("*.json")}
    assert {name for name in names if f"v1/{name}.schema.json" not in spec} == set()


def test_the_picture_of_the_layers_is_the_one_that_the_linter_checks():
    text = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    picture = re.search(r"^```text\n(cli .*?)^```", text, re.DOTALL | re.MULTILINE)[1]
    drawn = [re.split(r" {3,}", line)[0].split(" · ") for line in picture.splitlines()]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    assert [layer.split(" | ") for layer in layers] == drawn


def test_every_link_of_the_readme_leads_to_a_file():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = {target for target in re.findall(r"\]\(([^)#]+)", text) if "://" not in target}
    assert {target for target in targets if not (ROOT / target).is_file()} == set()
