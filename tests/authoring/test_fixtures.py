"""Policies of other fields: they load, their cases cover them, and the running service answers by them."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from cds_service.app import create_app
from cds_service.policies.analysis import weaknesses
from cds_service.policies.cases import Case, read_cases, run_case, uncovered
from cds_service.policies.policy import Policy
from cds_service.record.codes import SNOMED
from cds_service.settings import Settings
from tests.authoring.small_policies import FIXTURES, fixtures
from tests.hook_requests import OPCS4, answers, bundle, hook_request, order, patient

ROOT = Path(__file__).parents[2]
VERIFIED = ROOT.parent / "shared" / "codes" / "verified-codes.csv"
POLICY = "example-tonsillectomy"
ICD10 = "http://hl7.org/fhir/sid/icd-10"
LIBRARY = fixtures()
CASES = [
    pytest.param(policy, case, id=f"{policy.id}/{case.file.stem}")
    for policy in LIBRARY.policies
    for case in read_cases(policy.folder)
]


@pytest.mark.parametrize(("policy", "case"), CASES)
def test_a_case_is_decided_as_it_expects(policy: Policy, case: Case) -> None:
    assert run_case(case, policy, LIBRARY).faults == ()


@pytest.mark.parametrize("policy", LIBRARY.policies, ids=lambda policy: policy.id)
def test_every_rule_and_every_value_has_a_case_and_none_is_idle(policy: Policy) -> None:
    results = [run_case(case, policy, LIBRARY) for case in read_cases(policy.folder)]

    assert list(uncovered(policy, results)) == []
    assert list(weaknesses(policy)) == []


@pytest.mark.skipif(not VERIFIED.exists(), reason="the list of verified codes lies beside the project")
def test_every_snomed_code_is_verified() -> None:
    codes = {
        code for policy in LIBRARY.policies for each in policy.value_sets.codes.values() for code in each
    }
    with VERIFIED.open() as file:
        verified = {row["code"] for row in csv.DictReader(file) if row["status"].startswith("VERIFIED")}

    assert {code for system, code in codes if system == SNOMED} <= verified


def test_nothing_in_python_knows_these_policies() -> None:
    source = "\n".join(file.read_text() for file in (ROOT / "cds_service").rglob("*.py"))

    assert not re.search(
        r"tonsil|sore throat|body mass|F34|J03|39156|episodesLastYear", source, re.IGNORECASE
    )


@pytest.fixture
def service(tmp_path: Path) -> Iterator[TestClient]:
    """The service on the fixture plans, where it is noon on 22 November 2026."""
    settings = Settings(plans=(FIXTURES,), database_url=f"sqlite:///{tmp_path / 'decisions.db'}")
    app = create_app(settings, clock=lambda: datetime(2026, 11, 22, 12, tzinfo=UTC))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def determination(service: TestClient, **prefetch: Any) -> dict[str, Any]:
    """What the one card for a tonsillectomy says."""
    read = {"patient": patient("EXPRACTICE"), "coverages": bundle(), "questionnaireResponses": bundle()}
    request = hook_request(
        order("F34.1", OPCS4, authoredOn="2026-11-20"), **{**read, "conditions": bundle(), **prefetch}
    )
    response = service.post("/cds-services/procedure-funding", json=request)
    (card,) = response.json()["cards"]
    found: dict[str, Any] = card["extension"]["cds-service.determination"]
    return found


def episode(day: str) -> dict[str, Any]:
    """A confirmed acute tonsillitis."""
    status = {"system": "http://terminology.hl7.org/CodeSystem/condition-ver-status", "code": "confirmed"}
    return {
        "resourceType": "Condition",
        "id": f"c-{day}",
        "subject": {"reference": "Patient/p1"},
        "verificationStatus": {"coding": [status]},
        "code": {"coding": [{"system": ICD10, "code": "J03.9"}]},
        "onsetDateTime": day,
    }


def test_the_service_asks_what_only_a_clinician_knows(service: TestClient) -> None:
    found = determination(service)

    assert found["status"] == "undetermined"
    assert found["possibleOutcomes"] == ["eligible", "not-normally-funded"]
    assert found["outstanding"][:2] == ["tonsillitis", "disabling"]


def test_the_service_decides_by_the_record_and_the_form_together(service: TestClient) -> None:
    episodes = bundle(*(episode(f"2026-0{month}-10") for month in range(1, 8)))
    form = bundle(answers(POLICY, tonsillitis=True, disabling=True))

    found = determination(service, conditions=episodes, questionnaireResponses=form)

    assert found["outcome"] == "eligible"
    assert [citation["label"] for citation in found["citations"]] == ["T1", "T2", "T3"]
    assert {each["criterion"]: each["origin"] for each in found["findings"]}["episodesLastYear"] == "record"


def test_the_service_says_when_the_threshold_is_not_met(service: TestClient) -> None:
    counts = {"episodesLastYear": 4, "episodesYearBefore": 4, "episodesTwoYearsBefore": 2}
    form = bundle(answers(POLICY, tonsillitis=True, disabling=True, **counts))

    assert determination(service, questionnaireResponses=form)["outcome"] == "not-normally-funded"


def test_the_case_files_are_json_that_people_can_read() -> None:
    files = list(FIXTURES.rglob("*.json"))

    assert files
    assert [file.name for file in files if max(map(len, file.read_text().splitlines())) > 400] == []
    assert all(json.loads(file.read_text()) for file in files)
