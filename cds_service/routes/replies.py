"""Bodies in and answers out: how far a request is read, and the kinds of answer that routes give."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import Request, Response

from cds_service.errors import BodyTooLargeError, RequestError
from cds_service.web.pages import SECURITY_HEADERS

_JSON = "application/json"
FHIR_JSON = "application/fhir+json"


async def body_of(request: Request, limit: int) -> bytes:
    """The request's body, read no further than the limit. BodyTooLargeError beyond it."""
    read = bytearray()
    async for chunk in request.stream():
        read += chunk
        if len(read) > limit:
            raise BodyTooLargeError(f"found a body of more than {limit} bytes; expected no more")
    return bytes(read)


def parsed(body: bytes) -> object:
    """The JSON in a body. RequestError when it is none."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise RequestError(
            "$", f"{error.msg} at {place}", "JSON, in UTF-8, nested less than 1024 deep"
        ) from None


def json_reply(value: object) -> Response:
    """A value as JSON."""
    return Response(orjson.dumps(value), media_type=_JSON)


def fhir_reply(resource: object, status: int = 200) -> Response:
    """A FHIR resource."""
    return Response(orjson.dumps(resource), status_code=status, media_type=FHIR_JSON)


def page_reply(html: str) -> Response:
    """A page, which may load nothing but what is ours."""
    return Response(html, media_type="text/html", headers=SECURITY_HEADERS)


def outcome_reply(status: int, issue: str, words: str, where: str | None = None) -> Response:
    """An OperationOutcome with one issue; ``where`` is a path in the request."""
    detail: dict[str, Any] = {"severity": "error", "code": issue, "diagnostics": words}
    if where is not None:
        detail["expression"] = [where]
    return fhir_reply({"resourceType": "OperationOutcome", "issue": [detail]}, status)
