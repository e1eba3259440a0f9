"""CDS Hooks: discovery, and the hook whose answer leaves once its decision is on the disk."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson
from fastapi import APIRouter, Request, Response
from starlette.background import BackgroundTask

from cds_service.errors import UnknownServiceError
from cds_service.filling.session import FORM_CONTEXT, FormContext
from cds_service.hooks.cards import FormOffer, form_id, form_offers
from cds_service.hooks.discovery import SERVICE_ID, services
from cds_service.hooks.requests import HookRequest, hook_request
from cds_service.operations.metrics import Told, told
from cds_service.policies.library import Library
from cds_service.policies.stated import stated
from cds_service.record.patient_record import QueryAnswer
from cds_service.routes.replies import body_of, json_reply, parsed
from cds_service.service import Decision, OrderDecision, Terms, decide, queries_to_read
from cds_service.smart.handles import handle
from cds_service.state import Clock, State
from cds_service.store.entries import DecisionEntry, Document, IssuedCard
from cds_service.trust.clients import Client, name_of
from cds_service.trust.verifier import Presented, replayed

logger = logging.getLogger("cds_service")

# How long a card's form can be opened.
FORM_OFFERED = timedelta(hours=1)


def discovery_routes(state: State) -> APIRouter:
    """``/cds-services``: what hooks there are, and what they need to know."""
    router = APIRouter()

    @router.get("/cds-services")
    async def discovery(request: Request) -> Response:
        await state.caller(request, "/cds-services")
        return json_reply(services(state.loaded_library().queries))

    return router


def hook(state: State, clock: Clock) -> Callable[[Request], Awaitable[Response]]:
    """``/cds-services/{service_id}``: what answers a call of the service."""

    async def answered(request: Request) -> Response:
        service_id = request.path_params["service_id"]
        if service_id != SERVICE_ID:
            raise UnknownServiceError(f"no CDS service {service_id[:60]!r}; there is {SERVICE_ID}")
        caller = await state.presented(request, f"/cds-services/{SERVICE_ID}")
        try:
            with state.span("hook", parent=request.headers.get("traceparent")):
                return await _answered(state, clock, caller, request)
        finally:
            # A token is used up also by a call that comes to nothing.
            await caller.spend()

    return answered


@dataclass(frozen=True)
class _Made:
    """What comes of a call, and is all that is held of it while it is written down: no longer the record."""

    answer: bytes
    entry: DecisionEntry
    orders: int
    told: list[Told]
    passed_over: Mapping[str, int]
    is_written: Awaitable[bool]


async def _answered(state: State, clock: Clock, caller: Presented, request: Request) -> Response:
    started = time.perf_counter()
    made = await _made(state, clock, caller, request, started)
    with state.span("store", decision=made.entry.id):
        if not await made.is_written:
            raise replayed()
    seconds = time.perf_counter() - started

    # Nobody waits for this.
    async def tell() -> None:
        state.metrics.decided(made.told, seconds)
        logger.info("decision %s: %d orders, %.1f ms", made.entry.id, made.orders, made.entry.milliseconds)
        for key, count in made.passed_over.items():
            logger.warning("decision %s: %d entries of %s passed over", made.entry.id, count, key)

    return Response(made.answer, media_type="application/json", background=BackgroundTask(tell))


async def _made(state: State, clock: Clock, caller: Presented, request: Request, started: float) -> _Made:
    body = await body_of(request, state.settings.max_body_bytes)
    client, library, now = caller.client, state.loaded_library(), clock()
    asked = hook_request(parsed(body))
    needed = queries_to_read(asked, library, now.date())
    if needed and asked.access is not None:
        # Nobody has another's server read by showing a token again.
        await caller.spend()
    read, store = await _read(state, asked, needed), state.opened_store()
    kept = await store.responses(name_of(client), asked.patient_id)
    with state.span("decide", hook=asked.hook, orders=len(asked.orders)):
        decision = decide(asked, library, _terms(state, now, client, library), read, kept)
    answer = orjson.dumps(decision.response)
    entry = _entry(asked, decision, library, client, now, body, answer, started)
    cards = [_issued(card) for card in decision.response["cards"]]
    return _Made(
        answer,
        entry,
        len(asked.orders),
        [told(each.determination) for each in decision.decisions],
        decision.passed_over,
        store.appending(entry, cards, _forms(asked, decision, client, now), caller.taken()),
    )


async def _read(state: State, asked: HookRequest, queries: Mapping[str, str]) -> Mapping[str, QueryAnswer]:
    """The answers of the caller's FHIR server to what the request left out; none when it names no server."""
    if not queries or asked.access is None or state.reader is None:
        return {}
    seconds = min(state.settings.read_seconds, asked.access.seconds or state.settings.read_seconds)
    with state.span("record read", queries=len(queries)):
        answers = await state.reader.read(
            asked.access.server, asked.access.token, asked.patient_id, queries, seconds
        )
    state.metrics.read(answers.values())
    return answers


