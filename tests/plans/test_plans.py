"""Our own plans: their cases, their codes, and that nothing of them has leaked into Python."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from cds_service.policies.analysis import weaknesses
from cds_service.policies.cases import Case, read_cases, run_case, uncovered
from cds_service.policies.library import Library, load_library
from cds_service.policies.policy import Policy
from cds_service.record.codes import SNOMED, is_snomed_id

ROOT = Path(__file__).parents[2]
VERIFIED = ROOT.parent / "shared" / "codes" / "verified-codes.csv"
LIBRARY: Library = load_library([ROOT / "plans"])
CASES = [
    pytest.param(policy, case, id=f"{policy.id}/{case.file.stem}/{case.situation.order.codes}")
    for policy in LIBRARY.policies
    for case in read_cases(policy.folder)
]


@pytest.mark.parametrize(("policy", "case"), CASES)
def test_a_case_is_decided_as_it_expects(policy: Policy, case: Case) -> None:
    assert run_case(case, policy, LIBRARY).faults == ()


@pytest.mark.parametrize("policy", LIBRARY.policies, ids=lambda policy: policy.id)
def test_every_rule_and_every_value_has_a_case(policy: Policy) -> None:
    results = [run_case(case, policy, LIBRARY) for case in read_cases(policy.folder)]

    assert list(uncovered(policy, results)) == []


@pytest.mark.parametrize("policy", LIBRARY.policies, ids=lambda policy: policy.id)
def test_no_rule_is_unreachable_and_no_criterion_idle(policy: Policy) -> None:
    assert list(weaknesses(policy)) == []


def value_set_codes() -> set[tuple[str, str]]:
    """Every code in every value set of our plans, as the files list it."""
    return {
        (contained["system"], contained["code"])
        for file in (ROOT / "plans").rglob("ValueSet-*.json")
        for contained in json.loads(file.read_text())["expansion"].get("contains", ())
    }


def test_every_snomed_code_has_a_valid_check_digit() -> None:
    codes = [code for system, code in value_set_codes() if system == SNOMED]

    assert codes
    assert [code for code in codes if not is_snomed_id(code)] == []


@pytest.mark.skipif(
    not VERIFIED.exists(), reason="the list of verified codes lies beside the project, not in it"
)
def test_every_snomed_code_is_verified() -> None:
    with VERIFIED.open() as file:
        verified = {
            row["code"]
            for row in csv.DictReader(file)
            if row["system"] == "sct" and row["status"].startswith("VERIFIED")
        }

    assert {code for system, code in value_set_codes() if system == SNOMED} <= verified
    assert set(fixture_codes(SNOMED)) <= verified


def fixture_codes(system: str) -> list[str]:
    """Every code of a system in the fixtures and the plans' cases."""
    files = [*(ROOT / "fhir_fixtures").rglob("*.json"), *(ROOT / "plans").glob("*/cases/*.json")]
    pattern = re.compile(rf'"system":\s*"{re.escape(system)}",\s*"code":\s*"(\d+)"')
    # The wrong codes that a case is about: an order that must reach nothing may carry any code.
    return [
        code
        for file in files
        for code in pattern.findall(file.read_text())
        if '"applies": false' not in file.read_text()
    ]


@pytest.mark.parametrize(
    ("code", "valid"),
    [
        ("254837009", True),
        ("137671000119105", True),
        ("234245001", False),
        ("254837008", False),
        ("", False),
        ("25483700x", False),
    ],
)
def test_a_check_digit_tells_a_mistyped_code(code: str, valid: bool) -> None:
    assert is_snomed_id(code) is valid


def python_words() -> set[str]:
    """Every word and number in our Python, the FHIR model aside."""
    sources = [*(ROOT / "cds_service").rglob("*.py")]
    return {word for source in sources for word in re.findall(r"%?[\w.\-]+", source.read_text())}


def test_nothing_in_python_names_a_clinical_code_a_commissioner_or_a_policy() -> None:
    words = python_words()
    organizations: list[dict[str, Any]] = [
        entry["resource"]
        for entry in json.loads((ROOT / "plans" / "organizations.json").read_text())["entry"]
    ]
    named = (
        {code for _, code in value_set_codes() if len(code) > 3}
        | {identifier["value"] for each in organizations for identifier in each["identifier"]}
        | {policy.id for policy in LIBRARY.policies}
        | {f"%{criterion.link_id}" for policy in LIBRARY.policies for criterion in policy.criteria}
    )

    assert words & named == set()


@pytest.mark.parametrize("policy", LIBRARY.policies, ids=lambda policy: policy.id)
def test_no_licensed_descriptor_is_carried(policy: Policy) -> None:
    for file in policy.folder.glob("ValueSet-*.json"):
        for contained in json.loads(file.read_text())["expansion"].get("contains", ()):
            assert "ama-assn" not in contained["system"] or "display" not in contained
