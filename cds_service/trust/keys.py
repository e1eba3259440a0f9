"""Public keys that a CDS client's signatures are checked with."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Mapping

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from cds_service.trust.strict_json import strict_json

VerificationKey = ECKey | RSAKey

ALGORITHMS = frozenset({"ES384", "RS384", "ES256", "RS256"})
"""The signatures CDS Hooks recommends (the 384s) and those that clients also use. None is symmetric."""

EXPECTED_KEY = "a public signature key with a kid: EC on P-256 or P-384, or RSA of 2048 bits or more"
_CURVES = frozenset({"P-256", "P-384"})
_SMALLEST_MODULUS = 2048
_LONGEST_KID = 128
_SECRET_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


def key_and_id(jwk: object) -> tuple[str, VerificationKey]:
    """The ``kid`` and the key of one JSON Web Key. ValueError says what it is instead, without quoting it."""
    if not isinstance(jwk, dict):
        raise ValueError("no object")
    if _SECRET_MEMBERS & jwk.keys():
        raise ValueError("a private or symmetric key")
    if jwk.get("use", "sig") != "sig" or "verify" not in _operations(jwk):
        raise ValueError("a key for another use")
    kid = _text(jwk, "kid")
    if len(kid) > _LONGEST_KID:
        raise ValueError(f"a kid of {len(kid)} characters")
    return kid, _imported(jwk, _public_members(jwk))


def keys_by_id(document: bytes) -> Mapping[str, VerificationKey]:
    """The usable keys of a JSON Web Key Set as a client publishes it; the others are passed over.

    ValueError when ``document`` is no key set.
    """
    match strict_json(document):
        case {"keys": list(jwks)}:
            return dict(pair for jwk in jwks if (pair := _usable(jwk)) is not None)
    raise ValueError("no JSON Web Key Set")


def _usable(jwk: object) -> tuple[str, VerificationKey] | None:
    try:
        return key_and_id(jwk)
    except ValueError:
        return None


def _operations(jwk: Mapping[str, object]) -> list[object]:
    operations = jwk.get("key_ops", ["verify"])
    return operations if isinstance(operations, list) else []


def _public_members(jwk: Mapping[str, object]) -> dict[str, str | list[str]]:
    names = {"EC": ("crv", "x", "y"), "RSA": ("n", "e")}.get(_text(jwk, "kty"))
    if names is None:
        raise ValueError("a key of another type")
    optional = ("alg",) if "alg" in jwk else ()
    return {"use": "sig", **{name: _text(jwk, name) for name in ("kty", *names, *optional)}}


def _imported(jwk: Mapping[str, object], members: dict[str, str | list[str]]) -> VerificationKey:
    try:
        if jwk["kty"] == "EC" and jwk["crv"] in _CURVES:
            return ECKey.import_key(members)
        if jwk["kty"] == "RSA" and _modulus_bits(_text(jwk, "n")) >= _SMALLEST_MODULUS:
            return RSAKey.import_key(members)
    except (JoseError, ValueError):
        raise ValueError("a malformed key") from None
    raise ValueError("a key on another curve, or too short")


def _modulus_bits(modulus: str) -> int:
    return int.from_bytes(urlsafe_b64decode(modulus + "=" * (-len(modulus) % 4))).bit_length()


def _text(jwk: Mapping[str, object], name: str) -> str:
    value = jwk.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"a key without {name}")
    return value
