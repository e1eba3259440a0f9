"""A FHIR server on loopback that fails in one named way, in a thread of its own.

    with faulty_server("half body", record) as server:
        …  # read server.base_url
        server.requests  # what came in

``record`` is resource type → resources of the one patient it knows. ``FAULTS`` holds all names; "healthy" is one of
them. A fault that points elsewhere points at ``server.base_url`` by other names, always at a path with ``stolen`` in it:
``server.stolen`` are the requests that followed.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

FHIR_JSON = "application/fhir+json"
BASE_PATH = "/fhir"
FOREVER = 60.0

Resource = Mapping[str, Any]
Record = Mapping[str, Sequence[Resource]]
Headers = Mapping[str, str]
NO_HEADERS: Headers = MappingProxyType({})

OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}
WARNING = {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": "informational"}]}


@dataclass(frozen=True)
class Received:
    """A request as it came in."""

    method: str
    target: str
    headers: Mapping[str, str]


@dataclass
class FaultyServer:
    """The running server. ``delay`` seconds pass before every answer of a healthy server."""

    fault: str
    record: Record
    delay: float = 0.0
    port: int = 0
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    open_connections: int = 0
    at_once: int = 0
    most_at_once: int = 0
    tls: ssl.SSLContext | None = None

    @property
    def base_url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}{BASE_PATH}"

    @property
    def stolen(self) -> list[Received]:
        """Requests to where no request should go."""
        return [each for each in self.requests if "stolen" in each.target]


@dataclass
class Call:
    """One request being answered."""

    server: FaultyServer
    request: Received
    writer: asyncio.StreamWriter

    @property
    def path(self) -> str:
        return self.request.target.partition("?")[0].removeprefix(f"{BASE_PATH}/")

    @property
    def is_search(self) -> bool:
        return "/" not in self.path

    @property
    def resources(self) -> list[Resource]:
        kind, _, logical_id = self.path.partition("/")
        return [
            each for each in self.server.record.get(kind, ()) if not logical_id or each["id"] == logical_id
        ]

    @property
    def page(self) -> int:
        """The number of the page asked for."""
        return int(self.request.target.partition("_page=")[2] or 0)

    def url_of_page(self, page: int) -> str:
        return f"{self.server.base_url}/{self.path}?_page={page}"

    def bundle(self, *entries: Resource, **members: object) -> dict[str, Any]:
        """The searchset of the resources asked for, with further entries and members."""
        own = [{"resource": each, "search": {"mode": "match"}} for each in self.resources]
        return {"resourceType": "Bundle", "type": "searchset", "entry": [*own, *entries], **members}

    @property
    def body(self) -> bytes:
        """The body of the right answer."""
        return encoded(self.bundle() if self.is_search else self.resources[0])

    async def send(
        self, body: bytes, *, status: int = 200, kind: str | None = FHIR_JSON, headers: Headers = NO_HEADERS
    ) -> None:
        """A whole answer."""
        self.head(len(body), status=status, kind=kind, headers=headers)
        self.writer.write(body)
        await self.writer.drain()

    async def send_json(self, body: object, *, status: int = 200) -> None:
        await self.send(encoded(body), status=status)

    def head(
        self,
        length: int | None,
        *,
        status: int = 200,
        kind: str | None = FHIR_JSON,
        headers: Headers = NO_HEADERS,
    ) -> None:
        lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in headers.items())]
        lines += [f"Content-Type: {kind}"] if kind else []
        lines += [f"Content-Length: {length}"] if length is not None else []
        self.writer.write("\r\n".join([*lines, "", ""]).encode())

    async def close(self) -> None:
        self.writer.close()

    async def reset(self) -> None:
        """End the connection by RST, as a crashed server does."""
        await self.writer.drain()
        await asyncio.sleep(0.02)  # what was written before it gets through
        connection: socket.socket = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Answer = Callable[[Call], Awaitable[None]]
FAULTS: dict[str, Answer] = {}


def encoded(body: object) -> bytes:
    return json.dumps(body).encode()


def fault(name: str) -> Callable[[Answer], Answer]:
    def named(answer: Answer) -> Answer:
        FAULTS[name] = answer
        return answer

    return named


@fault("healthy")
async def healthy(call: Call) -> None:
    await asyncio.sleep(call.server.delay)
    if not call.is_search and not call.resources:
        await call.send_json(OUTCOME, status=404)
    else:
        await call.send(call.body)


@fault("two pages")
async def two_pages(call: Call) -> None:
    if not call.is_search:
        return await healthy(call)
    shown = call.bundle()
    shown["total"] = len(shown["entry"])
    shown["entry"] = shown["entry"][1:] if call.page else shown["entry"][:1]
    if not call.page:
        shown["link"] = [
            {"relation": "self", "url": call.url_of_page(0)},
            {"relation": "next", "url": f"?_page={1}"},
        ]
    return await call.send_json(shown)


@fault("packed")
async def packed(call: Call) -> None:
    await call.send(gzip.compress(call.body), headers={"Content-Encoding": "gzip"})


# Connections that fail or never finish.


@fault("slow header")
async def slow_header(_: Call) -> None:
    await asyncio.sleep(FOREVER)


@fault("header byte by byte")
async def trickling_header(call: Call) -> None:
    call.writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        call.writer.write(b"x")
        await call.writer.drain()
        await asyncio.sleep(0.05)


@fault("slow body")
async def slow_body(call: Call) -> None:
    call.head(100_000)
    while True:
        call.writer.write(b" ")
        await call.writer.drain()
        await asyncio.sleep(0.05)


@fault("body stops half-way")
async def stalled_body(call: Call) -> None:
    call.head(len(call.body))
    call.writer.write(call.body[: len(call.body) // 2])
    await call.writer.drain()
    await asyncio.sleep(FOREVER)


@fault("informational answers without end")
async def endless_informational(call: Call) -> None:
    while True:
        call.writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await call.writer.drain()
        await asyncio.sleep(0.01)


@fault("half body")
async def half_body(call: Call) -> None:
    call.head(len(call.body))
    call.writer.write(call.body[: len(call.body) // 2])
    await call.close()


@fault("half body of unknown length")
async def half_body_of_unknown_length(call: Call) -> None:
    call.head(None, headers={"Connection": "close"})
    call.writer.write(call.body[: len(call.body) // 2])
    await call.close()


@fault("half body in chunks")
async def half_body_in_chunks(call: Call) -> None:
    call.head(None, headers={"Transfer-Encoding": "chunked"})
    half = call.body[: len(call.body) // 2]
    call.writer.write(b"%x\r\n%s\r\n" % (len(half), half))
    await call.close()


@fault("half header")
async def half_header(call: Call) -> None:
    call.writer.write(b"HTTP/1.1 200 OK\r\nContent-Ty")
    await call.close()


@fault("reset")
async def reset(call: Call) -> None:
    await call.reset()


@fault("reset in the header")
async def reset_in_the_header(call: Call) -> None:
    call.writer.write(b"HTTP/1.1 200 OK\r\nContent-Ty")
    await call.reset()


@fault("reset in the body")
async def reset_in_the_body(call: Call) -> None:
    call.head(len(call.body))
    call.writer.write(call.body[: len(call.body) // 2])
    await call.reset()


@fault("closed without an answer")
async def closed(call: Call) -> None:
    await call.close()


@fault("reset once")
async def reset_once(call: Call) -> None:
    """Every query's first try is reset; its second is answered."""
    if sum(each.target == call.request.target for each in call.server.requests) == 1:
        await call.reset()
    else:
        await healthy(call)


