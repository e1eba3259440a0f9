"""Cards as the wire contract has them, and as a clinician reads them."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.hook_requests import (
    OPCS4,
    answers,
    bundle,
    condition,
    everything_read,
    hook_request,
    order,
    patient,
)
from tests.running_service import ROOT

HOOK = "/cds-services/procedure-funding"
DERBY_PLAN = "https://funding-policies.example/fhir/PlanDefinition/derby-mastopexy|2.0.0"
CANCER = condition("254837009")
FAMILY_HISTORY = condition("429740004")
NOT_CANCER = {"breastCancer": False}
RECONSTRUCTION = {"reconstructionPurpose": "same-breast", "priorSymmetryOperations": 0}


def cards_for(client: TestClient, request: dict[str, Any]) -> list[dict[str, Any]]:
    """The cards of a request that must succeed."""
    answer = client.post(HOOK, json=request)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["cards"]
    return found


def determination(card: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = card["extension"]["cds-service.determination"]
    return found


def derby(client: TestClient, **prefetch: Any) -> dict[str, Any]:
    """The one card for a mastopexy order of a Derby patient."""
    (card,) = cards_for(client, hook_request(**everything_read(**prefetch)))
    return card


def with_answers(**values: Any) -> dict[str, Any]:
    return {"questionnaireResponses": bundle(answers("derby-mastopexy", **values))}


@pytest.mark.parametrize("hook", ["order-select", "order-sign"])
def test_both_hooks_give_the_same_determination(client: TestClient, hook: str) -> None:
    request = hook_request(hook=hook, **everything_read(**with_answers(**NOT_CANCER)))

    (card,) = cards_for(client, request)

    assert determination(card)["outcome"] == "not-normally-funded"


def test_a_card_says_which_outcome_by_which_clause_on_which_facts(client: TestClient) -> None:
    card = derby(client, conditions=bundle(CANCER), **with_answers(**RECONSTRUCTION))

    found = determination(card)
    assert (found["status"], found["outcome"]) == ("final", "eligible")
    assert (found["policy"], found["order"]) == (DERBY_PLAN, "ServiceRequest/order-1")
    assert "000-S1.x1" in [citation["label"] for citation in found["citations"]]
    assert found["findings"][0] == {
        "criterion": "breastCancer",
        "value": True,
        "origin": "record",
        "evidence": ["Condition/c-254837009"],
    }
    assert {"criterion": "oneSpell", "value": True, "origin": "assumed"} in found["findings"]
    assert found["id"] == card["uuid"]
    assert "Breast cancer or DCIS: yes (in the record, 5 March 2024)" in card["detail"]


def test_a_missing_record_is_never_read_as_no(client: TestClient) -> None:
    card = derby(client)

    found = determination(card)
    assert found["status"] == "undetermined"
    assert "outcome" not in found
    assert found["outstanding"][0] == "breastCancer"
    assert {"eligible", "not-normally-funded"} <= set(found["possibleOutcomes"])
    assert card["summary"].startswith("Not normally funded unless")


def test_family_history_leaves_the_question_open(client: TestClient) -> None:
    assert determination(derby(client, conditions=bundle(FAMILY_HISTORY)))["status"] == "undetermined"


def test_what_was_not_sent_is_told_from_what_is_not_there(client: TestClient) -> None:
    request = hook_request(conditions=bundle(CANCER), questionnaireResponses=bundle())

    (card,) = cards_for(client, request)

    why = {each["criterion"]: each.get("why") for each in determination(card)["findings"]}
    assert (why["reconstructionPurpose"], why["priorSymmetryOperations"]) == ("not-recorded", "not-read")


@pytest.mark.parametrize(
    "sent",
    [
        bundle(CANCER, link=[{"relation": "next", "url": "https://ehr.example/?page=2"}]),
        bundle(CANCER, total=2),
        bundle(CANCER, {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "x"}]}),
        "Condition",
        {"resourceType": "Patient", "id": "p1"},
    ],
    ids=["a first page", "fewer than its total", "read in part", "no resource", "another resource"],
)
def test_a_query_cut_off_or_spoilt_proves_nothing(client: TestClient, sent: object) -> None:
    request = hook_request(**everything_read(conditions=sent))

    (card,) = cards_for(client, request)

    why = {each["criterion"]: each.get("why") for each in determination(card)["findings"]}
    assert why["breastCancer"] == "not-read"


@pytest.mark.parametrize(
    "odd",
    [
        {"entry": [{}, None, 5, {"resource": None}, {"resource": "x"}, {"resource": CANCER}]},
        {"resourceType": "Bundle", "entry": [{"resource": CANCER}, {"resource": {"resourceType": "Basic"}}]},
        {"entry": [{"resource": CANCER}, {"search": {"mode": "include"}, "resource": patient()}]},
    ],
    ids=["odd entries", "another type", "an included patient"],
)
def test_one_odd_entry_does_not_spoil_the_others(client: TestClient, odd: dict[str, Any]) -> None:
    card = derby(client, conditions={"resourceType": "Bundle", **odd})

    assert determination(card)["findings"][0]["value"] is True


def test_a_resource_of_another_patient_is_not_evidence_and_is_reported(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("WARNING", logger="cds_service"):
        card = derby(client, conditions=bundle(CANCER | {"subject": {"reference": "Patient/p2"}}))

    assert determination(card)["findings"][0]["why"] == "not-recorded"
    assert "1 entries of conditions passed over" in caplog.text
    assert "p2" not in caplog.text


def test_null_means_that_the_client_has_none(client: TestClient) -> None:
    card = derby(client, conditions=None, procedures=None)

    assert determination(card)["findings"][0]["why"] == "not-recorded"


def test_an_answer_beats_the_record_and_says_so(client: TestClient) -> None:
    card = derby(client, conditions=bundle(CANCER), **with_answers(**NOT_CANCER))

    assert determination(card)["outcome"] == "not-normally-funded"
    assert "no (answered, 20 November 2026; the record says yes)" in card["detail"]


def test_every_not_normally_funded_card_carries_the_individual_route(client: TestClient) -> None:
    card = derby(client, **with_answers(**NOT_CANCER))

    assert card["indicator"] == "warning"
    assert "individual funding request" in card["detail"].lower()
    assert "clinical decision stays yours" in card["detail"]
    assert all(reason["display"] for reason in card["overrideReasons"])


def test_a_form_answered_with_dont_know_goes_to_individual_review(client: TestClient) -> None:
    unknown = {"breastCancer": None, "reconstructionPurpose": None, "priorSymmetryOperations": None}

    found = determination(derby(client, **with_answers(**unknown)))

    assert (found["status"], found["outcome"]) == ("final", "ifr-required")
    assert {each.get("why") for each in found["findings"] if each["origin"] == "unknown"} == {"asked"}


@pytest.mark.parametrize(
    ("members", "counts"),
    [
        ({}, True),
        ({"status": "amended"}, True),
        ({"status": "in-progress"}, False),
        ({"status": "entered-in-error"}, False),
        ({"basedOn": [{"reference": "ServiceRequest/other"}]}, False),
        ({"basedOn": [], "authored": "2026-08-24"}, True),
        ({"basedOn": [], "authored": "2026-08-23"}, False),
        ({"basedOn": [], "authored": "2026-11-23"}, False),
        (
            {"questionnaire": "https://funding-policies.example/fhir/Questionnaire/derby-mastopexy|1.0.0"},
            False,
        ),
        ({"questionnaire": "https://funding-policies.example/fhir/Questionnaire/other"}, False),
        ({"subject": {"reference": "Patient/p2"}}, False),
    ],
)
def test_only_a_completed_form_of_this_policy_order_and_patient_counts(
    client: TestClient, members: dict[str, Any], counts: bool
) -> None:
    response = answers("derby-mastopexy", **NOT_CANCER) | members

    found = determination(derby(client, questionnaireResponses=bundle(response)))

    assert (found["status"] == "final") is counts


@pytest.mark.parametrize(
    "authored", ["2026-11-19", "2026-11-20T10:59:59+01:00", "2026-11-20T04:00:00-05:00", "2026", None]
)
def test_the_newest_of_several_forms_wins_in_whatever_zone_it_was_written(
    client: TestClient, authored: str | None
) -> None:
    older = answers("derby-mastopexy", **NOT_CANCER) | {"authored": authored}
    newer = answers("derby-mastopexy", breastCancer=True, **RECONSTRUCTION)

    found = determination(derby(client, questionnaireResponses=bundle(newer, older)))

    assert found["outcome"] == "eligible"


def test_only_selected_orders_are_answered(client: TestClient) -> None:
    request = hook_request(order(), order(id="order-2"), **everything_read())
    request["context"]["selections"] = ["ServiceRequest/order-2"]

    (card,) = cards_for(client, request)

    assert determination(card)["order"] == "ServiceRequest/order-2"


def test_a_client_that_sends_no_selections_gets_all_its_drafts_answered(client: TestClient) -> None:
    request = hook_request(order(), order(id="order-2"), **everything_read())
    del request["context"]["selections"]

    assert len(cards_for(client, request)) == 2


@pytest.mark.parametrize("odd", ["Patient/p1", "https://ehr.example/fhir/Patient/p1"])
def test_a_patient_named_by_a_reference_is_taken_by_its_id(client: TestClient, odd: str) -> None:
    request = hook_request(**everything_read(conditions=bundle(CANCER)))
    request["context"]["patientId"] = odd
    del request["context"]["userId"], request["hookInstance"]
    del request["context"]["draftOrders"]["type"]

    (card,) = cards_for(client, request)

    assert determination(card)["findings"][0]["value"] is True


@pytest.mark.parametrize(
    ("system", "code"),
    [
        (OPCS4, "B313"),
        ("http://fhir.hl7.org.uk/CodeSystem/OPCS-4", "B31.3"),
        ("https://fhir.hl7.org.uk/Id/opcs-4", "B313"),
        ("https://fhir.nhs.uk/Id/opcs-4", "B31.3"),
    ],
)
def test_every_spelling_of_an_opcs_code_is_the_same_code(client: TestClient, system: str, code: str) -> None:
    assert len(cards_for(client, hook_request(order(code, system), **everything_read()))) == 1


@pytest.mark.parametrize(
    ("system", "code"),
    [(OPCS4, "B3130"), (OPCS4, "b31.3"), ("https://ccsd.example", "B31.3"), (OPCS4, "B31")],
)
def test_a_code_that_only_looks_alike_is_another_code(client: TestClient, system: str, code: str) -> None:
    assert cards_for(client, hook_request(order(code, system), **everything_read())) == []


def test_an_unknown_commissioner_is_asked_for_and_never_guessed(client: TestClient) -> None:
    nobody = patient() | {"managingOrganization": {"display": "Somewhere"}}

    (card,) = cards_for(client, hook_request(**everything_read(patient=nobody)))

    assert determination(card)["outstanding"] == ["commissioner"]
    assert "outcome" not in determination(card)


def test_an_organisation_that_is_not_in_the_directory_is_named(client: TestClient) -> None:
    (card,) = cards_for(client, hook_request(**everything_read(patient=patient("X*X"))))

    assert determination(card)["status"] == "undetermined"
    assert r"X\*X" in card["detail"]


def test_a_patient_of_another_commissioner_gets_that_commissioners_policy(client: TestClient) -> None:
    (card,) = cards_for(client, hook_request(**everything_read(patient=patient("QUE"))))

    assert "central-east-breast-asymmetry" in determination(card)["policy"]


def test_a_patient_that_is_not_the_contexts_is_not_gone_by(client: TestClient) -> None:
    answer = client.post(HOOK, json=hook_request(**everything_read(patient=patient(id="p2"), coverages=None)))

    assert determination(answer.json()["cards"][0])["outstanding"] == ["commissioner"]


def test_a_redirect_names_the_policy_it_goes_to(client: TestClient) -> None:
    response = answers(
        "central-east-breast-asymmetry",
        operationPurpose="match-breasts",
        cancerReconstruction=False,
        functionalImpairment=True,
    )
    request = hook_request(
        order(authoredOn="2026-11-20"),
        **everything_read(patient=patient("QUE"), questionnaireResponses=bundle(response)),
    )

    (card,) = cards_for(client, request)

    assert determination(card)["outcome"] == "redirect"
    assert "Breast reduction" in card["detail"] or "breast reduction" in card["detail"]


def test_text_of_the_request_is_shown_as_text(client: TestClient) -> None:
    evil = "<img src=x onerror=alert(1)> [a](http://evil.example) **b**"
    request = hook_request(
        order(code="B31.3") | {"code": {**order()["code"], "text": evil}}, **everything_read()
    )

    (card,) = cards_for(client, request)

    assert re.search(r"(?<!\\)<", card["detail"]) is None
    assert r"\<img" in card["detail"]
    assert "](http" not in card["detail"]


def test_every_card_keeps_the_cds_hooks_contract(client: TestClient) -> None:
    requests = (
        everything_read(),
        everything_read(**with_answers(**NOT_CANCER)),
        everything_read(conditions=bundle(CANCER), **with_answers(**RECONSTRUCTION)),
        everything_read(patient={"resourceType": "Patient", "id": "p1"}),
    )

    cards = [card for request in requests for card in cards_for(client, hook_request(**request))]

    assert len({card["uuid"] for card in cards}) == len(requests)
    for card in cards:
        uuid.UUID(card["uuid"])
        assert 0 < len(card["summary"]) < 140
        assert card["indicator"] in {"info", "warning"}
        assert card["source"]["label"]
        assert {"code", "system"} <= card["source"]["topic"].keys()
        assert len({link["type"] for link in card.get("links", ())}) < 2
        assert all(("appContext" in link) == (link["type"] == "smart") for link in card.get("links", ()))
        assert _without_empty_members(card)
        assert not re.search(r"\brefus|\bdenied|\breject", card["detail"], re.IGNORECASE)


def _without_empty_members(value: object) -> bool:
    if isinstance(value, dict):
        return all(
            member not in (None, "", [], {}) and _without_empty_members(member) for member in value.values()
        )
    return all(map(_without_empty_members, value)) if isinstance(value, list) else True


def _with_form(**form: Any) -> dict[str, Any]:
    """A request that two questions would settle, whose record shows a completed form."""
    request = json.loads(
        (ROOT / "fhir_fixtures" / "hooks" / "derby-undetermined-asks-two-questions.json").read_text()
    )
    found = {
        "resourceType": "QuestionnaireResponse",
        "id": "earlier",
        "status": "completed",
        "subject": {"reference": f"Patient/{request['context']['patientId']}"},
        "authored": "2026-11-20",
        "item": [{"linkId": "reconstructionPurpose", "answer": [{"valueCoding": {"code": "same-breast"}}]}],
        **form,
    }
    bundle = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": found}]}
    request["prefetch"]["questionnaireResponses"] = bundle
    return dict(request)


def test_answers_of_a_retired_version_are_named_on_the_open_card_and_not_used(client: TestClient) -> None:
    form = "https://funding-policies.example/fhir/Questionnaire/derby-mastopexy|1.0.0"

    card = client.post(HOOK, json=_with_form(questionnaire=form)).json()["cards"][0]

    assert "it answers version 1.0.0 of the form" in card["detail"]
    assert "reconstructionPurpose" in card["extension"]["cds-service.determination"]["outstanding"]


def test_answers_given_for_another_order_are_not_worth_a_word(client: TestClient) -> None:
    form = "https://funding-policies.example/fhir/Questionnaire/derby-mastopexy|2.0.0"
    other = [{"reference": "ServiceRequest/another"}]

    card = client.post(HOOK, json=_with_form(questionnaire=form, basedOn=other)).json()["cards"][0]

    assert "another order" not in card["detail"]
