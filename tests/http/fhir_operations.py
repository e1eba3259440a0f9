"""Calls of FHIR operations, built from their parts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from fhir.resources.R4B import get_fhir_model_class

FIXTURES = Path(__file__).parents[2] / "fhir_fixtures" / "hooks"
Json = dict[str, Any]


def parameters(*given: Json) -> Json:
    """A Parameters resource of these parameters."""
    return {"resourceType": "Parameters", "parameter": list(given)}


def resource(name: str, value: Json) -> Json:
    """A parameter that is a resource."""
    return {"name": name, "resource": value}


def subject(patient: str = "Patient/p1") -> Json:
    """The parameter ``subject``."""
    return {"name": "subject", "valueReference": {"reference": patient}}


def context(name: str, *contents: Json) -> Json:
    """A launch context, or the answer to a query."""
    shown = [
        {"name": "content", "resource": each}
        if "resourceType" in each
        else {"name": "content", "valueReference": each}
        for each in contents
    ]
    return {"name": "context", "part": [{"name": "name", "valueCode": name}, *shown]}


def complete() -> Json:
    """The sender's word that its data are whole."""
    return {"name": "complete", "valueBoolean": True}


def posted(client: TestClient, path: str, body: Json) -> Json:
    """What an operation answers, which must be strictly R4."""
    answer = client.post(f"/fhir/{path}", json=body)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    get_fhir_model_class(found["resourceType"]).model_validate(found)
    return found


def refusal(client: TestClient, path: str, body: object) -> tuple[int, str, str]:
    """Status, issue code and place of what an operation refuses."""
    answer = client.post(f"/fhir/{path}", json=body)
    assert answer.headers["content-type"] == "application/fhir+json"
    (issue,) = answer.json()["issue"]
    return answer.status_code, issue["code"], issue.get("expression", [""])[0]


def output(answer: Json, name: str) -> Json | None:
    """The resource that comes out under a name."""
    return next((each["resource"] for each in answer["parameter"] if each["name"] == name), None)


def answered(response: Json | None) -> dict[str, Any]:
    """linkId → first value of every answered item below."""
    found: dict[str, Any] = {}
    waiting = list((response or {}).get("item", ()))
    while waiting:
        item = waiting.pop()
        waiting += item.get("item", ())
        for answer in item.get("answer", ())[:1]:
            waiting += answer.get("item", ())
            (found[item["linkId"]],) = (
                value.get("code") if isinstance(value, dict) else value
                for name, value in answer.items()
                if name.startswith("value")
            )
    return found


def fixture(name: str) -> Json:
    """A hook request of the fixtures."""
    found: Json = json.loads((FIXTURES / f"{name}.json").read_text())
    return found


def whole_record(hook: Json) -> Json:
    """All that a hook request's prefetch shows, as one Bundle."""
    entries: list[Json] = []
    for value in hook["prefetch"].values():
        if isinstance(value, dict) and value["resourceType"] == "Bundle":
            entries += value.get("entry", ())
        elif isinstance(value, dict):
            entries.append({"resource": value})
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def first_order(hook: Json) -> Json:
    """The first draft order of a hook request."""
    found: Json = hook["context"]["draftOrders"]["entry"][0]["resource"]
    return found
