"""Forms once clients are configured: a card's form opens from its own client's EHR and from no other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.running_service import NOON, ROOT, running_service
from tests.smart.authorization_server import CLIENT_ID, authorization_server
from tests.trust.tokens import bearer, claims, header, jwk

HOOK = "/cds-services/procedure-funding"
ORDER = json.loads(
    (ROOT / "fhir_fixtures" / "hooks" / "derby-undetermined-asks-two-questions.json").read_text()
)


def called(url: str, method: str, path: str, client: str, jti: str, **sent: Any) -> httpx.Response:
    """A call with a token of this client."""
    token = bearer(header(jku=None), claims(iss=f"https://{client}.example", aud=url + path, jti=jti))
    return httpx.request(method, url + path, headers={"Authorization": token}, timeout=60, **sent)


@contextmanager
def service_for(tmp_path: Path, ehr_of: str) -> Iterator[tuple[str, str]]:
    """A service with two clients, the one EHR being ``ehr_of``'s: its address and the EHR's issuer."""
    clients = [
        {
            "name": name,
            "issuer": f"https://{name}.example",
            "algorithms": ["ES384"],
            "jwks": {"keys": [jwk("P-384")]},
        }
        for name in ("trust-a", "trust-b")
    ]
    (tmp_path / "clients.json").write_text(json.dumps({"clients": clients}))
    with authorization_server() as server:
        ehr = server.ehr(int(NOON.timestamp()))
        patient = ORDER["context"]["patientId"]
        ehr.token = {"patient": patient, "fhirContext": [{"reference": "ServiceRequest/mastopexy-1"}]}
        known = {
            "issuer": ehr.issuer,
            "client": ehr_of,
            "client_id": CLIENT_ID,
            "authentication": {"method": "none"},
        }
        (tmp_path / "smart.json").write_text(json.dumps({"servers": [known]}))
        clients_file, servers_file = tmp_path / "clients.json", tmp_path / "smart.json"
        with running_service(
            tmp_path / "service.db", clients=clients_file, smart_servers=servers_file
        ) as url:
            yield url, ehr.issuer


def launched(url: str, issuer: str) -> httpx.Response:
    """The page that trust-a's card leads to when this issuer launches its form."""
    card = called(url, "POST", HOOK, "trust-a", "hook", json=ORDER).raise_for_status().json()["cards"][0]
    with httpx.Client(follow_redirects=True, timeout=60) as browser:
        return browser.get(
            httpx.URL(card["links"][0]["url"]).copy_merge_params({"iss": issuer, "launch": "l1"})
        )


def test_a_cards_form_opens_from_its_own_clients_ehr(tmp_path: Path) -> None:
    with service_for(tmp_path, ehr_of="trust-a") as (url, issuer):
        page = launched(url, issuer)

    assert page.status_code == 200
    assert "Question 1 of" in page.text


def test_a_cards_form_opens_from_no_other_clients_ehr(tmp_path: Path) -> None:
    with service_for(tmp_path, ehr_of="trust-b") as (url, issuer):
        page = launched(url, issuer)

    assert page.status_code == 403
    assert "another record system" in page.text


def test_nothing_of_development_is_there(tmp_path: Path) -> None:
    with service_for(tmp_path, ehr_of="trust-a") as (url, _):
        found = {path: httpx.get(url + path).status_code for path in ("/try", "/development/fhir/metadata")}

    assert found == {"/try": 404, "/development/fhir/metadata": 404}


@pytest.mark.parametrize(("client", "status"), [("trust-a", 200), ("trust-b", 404)])
def test_a_decision_is_explained_to_the_client_that_got_it(tmp_path: Path, client: str, status: int) -> None:
    with service_for(tmp_path, ehr_of="trust-a") as (url, _):
        card = called(url, "POST", HOOK, "trust-a", "hook", json=ORDER).json()["cards"][0]["uuid"]

        assert called(url, "GET", f"/decisions/{card}", client, "look").status_code == status


def test_feedback_on_another_clients_card_is_answered_alike_and_not_kept(tmp_path: Path) -> None:
    with service_for(tmp_path, ehr_of="trust-a") as (url, _):
        card = called(url, "POST", HOOK, "trust-a", "hook", json=ORDER).json()["cards"][0]["uuid"]
        item = {"card": card, "outcome": "overridden", "outcomeTimestamp": "2026-11-22T12:05:00Z"}
        body = {"feedback": [item]}

        foreign = called(url, "POST", f"{HOOK}/feedback", "trust-b", "f1", json=body)
        kept = called(url, "GET", f"/decisions/{card}", "trust-a", "look").json()["feedback"]
        own = called(url, "POST", f"{HOOK}/feedback", "trust-a", "f2", json=body)

    assert (foreign.status_code, foreign.content) == (own.status_code, own.content)
    assert kept == []
