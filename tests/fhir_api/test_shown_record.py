"""Which queries a call answers, and which it leaves unread."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.fhir_api.shown_record import Shown, record_shown
from tests.hook_requests import bundle, condition, patient

QUERIES = {
    "conditions": "Condition?patient={{%patient.id}}",
    "weights": "Observation?patient={{%patient.id}}&code=http://loinc.org|29463-7",
}
WEIGHT = {"resourceType": "Observation", "id": "o", "subject": {"reference": "Patient/p1"}}


@pytest.mark.parametrize(
    ("data", "complete", "named", "why"),
    [
        (None, False, {}, "not sent"),
        (None, True, {}, "not sent"),
        (bundle(), False, {}, "not sent"),
        (bundle(), True, {}, None),
        (bundle(condition("1")), False, {}, None),
        (bundle(patient()), False, {}, "not sent"),
        (bundle(condition("1", subject={"reference": "Patient/p2"})), False, {}, "not sent"),
        (bundle(condition("1"), patient(), total=3), False, {}, "only 1 of 2 entries were sent"),
        (bundle(condition("1"), patient(), total=3), True, {}, "only 1 of 2 entries were sent"),
        (bundle(condition("1"), patient(), total=1), False, {}, None),
        (
            bundle(
                condition("1"),
                {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "forbidden"}]},
            ),
            False,
            {},
            "the client could read it only in part",
        ),
        (bundle(link=[{"relation": "next", "url": "x"}]), True, {}, "only the first page was sent"),
        (None, False, {"conditions": bundle()}, None),
        (None, False, {"conditions": None}, None),
        (
            bundle(condition("1")),
            True,
            {"conditions": {"resourceType": "OperationOutcome"}},
            "the client could not read it",
        ),
    ],
)
def test_a_query_is_read_when_its_answer_is_shown_whole(
    data: dict[str, Any] | None, complete: bool, named: dict[str, object], why: str | None
) -> None:
    record = record_shown("p1", QUERIES, Shown(data, complete, named))

    assert record.answer("conditions").not_read == why


def test_a_query_of_some_of_a_type_is_answered_by_its_name_alone() -> None:
    from_data = record_shown("p1", QUERIES, Shown(bundle(WEIGHT), complete=True, named={}))
    by_name = record_shown("p1", QUERIES, Shown(None, complete=False, named={"weights": bundle(WEIGHT)}))

    assert from_data.answer("weights").not_read == "not sent"
    assert by_name.answer("weights").resources == (WEIGHT,)


def test_the_patient_is_the_one_of_the_call() -> None:
    other = patient() | {"id": "p2"}

    assert record_shown("p1", {}, Shown(bundle(patient()), complete=False, named={})).patient == patient()
    assert record_shown("p1", {}, Shown(bundle(other), complete=False, named={})).patient is None
    assert record_shown("p1", {}, Shown(None, complete=False, named={"patient": other})).patient is None
