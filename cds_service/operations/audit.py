"""Decisions as FHIR AuditEvents, in the shape of IHE's Basic Audit Log Patterns (https://profiles.ihe.net/ITI/BALP)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from cds_service.store.entries import DecisionEntry

_AUDIT_TYPE = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_INTERACTION = "http://hl7.org/fhir/restful-interaction"
_DICOM = "http://dicom.nema.org/resources/ontology/DCM"
_ENTITY_TYPE = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_BALP_ENTITY_TYPE = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType"
_URI = "urn:ietf:rfc:3986"
_SERVICE = {"display": "cds-service"}
_UNNAMED = {"display": "development mode: any caller"}


def audit_event(entry: DecisionEntry) -> dict[str, Any]:
    """The AuditEvent of one decision: who asked, by which policies it was decided, and what came of it.

    It says no more than the row: ids, policies and outcomes. The patient is in neither.
    """
    return {
        "resourceType": "AuditEvent",
        "id": entry.id,
        "type": {"system": _AUDIT_TYPE, "code": "rest", "display": "RESTful Operation"},
        "subtype": [{"system": _INTERACTION, "code": "operation", "display": "operation"}],
        "action": "E",
        "recorded": entry.at.isoformat(timespec="milliseconds"),
        "outcome": "0",
        "agent": [
            _agent("110153", "Source Role ID", {"display": entry.client} if entry.client else _UNNAMED, True),
            _agent("110152", "Destination Role ID", _SERVICE, False),
        ],
        "source": {"observer": _SERVICE},
        "entity": [*_request(entry), *map(_determined, json.loads(entry.determinations))],
    }


def _agent(code: str, display: str, who: Mapping[str, str], is_requestor: bool) -> dict[str, Any]:
    coding = {"system": _DICOM, "code": code, "display": display}
    return {"type": {"coding": [coding]}, "who": dict(who), "requestor": is_requestor}


def _request(entry: DecisionEntry) -> Iterator[dict[str, Any]]:
    """The hook call, by the id that its client gave it, and what it was decided with."""
    details = {
        "hook": entry.hook,
        "decision": entry.id,
        "requestSha256": entry.request_digest,
        "cardsSha256": entry.cards_digest,
        "policySetSha256": entry.plan_set,
    }
    # The id is the client's, who may have left it out.
    if entry.hook_instance:
        yield {
            "what": {"identifier": {"value": entry.hook_instance}},
            "type": {"system": _BALP_ENTITY_TYPE, "code": "XrequestId"},
        }
    yield {
        "what": {"identifier": {"system": _URI, "value": f"urn:uuid:{entry.id}"}},
        "type": {"system": _ENTITY_TYPE, "code": "4", "display": "Other"},
        "detail": _details(details),
    }


def _determined(told: Mapping[str, Any]) -> dict[str, Any]:
    """One determination: the policy as canonical|version, the card that told it, and the outcome."""
    details = {"card": told.get("id"), "status": told.get("status"), "outcome": told.get("outcome")}
    return {
        "what": {"identifier": {"system": _URI, "value": told["policy"]}},
        "type": {"system": _ENTITY_TYPE, "code": "2", "display": "System Object"},
        "detail": _details(details),
    }


def _details(values: Mapping[str, str | None]) -> list[dict[str, str]]:
    return [{"type": name, "valueString": value} for name, value in values.items() if value]
