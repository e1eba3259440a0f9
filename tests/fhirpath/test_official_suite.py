"""The official FHIRPath R4 suite, each of its tests by name; what we miss is listed with the reason, and nothing else may be."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.fhirpath.official_suite import FOLDER, Case, cases, miss

EXPECTED = json.loads(Path(__file__).with_name("official_suite_expected_failures.json").read_bytes())
CASES = cases()

pytestmark = pytest.mark.skipif(
    not CASES,
    reason=f"the official suite is not at {FOLDER}; set FHIRPATH_SUITE to the folder that holds tests.json",
)


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_the_official_suite_says_so(case: Case) -> None:
    listed = EXPECTED.get(case.id)

    found = miss(case)

    if listed is None:
        assert found is None, f"{case.test['expr']}: {found}"
    else:
        assert found is not None, f"{case.id} passes now: take it from the list"
        assert found[0] == listed["kind"], found


def test_every_listed_miss_is_a_test_of_the_suite_with_a_reason() -> None:
    assert EXPECTED.keys() <= {case.id for case in CASES}
    assert all(listed["reason"] and listed["kind"] in {"raises", "wrong"} for listed in EXPECTED.values())


def test_the_whole_suite_was_run_and_its_names_made_unique() -> None:
    counted = Counter(case.is_invalid for case in CASES)

    assert (counted[False], counted[True]) == (900, 35)
    assert len({case.id for case in CASES}) == len(CASES)


def test_the_runner_notices_a_wrong_answer_and_a_refusal_that_does_not_come() -> None:
    """A runner that evaluates nothing is green as well, so it is asked about answers that are certainly wrong."""
    for case in CASES:
        if case.is_invalid:
            harmless = case.test | {"expr": "true"}
            assert miss(Case(case.id, harmless)) == ("wrong", "expected a refusal, found [True]")
        else:
            wrong = [[type_, f"{text}1"] for type_, text in case.test["outputs"]] or [["string", "something"]]
            assert miss(Case(case.id, case.test | {"outputs": wrong, "predicate": False})) is not None, (
                case.id
            )
