"""What a plan declares to read is all that it sees: deciding on that alone equals deciding on the whole record."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cds_service.hooks.cards import determination_extension
from cds_service.policies.cases import Case, read_cases
from cds_service.policies.determination import determination
from cds_service.policies.findings import Findings, Situation
from cds_service.policies.library import load_library
from cds_service.policies.policy import Policy
from cds_service.record.orders import procedure_orders
from cds_service.record.patient_record import PatientRecord, QueryAnswer

ROOT = Path(__file__).parents[2]
LIBRARY = load_library([ROOT / "plans"])
PATIENTS = sorted((ROOT / "fhir_fixtures" / "patients").glob("*.json"))


def decided(policy: Policy, situation: Situation) -> dict[str, Any]:
    """The determination as software reads it."""
    determined = determination(policy, Findings(policy, situation), LIBRARY.questions[policy.canonical])
    return determination_extension(determined, situation.order, "id")


def whole_record(file: Path) -> PatientRecord:
    """Everything that a fixture holds of its patient, under every query that any plan knows and one that none does."""
    resources = [entry["resource"] for entry in json.loads(file.read_text())["entry"]]
    patient = next(each for each in resources if each["resourceType"] == "Patient")
    types = {key: query.replace("/", "?").partition("?")[0] for key, query in LIBRARY.queries.items()}
    answers = {
        key: QueryAnswer(tuple(each for each in resources if each["resourceType"] == kind))
        for key, kind in (types | {"observations": "Observation"}).items()
    }
    return PatientRecord(patient["id"], patient, answers)


def declared_only(record: PatientRecord, policy: Policy) -> PatientRecord:
    """The part of a record that a policy's Questionnaire declares to read."""
    answers = {key: answer for key, answer in record.answers.items() if key in policy.queries}
    return replace(record, answers=answers)


@pytest.mark.parametrize("file", PATIENTS, ids=lambda file: file.stem)
@pytest.mark.parametrize("policy", LIBRARY.policies, ids=lambda policy: policy.id)
def test_a_fixture_patient_is_decided_alike(policy: Policy, file: Path) -> None:
    record = whole_record(file)
    system, code = min(policy.codes, default=("", "none"))
    (order,) = procedure_orders(
        [
            {
                "resourceType": "ServiceRequest",
                "id": "o",
                "code": {"coding": [{"system": system, "code": code}]},
            }
        ]
    )
    situation = Situation(order, record, None, datetime(2026, 11, 22, 12, tzinfo=UTC))

    assert decided(policy, replace(situation, record=declared_only(record, policy))) == decided(
        policy, situation
    )


@pytest.mark.parametrize(
    ("policy", "case"),
    [
        pytest.param(policy, case, id=f"{policy.id}/{case.file.stem}")
        for policy in LIBRARY.policies
        for case in read_cases(policy.folder)[::10]
    ],
)
def test_a_case_is_decided_alike_beside_records_that_the_plan_does_not_read(
    policy: Policy, case: Case
) -> None:
    more = {
        "observations": QueryAnswer(({"resourceType": "Observation", "id": "x"},)),
        **case.situation.record.answers,
    }
    beside = replace(case.situation, record=replace(case.situation.record, answers=more))

    assert decided(policy, beside) == decided(policy, case.situation)


@pytest.mark.parametrize("policy", LIBRARY.policies, ids=lambda policy: policy.id)
def test_every_query_that_a_proof_can_touch_is_declared(policy: Policy) -> None:
    touched = frozenset().union(*(criterion.queries for criterion in policy.criteria))

    assert touched - {"patient"} <= policy.queries.keys()
