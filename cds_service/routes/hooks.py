"""CDS Hooks: discovery, and the hook whose answer leaves once its decision is on the disk."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Mapping
from datetime import datetime
from uuid import uuid4

import anyio.to_thread
import orjson
from fastapi import APIRouter, Request, Response

from cds_service.errors import DecisionLogError, UnknownServiceError
from cds_service.hooks.discovery import SERVICE_ID, services
from cds_service.hooks.requests import HookRequest, hook_request
from cds_service.policies.library import Library
from cds_service.record.patient_record import QueryAnswer
from cds_service.routes.replies import body_of, json_reply, parsed
from cds_service.service import Decision, Terms, decide, queries_to_read
from cds_service.settings import Settings
from cds_service.state import Clock, State
from cds_service.store.decisions import DecisionEntry, DecisionLog
from cds_service.trust.clients import Client

logger = logging.getLogger("cds_service")


def hook_routes(state: State, clock: Clock) -> APIRouter:
    """``/cds-services`` and the service below it."""
    router = APIRouter()

    @router.get("/cds-services")
    async def discovery(request: Request) -> Response:
        await state.caller(request, "/cds-services")
        return json_reply(services(state.loaded_library().queries))

    @router.post("/cds-services/{service_id}")
    async def hook(service_id: str, request: Request) -> Response:
        if service_id != SERVICE_ID:
            raise UnknownServiceError(f"no CDS service {service_id[:60]!r}; there is {SERVICE_ID}")
        client = await state.caller(request, f"/cds-services/{SERVICE_ID}")
        started = time.perf_counter()
        body = await body_of(request, state.settings.max_body_bytes)
        library, now = state.loaded_library(), clock()
        asked = hook_request(parsed(body))
        read = await _read(state, asked, queries_to_read(asked, library, now.date()))
        decision = decide(asked, library, _terms(state.settings, now, client, library), read)
        answer = orjson.dumps(decision.response)
        entry = _entry(asked, decision, library, client, now, body, answer, started)
        await anyio.to_thread.run_sync(_write_down, state.log, entry)
        logger.info("decision %s: %d orders, %.1f ms", entry.id, len(asked.orders), entry.milliseconds)
        for key, count in decision.passed_over.items():
            logger.warning("decision %s: %d entries of %s passed over", entry.id, count, key)
        return Response(answer, media_type="application/json")

    return router


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
