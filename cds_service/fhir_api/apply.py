"""``PlanDefinition/$apply``: a determination as a CarePlan that holds a RequestGroup and a GuidanceResponse.

The RequestGroup says what a card says, in the same words; the GuidanceResponse what software reads: whether more data is
needed, which, and the outcome as Parameters.
Source: https://hl7.org/fhir/R4/plandefinition-operation-apply.html, https://hl7.org/fhir/R4/guidanceresponse.html
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from cds_service.fhir_api.apply_outputs import outputs, said
from cds_service.policies.determination import FINAL, Determination
from cds_service.policies.findings import FAILED, NOT_READ
from cds_service.policies.loading.extensions import OUTCOME_SYSTEM
from cds_service.policies.policy import Citation, Policy, Rule
from cds_service.record.orders import Order
from cds_service.record.patient_record import RESPONSES_KEY

_QUERY_PATTERN = "http://hl7.org/fhir/StructureDefinition/cqf-fhirQueryPattern"
# Why a criterion could not be looked up → OperationOutcome.issue.code and what it says.
_ISSUES = {
    NOT_READ: ("incomplete", "a part of the record that it needs was not read"),
    FAILED: ("exception", "the record could not be interpreted"),
}


def applied(
    policy: Policy, determined: Determination, order: Order, patient_reference: str, now: datetime
) -> dict[str, Any]:
    """The CarePlan of one policy's determination of one order. ``now`` is aware.

    The GuidanceResponse's status is ``success`` once the outcome is final, else ``data-required``.
    """
    subject = {"reference": patient_reference}
    outcomes = _operation_outcome(determined)
    contained = [
        _request_group(policy, determined, order, subject, now),
        _guidance(policy, determined, order, subject, now, has_issues=bool(outcomes)),
        {"resourceType": "Parameters", "id": "output", "parameter": [*outputs(determined)]},
        *outcomes,
    ]
    return {
        "resourceType": "CarePlan",
        "contained": contained,
        "instantiatesCanonical": [policy.canonical],
        "status": "draft",
        "intent": "proposal",
        "title": policy.title,
        "subject": subject,
        "created": now.isoformat(timespec="seconds"),
        "supportingInfo": [{"reference": "#guidance"}],
        "activity": [{"reference": {"reference": "#requests"}}],
    }


def _request_group(
    policy: Policy, determined: Determination, order: Order, subject: dict[str, str], now: datetime
) -> dict[str, Any]:
    group: dict[str, Any] = {
        "resourceType": "RequestGroup",
        "id": "requests",
        "instantiatesCanonical": [policy.canonical],
        "status": "draft",
        "intent": "proposal",
        "priority": "urgent" if any(rule.urgent for rule in determined.speaking) else "routine",
        "subject": subject,
        "authoredOn": now.isoformat(timespec="seconds"),
        "action": [_action(policy, determined, rule) for rule in determined.speaking],
    }
    if order.reference is not None:
        group["basedOn"] = [{"reference": order.reference}]
    return group


def _action(policy: Policy, determined: Determination, rule: Rule) -> dict[str, Any]:
    """A rule that speaks. While questions are open the activity is to fill the form in."""
    action: dict[str, Any] = {
        "id": rule.id,
        "title": rule.title,
        "description": rule.description,
        "priority": "urgent" if rule.urgent else "routine",
        "documentation": [{"type": "citation", **_citation(each)} for each in rule.citations],
    }
    if (outcome := said(determined)) is not None:
        action["code"] = [{"coding": [{"system": OUTCOME_SYSTEM, "code": outcome.code}]}]
    if determined.outstanding:
        form = policy.questionnaire
        action["resource"] = {"reference": f"Questionnaire/{form['id']}", "display": form["title"]}
    return {name: value for name, value in action.items() if value != []}


def _guidance(
    policy: Policy,
    determined: Determination,
    order: Order,
    subject: dict[str, str],
    now: datetime,
    *,
    has_issues: bool,
) -> dict[str, Any]:
    guidance: dict[str, Any] = {
        "resourceType": "GuidanceResponse",
        "id": "guidance",
        "moduleCanonical": policy.canonical,
        "status": "success" if determined.status == FINAL else "data-required",
        "subject": subject,
        "occurrenceDateTime": now.isoformat(timespec="seconds"),
        "outputParameters": {"reference": "#output"},
        "result": {"reference": "#requests"},
        "dataRequirement": [*_missing(policy, determined)] if determined.status != FINAL else [],
    }
    if order.reference is not None:
        guidance["requestIdentifier"] = {"value": order.reference}
    if has_issues:
        guidance["evaluationMessage"] = [{"reference": "#messages"}]
    return {name: value for name, value in guidance.items() if value != []}


def _missing(policy: Policy, determined: Determination) -> Iterator[dict[str, Any]]:
    """What the outcome waits for: the queries that open criteria need and that were not read, and the form's answers."""
    unread = {
        query
        for criterion in determined.outstanding
        if (finding := determined.finding(criterion)) and finding.why == NOT_READ
        for query in criterion.queries
    }
    for name in sorted(unread):
        # Some criteria look at the patient themselves, whom every request reads.
        template = policy.queries.get(name, "Patient/{{%patient.id}}")
        yield _requirement(name, template)
    form = f"{policy.questionnaire_url}|{policy.version}"
    answers = "QuestionnaireResponse?patient={{%patient.id}}&questionnaire=" + form
    yield _requirement(RESPONSES_KEY, answers)


def _requirement(name: str, template: str) -> dict[str, Any]:
    return {
        "id": name,
        "extension": [{"url": _QUERY_PATTERN, "valueString": template}],
        "type": template.partition("?")[0].partition("/")[0],
    }


def _operation_outcome(determined: Determination) -> list[dict[str, Any]]:
    """What could not be looked up, criterion by criterion; no OperationOutcome when everything could."""
    issues = [
        {
            "severity": "warning",
            "code": _ISSUES[each.why][0],
            "diagnostics": f"{each.criterion.link_id}: {_ISSUES[each.why][1]}",
        }
        for each in determined.findings
        if each.why in _ISSUES
    ]
    return [{"resourceType": "OperationOutcome", "id": "messages", "issue": issues}] if issues else []


def _citation(citation: Citation) -> dict[str, str]:
    written = {"label": citation.label, "display": citation.display, "url": citation.url}
    return {name: value for name, value in written.items() if value is not None}
