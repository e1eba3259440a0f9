"""``diff``: two random policies side by side against every combination of values, one after another."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from typer.testing import CliRunner, Result

from cds_service.authoring.changes import changes
from cds_service.authoring.difference import Comparison, Decision, compared, same_rules_win
from cds_service.cli import app
from cds_service.policies.conditions import read_condition
from cds_service.policies.domains import BooleanDomain, ChoiceDomain, Domain, NumberDomain, Value
from cds_service.policies.policy import ELIGIBLE, NOT_NORMALLY_FUNDED, Policy
from tests.authoring.small_policies import (
    FIXTURES,
    fixture,
    knows,
    policies,
    situations,
    small_policy,
    values_of,
    winner,
)

POLICY = "example-tonsillectomy"
Situation = Mapping[str, Value]


def decision(policy: Policy, criteria: Mapping[str, str], told: Situation) -> Decision:
    """What a policy says: of values that it does not know it tries every one that it does."""
    domains = {criterion.link_id: criterion.domain for criterion in policy.criteria}
    tried = {
        name: [told[criteria[name]]] if knows(domain, told[criteria[name]]) else values_of(domain)
        for name, domain in domains.items()
    }
    winners = {winner(policy, values).id: winner(policy, values) for values in situations(tried)}
    if len(winners) > 1:
        return Decision(None, None)
    (rule,) = winners.values()
    return Decision(rule.id, rule.outcome)


def columns(comparison: Comparison) -> tuple[dict[str, list[Value]], dict[str, str], dict[str, str]]:
    """The values to try of each shared criterion; and which of them each version's criteria are."""
    values: dict[str, list[Value]] = {}
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    for place, shared in enumerate(comparison.criteria):
        name = f"{place}"
        sides = [each for each in (shared.before, shared.after) if each is not None]
        values[name] = values_of(*(each.domain for each in sides))
        if shared.before is not None:
            before[shared.before.link_id] = name
        if shared.after is not None:
            after[shared.after.link_id] = name
    return values, before, after


@settings(max_examples=60)
@given(policies(), policies())
def test_the_differences_are_those_that_trying_every_combination_finds(old: Policy, new: Policy) -> None:
    comparison = compared(old, new)
    values, before, after = columns(comparison)

    tried = {(decision(old, before, told), decision(new, after, told)) for told in situations(values)}

    assert {(each.before, each.after) for each in comparison.differences} == {
        pair for pair in tried if pair[0] != pair[1]
    }


@settings(max_examples=60)
@given(policies(), policies())
def test_every_example_is_decided_as_it_says_whatever_the_other_values_are(old: Policy, new: Policy) -> None:
    comparison = compared(old, new)
    values, before, after = columns(comparison)

    for difference in comparison.differences:
        fixed = {str(comparison.criteria.index(shared)): [value] for shared, value in difference.example}
        for told in situations(values | fixed):
            found = decision(old, before, told), decision(new, after, told)
            assert found == (difference.before, difference.after)


@given(policies())
def test_a_policy_does_not_differ_from_itself(policy: Policy) -> None:
    assert compared(policy, policy).differences == ()
    assert same_rules_win(policy, policy)


def asking(domain: Domain, condition: str) -> Policy:
    """A policy that is eligible when a condition on ``a`` holds."""
    return small_policy({"a": domain}, [read_condition(condition)], (ELIGIBLE, NOT_NORMALLY_FUNDED))


def test_a_moved_threshold_differs_for_the_number_in_between_alone() -> None:
    old, new = asking(NumberDomain(True), "%a >= 2"), asking(NumberDomain(True), "%a >= 3")

    (difference,) = compared(old, new).differences

    assert [value for _, value in difference.example] == [2]
    assert (difference.before.rule, difference.after.rule) == ("rule-0", "rule-1")


def test_an_inclusive_boundary_made_exclusive_differs_for_the_boundary_itself() -> None:
    old, new = asking(NumberDomain(False), "%a >= 2.5"), asking(NumberDomain(False), "%a > 2.5")

    (difference,) = compared(old, new).differences

    assert [str(value) for _, value in difference.example] == ["2.5"]


def test_an_option_that_was_added_could_not_be_decided_before() -> None:
    old = asking(ChoiceDomain(("x", "y"), ("X", "Y")), "%a = 'x'")
    new = asking(ChoiceDomain(("x", "y", "z"), ("X", "Y", "Z")), "%a = 'x'")

    (difference,) = compared(old, new).differences

    assert difference.before == Decision(None, None)
    assert [value for _, value in difference.example] == ["z"]


def test_an_added_option_is_no_difference_where_nobody_looks_at_it() -> None:
    old = asking(ChoiceDomain(("x", "y"), ("X", "Y")), "%a = 'x' or true")
    new = asking(ChoiceDomain(("x", "y", "z"), ("X", "Y", "Z")), "%a = 'x' or true")

    assert compared(old, new).differences == ()


