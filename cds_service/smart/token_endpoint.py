"""One request at a token endpoint (RFC 6749, sections 4.1.3 and 6).

Authlib writes the requests. Its HTTP client does not send them: it is one of httpx's, which log URLs and keep cookies,
and Authlib has deprecated it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import httpx
from authlib.oauth2.auth import ClientAuth  # type: ignore[import-untyped]
from authlib.oauth2.rfc6749.parameters import prepare_token_request  # type: ignore[import-untyped]

from cds_service.errors import LaunchRefusedError
from cds_service.smart.client_keys import client_assertion
from cds_service.smart.exchange import Answer, SmartExchange
from cds_service.smart.issuers import SmartServer
from cds_service.smart.refusals import server_refusal

NOT_REACHED = "the EHR's authorization server could not be reached"
MALFORMED = "the EHR's authorization server gave a malformed answer"
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_HEADERS = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}


async def token_answer(
    exchange: SmartExchange,
    endpoint: str,
    server: SmartServer,
    grant: Mapping[str, str],
    now: datetime,
    jti: str,
) -> Mapping[str, Any]:
    """The members of the successful answer to a ``grant``. LaunchRefusedError when it is no such answer.

    ``jti`` is unguessable and used once; neither the error nor what it stems from carries anything that was sent.
    """
    headers, content = _request(endpoint, server, grant, now, jti)
    try:
        answer = await exchange.send("POST", endpoint, headers, content)
    except httpx.HTTPError:
        answer = None
    if answer is None:
        raise LaunchRefusedError(NOT_REACHED)
    members = _members(answer)
    if answer.status == httpx.codes.OK and members is not None and "error" not in members:
        return members
    refused = 400 <= answer.status < 500 or answer.status == httpx.codes.OK
    raise LaunchRefusedError(
        server_refusal(members["error"]) if refused and members and "error" in members else MALFORMED
    )


def _request(
    endpoint: str, server: SmartServer, grant: Mapping[str, str], now: datetime, jti: str
) -> tuple[dict[str, str], bytes]:
    """The headers and the body of the request, with what proves that it is ours."""
    parameters = dict(grant)
    proof = server.authentication
    if proof.key is not None:
        parameters["client_assertion_type"] = _ASSERTION_TYPE
        parameters["client_assertion"] = client_assertion(proof.key, server.client_id, endpoint, now, jti)
    body = prepare_token_request(parameters.pop("grant_type"), **parameters)
    method = "none" if proof.key is not None else proof.method
    _, headers, body = ClientAuth(server.client_id, proof.secret, method).prepare(
        "POST", endpoint, dict(_HEADERS), body
    )
    return headers, body.encode()


def _members(answer: Answer) -> dict[str, Any] | None:
    try:
        found = json.loads(answer.body or b"")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
