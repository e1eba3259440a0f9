"""The app's own keys: with them it proves who it is at a token endpoint (SMART App Launch, asymmetric authentication)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

ALGORITHMS = frozenset({"ES384", "RS384"})
"""The two that every SMART server has to accept at least one of."""

_CURVE = "P-384"
_SMALLEST_MODULUS = 2048
_ASSERTION_SECONDS = 240


@dataclass(frozen=True, slots=True)
class ClientKey:
    """A private key, its ``kid`` in the key set that servers know of us, and what it signs with."""

    key: ECKey | RSAKey = field(repr=False)
    kid: str
    algorithm: str


def client_key(pem: bytes, kid: str, algorithm: str) -> ClientKey:
    """The key in ``pem``. ValueError says what it is instead, and quotes nothing of it."""
    try:
        key = ECKey.import_key(pem) if algorithm == "ES384" else RSAKey.import_key(pem)
    except (JoseError, ValueError, TypeError):
        raise ValueError("no such key") from None
    if not key.is_private:
        raise ValueError("a public key")
    if isinstance(key, ECKey) and key.curve_name != _CURVE:
        raise ValueError("a key on another curve")
    if isinstance(key, RSAKey) and key.raw_value.key_size < _SMALLEST_MODULUS:
        raise ValueError("a key that is too short")
    return ClientKey(key, kid, algorithm)


def client_assertion(key: ClientKey, client_id: str, token_endpoint: str, now: datetime, jti: str) -> str:
    """The JWT that proves to ``token_endpoint`` that ``client_id`` asks; good once, for four minutes (RFC 7523)."""
    issued = int(now.timestamp())
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": token_endpoint,
        "iat": issued,
        "exp": issued + _ASSERTION_SECONDS,
        "jti": jti,
    }
    return jwt.encode({"alg": key.algorithm, "kid": key.kid}, claims, key.key, algorithms=[key.algorithm])


def public_key_set(keys: Iterable[ClientKey]) -> dict[str, Any]:
    """The JSON Web Key Set to publish, so that servers can check our assertions."""
    published = {
        key.kid: {
            **key.key.as_dict(private=False),
            "kid": key.kid,
            "alg": key.algorithm,
            "use": "sig",
            "key_ops": ["verify"],
        }
        for key in keys
    }
    return {"keys": list(published.values())}
