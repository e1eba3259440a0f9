"""Around every request: its ids, and no more hooks at a time than may be."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
import orjson
import pytest
from starlette.types import Receive, Scope, Send

from cds_service.operations.requests import CURRENT, Bounded, Identified, RequestIds, Traffic

HOOK = "/cds-services/procedure-funding"
TRACE = "0af7651916cd43dd8448eb211c80319c"


class Held:
    """An application that answers only once it may, and notes whom it saw."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.begun = 0
        self.seen: list[RequestIds | None] = []

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        self.begun += 1
        self.seen.append(CURRENT.get())
        await self.may_answer.wait()
        if scope["path"].endswith("bug"):
            raise ZeroDivisionError
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-request-id", b"another")]})
        await send({"type": "http.response.body", "body": b"{}"})


def calling(app: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://cds.example")


@pytest.mark.anyio
async def test_one_hook_more_than_may_be_is_refused_at_once_and_told_when_to_come_again() -> None:
    held, refused = Held(), []
    traffic = Traffic(2, lambda: refused.append(1))
    async with calling(Bounded(held, lambda: traffic)) as client:
        under_way = [asyncio.create_task(client.post(HOOK)) for _ in range(2)]
        while held.begun < 2:
            await asyncio.sleep(0)

        third = await client.post(HOOK)

        assert third.status_code == 503
        assert third.headers["Retry-After"] == "1"
        assert third.json()["issue"][0]["code"] == "throttled"
        assert len(refused) == 1
        held.may_answer.set()
        assert [(await each).status_code for each in under_way] == [200, 200]
        assert (await client.post(HOOK)).status_code == 200
        assert traffic.in_flight == 0


@pytest.mark.anyio
async def test_a_refused_request_is_refused_before_its_body_is_read() -> None:
    read: list[bytes] = []
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        read.append(b"x")
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    full = Traffic(0, lambda: None)
    scope = {"type": "http", "method": "POST", "path": HOOK, "headers": []}
    await Bounded(Held(), lambda: full)(scope, receive, send)

    assert sent[0]["status"] == 503
    assert int(dict(sent[0]["headers"])[b"content-length"]) == len(sent[1]["body"])
    assert orjson.loads(sent[1]["body"])["resourceType"] == "OperationOutcome"
    assert read == []


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/livez"), ("GET", "/cds-services"), ("POST", "/admin/reload")]
)
async def test_what_is_no_hook_is_answered_however_many_hooks_there_are(method: str, path: str) -> None:
    held, full = Held(), Traffic(0, lambda: None)
    held.may_answer.set()

    async with calling(Bounded(held, lambda: full)) as client:
        assert (await client.request(method, path)).status_code == 200


@pytest.mark.anyio
async def test_a_request_that_ends_in_a_fault_makes_room_for_the_next() -> None:
    held, traffic = Held(), Traffic(1, lambda: None)
    held.may_answer.set()

    async with calling(Bounded(held, lambda: traffic)) as client:
        answers = [(await client.post(f"{HOOK}/{end}")).status_code for end in ("bug", "bug", "fine")]

    assert answers == [500, 500, 200]
    assert traffic.in_flight == 0


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("traceparent", "trace"),
    [
        (f"00-{TRACE}-b7ad6b7169203331-01", TRACE),
        (f"00-{'0' * 32}-b7ad6b7169203331-01", None),
        (f"00-{TRACE.upper()}-b7ad6b7169203331-01", None),
        (f"00-{TRACE}-b7ad6b7169203331-01-more", None),
        ("Jones, Alice", None),
        (None, None),
    ],
    ids=["well-formed", "of nothing", "in capitals", "with more", "no traceparent", "none"],
)
async def test_each_request_has_an_id_of_its_own_and_the_trace_that_it_names(
    traceparent: str | None, trace: str | None
) -> None:
    held = Held()
    held.may_answer.set()
    sent = {"X-Request-Id": "Jones, Alice"} | ({"traceparent": traceparent} if traceparent else {})

    async with calling(Identified(held, lambda: Traffic(1, lambda: None))) as client:
        told = [(await client.get("/", headers=sent)).headers.get_list("X-Request-Id") for _ in range(2)]

    assert told == [[each.request] for each in held.seen if each]
    assert all(re.fullmatch(r"[0-9a-f-]{36}", ids[0]) for ids in told)
    assert told[0] != told[1]
    assert [each.trace for each in held.seen if each] == [trace, trace]


@pytest.mark.anyio
async def test_clients_are_asked_to_connect_anew_once_the_service_is_to_stop() -> None:
    held, traffic = Held(), Traffic(1, lambda: None)
    held.may_answer.set()

    async with calling(Identified(held, lambda: traffic)) as client:
        before = await client.get("/")
        traffic.stop()
        after = await client.get("/")

    assert "Connection" not in before.headers
    assert after.headers["Connection"] == "close"
