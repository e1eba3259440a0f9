"""``new``: a folder that loads as it is, and does not pass for finished."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cds_service.cli import app
from cds_service.policies.library import load_library
from tests.authoring.small_policies import FIXTURES

BOARD = "https://fhir.nhs.uk/Id/ods-organization-code|EXBOARD"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def plans(tmp_path: Path) -> Path:
    """A plans folder without policies."""
    shutil.copy(FIXTURES / "organizations.json", tmp_path)
    return tmp_path


def test_a_new_policy_passes_check(plans: Path) -> None:
    made = run("new", "example-hip", "--plans", plans)

    assert made.exit_code == 0
    assert "Next: replace every TO WRITE" in made.output
    assert run("check", plans).output == "example-hip 0.1.0: 2 rules, 3 criteria, 3 diagram nodes\n"


def test_a_new_policy_fails_test_until_its_texts_and_cases_are_written(plans: Path) -> None:
    run("new", "example-hip", "--plans", plans)

    result = run("test", plans)

    assert result.exit_code == 1
    assert "example-hip/PlanDefinition-example-hip.json: still to write in line" in result.output
    assert "example-hip: no cases; write cases/" in result.output
    assert "no case in which the rule criteria-met decides" in result.output


def test_a_new_policy_has_a_criterion_proven_one_asked_and_one_assumed(plans: Path) -> None:
    run("new", "example-hip", "--plans", plans)

    (policy,) = load_library([plans]).policies

    assert [(each.proof is not None, each.assumed) for each in policy.criteria] == [
        (True, None),
        (False, None),
        (False, True),
    ]
    assert policy.commissioner is None


def test_a_new_policy_is_its_commissioners(plans: Path) -> None:
    result = run("new", "example-hip", "--plans", plans, "--commissioner", BOARD)

    (policy,) = load_library([plans]).policies
    assert result.exit_code == 0
    assert policy.commissioner_name == "Example integrated care board"


def test_a_new_policy_is_finished_by_writing_it(plans: Path) -> None:
    run("new", "example-hip", "--plans", plans)
    folder = plans / "example-hip"
    for file in folder.iterdir():
        if file.is_file():
            file.write_text(file.read_text().replace("TO WRITE", "Written").replace("TO-WRITE", "W1"))
    for name, expect, answers in (
        ("all-three-hold", "eligible", {"diagnosis": True, "treatmentTried": True}),
        ("no-diagnosis", "not-normally-funded", {"diagnosis": False, "treatmentTried": True}),
        ("nothing-tried", "not-normally-funded", {"diagnosis": True, "treatmentTried": False}),
        ("unusual", "not-normally-funded", {"diagnosis": True, "treatmentTried": True, "usualCase": False}),
        ("nobody-knows", "ifr-required", {"diagnosis": None, "treatmentTried": None, "usualCase": None}),
    ):
        order = {
            "code": {
                "coding": [
                    {"system": "https://funding-policies.example/fhir/CodeSystem/to-write", "code": "W1"}
                ]
            }
        }
        case = {"cites": ["1"], "today": "2099-01-01", "order": order, "answers": answers}
        record = {"record": {"conditions": []}, "expect": {"outcome": expect}}
        (folder / "cases" / f"{name}.json").write_text(json.dumps(case | record))

    result = run("test", plans)

    assert result.output == "plan cases: 5 passed, 0 failed\n"


@pytest.mark.parametrize(
    "policy_id", ["Example", "example_hip", "example--hip", "-hip", "hip-", "1hip", "../hip", "x" * 65, ""]
)
def test_a_bad_id_is_refused(plans: Path, policy_id: str) -> None:
    result = run("new", "--plans", plans, "--", policy_id)

    assert result.exit_code == 1
    assert "lower-case words joined by hyphens" in result.output
    assert list(plans.iterdir()) == [plans / "organizations.json"]


def test_an_id_of_64_characters_is_not_too_long(plans: Path) -> None:
    assert run("new", "x" * 64, "--plans", plans).exit_code == 0


def test_a_folder_that_is_there_is_left_alone(plans: Path) -> None:
    (plans / "example-hip").mkdir()

    result = run("new", "example-hip", "--plans", plans)

    assert result.exit_code == 1
    assert "already there" in result.output
    assert list((plans / "example-hip").iterdir()) == []


def test_an_unknown_commissioner_is_refused_and_nothing_is_made(plans: Path) -> None:
    result = run("new", "example-hip", "--plans", plans, "--commissioner", "urn:x|1")

    assert result.exit_code == 1
    assert f"found 'urn:x|1'; expected one of {BOARD}" in result.output
    assert not (plans / "example-hip").exists()


def test_a_folder_without_organisations_is_refused(tmp_path: Path) -> None:
    result = run("new", "example-hip", "--plans", tmp_path)

    assert result.exit_code == 1
    assert "no organizations.json" in result.output
