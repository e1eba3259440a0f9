"""``Questionnaire/$populate``, ``$next-question`` and ``QuestionnaireResponse/$validate``, ``$extract``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from cds_service.app import create_app
from cds_service.settings import Settings
from tests.hook_requests import bundle, condition, order, patient
from tests.http.fhir_operations import (
    answered,
    complete,
    context,
    output,
    parameters,
    posted,
    refusal,
    resource,
    subject,
)
from tests.trust.tokens import NOW, jwk

POLICY = "derby-mastopexy"
FORM = f"https://funding-policies.example/fhir/Questionnaire/{POLICY}"
CANCER = condition("254837009")
CANONICAL = {"name": "canonical", "valueUri": FORM}
POPULATE = "Questionnaire/$populate"
NEXT = "Questionnaire/$next-question"
THIRD_PARTY = Path(__file__).parents[3] / "shared" / "third-party" / "questionnaires"


def draft(**members: Any) -> dict[str, Any]:
    """A response to the policy's form, with nothing in it yet."""
    return {
        "resourceType": "QuestionnaireResponse",
        "status": "in-progress",
        "questionnaire": FORM,
        "subject": {"reference": "Patient/p1"},
        **members,
    }


def issues(answer: dict[str, Any]) -> list[str]:
    """What the issues of a populated form say."""
    outcome = output(answer, "issues") or {"issue": []}
    return [each["diagnostics"] for each in outcome["issue"]]


def test_a_form_is_filled_with_what_the_record_proves(client: TestClient) -> None:
    data = bundle(patient(), CANCER)
    answer = posted(
        client,
        POPULATE,
        parameters(CANONICAL, subject(), context("clinical", order()), resource("data", data)),
    )
    response = output(answer, "response")

    assert response is not None
    assert answered(response)["breastCancer"] is True
    assert response["questionnaire"] == f"{FORM}|2.0.0"
    assert response["subject"] == {"reference": "Patient/p1"}
    assert response["basedOn"] == [{"reference": "ServiceRequest/order-1"}]
    assert response["authored"] == "2026-11-22T12:00:00+00:00"


@pytest.mark.parametrize(
    "form",
    [
        CANONICAL,
        {"name": "canonical", "valueCanonical": f"{FORM}|2.0.0"},
        {"name": "questionnaireRef", "valueReference": {"reference": f"Questionnaire/{POLICY}"}},
        {
            "name": "questionnaireRef",
            "valueReference": {"reference": f"http://127.0.0.1:8000/fhir/Questionnaire/{POLICY}"},
        },
        None,
    ],
)
def test_a_form_is_the_same_however_it_is_named(client: TestClient, form: dict[str, Any] | None) -> None:
    path = POPULATE if form else f"Questionnaire/{POLICY}/$populate"
    given = [form] if form else []

    answer = posted(client, path, parameters(*given, subject(), resource("data", bundle(CANCER))))

    assert answered(output(answer, "response"))["breastCancer"] is True


def test_a_form_that_is_sent_in_full_is_filled_as_the_one_that_is_served(client: TestClient) -> None:
    sent = client.get(f"/fhir/Questionnaire/{POLICY}").json() | {"url": "http://other.example/form"}
    data = resource("data", bundle(CANCER))

    answer = posted(client, POPULATE, parameters(resource("questionnaire", sent), subject(), data))

    assert answered(output(answer, "response"))["breastCancer"] is True


@pytest.mark.parametrize(
    ("shown", "read"),
    [
        ([resource("data", bundle(patient()))], False),
        ([resource("data", bundle(patient())), complete()], True),
        ([context("conditions", bundle())], True),
        ([resource("data", bundle(condition("22298006")))], True),
        ([resource("data", bundle(condition("22298006"), total=2))], False),
        (
            [
                resource(
                    "data",
                    bundle(condition("22298006"), link=[{"relation": "next", "url": "http://x.example/2"}]),
                )
            ],
            False,
        ),
        (
            [
                context(
                    "conditions",
                    {
                        "resourceType": "OperationOutcome",
                        "issue": [{"severity": "error", "code": "forbidden"}],
                    },
                )
            ],
            False,
        ),
        ([], False),
    ],
)
def test_a_type_that_was_not_shown_was_not_read_unless_the_sender_vouches_for_it(
    client: TestClient, shown: list[dict[str, Any]], read: bool
) -> None:
    answer = posted(client, POPULATE, parameters(CANONICAL, subject(), *shown))
    unread = [each for each in issues(answer) if each.startswith("breastCancer: not read: conditions")]

    assert bool(unread) is not read
    assert "breastCancer" not in answered(output(answer, "response"))


