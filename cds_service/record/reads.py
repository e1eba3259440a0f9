"""Reading a patient's record from the caller's FHIR server: all queries at once, within a deadline.

Whatever goes wrong on the way, a query is either read as a whole or says in a few words why it was not.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType

import httpx

from cds_service.errors import QueryNotReadError
from cds_service.record.patient_record import QueryAnswer, query_answer
from cds_service.record.reading.breaker import Attempt, Breaker
from cds_service.record.reading.connections import (
    CheckedTransport,
    ForbiddenAddressError,
    Resolve,
    system_addresses,
)
from cds_service.record.reading.exchange import Exchange, Reply
from cds_service.record.reading.pages import Pages, next_link, resource_of
from cds_service.record.reading.queries import Query, is_fhir_id, query
from cds_service.record.resources import Resource
from cds_service.trust.outbound import (
    AllowedServer,
    Token,
    allowed_server,
    allowed_servers,
    page_url,
    permitted,
)

logger = logging.getLogger(__name__)

LATE = "the server did not answer in time"
_GRACE_SECONDS = 0.01
_MOST_SERVERS = 256
_TOO_MANY_REQUESTS = 429
_UNAVAILABLE = 503
_REASONS = {
    400: "the server did not understand the query",
    401: "the server did not accept the access token",
    403: "the server refused access",
    410: "the server no longer has it",
    429: "the server was busy",
    503: "the server was busy",
}


@dataclass(frozen=True)
class Limits:
    """What reading may take. ``pages``, ``resources`` and ``bytes`` are of one query, bytes after unpacking."""

    seconds: float = 4.5
    connect_seconds: float = 1.0
    page_size: int = 200
    pages: int = 20
    resources: int = 2_000
    bytes: int = 5_000_000
    parallel_per_request: int = 6
    parallel_per_server: int = 32
    breaker_failures: int = 5
    breaker_seconds: float = 10.0
    longest_wait_seconds: float = 120.0


class _Server:
    """One configured server: whose turn it is, and how it has fared."""

    def __init__(self, base_url: str, limits: Limits, monotonic: Callable[[], float]) -> None:
        self.base_url = base_url
        self.turns = asyncio.Semaphore(limits.parallel_per_server)
        self.breaker = Breaker(limits.breaker_failures, limits.breaker_seconds, monotonic, self._left_alone)

    def _left_alone(self) -> None:
        logger.warning("%s is left alone for a while: it kept failing or asked for it", self.base_url)


@dataclass(frozen=True)
class _Reading:
    """One request's reads. ``deadline`` is of the running loop's clock; once they are ``over``, nothing more is sent."""

    base_url: str
    token: Token | None
    patient_id: str
    server: _Server
    turns: asyncio.Semaphore
    deadline: float
    over: asyncio.Event

    @property
    def late(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return self.over.is_set() or asyncio.get_running_loop().time() >= self.deadline


class RecordReader:
    """Reads records from the allowed servers; one for the whole process, closed at its end.

    ``any_server`` is for development: every server may be read, also at private addresses. ``tls`` says which
    certificates are trusted. Of the clocks, one measures and the other tells the time of day.
    """

    def __init__(
        self,
        allowed: tuple[AllowedServer, ...],
        *,
        limits: Limits | None = None,
        any_server: bool = False,
        tls: ssl.SSLContext | None = None,
        resolve: Resolve = system_addresses,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._allowed = allowed
        self._limits = limits or Limits()
        self._any_server = any_server
        self._monotonic = monotonic
        self._now = now
        self._servers: dict[AllowedServer, _Server] = {}
        self._running: set[asyncio.Task[QueryAnswer]] = set()
        tls = tls or httpx.create_ssl_context(trust_env=False)
        self._transport = CheckedTransport(resolve, self._may_be_private, tls)
        self._exchange = Exchange(self._transport, self._limits.connect_seconds)

    async def read(
        self, base_url: str, token: Token | None, patient_id: str, queries: Mapping[str, str], seconds: float
    ) -> Mapping[str, QueryAnswer]:
        """The answer to each of ``queries`` (key → template) within ``seconds``, or why it was not read.

        No fault of a server raises anything.
        """
        server = self._server(base_url)
        if server is None:
            return _none_read(queries, "the FHIR server is not one that may be read")
        if not is_fhir_id(patient_id):
            return _none_read(queries, "the patient's id is not one that a server can be asked for")
        reading = _Reading(
            base_url=server[0],
            token=token,
            patient_id=patient_id,
            server=server[1],
            turns=asyncio.Semaphore(self._limits.parallel_per_request),
            deadline=asyncio.get_running_loop().time() + min(seconds, self._limits.seconds),
            over=asyncio.Event(),
        )
        tasks = {
            key: self._started(self._answer(key, template, reading)) for key, template in queries.items()
        }
        try:
            await self._ended(tasks.values(), reading.deadline + _GRACE_SECONDS)
        finally:
            reading.over.set()
        return MappingProxyType({key: _result(task) for key, task in tasks.items()})

    async def aclose(self) -> None:
        """Close all connections. Reads that are under way end without an answer."""
        for task in self._running:
            task.cancel()
        await self._ended(self._running, asyncio.get_running_loop().time() + self._limits.seconds)
        await self._transport.aclose()

    def _started(self, answer: Coroutine[None, None, QueryAnswer]) -> asyncio.Task[QueryAnswer]:
        """The task that reads a query. It keeps the deadline by itself, even when its caller went away."""
        task = asyncio.create_task(answer)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    @staticmethod
    async def _ended(tasks: Collection[asyncio.Task[QueryAnswer]], deadline: float) -> None:
        if tasks:
            await asyncio.wait(tasks, timeout=max(0.0, deadline - asyncio.get_running_loop().time()))

    def _server(self, base_url: str) -> tuple[str, _Server] | None:
        """The normalised base URL and what is known of its server; None when it may not be read."""
        allowed = self._development_server(base_url) if self._any_server else self._allowed
        found, url = allowed_server(base_url, allowed), permitted(base_url, allowed)
        if found is None or url is None:
            return None
        if found not in self._servers and len(self._servers) >= _MOST_SERVERS:
            self._servers.clear()
        return url, self._servers.setdefault(found, _Server(found.base_url, self._limits, self._monotonic))

    @staticmethod
    def _development_server(base_url: str) -> tuple[AllowedServer, ...]:
        try:
            return allowed_servers([base_url], private_addresses=True)
        except ValueError:
            return ()

    def _may_be_private(self, host: str, port: int) -> bool:
        return self._any_server or any(
            server.private_addresses for server in self._allowed if (server.host, server.port) == (host, port)
        )

    async def _answer(self, key: str, template: str, reading: _Reading) -> QueryAnswer:
        try:
            asked = query(key, template, reading.base_url, reading.patient_id, self._limits.page_size)
            answer = await self._read(asked, reading)
        except QueryNotReadError as error:
            answer = QueryAnswer(not_read=error.why)
        if answer.not_read is not None:
            logger.info("%s was not read from %s: %s", key, reading.server.base_url, answer.not_read)
        return answer

    async def _read(self, asked: Query, reading: _Reading) -> QueryAnswer:
        if not asked.is_search:
            reply = await self._reply(asked, asked.url, reading, self._limits.bytes)
            return query_answer(resource_of(reply, asked), asked.resource_type, reading.patient_id)
        pages = Pages(asked, self._limits.resources)
        room = self._limits.bytes
        seen: list[str] = []
        url: str | None = asked.url
        while url is not None:
            self._refuse_going_on(asked, url, seen)
            seen.append(url)
            reply = await self._reply(asked, url, reading, room)
            room -= len(reply.body or b"")
            bundle = resource_of(reply, asked)
            pages.add(bundle)
            url = _following(bundle, url, asked, reading)
        return pages.answer(reading.patient_id)

    def _refuse_going_on(self, asked: Query, url: str, seen: list[str]) -> None:
        if url in seen:
            raise asked.unread("the server's pages repeat themselves")
        if len(seen) >= self._limits.pages:
            raise asked.unread(f"cut off after {self._limits.pages} pages")

    async def _reply(self, asked: Query, url: str, reading: _Reading, room: int) -> Reply:
        """The server's answer to a GET, of up to ``room`` bytes. QueryNotReadError when there is none to go by."""
        async with _turn(reading.turns, asked, reading), _turn(reading.server.turns, asked, reading):
            if reading.late:
                raise asked.unread(LATE)
            if refusal := reading.server.breaker.refusal():
                raise asked.unread(refusal)
            with reading.server.breaker.attempt() as attempt:
                reply = await self._got(asked, url, reading, room, attempt)
        if reply.status != httpx.codes.OK:
            raise asked.unread(_reason(reply.status, asked))
        return reply

    async def _got(self, asked: Query, url: str, reading: _Reading, room: int, attempt: Attempt) -> Reply:
        try:
            reply = await self._exchange.get(url, reading.token, room, reading.deadline)
        except httpx.HTTPError as error:
            attempt.failed = True
            raise asked.unread(LATE if reading.late else _broken(error)) from None
        attempt.failed = reply.status >= 500 or reply.status == _TOO_MANY_REQUESTS
        attempt.wait = self._asked_to_wait(reply)
        return reply

    def _asked_to_wait(self, reply: Reply) -> float | None:
        """The seconds for which a busy server asks to be left alone, within reason."""
        if reply.status not in {_TOO_MANY_REQUESTS, _UNAVAILABLE} or reply.retry_after is None:
            return None
        seconds = _seconds(reply.retry_after, self._now())
        return None if seconds is None else min(max(seconds, 0.0), self._limits.longest_wait_seconds)


