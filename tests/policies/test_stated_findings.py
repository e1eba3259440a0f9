"""Findings that were written down decide as the record did."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cds_service.policies.cases import Case, read_cases
from cds_service.policies.determination import determination
from cds_service.policies.findings import FAILED, Answers, Findings
from cds_service.policies.library import load_library
from cds_service.policies.policy import Policy
from cds_service.policies.stated import StatedFindings, stated

ROOT = Path(__file__).parents[2]
LIBRARY = load_library((ROOT / "plans", ROOT / "tests" / "fixtures" / "plans"))


@pytest.mark.parametrize("policy", LIBRARY.policies, ids=lambda policy: policy.id)
def test_every_case_is_determined_alike_from_its_findings_as_json(policy: Policy) -> None:
    cases = read_cases(policy.folder)
    assert cases
    for case in cases:
        found = Findings(policy, case.situation)
        determined = determination(policy, found, LIBRARY.questions[policy.canonical])

        again = StatedFindings(policy, json.loads(json.dumps(stated(found.made()))), None)

        assert determination(policy, again, LIBRARY.questions[policy.canonical]) == determined, case.file


def test_answers_are_laid_over_what_was_written_of_the_record() -> None:
    policy, case = _case_with_answers()
    without = Findings(policy, replace(case.situation, answers=None))
    written = stated(without[criterion] for criterion in policy.criteria)
    with_answers = Findings(policy, case.situation)

    laid_over = StatedFindings(policy, written, case.situation.answers)

    assert [laid_over[each] for each in policy.criteria] == [with_answers[each] for each in policy.criteria]


def test_what_was_not_written_or_is_no_value_any_more_is_unknown() -> None:
    policy = LIBRARY.policies[0]
    criterion = policy.criteria[0]
    nonsense = {criterion.link_id: {"value": "no such option", "origin": "record"}}

    found = [
        StatedFindings(policy, written, Answers(None, None, {}))[criterion] for written in ({}, nonsense)
    ]

    assert [(each.value, each.why) for each in found] == [(None, FAILED)] * 2


def _case_with_answers() -> tuple[Policy, Case]:
    return next(
        (policy, case)
        for policy in LIBRARY.policies
        for case in read_cases(policy.folder)
        if case.situation.answers and case.situation.answers.values
    )