@fault("not HTTP")
async def not_http(call: Call) -> None:
    call.writer.write(b"220 mail.example.org ESMTP ready\r\n\r\n")
    await call.close()


@fault("endless header")
async def endless_header(call: Call) -> None:
    call.writer.write(b"HTTP/1.1 200 OK\r\n")
    with suppress(ConnectionError):
        for n in range(5_000):
            call.writer.write(b"X-%d: %s\r\n" % (n, b"x" * 200))
            await call.writer.drain()
    await call.close()


# Statuses.


def status(name: str, number: int, *, html: bool = False, headers: Headers = NO_HEADERS) -> None:
    async def answer(call: Call) -> None:
        body, kind = (
            (b"<html><body>Sorry</body></html>", "text/html") if html else (encoded(OUTCOME), FHIR_JSON)
        )
        await call.send(body, status=number, kind=kind, headers=headers)

    FAULTS[name] = answer


status("400", 400)
status("401", 401, headers={"WWW-Authenticate": "Bearer"})
status("403", 403)
status("404", 404)
status("410", 410)
status("418", 418)
status("429 with Retry-After", 429, headers={"Retry-After": "30"})
status("429 with Retry-After as a date", 429, headers={"Retry-After": "Sun, 22 Nov 2099 12:00:00 GMT"})
status("429", 429)
status("500", 500)
status("502 with HTML", 502, html=True)
status("503 with Retry-After", 503, headers={"Retry-After": "30"})
status("504", 504, html=True)


