"""Tokens that must be refused, each wrong in one way."""

from __future__ import annotations

import json
from collections.abc import Callable

from joserfc.jwk import OKPKey

from tests.trust.tokens import (
    AUDIENCE,
    ISSUER,
    JWKS_URL,
    NOW_SECONDS,
    b64,
    bearer,
    bearer_with_secret,
    claims,
    good,
    header,
    jwk,
    private_key,
)


def part(n: int, authorization: str) -> str:
    return authorization.removeprefix("Bearer ").split(".")[n]


def bent(authorization: str, at: int) -> str:
    """The same with one character changed."""
    return authorization[:at] + ("A" if authorization[at] != "A" else "B") + authorization[at + 1 :]


def pem(kid: str) -> bytes:
    return private_key(kid).as_pem(private=False)  # type: ignore[union-attr]


def der(kid: str) -> bytes:
    return private_key(kid).as_der(private=False)  # type: ignore[union-attr]


def twice(member: str, value: object, whole: dict[str, object]) -> str:
    return json.dumps(whole)[:-1] + f', "{member}": {json.dumps(value)}}}'


OTHER = "P-384/other"
ED = OKPKey.generate_key("Ed25519")

# What is wrong, the code in the log, the Authorization header.
REFUSED: list[tuple[str, str, Callable[[], str | None]]] = [
    ("no header", "no-token", lambda: None),
    ("empty header", "no-token", lambda: ""),
    ("another scheme", "no-token", lambda: good().replace("Bearer", "Basic")),
    ("a scheme without a token", "malformed", lambda: "Bearer"),
    ("no scheme", "no-token", lambda: good().removeprefix("Bearer ")),
    ("two spaces", "malformed", lambda: good().replace(" ", "  ")),
    ("a token after the token", "malformed", lambda: f"{good()} {good()}"),
    ("a line after the token", "malformed", lambda: f"{good()}\n"),
    ("over 8 KiB", "too-long", lambda: bearer(header(), claims(extra="x" * 8_192))),
    ("one part", "malformed", lambda: "Bearer " + part(0, good())),
    ("two parts", "malformed", lambda: good().rpartition(".")[0]),
    ("four parts", "malformed", lambda: good() + ".AAAA"),
    ("five parts, as encrypted tokens have", "malformed", lambda: good() + ".AAAA.AAAA"),
    ("an empty header part", "malformed", lambda: f"Bearer .{part(1, good())}.{part(2, good())}"),
    ("an empty claims part", "malformed", lambda: f"Bearer {part(0, good())}..{part(2, good())}"),
    ("an empty signature", "malformed", lambda: good().rpartition(".")[0] + "."),
    ("padding", "malformed", lambda: good() + "=="),
    ("the other base64", "malformed", lambda: f"Bearer {part(0, good())}.{part(1, good())}.ab+/"),
    ("letters of another alphabet", "malformed", lambda: good().replace("Bearer e", "Bearer \u0435")),
    ("spare bits in the signature", "malformed", lambda: f"Bearer {part(0, good())}.{part(1, good())}.AB"),
    ("an impossible length", "malformed", lambda: f"Bearer {part(0, good())}.{part(1, good())}.AAAAA"),
    ("a header that is not JSON", "malformed", lambda: bearer("{alg: ES384}", claims())),
    ("a header that is an array", "malformed", lambda: bearer("[]", claims())),
    ("a header in UTF-16", "malformed", lambda: bearer(json.dumps(header()).encode("utf-16"), claims())),
    ("a header with a byte order mark", "malformed", lambda: bearer(b"\xef\xbb\xbf{}", claims())),
    ("claims that are not UTF-8", "malformed", lambda: bearer(header(), b'{"iss": "\xff"}')),
    ("claims that are text", "malformed", lambda: bearer(header(), '"x"')),
    ("claims nested without end", "malformed", lambda: bearer(header(), "[" * 5_000)),
    ("claims with NaN", "malformed", lambda: bearer(header(), '{"exp": NaN}')),
    ("an algorithm named twice", "malformed", lambda: bearer(twice("alg", "none", header()), claims())),
    ("an issuer named twice", "malformed", lambda: bearer(header(), twice("iss", ISSUER, claims()))),
    ("a critical extension", "header", lambda: bearer(header(crit=["exp"], exp=1), claims())),
    ("an empty crit", "header", lambda: bearer(header(crit=[]), claims())),
    ("an unencoded payload", "header", lambda: bearer(header(b64=False), claims())),
    ("a key of its own", "header", lambda: bearer(header(jwk=jwk(OTHER)), claims(), private_key(OTHER))),
    ("a certificate's address", "header", lambda: bearer(header(x5u=JWKS_URL), claims())),
    ("a certificate of its own", "header", lambda: bearer(header(x5c=["AA=="]), claims())),
    ("no type", "header", lambda: bearer(header(typ=None), claims())),
    ("another type", "header", lambda: bearer(header(typ="at+jwt"), claims())),
    ("a type that is no text", "header", lambda: bearer(header(typ=["JWT"]), claims())),
    ("no algorithm", "algorithm", lambda: bearer(header(alg=None), claims())),
    (
        "an algorithm that is no text",
        "algorithm",
        lambda: bearer(header(alg=["ES384"]), claims(), algorithm="ES384"),
    ),
    ("algorithm none", "algorithm", lambda: bearer(header(alg="none"), claims(), algorithm="ES384")),
    ("algorithm NONE", "algorithm", lambda: bearer(header(alg="NONE"), claims(), algorithm="ES384")),
    ("algorithm es384", "algorithm", lambda: bearer(header(alg="es384"), claims(), algorithm="ES384")),
    ("HS256 with a PEM", "algorithm", lambda: bearer_with_secret("HS256", "RSA-2048", pem("RSA-2048"))),
    ("HS384 with a PEM", "algorithm", lambda: bearer_with_secret("HS384", "P-384", pem("P-384"))),
    ("HS256 with a DER", "algorithm", lambda: bearer_with_secret("HS256", "RSA-2048", der("RSA-2048"))),
    (
        "HS512 with a JWK",
        "algorithm",
        lambda: bearer_with_secret("HS512", "P-384", json.dumps(jwk("P-384")).encode()),
    ),
    ("PS384", "algorithm", lambda: bearer(header(alg="PS384", kid="RSA-2048"), claims())),
    ("EdDSA", "algorithm", lambda: bearer(header(alg="EdDSA"), claims(), ED)),
    ("no kid", "kid", lambda: bearer(header(kid=None), claims())),
    ("a kid that is no text", "kid", lambda: bearer(header(kid=["P-384"]), claims(), private_key("P-384"))),
    (
        "a kid over 128 characters",
        "kid",
        lambda: bearer(header(kid="k" * 129), claims(), private_key("P-384")),
    ),
    ("a kid of nobody", "kid", lambda: bearer(header(kid="P-384/none"), claims(), private_key("P-384"))),
    (
        "a kid that is a path",
        "kid",
        lambda: bearer(header(kid="../../dev/null"), claims(), private_key("P-384")),
    ),
    ("a kid that is SQL", "kid", lambda: bearer(header(kid="' OR 1=1 --"), claims(), private_key("P-384"))),
    (
        "another key's kid",
        "signature",
        lambda: bearer(header(alg="ES256", kid="P-384"), claims(), private_key("P-256")),
    ),
    (
        "an EC kid for RSA",
        "signature",
        lambda: bearer(header(alg="RS384"), claims(), private_key("RSA-2048")),
    ),
    (
        "an RSA kid for EC",
        "signature",
        lambda: bearer(header(kid="RSA-2048"), claims(), private_key("P-384")),
    ),
    (
        "a key for RS384 with RS256",
        "signature",
        lambda: bearer(header(alg="RS256", kid="RSA-2048/2"), claims()),
    ),
    ("a header member of the wrong kind", "signature", lambda: bearer(header(x5t=1), claims())),
    ("a header member that is no URL", "signature", lambda: bearer(header(cty=[]), claims())),
    ("signed with another key", "signature", lambda: bearer(header(), claims(), private_key(OTHER))),
    (
        "signed by another hash",
        "signature",
        lambda: bearer(header(alg="RS384", kid="RSA-2048"), claims(), None, "RS256"),
    ),
    (
        "claims of another token",
        "signature",
        lambda: f"Bearer {part(0, good())}.{part(1, bearer(header(), claims(jti='2')))}.{part(2, good())}",
    ),
    ("a signature of zeros", "signature", lambda: f"{good().rpartition('.')[0]}.{b64(bytes(96))}"),
    ("a short signature", "signature", lambda: f"{good().rpartition('.')[0]}.{b64(bytes(95))}"),
    ("a bent signature", "signature", lambda: bent(good(), -40)),
    (
        "another jku",
        "jku",
        lambda: bearer(header(jku="https://evil.example/jwks.json"), claims(), private_key(OTHER)),
    ),
    ("a jku that begins alike", "jku", lambda: bearer(header(jku=JWKS_URL + ".evil.example"), claims())),
    ("a jku in other case", "jku", lambda: bearer(header(jku=JWKS_URL.upper()), claims())),
    ("a jku to a file", "jku", lambda: bearer(header(jku="file:///etc/passwd"), claims())),
    ("a jku that is no text", "jku", lambda: bearer(header(jku=[JWKS_URL]), claims())),
    ("no issuer", "issuer", lambda: bearer(header(), claims(iss=None))),
    ("an issuer that is no text", "issuer", lambda: bearer(header(), claims(iss=[ISSUER]))),
    ("another issuer", "issuer", lambda: bearer(header(), claims(iss="https://evil.example"))),
    ("an issuer with a slash more", "issuer", lambda: bearer(header(), claims(iss=ISSUER + "/"))),
    ("an issuer in other case", "issuer", lambda: bearer(header(), claims(iss=ISSUER.upper()))),
    ("no audience", "audience", lambda: bearer(header(), claims(aud=None))),
    (
        "another endpoint",
        "audience",
        lambda: bearer(header(), claims(aud="https://cds.example/cds-services")),
    ),
    ("an audience with a slash more", "audience", lambda: bearer(header(), claims(aud=AUDIENCE + "/"))),
    (
        "an audience over http",
        "audience",
        lambda: bearer(header(), claims(aud=AUDIENCE.replace("https", "http"))),
    ),
    ("an audience in other case", "audience", lambda: bearer(header(), claims(aud=AUDIENCE.upper()))),
    ("an audience as a member", "audience", lambda: bearer(header(), claims(aud={AUDIENCE: AUDIENCE}))),
    ("no audience in the array", "audience", lambda: bearer(header(), claims(aud=[]))),
    ("an audience in an array's array", "audience", lambda: bearer(header(), claims(aud=[[AUDIENCE]]))),
    ("no exp", "time", lambda: bearer(header(), claims(exp=None))),
    ("no iat", "time", lambda: bearer(header(), claims(iat=None))),
    ("an exp that is text", "time", lambda: bearer(header(), claims(exp=str(NOW_SECONDS + 300)))),
    ("an exp that is true", "time", lambda: bearer(header(), claims(iat=0, exp=True))),
    (
        "an exp without end",
        "time",
        lambda: bearer(header(), json.dumps(claims(exp="END")).replace('"END"', "1e999")),
    ),
    ("an exp of a thousand digits", "time", lambda: bearer(header(), claims(exp=10**1000))),
    ("a negative iat", "time", lambda: bearer(header(), claims(iat=-1))),
    ("an nbf that is text", "time", lambda: bearer(header(), claims(nbf="now"))),
    ("expired", "expired", lambda: bearer(header(), claims(iat=NOW_SECONDS - 300, exp=NOW_SECONDS - 60))),
    ("issued in the future", "not-yet", lambda: bearer(header(), claims(iat=NOW_SECONDS + 61))),
    ("not valid yet", "not-yet", lambda: bearer(header(), claims(nbf=NOW_SECONDS + 61))),
    ("good for over an hour", "lifetime", lambda: bearer(header(), claims(exp=NOW_SECONDS + 3_601))),
    ("expired when issued", "lifetime", lambda: bearer(header(), claims(exp=NOW_SECONDS))),
    ("no jti", "jti", lambda: bearer(header(), claims(jti=None))),
    ("an empty jti", "jti", lambda: bearer(header(), claims(jti=""))),
    ("a jti that is no text", "jti", lambda: bearer(header(), claims(jti=1))),
    ("a jti over 256 characters", "jti", lambda: bearer(header(), claims(jti="j" * 257))),
    ("a jti with a lone surrogate", "jti", lambda: bearer(header(), claims(jti="\ud800"))),
    ("a jti with a line break", "jti", lambda: bearer(header(), claims(jti="a\nb"))),
]
