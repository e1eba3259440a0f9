"""What the development FHIR server says of itself."""

from __future__ import annotations

from typing import Any

from cds_service.development.records import FORM, TYPES
from cds_service.development.search import PARAMETERS

_OAUTH = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_TYPE_OF = {
    "_id": "token",
    "identifier": "token",
    "status": "token",
    "code": "token",
    "category": "token",
    "clinical-status": "token",
    "verification-status": "token",
    "name": "string",
}


def capability_statement(base: str, app: str, date: str) -> dict[str, Any]:
    """The CapabilityStatement; ``date`` is that of the server's start."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": date,
        "kind": "instance",
        "implementation": {
            "description": "For development only: invented patients, open to everybody, never for care.",
            "url": base,
        },
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [
            {
                "mode": "server",
                "security": {
                    "service": [
                        {
                            "coding": [
                                {
                                    "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                                    "code": "SMART-on-FHIR",
                                }
                            ]
                        }
                    ],
                    "extension": [
                        {
                            "url": _OAUTH,
                            "extension": [
                                {"url": "authorize", "valueUri": f"{app}/development/authorize"},
                                {"url": "token", "valueUri": f"{app}/development/token"},
                            ],
                        }
                    ],
                },
                "resource": [_resource(each) for each in TYPES],
            }
        ],
    }


def _resource(resource_type: str) -> dict[str, Any]:
    interactions = ["read", "search-type", *(["create", "update"] if resource_type == FORM else [])]
    return {
        "type": resource_type,
        "interaction": [{"code": each} for each in interactions],
        "searchParam": [{"name": each, "type": _TYPE_OF.get(each, "reference")} for each in PARAMETERS],
        **({"conditionalCreate": True, "updateCreate": True} if resource_type == FORM else {}),
    }
