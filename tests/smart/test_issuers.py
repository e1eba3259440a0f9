"""The file of SMART servers is read strictly: what is wrong is named, no secret is shown, and nothing half-loads."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey

from cds_service.errors import SmartServersFileError
from cds_service.smart.issuers import load_smart_servers

ISSUER = "https://ehr.example/fhir"
SECRET = "s3cret of the app"  # noqa: S105 - of a test
PUBLIC = {"method": "none"}
BASIC = {"method": "client_secret_basic", "client_secret_file": "app.secret"}
SIGNED = {"method": "private_key_jwt", "key_file": "P-384.pem", "kid": "2026", "algorithm": "ES384"}


def member(**changes: object) -> dict[str, object]:
    """A server as it is listed; None takes a member out."""
    listed = {"issuer": ISSUER, "client": "trust-a", "client_id": "cds-service", "authentication": PUBLIC}
    return {name: value for name, value in {**listed, **changes}.items() if value is not None}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with secrets and keys, good and bad."""
    folder = tmp_path_factory.mktemp("smart")
    (folder / "app.secret").write_text(SECRET + "\n")
    (folder / "empty.secret").write_text("")
    (folder / "long.secret").write_text(f"{SECRET}\nand more\n")
    (folder / "foreign.secret").write_text("pässword")
    keys: dict[str, Any] = {
        "P-384": ECKey.generate_key("P-384"),
        "P-256": ECKey.generate_key("P-256"),
        "Ed25519": OKPKey.generate_key("Ed25519"),
        "RSA-2048": RSAKey.generate_key(2048),
    }
    keys["RSA-1024"] = _short_key()
    for name, key in keys.items():
        (folder / f"{name}.pem").write_bytes(key.as_pem(private=True))
    (folder / "public.pem").write_bytes(keys["P-384"].as_pem(private=False))
    return folder


def _short_key() -> RSAKey:
    with warnings.catch_warnings():
        # joserfc warns of such a key, as well it may.
        warnings.simplefilter("ignore")
        return RSAKey.generate_key(1024)


@pytest.fixture
def path(folder: Path) -> Path:
    return folder / "servers.json"


def test_a_public_app_is_loaded(path: Path) -> None:
    path.write_text(json.dumps({"servers": [member()]}))

    (loaded,) = load_smart_servers(path).values()

    assert (loaded.issuer, loaded.client, loaded.client_id) == (ISSUER, "trust-a", "cds-service")
    assert (loaded.authentication.method, loaded.scopes, loaded.redirect_uri) == ("none", None, None)


def test_apps_with_a_secret_and_with_a_key_are_loaded_and_show_neither(path: Path) -> None:
    with_key = member(
        issuer="https://b.example/fhir/",
        authentication=SIGNED,
        scopes=["launch", "patient/*.rs"],
        redirect_uri="https://cds.example/back",
    )
    path.write_text(json.dumps({"servers": [member(authentication=BASIC), with_key]}))

    first, second = load_smart_servers(path).values()

    assert first.authentication.secret == SECRET
    assert second.authentication.key is not None
    assert (second.authentication.key.kid, second.authentication.key.algorithm) == ("2026", "ES384")
    assert (second.scopes, second.base_url) == (("launch", "patient/*.rs"), "https://b.example/fhir")
    assert SECRET not in repr(first)
    assert "ECKey" not in repr(second)


def test_an_ehr_beside_us_may_be_without_tls(path: Path) -> None:
    path.write_text(json.dumps({"servers": [member(issuer="http://localhost:8080/fhir")]}))

    assert list(load_smart_servers(path)) == ["http://localhost:8080/fhir"]


PLACE = "$.servers[0]"
WAY = f"{PLACE}.authentication"