def test_a_criterion_of_another_kind_is_another_criterion() -> None:
    old, new = asking(BooleanDomain(), "%a"), asking(NumberDomain(True), "%a > 0")

    comparison = compared(old, new)

    assert len(comparison.criteria) == 2
    assert {(each.before.rule, each.after.rule) for each in comparison.differences} == {
        ("rule-0", "rule-1"),
        ("rule-1", "rule-0"),
    }


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def versions(tmp_path: Path) -> tuple[Path, Path]:
    """Two copies of one policy, each in a plans folder of its own."""
    copies = tmp_path / "old" / POLICY, tmp_path / "new" / POLICY
    for copy in copies:
        shutil.copytree(FIXTURES / POLICY, copy)
        shutil.copy(FIXTURES / "organizations.json", copy.parent)
    return copies


def edit(folder: Path, kind: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Change one resource of a policy."""
    file = folder / f"{kind}.json"
    resource = json.loads(file.read_text())
    change(resource)
    file.write_text(json.dumps(resource))


def rule(plan: dict[str, Any], position: int) -> dict[str, Any]:
    rules: list[dict[str, Any]] = plan["action"][0]["action"]
    return rules[position]


def test_diff_says_that_nothing_differs(versions: tuple[Path, Path]) -> None:
    result = run("diff", *versions)

    assert result.exit_code == 0
    assert "DECIDED DIFFERENTLY  never" in result.output
    assert "  nothing" in result.output


def test_diff_names_a_patient_who_is_decided_differently(versions: tuple[Path, Path]) -> None:
    def stricter(plan: dict[str, Any]) -> None:
        expression = rule(plan, 0)["condition"][0]["expression"]
        expression["expression"] = expression["expression"].replace(">= 7", ">= 8")

    edit(versions[1], f"PlanDefinition-{POLICY}", stricter)

    result = run("diff", *versions)

    assert result.exit_code == 1
    assert "eligible (seven-in-a-year) → not-normally-funded (not-normally-funded)" in result.output
    assert "Episodes in the last year: 7\n" in result.output
    assert "rule seven-in-a-year: condition: " in result.output


def test_diff_counts_a_renamed_rule_as_no_other_decision(versions: tuple[Path, Path]) -> None:
    edit(versions[1], f"PlanDefinition-{POLICY}", lambda plan: rule(plan, 0).update(id="seven-or-more"))

    result = run("diff", *versions)

    assert result.exit_code == 0
    assert "eligible (seven-in-a-year) → eligible (seven-or-more)" in result.output


def test_diff_lists_what_changed_beside_the_decisions(versions: tuple[Path, Path]) -> None:
    def plan_changes(plan: dict[str, Any]) -> None:
        plan["effectivePeriod"]["end"] = "2030"
        rule(plan, 1)["title"] = "Another summary"
        rule(plan, 1)["documentation"].pop()

    def form_changes(form: dict[str, Any]) -> None:
        items = {item["linkId"]: item for item in form["item"]}
        items["exceptional"]["initial"] = [{"valueBoolean": True}]
        items["tonsillitis"]["text"] = "Another question?"
        proof = next(each for each in items["episodesLastYear"]["extension"] if "initial" in each["url"])
        proof["valueExpression"]["expression"] = "%monthsLastYear.where($this >= 8)"

    def code_changes(codes: dict[str, Any]) -> None:
        codes["compose"]["include"][0]["concept"].pop()
        codes["expansion"]["contains"].pop()
        codes["expansion"]["total"] -= 1

    edit(versions[1], f"PlanDefinition-{POLICY}", plan_changes)
    edit(versions[1], f"Questionnaire-{POLICY}", form_changes)
    edit(versions[1], f"ValueSet-{POLICY}-orders", code_changes)

    result = run("diff", *versions)

    assert result.exit_code == 0
    assert "policy: last day: none → 2030-12-31" in result.output
    assert "rule five-in-two-years: title: Tonsillectomy: eligible, five" in result.output
    assert "rule five-in-two-years: clauses: " in result.output
    assert "criterion exceptional: assumed: no → yes" in result.output
    assert "criterion tonsillitis: question: " in result.output
    assert "criterion episodesLastYear: proof: %monthsLastYear.where($this >= 7) → " in result.output
    assert (
        f"value set {POLICY}-orders: removed: https://fhir.hl7.org.uk/CodeSystem/OPCS-4|F34.9"
        in result.output
    )


def test_diff_refuses_a_folder_that_is_no_policy(versions: tuple[Path, Path]) -> None:
    (versions[1] / f"Questionnaire-{POLICY}.json").unlink()

    result = run("diff", *versions)

    assert result.exit_code == 2
    assert "exactly one Questionnaire" in result.output


def test_two_policies_on_different_things_can_be_compared_too() -> None:
    found = list(changes(fixture("example-breast-reduction"), fixture(POLICY)))

    assert "criterion symptoms: gone" in found
    assert "criterion tonsillitis: new" in found
