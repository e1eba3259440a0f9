"""The form that a card opens: asked, looked over, completed, kept, and written to the EHR."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from typing import Any
from urllib.parse import parse_qs, quote
from uuid import uuid4

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute

from cds_service.errors import FormUnavailableError, LaunchRefusedError
from cds_service.filling.open_form import OpenForm
from cds_service.filling.opening import Opening
from cds_service.filling.prepared_forms import PreparedForms
from cds_service.filling.session import COMPLETED, FORM_SESSION, OPEN, FormSession
from cds_service.policies.findings import Evidence
from cds_service.questionnaires.funding_request import FundingRequest, funding_document, printed_sections
from cds_service.record.resources import Resource
from cds_service.routes.form_views import ALL, REVIEW, FormPages
from cds_service.routes.framing import framed
from cds_service.routes.launch import FORM_KEPT, form_cookie, key_digest
from cds_service.routes.replies import FHIR_JSON, body_of, page_reply
from cds_service.smart.context import SmartContext, sealed_context, unsealed_context
from cds_service.smart.write_back import NotWritten
from cds_service.state import Clock, State
from cds_service.store.entries import Answered
from cds_service.web.form_pages import (
    DocumentSection,
    document_page,
    done_page,
    form_page,
    not_saved_page,
    review_page,
)
from cds_service.web.forms import FieldProblem, answered

_LARGEST_POST = 4_000_000
_MOST_FIELDS = 5_000
# A page that shows what was wrong with what was posted.
_UNPROCESSABLE = 422
# A token that ends sooner is exchanged for a new one before the answers are written with it.
_RENEWED_BEFORE = timedelta(seconds=60)
_OPEN_AGAIN = "Open it again from the card on your order."


def form_routes(state: State, clock: Clock, prepared: PreparedForms, zone: tzinfo) -> APIRouter:
    """``/form/{id}``: a page of it, what is posted on it, and what comes of it to take away."""
    router = APIRouter(prefix="/form/{form_id}", route_class=_framed_by(state))
    forms = _Forms(state, clock, prepared)

    @router.get("")
    async def page(form_id: str, request: Request) -> Response:
        opened, _ = await forms.opened(form_id, request)
        pages = FormPages(opened, f"/form/{form_id}", zone)
        if opened.session.status == COMPLETED:
            left = (
                not_saved_page(pages.not_saved()) if opened.session.not_written else done_page(pages.done())
            )
            return page_reply(left)
        return page_reply(_asked_page(opened, pages, request.query_params))

    @router.post("")
    async def post(form_id: str, request: Request) -> Response:
        opened, version = await forms.opened(form_id, request)
        fields = await _fields(request)
        shown_page = next(iter(fields.get("page", ())), "")
        button = next(iter(fields.get("do", ())), "continue")
        pages = FormPages(opened, f"/form/{form_id}", zone)
        if shown_page == REVIEW:
            if button == "submit":
                return await _submitted(state, forms, form_id, opened, version, zone)
            await forms.keep(form_id, replace(opened.session, status=OPEN, not_written=None), version)
            last = opened.session.asked[-1:] if not opened.is_request else ()
            return _sent_to(form_id, f"question={quote(last[0])}" if last else f"{ALL}=1")
        if opened.session.status == COMPLETED:
            return _sent_to(form_id)
        return await _answered(forms, form_id, opened, version, pages, shown_page, fields, zone)

    @router.get("/answers.json")
    async def answers(form_id: str, request: Request) -> Response:
        opened, _ = await forms.opened(form_id, request)
        session = opened.session
        content = opened.completed() if session.status == COMPLETED else session.response
        return _download(content, "answers.json")

    @router.get("/document.json")
    async def document(form_id: str, request: Request) -> Response:
        opened, _ = await forms.opened(form_id, request)
        made = funding_document(_funding_request(opened, state), clock(), lambda: str(uuid4()))
        return _download(made, "funding-request.json")

    @router.get("/document")
    async def printable(form_id: str, request: Request) -> Response:
        opened, _ = await forms.opened(form_id, request)
        found = printed_sections(_funding_request(opened, state))
        sections = [
            DocumentSection(each.title, tuple((line.label, line.answers) for line in each.lines))
            for each in found
        ]
        return page_reply(document_page(opened.form.questionnaire["title"], sections, opened.policy.title))

    return router


def _framed_by(state: State) -> type[APIRoute]:
    """Routes whose pages the configured EHRs may show in a frame."""

    class FramedRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handler = super().get_route_handler()

            async def handled(request: Request) -> Response:
                return framed(await handler(request), state.settings)

            return handled

    return FramedRoute


class _Forms:
    """The sessions in the store, each with its form."""

    def __init__(self, state: State, clock: Clock, prepared: PreparedForms) -> None:
        self._state = state
        self._clock = clock
        self._prepared = prepared

    async def opened(self, form_id: str, request: Request) -> tuple[OpenForm, int]:
        """The form of this id, for the browser that opened it, and its version. FormUnavailableError for any other."""
        now = self._clock()
        found = await self._state.opened_store().kept(FORM_SESSION, form_id, now)
        session = FormSession.from_json(found.content) if found else None
        key = request.cookies.get(form_cookie(form_id), "")
        if found is None or session is None or not hmac.compare_digest(session.key_digest, key_digest(key)):
            raise FormUnavailableError("This form is not open in this browser, or no longer.", _OPEN_AGAIN)
        opening = Opening.of(session.context, self._state.loaded_library(), now)
        form = self._prepared.of(opening)
        if form.canonical != session.form:
            raise FormUnavailableError("This form was replaced by a newer version meanwhile.", _OPEN_AGAIN)
        return OpenForm(session, opening, form, now), found.version

    async def keep(self, form_id: str, session: FormSession, version: int) -> None:
        """Keep the form as it is now. StoreConflictError when it was changed elsewhere meanwhile."""
        expires = self._clock() + FORM_KEPT
        await self._state.opened_store().keep(FORM_SESSION, form_id, session.to_json(), expires, version)


def _asked_page(opened: OpenForm, pages: FormPages, query: Mapping[str, str]) -> str:
    """The question asked for, the whole form, or what comes next."""
    wanted = query.get("question")
    if wanted in opened.form.by_link_id and not opened.is_request:
        return form_page(pages.question(str(wanted), {}, {}))
    if REVIEW in query:
        return review_page(pages.review())
    if opened.is_request or ALL in query:
        return form_page(pages.whole({}, {}))
    following = opened.progress.following if opened.progress else None
    if following is None:
        return review_page(pages.review())
    return form_page(pages.question(following.link_id, {}, {}))


async def _answered(
    forms: _Forms,
    form_id: str,
    opened: OpenForm,
    version: int,
    pages: FormPages,
    shown_page: str,
    fields: Mapping[str, list[str]],
    zone: tzinfo,
) -> Response:
    """What was posted on a page of questions: kept, whatever is wrong with it, and answered with what comes next."""
    kind, _, link_id = shown_page.partition(" ")
    single = kind == "question" and link_id in opened.form.by_link_id
    shown = {link_id} if single else opened.asked_items
    posted = answered(pages.on_page, opened.session.response, fields, shown)
    asked = opened.session.asked
    if single and link_id not in asked and posted.button == "continue":
        asked = (*asked, link_id)
    following = opened.with_response(posted.response)
    following = replace(following, session=replace(following.session, asked=asked))
    if following.is_request and posted.button == "continue":
        # A request is one page: whoever goes on from it means it to be complete, with what these answers opened.
        faults = _faults(following, following.completed(), following.asked_items)
    else:
        faults = _faults(following, following.session.response, shown)
    problems = {**faults, **posted.problems}
    if single and posted.button == "continue" and not problems and link_id not in following.answered_items:
        problems = _unanswered(following, link_id)
    if single and problems:
        # A question that is still open has not been asked to the end.
        following = replace(following, session=replace(following.session, asked=opened.session.asked))
    await forms.keep(form_id, following.session, version)
    if single and posted.button == "back":
        return _sent_to(form_id, _previous(opened, link_id))
    shows = FormPages(following, f"/form/{form_id}", zone)
    if single:
        if problems:
            return page_reply(form_page(shows.question(link_id, problems, posted.unread)), _UNPROCESSABLE)
        return _sent_to(form_id)
    if posted.button != "continue":
        return page_reply(form_page(shows.whole(posted.problems, posted.unread)))
    if problems:
        return page_reply(form_page(shows.whole(problems, posted.unread)), _UNPROCESSABLE)
    return _sent_to(form_id, REVIEW + "=1" if following.is_request else "")


def _faults(opened: OpenForm, response: Resource, shown: Collection[str]) -> dict[str, str]:
    """By linkId what is wrong with the answers on a page, in words that can stand beside the question."""
    found: dict[str, str] = {}
    for each in opened.faults(response):
        if each.link_id in shown:
            found.setdefault(str(each.link_id), each.words)
    return found


def _unanswered(opened: OpenForm, link_id: str) -> dict[str, str]:
    """Free text may be left out; a question that the policy turns on may not."""
    if opened.form.by_link_id[link_id].type in {"text", "string"}:
        return {}
    return {link_id: "Choose an answer. “Don’t know” is one too."}


def _previous(opened: OpenForm, link_id: str) -> str:
    asked = opened.session.asked
    before = asked[: asked.index(link_id)] if link_id in asked else asked
    return f"question={quote(before[-1])}" if before else ""


async def _submitted(
    state: State, forms: _Forms, form_id: str, opened: OpenForm, version: int, zone: tzinfo
) -> Response:
    """The form completed: kept by us first, so that nothing the EHR does can lose it, then written to the EHR."""
    session = opened.session
    if session.status == OPEN:
        following = opened.progress.following if opened.progress else None
        if following is not None:
            return _sent_to(form_id, f"question={quote(following.link_id)}")
        completed = opened.completed()
        faults = opened.faults(completed)
        if faults:
            pages = FormPages(opened, f"/form/{form_id}", zone)
            words = tuple(
                FieldProblem(_with_question(opened, each.link_id, each.words), None) for each in faults
            )
            return page_reply(review_page(pages.review(words)), _UNPROCESSABLE)
    else:
        completed = opened.completed()
    await _keep_answers(state, opened, completed)
    left = await _written(state, replace(session, response=completed), completed, opened.now)
    await forms.keep(form_id, left, version)
    return _sent_to(form_id)


def _with_question(opened: OpenForm, link_id: str | None, words: str) -> str:
    item = opened.form.by_link_id.get(link_id or "")
    return words if item is None else f"{item.resource.get('text', link_id)}: {words}"


async def _keep_answers(state: State, opened: OpenForm, completed: Resource) -> None:
    context = opened.session.context
    await state.opened_store().keep_response(
        Answered(
            id=opened.session.response_id,
            received_at=opened.now,
            client=context.client,
            patient_id=context.patient_id,
            questionnaire=opened.session.form,
            order=opened.opening.order.reference,
            status=completed["status"],
            resource=dict(completed),
        )
    )


async def _written(state: State, session: FormSession, completed: Resource, now: datetime) -> FormSession:
    """The session after the EHR was asked to take the answers."""
    smart, secret = state.opened_smart(), state.opened_store().secret
    context = unsealed_context(session.smart, secret)
    if context is None:
        return replace(session, status=COMPLETED, not_written="session ended")
    context = await _renewed(state, context, now)
    sent = {name: value for name, value in completed.items() if name != "id"}
    result = await smart.written(sent, session.written or None, context)
    sealed = sealed_context(context, secret)
    if isinstance(result, NotWritten):
        status = f" ({result.status})" if result.status else ""
        return replace(session, status=COMPLETED, smart=sealed, not_written=f"{result.why}{status}")
    if result.reference is not None:
        await state.opened_store().mark_written(session.response_id, result.reference)
    return replace(session, status=COMPLETED, smart=sealed, not_written=None, written=result.reference or "")


async def _renewed(state: State, context: SmartContext, now: datetime) -> SmartContext:
    """The context with a token that is good for a while, where one can be had."""
    if context.refresh_token is None or now + _RENEWED_BEFORE < context.expires:
        return context
    try:
        return await state.opened_smart().renewed(context)
    except LaunchRefusedError:
        return context


def _funding_request(opened: OpenForm, state: State) -> FundingRequest:
    """FormUnavailableError before the request is complete."""
    session = opened.session
    if session.status != COMPLETED or not opened.is_request:
        raise FormUnavailableError("The request is not complete yet.", "Go back to it and complete it.")
    context = unsealed_context(session.smart, state.opened_store().secret)
    evidence = {(each["reference"], each["date"]) for found in session.evidence.values() for each in found}
    given = tuple(each for each in (session.patient, session.user) if each is not None)
    return FundingRequest(
        questionnaire=opened.form.questionnaire,
        response=opened.completed(),
        order=opened.opening.order,
        determination=session.guidance,
        evidence=tuple(Evidence(*each) for each in sorted(evidence, key=str)),
        given=given,
        server=context.base_url if context else None,
    )


async def _fields(request: Request) -> dict[str, list[str]]:
    body = await body_of(request, _LARGEST_POST)
    try:
        return parse_qs(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise FormUnavailableError("What was sent is no form of ours.", _OPEN_AGAIN) from None


def _sent_to(form_id: str, query: str = "") -> Response:
    url = f"/form/{form_id}" + (f"?{query}" if query else "")
    return RedirectResponse(url, status_code=303, headers={"Cache-Control": "no-store"})


def _download(resource: object, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(orjson.dumps(resource), media_type=FHIR_JSON, headers=headers)