@asynccontextmanager
async def _turn(turns: asyncio.Semaphore, asked: Query, reading: _Reading) -> AsyncIterator[None]:
    """Waits for a turn, but not beyond the deadline."""
    try:
        async with asyncio.timeout_at(reading.deadline):
            await turns.acquire()
    except TimeoutError:
        raise asked.unread(LATE) from None
    try:
        yield
    finally:
        turns.release()


def _result(task: asyncio.Task[QueryAnswer]) -> QueryAnswer:
    return task.result() if task.done() and not task.cancelled() else QueryAnswer(not_read=LATE)


def _none_read(queries: Mapping[str, str], why: str) -> Mapping[str, QueryAnswer]:
    return MappingProxyType(dict.fromkeys(queries, QueryAnswer(not_read=why)))


def _following(bundle: Resource, url: str, asked: Query, reading: _Reading) -> str | None:
    """The URL of the next page, if there is one. QueryNotReadError when it lies anywhere but on the same server."""
    link = next_link(bundle)
    if link is None:
        return None
    following = page_url(link, url, reading.base_url)
    if following is None:
        raise asked.unread("the next page lies elsewhere")
    return following


def _seconds(retry_after: str, now: datetime) -> float | None:
    """The value of a Retry-After header, seconds or a date; None when it is neither."""
    if retry_after.isascii() and retry_after.isdecimal() and len(retry_after) < 10:
        return float(retry_after)
    try:
        until = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return (until if until.tzinfo else until.replace(tzinfo=UTC)).timestamp() - now.timestamp()


def _broken(error: httpx.HTTPError) -> str:
    """What became of a connection, in words."""
    if isinstance(error.__cause__, ForbiddenAddressError):
        return "the FHIR server's address is not one that may be read"
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
        return "the server could not be reached"
    return "the connection to the server broke"


def _reason(status: int, asked: Query) -> str:
    """What a status other than 200 means, in words."""
    if status == httpx.codes.NOT_FOUND:
        if asked.resource_type == "Patient" and not asked.is_search:
            return "the server does not know this patient"
        return f"the server has no {asked.resource_type} to offer"
    if 300 <= status < 400:
        return "the server pointed elsewhere"
    return _REASONS.get(
        status, "the server failed" if status >= 500 else f"the server answered with status {status}"
    )
