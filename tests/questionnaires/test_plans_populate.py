"""The plans' own forms, filled in from every case and every example request: the same answers as the findings."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cds_service.errors import UnknownValueSetError
from cds_service.hooks.discovery import resource_types
from cds_service.hooks.requests import hook_request
from cds_service.policies.cases import Case, read_cases
from cds_service.policies.findings import ASSUMED, RECORD, Finding, Findings, Situation
from cds_service.policies.library import Library, load_library
from cds_service.policies.policy import Policy
from cds_service.questionnaires.enablement import enabled
from cds_service.questionnaires.form import Form
from cds_service.questionnaires.policy_forms import has_member, options, policy_form, policy_launch
from cds_service.questionnaires.population import populated
from cds_service.questionnaires.responses import answers_in
from cds_service.questionnaires.validation import Limits, problems
from cds_service.record.patient_record import patient_record

ROOT = Path(__file__).parents[2]
LIBRARY: Library = load_library([ROOT / "plans"])
FORMS: dict[str, Form] = {policy.id: policy_form(policy) for policy in LIBRARY.policies}
REQUESTS = sorted((ROOT / "fhir_fixtures" / "hooks").glob("*.json"))
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def expected(finding: Finding) -> Any:
    """What the form is to say of a finding: what the record proves, or the form's own initial value."""
    is_initial = finding.origin == ASSUMED and "initial" in finding.criterion.item
    return finding.value if finding.origin == RECORD or is_initial else None


def differences(policy: Policy, situation: Situation) -> list[tuple[str, Any, Any]]:
    """The criteria that the filled-in form answers otherwise than the findings, with both answers."""
    form, launch = FORMS[policy.id], policy_launch(policy, situation, None)
    filled, findings = populated(form, launch), Findings(policy, situation)
    asked, answers = (
        enabled(form, filled.response, launch).link_ids,
        answers_in(policy, filled.response).values,
    )
    wanted = {
        each.link_id: expected(findings[each]) if each.link_id in asked else None for each in policy.criteria
    }
    found: list[tuple[str, Any, Any]] = [
        (name, value, answers.get(name)) for name, value in wanted.items() if answers.get(name) != value
    ]
    found += [
        (f"{each.link_id}'s evidence", findings[each].evidence, filled.evidence.get(each.link_id))
        for each in policy.criteria
        if filled.evidence.get(each.link_id, ()) != findings[each].evidence
    ]
    wrong = problems(form, {**filled.response, "status": "completed"}, launch, Limits(10_000, 10))
    return [*found, *((each.words, "no error", each.path) for each in wrong if each.severity == "error")]


def cases_of(policy: Policy) -> tuple[Case, ...]:
    return read_cases(policy.folder)


@pytest.mark.parametrize("policy", LIBRARY.policies, ids=lambda policy: policy.id)
def test_a_plans_form_is_filled_in_with_what_the_findings_prove_in_every_case(policy: Policy) -> None:
    cases = cases_of(policy)

    wrong = {case.file.stem: differences(policy, replace(case.situation, answers=None)) for case in cases}

    assert cases
    assert {name: each for name, each in wrong.items() if each} == {}


@pytest.mark.parametrize("file", REQUESTS, ids=lambda file: file.stem)
def test_a_plans_form_is_filled_in_with_what_an_example_request_shows(file: Path) -> None:
    request = hook_request(json.loads(file.read_text()))
    record = patient_record(request.patient_id, request.prefetch, resource_types(LIBRARY.queries))
    situations = [
        (policy, Situation(order, record, None, NOON))
        for order in request.orders
        for policy in LIBRARY.covering(order, NOON.date())
    ]

    assert {policy.id: found for policy, each in situations if (found := differences(policy, each))} == {}


@pytest.mark.parametrize("policy", LIBRARY.policies, ids=lambda policy: policy.id)
def test_every_expression_of_a_plans_form_can_be_evaluated(policy: Policy) -> None:
    assert FORMS[policy.id].problems == ()


def test_a_value_set_that_a_policy_does_not_bring_is_not_known_rather_than_empty() -> None:
    policy = LIBRARY.policies[0]

    assert options(policy, "https://nobody.example/ValueSet/x") is None
    with pytest.raises(UnknownValueSetError):
        has_member(policy, "https://nobody.example/ValueSet/x", None, "1")
