"""The same checks as `cds-service probe`, against any FHIR R4 server: `pytest tests/live --live URL [--live-token T]`.

Skipped without the option: nothing leaves this machine unless somebody asks for it.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from fastapi.testclient import TestClient

from cds_service.app import create_app
from cds_service.policies.library import load_library
from cds_service.probe import Probed, example_decisions, example_request, probed, some_patient
from cds_service.service import Decision
from cds_service.settings import Settings
from cds_service.trust.outbound import Token
from tests.conftest import ROOT

LIBRARY = load_library([ROOT / "plans"])


@pytest.fixture(scope="module")
def live(pytestconfig: pytest.Config) -> tuple[str, Token | None, str]:
    """The server's base URL, what opens it, and a patient there."""
    url: str | None = pytestconfig.getoption("--live")
    token: str | None = pytestconfig.getoption("--live-token")
    if url is None:
        pytest.skip("no --live URL was given")
    bearer = Token(token) if token else None
    return url.rstrip("/"), bearer, asyncio.run(some_patient(url.rstrip("/"), bearer))


@pytest.fixture(scope="module")
def reads(live: tuple[str, Token | None, str]) -> list[Probed]:
    """Every read that the plans need."""
    return asyncio.run(probed(*live, LIBRARY))


def test_every_query_of_the_plans_is_answered(reads: list[Probed]) -> None:
    assert [(each.query, each.answer.not_read) for each in reads if each.answer.not_read] == []


def test_every_resource_is_of_the_type_that_was_asked_for(reads: list[Probed]) -> None:
    types = {each.template.replace("/", "?").partition("?")[0]: each.answer.resources for each in reads}

    assert all(resource["resourceType"] == kind for kind, found in types.items() for resource in found)


def test_every_policy_gives_an_answer_for_a_patient_there(
    live: tuple[str, Token | None, str], reads: list[Probed]
) -> None:
    decisions = list(example_decisions(reads, live[2], LIBRARY, datetime.now(UTC)))

    assert [policy.id for policy, decision in decisions if not isinstance(decision, Decision)] == []


def test_the_running_service_reads_that_server(
    live: tuple[str, Token | None, str], configured: Settings
) -> None:
    url, token, patient = live
    authorization = token.authorization.removeprefix("Bearer ") if token else None
    with TestClient(
        create_app(configured.model_copy(update={"fhir_servers": (url,), "read_seconds": 30}))
    ) as client:
        request = example_request(LIBRARY.policies[0], patient) | {"fhirServer": url}
        if authorization is not None:
            request["fhirAuthorization"] = {
                "access_token": authorization,
                "token_type": "Bearer",
                "expires_in": 300,
            }
        answer = client.post("/cds-services/procedure-funding", json=request)

    assert answer.status_code == 200
    assert "cards" in answer.json()
