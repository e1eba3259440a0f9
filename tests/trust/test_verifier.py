"""A caller proves who it is, or learns nothing about why it did not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from cds_service.errors import ClientRejectedError
from cds_service.trust.clients import Client
from cds_service.trust.verifier import ClientVerifier
from tests.trust.bad_tokens import REFUSED
from tests.trust.memory_replay import MemoryReplayStore
from tests.trust.tokens import (
    AUDIENCE,
    ISSUER,
    NOW,
    NOW_SECONDS,
    bearer,
    claims,
    client,
    good,
    header,
    private_key,
)


async def no_fetch(url: str) -> bytes:
    raise AssertionError(f"fetched {url}")


def verifier(*clients: Client, clock: Callable[[], datetime] = lambda: NOW) -> ClientVerifier:
    return ClientVerifier(clients or (client(),), MemoryReplayStore(clock), no_fetch, clock)


async def verify(by: ClientVerifier, authorization: str | None, audience: str) -> Client:
    caller = await by.presented(authorization, audience)
    await caller.spend()
    assert caller.client is not None
    return caller.client


def verified(authorization: str | None, *clients: Client, audience: str = AUDIENCE) -> Client:
    return asyncio.run(verify(verifier(*clients), authorization, audience))


@pytest.mark.parametrize(("code", "made"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_bad_token_is_refused_and_only_the_log_has_a_code(
    code: str, made: Callable[[], str | None], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ClientRejectedError) as refused:
        verified(made())

    assert refused.value.args == ()
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None
    assert [record.getMessage() for record in caplog.records] == [f"client rejected: {code}"]


# What is good about it, the Authorization header.
ACCEPTED: list[tuple[str, Callable[[], str]]] = [
    ("ES384", good),
    ("RS384", lambda: bearer(header(alg="RS384", kid="RSA-2048"), claims())),
    ("ES256", lambda: bearer(header(alg="ES256", kid="P-256"), claims())),
    ("RS256", lambda: bearer(header(alg="RS256", kid="RSA-2048"), claims())),
    ("a key that says what it is for", lambda: bearer(header(alg="RS384", kid="RSA-2048/2"), claims())),
    ("the scheme in other case", lambda: good().replace("Bearer", "bearer")),
    ("no jku", lambda: bearer(header(jku=None), claims())),
    ("header members we do not know", lambda: bearer(header(x5t="AA", cty="JWT", ours=1), claims())),
    ("claims we do not know", lambda: bearer(header(), claims(sub=1, scope=["a"]))),
    ("an audience among others", lambda: bearer(header(), claims(aud=["https://a.example", AUDIENCE]))),
    ("a tenant nobody asked for", lambda: bearer(header(), claims(tenant="ward-1"))),
    (
        "moments with fractions",
        lambda: bearer(header(), claims(iat=NOW_SECONDS - 0.5, exp=NOW_SECONDS + 300.5)),
    ),
    (
        "expired within the leeway",
        lambda: bearer(header(), claims(iat=NOW_SECONDS - 300, exp=NOW_SECONDS - 59)),
    ),
    ("issued within the leeway", lambda: bearer(header(), claims(iat=NOW_SECONDS + 60))),
    ("valid from within the leeway", lambda: bearer(header(), claims(nbf=NOW_SECONDS + 60))),
    ("valid from before it was issued", lambda: bearer(header(), claims(nbf=NOW_SECONDS - 300))),
    ("good for an hour", lambda: bearer(header(), claims(exp=NOW_SECONDS + 3_600))),
    ("a jti of 256 characters", lambda: bearer(header(), claims(jti="j" * 256))),
    ("a long header", lambda: bearer(header(ours="x" * 1_000), claims())),
]


@pytest.mark.parametrize("made", [row[1] for row in ACCEPTED], ids=[row[0] for row in ACCEPTED])
def test_a_good_token_tells_which_client_calls(made: Callable[[], str]) -> None:
    assert verified(made()) == client()


@pytest.mark.parametrize(("length", "accepted"), [(128, True), (129, False)])
def test_a_kid_has_at_most_128_characters(length: int, accepted: bool) -> None:
    kid = "k" * length
    known = client(jwks={kid: client().jwks["P-384"]})  # type: ignore[index]
    token = bearer(header(kid=kid), claims(), private_key("P-384"))

    if accepted:
        assert verified(token, known) == known
    else:
        with pytest.raises(ClientRejectedError):
            verified(token, known)


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_an_unsafe_algorithm_is_refused_even_when_a_client_was_given_it(algorithm: str) -> None:
    token = bearer(header(alg=algorithm), claims(), algorithm="ES384")

    with pytest.raises(ClientRejectedError):
        verified(token, client(algorithms=frozenset({algorithm})))


@pytest.mark.parametrize(
    ("tenant", "accepted"),
    [
        ("ward-1", True),
        ("ward-2", True),
        ("ward-3", False),
        ("WARD-1", False),
        (["ward-1"], False),
        (None, False),
    ],
)
def test_a_client_with_tenants_may_name_only_those(tenant: object, accepted: bool) -> None:
    token = bearer(header(), claims(tenant=tenant))
    restricted = client(tenants=frozenset({"ward-1", "ward-2"}))

    if accepted:
        assert verified(token, restricted) == restricted
    else:
        with pytest.raises(ClientRejectedError):
            verified(token, restricted)


@pytest.mark.parametrize(("algorithm", "accepted"), [("ES384", True), ("RS384", False)])
def test_a_client_may_use_only_its_own_algorithms(algorithm: str, accepted: bool) -> None:
    token = bearer(header(), claims())
    restricted = client(algorithms=frozenset({algorithm}))

    if accepted:
        assert verified(token, restricted) == restricted
    else:
        with pytest.raises(ClientRejectedError):
            verified(token, restricted)


def test_a_jku_is_refused_when_the_client_has_none() -> None:
    with pytest.raises(ClientRejectedError):
        verified(good(), client(jwks_url=None))
    assert verified(bearer(header(jku=None), claims()), client(jwks_url=None)).name == "trust-a"


def test_one_client_cannot_sign_for_another() -> None:
    other = client(name="trust-b", issuer="https://other.example", jwks={"P-384": client().jwks["P-256"]})  # type: ignore[index]
    forged = bearer(header(), claims(iss="https://other.example"))

    with pytest.raises(ClientRejectedError):
        verified(forged, client(), other)


def test_a_token_is_good_once_and_for_one_issuer() -> None:
    once = verifier(client(), client(name="trust-b", issuer="https://other.example"))

    async def twice_and_another() -> str:
        await verify(once, good(), AUDIENCE)
        with pytest.raises(ClientRejectedError):
            await verify(once, good(), AUDIENCE)
        # A new signature does not make it another token.
        with pytest.raises(ClientRejectedError):
            await verify(once, bearer(header(jku=None), claims()), AUDIENCE)
        return (await verify(once, bearer(header(), claims(iss="https://other.example")), AUDIENCE)).name

    assert asyncio.run(twice_and_another()) == "trust-b"


def test_of_many_calls_at_once_with_one_token_one_is_accepted() -> None:
    once = verifier()

    async def many() -> list[Client | BaseException]:
        calls = [verify(once, good(), AUDIENCE) for _ in range(20)]
        return await asyncio.gather(*calls, return_exceptions=True)

    outcomes = asyncio.run(many())
    assert sum(isinstance(outcome, Client) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, ClientRejectedError) for outcome in outcomes) == 19


def test_a_refused_token_is_not_used_up() -> None:
    once = verifier()

    async def elsewhere_then_here() -> Client:
        with pytest.raises(ClientRejectedError):
            await verify(once, good(), "https://cds.example/cds-services")
        return await verify(once, good(), AUDIENCE)

    assert asyncio.run(elsewhere_then_here()) == client()


def test_a_used_token_is_remembered_for_as_long_as_it_would_be_accepted() -> None:
    moments = [NOW]
    once = verifier(clock=lambda: moments[-1])

    async def again_in_the_last_second() -> None:
        await verify(once, good(), AUDIENCE)
        moments.append(NOW + timedelta(seconds=359))
        await verify(once, bearer(header(), claims(jti="token-2")), AUDIENCE)
        with pytest.raises(ClientRejectedError):
            await verify(once, good(), AUDIENCE)

    asyncio.run(again_in_the_last_second())


def test_a_token_that_expired_is_forgotten() -> None:
    moments = [NOW_SECONDS]
    store = MemoryReplayStore(lambda: NOW + timedelta(seconds=moments[-1] - NOW_SECONDS))

    async def before_and_after() -> list[bool]:
        first = await store.first_use(ISSUER, "1", NOW_SECONDS + 10)
        moments.append(NOW_SECONDS + 10)
        during = await store.first_use(ISSUER, "1", NOW_SECONDS + 10)
        moments.append(NOW_SECONDS + 11)
        return [first, during, await store.first_use(ISSUER, "1", NOW_SECONDS + 20)]

    assert asyncio.run(before_and_after()) == [True, False, True]
