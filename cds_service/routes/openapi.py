"""``/openapi.json``: the routes that software calls, made from the same tables as the routes themselves.

Left out is what a browser walks through: pages, the SMART launch, the form, and everything of development mode.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from cds_service.fhir_api.artefacts import SERVED_TYPES
from cds_service.fhir_api.operation import PRIMITIVES, Operation
from cds_service.fhir_api.operations import OPERATIONS
from cds_service.fhir_api.search_parameters import SEARCH_PARAMETERS
from cds_service.hooks.discovery import SERVICE_ID
from cds_service.routes.openapi_schemas import fhir_resource, named, record, schemas
from cds_service.routes.published import software_version
from cds_service.routes.replies import FHIR_JSON, json_reply
from cds_service.state import State

_JSON = "application/json"
_ERRORS = {
    400: "Not what is expected: where, what was found, what was expected",
    401: "The caller is no configured client, or did not prove it",
    404: "Not here",
    405: "The id begins with $, so it names an operation, and one that cannot be called so",
    406: "Asked for in a format that is not given",
    412: "Nothing could be decided: the prefetch keys that are needed",
    413: "More bytes than are read",
    415: "A compressed body",
    422: "Understood, and cannot be carried out",
    503: "No policy set is loaded, or nothing can be written down; try again",
}


def openapi_routes(state: State) -> APIRouter:
    """``/openapi.json``."""
    router = APIRouter()
    document = openapi_document(state.settings.public_url, closed=state.verifier is not None)

    @router.get("/openapi.json")
    async def openapi() -> Response:
        return json_reply(document)

    return router


def openapi_document(public_url: str, *, closed: bool) -> dict[str, Any]:
    """The OpenAPI 3.1 document. ``closed``: whether callers must be configured clients."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "CDS service: procedure funding",
            "version": software_version(),
            "description": "CDS Hooks that say whether a procedure is paid for, and the policies and forms as FHIR R4.",
        },
        "servers": [{"url": public_url}],
        "paths": {**_hooks(closed), **_service(closed), **_published(), **_operations(closed)},
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "client": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT, good for one call, as CDS Hooks has it",
                }
            },
        },
    }


def _hooks(closed: bool) -> dict[str, Any]:
    hook, feedback = f"/cds-services/{SERVICE_ID}", f"/cds-services/{SERVICE_ID}/feedback"
    taken = (400, 413, 415, 503)
    discovery = _call("What is offered, and the prefetch it needs", named("Services"), (503,), closed)
    cards = _call("The cards for draft orders", named("HookResponse"), (*taken, 412), closed)
    told = _call("What became of cards", record({}), taken, closed)
    decision = _call(
        "A decision explained, by its id or a card's", record({}, closed=False), (404, 503), closed
    )
    return {
        "/cds-services": {"get": discovery},
        hook: {"post": cards | _body(named("HookRequest"))},
        feedback: {"post": told | _body(named("Feedback"))},
        "/decisions/{id}": {"get": decision, "parameters": [_in_path("id")]},
    }


def _service(closed: bool) -> dict[str, Any]:
    ready = record({"status": {"const": "ready"}}, closed=False)
    metrics = _call("What was counted, for Prometheus", {"type": "string"}, (), kind="text/plain")
    reloaded = record({"status": {"const": "reloaded"}, "set": {"type": "string"}})
    # From another machine it is refused in development mode too.
    reload = _call("The policies read anew, if they are good", reloaded, (422, 503), closed)
    reload["responses"].setdefault("401", _refusal(401))
    return {
        "/livez": {"get": _call("Whether the service lives", record({"status": {"const": "alive"}}), ())},
        "/readyz": {"get": _call("Whether it can answer", ready, (503,))},
        "/metrics": {"get": metrics},
        "/admin/reload": {"post": reload},
        "/openapi.json": {"get": _call("This document", record({}, closed=False), ())},
    }


def _published() -> dict[str, Any]:
    """Reads and searches of the types that are served; open to all."""
    paths: dict[str, Any] = {
        "/fhir/metadata": {
            "get": _call(
                "What the FHIR API can do", fhir_resource("CapabilityStatement"), (406,), kind=FHIR_JSON
            )
        }
    }
    searched = [_in_query(each.name, each.documentation) for each in SEARCH_PARAMETERS.values()]
    for served in SERVED_TYPES:
        read = _call(f"One {served}", fhir_resource(served), (400, 404, 405, 406, 503), kind=FHIR_JSON)
        read["responses"]["304"] = {"description": "Still the same as If-None-Match names"}
        search = _call(f"Search: {served}", fhir_resource("Bundle"), (400, 406, 503), kind=FHIR_JSON)
        paths[f"/fhir/{served}"] = {"get": search | {"parameters": searched}}
        paths[f"/fhir/{served}/{{id}}"] = {"get": read, "parameters": [_in_path("id")]}
    return paths


def _operations(closed: bool) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        if operation.on_type:
            paths[f"/fhir/{operation.resource}/${operation.code}"] = _operation(operation, closed)
        if operation.on_instance:
            path = f"/fhir/{operation.resource}/{{id}}/${operation.code}"
            paths[path] = _operation(operation, closed) | {"parameters": [_in_path("id")]}
    return paths


def _operation(operation: Operation, closed: bool) -> dict[str, Any]:
    errors = (400, 404, 406, 413, 415, 422, 503)
    asks = closed and operation.patient_data
    call = _call(operation.title, fhir_resource(), errors, asks, FHIR_JSON) | {
        "description": operation.description
    }
    taken = ["Parameters", *sorted(str(each.type) for each in operation.taken if _is_resource(each.type))]
    methods = {"post": call | _body(fhir_resource(*taken), FHIR_JSON, required=False)}
    if operation.gettable:
        simple = [each for each in operation.taken if each.type in PRIMITIVES]
        methods["get"] = call | {"parameters": [_in_query(each.name, each.documentation) for each in simple]}
    return methods


def _is_resource(kind: str | None) -> bool:
    return kind in {"Questionnaire", "QuestionnaireResponse", "ValueSet", "ServiceRequest"}


def _call(
    summary: str, answer: dict[str, Any], errors: tuple[int, ...], closed: bool = False, kind: str = _JSON
) -> dict[str, Any]:
    """A method of a path; every error is an OperationOutcome."""
    failing = (*errors, 401) if closed else errors
    refusals = {str(each): _refusal(each) for each in sorted(failing)}
    answered = {"description": "Answered", "content": {kind: {"schema": answer}}}
    call: dict[str, Any] = {"summary": summary, "responses": {"200": answered, **refusals}}
    return call | ({"security": [{"client": []}]} if closed else {})


def _refusal(status: int) -> dict[str, Any]:
    content = {FHIR_JSON: {"schema": named("OperationOutcome")}}
    return {"description": _ERRORS[status], "content": content}


def _body(schema: dict[str, Any], kind: str = _JSON, *, required: bool = True) -> dict[str, Any]:
    return {"requestBody": {"required": required, "content": {kind: {"schema": schema}}}}


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _in_query(name: str, documentation: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": documentation, "schema": {"type": "string"}}
