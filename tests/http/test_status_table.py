"""Every row of the status table: what a caller gets for each kind of request, and for each kind of fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from cds_service.app import create_app
from cds_service.settings import Settings
from tests.hook_requests import bundle, everything_read, hook_request, order, patient

HOOK = "/cds-services/procedure-funding"


def without(request: dict[str, Any], *path: str) -> dict[str, Any]:
    """The request with one member left out."""
    *parents, last = path
    place = request
    for name in parents:
        place = place[name]
    del place[last]
    return request


def changed(request: dict[str, Any], value: object, *path: str) -> dict[str, Any]:
    """The request with one member replaced."""
    *parents, last = path
    place = request
    for name in parents:
        place = place[name]
    place[last] = value
    return request


REFUSED: tuple[tuple[str, Any, str, str], ...] = (
    ("a list", [], "$", "a JSON object"),
    ("a text", "order-select", "$", "a JSON object"),
    ("no hook", without(hook_request(), "hook"), "hook", "order-select or order-sign"),
    ("another hook", changed(hook_request(), "patient-view", "hook"), "hook", "'patient-view'"),
    ("no context", without(hook_request(), "context"), "context", "an object"),
    ("a context that is a list", changed(hook_request(), [], "context"), "context", "an object"),
    (
        "no patient",
        without(hook_request(), "context", "patientId"),
        "context.patientId",
        "the id of a Patient",
    ),
    (
        "a number for a patient",
        changed(hook_request(), 1, "context", "patientId"),
        "context.patientId",
        "a number",
    ),
    ("no drafts", without(hook_request(), "context", "draftOrders"), "context.draftOrders", "a Bundle"),
    (
        "drafts that are a list",
        changed(hook_request(), [], "context", "draftOrders"),
        "context.draftOrders",
        "a Bundle",
    ),
    (
        "entries that are an object",
        changed(hook_request(), {}, "context", "draftOrders", "entry"),
        "context.draftOrders.entry",
        "a list",
    ),
    (
        "a selection of nothing",
        changed(hook_request(), ["ServiceRequest/other"], "context", "selections"),
        "context.selections[0]",
        "ServiceRequest/other",
    ),
    (
        "a selection of another type",
        changed(hook_request(), ["MedicationRequest/order-1"], "context", "selections"),
        "context.selections[0]",
        "a resource in context.draftOrders",
    ),
    (
        "selections that are a text",
        changed(hook_request(), "x", "context", "selections"),
        "context.selections",
        "a list",
    ),
    ("prefetch that is a list", changed(hook_request(), [], "prefetch"), "prefetch", "an object"),
    (
        "an order for somebody else",
        hook_request(order(subject={"reference": "Patient/p2"})),
        "context.draftOrders.entry[0].resource.subject",
        "the patient of context.patientId",
    ),
)


@pytest.mark.parametrize(("name", "body", "where", "says"), REFUSED, ids=[row[0] for row in REFUSED])
def test_a_body_that_is_no_hook_request_is_refused_saying_where(
    client: TestClient, name: str, body: object, where: str, says: str
) -> None:
    answer = client.post(HOOK, json=body)

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/fhir+json"
    issue = answer.json()["issue"][0]
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert issue["expression"] == [where]
    assert says in issue["diagnostics"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b'{"hook": NaN}', b"[" * 2000, b"null and void"], ids=range(6)
)
def test_a_body_that_is_not_json_is_refused(client: TestClient, body: bytes) -> None:
    answer = client.post(HOOK, content=body)

    assert answer.status_code == 400
    assert "JSON" in answer.json()["issue"][0]["diagnostics"]


def test_an_unknown_service_is_not_found(client: TestClient) -> None:
    answer = client.post("/cds-services/other", json=hook_request())

    assert answer.status_code == 404
    assert "procedure-funding" in answer.json()["issue"][0]["diagnostics"]


def test_an_unknown_path_is_not_found_as_an_outcome(client: TestClient) -> None:
    answer = client.get("/nowhere")

    assert (answer.status_code, answer.json()["resourceType"]) == (404, "OperationOutcome")


@pytest.mark.parametrize(
    "request_",
    [
        hook_request(order(code="Z99.9"), **everything_read()),
        hook_request(order(code="B3130"), **everything_read()),
        hook_request(order(doNotPerform=True), **everything_read()),
        hook_request(order(status="revoked"), **everything_read()),
        hook_request({"resourceType": "MedicationRequest", "id": "m1"}, **everything_read()),
        changed(hook_request(**everything_read()), [], "context", "selections"),
        changed(hook_request(**everything_read()), [], "context", "draftOrders", "entry")
        | {"hook": "order-sign"},
        hook_request(order(authoredOn="2020-02-29"), **everything_read()),
    ],
    ids=[
        "a code in no plan",
        "a look-alike of another code system's",
        "an order not to do it",
        "a revoked order",
        "no procedure",
        "nothing selected",
        "no drafts",
        "an order from before the policy",
    ],
)
def test_nothing_in_scope_is_no_card(client: TestClient, request_: dict[str, Any]) -> None:
    answer = client.post(HOOK, json=request_)

    assert (answer.status_code, answer.json()) == (200, {"cards": []})


def test_nothing_decidable_for_want_of_data_names_the_prefetch_keys(client: TestClient) -> None:
    answer = client.post(HOOK, json=hook_request())

    assert answer.status_code == 412
    diagnostics = answer.json()["issue"][0]["diagnostics"]
    assert "conditions" in diagnostics
    assert "procedures" in diagnostics


def test_a_request_without_any_prefetch_names_what_tells_the_commissioner(client: TestClient) -> None:
    answer = client.post(HOOK, json=without(hook_request(), "prefetch"))

    assert answer.status_code == 412
    assert "coverages, patient" in answer.json()["issue"][0]["diagnostics"]


def test_a_failed_query_is_not_read(client: TestClient) -> None:
    failed = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "timeout"}]}

    answer = client.post(HOOK, json=hook_request(conditions=failed, procedures=failed))

    assert answer.status_code == 412


def test_one_decidable_order_is_answered_and_the_other_says_what_was_not_read(client: TestClient) -> None:
    decided = {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "questionnaire": "https://funding-policies.example/fhir/Questionnaire/derby-mastopexy",
        "basedOn": [{"reference": "ServiceRequest/order-1"}],
        "authored": "2026-11-20",
        "item": [{"linkId": "breastCancer", "answer": [{"valueBoolean": False}]}],
    }
    request = hook_request(order(), order(id="order-2"), questionnaireResponses=bundle(decided))

    cards = client.post(HOOK, json=request).json()["cards"]

    extensions = [card["extension"]["cds-service.determination"] for card in cards]
    assert [each["order"] for each in extensions] == ["ServiceRequest/order-1", "ServiceRequest/order-2"]
    assert [each["status"] for each in extensions] == ["final", "undetermined"]
    assert {"criterion": "breastCancer", "origin": "unknown", "why": "not-read"} in extensions[1]["findings"]
    assert "was not read" in cards[1]["detail"]


def test_a_body_over_the_limit_is_refused(configured: Settings) -> None:
    small = configured.model_copy(update={"max_body_bytes": 2000})
    with TestClient(create_app(small)) as client:
        answer = client.post(HOOK, json=hook_request(procedures=bundle(*[patient() for _ in range(20)])))

    assert (answer.status_code, answer.json()["resourceType"]) == (413, "OperationOutcome")


def test_without_a_policy_set_everything_says_so(configured: Settings, tmp_path: Path) -> None:
    (tmp_path / "plans" / "broken").mkdir(parents=True)
    broken = configured.model_copy(update={"plans": (tmp_path / "plans",)})
    with TestClient(create_app(broken)) as client:
        answers = [client.post(HOOK, json=hook_request()), client.get("/cds-services"), client.get("/readyz")]
        alive = client.get("/livez")

    assert [answer.status_code for answer in answers] == [503, 503, 503]
    assert {answer.json()["resourceType"] for answer in answers} == {"OperationOutcome"}
    assert alive.status_code == 200


def test_a_decision_that_cannot_be_written_down_is_not_given(configured: Settings, tmp_path: Path) -> None:
    unusable = configured.model_copy(update={"database_url": f"sqlite:///{tmp_path / 'none' / 'x.db'}"})
    with TestClient(create_app(unusable)) as client:
        answer = client.post(HOOK, json=hook_request(**everything_read()))
        ready = client.get("/readyz")

    assert (answer.status_code, ready.status_code) == (503, 503)
    assert "cards" not in answer.json()
    assert str(tmp_path) not in answer.text


def test_a_ready_service_says_so(client: TestClient) -> None:
    assert client.get("/readyz").json()["status"] == "ready"


@pytest.mark.parametrize("path", ["/cds-services", HOOK])
def test_a_browser_may_ask_before_it_calls(client: TestClient, path: str) -> None:
    answer = client.options(
        path,
        headers={
            "Origin": "https://ehr.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] in {"*", "https://ehr.example"}
    assert "POST" in answer.headers["access-control-allow-methods"]


def test_only_configured_origins_may_call_from_a_browser(configured: Settings) -> None:
    strict = configured.model_copy(update={"cors_origins": ("https://ehr.example",)})
    with TestClient(create_app(strict)) as client:
        allowed = client.get("/cds-services", headers={"Origin": "https://ehr.example"})
        other = client.get("/cds-services", headers={"Origin": "https://other.example"})

    assert allowed.headers["access-control-allow-origin"] == "https://ehr.example"
    assert "access-control-allow-origin" not in other.headers


def test_discovery_offers_one_service_on_both_hooks_with_portable_prefetch(client: TestClient) -> None:
    services = client.get("/cds-services").json()["services"]

    assert [(each["hook"], each["id"]) for each in services] == [
        ("order-select", "procedure-funding"),
        ("order-sign", "procedure-funding"),
    ]
    prefetch = services[0]["prefetch"]
    assert prefetch["conditions"] == "Condition?patient={{context.patientId}}"
    assert prefetch["patient"] == "Patient/{{context.patientId}}"
    assert all(query.count("{{") == query.count("{{context.patientId}}") for query in prefetch.values())
