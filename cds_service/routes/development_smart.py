"""SMART App Launch on the development FHIR server: an EHR's launch, and an authorization server that says yes."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from cds_service.development.authorization import AuthorizationServer
from cds_service.development.fixtures import Fixtures
from cds_service.development.grants import Launch, Refused
from cds_service.routes.development_fhir import ONLY_FOR_DEVELOPMENT
from cds_service.routes.replies import body_of, json_reply, page_reply
from cds_service.web.try_pages import patients_page

_UNCACHED = {"Cache-Control": "no-store", "Pragma": "no-cache", **ONLY_FOR_DEVELOPMENT}
_USER = "Practitioner/example-surgeon"
_LARGEST_FORM = 20_000


def development_smart_routes(fixtures: Fixtures, authorization: AuthorizationServer) -> APIRouter:
    """``/development/launch``, ``authorize``, ``token`` and ``jwks``."""
    router = APIRouter(prefix="/development")
    patients = {patient["id"] for patient in fixtures.patients}

    @router.get("/launch")
    def launch(url: str, patient: str, user: str = _USER, order: str = "", appContext: str = "") -> Response:  # noqa: N803  the name is SMART's
        if patient not in patients:
            raise HTTPException(404, "no such patient")
        opened = authorization.launched(Launch(patient, user, order or None, appContext or None), url)
        if opened is None:
            raise HTTPException(400, "an app is opened only from this service or from this machine")
        return _redirect(opened)

    @router.get("/authorize")
    def authorize(request: Request) -> Response:
        query = dict(request.query_params)
        chosen = query.get("patient")
        if (
            "launch" not in query
            and "launch/patient" in query.get("scope", "").split()
            and chosen not in patients
        ):
            return page_reply(patients_page(fixtures.patients, query))
        standalone = Launch(chosen, _USER, None, None) if chosen in patients and chosen else None
        sent_on = authorization.authorized(query, standalone)
        if isinstance(sent_on, Refused):
            raise HTTPException(400, sent_on.description)
        return _redirect(sent_on)

    @router.post("/token")
    async def token(request: Request) -> Response:
        body = await body_of(request, _LARGEST_FORM)
        answer = authorization.token(dict(parse_qsl(body.decode("ascii", "replace"))))
        if isinstance(answer, Refused):
            return _oauth_reply({"error": answer.error, "error_description": answer.description}, 400)
        return _oauth_reply(answer, 200)

    @router.get("/jwks")
    def jwks() -> Response:
        return json_reply(authorization.keys())

    return router


def _redirect(url: str) -> Response:
    return RedirectResponse(url, status_code=303, headers=_UNCACHED)


def _oauth_reply(answer: Mapping[str, object], status: int) -> Response:
    """OAuth has its own form of errors, which is why this status is not ``app.py``'s to choose."""
    return Response(
        orjson.dumps(answer), status_code=status, media_type="application/json", headers=_UNCACHED
    )
