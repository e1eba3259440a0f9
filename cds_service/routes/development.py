"""What there is in development mode only: a FHIR server with SMART App Launch, and the order-entry screen."""

from __future__ import annotations

from secrets import token_urlsafe
from uuid import uuid4

from fastapi import APIRouter, Response

from cds_service.development import FHIR_PATH
from cds_service.development.authorization import AuthorizationServer
from cds_service.development.fixtures import read_fixtures
from cds_service.development.records import Records
from cds_service.routes.development_fhir import development_fhir_routes
from cds_service.routes.development_smart import development_smart_routes
from cds_service.routes.replies import page_reply
from cds_service.routes.trying import try_routes
from cds_service.state import Clock, State
from cds_service.web.try_pages import unavailable_page


def development_routes(state: State, clock: Clock) -> APIRouter:
    """``/development`` and ``/try``; without fixtures only a page that says what is missing.

    Never to be included when clients are configured: nothing here asks who calls.
    """
    router = APIRouter()
    fixtures = read_fixtures(state.settings.fixtures)
    if fixtures is None:
        router.add_api_route("/try", _unavailable, methods=["GET"])
        return router
    app_url = state.settings.public_url
    fhir_server = app_url + FHIR_PATH
    records = Records(fixtures.resources, clock, lambda: str(uuid4()))
    authorization = AuthorizationServer(app_url, fhir_server, clock, lambda: token_urlsafe(32))
    router.include_router(development_fhir_routes(state, clock, records, authorization, fhir_server))
    router.include_router(development_smart_routes(fixtures, authorization))
    router.include_router(try_routes(fixtures, records, app_url, fhir_server))
    return router


def _unavailable() -> Response:
    return page_reply(unavailable_page())
