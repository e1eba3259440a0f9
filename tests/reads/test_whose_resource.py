"""Whose a resource is: told by its reference to the patient, however that is written, and never guessed from its looks."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.record.patient_record import query_answer
from cds_service.record.resources import logical_id

REFERENCES = [
    ("Patient/1", "1"),
    ("1", "1"),
    ("https://ehr.example/fhir/Patient/1", "1"),
    ("Patient/1/_history/2", "1"),
    ("https://ehr.example/fhir/Patient/1/_history/2", "1"),
    ("Patient/1/", "1"),
    ("Patient/a/b", "b"),
    ("/", ""),
    ("", ""),
]


@pytest.mark.parametrize(("reference", "expected"), REFERENCES)
def test_a_reference_ends_in_the_id_of_what_it_names(reference: str, expected: str) -> None:
    assert logical_id(reference) == expected


def kept(patient_id: str, **elements: Any) -> int:
    """How many of one Condition are taken for the patient's."""
    entry = {"resource": {"resourceType": "Condition", **elements}}
    return len(query_answer({"resourceType": "Bundle", "entry": [entry]}, "Condition", patient_id).resources)


@pytest.mark.parametrize("element", ["subject", "patient", "beneficiary"])
@pytest.mark.parametrize(
    ("patient_id", "reference", "expected"),
    [
        ("1", "Patient/1", 1),
        ("1", "https://ehr.example/fhir/Patient/1/_history/2", 1),
        ("1", "Patient/2", 0),
        ("1", "Patient/11", 0),
        # An id that cannot be told from a reference to it names nobody's resource, whatever the reference looks like.
        ("a/b", "Patient/a/b", 0),
        ("1/_history/2", "Patient/1/_history/2", 0),
    ],
)
def test_a_resource_is_the_patients_when_its_reference_ends_in_the_patients_id(
    element: str, patient_id: str, reference: str, expected: int
) -> None:
    assert kept(patient_id, **{element: {"reference": reference}}) == expected


@pytest.mark.parametrize(
    "subject", [None, "Patient/2", [{"reference": "Patient/2"}], {}, {"reference": ["x"]}]
)
def test_a_resource_that_names_no_patient_is_kept_as_it_came_with_the_record(subject: object) -> None:
    assert kept("1", subject=subject) == 1


def test_a_patient_is_told_by_its_own_id_and_not_by_a_subject() -> None:
    entry = {"resourceType": "Patient", "id": "2", "subject": {"reference": "Patient/1"}}

    assert query_answer(
        {"resourceType": "Bundle", "entry": [{"resource": entry}]}, "Patient", "1"
    ).refused == ("a Patient of another patient",)


@pytest.mark.parametrize("severity", ["error", "fatal"])
@pytest.mark.parametrize("first", [True, False])
def test_a_failure_among_the_entries_makes_the_whole_answer_unread(severity: str, first: bool) -> None:
    condition = {"resource": {"resourceType": "Condition", "subject": {"reference": "Patient/1"}}}
    failure = {"resource": {"resourceType": "OperationOutcome", "issue": [{"severity": severity}]}}
    entries = [failure, condition] if first else [condition, failure]

    answer = query_answer({"resourceType": "Bundle", "entry": entries}, "Condition", "1")

    assert (answer.resources, answer.not_read) == ((), "the client could read it only in part")
