"""SMART App Launch on the development FHIR server, step by step over HTTP."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.development.conftest import Clock

BASE = "http://127.0.0.1:8000/development/fhir"
REDIRECT = "http://127.0.0.1:8000/callback"
VERIFIER = "a-secret-that-only-the-app-knows-0123456789-abcdef"
PATIENT = "derby-after-mastectomy"
FORM = {
    "resourceType": "QuestionnaireResponse",
    "status": "completed",
    "subject": {"reference": f"Patient/{PATIENT}"},
}


def query_of(answer: Any) -> dict[str, str]:
    """The query of the URL that an answer sends the browser on to."""
    assert answer.status_code == 303, answer.text
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


def launched(service: TestClient, **members: str) -> str:
    """The launch that an EHR begins for the patient."""
    asked = {"url": "http://127.0.0.1:8000/launch", "patient": PATIENT, **members}
    return query_of(service.get("/development/launch", params=asked))["launch"]


def asked_for(launch: str | None, **members: str) -> dict[str, str]:
    """What an app asks the authorization server; an empty member is left out."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
    whole = {
        "response_type": "code",
        "client_id": "app",
        "redirect_uri": REDIRECT,
        "scope": "launch openid fhirUser offline_access patient/*.rs patient/QuestionnaireResponse.cruds",
        "state": "s-1",
        "aud": BASE,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "launch": launch or "",
        **members,
    }
    return {name: value for name, value in whole.items() if value}


def redeemed(service: TestClient, code: str, **members: str) -> Any:
    """The token endpoint's answer to a code."""
    whole = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": "app",
        "redirect_uri": REDIRECT,
        "code_verifier": VERIFIER,
        **members,
    }
    return service.post("/development/token", data=whole)


def token_for(service: TestClient, scope: str = "launch patient/*.rs", **members: str) -> dict[str, Any]:
    """The answer to a launch carried through."""
    launch = launched(service, **members)
    sent_on = service.get("/development/authorize", params=asked_for(launch, scope=scope, nonce="n-1"))
    answer: dict[str, Any] = redeemed(service, query_of(sent_on)["code"]).json()
    return answer


def test_a_launch_opens_the_app_with_the_server_and_a_launch_id(service: TestClient) -> None:
    url = "http://127.0.0.1:8000/launch?handle=h"

    opened = service.get("/development/launch", params={"url": url, "patient": PATIENT})

    assert opened.headers["location"].startswith(f"{url}&iss=")
    assert query_of(opened)["iss"] == BASE
    configuration = service.get("/development/fhir/.well-known/smart-configuration").json()
    assert configuration["code_challenge_methods_supported"] == ["S256"]
    assert configuration["authorization_endpoint"] == "http://127.0.0.1:8000/development/authorize"


def test_a_token_tells_the_patient_the_order_and_what_the_card_handed_over(service: TestClient) -> None:
    scope = "launch openid fhirUser offline_access patient/*.rs"

    answer = token_for(service, scope, order="ServiceRequest/mastopexy-1", appContext="handle-1")

    assert answer["patient"] == PATIENT
    assert answer["fhirContext"] == [{"reference": "ServiceRequest/mastopexy-1"}]
    assert answer["appContext"] == "handle-1"
    assert answer["expires_in"] == 3600
    assert answer["scope"] == scope


def test_the_id_token_is_signed_and_names_the_user(service: TestClient) -> None:
    answer = token_for(service, "launch openid fhirUser", user="Practitioner/example-surgeon")

    keys = KeySet.import_key_set(service.get("/development/jwks").json())
    claims = jwt.decode(answer["id_token"], keys, algorithms=["RS256"]).claims

    assert (claims["iss"], claims["aud"], claims["nonce"]) == (BASE, "app", "n-1")
    assert claims["fhirUser"] == f"{BASE}/Practitioner/example-surgeon"


def test_without_openid_no_id_token_is_given(service: TestClient) -> None:
    answer = token_for(service)

    assert not answer.keys() & {"id_token", "refresh_token"}


def test_a_scope_that_is_not_known_is_not_granted(service: TestClient) -> None:
    assert token_for(service, "launch system/*.rs patient/*.rs user/*.*")["scope"] == "launch patient/*.rs"


@pytest.mark.parametrize(
    "members",
    [
        {"code_verifier": VERIFIER[::-1]},
        {"code_verifier": ""},
        {"client_id": "another"},
        {"redirect_uri": "http://127.0.0.1:8000/elsewhere"},
        {"code": "guessed"},
        {"grant_type": "password"},
    ],
)
def test_a_code_is_redeemed_only_by_the_app_that_asked(service: TestClient, members: dict[str, str]) -> None:
    code = query_of(service.get("/development/authorize", params=asked_for(launched(service))))["code"]

    answer = redeemed(service, members.get("code", code), **{k: v for k, v in members.items() if k != "code"})

    assert answer.status_code == 400
    assert answer.json()["error"] in {"invalid_grant", "unsupported_grant_type"}
    assert answer.headers["cache-control"] == "no-store"


def test_a_code_is_good_once(service: TestClient) -> None:
    code = query_of(service.get("/development/authorize", params=asked_for(launched(service))))["code"]

    answers = [redeemed(service, code).status_code for _ in range(2)]

    assert answers == [200, 400]


@pytest.mark.parametrize(("seconds", "status"), [(59, 200), (60, 400)])
def test_a_code_is_good_for_a_minute(service: TestClient, clock: Clock, seconds: int, status: int) -> None:
    code = query_of(service.get("/development/authorize", params=asked_for(launched(service))))["code"]
    clock.pass_seconds(seconds)

    assert redeemed(service, code).status_code == status


