"""A CDS client's JSON Web Token: what it says, and whether that may be believed (RFC 7519, CDS Hooks 2.0).

Everything here is pure. ``TokenRefusedError`` carries one of a few fixed codes for the log and never leaves
``cds_service.trust``: a caller learns nothing about why.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass

from joserfc import jws
from joserfc.errors import JoseError

from cds_service.trust.clients import Client
from cds_service.trust.keys import ALGORITHMS, VerificationKey
from cds_service.trust.replay import TokenUse
from cds_service.trust.strict_json import strict_json

LEEWAY_SECONDS = 60
_LONGEST_LIFE_SECONDS = 3_600
_LONGEST_HEADER = 8_192
_LONGEST_KID = 128
_LONGEST_JTI = 256
_LATEST_MOMENT = 2**53
_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")
# Each asks to be believed about the token's own key or encoding.
_UNWANTED_HEADERS = frozenset({"crit", "b64", "jwk", "x5u", "x5c"})


class TokenRefusedError(Exception):
    """A token that is not accepted. ``code`` is fixed text, never a part of the token."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


@dataclass(frozen=True, slots=True, repr=False)
class Token:
    """A token that was read and is not yet believed. Has no repr that would show it."""

    compact: str
    algorithm: str
    kid: str
    jku: str | None
    issuer: str
    claims: Mapping[str, object]


def read_token(authorization: str | None) -> Token:
    """The bearer token of an ``Authorization`` header; its signature and claims are still to be checked."""
    scheme, _, compact = (authorization or "").partition(" ")
    _require(scheme.lower() == "bearer", "no-token")
    _require(len(authorization or "") <= _LONGEST_HEADER, "too-long")
    segments = compact.split(".")
    _require(len(segments) == 3, "malformed")
    header, claims, _ = _members(segments[0]), _members(segments[1]), _decoded(segments[2])
    return Token(compact, *_header(header), _text(claims, "iss", "issuer"), claims)


def check_signature(token: Token, key: VerificationKey) -> None:
    """Refuse a token that ``key`` did not sign, or whose algorithm the key is not for."""
    try:
        jws.deserialize_compact(token.compact, key, registry=_OneAlgorithm(token.algorithm))
    except JoseError:
        raise TokenRefusedError("signature") from None


def check_claims(claims: Mapping[str, object], client: Client, audience: str, now: float) -> None:
    """Refuse a token for another endpoint, time or tenant. ``now`` is in seconds since 1970."""
    _require(audience in _audiences(claims), "audience")
    issued, expires = _moment(claims, "iat"), _moment(claims, "exp")
    _require(0 < expires - issued <= _LONGEST_LIFE_SECONDS, "lifetime")
    _require(now < expires + LEEWAY_SECONDS, "expired")
    _require(issued <= now + LEEWAY_SECONDS, "not-yet")
    _require("nbf" not in claims or _moment(claims, "nbf") <= now + LEEWAY_SECONDS, "not-yet")
    _require(not client.tenants or _text(claims, "tenant", "tenant") in client.tenants, "tenant")


def use_of(claims: Mapping[str, object], issuer: str) -> TokenUse:
    """What must be remembered of a token that is good but for having been used before."""
    jti = _text(claims, "jti", "jti")
    _require(len(jti) <= _LONGEST_JTI and jti.isprintable(), "jti")
    return TokenUse(issuer, jti, _moment(claims, "exp") + LEEWAY_SECONDS)


class _OneAlgorithm(jws.JWSRegistry):
    """Accepts one algorithm, and header members that it does not know, as RFC 7515 asks."""

    max_header_length = _LONGEST_HEADER
    max_signature_length = _LONGEST_HEADER

    def __init__(self, algorithm: str) -> None:
        super().__init__(algorithms=[algorithm], strict_check_header=False)


def _header(header: Mapping[str, object]) -> tuple[str, str, str | None]:
    _require(not _UNWANTED_HEADERS & header.keys(), "header")
    _require(header.get("typ") == "JWT", "header")
    algorithm = _text(header, "alg", "algorithm")
    _require(algorithm in ALGORITHMS, "algorithm")
    kid = _text(header, "kid", "kid")
    _require(len(kid) <= _LONGEST_KID, "kid")
    return algorithm, kid, _text(header, "jku", "jku") if "jku" in header else None


def _audiences(claims: Mapping[str, object]) -> list[object]:
    audience = claims.get("aud")
    return audience if isinstance(audience, list) else [audience]


def _moment(claims: Mapping[str, object], name: str) -> float:
    value = claims.get(name)
    # A boolean is an integer to Python. The comparison is false for what is not a number.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LATEST_MOMENT:
        raise TokenRefusedError("time")
    return value


def _text(members: Mapping[str, object], name: str, code: str) -> str:
    value = members.get(name)
    if not isinstance(value, str) or not value:
        raise TokenRefusedError(code)
    return value


def _members(segment: str) -> dict[str, object]:
    try:
        value = strict_json(_decoded(segment))
    except ValueError:
        raise TokenRefusedError("malformed") from None
    if not isinstance(value, dict):
        raise TokenRefusedError("malformed")
    return value


def _decoded(segment: str) -> bytes:
    """The bytes of strict, canonical, unpadded base64url."""
    _require(_SEGMENT.fullmatch(segment) is not None and len(segment) % 4 != 1, "malformed")
    decoded = urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    _require(urlsafe_b64encode(decoded).rstrip(b"=").decode() == segment, "malformed")
    return decoded


def _require(holds: bool, code: str) -> None:
    if not holds:
        raise TokenRefusedError(code)
