"""The development FHIR server: invented patients to read, forms to write. Only in development mode."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from cds_service.development.authorization import AuthorizationServer
from cds_service.development.conformance import capability_statement
from cds_service.development.grants import Grant
from cds_service.development.records import FORM, TYPES, Records
from cds_service.development.search import is_of_patient
from cds_service.errors import ClientRejectedError
from cds_service.record.resources import Resource, logical_id, text
from cds_service.routes.replies import body_of, fhir_reply, json_reply, parsed
from cds_service.state import Clock, State

ONLY_FOR_DEVELOPMENT = {"Development-Only": "invented patients, open to everybody, never for care"}

# Forms are kept in memory, some hundreds of them.
_LARGEST_FORM = 1_000_000


def development_fhir_routes(
    state: State, clock: Clock, records: Records, authorization: AuthorizationServer, base: str
) -> APIRouter:
    """``/development/fhir``: ``metadata``, read and search; create and update of QuestionnaireResponses."""
    router = APIRouter(prefix="/development/fhir")
    started = clock().isoformat(timespec="seconds")

    @router.get("/metadata")
    def metadata() -> Response:
        return _reply(capability_statement(base, state.settings.public_url, started))

    @router.get("/.well-known/smart-configuration")
    def smart_configuration() -> Response:
        return _loud(json_reply(authorization.configuration()))

    @router.get("/{resource_type}")
    def search(resource_type: str, request: Request) -> Response:
        grant = _grant(authorization, request)
        _check_served(resource_type)
        patient_id = grant.launch.patient_id if grant else None
        return _reply(records.found(base, resource_type, dict(request.query_params), patient_id))

    @router.get("/{resource_type}/{resource_id}")
    def read(resource_type: str, resource_id: str, request: Request) -> Response:
        grant = _grant(authorization, request)
        _check_served(resource_type)
        found = records.resource(resource_type, resource_id)
        if found is None or (grant and not is_of_patient(found, grant.launch.patient_id)):
            raise HTTPException(404, "no such resource")
        return _reply(found)

    @router.post(f"/{FORM}")
    async def create(request: Request) -> Response:
        grant = _grant(authorization, request)
        form = parsed(await body_of(request, _LARGEST_FORM))
        _check_may_write(grant, form)
        same = _same(records, base, request.headers.get("if-none-exist"))
        if same is not None:
            return _reply(same, 200, _location(base, same))
        created = records.created(form)
        return _reply(created, 201, _location(base, created))

    @router.put(f"/{FORM}/{{form_id}}")
    async def update(form_id: str, request: Request) -> Response:
        grant = _grant(authorization, request)
        form = parsed(await body_of(request, _LARGEST_FORM))
        _check_may_write(grant, form)
        is_new = records.resource(FORM, form_id) is None
        updated = records.updated(form, form_id)
        return _reply(updated, 201 if is_new else 200, _location(base, updated))

    return router


def _grant(authorization: AuthorizationServer, request: Request) -> Grant | None:
    """What the request's token allows; None for a request without one, which may see everything here."""
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    grant = authorization.grant(token) if scheme.lower() == "bearer" else None
    if grant is None:
        raise ClientRejectedError("the access token is unknown or over")
    return grant


def _check_served(resource_type: str) -> None:
    if resource_type not in TYPES:
        raise HTTPException(404, f"served are {', '.join(TYPES)}")


def _check_may_write(grant: Grant | None, form: object) -> None:
    if grant is None:
        return
    subject = text(form, "subject", "reference") or ""
    if not grant.may_write_forms() or logical_id(subject) != grant.launch.patient_id:
        raise HTTPException(403, "the token does not allow writing this patient's forms")


def _same(records: Records, base: str, condition: str | None) -> Resource | None:
    """The form that a conditional create names, if there is one already. HTTPException 412 when there are several."""
    if condition is None:
        return None
    parameters = dict(parse_qsl(condition, keep_blank_values=True))
    entries = records.found(base, FORM, parameters)["entry"]
    if len(entries) > 1:
        raise HTTPException(412, "several forms match If-None-Exist")
    return entries[0]["resource"] if entries else None


def _location(base: str, form: Resource) -> Mapping[str, str]:
    version = form.get("meta", {}).get("versionId", "1")
    return {"Location": f"{base}/{FORM}/{form['id']}/_history/{version}", "ETag": f'W/"{version}"'}


def _reply(resource: Resource, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    reply = fhir_reply(resource, status)
    reply.headers.update(headers or {})
    return _loud(reply)


def _loud(reply: Response) -> Response:
    reply.headers.update(ONLY_FOR_DEVELOPMENT)
    return reply
