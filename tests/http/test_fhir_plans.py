"""``PlanDefinition/$apply`` and ``$data-requirements``, and ``Questionnaire/$questionnaire-package``."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from fhir.resources.R4B import get_fhir_model_class

from tests.hook_requests import answers, bundle, condition, order, patient
from tests.http.fhir_operations import (
    FIXTURES,
    answered,
    complete,
    first_order,
    fixture,
    output,
    parameters,
    posted,
    refusal,
    resource,
    subject,
    whole_record,
)

POLICY = "derby-mastopexy"
PLAN = f"https://funding-policies.example/fhir/PlanDefinition/{POLICY}"
FORM = f"https://funding-policies.example/fhir/Questionnaire/{POLICY}"
APPLY = f"PlanDefinition/{POLICY}/$apply"
PACKAGE = "Questionnaire/$questionnaire-package"
CANCER = condition("254837009")


def prefetched(key: str, data: dict[str, Any] | None) -> dict[str, Any]:
    """The answer to a query under its prefetch key."""
    found = [] if data is None else [{"name": "data", "resource": data}]
    return {"name": "prefetchData", "part": [{"name": "key", "valueString": key}, *found]}


def contained(care_plan: dict[str, Any], kind: str) -> dict[str, Any]:
    """The contained resource of a type."""
    (found,) = (each for each in care_plan["contained"] if each["resourceType"] == kind)
    get_fhir_model_class(kind).model_validate(found)
    result: dict[str, Any] = found
    return result


def said(care_plan: dict[str, Any]) -> tuple[str, Any]:
    """The status of the guidance, and the outcome among its output."""
    output_of = contained(care_plan, "Parameters")["parameter"]
    outcome: dict[str, Any] = next((each for each in output_of if each["name"] == "outcome"), {})
    value = outcome.get("valueCode", outcome.get("valueCoding", {}))
    return contained(care_plan, "GuidanceResponse")["status"], value if isinstance(value, str) else value.get(
        "code"
    )


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ([resource("data", bundle(patient())), complete()], "data-required"),
        ([resource("data", bundle(patient()))], "data-required"),
        ([resource("data", bundle(answers(POLICY, breastCancer=False)))], "success"),
        ([prefetched("questionnaireResponses", bundle(answers(POLICY, breastCancer=False)))], "success"),
        ([prefetched("conditions", None)], "data-required"),
        ([], "data-required"),
    ],
)
def test_a_policy_applied_to_an_order_says_what_is_determined_or_what_is_missing(
    client: TestClient, shown: list[dict[str, Any]], expected: str
) -> None:
    body = parameters({"name": "subject", "valueString": "Patient/p1"}, resource("order", order()), *shown)

    care_plan = posted(client, APPLY, body)

    assert care_plan["resourceType"] == "CarePlan"
    assert care_plan["instantiatesCanonical"] == [f"{PLAN}|2.0.0"]
    assert said(care_plan)[0] == expected


def test_what_was_not_shown_is_required_and_what_was_shown_empty_is_not(client: TestClient) -> None:
    for shown, required in (
        ([], True),
        ([resource("data", bundle(patient()))], True),
        ([resource("data", bundle(patient())), complete()], False),
        ([prefetched("conditions", bundle()), prefetched("procedures", bundle())], False),
        ([prefetched("conditions", None), prefetched("procedures", None)], False),
    ):
        care_plan = posted(client, APPLY, parameters(subject(), resource("order", order()), *shown))
        needed = contained(care_plan, "GuidanceResponse")["dataRequirement"]
        assert ("Condition" in {each["type"] for each in needed}) is required


@pytest.mark.parametrize("name", sorted(file.stem for file in FIXTURES.glob("derby-*.json")))
def test_a_policy_applied_says_what_the_hook_says(client: TestClient, name: str) -> None:
    hook = fixture(name)
    cards = client.post("/cds-services/procedure-funding", json=hook).json()["cards"]
    (expected,) = (
        card["extension"]["cds-service.determination"]
        for card in cards
        if card["extension"]["cds-service.determination"]["policy"].startswith(PLAN)
    )
    patient_reference = f"Patient/{hook['context']['patientId']}"
    given = [prefetched(key, data) for key, data in hook["prefetch"].items()]

    care_plan = posted(
        client, APPLY, parameters(subject(patient_reference), resource("order", first_order(hook)), *given)
    )

    status, outcome = said(care_plan)
    assert status == ("success" if expected["status"] == "final" else "data-required")
    assert outcome == expected.get("outcome")


@pytest.mark.parametrize(
    "named", [{"url": PLAN}, {"url": PLAN, "version": "2.0.0"}, {"url": f"{PLAN}|2.0.0"}]
)
def test_a_policy_is_the_same_however_it_is_named(client: TestClient, named: dict[str, str]) -> None:
    names = [{"name": name, "valueString": value} for name, value in named.items()]

    care_plan = posted(
        client, "PlanDefinition/$apply", parameters(*names, subject(), resource("order", order()))
    )

    assert care_plan["instantiatesCanonical"] == [f"{PLAN}|2.0.0"]


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        (APPLY, parameters(subject()), (400, "invalid", "Parameters")),
        (
            APPLY,
            parameters(subject(), resource("order", order("X99.9"))),
            (400, "invalid", "Parameters.parameter[1].resource.code"),
        ),
        (
            APPLY,
            parameters(subject(), resource("order", order(authoredOn="2001-01-01"))),
            (400, "invalid", "Parameters.parameter[1].resource.authoredOn"),
        ),
        (
            APPLY,
            parameters(subject("Patient/p2"), resource("order", order())),
            (400, "invalid", "Parameters.parameter[1].resource.subject"),
        ),
        (
            APPLY,
            parameters(subject(), resource("order", {"resourceType": "MedicationRequest"})),
            (400, "invalid", "Parameters.parameter[1].resource"),
        ),
        (
            "PlanDefinition/$apply",
            parameters({"name": "url", "valueUri": f"{PLAN}|9"}, subject(), resource("order", order())),
            (404, "not-found", "Parameters.parameter[0].valueUri"),
        ),
        (
            "PlanDefinition/$apply",
            parameters(subject(), resource("order", order())),
            (400, "invalid", "Parameters"),
        ),
        (
            "PlanDefinition/none/$apply",
            parameters(subject(), resource("order", order())),
            (404, "not-found", "PlanDefinition.id"),
        ),
    ],
)
def test_what_a_policy_cannot_be_applied_to_is_refused_with_its_place(
    client: TestClient, path: str, body: dict[str, Any], expected: tuple[int, str, str]
) -> None:
    assert refusal(client, path, body) == expected


@pytest.mark.parametrize("path", [f"{POLICY}/$data-requirements", f"$data-requirements?url={PLAN}"])
def test_a_policy_says_what_it_reads(client: TestClient, path: str) -> None:
    answer = client.get(f"/fhir/PlanDefinition/{path}")

    get_fhir_model_class("Library").model_validate(answer.json())
    assert {each["id"] for each in answer.json()["dataRequirement"]} >= {"conditions", "procedures"}


def packages(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """The Bundles of a package, with their entries strictly R4."""
    found = [each["resource"] for each in answer.get("parameter", ()) if each["name"] == "packagebundle"]
    for package in found:
        for entry in package["entry"]:
            get_fhir_model_class(entry["resource"]["resourceType"]).model_validate(entry["resource"])
    return found


def test_the_package_of_an_order_holds_the_forms_of_its_policies_filled(client: TestClient) -> None:
    body = parameters(resource("order", order()), resource("data", bundle(CANCER)))

    found = {each["entry"][0]["resource"]["id"]: each for each in packages(posted(client, PACKAGE, body))}

    assert POLICY in found
    form, draft, *value_sets = (entry["resource"] for entry in found[POLICY]["entry"])
    assert answered(draft)["breastCancer"] is True
    assert draft["questionnaire"] == f"{FORM}|2.0.0"
    assert {
        "url": "http://hl7.org/fhir/us/davinci-dtr/StructureDefinition/qr-context",
        "valueReference": {"reference": "ServiceRequest/order-1"},
    } in draft["extension"]
    assert {each["resourceType"] for each in value_sets} == {"ValueSet"}
    assert form["url"] == FORM


def test_a_form_of_two_orders_has_a_draft_for_each(client: TestClient) -> None:
    body = parameters(
        {"name": "questionnaire", "valueCanonical": FORM},
        resource("order", order()),
        resource("order", order(id="order-2")),
    )

    (package,) = packages(posted(client, PACKAGE, body))

    drafts = [
        entry["resource"]["basedOn"][0]["reference"]
        for entry in package["entry"]
        if entry["resource"]["resourceType"] == "QuestionnaireResponse"
    ]
    assert drafts == ["ServiceRequest/order-1", "ServiceRequest/order-2"]
    assert len({entry["fullUrl"] for entry in package["entry"]}) == len(package["entry"])


def test_a_coverage_stands_in_the_draft(client: TestClient) -> None:
    coverage = {
        "resourceType": "Coverage",
        "id": "c1",
        "status": "active",
        "beneficiary": {"reference": "Patient/p1"},
        "payor": [{"display": "A payer"}],
    }

    (package,) = packages(
        posted(
            client,
            f"Questionnaire/{POLICY}/$questionnaire-package",
            parameters(resource("coverage", coverage)),
        )
    )

    draft = package["entry"][1]["resource"]
    assert draft["extension"][0]["valueReference"] == {"reference": "Coverage/c1"}
    assert draft["subject"] == {"reference": "Patient/p1"}


def test_the_patient_referred_to_is_who_the_form_is_filled_for(client: TestClient) -> None:
    url = "https://funding-policies.example/fhir/Questionnaire/ifr-request"
    named = patient(name=[{"family": "Example", "given": ["Ada"]}], birthDate="1980-02-03")
    given = [{"name": "questionnaire", "valueCanonical": url}, resource("order", order())]

    (without,) = packages(posted(client, PACKAGE, parameters(*given)))
    (package,) = packages(posted(client, PACKAGE, parameters(*given, resource("referenced", named))))

    assert "patientInitials" not in answered(without["entry"][1]["resource"])
    assert "patientInitials" in answered(package["entry"][1]["resource"])


def test_a_form_named_twice_is_packed_once_with_one_draft_for_an_order(client: TestClient) -> None:
    names = [{"name": "questionnaire", "valueCanonical": each} for each in (FORM, f"{FORM}|2.0.0")]

    (package,) = packages(posted(client, PACKAGE, parameters(*names, resource("order", order()))))

    kinds = [entry["resource"]["resourceType"] for entry in package["entry"]]
    assert kinds.count("QuestionnaireResponse") == 1


def test_a_form_that_is_not_served_is_told_and_the_others_are_packed(client: TestClient) -> None:
    body = parameters(
        {"name": "questionnaire", "valueCanonical": "http://x.example/q"},
        {"name": "questionnaire", "valueCanonical": FORM},
        resource("order", order()),
    )

    answer = posted(client, PACKAGE, body)

    outcome = output(answer, "outcome")
    assert outcome is not None
    assert len(packages(answer)) == 1
    assert outcome["issue"][0]["expression"] == ["Parameters.parameter[0].valueCanonical"]


def test_an_order_under_no_policy_has_no_package_and_that_is_told(client: TestClient) -> None:
    answer = posted(client, PACKAGE, parameters(resource("order", order("X99.9"))))

    outcome = output(answer, "outcome")
    assert packages(answer) == []
    assert outcome is not None
    assert outcome["issue"][0]["severity"] == "information"


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (parameters(), "Parameters"),
        (
            parameters(
                resource("order", order()),
                resource("order", order() | {"subject": {"reference": "Patient/p2"}}),
            ),
            "Parameters.parameter[1].resource.subject.reference",
        ),
        (
            parameters(resource("order", order() | {"subject": {}})),
            "Parameters.parameter[0].resource.subject.reference",
        ),
    ],
)
def test_a_package_is_one_patients(client: TestClient, body: dict[str, Any], place: str) -> None:
    assert refusal(client, PACKAGE, body) == (400, "invalid", place)


def test_the_whole_record_of_a_fixture_fills_the_draft_of_its_package(client: TestClient) -> None:
    hook = fixture("derby-undetermined-asks-two-questions")
    body = parameters(resource("order", first_order(hook)), resource("data", whole_record(hook)), complete())

    found = {each["entry"][0]["resource"]["id"]: each for each in packages(posted(client, PACKAGE, body))}

    assert answered(found[POLICY]["entry"][1]["resource"])["breastCancer"] is True
