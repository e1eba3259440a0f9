"""The HTTP shell: routes, status codes, and what is written down before an answer leaves."""

from __future__ import annotations

import hashlib
import json
import logging
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import anyio.to_thread
import orjson
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from cds_service.authoring.drawing import drawn_as_svg
from cds_service.errors import (
    BodyTooLargeError,
    CdsServiceError,
    ClientRejectedError,
    DecisionLogError,
    MissingDataError,
    NoPoliciesError,
    PlansError,
    RequestError,
    UnknownServiceError,
)
from cds_service.hooks.discovery import SERVICE_ID, services
from cds_service.hooks.requests import HookRequest, hook_request
from cds_service.policies.library import Library, load_library
from cds_service.policies.policy import Policy
from cds_service.record.patient_record import QueryAnswer
from cds_service.record.reads import Limits, RecordReader
from cds_service.service import Decision, Terms, decide, queries_to_read
from cds_service.settings import Settings
from cds_service.store.decisions import DecisionEntry, DecisionLog
from cds_service.trust.clients import Client, load_clients
from cds_service.trust.key_sets import fetched_jwks
from cds_service.trust.outbound import allowed_servers
from cds_service.trust.replay import MemoryReplayStore
from cds_service.trust.verifier import ClientVerifier
from cds_service.web.pages import SECURITY_HEADERS, library_page, policy_page, style_sheet

logger = logging.getLogger("cds_service")

_JSON = "application/json"
_FHIR_JSON = "application/fhir+json"
# Error → (HTTP status, FHIR issue type). Anything else that is raised is a bug: 500.
_STATUS: Mapping[type[Exception], tuple[int, str]] = {
    RequestError: (400, "invalid"),
    BodyTooLargeError: (413, "too-long"),
    ClientRejectedError: (401, "security"),
    UnknownServiceError: (404, "not-found"),
    MissingDataError: (412, "required"),
    NoPoliciesError: (503, "transient"),
    DecisionLogError: (503, "transient"),
}
_HTTP_ISSUES = {404: "not-found", 405: "not-supported"}


@dataclass
class State:
    """What the running service holds: its policy set and its decision log, or the ``problem`` why it has none.

    Without a ``verifier`` no clients are configured, and anybody may call. ``pictures`` are the diagrams drawn so far, by
    ``Policy.canonical``.
    """

    settings: Settings
    verifier: ClientVerifier | None = None
    reader: RecordReader | None = None
    library: Library | None = None
    problem: str | None = None
    log: DecisionLog | None = None
    pictures: dict[str, str] = field(default_factory=dict)

    async def caller(self, request: Request, path: str) -> Client | None:
        """The client that made this call of ``path``; None in development mode. ClientRejectedError for anybody else."""
        if self.verifier is None:
            return None
        return await self.verifier.verify(
            request.headers.get("authorization"), self.settings.public_url + path
        )

    def loaded_library(self) -> Library:
        """The policy set in use. NoPoliciesError when there is none."""
        if self.library is None:
            raise NoPoliciesError("no policy set is loaded; see the service's log or cds-service check")
        return self.library


def create_app(
    settings: Settings,
    clock: Callable[[], datetime] | None = None,
    after_load: Callable[[], None] = lambda: None,
) -> FastAPI:
    """The service as an ASGI application. It starts even without a usable policy set, and then says so with 503.

    ``after_load`` is called once the policies are loaded. ClientsFileError when the clients file cannot be used: a
    service that is meant to be closed never starts open.
    """
    zone = ZoneInfo(settings.time_zone)
    clock = clock or (lambda: datetime.now(zone))
    state = State(settings, verifier=_verifier(settings, clock))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        _open(state)
        after_load()
        state.reader = record_reader(settings)
        yield
        await state.reader.aclose()
        if state.log is not None:
            state.log.close()

    app = FastAPI(
        title="CDS service: procedure funding",
        lifespan=lifespan,
        openapi_url=None,
    )
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins or (() if settings.clients else ("*",)),
        allow_methods=("GET", "POST"),
        allow_headers=("Authorization", "Content-Type", "Accept"),
    )
    _add_routes(app, state, clock)
    _add_pages(app, state)
    _add_error_answers(app)
    return app


