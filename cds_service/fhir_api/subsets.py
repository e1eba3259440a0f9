"""Parts of a resource, as ``_summary`` and ``_elements`` ask for them."""

from __future__ import annotations

from collections.abc import Collection

from cds_service.record.resources import Resource

SUMMARIES = ("true", "text", "data", "count", "false")
SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}

_ALWAYS = frozenset({"resourceType", "id", "meta", "implicitRules", "modifierExtension"})
# Elements that no resource of the type may lack (R4, cardinality 1..1).
_MANDATORY = {
    "PlanDefinition": frozenset({"status"}),
    "Questionnaire": frozenset({"status"}),
    "ValueSet": frozenset({"status"}),
    "OperationDefinition": frozenset({"name", "status", "kind", "code", "system", "type", "instance"}),
}
# Elements that R4 marks as part of the summary (Σ): those of every definitional resource, and each type's own.
_COMMON_SUMMARY = frozenset(
    {
        "contact", "date", "experimental", "identifier", "jurisdiction", "name", "publisher", "status", "title",
        "url", "useContext", "version",
    }
)  # fmt: skip
_SUMMARY = {
    "PlanDefinition": _COMMON_SUMMARY | {"description", "effectivePeriod", "type"},
    "Questionnaire": _COMMON_SUMMARY | {"code", "effectivePeriod", "subjectType"},
    "ValueSet": _COMMON_SUMMARY | {"immutable"},
    "OperationDefinition": (_COMMON_SUMMARY - {"identifier"})
    | {"affectsState", "base", "code", "instance", "kind", "resource", "system", "type"},
}


def subset(resource: Resource, summary: str, elements: Collection[str]) -> Resource:
    """What is shown of a resource; marked as SUBSETTED when that is not all of it. ``elements`` go before ``summary``."""
    kind = resource["resourceType"]
    if elements:
        shown = frozenset(elements) | _MANDATORY[kind]
    elif summary == "true":
        shown = _SUMMARY[kind]
    elif summary == "text":
        shown = _MANDATORY[kind] | {"text"}
    elif summary == "data":
        shown = frozenset(resource) - {"text"}
    else:
        return resource
    return _marked({name: value for name, value in resource.items() if name in shown | _ALWAYS})


def _marked(resource: Resource) -> Resource:
    meta = resource.get("meta", {})
    return {**resource, "meta": {**meta, "tag": [*meta.get("tag", ()), SUBSETTED]}}
