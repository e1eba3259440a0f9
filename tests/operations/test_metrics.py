"""What Prometheus reads: how often what was decided, and nothing of whom."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from cds_service.app import create_app
from cds_service.operations.metrics import read_fault
from cds_service.record import reads
from cds_service.record.reading import breaker
from cds_service.settings import Settings
from tests.operations.processes import served
from tests.operations.sets import HOOK, asked, write_set
from tests.trust.tokens import ISSUER, jwk

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HERE = ("127.0.0.1", 50_000)
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    write_set(tmp_path / "plans", "1")
    return Settings(plans=(tmp_path / "plans",), database_url=f"sqlite:///{tmp_path / 'x.db'}")


@pytest.fixture
def service(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings, clock=lambda: NOW), client=HERE) as client:
        yield client


def samples(text: str) -> Samples:
    """Every sample by its name and labels."""
    families = text_string_to_metric_families(text)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def count(service: TestClient, name: str, **labels: str) -> float:
    """The value of one sample; 0 where there is none yet."""
    return samples(service.get("/metrics").text).get((name, frozenset(labels.items())), 0)


def test_determinations_are_counted_by_policy_and_outcome(service: TestClient) -> None:
    for _ in range(3):
        service.post(HOOK, json=asked())

    counted = {"policy": "of-a", "version": "1"}
    assert count(service, "cds_determinations_total", **counted, outcome="undetermined") == 3
    assert count(service, "cds_undetermined_total", **counted, reason="not-recorded") == 3
    assert count(service, "cds_hook_seconds_count") == 3
    assert count(service, "cds_hook_seconds_bucket", le="0.45") <= 3
    assert count(service, "cds_hook_seconds_bucket", le="0.5") <= 3
    assert count(service, "cds_store_commit_seconds_count") >= 3


def test_what_became_of_a_card_is_counted_once_however_often_it_is_told(service: TestClient) -> None:
    card = service.post(HOOK, json=asked()).json()["cards"][0]["uuid"]
    told = {"feedback": [{"card": card, "outcome": "overridden", "outcomeTimestamp": NOW.isoformat()}]}

    for _ in range(2):
        assert service.post(f"{HOOK}/feedback", json=told).status_code == 200

    assert count(service, "cds_card_feedback_total", outcome="overridden") == 1


def test_a_query_that_a_server_did_not_answer_is_counted_by_its_fault(service: TestClient) -> None:
    request = asked()
    del request["prefetch"]["coverages"]
    # Port 9 of this machine: nobody listens there.
    request |= {"fhirServer": "http://127.0.0.1:9/fhir"}

    service.post(HOOK, json=request)

    assert count(service, "cds_record_read_faults_total", kind="unreachable") == 1


def test_the_condition_of_the_service_is_told(service: TestClient, tmp_path: Path) -> None:
    digest = service.get("/readyz").json()["set"]
    assert count(service, "cds_policy_set_info", digest=digest) == 1
    assert count(service, "cds_policies") == 2
    assert count(service, "cds_ready") == 1
    assert count(service, "cds_hooks_in_flight") == 0

    write_set(tmp_path / "plans", "2", broken=True)
    service.post("/admin/reload")

    assert count(service, "cds_policy_set_info", digest=digest) == 1
    assert count(service, "cds_reloads_total", result="refused") == 1
    assert count(service, "cds_last_reload_good") == 0
    assert count(service, "cds_last_reload_timestamp_seconds") == NOW.timestamp()

    write_set(tmp_path / "plans", "2")
    service.post("/admin/reload")

    assert count(service, "cds_policy_set_info", digest=digest) == 0
    assert count(service, "cds_reloads_total", result="good") == 1
    assert count(service, "cds_last_reload_good") == 1


def test_a_service_without_policies_says_so_in_its_metrics(settings: Settings, tmp_path: Path) -> None:
    write_set(tmp_path / "plans", "1", broken=True)
    with TestClient(create_app(settings, clock=lambda: NOW)) as service:
        assert count(service, "cds_ready") == 0
        assert count(service, "cds_policies") == 0


def test_callers_who_are_not_known_are_counted(settings: Settings, tmp_path: Path) -> None:
    client = {"name": "a", "issuer": ISSUER, "algorithms": ["ES384"], "jwks": {"keys": [jwk("P-384")]}}
    (tmp_path / "clients.json").write_text(json.dumps({"clients": [client]}))
    closed = settings.model_copy(update={"clients": tmp_path / "clients.json"})

    with TestClient(create_app(closed, clock=lambda: NOW)) as service:
        assert service.post(HOOK, json=asked()).status_code == 401

        assert count(service, "cds_rejected_clients_total") == 1


def test_no_metric_tells_of_a_patient_or_an_order(service: TestClient) -> None:
    request = asked()
    service.post(HOOK, json=request)

    text = service.get("/metrics").text

    ids = re.findall(r'"(?:id|patientId|userId|hookInstance)": "([^"]+)"', json.dumps(request))
    assert ids
    assert [each for each in ids if len(each) > 2 and each in text] == []


def test_two_services_in_one_process_count_by_themselves(service: TestClient, settings: Settings) -> None:
    service.post(HOOK, json=asked())

    with TestClient(create_app(settings, clock=lambda: NOW)) as other:
        assert count(other, "cds_hook_seconds_count") == 0


def test_workers_that_share_a_folder_are_counted_together(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "metrics").mkdir()
    (tmp_path / "other").mkdir()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "metrics"))

    with (
        served(tmp_path, plans=tmp_path / "plans") as one,
        served(tmp_path / "other", plans=tmp_path / "plans") as two,
    ):
        for each in (one, two, two):
            httpx.post(each.url + HOOK, json=asked())
        told = [samples(httpx.get(f"{each.url}/metrics").text) for each in (one, two)]

    assert [each["cds_hook_seconds_count", frozenset()] for each in told] == [3, 3]


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (reads.LATE, "late"),
        (breaker.FAILED_LATELY, "failed"),
        (breaker.BUSY_LATELY, "busy"),
        (reads._REASONS[401], "refused"),
        (reads._REASONS[403], "refused"),
        (reads._REASONS[429], "busy"),
        (reads._REASONS[410], "unusable"),
        ("the server failed", "failed"),
        ("cut off after 3 pages", "cut-off"),
        ("something that nobody has thought of", "unusable"),
    ],
)
def test_faults_of_reading_are_of_few_kinds(words: str, kind: str) -> None:
    assert read_fault(words) == kind
