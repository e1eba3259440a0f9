"""Who launched: the id token of an EHR's authorization server, checked (OpenID Connect Core, section 3.1.3.7)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from hmac import compare_digest

from joserfc import jws
from joserfc.errors import JoseError

from cds_service.errors import LaunchRefusedError
from cds_service.smart.references import reference_on
from cds_service.trust.keys import ALGORITHMS, VerificationKey
from cds_service.trust.strict_json import strict_json

UNREADABLE = "the EHR's id token is malformed"
UNTRUSTED = "the EHR's id token is not signed with a key that the EHR publishes"
OTHER_ISSUER = "the EHR's id token is another server's"
OTHER_AUDIENCE = "the EHR's id token is for another app"
OTHER_LAUNCH = "the EHR's id token is of another launch"
OUTDATED = "the EHR's id token is not valid now"
_LEEWAY_SECONDS = 60
_LATEST_MOMENT = 2**53
_USERS = frozenset({"Practitioner", "PractitionerRole", "Patient", "RelatedPerson", "Person"})

KeyOf = Callable[[str], Awaitable[VerificationKey | None]]


async def user_named(
    id_token: object,
    key_of: KeyOf,
    issuer: str | None,
    client_id: str,
    nonce: str,
    now: datetime,
    base_url: str,
) -> str | None:
    """The reference of the user, from ``fhirUser``; None when that names nobody on the FHIR server at ``base_url``.

    ``key_of``: the published key of a kid. ``issuer``: the one that id tokens come from. ``nonce``: the launch's own.
    LaunchRefusedError when the token cannot be relied on.
    """
    claims = await _signed_claims(id_token, key_of)
    _refuse(claims.get("iss") != issuer, OTHER_ISSUER)
    _refuse(not _is_for(claims, client_id), OTHER_AUDIENCE)
    _refuse(not _same(claims.get("nonce"), nonce), OTHER_LAUNCH)
    _refuse(not _is_valid_at(claims, now.timestamp()), OUTDATED)
    user = claims.get("fhirUser")
    return reference_on(base_url, user, _USERS) if isinstance(user, str) else None


async def _signed_claims(id_token: object, key_of: KeyOf) -> Mapping[str, object]:
    if not isinstance(id_token, str):
        raise LaunchRefusedError(UNREADABLE)
    header = _header(id_token)
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or not isinstance(kid, str) or "crit" in header:
        raise LaunchRefusedError(UNTRUSTED)
    key = await key_of(kid) if algorithm in ALGORITHMS else None
    if key is None or not _is_signed(id_token, algorithm, key):
        raise LaunchRefusedError(UNTRUSTED)
    return _object(jws.extract_compact(id_token.encode()).payload)


def _header(id_token: str) -> Mapping[str, object]:
    try:
        return jws.extract_compact(id_token.encode()).headers()
    except (JoseError, ValueError):
        pass
    # Raised out here, so that it carries no trace of the token.
    raise LaunchRefusedError(UNREADABLE)


def _is_signed(id_token: str, algorithm: str, key: VerificationKey) -> bool:
    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    try:
        jws.deserialize_compact(id_token, key, registry=registry)
    except (JoseError, ValueError):
        return False
    return True


def _object(payload: bytes) -> Mapping[str, object]:
    try:
        claims = strict_json(payload)
    except ValueError:
        claims = None
    if not isinstance(claims, dict):
        raise LaunchRefusedError(UNREADABLE)
    return claims


def _is_for(claims: Mapping[str, object], client_id: str) -> bool:
    """Whether we are its audience; among several, also the one that it was issued to."""
    audience = claims.get("aud")
    if isinstance(audience, list) and len(audience) > 1:
        return client_id in audience and claims.get("azp") == client_id
    return audience in (client_id, [client_id]) and claims.get("azp", client_id) == client_id


def _is_valid_at(claims: Mapping[str, object], now: float) -> bool:
    issued, expires = _moment(claims, "iat"), _moment(claims, "exp")
    return issued <= now + _LEEWAY_SECONDS and now < expires + _LEEWAY_SECONDS


def _moment(claims: Mapping[str, object], name: str) -> float:
    value = claims.get(name)
    # A boolean is an integer to Python; the comparison is false for what is not a number.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LATEST_MOMENT:
        raise LaunchRefusedError(UNREADABLE)
    return value


def _same(theirs: object, ours: str) -> bool:
    return isinstance(theirs, str) and compare_digest(theirs.encode(), ours.encode())


def _refuse(fault: bool, reason: str) -> None:
    if fault:
        raise LaunchRefusedError(reason)
