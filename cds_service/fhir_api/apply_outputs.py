"""A determination as the output Parameters of a GuidanceResponse: what a card's extension says, in FHIR."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from cds_service.policies.determination import Determination
from cds_service.policies.domains import Value
from cds_service.policies.findings import Finding
from cds_service.policies.policy import ADVICE, Citation, Outcome


def said(determined: Determination) -> Outcome | None:
    """The outcome as a card tells it: open advice is already advice."""
    return Outcome(ADVICE) if determined.says_advice else determined.outcome


def outputs(determined: Determination) -> Iterator[dict[str, Any]]:
    """The parameters: status, outcome, what is possible and outstanding, citations, findings."""
    yield {"name": "status", "valueCode": determined.status}
    if (outcome := said(determined)) is not None:
        yield {"name": "outcome", "valueCode": outcome.code}
        if outcome.redirect_to is not None:
            yield {"name": "redirectTo", "valueCanonical": outcome.redirect_to}
    for code in sorted({each.code for each in determined.possible}):
        yield {"name": "possibleOutcome", "valueCode": code}
    for criterion in determined.outstanding:
        yield {"name": "outstanding", "valueString": criterion.link_id}
    for citation in determined.citations:
        yield {"name": "citation", "part": [*_citation_parts(citation)]}
    for finding in determined.findings:
        yield {"name": "finding", "part": [*_finding_parts(finding)]}


def _citation_parts(citation: Citation) -> Iterator[dict[str, Any]]:
    yield {"name": "label", "valueString": citation.label}
    if citation.url is not None:
        yield {"name": "url", "valueUrl": citation.url}


def _finding_parts(finding: Finding) -> Iterator[dict[str, Any]]:
    yield {"name": "criterion", "valueString": finding.criterion.link_id}
    values = finding.value if isinstance(finding.value, tuple) else (finding.value,)
    for value in values:
        if value is not None:
            yield {"name": "value", **_value(value)}
    yield {"name": "origin", "valueCode": finding.origin}
    if finding.why is not None:
        yield {"name": "why", "valueCode": finding.why}
    for each in finding.evidence:
        if each.reference is not None:
            yield {"name": "evidence", "valueReference": {"reference": each.reference}}


def _value(value: Value) -> dict[str, Any]:
    match value:
        case bool():
            return {"valueBoolean": value}
        case int():
            return {"valueInteger": value}
        case Decimal():
            whole = value == value.to_integral_value()
            return {"valueDecimal": int(value) if whole else float(value)}
    return {"valueCode": value}
