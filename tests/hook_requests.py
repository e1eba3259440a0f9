"""Hook requests, built from their parts."""

from __future__ import annotations

from typing import Any

OPCS4 = "https://fhir.hl7.org.uk/CodeSystem/OPCS-4"
ODS = "https://fhir.nhs.uk/Id/ods-organization-code"
DERBY = "15M"


def order(code: str = "B31.3", system: str = OPCS4, **members: Any) -> dict[str, Any]:
    """A draft ServiceRequest for a mastopexy, or for another code."""
    return {
        "resourceType": "ServiceRequest",
        "id": "order-1",
        "status": "draft",
        "intent": "order",
        "subject": {"reference": "Patient/p1"},
        "code": {"coding": [{"system": system, "code": code}], "text": "Mastopexy"},
        **members,
    }


def patient(organization: str = DERBY, **members: Any) -> dict[str, Any]:
    """A patient registered with an organisation, by ODS code."""
    return {
        "resourceType": "Patient",
        "id": "p1",
        "managingOrganization": {"identifier": {"system": ODS, "value": organization}},
        **members,
    }


def bundle(*resources: object, **members: Any) -> dict[str, Any]:
    """A searchset of resources."""
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "entry": [{"resource": resource} for resource in resources],
        **members,
    }


def condition(code: str, status: str = "confirmed", **members: Any) -> dict[str, Any]:
    """A Condition of the patient, in SNOMED CT."""
    return {
        "resourceType": "Condition",
        "id": f"c-{code}",
        "subject": {"reference": "Patient/p1"},
        "verificationStatus": {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/condition-ver-status", "code": status}
            ]
        },
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": code}]},
        "recordedDate": "2024-03-05",
        **members,
    }


def answers(policy: str, **values: Any) -> dict[str, Any]:
    """A completed form of a policy; None stands for an item left open."""
    return {
        "resourceType": "QuestionnaireResponse",
        "id": "answers-1",
        "status": "completed",
        "questionnaire": f"https://funding-policies.example/fhir/Questionnaire/{policy}",
        "subject": {"reference": "Patient/p1"},
        "basedOn": [{"reference": "ServiceRequest/order-1"}],
        "authored": "2026-11-20T10:00:00Z",
        "item": [{"linkId": name, **_answer(value)} for name, value in values.items()],
    }


def _answer(value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, bool):
        return {"answer": [{"valueBoolean": value}]}
    if isinstance(value, int):
        return {"answer": [{"valueInteger": value}]}
    system = "https://funding-policies.example/fhir/CodeSystem/criteria"
    return {"answer": [{"valueCoding": {"system": system, "code": value}}]}


def hook_request(*orders: dict[str, Any], hook: str = "order-select", **prefetch: Any) -> dict[str, Any]:
    """A hook request for these orders, all selected; prefetch as given, with the usual patient unless told otherwise."""
    drafts = orders or (order(),)
    context: dict[str, Any] = {
        "userId": "Practitioner/u1",
        "patientId": "p1",
        "draftOrders": bundle(*drafts, type="collection"),
    }
    if hook == "order-select":
        context["selections"] = [f"{each['resourceType']}/{each['id']}" for each in drafts if "id" in each]
    return {
        "hook": hook,
        "hookInstance": "5f0c9c3e-3c52-4a2b-9f3a-0d9d3b6d2c11",
        "context": context,
        "prefetch": {"patient": patient(), **prefetch},
    }


def everything_read(**prefetch: Any) -> dict[str, Any]:
    """A prefetch in which every query was answered, empty unless given."""
    return {
        "coverages": bundle(),
        "questionnaireResponses": bundle(),
        "conditions": bundle(),
        "procedures": bundle(),
        **prefetch,
    }
