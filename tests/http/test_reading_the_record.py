"""Without any prefetch the record is read from the caller's FHIR server, and the decision is the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient

from cds_service.app import create_app
from cds_service.settings import Settings
from tests.fhir_servers import FhirServer
from tests.fhir_servers.fixtures import fhir_server
from tests.hook_requests import hook_request, order
from tests.http.test_fixtures import OUTCOMES, request_of

__all__ = ["fhir_server"]
HOOK = "/cds-services/procedure-funding"
NAMES = sorted(name for name, outcomes in OUTCOMES.items() if outcomes)


@pytest.fixture
def reading(fhir_server: FhirServer, configured: Settings) -> Iterator[TestClient]:
    """The service, allowed to read that one server."""
    allowed = configured.model_copy(update={"fhir_servers": (fhir_server.base_url,)})
    app = create_app(allowed, clock=lambda: datetime(2026, 11, 22, 12, tzinfo=UTC))
    with TestClient(app) as client:
        yield client


def of_a_patient_of_its_own(request: dict[str, Any], name: str) -> dict[str, Any]:
    """The request with ids that no other example has, so that each has the server to itself."""
    number = NAMES.index(name)
    text = json.dumps(request).replace(request["context"]["patientId"], f"own{number}")
    own: dict[str, Any] = json.loads(text.replace('"answers-', f'"own{number}-answers-'))
    return own


def resources(value: object) -> Iterator[dict[str, Any]]:
    """Every resource of a prefetch."""
    if isinstance(value, dict) and value.get("resourceType") == "Bundle":
        for entry in value.get("entry", ()):
            yield entry["resource"]
    elif isinstance(value, dict) and "resourceType" in value:
        yield value


def determinations(client: TestClient, request: dict[str, Any]) -> list[dict[str, Any]]:
    """What the cards say for software, without ids, evidence in one order."""
    answer = client.post(HOOK, json=request)
    assert answer.status_code == 200, answer.text
    found = [card["extension"]["cds-service.determination"] for card in answer.json()["cards"]]
    for each in found:
        del each["id"]
        for finding in each["findings"]:
            finding["evidence"] = sorted(finding.get("evidence", ()))
    return found


def without_prefetch(request: dict[str, Any], server: FhirServer) -> dict[str, Any]:
    """The same request with nothing sent but where the record is, and what opens it."""
    authorization = {
        "access_token": server.token,
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "patient/*.rs",
        "subject": "cds-service",
    }
    bare = {name: value for name, value in request.items() if name != "prefetch"}
    return {
        **bare,
        "fhirServer": server.base_url,
        **({"fhirAuthorization": authorization} if server.token else {}),
    }


def _only_with_a_log_of_its_own(server: FhirServer) -> None:
    """Skip where nothing tells what was asked, or several test processes ask the same server."""
    if server.name != "medplum" or server.control_url is None:
        pytest.skip("only a server of this process's own tells what this test asked")


@pytest.mark.parametrize("name", NAMES)
def test_without_prefetch_the_determinations_are_the_same(
    reading: TestClient, fhir_server: FhirServer, name: str
) -> None:
    request = of_a_patient_of_its_own(request_of(name), name)
    record = [each for value in request["prefetch"].values() for each in resources(value)]
    fhir_server.load({"entry": [{"resource": each} for each in record]})

    sent, read = (
        determinations(reading, request),
        determinations(reading, without_prefetch(request, fhir_server)),
    )

    assert sent
    assert read == sent


def test_the_token_is_sent_and_only_what_a_policy_needs_is_asked(
    reading: TestClient, fhir_server: FhirServer
) -> None:
    _only_with_a_log_of_its_own(fhir_server)
    fhir_server.forget_log()

    reading.post(HOOK, json=without_prefetch(hook_request(), fhir_server))

    asked = fhir_server.log()
    assert {line["path"].rpartition("/fhir/")[2].replace("?", "/").partition("/")[0] for line in asked} == {
        "Patient",
        "Coverage",
        "QuestionnaireResponse",
        "Condition",
        "Procedure",
    }
    assert all(line["token"] for line in asked)


def test_an_order_in_no_plan_causes_no_read(reading: TestClient, fhir_server: FhirServer) -> None:
    _only_with_a_log_of_its_own(fhir_server)
    fhir_server.forget_log()

    answer = reading.post(HOOK, json=without_prefetch(hook_request(order("Z99.9")), fhir_server))

    assert answer.json() == {"cards": []}
    assert fhir_server.log() == []


def test_what_the_prefetch_says_is_not_asked_again(reading: TestClient, fhir_server: FhirServer) -> None:
    _only_with_a_log_of_its_own(fhir_server)
    fhir_server.forget_log()
    failed = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "timeout"}]}
    sent = hook_request(coverages=None, questionnaireResponses=None, conditions=failed)

    reading.post(HOOK, json={**without_prefetch(sent, fhir_server), "prefetch": sent["prefetch"]})

    assert ["Procedure" in line["path"] for line in fhir_server.log()] == [True]


@pytest.mark.parametrize(
    "url", ["https://elsewhere.example/fhir", "file:///etc/passwd", "http://169.254.169.254/fhir"]
)
def test_a_server_that_is_not_configured_is_never_read(
    reading: TestClient, fhir_server: FhirServer, url: str
) -> None:
    request = without_prefetch(hook_request(), fhir_server) | {"fhirServer": url}

    answer = reading.post(HOOK, json=request)

    assert answer.status_code == 412
    assert url not in answer.text