def record_reader(settings: Settings) -> RecordReader:
    """What reads the callers' FHIR servers: those configured; in development mode, when none is configured, any."""
    return RecordReader(
        allowed_servers(settings.fhir_servers, private_addresses=settings.fhir_private_addresses),
        limits=Limits(seconds=settings.read_seconds),
        any_server=settings.clients is None and not settings.fhir_servers,
        tls=ssl.create_default_context(cafile=settings.ca_file) if settings.ca_file else None,
    )


def _verifier(settings: Settings, clock: Callable[[], datetime]) -> ClientVerifier | None:
    if settings.clients is None:
        return None
    return ClientVerifier(load_clients(settings.clients), MemoryReplayStore(clock), fetched_jwks, clock)


def _open(state: State) -> None:
    """Load the policies and open the log; what fails is said, and answered with 503 until it is mended."""
    try:
        state.library = load_library(state.settings.plans, state.settings.ods_practices)
        logger.info("%d policies loaded, set %s", len(state.library.policies), state.library.digest[:12])
    except PlansError as error:
        state.problem = "the policy set cannot be used"
        for problem in error.problems:
            logger.error("plan refused: %s", problem)  # noqa: TRY400  the problem says it all
    try:
        state.log = DecisionLog(state.settings.database_file)
    except DecisionLogError as error:
        state.problem = "the decision log cannot be opened"
        logger.error("%s", error)  # noqa: TRY400  the error says it all


def _add_routes(app: FastAPI, state: State, clock: Callable[[], datetime]) -> None:
    @app.get("/cds-services")
    async def discovery(request: Request) -> Response:
        await state.caller(request, "/cds-services")
        return _json(services(state.loaded_library().queries))

    @app.post("/cds-services/{service_id}")
    async def hook(service_id: str, request: Request) -> Response:
        if service_id != SERVICE_ID:
            raise UnknownServiceError(f"no CDS service {service_id[:60]!r}; there is {SERVICE_ID}")
        client = await state.caller(request, f"/cds-services/{SERVICE_ID}")
        started = time.perf_counter()
        body = await _body(request, state.settings.max_body_bytes)
        library, now = state.loaded_library(), clock()
        asked = hook_request(_parsed(body))
        read = await _read(state, asked, queries_to_read(asked, library, now.date()))
        decision = decide(asked, library, _terms(state.settings, now, client, library), read)
        answer = orjson.dumps(decision.response)
        entry = _entry(asked, decision, library, client, now, body, answer, started)
        await anyio.to_thread.run_sync(_write_down, state.log, entry)
        logger.info("decision %s: %d orders, %.1f ms", entry.id, len(asked.orders), entry.milliseconds)
        for key, count in decision.passed_over.items():
            logger.warning("decision %s: %d entries of %s passed over", entry.id, count, key)
        return Response(answer, media_type=_JSON)

    @app.get("/livez")
    async def livez() -> Response:
        return _json({"status": "alive"})

    @app.get("/readyz")
    async def readyz() -> Response:
        if state.library is None or state.log is None:
            return _outcome(503, "transient", state.problem or "starting")
        await anyio.to_thread.run_sync(state.log.check)
        return _json(
            {"status": "ready", "policies": len(state.library.policies), "set": state.library.digest}
        )


def _add_pages(app: FastAPI, state: State) -> None:
    # Not async: pages are made in worker threads, so that no hook call waits for them.
    @app.get("/")
    def library() -> Response:
        return _page(library_page(state.loaded_library().policies))

    @app.get("/policies/{policy_id}")
    def policy(policy_id: str) -> Response:
        return _page(policy_page(_policy(state, policy_id)))

    @app.get("/policies/{policy_id}/diagram.svg")
    def diagram(policy_id: str) -> Response:
        policy = _policy(state, policy_id)
        if policy.canonical not in state.pictures:
            state.pictures[policy.canonical] = drawn_as_svg(policy)
        return Response(
            state.pictures[policy.canonical], media_type="image/svg+xml", headers=SECURITY_HEADERS
        )

    @app.get("/static/style.css")
    def style() -> Response:
        return Response(style_sheet(), media_type="text/css", headers=SECURITY_HEADERS)


def _policy(state: State, policy_id: str) -> Policy:
    """The policy of this id that is in use."""
    for policy in state.loaded_library().policies:
        if policy.id == policy_id:
            return policy
    raise HTTPException(404, "no policy of this id is in use")