def test_a_reference_in_the_context_is_resolved_in_the_data(client: TestClient) -> None:
    data = resource("data", bundle(patient(), order()))
    given = context("clinical", {"reference": "ServiceRequest/order-1"})

    answer = posted(client, POPULATE, parameters(CANONICAL, subject(), given, data))

    response = output(answer, "response")
    assert response is not None
    assert response["basedOn"] == [{"reference": "ServiceRequest/order-1"}]


def test_a_reference_in_the_context_may_be_the_full_url_of_an_entry(client: TestClient) -> None:
    data = bundle(patient(), order())
    data["entry"][1]["fullUrl"] = "urn:uuid:5f0c9c3e-3c52-4a2b-9f3a-0d9d3b6d2c11"
    given = context("clinical", {"reference": data["entry"][1]["fullUrl"]})

    answer = posted(client, POPULATE, parameters(CANONICAL, subject(), given, resource("data", data)))

    response = output(answer, "response")
    assert response is not None
    assert response["basedOn"] == [{"reference": "ServiceRequest/order-1"}]


def test_several_contents_of_a_context_are_the_entries_of_its_answer(client: TestClient) -> None:
    given = context("conditions", condition("22298006"), CANCER)

    answer = posted(client, POPULATE, parameters(CANONICAL, subject(), given))

    assert answered(output(answer, "response"))["breastCancer"] is True


def test_entries_of_another_patient_are_passed_over_and_that_is_told(client: TestClient) -> None:
    other = condition("254837009") | {"subject": {"reference": "Patient/p2"}}
    data = resource("data", bundle(other, condition("22298006")))

    answer = posted(client, POPULATE, parameters(CANONICAL, subject(), data))

    assert "breastCancer" not in answered(output(answer, "response"))
    assert "conditions: 1 entries were passed over: a Condition of another patient" in issues(answer)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (parameters(CANONICAL), (400, "invalid", "Parameters")),
        (parameters(subject()), (400, "invalid", "Parameters")),
        (
            parameters(CANONICAL, {"name": "questionnaireRef", "valueReference": {}}, subject()),
            (400, "invalid", "Parameters"),
        ),
        (
            parameters({"name": "canonical", "valueUri": "http://x.example/q"}, subject()),
            (404, "not-found", "Parameters.parameter[0].valueUri"),
        ),
        (
            parameters(CANONICAL, subject("Practitioner/1")),
            (400, "invalid", "Parameters.parameter[1].valueReference"),
        ),
        (
            parameters(
                CANONICAL, subject(), {"name": "dataEndpoint", "resource": {"resourceType": "Endpoint"}}
            ),
            (400, "invalid", "Parameters.parameter[2].name"),
        ),
        (
            parameters(
                CANONICAL, subject(), {"name": "context", "part": [{"name": "name", "valueCode": "x"}]}
            ),
            (400, "invalid", "Parameters.parameter[2]"),
        ),
        (
            parameters(CANONICAL, subject(), context("clinical", {"reference": "ServiceRequest/9"})),
            (400, "invalid", "Parameters.parameter[2].part[1].valueReference"),
        ),
        (
            parameters(CANONICAL, subject("Patient/p2"), context("clinical", order())),
            (400, "invalid", "Parameters.parameter.where(name='context').subject"),
        ),
        (
            parameters(
                {"name": "questionnaireRef", "valueReference": {"reference": "Questionnaire/none"}}, subject()
            ),
            (404, "not-found", "Questionnaire.id"),
        ),
        (
            parameters(
                {
                    "name": "questionnaireRef",
                    "valueReference": {"reference": "http://x.example/Questionnaire/1"},
                },
                subject(),
            ),
            (400, "invalid", "Parameters.parameter[0].valueReference.reference"),
        ),
        (
            parameters(
                resource(
                    "questionnaire",
                    {"resourceType": "Questionnaire", "status": "active", "item": [{"type": "string"}]},
                ),
                subject(),
            ),
            (400, "invalid", "Parameters.parameter[0].resource.item[0].linkId"),
        ),
    ],
)
def test_a_call_that_cannot_be_answered_is_refused_with_its_place(
    client: TestClient, body: dict[str, Any], expected: tuple[int, str, str]
) -> None:
    assert refusal(client, POPULATE, body) == expected


