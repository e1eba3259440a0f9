"""SMART launches: from a card's link to the EHR and back, into the form that the card offered."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from secrets import token_urlsafe
from uuid import uuid4

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from cds_service.errors import FormUnavailableError, LaunchRefusedError
from cds_service.filling.opening import Opener, Opening, opened_session
from cds_service.filling.prepared_forms import PreparedForms
from cds_service.filling.session import FORM_CONTEXT, FORM_SESSION, LAUNCH, FormContext
from cds_service.policies.library import Library
from cds_service.record.patient_record import PATIENT_KEY, RESPONSES_KEY, PatientRecord, QueryAnswer
from cds_service.routes.framing import set_cookie
from cds_service.routes.replies import json_reply
from cds_service.smart.context import SmartContext, sealed_context
from cds_service.smart.handles import Binding, bound, opened
from cds_service.smart.launch_state import LAUNCH_SECONDS, LaunchState
from cds_service.state import Clock, State

# How long somebody may take over a form.
FORM_KEPT = timedelta(hours=12)
_USER_KEY = "user"
_UNCACHED = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


def launch_routes(state: State, clock: Clock, forms: PreparedForms) -> APIRouter:
    """``/launch``, where an EHR opens a card's link; ``/launch/return``, where it sends the browser back to."""
    router = APIRouter(prefix="/launch")

    @router.get("")
    async def launch(request: Request) -> Response:
        types = _resource_types(state.loaded_library())
        url, begun = await state.opened_smart().begun(
            dict(request.query_params), types, f"{state.settings.public_url}/launch/return"
        )
        await state.opened_store().keep(LAUNCH, begun.state, begun.to_json().encode(), begun.expires)
        reply = _sent_to(url)
        set_cookie(reply, state.settings, _launch_cookie(begun.state), begun.state, "/launch", LAUNCH_SECONDS)
        return reply

    @router.get("/return")
    async def returned(request: Request) -> Response:
        query = dict(request.query_params)
        name = query.get("state", "")
        taken = await state.opened_store().take(LAUNCH, name, clock()) if name else None
        begun = None if taken is None else LaunchState.from_json(taken.decode())
        cookie = request.cookies.get(_launch_cookie(name))
        context = await state.opened_smart().finished(begun, query, cookie)
        form_id, key = await _opened_form(state, clock, forms, context)
        reply = _sent_to(f"/form/{form_id}")
        reply.delete_cookie(_launch_cookie(name), path="/launch")
        set_cookie(
            reply,
            state.settings,
            form_cookie(form_id),
            key,
            f"/form/{form_id}",
            int(FORM_KEPT.total_seconds()),
        )
        return reply

    @router.get("/keys")
    async def keys() -> Response:
        return json_reply(state.opened_smart().key_set)

    return router


def form_cookie(form_id: str) -> str:
    """The name of the cookie that opens this form; each has its own, so that several can be open side by side."""
    return f"form-{form_id}"


async def _opened_form(
    state: State, clock: Clock, forms: PreparedForms, context: SmartContext
) -> tuple[str, str]:
    """The id of a new form session and the key that opens it."""
    offered = await _offered(state, clock, context)
    now, library = clock(), state.loaded_library()
    opening = Opening.of(offered, library, now)
    record = await _record(state, context, opening)
    kept = await state.opened_store().responses(offered.client, offered.patient_id)
    form_id, key = str(uuid4()), token_urlsafe(32)
    session = opened_session(
        opening,
        forms.of(opening),
        record,
        kept,
        now,
        Opener(
            user=next(iter(record.answer(_USER_KEY).resources), None),
            key_digest=key_digest(key),
            smart=sealed_context(context, state.opened_store().secret),
            shows_patient=context.needs_patient_banner,
            response_id=str(uuid4()),
        ),
        state.settings.answers_valid_days,
    )
    await state.opened_store().keep(FORM_SESSION, form_id, session.to_json(), now + FORM_KEPT, 0)
    return form_id, key


def key_digest(key: str) -> str:
    """What is kept of a form's key."""
    return hashlib.sha256(key.encode()).hexdigest()


async def _offered(state: State, clock: Clock, context: SmartContext) -> FormContext:
    """What the card that this launch comes from was about. Several errors, each saying why it is not known."""
    if context.handle is None:
        raise LaunchRefusedError("the launch does not say which form to open")
    store, now = state.opened_store(), clock()
    found = await store.kept(FORM_CONTEXT, opened(context.handle, store.secret, now), now)
    if found is None:
        raise FormUnavailableError(
            "This form is no longer offered.", "Order again: the new card opens a new form."
        )
    offered = FormContext.from_json(found.content)
    client = None if state.settings.in_development else context.client
    order = f"{offered.order.get('resourceType')}/{offered.order.get('id')}"
    binding = Binding(offered.client, offered.patient_id, order, offered.policy)
    bound(binding, client, context.patient_id, context.fhir_context)
    return offered


async def _record(state: State, context: SmartContext, opening: Opening) -> PatientRecord:
    """What the EHR shows of the patient to whoever launched: what the form needs, and who they are."""
    queries = dict(opening.queries)
    if context.user is not None:
        queries[_USER_KEY] = context.user
    answers: Mapping[str, QueryAnswer] = {}
    if state.reader is not None:
        answers = await state.reader.read(
            context.base_url, context.token, context.patient_id, queries, state.settings.read_seconds
        )
    found = answers[PATIENT_KEY].resources if PATIENT_KEY in answers else ()
    return PatientRecord(context.patient_id, found[0] if found else None, answers)


def _resource_types(library: Library) -> frozenset[str]:
    """The resource types that the policies' forms, and the forms they share, are filled in from."""
    queries = [*library.queries.items()]
    queries += [each for form in library.forms for each in form.queries.items()]
    found = {
        template.partition("?")[0].partition("/")[0] for key, template in queries if key != RESPONSES_KEY
    }
    return frozenset({*found, "Practitioner"})


def _launch_cookie(launch: str) -> str:
    # Only the start: the cookie's name need not be secret, but has to be short and differ between tabs.
    return f"launch-{launch[:8]}"


def _sent_to(url: str) -> RedirectResponse:
    return RedirectResponse(url, status_code=303, headers=_UNCACHED)
