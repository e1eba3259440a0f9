"""The CapabilityStatement: what this server can do, told from the same tables that it does it by."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from cds_service.fhir_api.artefacts import SERVED_TYPES
from cds_service.fhir_api.operation import Operation
from cds_service.fhir_api.operations import OPERATIONS
from cds_service.fhir_api.search_parameters import SEARCH_PARAMETERS
from cds_service.record.resources import Resource


def capability_statement(public_url: str, version: str, published: datetime, *, closed: bool) -> Resource:
    """What ``GET /fhir/metadata`` answers. ``closed``: whether operations on patient data ask who calls."""
    types = sorted({*SERVED_TYPES, *(each.resource for each in OPERATIONS)})
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": published.isoformat(timespec="seconds"),
        "kind": "instance",
        "software": {"name": "cds-service", "version": version},
        "implementation": {"description": "Funding policies as FHIR", "url": f"{public_url}/fhir"},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "rest": [
            {
                "mode": "server",
                "security": _security(closed=closed),
                "resource": [_resource(each, public_url) for each in types],
            }
        ],
    }


def _security(*, closed: bool) -> dict[str, Any]:
    words = (
        "What is published is open to all. Operations on a patient's data need the bearer token of a configured client."
        if closed
        else "Development mode: open to all callers."
    )
    return {"cors": True, "description": words}


def _resource(resource_type: str, public_url: str) -> dict[str, Any]:
    described: dict[str, Any] = {"type": resource_type}
    if resource_type in SERVED_TYPES:
        described |= {
            "interaction": [{"code": "read"}, {"code": "search-type"}],
            "versioning": "no-version",
            "readHistory": False,
            "searchParam": [
                {
                    "name": each.name,
                    "definition": each.definition(resource_type),
                    "type": each.type,
                    "documentation": each.documentation,
                }
                for each in SEARCH_PARAMETERS.values()
            ],
        }
    operations = list(_operations(resource_type, public_url, OPERATIONS))
    return {**described, "operation": operations} if operations else described


def _operations(
    resource_type: str, public_url: str, operations: Iterable[Operation]
) -> Iterable[dict[str, str]]:
    for each in operations:
        if each.resource == resource_type:
            definition = f"{public_url}/fhir/OperationDefinition/{each.id}"
            yield {"name": each.code, "definition": definition, "documentation": each.description}
