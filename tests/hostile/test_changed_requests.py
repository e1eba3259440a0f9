"""Requests that were good once and were changed: never a fault of ours, never a hang, never a "no" from what was unread."""

from __future__ import annotations

import os
import time
from copy import deepcopy
from functools import cache
from typing import Any

import jsonschema_rs
import orjson
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, assume, given, settings

from cds_service.routes.openapi_schemas import schemas
from tests.hostile.requests import (
    FIXTURES,
    NOT_OF_THE_RECORD,
    UNREAD,
    changed_requests,
    requests_shown_and_not,
)

HOOK = "/cds-services/procedure-funding"
EXAMPLES = int(os.environ.get("HOSTILE_REQUESTS", "300"))
"""How many requests are tried; 20,000 before a release."""
LONGEST_SECONDS = 5.0
TRY = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


@cache
def validator(name: str) -> jsonschema_rs.Validator:
    """What checks an answer against its description."""
    return jsonschema_rs.Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas()}}
    )


def posted(client: TestClient, request: object) -> tuple[int, dict[str, Any]]:
    """The status and the answer to a request; it keeps to its description, and to the clock."""
    started = time.monotonic()
    answer = client.post(HOOK, content=orjson.dumps(request))
    seconds = time.monotonic() - started
    body = answer.json()
    assert answer.status_code in {200, 400, 412}, body
    assert seconds < LONGEST_SECONDS
    problems = validator("HookResponse" if answer.status_code == 200 else "OperationOutcome").iter_errors(
        body
    )
    assert [f"{each.instance_path}: {each.message}" for each in problems] == []
    return answer.status_code, body


def final(body: dict[str, Any]) -> set[tuple[str | None, str, str]]:
    """Order, policy and outcome of the determinations that are final."""
    told = [card["extension"]["cds-service.determination"] for card in body.get("cards", ())]
    return {
        (each.get("order"), each["policy"], each["outcome"]) for each in told if each["status"] == "final"
    }


@TRY
@given(request=changed_requests())
def test_a_changed_request_is_answered_with_cards_or_refused_with_a_place(
    client: TestClient, request: dict[str, Any]
) -> None:
    status, body = posted(client, request)

    if status == 200:
        for card in body["cards"]:
            assert len({link["type"] for link in card.get("links", ())}) < 2
            assert ("suggestions" in card) == ("selectionBehavior" in card)
    else:
        assert status == 412 or body["issue"][0]["expression"]


@settings(TRY, max_examples=EXAMPLES // 3)
@given(shown_and_not=requests_shown_and_not())
def test_what_is_not_read_leaves_an_outcome_or_opens_it_but_never_makes_another(
    client: TestClient, shown_and_not: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    shown, unread = shown_and_not
    answered, read = posted(client, shown)
    assume(answered != 400)

    status, body = posted(client, unread)

    assert status in {200, 412}
    assert final(body) <= final(read)


@pytest.mark.parametrize("name", sorted(FIXTURES))
@pytest.mark.parametrize("shown", range(len(UNREAD)))
def test_no_fixture_is_settled_in_favour_or_against_by_what_cannot_be_read(
    client: TestClient, name: str, shown: int
) -> None:
    request = deepcopy(FIXTURES[name])
    request.pop("fhirServer", None)
    _, read = posted(client, request)
    for key in request.get("prefetch", {}).keys() - NOT_OF_THE_RECORD:
        request["prefetch"][key] = UNREAD[shown]

    _, body = posted(client, request)

    assert final(body) <= final(read)
