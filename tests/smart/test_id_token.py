"""Who launched is known from an id token that was checked, or not at all."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry
from starlette.responses import JSONResponse, Response

from cds_service.errors import LaunchRefusedError
from cds_service.smart import id_token
from cds_service.smart.id_token import user_named
from cds_service.trust.keys import VerificationKey
from tests.smart.authorization_server import CAPABILITIES, KID, SIGNING_KEY, Ehr
from tests.smart.launches import NOW, Launches

SECONDS = int(NOW.timestamp())


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"iss": "https://other.example"}, id_token.OTHER_ISSUER),
        ({"iss": None}, id_token.OTHER_ISSUER),
        ({"aud": "another-app"}, id_token.OTHER_AUDIENCE),
        ({"aud": None}, id_token.OTHER_AUDIENCE),
        ({"aud": []}, id_token.OTHER_AUDIENCE),
        ({"aud": ["cds-service", "another-app"]}, id_token.OTHER_AUDIENCE),
        ({"aud": ["cds-service", "another-app"], "azp": "another-app"}, id_token.OTHER_AUDIENCE),
        ({"azp": "another-app"}, id_token.OTHER_AUDIENCE),
        ({"nonce": "another"}, id_token.OTHER_LAUNCH),
        ({"nonce": None}, id_token.OTHER_LAUNCH),
        ({"nonce": 1}, id_token.OTHER_LAUNCH),
        ({"exp": SECONDS - 60}, id_token.OUTDATED),
        ({"iat": SECONDS + 61}, id_token.OUTDATED),
        ({"exp": None}, id_token.UNREADABLE),
        ({"exp": "tomorrow"}, id_token.UNREADABLE),
        ({"exp": True}, id_token.UNREADABLE),
        ({"iat": None}, id_token.UNREADABLE),
    ],
)
def test_an_id_token_with_a_wrong_claim_ends_the_launch(
    ehr: Ehr, launches: Launches, claims: dict[str, Any], reason: str
) -> None:
    ehr.claims |= claims

    assert launches.refusal().reason == reason


@pytest.mark.parametrize(
    ("claims", "user"),
    [
        ({"exp": SECONDS - 59}, "Practitioner/prac-1"),
        ({"iat": SECONDS + 60}, "Practitioner/prac-1"),
        ({"aud": ["cds-service"]}, "Practitioner/prac-1"),
        ({"aud": ["cds-service", "b"], "azp": "cds-service"}, "Practitioner/prac-1"),
        ({"fhirUser": "PractitionerRole/role-1"}, "PractitionerRole/role-1"),
        ({"fhirUser": "https://other.example/fhir/Practitioner/1"}, None),
        ({"fhirUser": "Condition/1"}, None),
        ({"fhirUser": "Practitioner/../Patient/1"}, None),
        ({"fhirUser": {"reference": "Practitioner/1"}}, None),
        ({"fhirUser": None}, None),
    ],
)
def test_an_id_token_in_order_names_a_user_or_nobody(
    ehr: Ehr, launches: Launches, claims: dict[str, Any], user: str | None
) -> None:
    ehr.claims |= claims

    assert launches.context().user == user


def b64(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


CLAIMS = {"iss": "i", "aud": "cds-service", "iat": SECONDS, "exp": SECONDS + 300, "nonce": "n"}
PUBLIC_PEM = SIGNING_KEY.as_pem(private=False)


def compact(header: dict[str, Any], signature: bytes = b"") -> str:
    return f"{b64(json.dumps(header).encode())}.{b64(json.dumps(CLAIMS).encode())}.{b64(signature)}"


def with_secret(secret: bytes) -> str:
    signed = compact({"alg": "HS256", "kid": KID}).rpartition(".")[0]
    return f"{signed}.{b64(hmac.digest(secret, signed.encode(), 'sha256'))}"


def by_another() -> str:
    return jwt.encode({"alg": "ES384", "kid": KID}, CLAIMS, ECKey.generate_key("P-384"), algorithms=["ES384"])


def asking_to_be_believed() -> str:
    """Signed by the EHR, and saying how its signature is to be read."""
    header = {"alg": "ES384", "kid": KID, "crit": ["b64"], "b64": True}
    signed = compact(header).rpartition(".")[0]
    return f"{signed}.{b64(JWSRegistry.algorithms['ES384'].sign(signed.encode(), SIGNING_KEY))}"


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (compact({"alg": "none"}), id_token.UNTRUSTED),
        (compact({"alg": "none", "kid": KID}), id_token.UNTRUSTED),
        (compact({"alg": "ES384", "kid": KID}), id_token.UNTRUSTED),
        (compact({"alg": "ES384", "kid": KID}, b"0" * 96), id_token.UNTRUSTED),
        (compact({"alg": "RS256", "kid": KID}, b"0" * 96), id_token.UNTRUSTED),
        (compact({"alg": "ES384", "kid": KID, "crit": ["b64"], "b64": False}), id_token.UNTRUSTED),
        (compact({"alg": "ES384", "kid": ["a"]}), id_token.UNTRUSTED),
        (compact({"alg": ["ES384"], "kid": KID}), id_token.UNTRUSTED),
        (with_secret(PUBLIC_PEM), id_token.UNTRUSTED),
        (with_secret(b"cds-service"), id_token.UNTRUSTED),
        (by_another(), id_token.UNTRUSTED),
        ("a.b.c", id_token.UNREADABLE),
        ("a.b", id_token.UNREADABLE),
        ("e30.e30.e30.e30.e30", id_token.UNREADABLE),
        ("é.é.é", id_token.UNREADABLE),
        (asking_to_be_believed(), id_token.UNTRUSTED),
    ],
)
def test_an_id_token_that_the_ehr_did_not_sign_ends_the_launch(
    ehr: Ehr, launches: Launches, token: str, reason: str
) -> None:
    ehr.id_token = token

    assert launches.refusal().reason == reason


def test_an_id_token_with_a_kid_that_is_not_published_ends_the_launch(ehr: Ehr, launches: Launches) -> None:
    ehr.id_token_header["kid"] = "another"

    assert launches.refusal().reason == id_token.UNTRUSTED


@pytest.mark.parametrize("instead", [Response(status_code=500), JSONResponse({"keys": []}), JSONResponse([])])
def test_an_id_token_whose_keys_cannot_be_read_ends_the_launch(
    ehr: Ehr, launches: Launches, instead: Response
) -> None:
    ehr.instead["/jwks"] = instead

    assert launches.refusal().reason == id_token.UNTRUSTED


def test_without_an_id_token_nobody_is_named(ehr: Ehr, launches: Launches) -> None:
    ehr.token["id_token"] = None

    assert launches.context().user is None


@pytest.mark.parametrize(
    "changes",
    [
        {"capabilities": [each for each in CAPABILITIES if each != "sso-openid-connect"]},
        {"jwks_uri": None},
        {"issuer": None},
    ],
)
def test_a_server_whose_id_tokens_cannot_be_checked_is_not_asked_for_one_and_none_is_believed(
    ehr: Ehr, launches: Launches, changes: dict[str, Any]
) -> None:
    ehr.configuration |= changes
    ehr.token |= {"id_token": "never.looked.at"}

    found = launches.context()

    assert found.user is None
    assert "openid" not in found.scopes
    assert ehr.received("/jwks") == []


def test_even_where_the_servers_file_asks_for_one_an_id_token_that_cannot_be_checked_is_not_believed(
    ehr: Ehr,
) -> None:
    ehr.configuration["jwks_uri"] = None

    found = Launches(ehr, {"scopes": ("launch", "openid", "fhirUser")}).context()

    assert found.user is None


@given(
    st.one_of(
        st.text(max_size=300),
        st.lists(st.binary(max_size=60).map(b64), min_size=1, max_size=6).map(".".join),
        st.dictionaries(
            st.sampled_from(["alg", "kid", "b64", "crit", "zip", "enc"]),
            st.none() | st.text() | st.integers(),
        )
        .map(json.dumps)
        .map(lambda header: f"{b64(header.encode())}.e30.AAAA"),
        st.none(),
        st.lists(st.text()),
    )
)
def test_whatever_comes_as_an_id_token_is_refused_and_never_repeated(token: object) -> None:
    async def key_of(_: str) -> VerificationKey | None:
        return ECKey.import_key(PUBLIC_PEM)

    coroutine = user_named(token, key_of, "i", "cds-service", "n", NOW, "https://ehr.example/fhir")
    with pytest.raises(LaunchRefusedError) as refused:
        coroutine.send(None)

    assert refused.value.__context__ is None
