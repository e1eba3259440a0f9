"""A completed form, written to the EHR's FHIR server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote

import httpx
import orjson

from cds_service.record.resources import members, text
from cds_service.smart.context import SmartContext
from cds_service.smart.exchange import Answer, SmartExchange
from cds_service.smart.references import reference_on
from cds_service.smart.scopes import FORM, may_write

_DONE = frozenset({200, 201})

WhyNotWritten = Literal["no permission", "session ended", "refused", "unreachable", "timed out"]


@dataclass(frozen=True)
class Written:
    """The form is in the EHR. ``reference`` is what it is called there; None when the server did not say."""

    reference: str | None


@dataclass(frozen=True)
class NotWritten:
    """The form is not in the EHR, or after "timed out" perhaps is: to send it again is safe. ``status`` when refused."""

    why: WhyNotWritten
    status: int | None = None


async def written(
    response: Mapping[str, Any],
    existing: str | None,
    context: SmartContext,
    exchange: SmartExchange,
    now: datetime,
) -> Written | NotWritten:
    """Write a QuestionnaireResponse: a new one, or in place of the ``existing`` one that an earlier writing gave.

    The response is of the context's patient and has an identifier with system and value, by which one that the server
    already has is known again; ValueError otherwise. No fault of a server raises anything.
    """
    _refuse_unfit(response, context)
    if now >= context.expires:
        return NotWritten("session ended")
    if not may_write(context.scopes, "create" if existing is None else "update"):
        return NotWritten("no permission")
    try:
        return await _sent(response, existing, context, exchange)
    except httpx.TimeoutException:
        return NotWritten("timed out")
    except httpx.HTTPError:
        return NotWritten("unreachable")


async def _sent(
    response: Mapping[str, Any], existing: str | None, context: SmartContext, exchange: SmartExchange
) -> Written | NotWritten:
    # A form may be there although its first sending timed out. Not every server heeds If-None-Exist, so it is looked for.
    if existing is None and (there := await _found(response, context, exchange)):
        return Written(there)
    answer = await exchange.send(*_request(response, existing, context))
    if answer.status not in _DONE:
        return NotWritten("refused", answer.status)
    return Written(existing or _reference(answer, context.base_url))


async def _found(response: Mapping[str, Any], context: SmartContext, exchange: SmartExchange) -> str | None:
    """The reference of the form with this identifier; None when there is none, or the server does not tell."""
    url = f"{context.base_url}/{FORM}?{_search(response)}&_elements=identifier"
    answer = await exchange.send("GET", url, _headers(context))
    kept = [entry.get("resource") for entry in members(_json(answer), "entry")]
    identity = [(name, text(response, "identifier", name)) for name in ("system", "value")]
    for each in kept:
        if all(text(each, "identifier", name) == value for name, value in identity):
            return _reference_of(each, context.base_url)
    return None


def _refuse_unfit(response: Mapping[str, Any], context: SmartContext) -> None:
    """What would be wrong with the caller, not with the server."""
    if text(response, "subject", "reference") != f"Patient/{context.patient_id}":
        raise ValueError("found a form of another patient; expected one of the launch's")
    if not text(response, "identifier", "system") or not text(response, "identifier", "value"):
        raise ValueError("found a form without identifier; expected its system and value")


def _request(
    response: Mapping[str, Any], existing: str | None, context: SmartContext
) -> tuple[str, str, dict[str, str], bytes]:
    headers = {**_headers(context), "Content-Type": "application/fhir+json", "Prefer": "return=minimal"}
    if existing is not None:
        content = {**response, "id": existing.removeprefix(f"{FORM}/")}
        return "PUT", f"{context.base_url}/{existing}", headers, orjson.dumps(content)
    content = {name: value for name, value in response.items() if name != "id"}
    headers["If-None-Exist"] = _search(response)
    return "POST", f"{context.base_url}/{FORM}", headers, orjson.dumps(content)


def _headers(context: SmartContext) -> dict[str, str]:
    return {"Accept": "application/fhir+json", "Authorization": context.token.authorization}


def _search(response: Mapping[str, Any]) -> str:
    """The search for the form's identifier. In a token's value, FHIR escapes ``|``, ``,``, ``$`` and backslashes."""
    identifier = response["identifier"]
    system, value = (_escaped(identifier[part]) for part in ("system", "value"))
    return f"identifier={quote(f'{system}|{value}', safe='')}"


def _escaped(part: str) -> str:
    for character in "\\|,$":
        part = part.replace(character, f"\\{character}")
    return part


def _reference(answer: Answer, base_url: str) -> str | None:
    """What a form is called that was just taken: as a header says, or the form that was sent back."""
    location = answer.headers.get("location") or answer.headers.get("content-location") or ""
    return reference_on(base_url, location, {FORM}) or _reference_of(_json(answer), base_url)


def _reference_of(resource: object, base_url: str) -> str | None:
    return reference_on(base_url, f"{text(resource, 'resourceType')}/{text(resource, 'id') or ''}", {FORM})


def _json(answer: Answer) -> object:
    try:
        return orjson.loads(answer.body or b"null")
    except orjson.JSONDecodeError:
        return None
