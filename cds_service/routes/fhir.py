"""The FHIR API: ``/fhir/metadata``, reads and searches of what is published, and the operations."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from urllib.parse import parse_qsl

import anyio.to_thread
from fastapi import APIRouter, Depends, Request, Response

from cds_service.errors import OperationNotSupportedError, RequestError
from cds_service.fhir_api.artefacts import Artefacts, artefacts
from cds_service.fhir_api.capability import capability_statement
from cds_service.fhir_api.operation import Operation
from cds_service.fhir_api.operations import OPERATIONS
from cds_service.fhir_api.parameters import inputs_of_body, inputs_of_query
from cds_service.fhir_api.search import search_of, searchset, view_of
from cds_service.fhir_api.subsets import subset
from cds_service.record.resources import Resource
from cds_service.routes.fhir_calls import Call
from cds_service.routes.fhir_formats import refuse_other_formats, wants_strict
from cds_service.routes.fhir_operations import ANSWERS
from cds_service.routes.published import published, software_version
from cds_service.routes.replies import body_of, fhir_reply, parsed
from cds_service.state import Clock, State


def fhir_routes(state: State, clock: Clock) -> APIRouter:
    """Everything below ``/fhir``. What is published is open to all; a patient's data are taken from clients alone."""
    router = APIRouter(prefix="/fhir", dependencies=[Depends(refuse_other_formats)])
    held = _shelf(state)
    _add_metadata(router, state, clock)
    for operation in OPERATIONS:
        _add_operation(router, state, clock, held, operation)
    _add_searches(router, state, held)
    _add_reads(router, held)
    return router


def _shelf(state: State) -> Callable[[], Artefacts]:
    """What is served of the policy set in use, made once for each set. To be asked for in a worker thread: a large set
    has thousands of value sets to read.
    """
    made: dict[str, Artefacts] = {}
    turn = Lock()

    def held() -> Artefacts:
        library = state.loaded_library()
        with turn:
            shelf = made.get(library.digest)
            if shelf is None:
                shelf = artefacts(published(library, state.settings), state.settings.public_url)
                made.clear()
                made[library.digest] = shelf
        return shelf

    return held


def _add_metadata(router: APIRouter, state: State, clock: Clock) -> None:
    statement = capability_statement(
        state.settings.public_url,
        software_version(),
        clock(),
        closed=state.verifier is not None,
    )

    @router.get("/metadata")
    async def metadata() -> Response:
        return fhir_reply(statement)


def _add_searches(router: APIRouter, state: State, held: Callable[[], Artefacts]) -> None:
    base = f"{state.settings.public_url}/fhir"

    def found(request: Request, resource_type: str, pairs: list[tuple[str, str]]) -> Response:
        search = search_of(pairs, strict=wants_strict(request))
        return fhir_reply(searchset(search, held().of_type(resource_type), base, resource_type))

    @router.get("/{resource_type}")
    def by_get(request: Request, resource_type: str) -> Response:
        return found(request, resource_type, request.query_params.multi_items())

    @router.post("/{resource_type}/_search")
    async def by_post(request: Request, resource_type: str) -> Response:
        body = await body_of(request, state.settings.max_body_bytes)
        pairs = [*request.query_params.multi_items(), *_form_pairs(request, body)]
        return await anyio.to_thread.run_sync(found, request, resource_type, pairs)


def _form_pairs(request: Request, body: bytes) -> list[tuple[str, str]]:
    """The pairs of a form that was posted; none for an empty body."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and kind != "application/x-www-form-urlencoded":
        raise RequestError("http.content-type", repr(kind[:60]), "application/x-www-form-urlencoded")
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100)
    except ValueError:
        raise RequestError("$", "no form", "at most 100 parameters in UTF-8") from None


def _add_reads(router: APIRouter, held: Callable[[], Artefacts]) -> None:
    @router.get("/{resource_type}/{resource_id}")
    def read(request: Request, resource_type: str, resource_id: str) -> Response:
        if resource_id.startswith("$"):
            raise _no_operation(resource_type, resource_id, on_instance=False)
        resource = held().read(resource_type, resource_id)
        view = view_of(request.query_params.multi_items())
        etag = f'W/"{resource["meta"]["versionId"]}"'
        headers = {"ETag": etag, "Cache-Control": "no-cache"}
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        reply = fhir_reply(subset(resource, view.summary, view.elements))
        reply.headers.update(headers)
        return reply

    @router.api_route("/{resource_type}/${code}", methods=["GET", "POST"])
    async def other_operation(resource_type: str, code: str) -> Response:
        raise _no_operation(resource_type, f"${code}", on_instance=False)

    @router.api_route("/{resource_type}/{resource_id}/${code}", methods=["GET", "POST"])
    async def other_operation_on_instance(resource_type: str, code: str) -> Response:
        raise _no_operation(resource_type, f"${code}", on_instance=True)


def _no_operation(resource_type: str, code: str, *, on_instance: bool) -> OperationNotSupportedError:
    offered = [f"{each.resource}/${each.code}" for each in OPERATIONS]
    found = f"{resource_type[:40]}/{code[:40]}, not so"
    allowed = {
        method
        for each in OPERATIONS
        if (each.resource, f"${each.code}") == (resource_type, code)
        and (each.on_instance if on_instance else each.on_type)
        for method in _methods(each)
    }
    return OperationNotSupportedError(
        "http.operation", found, f"one of {', '.join(offered)}", tuple(sorted(allowed))
    )


def _methods(operation: Operation) -> list[str]:
    return ["GET", "POST"] if operation.gettable else ["POST"]


def _add_operation(
    router: APIRouter,
    state: State,
    clock: Clock,
    held: Callable[[], Artefacts],
    operation: Operation,
) -> None:
    """The operation's routes: by type and on an instance as it is defined, GET where it takes no patient data."""

    async def answered(request: Request) -> Response:
        if operation.patient_data:
            await state.caller(request, request.scope["path"])
        if request.method == "GET":
            inputs = inputs_of_query(operation, request.query_params.multi_items())
        else:
            inputs = inputs_of_body(operation, await _posted(request, state))
        resource_id = request.path_params.get("resource_id")

        def made() -> Resource:
            library = state.loaded_library()
            return ANSWERS[operation.id](Call(inputs, resource_id, held(), library, state.settings, clock()))

        # In a worker thread, so that no hook call waits for a form that somebody else wrote.
        return fhir_reply(await anyio.to_thread.run_sync(made))

    methods = _methods(operation)
    if operation.on_type:
        router.add_api_route(f"/{operation.resource}/${operation.code}", answered, methods=methods)
    if operation.on_instance:
        path = f"/{operation.resource}/{{resource_id}}/${operation.code}"
        router.add_api_route(path, answered, methods=methods)


async def _posted(request: Request, state: State) -> object:
    """The JSON that was posted; an operation that needs nothing more may be posted without a body."""
    body = await body_of(request, state.settings.max_body_bytes)
    return parsed(body) if body else {"resourceType": "Parameters"}
