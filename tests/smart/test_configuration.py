"""Which of a server's endpoints are believed."""

from __future__ import annotations

import json

import pytest

from cds_service.errors import LaunchRefusedError
from cds_service.smart.configuration import UNREADABLE, smart_configuration
from tests.smart.authorization_server import Ehr
from tests.smart.authorization_server import smart_configuration as answer_of
from tests.smart.launches import Launches

ISSUER = "https://ehr.example/fhir"
BESIDE_US = "http://127.0.0.1:8080/fhir"


def document(endpoint: str) -> bytes:
    members = {
        "authorization_endpoint": endpoint,
        "token_endpoint": endpoint,
        "code_challenge_methods_supported": ["S256"],
    }
    return json.dumps(members).encode()


@pytest.mark.parametrize(
    ("issuer", "endpoint"),
    [
        (ISSUER, "https://ehr.example/oauth"),
        (ISSUER, "https://login.example:8443/oauth/"),
        (ISSUER, "https://login.example/oauth?policy=a%20b"),
        (BESIDE_US, "http://localhost:9090/oauth"),
        (BESIDE_US, "https://login.example/oauth"),
    ],
)
def test_an_endpoint_is_taken_as_it_is_written(issuer: str, endpoint: str) -> None:
    found = smart_configuration(document(endpoint), issuer)

    assert found.authorization_endpoint == found.token_endpoint == endpoint


@pytest.mark.parametrize(
    ("issuer", "endpoint"),
    [
        (ISSUER, "http://ehr.example/oauth"),
        (ISSUER, "http://127.0.0.1:8080/oauth"),
        (ISSUER, "http://localhost/oauth"),
        (BESIDE_US, "http://login.example/oauth"),
        (BESIDE_US, "http://10.0.0.1/oauth"),
        (ISSUER, "https://login.example/oauth?a b"),
        (ISSUER, "//login.example/oauth"),
    ],
)
def test_an_endpoint_without_tls_is_believed_only_of_a_server_beside_us_and_beside_us(
    issuer: str, endpoint: str
) -> None:
    with pytest.raises(ValueError, match=r"^authorization_endpoint: .*found"):
        smart_configuration(document(endpoint), issuer)


@pytest.mark.parametrize(
    ("status", "headers"), [(404, {}), (203, {}), (200, {"content-encoding": "br"}), (301, {"location": "/"})]
)
def test_a_configuration_is_one_only_with_status_200_and_unpacked(
    ehr: Ehr, launches: Launches, status: int, headers: dict[str, str]
) -> None:
    answer = answer_of(ehr)
    answer.status_code = status
    answer.headers.update(headers)
    ehr.instead["/fhir/.well-known/smart-configuration"] = answer

    with pytest.raises(LaunchRefusedError, match=UNREADABLE):
        launches.context()