@fault("204")
async def no_content(call: Call) -> None:
    call.head(None, status=204, kind=None)
    await call.writer.drain()


@fault("redirect")
async def redirect(call: Call) -> None:
    elsewhere = f"http://127.0.0.1:{call.server.port}{BASE_PATH}/stolen"
    await call.send(b"", status=302, headers={"Location": elsewhere})


@fault("500 on the second page")
async def failing_second_page(call: Call) -> None:
    await (call.send_json(OUTCOME, status=500) if call.page else two_pages(call))


@fault("second page never comes")
async def missing_second_page(call: Call) -> None:
    await (asyncio.sleep(FOREVER) if call.page else two_pages(call))


@fault("reset on the second page")
async def resetting_second_page(call: Call) -> None:
    await (call.reset() if call.page else two_pages(call))


# Bodies with status 200.


def body(name: str, content: bytes, kind: str | None = FHIR_JSON, headers: Headers = NO_HEADERS) -> None:
    async def answer(call: Call) -> None:
        await call.send(content, kind=kind, headers=headers)

    FAULTS[name] = answer


body("HTML", b"<!doctype html><title>Sign in</title>", "text/html")
body("HTML that says it is JSON", b"<!doctype html><title>Sign in</title>")
body("empty", b"")
body("null", b"null")
body("a list", b"[]")
body("a number", b"1")
body("XML", b'<Bundle xmlns="http://hl7.org/fhir"/>', "application/fhir+xml")
body("not UTF-8", b'{"resourceType": "Bundle", "id": "\xff"}')
body("nested too deeply", b"[" * 20_000 + b"]" * 20_000)
body("OperationOutcome", encoded(OUTCOME))
body("another type", encoded({"resourceType": "Basic"}))
body("entry is no list", encoded({"resourceType": "Bundle", "type": "searchset", "entry": {}}))
body("longer than may be read", b" " * 6_000_000)
body("gzip bomb", gzip.compress(b" " * 50_000_000), headers={"Content-Encoding": "gzip"})
body("gzip cut short", gzip.compress(b"{}" * 1000)[:-9], headers={"Content-Encoding": "gzip"})
body("gzip that is none", b"{}", headers={"Content-Encoding": "gzip"})
body("unknown packing", b"{}", headers={"Content-Encoding": "br"})


@fault("right body, wrong content type")
async def wrong_content_type(call: Call) -> None:
    await call.send(call.body, kind="text/html")


@fault("right body, no content type")
async def no_content_type(call: Call) -> None:
    await call.send(call.body, kind=None)


@fault("truncated JSON")
async def truncated(call: Call) -> None:
    await call.send(call.body[:-2])


# Pages that lead nowhere good. A read has none, so it is answered as it should be.


def link(name: str, url: Callable[[Call], object]) -> None:
    async def answer(call: Call) -> None:
        if "stolen" in call.request.target or not call.is_search:
            return await healthy(call)
        return await call.send_json(call.bundle(link=[{"relation": "next", "url": url(call)}]))

    FAULTS[name] = answer


link("endless next", lambda call: call.url_of_page(call.page + 1))


@fault("endless next, slowly")
async def slow_endless_next(call: Call) -> None:
    await asyncio.sleep(0.1)
    await FAULTS["endless next"](call)


link("next is the same page", lambda call: call.url_of_page(0))
link("next goes in a circle", lambda call: call.url_of_page((call.page + 1) % 3))
link("next on another host", lambda call: f"http://localhost:{call.server.port}{BASE_PATH}/stolen?_page=1")
link("next on another port", lambda _: f"http://127.0.0.1:1{BASE_PATH}/stolen?_page=1")
link("next on another scheme", lambda call: f"https://127.0.0.1:{call.server.port}{BASE_PATH}/stolen")
link("next on another path", lambda call: f"http://127.0.0.1:{call.server.port}/other/stolen")
link("next on a path that begins alike", lambda call: f"{call.server.base_url}-stolen")
link("next relative to the host", lambda call: f"//localhost:{call.server.port}{BASE_PATH}/stolen")
link("next with dot segments", lambda call: f"{call.server.base_url}/../stolen")
link("next with encoded dot segments", lambda call: f"{call.server.base_url}/%2e%2e/stolen")
link("next relative with dot segments", lambda _: "../../stolen")
link(
    "next with a user name",
    lambda call: f"http://127.0.0.1:{call.server.port}@localhost:{call.server.port}{BASE_PATH}/stolen",
)
link("next with a backslash", lambda call: f"http://127.0.0.1:{call.server.port}\\@localhost/fhir/stolen")
link("next in a file", lambda _: "file:///etc/passwd")
link("next is no text", lambda _: 7)
link("next is empty", lambda _: "")


