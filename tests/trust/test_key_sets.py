"""Keys at a client's own address: read when needed, seldom, with a limit on everything, and never elsewhere."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
import respx

from cds_service.errors import ClientRejectedError
from cds_service.trust.clients import Client
from cds_service.trust.key_sets import fetched_jwks
from cds_service.trust.verifier import ClientVerifier
from tests.trust.memory_replay import MemoryReplayStore
from tests.trust.tokens import AUDIENCE, JWKS_URL, NOW, bearer, claims, client, header, jwk, private_key

LIMIT = 65_536


class Caller:
    """A client that calls again and again, and the clock."""

    def __init__(self) -> None:
        self._now = NOW
        self._calls = 0
        clock = self._clock
        remote = client(jwks=None)
        self._verifier = ClientVerifier([remote], MemoryReplayStore(clock), fetched_jwks, clock)

    def after(self, **time: float) -> Caller:
        self._now += timedelta(**time)
        return self

    async def accepted(self, kid: str = "P-384", signed_with: str = "P-384") -> bool:
        self._calls += 1
        now = int(self._now.timestamp())
        body = claims(jti=str(self._calls), iat=now, exp=now + 300)
        algorithm = "RS384" if signed_with.startswith("RSA") else "ES384"
        token = bearer(header(kid=kid, alg=algorithm), body, private_key(signed_with))
        try:
            caller = await self._verifier.presented(token, AUDIENCE)
            await caller.spend()
            return isinstance(caller.client, Client)
        except ClientRejectedError:
            return False

    def _clock(self) -> datetime:
        return self._now


def published(*keys: object, **more: object) -> httpx.Response:
    return httpx.Response(200, json={"keys": list(keys), **more})


def run(scene: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(scene())


@respx.mock
def test_keys_are_read_once_for_many_calls() -> None:
    route = respx.get(JWKS_URL).mock(return_value=published(jwk("P-384"), jwk("RSA-2048"), now="ignored"))
    caller = Caller()

    async def scene() -> list[bool]:
        kids = ["P-384", "RSA-2048"] * 5
        return [await caller.accepted(kid, kid) for kid in kids]

    assert run(scene) == [True] * 10
    assert route.call_count == 1
    assert route.calls[0].request.headers["accept-encoding"] == "identity"
    assert "authorization" not in route.calls[0].request.headers


@respx.mock
def test_many_first_calls_at_once_read_the_keys_once() -> None:
    async def slowly(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.05)
        return published(jwk("P-384"))

    route = respx.get(JWKS_URL).mock(side_effect=slowly)
    caller = Caller()

    async def scene() -> list[bool]:
        return await asyncio.gather(*[caller.accepted() for _ in range(20)])

    assert run(scene) == [True] * 20
    assert route.call_count == 1


@respx.mock
def test_a_flood_of_unknown_kids_reads_the_keys_once_a_minute() -> None:
    route = respx.get(JWKS_URL).mock(return_value=published(jwk("P-384")))
    caller = Caller()

    async def scene() -> list[int]:
        counts = []
        for wait in (0, 59, 1):
            caller.after(seconds=wait)
            assert not any([await caller.accepted(f"unknown-{n}") for n in range(50)])
            counts.append(route.call_count)
        return counts

    assert run(scene) == [1, 1, 2]


@respx.mock
def test_a_new_key_is_accepted_within_a_minute_of_its_publication() -> None:
    respx.get(JWKS_URL).mock(side_effect=[published(jwk("P-384")), published(jwk("P-384"), jwk("P-384/new"))])
    caller = Caller()

    async def scene() -> list[bool]:
        old = await caller.accepted()
        return [old, await caller.after(seconds=60).accepted("P-384/new", "P-384/new")]

    assert run(scene) == [True, True]


@respx.mock
def test_a_withdrawn_key_is_refused_within_an_hour() -> None:
    respx.get(JWKS_URL).mock(side_effect=[published(jwk("P-384")), published(jwk("P-384/new"))])
    caller = Caller()

    async def scene() -> list[bool]:
        return [await caller.after(seconds=wait).accepted() for wait in (0, 3_599, 1)]

    assert run(scene) == [True, True, False]


@respx.mock
def test_a_clock_that_was_set_back_does_not_keep_old_keys_or_new_ones_out() -> None:
    respx.get(JWKS_URL).mock(side_effect=[published(jwk("P-384")), published(jwk("P-384/new"))])
    caller = Caller()

    async def scene() -> list[bool]:
        before = await caller.accepted()
        after = await caller.after(hours=-2).accepted()
        return [before, after, await caller.accepted("P-384/new", "P-384/new")]

    assert run(scene) == [True, False, True]


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b" " * 1_024


PACKED = gzip.compress(json.dumps({"keys": [jwk("P-384")]}).encode())
UNREADABLE: list[tuple[str, Any]] = [
    ("an error", httpx.Response(500, json={"keys": [jwk("P-384")]})),
    ("not found", httpx.Response(404)),
    ("a redirect", httpx.Response(302, headers={"location": "https://evil.example/jwks.json"})),
    ("another success", httpx.Response(203, json={"keys": [jwk("P-384")]})),
    ("no connection", httpx.ConnectError),
    ("no answer in time", httpx.ReadTimeout),
    ("a broken answer", httpx.RemoteProtocolError),
    ("a page", httpx.Response(200, text="<html></html>")),
    ("nothing", httpx.Response(200)),
    ("an array", httpx.Response(200, json=[jwk("P-384")])),
    ("no keys", httpx.Response(200, json={"key": [jwk("P-384")]})),
    ("keys that are no array", httpx.Response(200, json={"keys": jwk("P-384")})),
    ("nested without end", httpx.Response(200, text="[" * 60_000)),
    ("more than 64 KiB", published(jwk("P-384"), padding="x" * LIMIT)),
    ("more than ever ends", httpx.Response(200, content=endless())),
    ("packed", httpx.Response(200, content=PACKED, headers={"content-encoding": "gzip"})),
]


@pytest.mark.parametrize("answer", [row[1] for row in UNREADABLE], ids=[row[0] for row in UNREADABLE])
def test_keys_that_cannot_be_read_accept_nobody_until_they_can(answer: Any) -> None:
    caller = Caller()

    async def scene() -> list[bool]:
        return [await caller.after(seconds=wait).accepted() for wait in (0, 59, 1)]

    with respx.mock(assert_all_called=False) as router:
        elsewhere = router.get("https://evil.example/jwks.json").mock(return_value=published(jwk("P-384")))
        router.get(JWKS_URL).mock(side_effect=[answer, published(jwk("P-384"))])
        assert run(scene) == [False, False, True]
    assert not elsewhere.called


@respx.mock
def test_the_last_good_keys_serve_for_a_day_when_they_cannot_be_read_again() -> None:
    respx.get(JWKS_URL).mock(side_effect=[published(jwk("P-384")), *[httpx.ConnectError] * 9])
    caller = Caller()

    async def scene() -> list[bool]:
        return [await caller.after(seconds=wait).accepted() for wait in (0, 3_600, 82_799, 1)]

    assert run(scene) == [True, True, True, False]


@respx.mock
def test_a_key_that_nobody_should_sign_with_is_passed_over_and_its_neighbours_are_not() -> None:
    private = {**private_key("P-384/other").as_dict(private=True), "kid": "private"}
    symmetric = {"kty": "oct", "k": "AAAA", "kid": "symmetric"}
    odd = [None, "key", {"kid": "empty"}, jwk("P-256", kid="odd", crv=["P-256"]), jwk("P-521", kid="large")]
    respx.get(JWKS_URL).mock(
        return_value=published(private, symmetric, *odd, jwk("P-384/enc", use="enc"), jwk("P-384"))
    )
    caller = Caller()

    async def scene() -> list[bool]:
        return [
            await caller.accepted("private", "P-384/other"),
            await caller.accepted("P-384/enc", "P-384/enc"),
            await caller.accepted(),
        ]

    assert run(scene) == [False, False, True]
