"""What is decided in bulk is what the running service answers to the same order and record."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from cds_service.app import create_app
from cds_service.settings import Settings
from tests.bulk.exports import PLANS, ROOT, decisions, run, written
from tests.bulk.populations import Population, library, population
from tests.hook_requests import bundle

HOOK = "/cds-services/procedure-funding"
HOOKS = sorted((ROOT / "fhir_fixtures" / "hooks").glob("*.json"))
TYPES = {key: query.replace("/", "?").partition("?")[0] for key, query in library().queries.items()}


class Clock:
    """Noon of a day that can be changed."""

    day = "2026-11-22"

    def __call__(self) -> datetime:
        return datetime.fromisoformat(f"{self.day}T12:00:00").replace(tzinfo=UTC)


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def service(clock: Clock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The running service, on the day that the clock says."""
    database = tmp_path_factory.mktemp("service") / "decisions.db"
    app = create_app(Settings(plans=(PLANS,), database_url=f"sqlite:///{database}"), clock=clock)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize("file", HOOKS, ids=lambda file: file.stem)
def test_an_example_request_is_decided_alike(
    file: Path, service: TestClient, clock: Clock, tmp_path: Path
) -> None:
    request = json.loads(file.read_text())
    order = _selected(request)
    records = {
        TYPES[key]: [entry["resource"] for entry in sent.get("entry", ())]
        if sent["resourceType"] == "Bundle"
        else [sent]
        for key, sent in request.get("prefetch", {}).items()
    }
    folder = written(tmp_path / "in", [order], {"Observation": [], **records})

    run(folder)

    clock.day = order["authoredOn"]
    assert _told(decisions(folder)) == _answered(service, order, request.get("prefetch", {}))


@pytest.mark.parametrize(
    ("seed", "left_out"),
    [
        (1, ()),
        (2, ("QuestionnaireResponse",)),
        (3, ("Condition",)),
        (4, ("Coverage", "Procedure", "Patient")),
    ],
)
def test_generated_orders_are_decided_alike(
    seed: int, left_out: tuple[str, ...], service: TestClient, clock: Clock, tmp_path: Path
) -> None:
    generated = population(250, seed)
    exported = {kind: generated.records[kind] for kind in set(TYPES.values()) - set(left_out)}
    folder = written(tmp_path / "in", generated.orders, exported)

    summary = run(folder)

    assert summary.orders["decided"] == 250
    rows = defaultdict(list)
    for row in decisions(folder):
        rows[row["order"]].append(row)
    for order in generated.orders:
        clock.day = order["authoredOn"]
        prefetch = _prefetch(generated, order["subject"]["reference"].removeprefix("Patient/"), left_out)
        assert _told(rows[f"ServiceRequest/{order['id']}"]) == _answered(service, order, prefetch)


def _selected(request: dict[str, Any]) -> dict[str, Any]:
    """The one order that is selected or signed."""
    drafts = [entry["resource"] for entry in request["context"]["draftOrders"]["entry"]]
    named = request["context"].get("selections")
    order: dict[str, Any] = next(
        each for each in drafts if named is None or f"ServiceRequest/{each['id']}" in named
    )
    return order


def _prefetch(generated: Population, patient: str, left_out: tuple[str, ...]) -> dict[str, Any]:
    def own(kind: str) -> list[dict[str, Any]]:
        return [each for each in generated.records[kind] if f'"Patient/{patient}"' in json.dumps(each)]

    return {
        key: _patient(generated, patient) if kind == "Patient" else bundle(*own(kind))
        for key, kind in TYPES.items()
        if kind not in left_out
    }


def _patient(generated: Population, patient: str) -> dict[str, Any]:
    return next(each for each in generated.records["Patient"] if each["id"] == patient)


def _answered(service: TestClient, order: dict[str, Any], prefetch: dict[str, Any]) -> list[dict[str, Any]]:
    """What the service tells software of an order, in its cards; or that it asks for data (412)."""
    draft = {**order, "status": "draft"}
    patient = order["subject"]["reference"].removeprefix("Patient/")
    answer = service.post(
        HOOK,
        json={
            "hook": "order-sign",
            "hookInstance": "5f0c9c3e-3c52-4a2b-9f3a-0d9d3b6d2c11",
            "context": {
                "userId": "Practitioner/u1",
                "patientId": patient,
                "draftOrders": bundle(draft, type="collection"),
            },
            "prefetch": prefetch,
        },
    )
    if answer.status_code == 412:
        return [{"status": "not-read"}]
    cards = [card["extension"]["cds-service.determination"] for card in answer.json()["cards"]]
    return sorted((_without_names(each) for each in cards), key=str)


def _without_names(told: dict[str, Any]) -> dict[str, Any]:
    """What a card tells, with what a row has no column for left out: the card's id, and the clauses' addresses."""
    return {
        "order": told["order"],
        "policy": told.get("policy", ""),
        "status": told["status"],
        "outcome": told.get("outcome", ""),
        "clauses": "; ".join(each["label"] for each in told.get("citations", ())),
        "possible_outcomes": " ".join(told.get("possibleOutcomes", ())),
        "outstanding": " ".join(told.get("outstanding", ())),
        "redirected_from": " ".join(told.get("redirectedFrom", ())),
        "findings": [_sorted(each) for each in told.get("findings", [])],
    }


def _told(rows: list[dict[str, str]]) -> list[dict[str, Any]]:
    """The same of rows; those of which the hook says nothing on a card are left out."""
    if [row["status"] for row in rows] == ["not-read"]:
        return [{"status": "not-read"}]
    names = ("order", "policy", "status", "outcome", "clauses", "possible_outcomes", "outstanding")
    spoken = [row for row in rows if row["status"] != "no-policy" and not _is_silent(row)]
    found = [
        {
            **{name: row[name] for name in (*names, "redirected_from")},
            "findings": [_sorted(each) for each in json.loads(row["findings"])],
        }
        for row in spoken
    ]
    return sorted(found, key=str)


def _is_silent(row: dict[str, str]) -> bool:
    """A policy that does not apply, or an advice that has nothing to say, has a row and no card."""
    policy = next((each for each in library().policies if each.canonical == row["policy"]), None)
    is_advice = policy is not None and policy.is_advice
    return row["outcome"] == "not-applicable" or (is_advice and row["outcome"] != "advice")


def _sorted(finding: dict[str, Any]) -> dict[str, Any]:
    """Evidence comes in the order of the record, which an export does not have."""
    return {**finding, "evidence": sorted(finding.get("evidence", []))}
