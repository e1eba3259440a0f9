"""The clients file is read strictly: what is wrong is named, and nothing half-loads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cds_service.errors import ClientsFileError
from cds_service.trust.clients import load_clients
from tests.trust.tokens import ISSUER, JWKS_URL, jwk, private_key


def member(**changes: object) -> dict[str, object]:
    """A client as it is listed; None takes a member out."""
    listed = {"name": "trust-a", "issuer": ISSUER, "jwks_url": JWKS_URL, "algorithms": ["ES384"]}
    return {name: value for name, value in {**listed, **changes}.items() if value is not None}


def keys(*listed: object) -> dict[str, object]:
    return {"keys": list(listed)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "clients.json"


def test_a_client_with_an_address_for_its_keys_is_loaded(path: Path) -> None:
    path.write_text(json.dumps({"clients": [member()]}))

    (loaded,) = load_clients(path)

    assert (loaded.name, loaded.issuer, loaded.jwks, loaded.jwks_url) == ("trust-a", ISSUER, None, JWKS_URL)
    assert loaded.algorithms == {"ES384"}
    assert loaded.tenants == frozenset()
    assert loaded.commissioner is None


def test_clients_with_pinned_keys_tenants_and_a_commissioner_are_loaded(path: Path) -> None:
    without_use = {name: value for name, value in jwk("P-384").items() if name != "use"}
    pinned = member(
        jwks=keys(without_use, jwk("RSA-2048", key_ops=["verify"])),
        jwks_url=None,
        algorithms=["ES384", "RS384"],
        tenants=["ward-1", "ward-2"],
        commissioner="https://fhir.nhs.uk/Id/ods-organization-code|QMJ",
    )
    path.write_text(json.dumps({"clients": [pinned, member(name="trust-b", issuer=ISSUER + "/b")]}))

    first, second = load_clients(path)

    assert first.jwks is not None
    assert sorted(first.jwks) == ["P-384", "RSA-2048"]
    assert first.jwks_url is None
    assert first.tenants == {"ward-1", "ward-2"}
    assert first.commissioner == "https://fhir.nhs.uk/Id/ods-organization-code|QMJ"
    assert second.name == "trust-b"


KEY = "$.clients[0].jwks.keys[0]"
LIST = [member()]

# The file's value, the place and what was found.
REFUSED: list[tuple[Any, str, str]] = [
    ([], "$", "an array"),
    ({}, "$", "none"),
    ({"clients": LIST, "client": 1}, "$", "the member 'client'"),
    ({"clients": {}}, "$.clients", "an object"),
    ({"clients": []}, "$.clients", "an array"),
    ({"clients": ["trust-a"]}, "$.clients[0]", "'trust-a'"),
    ({"clients": [member(name=None)]}, "$.clients[0]", "none"),
    ({"clients": [member(name="")]}, "$.clients[0].name", "''"),
    ({"clients": [member(name=1)]}, "$.clients[0].name", "1"),
    ({"clients": [member(name="a\nb")]}, "$.clients[0].name", r"'a\nb'"),
    ({"clients": [member(issuer=None)]}, "$.clients[0]", "none"),
    ({"clients": [member(issuer=[ISSUER])]}, "$.clients[0].issuer", "an array"),
    ({"clients": [member(algorithms=None)]}, "$.clients[0]", "none"),
    ({"clients": [member(algorithms=[])]}, "$.clients[0].algorithms", "an array"),
    ({"clients": [member(algorithms="ES384")]}, "$.clients[0].algorithms", "'ES384'"),
    ({"clients": [member(algorithms=["ES384", "none"])]}, "$.clients[0].algorithms[1]", "'none'"),
    ({"clients": [member(algorithms=["HS256"])]}, "$.clients[0].algorithms[0]", "'HS256'"),
    ({"clients": [member(algorithms=[["ES384"]])]}, "$.clients[0].algorithms[0]", "an array"),
    ({"clients": [member(tenants=[])]}, "$.clients[0].tenants", "an array"),
    ({"clients": [member(tenants=[1])]}, "$.clients[0].tenants[0]", "1"),
    ({"clients": [member(comissioner="x")]}, "$.clients[0]", "the member 'comissioner'"),
    ({"clients": [member(jwks_url=None)]}, "$.clients[0]", "neither"),
    ({"clients": [member(jwks_url="http://ehr.example/jwks")]}, "$.clients[0].jwks_url", "'http:"),
    ({"clients": [member(jwks_url="file:///etc/passwd")]}, "$.clients[0].jwks_url", "'file:"),
    ({"clients": [member(jwks_url="https://u:p@ehr.example/")]}, "$.clients[0].jwks_url", "'https:"),
    ({"clients": [member(jwks_url="https://ehr.example/#a")]}, "$.clients[0].jwks_url", "'https:"),
    ({"clients": [member(jwks_url="https:///jwks")]}, "$.clients[0].jwks_url", "'https:"),
    ({"clients": [member(jwks_url="https://ehr.example:x/")]}, "$.clients[0].jwks_url", "'https:"),
    ({"clients": [member(jwks=[])]}, "$.clients[0].jwks", "an array"),
    ({"clients": [member(jwks=keys())]}, "$.clients[0].jwks.keys", "an array"),
    ({"clients": [member(jwks=keys(1))]}, KEY, "no object"),
    (
        {"clients": [member(jwks=keys({"kty": "oct", "k": "AAAA", "kid": "1"}))]},
        KEY,
        "a private or symmetric key",
    ),
    ({"clients": [member(jwks=keys(jwk("P-384", use="enc")))]}, KEY, "a key for another use"),
    ({"clients": [member(jwks=keys(jwk("P-384", key_ops=["sign"])))]}, KEY, "a key for another use"),
    ({"clients": [member(jwks=keys(jwk("P-384", key_ops="verify")))]}, KEY, "a key for another use"),
    ({"clients": [member(jwks=keys(jwk("P-384", kid=None)))]}, KEY, "a key without kid"),
    ({"clients": [member(jwks=keys(jwk("P-384", kid="k" * 129)))]}, KEY, "a kid of 129 characters"),
    ({"clients": [member(jwks=keys(jwk("P-384", kty="OKP")))]}, KEY, "a key of another type"),
    ({"clients": [member(jwks=keys(jwk("P-384", x="AAAA")))]}, KEY, "a malformed key"),
    ({"clients": [member(jwks=keys(jwk("P-384", x="\u00e9")))]}, KEY, "a malformed key"),
    ({"clients": [member(jwks=keys(jwk("P-384", y=None)))]}, KEY, "a key without y"),
    ({"clients": [member(jwks=keys(jwk("P-384", alg=1)))]}, KEY, "a key without alg"),
    ({"clients": [member(jwks=keys(jwk("P-521")))]}, KEY, "a key on another curve, or too short"),
    (
        {"clients": [member(jwks=keys(jwk("RSA-2048", n="AQAB")))]},
        KEY,
        "a key on another curve, or too short",
    ),
    ({"clients": [member(jwks=keys(jwk("RSA-2048", e="AQ")))]}, KEY, "a malformed key"),
    (
        {"clients": [member(jwks=keys(jwk("P-384"), jwk("P-384")))]},
        "$.clients[0].jwks.keys[1]",
        "one that an earlier",
    ),
    ({"clients": [*LIST, member(issuer=ISSUER + "/b")]}, "$.clients[1].name", "'trust-a'"),
    ({"clients": [*LIST, member(name="trust-b")]}, "$.clients[1].issuer", repr(ISSUER)),
]


@pytest.mark.parametrize(("value", "place", "found"), REFUSED)
def test_a_file_that_cannot_be_used_is_refused_with_place_and_finding(
    path: Path, value: Any, place: str, found: str
) -> None:
    path.write_text(json.dumps(value))

    with pytest.raises(ClientsFileError) as refused:
        load_clients(path)

    assert (refused.value.file, refused.value.path) == (str(path), place)
    assert refused.value.found.startswith(found)
    assert (
        str(refused.value)
        == f"{path}: {place}: found {refused.value.found}; expected {refused.value.expected}"
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"{", "Expecting property name"),
        (b"\xff", "'utf-8' codec"),
        (b'{"a": 1, "a": 2}', "a member is named twice"),
    ],
)
def test_a_file_that_is_no_plain_json_is_refused(path: Path, text: bytes, found: str) -> None:
    path.write_bytes(text)

    with pytest.raises(ClientsFileError) as refused:
        load_clients(path)
    assert refused.value.found.startswith(found)


@pytest.mark.parametrize("name", ["missing.json", "."])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ClientsFileError, match="expected a file that can be read"):
        load_clients(tmp_path / name)


def test_a_private_key_in_the_file_is_refused_and_not_quoted(path: Path) -> None:
    private = private_key("P-384").as_dict(private=True)
    path.write_text(json.dumps({"clients": [member(jwks=keys({**private, "kid": "1"}))]}))

    with pytest.raises(ClientsFileError, match="a private or symmetric key") as refused:
        load_clients(path)
    assert str(private["d"]) not in str(refused.value)
    assert refused.value.__cause__ is None