def test_a_form_deeper_than_any_is_refused(client: TestClient) -> None:
    item: dict[str, Any] = {"linkId": "0", "type": "group"}
    for depth in range(1, 200):
        item = {"linkId": str(depth), "type": "group", "item": [item]}
    form = {"resourceType": "Questionnaire", "status": "active", "item": [item]}

    refused = refusal(client, POPULATE, parameters(resource("questionnaire", form), subject()))

    assert refused == (400, "invalid", "$")


@pytest.mark.parametrize("file", sorted(THIRD_PARTY.glob("*.json")), ids=lambda file: file.stem)
def test_a_form_of_somebody_else_is_filled_or_refused_by_the_name_of_what_it_needs(
    client: TestClient, file: Path
) -> None:
    body = parameters(resource("questionnaire", json.loads(file.read_text())), subject(), complete())

    answer = client.post(f"/fhir/{POPULATE}", json=body)

    if answer.status_code != 200:
        assert (answer.status_code, answer.json()["issue"][0]["code"]) == (422, "not-supported"), answer.text
        assert "http" in answer.json()["issue"][0]["diagnostics"]


def test_following_the_questions_ends_and_asks_no_more_than_can_matter(client: TestClient) -> None:
    response = draft()
    asked: list[str] = []
    while True:
        response = posted(client, NEXT, response)
        if response["status"] == "completed":
            break
        (new,) = {*_questions(response["contained"][0])} - {*asked}
        asked.append(new)
        response["item"] = [*response.get("item", ()), {"linkId": new, "answer": [{"valueBoolean": False}]}]

    assert asked == ["breastCancer"]


def _questions(form: dict[str, Any]) -> list[str]:
    found = []
    for item in form.get("item", ()):
        found += [item["linkId"]] if item["type"] not in {"group", "display"} else []
        found += _questions(item)
    return found


def test_what_the_record_shown_proves_is_not_asked(client: TestClient) -> None:
    body = parameters(resource("questionnaire-response", draft()), resource("data", bundle(CANCER)))

    response = posted(client, NEXT, body)

    assert "breastCancer" not in _questions(response["contained"][0])


def test_a_form_that_looks_at_the_order_needs_it(client: TestClient) -> None:
    url = "https://funding-policies.example/fhir/Questionnaire/lancashire-minor-plastic-surgery"
    named = draft(questionnaire=url)
    contained = draft(questionnaire=url, contained=[order(id="o")], basedOn=[{"reference": "#o"}])

    assert refusal(client, NEXT, named) == (400, "invalid", "QuestionnaireResponse.basedOn")
    assert posted(client, NEXT, contained)["status"] == "in-progress"
    body = parameters(resource("questionnaire-response", named), context("clinical", order()))
    assert posted(client, NEXT, body)["status"] == "in-progress"


@pytest.mark.parametrize(
    ("response", "place"),
    [
        (draft(questionnaire="http://x.example/q"), "QuestionnaireResponse.questionnaire"),
        (draft(questionnaire=f"{FORM}|1.0.0"), "QuestionnaireResponse.questionnaire"),
        (draft(questionnaire=7), "QuestionnaireResponse.questionnaire"),
        (draft(subject=None), "QuestionnaireResponse.subject.reference"),
    ],
)
def test_a_response_to_no_policys_form_gets_no_question(
    client: TestClient, response: dict[str, Any], place: str
) -> None:
    assert refusal(client, NEXT, response) == (400, "invalid", place)


def test_a_question_about_another_patients_order_is_refused(client: TestClient) -> None:
    other = order(subject={"reference": "Patient/p2"})
    body = parameters(resource("questionnaire-response", draft()), context("clinical", other))

    status, _, place = refusal(client, NEXT, body)

    assert (status, place) == (400, "Parameters.parameter[0].resource.subject")