# The file's value, the place, what was found and what is expected.
REFUSED: list[tuple[Any, str, str, str]] = [
    ([], "$", "an array", "an object"),
    ({}, "$", "none", "the member servers"),
    ({"servers": []}, "$.servers", "an array", "at least one item"),
    ({"servers": [member()], "server": 1}, "$", "the member 'server'", "only servers"),
    ({"servers": [member(), member()]}, "$.servers[1].issuer", repr(ISSUER), "no earlier server"),
    *(
        ({"servers": [listed]}, place, found, expected)
        for listed, place, found, expected in (
            (member(issuer=None), PLACE, "none", "the member issuer"),
            (member(client=None), PLACE, "none", "the member client"),
            (member(client_id=None), PLACE, "none", "the member client_id"),
            (member(authentication=None), PLACE, "none", "the member authentication"),
            (member(tenant="x"), PLACE, "the member 'tenant'", "only authentication"),
            (member(issuer=1), f"{PLACE}.issuer", "1", "text"),
            (member(issuer="ehr.example"), f"{PLACE}.issuer", "something else", "https URL"),
            (member(issuer="http://ehr.example"), f"{PLACE}.issuer", "http", "https"),
            (member(issuer="http://10.0.0.1/fhir"), f"{PLACE}.issuer", "http", "http only on localhost"),
            (member(issuer=f"{ISSUER}?a=b"), f"{PLACE}.issuer", "a query", "without a query"),
            (member(issuer="https://a@ehr.example"), f"{PLACE}.issuer", "not plainly named", "https URL"),
            (member(issuer="https://169.254.169.254/"), f"{PLACE}.issuer", "no server's", "https URL"),
            (member(redirect_uri="http://cds.example/back"), f"{PLACE}.redirect_uri", "http", "https"),
            (member(client=""), f"{PLACE}.client", "''", "text"),
            (member(client_id="cds\nservice"), f"{PLACE}.client_id", "'cds", "text"),
            (member(client_id="clé"), f"{PLACE}.client_id", "'clé'", "ASCII"),
            (member(scopes=[]), f"{PLACE}.scopes", "an array", "at least one item"),
            (member(scopes="launch"), f"{PLACE}.scopes", "'launch'", "an array"),
            (member(scopes=["launch openid"]), f"{PLACE}.scopes[0]", "'launch openid'", "one scope"),
            (member(authentication="none"), WAY, "'none'", "an object"),
            (member(authentication={}), WAY, "none", "the member method"),
            (
                member(authentication={"method": "client_secret_jwt"}),
                f"{WAY}.method",
                "'client_secret_jwt'",
                "one of",
            ),
            (
                member(authentication={"method": "client_secret_basic"}),
                WAY,
                "none",
                "the member client_secret_file",
            ),
            (
                member(authentication={**BASIC, "client_secret": SECRET}),
                WAY,
                "the member 'client_secret'",
                "only",
            ),
            (member(authentication={**PUBLIC, "kid": "1"}), WAY, "the member 'kid'", "only method"),
            *(
                (
                    member(authentication={**BASIC, "client_secret_file": name}),
                    f"{WAY}.client_secret_file",
                    found,
                    "a file",
                )
                for name, found in (
                    ("missing.secret", "No such file"),
                    ("empty.secret", "none, or more"),
                    ("long.secret", "none, or more"),
                    ("foreign.secret", "other characters"),
                )
            ),
            *(
                (
                    member(authentication={**SIGNED, "key_file": name, "algorithm": algorithm}),
                    f"{WAY}.key_file",
                    found,
                    expected,
                )
                for name, algorithm, found, expected in (
                    ("missing.pem", "ES384", "No such file", "can be read"),
                    ("app.secret", "ES384", "no such key", "ES384 as PEM"),
                    ("public.pem", "ES384", "a public key", "a private key"),
                    ("P-256.pem", "ES384", "another curve", "a private key"),
                    ("Ed25519.pem", "ES384", "no such key", "a private key"),
                    ("RSA-2048.pem", "ES384", "no such key", "a private key"),
                    ("P-384.pem", "RS384", "no such key", "RS384 as PEM"),
                    ("RSA-1024.pem", "RS384", "too short", "a private key"),
                )
            ),
            (
                member(authentication={**SIGNED, "algorithm": "HS256"}),
                f"{WAY}.algorithm",
                "'HS256'",
                "ES384, RS384",
            ),
        )
    ),
]


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
@pytest.mark.parametrize(("value", "place", "found", "expected"), REFUSED)
def test_what_is_wrong_is_named_with_its_place_and_no_secret(
    path: Path, value: object, place: str, found: str, expected: str
) -> None:
    path.write_text(json.dumps(value))

    with pytest.raises(SmartServersFileError) as refused:
        load_smart_servers(path)

    assert (refused.value.file, refused.value.path) == (str(path), place)
    assert found in refused.value.found
    assert expected in refused.value.expected
    assert SECRET not in str(refused.value)
    assert "PRIVATE KEY" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"{", b'{"servers": [], "servers": []}', b"\xff"])
def test_a_file_that_is_no_json_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    with pytest.raises(SmartServersFileError, match="JSON in UTF-8"):
        load_smart_servers(path)


def test_a_file_that_is_not_there_is_refused(folder: Path) -> None:
    with pytest.raises(SmartServersFileError, match="a file that can be read"):
        load_smart_servers(folder / "none.json")
