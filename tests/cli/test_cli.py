"""The command line, as somebody at a terminal meets it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cds_service.cli import app
from cds_service.settings import Settings

ROOT = Path(__file__).parents[2]
POLICY = "central-east-breast-asymmetry"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def plans(tmp_path: Path) -> Path:
    """A copy of one plan."""
    for folder in (POLICY, "ifr-request"):
        shutil.copytree(ROOT / "plans" / folder, tmp_path / folder)
    shutil.copy(ROOT / "plans" / "organizations.json", tmp_path)
    return tmp_path


def test_check_names_each_policy_and_its_size(plans: Path) -> None:
    result = run("check", plans)

    assert result.exit_code == 0
    assert result.output.startswith(f"{POLICY} 1.0")
    assert "diagram nodes" in result.output


def test_check_fails_on_a_rule_that_can_never_decide(plans: Path) -> None:
    _change(plans, lambda plan: _rules(plan).insert(0, {**_rules(plan)[0], "id": "again"}))

    result = run("check", plans)

    assert result.exit_code == 1
    assert "can never decide" in result.output


def test_check_says_what_is_wrong_and_where(plans: Path) -> None:
    _change(plans, lambda plan: plan.update(status="finished", colour="red"))

    result = run("check", plans)

    assert result.exit_code == 1
    assert (
        f"PlanDefinition-{POLICY}.json: PlanDefinition.colour: found 'red'; expected no such member"
        in result.output
    )
    assert "no policy is loaded" in result.output


def test_test_counts_the_cases(plans: Path) -> None:
    result = run("test", plans)

    assert result.exit_code == 0
    assert "plan cases: " in result.output
    assert result.output.endswith(" passed, 0 failed\n")


def test_test_fails_when_there_are_no_cases(plans: Path) -> None:
    shutil.rmtree(plans / POLICY / "cases")

    result = run("test", plans)

    assert result.exit_code == 1
    assert "plan cases: 0 passed, 0 failed" in result.output


def test_test_fails_when_a_rule_and_a_value_have_no_case(plans: Path) -> None:
    for file in (plans / POLICY / "cases").glob("*.json"):
        if "redirect" in file.read_text():
            file.unlink()

    result = run("test", plans)

    assert result.exit_code == 1
    assert "no case in which the rule" in result.output


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"expectt": {}}, "the member 'expectt'"),
        ({"expect": {"outcom": "eligible"}}, "the member 'outcom'"),
        ({"expect": {}}, "nothing expected"),
        ({"cites": []}, "nothing cited"),
        ({"today": "tomorrow"}, "a day as YYYY-MM-DD"),
        ({"expect": {"outcome": "advice"}}, "expected advice, found"),
        ({"expect": {"findings": {"nothing": True}}}, "no such criterion"),
    ],
)
def test_test_fails_on_a_case_that_is_wrong(plans: Path, change: dict[str, Any], says: str) -> None:
    file = min((plans / POLICY / "cases").glob("*.json"))
    file.write_text(json.dumps(json.loads(file.read_text()) | change))

    result = run("test", plans)

    assert result.exit_code == 1
    assert says in result.output


def test_decide_prints_the_response_to_a_request_in_a_file() -> None:
    result = run(
        "decide",
        ROOT / "fhir_fixtures" / "hooks" / "derby-not-normally-funded.json",
        "--plans",
        ROOT / "plans",
    )

    (card,) = json.loads(result.output)["cards"]
    assert card["extension"]["cds-service.determination"]["outcome"] == "not-normally-funded"


def test_decide_says_what_is_wrong_with_a_request(tmp_path: Path) -> None:
    file = tmp_path / "request.json"
    file.write_text('{"hook": "patient-view"}')

    result = run("decide", file, "--plans", ROOT / "plans")

    assert result.exit_code == 1
    assert "order-select or order-sign" in result.output


def test_serve_refuses_to_be_open_to_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CDS_DEVELOPMENT", raising=False)

    result = run("serve", "--host", "0.0.0.0")  # noqa: S104  that is what is refused

    assert result.exit_code == 2
    assert "open to anybody" in result.output


def test_settings_lists_every_setting() -> None:
    listed = run("settings").output

    assert all(f"CDS_{name.upper()}" in listed for name in Settings.model_fields)


def test_the_readme_explains_every_setting() -> None:
    readme = (ROOT / "README.md").read_text()

    assert [name for name in Settings.model_fields if f"`CDS_{name.upper()}`" not in readme] == []


def _change(plans: Path, change: Any) -> None:
    file = plans / POLICY / f"PlanDefinition-{POLICY}.json"
    plan = json.loads(file.read_text())
    change(plan)
    file.write_text(json.dumps(plan))


def _rules(plan: dict[str, Any]) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = plan["action"][0]["action"]
    return rules