@fault("more resources than may be read")
async def too_many(call: Call) -> None:
    if not call.is_search:
        return await healthy(call)
    return await call.send_json(call.bundle(*[{"resource": {"resourceType": "Basic"}}] * 2_000))


# Entries that are not what was asked for.


def entries(name: str, made: Callable[[Call], list[Resource]], **members: object) -> None:
    async def answer(call: Call) -> None:
        await (call.send_json(call.bundle(*made(call), **members)) if call.is_search else healthy(call))

    FAULTS[name] = answer


def of_another_patient(call: Call) -> Resource:
    return {"resourceType": call.path, "id": "other", "subject": {"reference": "Patient/somebody-else"}}


entries("an error among the entries", lambda _: [{"resource": OUTCOME, "search": {"mode": "outcome"}}])
entries("an error among the entries, unmarked", lambda _: [{"resource": OUTCOME}])
entries("a warning among the entries", lambda _: [{"resource": WARNING, "search": {"mode": "outcome"}}])
entries(
    "an included resource",
    lambda _: [{"resource": {"resourceType": "Practitioner", "id": "p"}, "search": {"mode": "include"}}],
)
entries(
    "an included resource of the same type",
    lambda call: [{"resource": dict(call.resources[0]) | {"id": "inc"}, "search": {"mode": "include"}}],
)
entries("another patient's resource", lambda call: [{"resource": of_another_patient(call)}])
entries("a resource of another type", lambda _: [{"resource": {"resourceType": "Basic", "id": "b"}}])
entries("an entry without a resource", lambda _: [{"fullUrl": "urn:uuid:1"}])
entries("entries that are no objects", lambda _: [None, 1, "x"])  # type: ignore[list-item]
entries("the same resource twice", lambda call: [{"resource": call.resources[0]}])
entries(
    "the same id twice, differently",
    lambda call: [{"resource": dict(call.resources[0]) | {"note": [{"text": "new"}]}}],
)
entries("fewer entries than its total", lambda _: [], total=99)


@fault("another patient")
async def another_patient(call: Call) -> None:
    """Everything is somebody else's."""
    shown = [dict(each) | {"subject": {"reference": "Patient/somebody-else"}} for each in call.resources]
    if not call.is_search:
        return await call.send_json(shown[0] | {"id": "somebody-else"})
    return await call.send_json({"resourceType": "Bundle", "entry": [{"resource": each} for each in shown]})


async def _served(server: FaultyServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    server.connections += 1
    server.open_connections += 1
    try:
        while not writer.is_closing():
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            await _answered(server, head, reader, writer)
    except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
        writer.transport.abort()
    finally:
        server.open_connections -= 1
        writer.close()


async def _answered(
    server: FaultyServer, head: list[str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    method, target, _ = head[0].split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:-2])}
    received = Received(method, target, headers)
    server.requests.append(received)
    server.at_once += 1
    server.most_at_once = max(server.most_at_once, server.at_once)
    answering = asyncio.ensure_future(FAULTS[server.fault](Call(server, received, writer)))
    gone = asyncio.ensure_future(_disconnected(reader))
    try:
        await asyncio.wait({answering, gone}, return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            answering.result()
    finally:
        answering.cancel()
        gone.cancel()
        await asyncio.gather(answering, gone, return_exceptions=True)
        server.at_once -= 1


async def _disconnected(reader: asyncio.StreamReader) -> None:
    """Returns when the client has closed the connection, so that no slow answer outlives it."""
    while not reader.at_eof():
        await asyncio.sleep(0.02)


async def _run(server: FaultyServer, ready: threading.Event, stop: asyncio.Event) -> None:
    listening = await asyncio.start_server(
        lambda reader, writer: _served(server, reader, writer), "127.0.0.1", 0, ssl=server.tls, backlog=1_000
    )
    server.port = listening.sockets[0].getsockname()[1]
    ready.set()
    await stop.wait()
    listening.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.sleep(0.001)  # what was aborted is closed in the next turn


@contextmanager
def faulty_server(
    fault: str, record: Record, *, delay: float = 0.0, tls: ssl.SSLContext | None = None
) -> Iterator[FaultyServer]:
    """The server with the fault of this name, while the block runs. ``server.fault`` may be changed meanwhile."""
    server = FaultyServer(fault, record, delay, tls=tls)
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(_run(server, ready, stop),), daemon=True)
    thread.start()
    try:
        if not ready.wait(5):
            raise TimeoutError("the faulty server did not start")
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(5)
        loop.close()
