"""The safety file says nothing that is not there: its tests, its code, its arithmetic, and what a card keeps to itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from cds_service.policies.library import load_library
from tests.hook_requests import answers, bundle, condition, everything_read, hook_request, order

ROOT = Path(__file__).parents[1]
SAFETY = ROOT / "docs" / "safety"
DOCUMENTS = sorted(SAFETY.glob("*.md"))
HAZARD_LOG = (SAFETY / "hazard-log.md").read_text()

SEVERITIES = ("Minor", "Significant", "Considerable", "Major", "Catastrophic")
# Of the guidance to DCB0129: likelihood → risk by severity.
MATRIX = {
    "Very high": (3, 4, 4, 5, 5),
    "High": (2, 3, 3, 4, 5),
    "Medium": (2, 2, 3, 3, 4),
    "Low": (1, 2, 2, 3, 4),
    "Very low": (1, 1, 2, 2, 3),
}
MEMBERS = {"cause", "effect", "controls", "shown by", "risk", "left"}
# What needs a reduction that a log cannot give: 3 is "undesirable".
HIGHEST_RESIDUAL = 2
RISK = re.compile(r"before: (?P<before>.*? = \d); after: (?P<after>.*? = \d)")
SCORE = re.compile(r"(?P<severity>\w+) × (?P<likelihood>[\w ]+) = (?P<risk>\d)")

TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
CODE = re.compile(r"`((?:cds_service|plans|docs|tests)/[^`:*]+)`|\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")

HOOK = "/cds-services/procedure-funding"
HCPCS = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
FILLER = "Q2028"
HIV = "86406008"
TELLING = re.compile(r"\bHIV\b|\bAIDS\b|immunodeficiency|dysphoria", re.IGNORECASE)


@dataclass(frozen=True)
class Hazard:
    """A section of the log: the rows of its table by their first cell."""

    id: str
    rows: Mapping[str, str]


@dataclass(frozen=True)
class Score:
    """A severity and likelihood, and the risk that they are said to come to."""

    severity: str
    likelihood: str
    risk: int


def hazards() -> list[Hazard]:
    sections = re.split(r"^### (?=H\d\d · )", HAZARD_LOG, flags=re.MULTILINE)[1:]
    return [
        Hazard(section[:3], dict(re.findall(r"^\| ([a-z ]+) \| (.+) \|$", section, re.MULTILINE)))
        for section in sections
    ]


def scores(hazard: Hazard) -> tuple[Score, Score]:
    """The risk before and after the controls."""
    found = RISK.fullmatch(hazard.rows["risk"])
    assert found, hazard.rows["risk"]
    return _score(found["before"]), _score(found["after"])


def _score(text: str) -> Score:
    found = SCORE.fullmatch(text)
    assert found, text
    return Score(found["severity"], found["likelihood"], int(found["risk"]))


@cache
def names_in(file: str) -> frozenset[str]:
    """The names of the tests in a file; none when there is no such file."""
    path = ROOT / file
    functions = ast.walk(ast.parse(path.read_text())) if path.exists() else ()
    return frozenset(
        each.name for each in functions if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
    )


each_hazard = pytest.mark.parametrize("hazard", hazards(), ids=lambda each: each.id)
each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda each: each.name)


def test_the_hazards_are_numbered_one_after_the_other() -> None:
    assert [each.id for each in hazards()] == [f"H{n:02}" for n in range(1, len(hazards()) + 1)]
    assert HAZARD_LOG.count("\n### ") == len(hazards()) >= 20


@each_hazard
def test_a_hazard_says_everything_that_a_hazard_has_to(hazard: Hazard) -> None:
    assert hazard.rows.keys() == MEMBERS


@each_hazard
def test_a_hazard_has_controls_in_code_or_plans_and_a_test_that_shows_them(hazard: Hazard) -> None:
    assert CODE.search(hazard.rows["controls"])
    assert TEST.search(hazard.rows["shown by"])


@each_hazard
def test_a_risk_is_that_of_the_matrix_and_the_controls_bring_it_down_to_an_acceptable_one(
    hazard: Hazard,
) -> None:
    before, after = scores(hazard)

    for score in (before, after):
        assert MATRIX[score.likelihood][SEVERITIES.index(score.severity)] == score.risk
    assert after.risk <= min(before.risk, HIGHEST_RESIDUAL)
    assert (before.severity, before.likelihood) != (after.severity, after.likelihood)


def test_the_matrix_of_the_log_is_the_one_that_is_reckoned_with() -> None:
    rows = re.findall(r"^\| ([A-Z][a-z ]+) \|((?: \d \|){5})$", HAZARD_LOG, re.MULTILINE)

    assert {name: tuple(map(int, re.findall(r"\d", cells))) for name, cells in rows} == MATRIX


@each_document
def test_every_test_that_a_document_names_exists(document: Path) -> None:
    named = TEST.findall(document.read_text())

    assert [f"{file}::{name}" for file, name in named if name not in names_in(file)] == []


@each_document
def test_every_path_that_a_document_names_exists(document: Path) -> None:
    named = CODE.findall(document.read_text())
    paths = [ROOT / ours if ours else SAFETY / link for ours, link in named]

    assert paths
    assert [str(path) for path in paths if not path.exists()] == []


def funded_by_a_health_plan() -> dict[str, Any]:
    payer = {"system": "https://funding-policies.example/fhir/Id/payer", "value": "centene"}
    return bundle(
        {
            "resourceType": "Coverage",
            "id": "coverage-1",
            "status": "active",
            "beneficiary": {"reference": "Patient/p1"},
            "payor": [{"identifier": payer}],
        }
    )


@pytest.mark.parametrize(
    ("conditions", "answered", "outcome"),
    [
        ([condition(HIV)], {}, "eligible"),
        ([condition(HIV, "provisional")], {"hivDiagnosis": True}, "eligible"),
        ([condition(HIV)], {"hivDiagnosis": False}, "not-normally-funded"),
        ([], {"genderDysphoria": True}, "redirect"),
    ],
    ids=["in the record", "answered", "answered against the record", "another sensitive question"],
)
def test_what_is_known_of_a_sensitive_question_stands_on_no_card_and_no_page(
    client: TestClient,
    caplog: pytest.LogCaptureFixture,
    conditions: list[dict[str, Any]],
    answered: dict[str, Any],
    outcome: str,
) -> None:
    others = {"lineOfBusiness": "commercial", "facialLipodystrophy": True, "recordsAttached": True}
    form = answers("centene-cosmetic-reconstructive", **others, photographs="attached", **answered)
    request = hook_request(
        order(FILLER, HCPCS),
        **everything_read(
            coverages=funded_by_a_health_plan(),
            conditions=bundle(*conditions),
            questionnaireResponses=bundle(form),
        ),
    )
    caplog.set_level("DEBUG")

    (card,) = client.post(HOOK, json=request).json()["cards"]

    page = client.get(f"/decisions/{card['uuid']}", headers={"Accept": "text/html"})
    assert card["extension"]["cds-service.determination"]["outcome"] == outcome
    shown = {name: value for name, value in card.items() if name != "extension"}
    assert "not shown here" in card["detail"]
    assert TELLING.findall(str(shown)) == []
    assert page.status_code == 200
    assert TELLING.findall(page.text) == []
    assert TELLING.findall(caplog.text) == []


def test_no_title_description_or_label_of_a_rule_names_what_a_sensitive_question_asks() -> None:
    policies = [
        policy
        for policy in load_library((ROOT / "plans",)).policies
        if any(criterion.sensitive for criterion in policy.criteria)
    ]
    texts = [
        text
        for policy in policies
        for text in (
            *(part for rule in policy.rules for part in (rule.title, rule.description)),
            *(criterion.name for criterion in policy.criteria),
        )
    ]

    assert texts
    assert [text for text in texts if TELLING.search(text)] == []
