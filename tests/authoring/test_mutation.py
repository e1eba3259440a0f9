"""``test --mutate``: each mutant is a real change, and those reported as surviving are really not noticed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from typer.testing import CliRunner, Result

from cds_service.authoring.condition_text import as_fhirpath
from cds_service.authoring.mutants import ALL_CODES, Mutant, mutants
from cds_service.authoring.mutation import is_equivalent, mutation_result
from cds_service.cli import app
from cds_service.policies.cases import Case, read_cases, run_case
from cds_service.policies.conditions import Comparison, Condition, Logic, read_condition
from cds_service.policies.library import Library
from cds_service.policies.policy import Policy
from cds_service.policies.questions import Questions
from tests.authoring.small_policies import (
    FIXTURES,
    fixture,
    fixtures,
    policies,
    situations,
    values_of,
    winner,
)

POLICY = "example-tonsillectomy"
CASES = FIXTURES / POLICY / "cases"


def made(policy: Policy) -> dict[str, Mutant]:
    """The mutants of a policy by what was changed."""
    return {mutant.change: mutant for mutant in mutants(policy)}


def noticed(mutant: Mutant, cases: Iterable[Case]) -> bool:
    """Whether any case fails on a mutant, each run in a library of its own."""
    library: Library = replace(fixtures(), questions={mutant.policy.canonical: Questions(mutant.policy)})
    return any(run_case(case, mutant.policy, library).faults for case in cases)


@pytest.mark.parametrize("policy", fixtures().policies, ids=lambda policy: policy.id)
def test_every_mutant_of_the_fixtures_is_killed(policy: Policy) -> None:
    result = mutation_result(policy, read_cases(policy.folder), fixtures())

    assert [mutant.change for mutant in result.survivors] == []
    assert result.killed == result.counted > 10


def test_everything_that_may_be_changed_is() -> None:
    found = made(fixture(POLICY))

    assert "rule seven-in-a-year: left out" in found
    assert "rules seven-in-a-year and five-in-two-years: exchanged" in found
    assert "rule seven-in-a-year: outcome ifr-required instead of eligible" in found
    assert "rule seven-in-a-year: %episodesLastYear > 7 instead of %episodesLastYear >= 7" in found
    assert "rule seven-in-a-year: %episodesLastYear >= 6 instead of %episodesLastYear >= 7" in found
    assert "rule seven-in-a-year: %episodesLastYear >= 8 instead of %episodesLastYear >= 7" in found
    assert "rule seven-in-a-year: %tonsillitis != true instead of %tonsillitis" in found
    assert "rule seven-in-a-year: %tonsillitis or %disabling instead of %tonsillitis and %disabling" in found
    assert "rule seven-in-a-year: %disabling instead of %tonsillitis and %disabling" in found
    assert "exceptional: nothing is assumed" in found
    assert "exceptional: yes is assumed instead of no" in found
    assert "episodesLastYear: the record proves nothing" in found
    assert f"{POLICY}-orders: without https://fhir.hl7.org.uk/CodeSystem/OPCS-4|F34.1" in found
    assert f"{POLICY}-episodes: without http://hl7.org/fhir/sid/icd-10|J03" in found


def test_a_code_is_left_out_in_all_its_spellings() -> None:
    mutant = made(fixture(POLICY))[
        f"{POLICY}-orders: without https://fhir.hl7.org.uk/CodeSystem/OPCS-4|F34.1"
    ]

    assert {code for _, code in fixture(POLICY).codes - mutant.policy.codes} == {"F34.1", "F341"}
    assert len(fixture(POLICY).codes - mutant.policy.codes) == 8


def test_of_a_long_value_set_the_first_and_last_code_of_each_system_are_left_out() -> None:
    policy = fixture(POLICY)
    (url,) = (each for each in policy.value_sets.codes if each.endswith("-episodes"))
    many = {("urn:a", f"{n:02}") for n in range(ALL_CODES)} | {("urn:b", "1")}
    value_sets = replace(policy.value_sets, codes={**policy.value_sets.codes, url: frozenset(many)})

    left_out = [name for name in made(replace(policy, value_sets=value_sets)) if "-episodes: without" in name]

    assert [name.rpartition(" ")[2] for name in left_out] == ["urn:a|00", f"urn:a|{ALL_CODES - 1}", "urn:b|1"]


def test_a_value_set_that_no_expression_uses_is_left_alone() -> None:
    policy = fixture(POLICY)
    unused = {**policy.value_sets.codes, "https://x.example/unused": frozenset({("urn:a", "1")})}

    found = made(replace(policy, value_sets=replace(policy.value_sets, codes=unused)))

    assert not [name for name in found if "unused" in name]


@pytest.mark.parametrize("kept", range(0, 36, 5))
def test_the_survivors_are_those_that_no_case_notices(kept: int) -> None:
    policy = fixture(POLICY)
    cases = read_cases(policy.folder)[kept : kept + 8]

    result = mutation_result(policy, cases, fixtures())

    expected = [
        mutant.change
        for mutant in mutants(policy)
        if not is_equivalent(mutant, policy) and not noticed(mutant, cases)
    ]
    assert [mutant.change for mutant in result.survivors] == expected
    assert expected


@settings(max_examples=40)
@given(policies())
def test_a_mutant_is_equivalent_when_the_same_rule_wins_in_every_situation(policy: Policy) -> None:
    values = {criterion.link_id: values_of(criterion.domain) for criterion in policy.criteria}
    told = list(situations(values))
    as_written = [(winner(policy, each).id, winner(policy, each).outcome) for each in told]

    for mutant in mutants(policy):
        if mutant.kind in {"rule", "condition"}:
            as_changed = [
                (winner(mutant.policy, each).id, winner(mutant.policy, each).outcome) for each in told
            ]
            assert is_equivalent(mutant, policy) == (as_changed == as_written)


def without_positions(condition: Condition) -> Condition:
    """The same condition as if all of it stood at the beginning."""
    if isinstance(condition, Comparison):
        return replace(condition, position=0)
    return Logic(condition.operator, tuple(without_positions(operand) for operand in condition.operands))


@given(policies())
def test_a_condition_written_out_reads_back_as_the_same(policy: Policy) -> None:
    for rule in policy.rules[:-1]:
        assert rule.logic is not None
        assert without_positions(read_condition(as_fhirpath(rule.logic))) == rule.logic


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def plans(tmp_path: Path) -> Path:
    """A copy of one fixture."""
    shutil.copytree(FIXTURES / POLICY, tmp_path / POLICY)
    shutil.copy(FIXTURES / "organizations.json", tmp_path)
    return tmp_path


def test_test_with_mutants_counts_them(plans: Path) -> None:
    result = run("test", plans, "--mutate")

    assert result.exit_code == 0
    assert f"{POLICY}: 87 of 87 mutants killed, 0 survive" in result.output


def test_a_case_less_is_a_survivor_more(plans: Path) -> None:
    (plans / POLICY / "cases" / "two-in-the-middle-of-three-years-are-not-normally-funded.json").unlink()

    result = run("test", plans, "--mutate")

    assert result.exit_code == 1
    assert "no case notices rule three-in-three-years: %episodesYearBefore >= 2" in result.output


def test_mutants_are_not_tried_while_a_case_fails(plans: Path) -> None:
    file = min((plans / POLICY / "cases").glob("*.json"))
    file.write_text(json.dumps(json.loads(file.read_text()) | {"expect": {"outcome": "advice"}}))

    result = run("test", plans, "--mutate")

    assert result.exit_code == 1
    assert "mutants" not in result.output
