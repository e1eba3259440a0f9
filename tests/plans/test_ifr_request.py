"""The shared form of an individual request: what it asks, what it fills in, and what it never does."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.guidanceresponse import GuidanceResponse

from cds_service.fhir_api.apply import applied
from cds_service.policies.determination import Determination, determination
from cds_service.policies.domains import Value
from cds_service.policies.findings import Answers, Findings, Situation
from cds_service.policies.library import load_library
from cds_service.policies.policy import Policy
from cds_service.questionnaires.enablement import enabled
from cds_service.questionnaires.form import prepared
from cds_service.questionnaires.funding_request import FundingRequest, funding_document
from cds_service.questionnaires.funding_request_guidance import evidence, guidance, policy_name
from cds_service.questionnaires.items import by_link_id, response_items
from cds_service.questionnaires.population import Populated, populated
from cds_service.questionnaires.sight import Launch, Sight
from cds_service.record.orders import procedure_orders
from cds_service.record.patient_record import NOT_SENT, PatientRecord, QueryAnswer

ROOT = Path(__file__).parents[2]
LIBRARY = load_library([ROOT / "plans"])
(SHARED,) = LIBRARY.forms
FORM = prepared(SHARED.questionnaire)
ITEMS = by_link_id(SHARED.questionnaire)
PATIENTS = sorted((ROOT / "fhir_fixtures" / "patients").glob("*.json"))
# The applicant's own words, whatever the record holds.
OWN_WORDS = ("exceptionality", "necessity")
CODES = "https://funding-policies.example/fhir/CodeSystem/ifr-request"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
Content = dict[str, Any]
ORDER: Content = {
    "resourceType": "ServiceRequest",
    "id": "order-1",
    "status": "draft",
    "intent": "order",
    "code": {
        "coding": [{"system": "https://fhir.hl7.org.uk/CodeSystem/OPCS-4", "code": "B31.3"}],
        "text": "Mastopexy",
    },
    "subject": {"reference": "Patient/derby-earlier-symmetry-operation"},
    "reasonCode": [{"text": "Asymmetry after mastectomy"}],
    "performer": [{"display": "Example hospital"}],
    "occurrenceDateTime": "2026-12-10T09:00:00Z",
}
USER: Content = {
    "resourceType": "Practitioner",
    "id": "example-gp",
    "name": [{"prefix": ["Dr"], "given": ["Sam"], "family": "Example"}],
    "identifier": [{"system": "https://fhir.hl7.org.uk/Id/gmc-number", "value": "9999999"}],
    "telecom": [{"system": "phone", "value": "555"}, {"system": "email", "value": "sam@example.org"}],
}


def record(file: Path) -> list[Content]:
    return [entry["resource"] for entry in json.loads(file.read_text())["entry"]]


def launch(resources: list[Content], unread: tuple[str, ...] = (), **contexts: Content) -> Launch:
    """The form opened on a whole record, but for the queries that are ``unread``."""
    queries = {
        name: NOT_SENT
        if name in unread
        else QueryAnswer(tuple(each for each in resources if each["resourceType"] == query.partition("?")[0]))
        for name, query in SHARED.queries.items()
    }
    patient = next(each for each in resources if each["resourceType"] == "Patient")
    return Launch(
        now=NOW,
        subject=f"Patient/{patient['id']}",
        contexts={"patient": patient, "clinical": ORDER, "user": USER, **contexts},
        queries=queries,
        member_of=SHARED.value_sets.has_member,
        options=lambda _: None,
        resolve=lambda _: None,
    )


def filled(file: Path, unread: tuple[str, ...] = (), **contexts: Content) -> Populated:
    return populated(FORM, launch(record(file), unread, **contexts))


def answers(found: Populated) -> dict[str, list[Any]]:
    """The values filled in, by linkId; an option by its code."""
    return {
        item["linkId"]: [_value(answer) for answer in item["answer"]]
        for _, item in response_items(found.response)
        if "answer" in item
    }


def _value(answer: Content) -> Any:
    value = next(value for name, value in answer.items() if name.startswith("value"))
    return value["code"] if isinstance(value, dict) else value


def fixture(name: str) -> Path:
    return ROOT / "fhir_fixtures" / "patients" / f"{name}.json"


def whole(item: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield item
    for each in item.get("item", ()):
        yield from whole(each)


def test_the_sections_are_those_that_funders_ask() -> None:
    assert [each["text"] for each in SHARED.questionnaire["item"]] == [
        "The request",
        "Applicant",
        "Patient",
        "Consent",
        "Diagnosis and history",
        "Intervention requested",
        "Policy",
        "Previous and current treatment",
        "Usual pathway",
        "Exceptionality",
        "Medical necessity",
        "Evidence",
        "Expected benefit",
        "For some procedures",
        "Sign-off by the trust",
        "Declaration",
    ]


@pytest.mark.parametrize(
    ("section", "has_required"),
    [
        ("request", True),
        ("applicant", True),
        ("patient", True),
        ("consent", True),
        ("clinical", False),
        ("intervention", True),
        ("policy", True),
        ("treatment", False),
        ("pathway", False),
        ("exceptionality", True),
        ("necessity", True),
        ("evidence", False),
        ("outcome", False),
        ("procedure", False),
        ("signOff", False),
        ("declaration", True),
    ],
)
def test_what_funders_always_ask_is_required(section: str, has_required: bool) -> None:
    assert any(item.get("required") for item in whole(ITEMS[section])) is has_required


def test_the_record_fills_in_what_it_knows() -> None:
    assert answers(filled(fixture("derby-after-mastectomy"))) == {
        "requestKind": ["ifr"],
        "applicantName": ["Dr Sam Example"],
        "applicantRegistration": ["9999999"],
        "applicantEmail": ["sam@example.org"],
        "applicantTelephone": ["555"],
        "applicationDate": ["2026-11-22"],
        "patientIdentifier": ["9990001014"],
        "patientInitials": ["AT"],
        "patientBirthDate": ["1968-05-14"],
        "patientPractice": ["Example practice A"],
        "funder": ["NHS Derby and Derbyshire"],
        "diagnosis": ["Asymmetry after mastectomy"],
        "comorbidities": ["High blood pressure", "Underactive thyroid"],
        "bodyMassIndex": [26.6],
        "bodyMassIndexDate": ["2025-11-03"],
        "smoking": ["Never smoked"],
        "procedureName": ["Mastopexy"],
        "procedureCode": ["B31.3"],
        "provider": ["Example hospital"],
        "startDate": ["2026-12-10"],
        "recordedOperations": [
            "Appendix removed (1990-07)",
            "Mastectomy, left (2023-03-27)",
            "Reconstruction of the left breast with an abdominal flap (2024-06-10)",
        ],
    }


@pytest.mark.parametrize("section", OWN_WORDS)
def test_no_expression_and_no_default_stands_on_the_applicants_own_words_or_on_their_section(
    section: str,
) -> None:
    assert section in {each["linkId"] for each in SHARED.questionnaire["item"]}
    for item in whole(ITEMS[section]):
        assert "initial" not in item
        assert not [each for each in item.get("extension", ()) if "xpression" in each["url"]]
        assert not [each for each in item.get("answerOption", ()) if each.get("initialSelected")]


@pytest.mark.parametrize("file", PATIENTS, ids=lambda file: file.stem)
def test_whatever_the_record_holds_the_applicants_own_words_stay_open(file: Path) -> None:
    found = answers(filled(file))

    own = {item["linkId"] for section in OWN_WORDS for item in whole(ITEMS[section])}
    assert own & found.keys() == set()
    assert "procedureName" in found


@pytest.mark.parametrize("link_id", ["declared", "declaredBy", "consentToRequest", "consentToSharing"])
def test_nobody_agrees_or_declares_by_default(link_id: str) -> None:
    assert "extension" not in ITEMS[link_id] or "initialExpression" not in json.dumps(ITEMS[link_id])
    assert link_id not in answers(filled(fixture("derby-after-mastectomy")))


@pytest.mark.parametrize(
    ("query", "link_ids"),
    [
        ("conditions", {"comorbidities"}),
        ("procedures", {"recordedOperations"}),
        ("measurements", {"bodyMassIndex", "bodyMassIndexDate", "smoking"}),
        ("coverages", {"funder"}),
        ("medicationRequests", set()),
    ],
)
def test_what_was_not_read_is_left_open_and_nothing_else(query: str, link_ids: set[str]) -> None:
    whole_record = answers(filled(fixture("derby-after-mastectomy")))
    found = filled(fixture("derby-after-mastectomy"), unread=(query,))

    assert whole_record.keys() - answers(found).keys() == link_ids
    assert link_ids <= {issue.link_id for issue in found.issues}


def apply_derby() -> tuple[Determination, Content]:
    """What Derby's policy says of the fixture's patient, and as the GuidanceResponse that the form is opened with."""
    (policy,) = (each for each in LIBRARY.policies if each.id == "derby-mastopexy")
    (order,) = procedure_orders([ORDER | {"authoredOn": "2026-11-20"}])
    resources = record(fixture("derby-earlier-symmetry-operation"))
    patient = next(each for each in resources if each["resourceType"] == "Patient")
    read = {
        name: QueryAnswer(
            tuple(each for each in resources if each["resourceType"] == query.partition("?")[0])
        )
        for name, query in policy.queries.items()
    }
    shown_record = PatientRecord(patient["id"], patient, read)
    values: dict[str, Value | None] = {"reconstructionPurpose": "opposite-breast"}
    situation = Situation(order, shown_record, Answers(None, None, values), NOW)
    determined = determination(policy, Findings(policy, situation), LIBRARY.questions[policy.canonical])
    subject = f"Patient/{patient['id']}"
    return determined, dict(guidance(applied(policy, determined, order, subject, NOW)))


def test_the_determination_fills_in_the_policy_and_its_clauses() -> None:
    determined, context = apply_derby()

    found = answers(filled(fixture("derby-earlier-symmetry-operation"), determination=context))

    GuidanceResponse.model_validate(json.loads(json.dumps(context)))
    policy = determined.policy
    assert found["policyTitle"] == [f"{policy.title} ({policy.canonical})"]
    assert found["policyOutcome"] == [rule.title for rule in determined.speaking]
    assert found["policyClauses"] == [each.label for each in determined.citations]
    assert "criterionNotMet" not in found
    assert "id" not in context
    assert policy_name(context) == found["policyTitle"][0]


def test_from_the_record_through_the_form_to_a_valid_document() -> None:
    determined, context = apply_derby()
    populated_form = filled(fixture("derby-earlier-symmetry-operation"), determination=context)
    made = FundingRequest(
        questionnaire=SHARED.questionnaire,
        response={**populated_form.response, "status": "completed"},
        order=procedure_orders([ORDER])[0],
        determination=context,
        evidence=evidence(determined),
        given=(),
        server="https://ehr.example/fhir",
    )

    document = funding_document(made, NOW, lambda: str(uuid4()))

    Bundle.model_validate(json.loads(json.dumps(document)))
    listed = [each["resource"] for each in document["entry"] if each["resource"]["resourceType"] == "List"]
    references = [each["item"]["reference"] for each in listed[0]["entry"]]
    assert references
    assert all(each.startswith("https://ehr.example/fhir/") for each in references)
    assert f"{determined.policy.title} ({determined.policy.canonical})" in json.dumps(document)


def condition(verification: str, clinical: str) -> Content:
    return {
        "resourceType": "Condition",
        "code": {"text": "Asthma"},
        "verificationStatus": {"coding": [{"code": verification}]},
        "clinicalStatus": {"coding": [{"code": clinical}]},
    }


@pytest.mark.parametrize(
    ("resource", "link_id", "found"),
    [
        (condition("confirmed", "active"), "comorbidities", ["Asthma"]),
        (condition("confirmed", "relapse"), "comorbidities", ["Asthma"]),
        (condition("confirmed", "resolved"), "comorbidities", None),
        (condition("provisional", "active"), "comorbidities", None),
        (condition("refuted", "active"), "comorbidities", None),
        (
            {"resourceType": "Procedure", "status": "completed", "code": {"text": "Repair"}},
            "recordedOperations",
            ["Repair"],
        ),
        (
            {"resourceType": "Procedure", "status": "not-done", "code": {"text": "Repair"}},
            "recordedOperations",
            None,
        ),
        (
            {
                "resourceType": "MedicationRequest",
                "status": "stopped",
                "authoredOn": "2025-01",
                "medicationCodeableConcept": {"coding": [{"display": "Naproxen"}]},
            },
            "recordedMedicines",
            ["Naproxen (2025-01)"],
        ),
        (
            {
                "resourceType": "MedicationRequest",
                "status": "draft",
                "medicationCodeableConcept": {"text": "Naproxen"},
            },
            "recordedMedicines",
            None,
        ),
        (
            {"resourceType": "Coverage", "status": "cancelled", "payor": [{"display": "Plan"}]},
            "funder",
            None,
        ),
        (
            {
                "resourceType": "Observation",
                "status": "final",
                "effectiveDateTime": "2026-01-01",
                "code": {"text": "Smoking"},
                "valueCodeableConcept": {"text": "Never smoked"},
            },
            "smoking",
            None,
        ),
    ],
)
def test_only_what_holds_is_filled_in(resource: Content, link_id: str, found: list[str] | None) -> None:
    patient: Content = {"resourceType": "Patient", "id": "p"}

    assert answers(populated(FORM, launch([patient, resource]))).get(link_id) == found


@pytest.mark.parametrize(
    ("born", "found"),
    [("2008-11-22", [True]), ("2008-11-23", [False]), ("2008", None), ("2007", [True]), ("2009", [False])],
)
def test_whether_the_patient_is_an_adult_is_known_from_the_birthday(
    born: str, found: list[bool] | None
) -> None:
    resources: list[Content] = [{"resourceType": "Patient", "id": "p", "birthDate": born}]
    opened = launch(resources)
    item = FORM.by_link_id["adult"]
    assert item.initial is not None

    sight = Sight.of_form(FORM, opened, {"resourceType": "QuestionnaireResponse"})

    assert sight.results(item.initial) == (found or [])


def measured(value: Content, **members: Any) -> Content:
    code = {"coding": [{"system": "http://loinc.org", "code": "39156-5"}]}
    usual = {
        "resourceType": "Observation",
        "status": "final",
        "effectiveDateTime": "2026-01-01",
        "code": code,
    }
    return {**usual, "valueQuantity": value, **members}


@pytest.mark.parametrize(
    ("observations", "found"),
    [
        ([measured({"value": 31.5, "code": "kg/m2"})], [31.5]),
        (
            [
                measured({"value": 31.5, "code": "kg/m2"}),
                measured({"value": 29, "code": "kg/m2"}, effectiveDateTime="2026-02-01T08:00:00Z"),
                measured({"value": 33, "code": "kg/m2"}, effectiveDateTime="2025-12-31"),
            ],
            [29],
        ),
        ([measured({"value": 31.5, "code": "kg"})], None),
        ([measured({"value": 31.5, "code": "kg/m2", "comparator": "<"})], None),
        ([measured({"value": 31.5, "code": "kg/m2"}, status="entered-in-error")], None),
        ([measured({"value": 31.5, "code": "kg/m2"}, status="preliminary")], None),
        ([measured({"value": 31.5, "code": "kg/m2"}, code={"text": "Body mass index"})], None),
    ],
)
def test_the_body_mass_index_is_the_latest_final_one_in_its_unit(
    observations: list[Content], found: list[float] | None
) -> None:
    patient: Content = {"resourceType": "Patient", "id": "p"}

    assert answers(populated(FORM, launch([patient, *observations]))).get("bodyMassIndex") == found


def test_a_patient_of_a_health_plan_is_known_by_the_member_number_and_the_kind_of_request_is_asked() -> None:
    patient: Content = {"resourceType": "Patient", "id": "p", "birthDate": "1990"}
    cover = {
        "resourceType": "Coverage",
        "status": "active",
        "subscriberId": "M1",
        "payor": [{"display": "Plan"}],
    }

    found = answers(populated(FORM, launch([patient, cover])))

    assert (found["patientIdentifier"], found["funder"]) == (["M1"], ["Plan"])
    assert "requestKind" not in found


def chosen(link_id: str, code: str) -> Content:
    return {"linkId": link_id, "answer": [{"valueCoding": {"system": CODES, "code": code}}]}


def shown(*items: Content) -> frozenset[str]:
    """The linkIds that a form with these answers shows."""
    sections = [
        {
            "linkId": section["linkId"],
            "item": [each for each in items if each["linkId"] in {one["linkId"] for one in section["item"]}],
        }
        for section in SHARED.questionnaire["item"]
    ]
    response = {"resourceType": "QuestionnaireResponse", "status": "in-progress", "item": sections}
    return frozenset(enabled(FORM, response, launch([{"resourceType": "Patient", "id": "p"}])).link_ids)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (None, {"exceptionality", "nice"}),
        ("ifr", {"exceptionality", "nice"}),
        ("medical-necessity-review", {"necessity", "peerToPeer"}),
        ("appeal", {"necessity", "peerToPeer", "decisionReference"}),
    ],
)
def test_each_kind_of_request_asks_its_own(kind: str | None, expected: set[str]) -> None:
    own = {"exceptionality", "nice", "necessity", "peerToPeer", "decisionReference"}

    found = shown(*([chosen("requestKind", kind)] if kind else []))

    assert found & own == expected


@pytest.mark.parametrize(
    ("answered", "block", "is_shown"),
    [
        ([], "breast", False),
        ([chosen("procedureGroup", "breast")], "breast", True),
        ([chosen("procedureGroup", "skin")], "breast", False),
        ([chosen("procedureGroup", "skin")], "skin", True),
        ([], "timescaleReason", False),
        ([chosen("timescale", "routine")], "timescaleReason", False),
        ([chosen("timescale", "urgent")], "timescaleReason", True),
        ([chosen("timescale", "immediate")], "timescaleReason", True),
        ([chosen("requestReason", "no-policy")], "criterionNotMet", False),
        ([chosen("requestReason", "criteria-not-met")], "criterionNotMet", True),
        ([chosen("applicantSetting", "primary-care")], "signOff", False),
        ([chosen("applicantSetting", "secondary-care")], "signOff", True),
        ([chosen("applicantSetting", "secondary-care"), chosen("requestKind", "appeal")], "signOff", False),
    ],
)
def test_a_question_is_asked_where_it_matters(answered: list[Content], block: str, is_shown: bool) -> None:
    assert (block in shown(*answered)) is is_shown


@pytest.mark.parametrize("policy", LIBRARY.policies, ids=lambda policy: policy.id)
def test_every_funding_policy_leads_to_the_form_and_says_who_applies(policy: Policy) -> None:
    if policy.is_advice:
        assert policy.route is None
        return
    assert policy.route is not None
    assert policy.route.form is not None
    assert LIBRARY.form(policy.route.form) is SHARED
    assert policy.route.applicants


def test_no_query_of_the_form_is_read_by_the_hook_for_its_own_sake() -> None:
    read = {name for policy in LIBRARY.policies for name in policy.queries}

    assert {"medicationRequests", "measurements"} <= SHARED.queries.keys()
    assert {"medicationRequests", "measurements"} & (LIBRARY.queries.keys() | read) == set()
