"""Bodies in and answers out: how far a request is read, and the kinds of answer that routes give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import Request, Response
from starlette.exceptions import HTTPException

from cds_service.errors import BodyTooLargeError
from cds_service.trust.limits import limited_json
from cds_service.web.pages import SECURITY_HEADERS

_JSON = "application/json"
FHIR_JSON = "application/fhir+json"


async def body_of(request: Request, limit: int) -> bytes:
    """The request's body, read no further than the limit. BodyTooLargeError beyond it.

    HTTPException 415 when it is compressed: a small body must not become a large one. What kind of content it is said
    to be does not matter: clients in use say many things.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        raise HTTPException(415, "http.content-encoding: found a compressed body; expected a plain one")
    read = bytearray()
    async for chunk in request.stream():
        read += chunk
        if len(read) > limit:
            raise BodyTooLargeError(f"found a body of more than {limit} bytes; expected no more")
    return bytes(read)


def parsed(body: bytes) -> object:
    """The JSON in a body. RequestError when it is none or goes beyond ``trust.limits``."""
    return limited_json(body)


def json_reply(value: object) -> Response:
    """A value as JSON."""
    return Response(orjson.dumps(value), media_type=_JSON)


def fhir_reply(resource: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A FHIR resource."""
    return Response(orjson.dumps(resource), status_code=status, media_type=FHIR_JSON, headers=headers)


def page_reply(html: str, status: int = 200) -> Response:
    """A page, which may load nothing but what is ours."""
    headers = {**SECURITY_HEADERS, "Cache-Control": "no-store"}
    return Response(html, status_code=status, media_type="text/html", headers=headers)


def outcome_reply(
    status: int,
    issue: str,
    words: str,
    where: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An OperationOutcome with one issue; ``where`` is a path in the request."""
    detail: dict[str, Any] = {"severity": "error", "code": issue, "diagnostics": words}
    if where is not None:
        detail["expression"] = [where]
    return fhir_reply({"resourceType": "OperationOutcome", "issue": [detail]}, status, headers)
