"""Decisions looked up again: explained as JSON and on a page, and replayed from their rows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from cds_service.app import create_app
from cds_service.policies.library import load_library
from cds_service.replaying import Counts, purged, replayed
from cds_service.settings import Settings
from tests.running_service import NOON, ROOT

HOOK = "/cds-services/procedure-funding"
HOOKS = sorted((ROOT / "fhir_fixtures" / "hooks").glob("*.json"))
OVERLAYS = ROOT / "fhir_fixtures" / "overlays"


def cards_of(client: TestClient, name: str) -> list[dict[str, Any]]:
    request = (ROOT / "fhir_fixtures" / "hooks" / f"{name}.json").read_bytes()
    found: list[dict[str, Any]] = client.post(HOOK, content=request).json()["cards"]
    return found


def explained(client: TestClient, name: str) -> dict[str, Any]:
    card = cards_of(client, name)[0]
    told: dict[str, Any] = client.get(f"/decisions/{card['uuid']}").json()
    return next(each for each in told["determinations"] if each["id"] == card["uuid"])


def test_a_decision_says_its_rule_and_what_would_have_changed_it(client: TestClient) -> None:
    told = explained(client, "derby-not-normally-funded")

    assert told["rules"][0]["title"] == "Mastopexy: not normally funded by NHS Derby and Derbyshire"
    changes = {change["facts"][0]["criterion"]: change["outcomes"] for change in told["wouldHaveChangedIt"]}
    assert changes["exceptional"] == ["ifr-required"]


def test_an_open_decision_says_what_is_outstanding(client: TestClient) -> None:
    told = explained(client, "derby-undetermined-asks-two-questions")

    assert told["outstanding"] == ["reconstructionPurpose", "priorSymmetryOperations"]
    assert told["wouldHaveChangedIt"] == []


def test_a_page_tells_the_decision_to_a_person(client: TestClient) -> None:
    card = cards_of(client, "derby-not-normally-funded")[0]

    page = client.get(f"/decisions/{card['uuid']}", headers={"Accept": "text/html"})

    assert page.headers["content-type"].startswith("text/html")
    assert "What would have changed it" in page.text
    assert "derby-no-cancer" not in page.text


def test_a_decision_that_nobody_made_is_not_found(client: TestClient) -> None:
    assert client.get("/decisions/00000000-0000-4000-8000-000000000000").status_code == 404


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(plans=(ROOT / "plans", OVERLAYS), database_url=f"sqlite:///{tmp_path / 'decisions.db'}")


@pytest.fixture
def log(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings, lambda: NOON)) as client:
        yield client


def test_every_fixture_is_decided_alike_from_its_row(settings: Settings, log: TestClient) -> None:
    answers = [log.post(HOOK, content=file.read_bytes()) for file in HOOKS]
    written = sum(answer.status_code == 200 for answer in answers)
    said: list[str] = []

    counts = asyncio.run(replayed(settings, load_library(settings.plans), None, None, said.append))

    assert said == []
    assert counts == Counts(same=written)


def test_a_policy_that_changed_is_told_with_what_it_would_say_now(
    tmp_path: Path, settings: Settings, log: TestClient
) -> None:
    card = cards_of(log, "derby-not-normally-funded")[0]
    plans = tmp_path / "plans"
    plan = plans / "derby-mastopexy"
    plan.mkdir(parents=True)
    for folder in ("ifr-request", "organizations.json"):
        (plans / folder).symlink_to(ROOT / "plans" / folder)
    for file in (ROOT / "plans" / "derby-mastopexy").glob("*.json"):
        changed = file.read_text().replace("not-normally-funded", "ifr-required")
        (plan / file.name).write_text(changed)
    said: list[str] = []

    counts = asyncio.run(replayed(settings, load_library((plans,)), card["uuid"], None, said.append))

    assert counts == Counts(different=1, of_another_set=1)
    assert any("outcome: it said not-normally-funded; now ifr-required" in words for words in said)


def test_what_is_kept_long_enough_is_removed(settings: Settings, log: TestClient) -> None:
    card = cards_of(log, "derby-not-normally-funded")[0]

    removed = asyncio.run(purged(settings, NOON.replace(year=2027)))

    assert removed["decisions"] == 1
    assert log.get(f"/decisions/{card['uuid']}").status_code == 404


def test_nothing_of_the_patient_is_in_a_row(settings: Settings, log: TestClient) -> None:
    patients = [json.loads(file.read_text()) for file in (ROOT / "fhir_fixtures" / "patients").glob("*.json")]
    names = {
        part
        for bundle in patients
        for entry in bundle.get("entry", [{"resource": bundle}])
        for name in entry["resource"].get("name", ())
        if isinstance(name, dict)
        for part in (name.get("family"), *name.get("given", ()))
        # Shorter ones are in any bytes.
        if part and len(part) > 3
    }
    assert names
    for file in HOOKS:
        log.post(HOOK, content=file.read_bytes())

    database = b"".join(
        file.read_bytes()
        for file in Path(settings.database_url.removeprefix("sqlite:///")).parent.glob("decisions.db*")
    )

    assert [name for name in names if name.encode() in database] == []
