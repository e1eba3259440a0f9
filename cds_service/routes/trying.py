"""``/try``: the order-entry screen. With scripts the browser calls the hook; without, this does it in its place."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import httpx
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from cds_service.development import FHIR_PATH
from cds_service.development.fixtures import Fixtures
from cds_service.development.order_entry import (
    RECORDS,
    SENT,
    OrderEntry,
    hook_body,
    order_choices,
    requesters,
)
from cds_service.development.records import Records
from cds_service.hooks.discovery import SERVICE_ID
from cds_service.hooks.requests import HOOKS
from cds_service.routes.replies import page_reply
from cds_service.web.try_pages import Choices, Exchange, payer, try_page


def try_routes(fixtures: Fixtures, records: Records, app_url: str, fhir_server: str) -> APIRouter:
    """The screen, its hook call for browsers without scripts, and the way back to an empty record of forms."""
    router = APIRouter()
    choices = _choices(fixtures)

    @router.get("/try")
    def screen(request: Request) -> Response:
        entry = _entry(choices, request.query_params)
        body = None if entry is None else hook_body(entry, fhir_server, str(uuid4()))
        return page_reply(try_page(choices, entry, body, None))

    @router.post("/try")
    async def called(request: Request) -> Response:
        entry = _entry(choices, request.query_params)
        if entry is None:
            return RedirectResponse("/try", status_code=303)
        body = hook_body(entry, fhir_server, str(uuid4()))
        exchange = await _exchange(request.app, app_url, body, sends_record=entry.record == SENT)
        return page_reply(try_page(choices, entry, body, exchange))

    @router.post("/try/forget")
    def forget() -> Response:
        records.forget_forms()
        return RedirectResponse("/try", status_code=303)

    return router


def _choices(fixtures: Fixtures) -> Choices:
    return Choices(
        patients=fixtures.patients,
        payers={each["id"]: payer(each["id"], fixtures.resources) for each in fixtures.patients},
        orders=order_choices(fixtures),
        requesters=requesters(fixtures),
        stories=fixtures.stories,
    )


def _entry(choices: Choices, query: Mapping[str, str]) -> OrderEntry | None:
    """What the query chooses; None when it chooses nothing yet. HTTPException 404 for what is not on the screen."""
    if "patient" not in query or "order" not in query:
        return None
    order = next((each for each in choices.orders if each.key == query["order"]), None)
    patient_ids = {patient["id"] for patient in choices.patients}
    requester = query.get("requester", choices.requesters[0])
    hook, record = query.get("hook", HOOKS[0]), query.get("record", SENT)
    if (
        order is None
        or query["patient"] not in patient_ids
        or requester not in choices.requesters
        or hook not in HOOKS
        or record not in RECORDS
    ):
        raise HTTPException(404, "no such patient, procedure, requester or hook on this screen")
    return OrderEntry(query["patient"], order, requester, hook, record)


async def _exchange(app: FastAPI, app_url: str, body: Mapping[str, Any], *, sends_record: bool) -> Exchange:
    """The hook call as a client makes it: discovery, the prefetch of its templates, the request."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=app_url) as client:
        sent = {**body, "prefetch": await _prefetch(client, body)} if sends_record else body
        started = time.perf_counter()
        answer = await client.post(f"/cds-services/{SERVICE_ID}", json=sent)
        return Exchange(sent, answer.status_code, answer.json(), (time.perf_counter() - started) * 1000)


async def _prefetch(client: httpx.AsyncClient, body: Mapping[str, Any]) -> dict[str, Any]:
    """The answers to the templates of the hook's discovery entry."""
    services = (await client.get("/cds-services")).json().get("services", [])
    templates: Mapping[str, str] = next(
        (each["prefetch"] for each in services if each["hook"] == body["hook"]), {}
    )
    found = {}
    for key, template in templates.items():
        query = template.replace("{{context.patientId}}", body["context"]["patientId"])
        found[key] = (await client.get(f"{FHIR_PATH}/{query}")).json()
    return found
