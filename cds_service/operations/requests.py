"""Around every request: its ids, for the log and for whoever asks about it, and a bound on how many are under way."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from uuid import uuid4

import orjson
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HOOKS = "/cds-services/"
_RETRY_SECONDS = "1"
# W3C Trace Context, version 00: https://www.w3.org/TR/trace-context/#traceparent-header
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class RequestIds:
    """What a request is called in logs: our own id, and the trace that the caller says it belongs to."""

    request: str
    trace: str | None


CURRENT: ContextVar[RequestIds | None] = ContextVar("CURRENT", default=None)
"""The ids of the request that this code runs for."""


@dataclass
class Traffic:
    """How many hook requests are under way, of at most ``limit``, and whether the service is about to stop.

    ``refused`` is told of each request beyond the limit.
    """

    limit: int
    refused: Callable[[], None]
    in_flight: int = 0
    is_stopping: bool = False

    def stop(self) -> None:
        """Let everybody know that the service is about to stop."""
        self.is_stopping = True


class Identified:
    """Gives each request an id of its own, told in the log and as ``X-Request-Id``.

    While the service is about to stop, every answer asks its client to connect anew, which leads it elsewhere.
    """

    def __init__(self, app: ASGIApp, traffic: Callable[[], Traffic]) -> None:
        self._app = app
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        ids = RequestIds(str(uuid4()), _trace(scope))

        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = ids.request
                if self._traffic().is_stopping:
                    headers["Connection"] = "close"
            await send(message)

        CURRENT.set(ids)
        await self._app(scope, receive, answered)


class Bounded:
    """Refuses a hook request beyond so many at a time, before a byte of its body is read: 503, and when to come again."""

    def __init__(self, app: ASGIApp, traffic: Callable[[], Traffic]) -> None:
        self._app = app
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not (scope["method"] == "POST" and scope["path"].startswith(_HOOKS)):
            await self._app(scope, receive, send)
            return
        traffic = self._traffic()
        if traffic.in_flight >= traffic.limit:
            traffic.refused()
            await _refuse(send)
            return
        traffic.in_flight += 1
        try:
            await self._app(scope, receive, send)
        finally:
            traffic.in_flight -= 1


async def _refuse(send: Send) -> None:
    issue = {"severity": "error", "code": "throttled", "diagnostics": "too many requests at a time"}
    body = orjson.dumps({"resourceType": "OperationOutcome", "issue": [issue]})
    headers = [
        (b"content-type", b"application/fhir+json"),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", _RETRY_SECONDS.encode()),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _trace(scope: Scope) -> str | None:
    sent = next((value for name, value in scope["headers"] if name == b"traceparent"), b"")
    found = _TRACEPARENT.fullmatch(sent)
    return found[1].decode() if found and int(found[1], 16) else None