def test_every_problem_of_a_response_is_told_with_its_path(client: TestClient) -> None:
    wrong = draft(
        status="completed",
        item=[
            {"linkId": "breastCancer", "answer": [{"valueString": "yes"}]},
            {"linkId": "noSuchItem", "answer": [{"valueBoolean": True}]},
        ],
    )

    outcome = posted(client, "QuestionnaireResponse/$validate", wrong)

    places = {each["expression"][0] for each in outcome["issue"] if each["severity"] == "error"}
    assert "QuestionnaireResponse.item[0].answer[0]" in places
    assert "QuestionnaireResponse.item[1]" in {place.removesuffix(".linkId") for place in places}


def test_a_response_that_is_right_is_told_so(client: TestClient) -> None:
    right = draft(item=[{"linkId": "breastCancer", "answer": [{"valueBoolean": True}]}])

    outcome = posted(client, "QuestionnaireResponse/$validate", right)

    assert [each["severity"] for each in outcome["issue"]] == ["information"]


def test_a_response_is_checked_against_the_form_it_contains(client: TestClient) -> None:
    form = {
        "resourceType": "Questionnaire",
        "id": "f",
        "status": "active",
        "item": [{"linkId": "a", "type": "date"}],
    }
    wrong = draft(
        questionnaire="#f", contained=[form], item=[{"linkId": "a", "answer": [{"valueInteger": 1}]}]
    )

    outcome = posted(client, "QuestionnaireResponse/$validate", wrong)

    assert "QuestionnaireResponse.item[0].answer[0]" in {each["expression"][0] for each in outcome["issue"]}


def test_nothing_is_made_of_a_form_that_declares_nothing(client: TestClient) -> None:
    status, code, _ = refusal(client, "QuestionnaireResponse/$extract", draft(status="completed"))

    assert (status, code) == (422, "not-supported")


def test_what_a_form_declares_is_made_of_its_answers(client: TestClient) -> None:
    sdc = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire"
    template = {
        "resourceType": "Observation",
        "id": "t",
        "status": "final",
        "code": {"text": "Weight"},
        "_valueString": {
            "extension": [{"url": f"{sdc}-templateExtractValue", "valueString": "answer.value"}]
        },
    }
    form = {
        "resourceType": "Questionnaire",
        "status": "active",
        "contained": [template],
        "item": [
            {
                "linkId": "a",
                "type": "string",
                "extension": [
                    {
                        "url": f"{sdc}-templateExtract",
                        "extension": [{"url": "template", "valueReference": {"reference": "#t"}}],
                    }
                ],
            }
        ],
    }
    response = draft(status="completed", item=[{"linkId": "a", "answer": [{"valueString": "70 kg"}]}])

    made = posted(
        client,
        "QuestionnaireResponse/$extract",
        parameters(resource("questionnaire-response", response), resource("questionnaire", form)),
    )

    assert made["type"] == "transaction"
    (entry,) = made["entry"]
    assert entry["resource"]["valueString"] == "70 kg"


def test_once_clients_are_configured_a_patients_data_are_taken_from_them_alone(
    configured: Settings, tmp_path: Path
) -> None:
    clients = tmp_path / "clients.json"
    member = {
        "name": "trust-a",
        "issuer": "https://ehr.example",
        "algorithms": ["ES384"],
        "jwks": {"keys": [jwk("P-384")]},
    }
    clients.write_text(json.dumps({"clients": [member]}))
    closed = configured.model_copy(update={"clients": clients})

    with TestClient(create_app(closed, clock=lambda: NOW)) as client:
        assert client.get("/fhir/metadata").status_code == 200
        assert client.get(f"/fhir/PlanDefinition/{POLICY}").status_code == 200
        assert client.post("/fhir/ValueSet/$expand", json={"resourceType": "Parameters"}).status_code == 400
        for path in (POPULATE, NEXT, "QuestionnaireResponse/$validate", "QuestionnaireResponse/$extract"):
            answer = client.post(f"/fhir/{path}", json=draft())
            assert answer.status_code == 401
            assert answer.json()["issue"][0]["code"] == "security"
