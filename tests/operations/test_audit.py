"""Decisions as AuditEvents: valid FHIR, who and what by id, and nothing of the patient."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from fhir.resources.R4B.auditevent import AuditEvent
from typer.testing import CliRunner, Result

from cds_service.app import create_app
from cds_service.cli import app
from cds_service.operations.audit import audit_event
from cds_service.settings import Settings
from tests.operations.sets import HOOK, asked, write_set
from tests.store.entries import ENTRY

TOLD = {
    "id": "c1",
    "order": "ServiceRequest/1",
    "policy": "https://example.org/PlanDefinition/p|1.0",
    "status": "final",
    "outcome": "eligible",
    "findings": [{"criterion": "breastCancer", "value": True, "origin": "record"}],
}
DECIDED = replace(ENTRY, determinations=json.dumps([TOLD]))


def exported(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(
        app,
        ["audit", "--out", str(folder / "audit.ndjson"), *arguments],
        env={"CDS_DATABASE_URL": f"sqlite:///{folder / 'x.db'}"},
    )


@pytest.mark.parametrize(
    "entry",
    [
        DECIDED,
        replace(DECIDED, client=None),
        replace(DECIDED, hook_instance=""),
        replace(DECIDED, determinations="[]"),
    ],
    ids=["a client's", "in development", "without a hook instance", "nothing in scope"],
)
def test_each_decision_is_a_valid_audit_event(entry: object) -> None:
    event = audit_event(entry)  # type: ignore[arg-type]

    AuditEvent.model_validate(event)


def test_it_says_who_asked_and_what_each_policy_said() -> None:
    event = audit_event(DECIDED)

    requestor = next(agent for agent in event["agent"] if agent["requestor"])
    policy = event["entity"][-1]
    assert event["id"] == DECIDED.id
    assert event["recorded"] == "2026-11-22T09:30:15.000+00:00"
    assert requestor["who"] == {"display": "sandbox"}
    assert policy["what"]["identifier"]["value"] == TOLD["policy"]
    assert {each["type"]: each["valueString"] for each in policy["detail"]} == {
        "card": "c1",
        "status": "final",
        "outcome": "eligible",
    }
    assert event["entity"][0]["what"]["identifier"]["value"] == DECIDED.hook_instance


def test_it_says_nothing_of_what_is_known_about_the_patient() -> None:
    assert "breastCancer" not in json.dumps(audit_event(DECIDED))


def test_every_decision_of_the_log_is_written_out_from_a_day_on(tmp_path: Path) -> None:
    write_set(tmp_path / "plans", "1")
    settings = Settings(plans=(tmp_path / "plans",), database_url=f"sqlite:///{tmp_path / 'x.db'}")
    with TestClient(create_app(settings)) as service:
        for _ in range(3):
            assert service.post(HOOK, json=asked()).status_code == 200

    result = exported(tmp_path, "--since", "2020-01-01")

    assert result.exit_code == 0, result.output
    assert result.output.startswith("3 decisions written to ")
    lines = (tmp_path / "audit.ndjson").read_text().splitlines()
    assert len({AuditEvent.model_validate_json(line).id for line in lines}) == 3
    assert exported(tmp_path, "--since", "2999-01-01").output.startswith("0 decisions")
    assert (tmp_path / "audit.ndjson").read_text() == ""


def test_a_log_that_cannot_be_read_leaves_an_earlier_export_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "audit.ndjson").write_text("earlier")
    (tmp_path / "x.db").write_text("no database")

    result = exported(tmp_path)

    assert result.exit_code == 1
    assert "cds-service: " in result.output
    assert (tmp_path / "audit.ndjson").read_text() == "earlier"
    assert [each.name for each in tmp_path.iterdir() if "unfinished" in each.name] == []