@pytest.mark.parametrize(
    "members",
    [
        {"aud": "https://ehr.example/fhir"},
        {"code_challenge_method": "plain"},
        {"code_challenge": ""},
        {"response_type": "token"},
        {"launch": "guessed"},
        {"client_id": ""},
    ],
)
def test_a_request_that_smart_forbids_comes_back_with_an_error_and_its_state(
    service: TestClient, members: dict[str, str]
) -> None:
    launch = members.get("launch", launched(service))
    others = {name: value for name, value in members.items() if name != "launch"}

    sent_on = service.get("/development/authorize", params=asked_for(launch, **others))

    assert sent_on.headers["location"].startswith(REDIRECT)
    assert query_of(sent_on)["error"] == "invalid_request"
    assert query_of(sent_on)["state"] == "s-1"


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example/launch",
        "//elsewhere.example/launch",
        "http://127.0.0.1:8000@elsewhere.example/",
        "http://127.0.0.1:8000.elsewhere.example/",
        "http://localhost.elsewhere.example/",
        "https://localhost\\@elsewhere.example/",
        "javascript:alert(1)",
        "/launch",
        "http://[::1",
    ],
)
def test_nobody_elses_page_is_ever_opened(service: TestClient, url: str) -> None:
    opened = service.get("/development/launch", params={"url": url, "patient": PATIENT})
    authorized = service.get("/development/authorize", params=asked_for(launched(service), redirect_uri=url))

    assert (opened.status_code, authorized.status_code) == (400, 400)
    assert "location" not in opened.headers
    assert "location" not in authorized.headers


def test_an_app_that_is_opened_by_itself_has_its_patient_chosen(service: TestClient) -> None:
    asked = asked_for(None, scope="launch/patient patient/*.rs")

    choice = service.get("/development/authorize", params=asked)
    sent_on = service.get("/development/authorize", params={**asked, "patient": "us-patient"})

    assert "patient=us-patient" in choice.text
    assert redeemed(service, query_of(sent_on)["code"]).json()["patient"] == "us-patient"


def test_a_token_shows_its_patients_record_and_nobody_elses(service: TestClient) -> None:
    bearer = {"Authorization": f"Bearer {token_for(service)['access_token']}"}

    own = service.get("/development/fhir/Condition", headers=bearer).json()
    other = service.get("/development/fhir/Condition?patient=us-patient", headers=bearer).json()
    read = service.get("/development/fhir/Patient/us-patient", headers=bearer)

    assert own["total"] == 5
    assert other["total"] == 0
    assert read.status_code == 404


@pytest.mark.parametrize(("seconds", "status"), [(3599, 200), (3600, 401)])
def test_a_token_is_good_for_an_hour(service: TestClient, clock: Clock, seconds: int, status: int) -> None:
    bearer = {"Authorization": f"Bearer {token_for(service)['access_token']}"}
    clock.pass_seconds(seconds)

    assert service.get("/development/fhir/Condition", headers=bearer).status_code == status


@pytest.mark.parametrize("header", ["Bearer guessed", "Basic YTpi", "Bearer"])
def test_a_token_that_was_not_given_here_opens_nothing(service: TestClient, header: str) -> None:
    assert service.get("/development/fhir/Patient", headers={"Authorization": header}).status_code == 401


@pytest.mark.parametrize(
    ("scope", "status"),
    [
        ("patient/QuestionnaireResponse.cruds", 201),
        ("patient/QuestionnaireResponse.cu", 201),
        ("patient/*.write", 201),
        ("patient/*.*", 201),
        ("patient/*.rs", 403),
        ("patient/Condition.cruds", 403),
        ("patient/QuestionnaireResponse.c", 403),
        ("patient/QuestionnaireResponse.read", 403),
    ],
)
def test_a_form_is_written_when_the_scope_allows_it(service: TestClient, scope: str, status: int) -> None:
    bearer = {"Authorization": f"Bearer {token_for(service, f'launch {scope}')['access_token']}"}

    written = service.post("/development/fhir/QuestionnaireResponse", json=FORM, headers=bearer)

    assert written.status_code == status


def test_a_form_of_another_patient_is_not_written_with_this_patients_token(service: TestClient) -> None:
    bearer = {"Authorization": f"Bearer {token_for(service, 'launch patient/*.cruds')['access_token']}"}
    other = {**FORM, "subject": {"reference": "Patient/us-patient"}}

    assert (
        service.post("/development/fhir/QuestionnaireResponse", json=other, headers=bearer).status_code == 403
    )


def test_a_refresh_token_gives_a_new_token_once(service: TestClient, clock: Clock) -> None:
    answer = token_for(service, "launch openid offline_access patient/*.rs", appContext="handle-1")
    clock.pass_seconds(7200)
    renew: Callable[[], Any] = lambda: service.post(  # noqa: E731  said twice below
        "/development/token",
        data={"grant_type": "refresh_token", "refresh_token": answer["refresh_token"], "client_id": "app"},
    )

    renewed, again = renew(), renew()

    assert renewed.json()["appContext"] == "handle-1"
    assert renewed.json()["access_token"] != answer["access_token"]
    assert again.status_code == 400
    # A nonce belongs to one authentication, and a refresh is none.
    keys = KeySet.import_key_set(service.get("/development/jwks").json())
    assert "nonce" not in jwt.decode(renewed.json()["id_token"], keys, algorithms=["RS256"]).claims
