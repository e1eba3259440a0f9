"""The extensions that a plan is written with, and how they are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cds_service.record.resources import Resource, members

OURS = "https://funding-policies.example/fhir"
OUTCOME_SYSTEM = f"{OURS}/CodeSystem/outcome"
CRITERIA_SYSTEM = f"{OURS}/CodeSystem/criteria"
CLAUSE = f"{OURS}/StructureDefinition/clause"
ASSUMED = f"{OURS}/StructureDefinition/assumed"
SENSITIVE = f"{OURS}/StructureDefinition/sensitive"
APPLICANT = f"{OURS}/StructureDefinition/applicant"
SUBMISSION = f"{OURS}/StructureDefinition/submission"
RESPONSE_TIME = f"{OURS}/StructureDefinition/response-time"

_SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
VARIABLE = "http://hl7.org/fhir/StructureDefinition/variable"
LAUNCH_CONTEXT = f"{_SDC}launchContext"
INITIAL_EXPRESSION = f"{_SDC}initialExpression"
CONTEXT_EXPRESSION = f"{_SDC}contextExpression"
ENABLE_WHEN_EXPRESSION = f"{_SDC}enableWhenExpression"
SHORT_TEXT = f"{_SDC}shortText"
MIN_VALUE = "http://hl7.org/fhir/StructureDefinition/minValue"
MAX_VALUE = "http://hl7.org/fhir/StructureDefinition/maxValue"
APPLICABILITY_BEHAVIOR = "http://hl7.org/fhir/StructureDefinition/cqf-applicabilityBehavior"

FHIRPATH = "text/fhirpath"
FHIR_QUERY = "application/x-fhir-query"


def extensions(element: Resource, url: str) -> Iterator[tuple[int, Resource]]:
    """The element's extensions of one kind, each with its position among all of them."""
    for position, extension in enumerate(members(element, "extension")):
        if extension.get("url") == url:
            yield position, extension


def value_of(element: Resource, url: str) -> Any:
    """The value[x] of the first extension of this kind, None when there is none."""
    for _, extension in extensions(element, url):
        return next((value for name, value in extension.items() if name.startswith("value")), None)
    return None
