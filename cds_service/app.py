"""The HTTP shell: which routes there are, and which status answers which error."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Request, Response
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from cds_service.errors import (
    BodyTooLargeError,
    CdsServiceError,
    ClientRejectedError,
    DecisionLogError,
    EnablementLoopError,
    ExtractionError,
    FormUnavailableError,
    FundingRequestError,
    HandleError,
    LaunchRefusedError,
    MissingDataError,
    NoPoliciesError,
    NotAcceptableError,
    NothingToExtractError,
    OperationNotSupportedError,
    RequestError,
    ResourceNotFoundError,
    StoreBusyError,
    StoreConflictError,
    StoreError,
    UnknownServiceError,
    UnknownValueSetError,
    UnsupportedItemError,
    UnsupportedQuestionnaireError,
    WrongLaunchError,
)
from cds_service.filling.prepared_forms import PreparedForms
from cds_service.operations.requests import Bounded
from cds_service.policies.library import Library
from cds_service.routes.decisions import decision_routes
from cds_service.routes.development import development_routes
from cds_service.routes.feedback import feedback_routes
from cds_service.routes.fhir import fhir_routes
from cds_service.routes.form import form_routes
from cds_service.routes.framing import framed
from cds_service.routes.hooks import discovery_routes, hook
from cds_service.routes.launch import launch_routes
from cds_service.routes.openapi import openapi_routes
from cds_service.routes.operations import operation_routes
from cds_service.routes.pages import page_routes
from cds_service.routes.replies import outcome_reply, page_reply
from cds_service.routes.trouble import trouble
from cds_service.settings import Settings
from cds_service.state import State, service_state

logger = logging.getLogger("cds_service")

# Error → (HTTP status, FHIR issue type). Anything else that is raised is a bug: 500.
_STATUS: Mapping[type[Exception], tuple[int, str]] = {
    RequestError: (400, "invalid"),
    BodyTooLargeError: (413, "too-long"),
    ClientRejectedError: (401, "security"),
    UnknownServiceError: (404, "not-found"),
    MissingDataError: (412, "required"),
    NoPoliciesError: (503, "transient"),
    DecisionLogError: (503, "transient"),
    StoreBusyError: (503, "transient"),
    StoreError: (503, "transient"),
    ResourceNotFoundError: (404, "not-found"),
    UnknownValueSetError: (404, "not-found"),
    OperationNotSupportedError: (405, "not-supported"),
    NotAcceptableError: (406, "not-supported"),
    ExtractionError: (422, "processing"),
    NothingToExtractError: (422, "not-supported"),
    UnsupportedQuestionnaireError: (422, "not-supported"),
    EnablementLoopError: (422, "processing"),
    FundingRequestError: (422, "processing"),
    LaunchRefusedError: (400, "processing"),
    HandleError: (410, "expired"),
    WrongLaunchError: (403, "forbidden"),
    FormUnavailableError: (410, "deleted"),
    StoreConflictError: (409, "conflict"),
    UnsupportedItemError: (501, "not-supported"),
}
# Below these, a person is looking: what goes wrong is told on a page.
_PAGES = ("/launch", "/form")
_HTTP_ISSUES = {403: "forbidden", 404: "not-found", 405: "not-supported", 412: "multiple-matches"}
# FastAPI would send the words of errors and whole addresses, which may quote a record; what is sent is our own spans.
_NO_TELEMETRY = TelemetryConfig(tracing=False, metrics=False, logs=False, auto_configure=False)


def create_app(
    settings: Settings,
    clock: Callable[[], datetime] | None = None,
    library: Library | None = None,
) -> FastAPI:
    """The service as an ASGI application. It starts even without a usable policy set, and then says so with 503.

    ``library``: the policies of these settings, when they were loaded just now.

    FileError when the clients' or the SMART servers' file cannot be used: a service that is meant to be closed never
    starts open. Its State is ``app.state.service``.
    """
    zone = ZoneInfo(settings.time_zone)
    clock = clock or (lambda: datetime.now(zone))
    state, forms = service_state(settings, clock, library), PreparedForms()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        state.open()
        yield
        await state.aclose()

    app = FastAPI(
        title="CDS service: procedure funding", lifespan=lifespan, openapi_url=None, telemetry=_NO_TELEMETRY
    )
    app.state.service = state
    # Inside CORS, so that a browser may read the 503 too.
    app.add_middleware(Bounded, traffic=lambda: state.traffic)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins or (() if settings.clients else ("*",)),
        allow_methods=("GET", "POST"),
        allow_headers=("Authorization", "Content-Type", "Accept", "Prefer", "If-None-Match"),
        expose_headers=("ETag",),
    )
    # Without FastAPI's own work on parameters and answers, a tenth of what a decision takes: the hook does its own.
    app.add_route("/cds-services/{service_id}", hook(state, clock), methods=["POST"])
    routers = [
        feedback_routes(state),
        discovery_routes(state),
        decision_routes(state),
        operation_routes(state),
        openapi_routes(state),
        page_routes(state, clock),
        fhir_routes(state, clock),
        launch_routes(state, clock, forms),
        form_routes(state, clock, forms, zone),
    ]
    for router in routers + ([development_routes(state, clock)] if settings.in_development else []):
        app.include_router(router)
    _add_error_answers(app, state)
    return app


def _add_error_answers(app: FastAPI, state: State) -> None:
    settings = state.settings

    @app.exception_handler(CdsServiceError)
    async def refused(request: Request, error: Exception) -> Response:
        status, issue = _STATUS.get(type(error), (500, "exception"))
        if status >= 500:
            # Of an error that nobody foresaw not even the message, which may quote a record.
            words = str(error) if type(error) in _STATUS else "(unforeseen)"
            logger.error("%s: %s", type(error).__name__, words)
        if request.url.path.startswith(_PAGES):
            return framed(page_reply(trouble(error), status), settings)
        if isinstance(error, ClientRejectedError):
            state.metrics.rejected_client()
            return outcome_reply(status, issue, "the client was not accepted")
        headers = (
            {"Allow": ", ".join(error.allowed)} if isinstance(error, OperationNotSupportedError) else None
        )
        return outcome_reply(status, issue, _public_words(error), getattr(error, "where", None), headers)

    @app.exception_handler(HTTPException)
    async def http_error(_: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        issue = _HTTP_ISSUES.get(error.status_code, "processing")
        return outcome_reply(error.status_code, issue, str(error.detail), headers=error.headers)

    @app.exception_handler(Exception)
    async def bug(request: Request, error: Exception) -> Response:
        # Never an empty list of cards for a fault; and no message, which might quote the request.
        logger.error("unexpected %s", type(error).__name__)
        if request.url.path.startswith(_PAGES):
            return framed(page_reply(trouble(error), 500), settings)
        return outcome_reply(500, "exception", "internal error")


def _public_words(error: Exception) -> str:
    """What a caller may read of an error: never a path or a message of the machine."""
    if isinstance(error, StoreError):
        return "the decision could not be written down, so it is not given"
    if type(error) in _STATUS:
        return str(error)
    return "internal error"
