"""What clinicians did with our cards: told in batches, told twice, told of cards that are not ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.running_service import ROOT

HOOK = "/cds-services/procedure-funding"
FEEDBACK = f"{HOOK}/feedback"
MOMENT = "2026-11-22T12:05:00Z"


@pytest.fixture
def card(client: TestClient) -> dict[str, Any]:
    request = (ROOT / "fhir_fixtures" / "hooks" / "derby-not-normally-funded.json").read_bytes()
    found: dict[str, Any] = client.post(HOOK, content=request).json()["cards"][0]
    return found


def overridden(card: str, **other: Any) -> dict[str, Any]:
    return {"card": card, "outcome": "overridden", "outcomeTimestamp": MOMENT, **other}


def kept(client: TestClient, card: str) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = client.get(f"/decisions/{card}").json()["feedback"]
    return told


def test_feedback_is_kept_once_however_often_it_is_sent(client: TestClient, card: dict[str, Any]) -> None:
    reason = {"reason": {"code": "patient-refuses"}, "userComment": "Said so on the phone"}
    item = overridden(card["uuid"], overrideReason=reason)

    answers = [client.post(FEEDBACK, json={"feedback": [item, item]}) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200] * 3
    assert [(each["outcome"], each["reason"]) for each in kept(client, card["uuid"])] == [
        ("overridden", "patient-refuses")
    ]


def test_a_comment_is_told_nobody(client: TestClient, card: dict[str, Any]) -> None:
    item = overridden(card["uuid"], overrideReason={"userComment": "Canary of a comment"})

    client.post(FEEDBACK, json={"feedback": [item]})

    assert "Canary" not in client.get(f"/decisions/{card['uuid']}").text


def test_a_card_that_nobody_got_is_answered_like_any_other(client: TestClient, card: dict[str, Any]) -> None:
    known = client.post(FEEDBACK, json={"feedback": [overridden(card["uuid"])]})
    unknown = client.post(FEEDBACK, json={"feedback": [overridden("00000000-0000-4000-8000-000000000000")]})

    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ([], "feedback"),
        ({}, "feedback"),
        ({"feedback": ["x"]}, "feedback[0]"),
        (
            {"feedback": [{"card": "c", "outcome": "ignored", "outcomeTimestamp": MOMENT}]},
            "feedback[0].outcome",
        ),
        ({"feedback": [{"outcome": "accepted", "outcomeTimestamp": MOMENT}]}, "feedback[0].card"),
        ({"feedback": [{"card": "c", "outcome": "accepted"}]}, "feedback[0].outcomeTimestamp"),
        (
            {
                "feedback": [
                    {"card": "c", "outcome": "accepted", "outcomeTimestamp": "0001-01-01T00:00:00+14:00"}
                ]
            },
            "feedback[0].outcomeTimestamp",
        ),
        (
            {
                "feedback": [
                    {
                        "card": "c",
                        "outcome": "accepted",
                        "outcomeTimestamp": MOMENT,
                        "acceptedSuggestions": [{}],
                    }
                ]
            },
            "feedback[0].acceptedSuggestions[0].id",
        ),
        (
            {"feedback": [overridden("c", overrideReason={"userComment": "x" * 5_000})]},
            "feedback[0].overrideReason.userComment",
        ),
        ({"feedback": [overridden("c")] * 201}, "feedback"),
    ],
)
def test_feedback_that_cannot_be_read_is_refused_where_it_is_wrong(
    client: TestClient, body: Any, where: str
) -> None:
    answer = client.post(FEEDBACK, json=body)

    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == [where]


def test_only_suggestions_that_the_card_made_are_kept_as_accepted(
    client: TestClient, card: dict[str, Any]
) -> None:
    item = {
        "card": card["uuid"],
        "outcome": "accepted",
        "outcomeTimestamp": MOMENT,
        "acceptedSuggestions": [{"id": "not one of ours"}],
    }

    client.post(FEEDBACK, content=json.dumps({"feedback": [item]}))

    assert [each["acceptedSuggestions"] for each in kept(client, card["uuid"])] == [[]]