def _page(html: str) -> Response:
    return Response(html, media_type="text/html", headers=SECURITY_HEADERS)


async def _read(state: State, asked: HookRequest, queries: Mapping[str, str]) -> Mapping[str, QueryAnswer]:
    """The answers of the caller's FHIR server to what the request left out; none when it names no server."""
    if not queries or asked.access is None or state.reader is None:
        return {}
    seconds = min(state.settings.read_seconds, asked.access.seconds or state.settings.read_seconds)
    return await state.reader.read(
        asked.access.server, asked.access.token, asked.patient_id, queries, seconds
    )


def _terms(settings: Settings, now: datetime, client: Client | None, library: Library) -> Terms:
    return Terms(
        now=now,
        fresh_id=lambda: str(uuid4()),
        public_url=settings.public_url,
        answers_valid_days=settings.answers_valid_days,
        client_commissioner=_configured_commissioner(client, library),
    )


def _configured_commissioner(client: Client | None, library: Library) -> str | None:
    """The directory id of the organisation that a client is configured for, by its ``system|value``."""
    if client is None or client.commissioner is None:
        return None
    system, _, value = client.commissioner.rpartition("|")
    return library.directory.by_identifier.get((system, value))


async def _body(request: Request, limit: int) -> bytes:
    """The request's body, read no further than the limit. BodyTooLargeError beyond it."""
    read = bytearray()
    async for chunk in request.stream():
        read += chunk
        if len(read) > limit:
            raise BodyTooLargeError(f"found a body of more than {limit} bytes; expected no more")
    return bytes(read)


def _parsed(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise RequestError(
            "$", f"{error.msg} at {place}", "JSON, in UTF-8, nested less than 1024 deep"
        ) from None


def _entry(
    asked: HookRequest,
    decision: Decision,
    library: Library,
    client: Client | None,
    now: datetime,
    body: bytes,
    answer: bytes,
    started: float,
) -> DecisionEntry:
    return DecisionEntry(
        id=str(uuid4()),
        at=now,
        hook=asked.hook,
        hook_instance=asked.instance or "",
        client=None if client is None else client.name,
        request_digest=hashlib.sha256(body).hexdigest(),
        plan_set=library.digest,
        determinations=json.dumps([each.extension for each in decision.decisions]),
        cards_digest=hashlib.sha256(answer).hexdigest(),
        milliseconds=(time.perf_counter() - started) * 1000,
    )


def _write_down(log: DecisionLog | None, entry: DecisionEntry) -> None:
    if log is None:
        raise DecisionLogError("the decision log is not open")
    log.append(entry)


def _add_error_answers(app: FastAPI) -> None:
    @app.exception_handler(CdsServiceError)
    async def refused(_: Request, error: Exception) -> Response:
        status, issue = _STATUS.get(type(error), (500, "exception"))
        if status >= 500:
            logger.error("%s: %s", type(error).__name__, error)
        if isinstance(error, ClientRejectedError):
            return _outcome(status, issue, "the client was not accepted")
        return _outcome(status, issue, _public_words(error), getattr(error, "where", None))

    @app.exception_handler(HTTPException)
    async def http_error(_: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        words = str(error.detail) if isinstance(error, HTTPException) else "internal error"
        return _outcome(status, _HTTP_ISSUES.get(status, "processing"), words)

    @app.exception_handler(Exception)
    async def bug(_: Request, error: Exception) -> Response:
        # Never an empty list of cards for a fault; and no message, which might quote the request.
        logger.error("unexpected %s", type(error).__name__)
        return _outcome(500, "exception", "internal error")


def _public_words(error: Exception) -> str:
    """What a caller may read of an error: never a path or a message of the machine."""
    if isinstance(error, DecisionLogError):
        return "the decision could not be written down, so it is not given"
    if type(error) in _STATUS:
        return str(error)
    return "internal error"


def _outcome(status: int, issue: str, words: str, where: str | None = None) -> Response:
    detail: dict[str, Any] = {"severity": "error", "code": issue, "diagnostics": words}
    if where is not None:
        detail["expression"] = [where]
    body = {"resourceType": "OperationOutcome", "issue": [detail]}
    return Response(orjson.dumps(body), status_code=status, media_type=_FHIR_JSON)


def _json(value: object) -> Response:
    return Response(orjson.dumps(value), media_type=_JSON)
