"""``docs/authoring.md`` names everything that a plan may contain, and its examples are those of the fixture."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cds_service.authoring.mutants import ALL_CODES
from cds_service.policies import cases
from cds_service.policies.loading import extensions
from cds_service.policies.loading.questionnaire import CRITERION_TYPES
from cds_service.policies.policy import OUTCOME_CODES
from tests.authoring.small_policies import FIXTURES

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "authoring.md").read_text()
SNIPPETS = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)]


def last_part(url: str) -> str:
    """How the document may shorten a long URL."""
    return url.rpartition("/")[2]


@pytest.mark.parametrize("outcome", OUTCOME_CODES)
def test_every_outcome_is_explained(outcome: str) -> None:
    assert f"| `{outcome}` |" in DOCUMENT


@pytest.mark.parametrize(
    "url",
    [
        value
        for value in vars(extensions).values()
        if isinstance(value, str) and "StructureDefinition/" in value and not value.endswith("-")
    ],
)
def test_every_extension_is_named(url: str) -> None:
    assert last_part(url) in DOCUMENT


@pytest.mark.parametrize("member", sorted(cases._KEYS | cases._EXPECTATIONS))
def test_every_member_of_a_case_is_named(member: str) -> None:
    assert f"`{member}`" in DOCUMENT


@pytest.mark.parametrize("kind", CRITERION_TYPES)
def test_every_type_of_criterion_is_named(kind: str) -> None:
    assert f"`{kind}`" in DOCUMENT


def test_the_examples_are_those_of_the_fixture() -> None:
    item, case = SNIPPETS
    form = json.loads(
        (FIXTURES / "example-tonsillectomy" / "Questionnaire-example-tonsillectomy.json").read_text()
    )
    (written,) = (each for each in form["item"] if each["linkId"] == item["linkId"])
    name = "five-and-then-four-are-not-normally-funded"

    assert item["text"] == written["text"]
    assert all(extension in written["extension"] for extension in item["extension"])
    assert case == json.loads((FIXTURES / "example-tonsillectomy" / "cases" / f"{name}.json").read_text())


def test_the_rules_are_those_of_the_fixture() -> None:
    file = FIXTURES / "example-tonsillectomy" / "PlanDefinition-example-tonsillectomy.json"
    rules = json.loads(file.read_text())["action"][0]["action"]

    for rule in rules[:-1]:
        condition = rule["condition"][0]["expression"]["expression"]
        assert re.search(rf"{rule['id']} +{re.escape(condition)}\n", DOCUMENT)


def test_the_number_of_codes_that_are_all_left_out_is_told() -> None:
    assert f"more than {ALL_CODES}" in DOCUMENT


@pytest.mark.parametrize("command", ["new", "check", "explain", "test", "test --mutate", "diff"])
def test_every_command_of_an_author_is_named(command: str) -> None:
    assert f"cds-service {command}" in DOCUMENT


def test_every_message_in_the_last_part_is_one_that_is_given() -> None:
    source = "\n".join(file.read_text() for file in (ROOT / "cds_service").rglob("*.py"))
    told = re.findall(r"^\| (`.*?`) \|", DOCUMENT.partition("# 4 Reading")[2], re.MULTILINE)
    pieces = [
        piece.strip(" ,.")
        for cell in told
        for quoted in re.findall(r"`([^`]+)`", cell)
        for piece in quoted.removeprefix("expected ").split("…")
        if len(piece.strip(" ,.()")) > 3
    ]

    assert len(pieces) > 15
    assert [piece for piece in pieces if piece not in source] == []
