"""The resources that a form shows beside a question: its contextExpression, read as evidence."""

from __future__ import annotations

from cds_service.errors import QueryNotReadError
from cds_service.policies.findings import Evidence, resource_date
from cds_service.questionnaires.form import FormExpression
from cds_service.questionnaires.sight import Sight
from cds_service.record.resources import Resource, text


def evidence_at(sight: Sight, expression: FormExpression) -> tuple[Evidence, ...]:
    """What an expression shows; none when it touches what was not read. EXPRESSION_ERRORS for any other failure."""
    try:
        found = sight.results(expression)
    except QueryNotReadError:
        return ()
    return tuple(
        Evidence(_reference(resource), resource_date(resource))
        for resource in found
        if isinstance(resource, dict)
    )


def _reference(resource: Resource) -> str | None:
    kind, logical = text(resource, "resourceType"), text(resource, "id")
    return f"{kind}/{logical}" if kind and logical else None
