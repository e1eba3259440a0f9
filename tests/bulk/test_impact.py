"""What another policy set would change, and the command as somebody at a terminal meets it."""

from __future__ import annotations

import csv
import json
import re
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cds_service.cli import app
from tests.bulk.exports import PLANS, decisions, lines, past_order, registered, run, written

DERBY = "derby-mastopexy"


@pytest.fixture
def changed_plans(tmp_path: Path) -> Path:
    """The real plans, but the Derby policy says "individual request" where it says eligible."""
    plans = Path(shutil.copytree(PLANS, tmp_path / "changed", ignore=shutil.ignore_patterns("cases")))
    file = plans / DERBY / f"PlanDefinition-{DERBY}.json"
    plan = json.loads(file.read_text())
    for rule in plan["action"][0]["action"]:
        for coding in rule["code"][0]["coding"]:
            coding["code"] = coding["code"].replace("eligible", "ifr-required")
    file.write_text(json.dumps(plan))
    return plans


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    """Three mastopexies: one that Derby funds by what was answered, one with nothing known, one paid by nobody we know."""
    request = json.loads((PLANS.parent / "fhir_fixtures/hooks/derby-eligible-by-answers.json").read_text())
    funded = request["context"]["draftOrders"]["entry"][0]["resource"]
    sent = {key: value for key, value in request["prefetch"].items() if value["resourceType"] == "Bundle"}
    records = {
        entry["resource"]["resourceType"]: [each["resource"] for each in bundle["entry"]]
        for bundle in sent.values()
        for entry in bundle.get("entry", ())
    }
    patients = [request["prefetch"]["patient"], registered("open"), registered("stranger", "nowhere")]
    return written(
        tmp_path / "in",
        [funded, past_order("open"), past_order("stranger")],
        {
            "Coverage": [],
            "Procedure": [],
            "QuestionnaireResponse": [],
            "Condition": [],
            **records,
            "Patient": patients,
        },
    )


def test_the_orders_that_change_are_named_with_both_outcomes(orders: Path, changed_plans: Path) -> None:
    summary = run(orders, against=(changed_plans,))

    outcomes = [
        (row["changed"], row["outcome_before"], row["outcome_after"])
        for row in decisions(orders, "changes.csv")
    ]
    assert ("outcome", "eligible", "ifr-required") in outcomes
    assert summary.counts.changed_orders["outcome"] == 1
    assert sum(summary.counts.changed_orders.values()) == 3


def test_both_sets_are_written_and_agree_with_what_each_says_alone(orders: Path, changed_plans: Path) -> None:
    run(orders, against=(changed_plans,))
    before, after = decisions(orders), decisions(orders, "decisions-against.csv")
    run(orders)
    alone = decisions(orders)
    run(orders, plans=(changed_plans,))

    assert before == alone
    assert after == decisions(orders)


def test_the_same_policies_change_nothing(orders: Path) -> None:
    summary = run(orders, against=(PLANS,))

    assert summary.counts.changed_orders == {"none": 3}
    assert decisions(orders, "changes.csv") == []
    assert "No outcome changes." in (orders / "out" / "impact.html").read_text()


def test_a_policy_that_is_dropped_leaves_its_orders_without_one(orders: Path, changed_plans: Path) -> None:
    shutil.rmtree(changed_plans / DERBY)

    run(orders, against=(changed_plans,))

    after = {row["order"]: row["outcome_after"] for row in decisions(orders, "changes.csv")}
    assert after["ServiceRequest/open-1"] == "no-policy"


def test_the_table_counts_changes_by_clause(orders: Path, changed_plans: Path) -> None:
    run(orders, against=(changed_plans,))

    with (orders / "out" / "impact.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    (row,) = (each for each in rows if each["changed"] == "outcome")
    assert (row["outcome_before"], row["outcome_after"], row["answers"]) == ("eligible", "ifr-required", "1")
    assert row["policy"].endswith(DERBY)
    assert row["clauses_before"]


def test_the_page_draws_a_labelled_chart_and_fetches_nothing(orders: Path, changed_plans: Path) -> None:
    run(orders, against=(changed_plans,))

    page = (orders / "out" / "impact.html").read_text()
    assert not re.search(r"(?:src|href)=|url\(|@import", page)
    assert "default-src 'none'" in page
    (svg,) = re.findall("<svg.*?</svg>", page, re.DOTALL)
    chart = ET.fromstring(svg)  # noqa: S314  our own
    assert chart.get("role") == "img"
    assert chart.findtext("title") == "Answers by outcome before and after: eligible to ifr-required: 1"
    assert "Of 3 orders, <strong>1</strong> (33.3 %) have another" in page


def test_the_command_writes_the_results_and_prints_the_counts(orders: Path, changed_plans: Path) -> None:
    result = CliRunner().invoke(
        app,
        [
            *("evaluate", "--orders", str(orders / "orders.ndjson"), "--records", str(orders / "records")),
            *("--plans", str(PLANS), "--against", str(changed_plans), "--out", str(orders / "out")),
            *("--processes", "1"),
        ],
    )

    assert result.exit_code == 0, result.output
    assert "3 orders: 3 decided, 0 passed over, 0 quarantined" in result.output
    assert "1 orders with another outcome" in result.output
    assert "eligible → ifr-required" in result.output
    assert len(decisions(orders)) == 3


def test_the_command_says_what_is_wrong_with_its_input(orders: Path) -> None:
    for file in (orders / "records").iterdir():
        file.unlink()

    result = CliRunner().invoke(
        app,
        [
            *("evaluate", "--orders", str(orders / "orders.ndjson"), "--records", str(orders / "records")),
            *("--plans", str(PLANS), "--out", str(orders / "out"), "--processes", "1"),
        ],
    )

    assert result.exit_code == 1
    assert "found no file; expected a FHIR Bulk Data export" in result.output
    assert "Traceback" not in result.output


def test_a_form_that_names_no_order_answers_those_of_its_days(orders: Path) -> None:
    file = orders / "records" / "QuestionnaireResponse.ndjson"
    response = json.loads(file.read_bytes())
    del response["basedOn"]
    file.write_bytes(lines([{**response, "authored": "2026-11-19T10:00:00Z"}]))
    funded = json.loads((orders / "orders.ndjson").read_bytes().splitlines()[0])
    later = [
        {**funded, "id": day, "authoredOn": day}
        for day in ("2026-11-18", "2026-11-19", "2027-02-17", "2027-02-18")
    ]
    (orders / "orders.ndjson").write_bytes(lines(later))

    run(orders)

    assert {row["day"]: row["outcome"] for row in decisions(orders)} == {
        "2026-11-18": "",
        "2026-11-19": "eligible",
        "2027-02-17": "eligible",
        "2027-02-18": "",
    }
