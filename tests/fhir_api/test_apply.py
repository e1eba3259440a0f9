"""A determination as PlanDefinition/$apply gives it: strictly R4, and saying what the determination says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.careplan import CarePlan

from cds_service.fhir_api.apply import applied
from cds_service.hooks.cards import determination_extension
from cds_service.policies.cases import Case, read_cases
from cds_service.policies.determination import Determination, determination
from cds_service.policies.findings import Findings
from cds_service.policies.library import load_library
from cds_service.policies.policy import Policy
from cds_service.record.patient_record import QueryAnswer

LIBRARY = load_library([Path(__file__).parents[2] / "plans"])
POLICIES = {policy.id: policy for policy in LIBRARY.policies}
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def cases(policy: Policy) -> list[Case]:
    """The cases to which the policy applies; of those that differ in a code alone, one."""
    return list(
        {case.file: case for case in read_cases(policy.folder) if "applies" not in case.expect}.values()
    )


def decided(policy: Policy, case: Case) -> Determination:
    return determination(policy, Findings(policy, case.situation), LIBRARY.questions[policy.canonical])


def plan_of(policy: Policy, case: Case) -> dict[str, Any]:
    return applied(policy, decided(policy, case), case.situation.order, "Patient/example", NOW)


def contained(plan: dict[str, Any], kind: str) -> dict[str, Any]:
    (found,) = (each for each in plan["contained"] if each["resourceType"] == kind)
    return dict(found)


def outputs(plan: dict[str, Any], name: str) -> list[Any]:
    parameters = contained(plan, "Parameters")["parameter"]
    return [next(v for k, v in each.items() if k != "name") for each in parameters if each["name"] == name]


@pytest.mark.parametrize("policy", LIBRARY.policies, ids=lambda policy: policy.id)
def test_every_case_of_every_policy_gives_strictly_valid_r4(policy: Policy) -> None:
    for case in cases(policy):
        CarePlan.model_validate(plan_of(policy, case))


@pytest.mark.parametrize("policy", LIBRARY.policies, ids=lambda policy: policy.id)
def test_the_output_says_of_every_case_what_a_card_says_to_software(policy: Policy) -> None:
    for case in cases(policy):
        determined = decided(policy, case)
        card = determination_extension(determined, case.situation.order, "id")
        plan = plan_of(policy, case)

        assert outputs(plan, "status") == [card["status"]]
        assert outputs(plan, "outcome") == ([card["outcome"]] if "outcome" in card else [])
        assert outputs(plan, "possibleOutcome") == card.get("possibleOutcomes", [])
        assert outputs(plan, "outstanding") == card.get("outstanding", [])
        assert [part[0]["valueString"] for part in outputs(plan, "citation")] == [
            each["label"] for each in card.get("citations", [])
        ]
        assert [told(part) for part in outputs(plan, "finding")] == [
            lists(each) for each in card.get("findings", [])
        ]


def told(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """The parts of a finding, read back: several of one name as a list."""
    found: dict[str, list[Any]] = {}
    for part in parts:
        (value,) = (value for name, value in part.items() if name != "name")
        found.setdefault(part["name"], []).append(value["reference"] if part["name"] == "evidence" else value)
    return found


def lists(finding: dict[str, Any]) -> dict[str, list[Any]]:
    """A card's finding in the same shape. FHIR has no empty list: of a selection of nothing there is no value."""
    as_lists = {
        name: list(value) if isinstance(value, list | tuple) else [value] for name, value in finding.items()
    }
    return {name: value for name, value in as_lists.items() if value}


@pytest.mark.parametrize("policy", LIBRARY.policies, ids=lambda policy: policy.id)
def test_the_actions_are_in_the_words_of_the_rules_that_speak(policy: Policy) -> None:
    for case in cases(policy):
        determined = decided(policy, case)

        group = contained(plan_of(policy, case), "RequestGroup")
        actions = group["action"]
        urgent = [rule.urgent for rule in determined.speaking]

        assert [each["priority"] == "urgent" for each in actions] == urgent
        assert group["priority"] == ("urgent" if any(urgent) else "routine")
        assert [(each["title"], each["description"]) for each in actions] == [
            (rule.title, rule.description) for rule in determined.speaking
        ]


@pytest.mark.parametrize("policy", LIBRARY.policies, ids=lambda policy: policy.id)
def test_data_are_required_exactly_while_it_is_undetermined(policy: Policy) -> None:
    for case in cases(policy):
        determined = decided(policy, case)
        guidance = contained(plan_of(policy, case), "GuidanceResponse")

        is_open = determined.status == "undetermined"
        assert guidance["status"] == ("data-required" if is_open else "success")
        assert ("dataRequirement" in guidance) is is_open


def test_an_open_determination_asks_for_the_form() -> None:
    plan = open_plan()

    (action,) = contained(plan, "RequestGroup")["action"]
    assert action["resource"]["reference"] == "Questionnaire/derby-mastopexy"
    answers = contained(plan, "GuidanceResponse")["dataRequirement"][-1]
    assert answers["type"] == "QuestionnaireResponse"
    assert answers["extension"][0]["valueString"].endswith("Questionnaire/derby-mastopexy|2.0.0")


def open_plan(**record: Any) -> dict[str, Any]:
    policy = POLICIES["derby-mastopexy"]
    case = next(each for each in cases(policy) if decided(policy, each).status == "undetermined")
    situation = case.situation
    unread = replace(situation, answers=None, record=replace(situation.record, answers=record))
    return plan_of(policy, replace(case, situation=unread))


def test_what_was_not_read_is_required_and_told() -> None:
    plan = open_plan()

    guidance = contained(plan, "GuidanceResponse")
    asked = {each["id"]: each["extension"][0]["valueString"] for each in guidance["dataRequirement"]}
    assert asked["conditions"] == "Condition?patient={{%patient.id}}"
    assert guidance["evaluationMessage"] == [{"reference": "#messages"}]
    issues = contained(plan, "OperationOutcome")["issue"]
    assert "breastCancer: a part of the record that it needs was not read" in [
        each["diagnostics"] for each in issues
    ]


def test_where_everything_was_read_only_answers_are_required() -> None:
    plan = open_plan(conditions=QueryAnswer(), procedures=QueryAnswer())

    guidance = contained(plan, "GuidanceResponse")
    assert [each["type"] for each in guidance["dataRequirement"]] == ["QuestionnaireResponse"]
    assert "evaluationMessage" not in guidance


def test_every_contained_resource_is_referred_to() -> None:
    plan = open_plan()

    written = str(plan)
    assert all(f"'#{each['id']}'" in written for each in plan["contained"])


def test_order_and_patient_are_named_and_an_order_without_an_id_is_not() -> None:
    policy = POLICIES["derby-mastopexy"]
    case = cases(policy)[0]
    order = case.situation.order
    named = plan_of(policy, case)
    unnamed = applied(policy, decided(policy, case), replace(order, reference=None), "Patient/example", NOW)

    assert contained(named, "RequestGroup")["basedOn"] == [{"reference": order.reference}]
    assert {each["subject"]["reference"] for each in named["contained"] if "subject" in each} == {
        "Patient/example"
    }
    assert "basedOn" not in contained(unnamed, "RequestGroup")
    CarePlan.model_validate(unnamed)


def test_a_redirect_names_the_policy_it_leads_to() -> None:
    policy = POLICIES["centene-cosmetic-reconstructive"]
    case = next(
        each
        for each in cases(policy)
        if each.expect.get("outcome") == "redirect" and "redirectTo" in each.expect
    )

    assert outputs(plan_of(policy, case), "redirectTo") == [case.expect["redirectTo"]]
