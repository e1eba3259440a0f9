"""Faults of the caller's FHIR server × what the caller is told: never an outcome that rests on what was not read."""

from __future__ import annotations

import time
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.hook_requests import answers, bundle, condition, hook_request
from tests.reads.faulty_server import faulty_server
from tests.reads.test_faults import EXPECTED

HOOK = "/cds-services/procedure-funding"
# How long the token of these requests is good for, in seconds: no read may take longer.
TOKEN_SECONDS = 1
RECORD: dict[str, list[dict[str, Any]]] = {
    "Patient": [{"resourceType": "Patient", "id": "p1"}],
    "Condition": [condition("254837009"), condition("429740004")],
    "Procedure": [],
    "Coverage": [],
    "QuestionnaireResponse": [],
}
# Everything that the policy turns on but the diagnosis, which only the record can show here.
FORM = answers("derby-mastopexy", reconstructionPurpose="same-breast", priorSymmetryOperations=0)


def request_to(base_url: str, **prefetch: Any) -> dict[str, Any]:
    """A mastopexy order; what is not in the prefetch is to be read from the server."""
    return {
        **hook_request(**prefetch),
        "fhirServer": base_url,
        "fhirAuthorization": {"access_token": "t", "token_type": "Bearer", "expires_in": TOKEN_SECONDS},
    }


@pytest.mark.parametrize("fault", EXPECTED)
def test_what_was_not_read_never_decides(client: TestClient, fault: str) -> None:
    _, search = EXPECTED[fault]
    with faulty_server(fault, RECORD) as server:
        started = time.monotonic()
        request = request_to(server.base_url, coverages=None, questionnaireResponses=bundle(FORM))
        answer = client.post(HOOK, json=request)
        taken = time.monotonic() - started

    assert taken < TOKEN_SECONDS + 1.5
    (card,) = answer.json()["cards"]
    found = card["extension"]["cds-service.determination"]
    if isinstance(search, tuple):
        assert found["outcome"] == "eligible"
    else:
        assert (found["status"], found["possibleOutcomes"]) == (
            "undetermined",
            ["eligible", "not-normally-funded"],
        )
        assert {"criterion": "breastCancer", "origin": "unknown", "why": "not-read"} in found["findings"]
        assert "not read" in card["detail"]


@pytest.mark.parametrize("fault", ["401", "500", "HTML", "reset", "slow header"])
def test_when_nothing_could_be_read_the_caller_is_told_which_keys(client: TestClient, fault: str) -> None:
    with faulty_server(fault, RECORD) as server:
        answer = client.post(
            HOOK, json=request_to(server.base_url, coverages=None, questionnaireResponses=None)
        )

    assert answer.status_code == 412
    diagnostics = answer.json()["issue"][0]["diagnostics"]
    assert "conditions, procedures" in diagnostics
    assert server.base_url not in diagnostics


@pytest.mark.parametrize(
    "authorization",
    [
        {"access_token": "t", "token_type": "Bearer", "expires_in": 0},
        {"access_token": "t", "token_type": "Bearer", "expires_in": -5},
        {"access_token": "t\nHost: evil", "token_type": "Bearer", "expires_in": 60},
        {"access_token": "", "token_type": "Bearer", "expires_in": 60},
    ],
    ids=["expired now", "expired", "a token that smuggles", "no token"],
)
def test_a_token_that_cannot_be_used_opens_nothing(client: TestClient, authorization: dict[str, Any]) -> None:
    with faulty_server("healthy", RECORD) as server:
        request = request_to(server.base_url, coverages=None) | {"fhirAuthorization": authorization}
        answer = client.post(HOOK, json=request)

    assert (answer.status_code, server.requests) == (412, [])


def test_an_unread_form_leaves_the_questions_open(client: TestClient) -> None:
    with faulty_server("500", RECORD) as server:
        request = request_to(server.base_url, coverages=None, conditions=bundle(), procedures=bundle())
        (card,) = client.post(HOOK, json=request).json()["cards"]

    assert card["extension"]["cds-service.determination"]["status"] == "undetermined"
