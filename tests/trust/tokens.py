"""Keys, clients and tokens for the tests of ``cds_service.trust``."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from joserfc.jwk import ECKey, Key, RSAKey
from joserfc.jws import JWSRegistry

from cds_service.trust.clients import Client
from cds_service.trust.keys import ALGORITHMS, key_and_id

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
NOW_SECONDS = int(NOW.timestamp())
ISSUER = "https://ehr.example"
JWKS_URL = "https://ehr.example/jwks.json"
AUDIENCE = "https://cds.example/cds-services/procedure-funding"


@cache
def private_key(kid: str) -> Key:
    """The private key that the tests call ``kid``: its curve or size, and a number when there are several."""
    kind, _, _ = kid.partition("/")
    if kind.startswith("RSA"):
        return RSAKey.generate_key(int(kind.removeprefix("RSA-")))
    return ECKey.generate_key(kind)


def jwk(kid: str, /, **members: object) -> dict[str, Any]:
    """The public key called ``kid`` as it is published."""
    return {**private_key(kid).as_dict(private=False), "kid": kid, "use": "sig", **members}


def client(**changes: Any) -> Client:
    """A client with four pinned keys, one of them for RS384 only."""
    published = [jwk("P-384"), jwk("P-256"), jwk("RSA-2048"), jwk("RSA-2048/2", alg="RS384")]
    members: dict[str, Any] = {
        "name": "trust-a",
        "issuer": ISSUER,
        "jwks": dict(key_and_id(key) for key in published),
        "jwks_url": JWKS_URL,
        "algorithms": ALGORITHMS,
        "tenants": frozenset(),
        "commissioner": None,
    }
    return Client(**{**members, **changes})


def header(**changes: object) -> dict[str, object]:
    """A good header with ``changes``; None takes a member out."""
    return _changed({"alg": "ES384", "kid": "P-384", "typ": "JWT", "jku": JWKS_URL}, changes)


def claims(**changes: object) -> dict[str, object]:
    """Good claims with ``changes``; None takes a member out."""
    good = {"iss": ISSUER, "aud": AUDIENCE, "iat": NOW_SECONDS, "exp": NOW_SECONDS + 300, "jti": "token-1"}
    return _changed(good, changes)


def bearer(
    head: Mapping[str, object] | str | bytes,
    body: Mapping[str, object] | str | bytes,
    key: Key | None = None,
    algorithm: str | None = None,
) -> str:
    """An Authorization header, signed with ``key`` by ``algorithm``: where left out, as ``head`` says."""
    content = b64(_bytes(head)) + "." + b64(_bytes(body))
    said = head if isinstance(head, Mapping) else {}
    signer = key or private_key(str(said.get("kid", "P-384")))
    model = JWSRegistry.algorithms[algorithm or str(said.get("alg", "ES384"))]
    return f"Bearer {content}.{b64(model.sign(content.encode(), signer))}"


def bearer_with_secret(algorithm: str, kid: str, secret: bytes) -> str:
    """A good header and claims, but signed symmetrically with ``secret``: what a confused verifier checks with."""
    content = b64(_bytes(header(alg=algorithm, kid=kid))) + "." + b64(_bytes(claims()))
    signature = hmac.new(secret, content.encode(), algorithm.replace("HS", "SHA")).digest()
    return f"Bearer {content}.{b64(signature)}"


def good() -> str:
    """An Authorization header that is accepted."""
    return bearer(header(), claims())


def b64(value: bytes) -> str:
    """Unpadded base64url."""
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def _bytes(part: Mapping[str, object] | str | bytes) -> bytes:
    if isinstance(part, bytes):
        return part
    return part.encode() if isinstance(part, str) else json.dumps(part).encode()


def _changed(members: dict[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in {**members, **changes}.items() if value is not None}