def _terms(state: State, now: datetime, client: Client | None, library: Library) -> Terms:
    return Terms(
        now=now,
        fresh_id=lambda: str(uuid4()),
        public_url=state.settings.public_url,
        answers_valid_days=state.settings.answers_valid_days,
        client_commissioner=_configured_commissioner(client, library),
        handle=_form_handle(state, now),
    )


def _form_handle(state: State, now: datetime) -> Callable[[str], str] | None:
    """What seals the name of a form for its link; None where no EHR could launch one."""
    if not state.launches_forms:
        return None
    secret, seconds = state.opened_store().secret, int(FORM_OFFERED.total_seconds())
    return lambda name: handle(name, secret, now, seconds)


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
        client=name_of(client),
        request_digest=hashlib.sha256(body).hexdigest(),
        plan_set=library.digest,
        determinations=orjson.dumps([each.extension for each in decision.decisions]).decode(),
        cards_digest=hashlib.sha256(answer).hexdigest(),
        milliseconds=(time.perf_counter() - started) * 1000,
        replay=_replay(decision.decisions, now.date()),
    )


def _replay(decisions: Sequence[OrderDecision], today: date) -> str:
    """What it takes to decide again: of each decision its order, its day, and the policies that it went through.

    ``[{"order"?, "day", "policies": [{"policy", "findings"}]}]``, the findings as ``policies.stated`` writes them; all
    policies but the last sent the order on.
    """
    return orjson.dumps(
        [
            {
                "order": each.order.reference,
                "day": (each.order.authored or today).isoformat(),
                "policies": [
                    {"policy": passed.policy.canonical, "findings": stated(passed.findings)}
                    for passed in (*each.redirected_from, each.determination)
                ],
            }
            for each in decisions
        ]
    ).decode()


def _issued(card: Mapping[str, Any]) -> IssuedCard:
    return IssuedCard(card["uuid"], tuple(each["uuid"] for each in card.get("suggestions", ())))


def _forms(asked: HookRequest, decision: Decision, client: Client | None, now: datetime) -> list[Document]:
    """What the cards' forms will need: the draft order above all, which no FHIR server need ever show."""
    told = {card["uuid"] for card in decision.response["cards"]}
    return [
        Document(FORM_CONTEXT, form_id(offer, each.extension["id"]), context.to_json(), now + FORM_OFFERED)
        for each in decision.decisions
        if each.extension["id"] in told
        for offer in form_offers(each.determination)
        for context in [_form_context(offer, each, asked, client)]
    ]


def _form_context(
    offer: FormOffer, decision: OrderDecision, asked: HookRequest, client: Client | None
) -> FormContext:
    return FormContext(
        kind=offer.kind,
        card=decision.extension["id"],
        client=name_of(client),
        patient_id=asked.patient_id,
        order=decision.order.resource,
        policy=decision.determination.policy.canonical,
        funding_outcome=decision.funding_outcome,
        determination=decision.extension,
    )
