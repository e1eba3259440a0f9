"""Who may call, once clients are configured."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from cds_service.app import create_app
from cds_service.errors import ClientsFileError
from cds_service.settings import Settings
from tests.hook_requests import everything_read, hook_request
from tests.trust.tokens import ISSUER, NOW, bearer, claims, header, jwk

HOOK = "/cds-services/procedure-funding"
PUBLIC = "https://cds.example"
Start = Callable[..., TestClient]


@pytest.fixture
def start(configured: Settings, tmp_path: Path) -> Iterator[Start]:
    """Starts the service with one client configured, with further members as given."""
    with ExitStack() as stack:

        def started(**members: Any) -> TestClient:
            client = {
                "name": "trust-a",
                "issuer": ISSUER,
                "algorithms": ["ES384"],
                "jwks": {"keys": [jwk("P-384")]},
            }
            file = tmp_path / "clients.json"
            file.write_text(json.dumps({"clients": [client | members]}))
            closed = configured.model_copy(update={"clients": file, "public_url": PUBLIC})
            return stack.enter_context(TestClient(create_app(closed, clock=lambda: NOW)))

        yield started


def token(path: str, number: int = 1) -> dict[str, str]:
    """The headers of a call of ``path``."""
    signed = bearer(header(jku=None), claims(aud=PUBLIC + path, jti=f"t{number}"))
    return {"Authorization": signed}


def test_a_configured_client_is_answered_and_named_in_the_log(start: Start, tmp_path: Path) -> None:
    answer = start().post(HOOK, json=hook_request(**everything_read()), headers=token(HOOK))

    assert answer.status_code == 200
    with closing(sqlite3.connect(tmp_path / "decisions.db")) as log:
        assert log.execute("SELECT client FROM decisions").fetchall() == [("trust-a",)]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/cds-services"), ("POST", HOOK)], ids=["discovery", "a hook"]
)
def test_everybody_else_gets_the_same_401(start: Start, method: str, path: str) -> None:
    client = start()
    bad = [{}, {"Authorization": "Bearer x.y.z"}, token("/elsewhere"), {"Authorization": "Basic eDp5"}]

    answers = [client.request(method, path, headers=each, json=hook_request()) for each in bad]

    assert {(answer.status_code, answer.content) for answer in answers} == {(401, answers[0].content)}


def test_a_token_serves_once(start: Start) -> None:
    client = start()

    answers = [
        client.post(HOOK, json=hook_request(**everything_read()), headers=token(HOOK)) for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [200, 401]


def test_a_token_that_was_used_before_leaves_no_decision(start: Start, tmp_path: Path) -> None:
    client = start()

    for _ in range(3):
        client.post(HOOK, json=hook_request(**everything_read()), headers=token(HOOK))

    with closing(sqlite3.connect(tmp_path / "decisions.db")) as log:
        assert log.execute("SELECT count(*) FROM decisions").fetchone() == (1,)


@pytest.mark.parametrize("first", [b"{}", b"no JSON", b'{"hook": "order-select", "context": 1}'])
def test_a_call_that_comes_to_nothing_uses_its_token_up(start: Start, first: bytes) -> None:
    client = start()

    refused = client.post(HOOK, content=first, headers=token(HOOK))
    again = client.post(HOOK, content=first, headers=token(HOOK))
    good = client.post(HOOK, json=hook_request(**everything_read()), headers=token(HOOK))

    assert [refused.status_code, again.status_code, good.status_code] == [400, 401, 401]


def test_a_call_that_misses_data_uses_its_token_up(start: Start) -> None:
    client = start()

    answers = [client.post(HOOK, json=hook_request(), headers=token(HOOK)) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [412, 401]


def test_a_token_that_was_used_before_has_no_server_read(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = start()
    reads: list[str] = []

    async def read(self: object, server: str, *_: object) -> dict[str, Any]:
        reads.append(server)
        return {}

    monkeypatch.setattr("cds_service.record.reads.RecordReader.read", read)
    access = {"access_token": "t", "token_type": "Bearer", "expires_in": 300, "scope": "a", "subject": "b"}
    asked = hook_request() | {"fhirServer": "https://ehr.example/fhir", "fhirAuthorization": access}

    answers = [client.post(HOOK, json=asked, headers=token(HOOK)) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [412, 401, 401]
    assert reads == ["https://ehr.example/fhir"]


def test_discovery_has_an_audience_of_its_own(start: Start) -> None:
    assert start().get("/cds-services", headers=token("/cds-services")).status_code == 200


def test_a_preflight_needs_no_token(start: Start) -> None:
    headers = {"Origin": "https://ehr.example", "Access-Control-Request-Method": "POST"}

    assert start().options(HOOK, headers=headers).status_code != 401


def test_a_clients_configured_commissioner_is_the_last_resort(start: Start) -> None:
    unplaced = {"resourceType": "Patient", "id": "p1"}
    client = start(commissioner="https://fhir.nhs.uk/Id/ods-organization-code|15M")

    answer = client.post(HOOK, json=hook_request(**everything_read(patient=unplaced)), headers=token(HOOK))

    (card,) = answer.json()["cards"]
    assert "derby-mastopexy" in card["extension"]["cds-service.determination"]["policy"]


def test_a_broken_clients_file_stops_the_service_from_starting(configured: Settings, tmp_path: Path) -> None:
    (tmp_path / "clients.json").write_text("{}")

    with pytest.raises(ClientsFileError):
        create_app(configured.model_copy(update={"clients": tmp_path / "clients.json"}))
