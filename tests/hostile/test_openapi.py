"""The description of the service is true: every route stands in it, and schemathesis finds it kept."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient

from cds_service.app import create_app
from cds_service.fhir_api.artefacts import SERVED_TYPES
from cds_service.routes.openapi import openapi_document
from cds_service.settings import Settings
from tests.hostile.closed_service import prepared
from tests.running_service import ROOT, running_service

EXAMPLES = int(os.environ.get("HOSTILE_CASES_EACH", "1"))
"""How many cases each operation is fuzzed with, beyond those that cover its description; 150 before a release."""
LEAST_CASES = 200
# For people and their browsers; and what development mode adds.
OF_BROWSERS = re.compile(
    r"/|/policies.*|/static/.*|/launch.*|/form.*|/try.*|/development.*|/docs.*|/redoc|/decisions|/safety.*"
)
# A search may be posted too, and what is not offered is refused by name.
OF_FHIR = re.compile(r"/fhir/\{resource_type\}.*")


def routes(app: FastAPI) -> Iterator[str]:
    """The paths that software calls, as the description writes them."""
    for context in iter_route_contexts(app.routes):
        path = context.path or ""
        if not OF_BROWSERS.fullmatch(path) and not OF_FHIR.fullmatch(path):
            yield (
                path.replace("{service_id}", "procedure-funding")
                .replace("{resource_id}", "{id}")
                .replace("{decision_id}", "{id}")
            )


def test_every_route_that_software_calls_is_described(configured: Settings) -> None:
    described = openapi_document("https://cds.example", closed=True)["paths"]

    assert set(routes(create_app(configured))) - described.keys() == set()


def test_the_description_is_served(configured: Settings) -> None:
    with TestClient(create_app(configured)) as client:
        served = client.get("/openapi.json").json()

    assert served == openapi_document(configured.public_url, closed=False)


@pytest.mark.parametrize("closed", [True, False])
def test_only_a_closed_service_asks_for_tokens(closed: bool) -> None:
    paths = openapi_document("https://cds.example", closed=closed)["paths"]
    asking = {path for path, methods in paths.items() for each in methods.values() if "security" in each}

    assert ("/cds-services/procedure-funding" in asking) is closed
    assert ("/fhir/Questionnaire/$populate" in asking) is closed
    assert "/fhir/Questionnaire/{id}" not in asking
    assert "/livez" not in asking


@pytest.mark.parametrize("resource_type", SERVED_TYPES)
def test_an_id_that_is_an_operations_name_is_refused_as_described(
    configured: Settings, resource_type: str
) -> None:
    described = openapi_document("https://cds.example", closed=False)["paths"]
    with TestClient(create_app(configured)) as client:
        answer = client.get(f"/fhir/{resource_type}/$")

    assert answer.status_code == 405
    assert "405" in described[f"/fhir/{resource_type}/{{id}}"]["get"]["responses"]


def test_selections_are_described_for_the_one_hook_that_looks_at_them() -> None:
    requests = openapi_document("https://cds.example", closed=False)["components"]["schemas"]["HookRequest"]

    assert {
        each["properties"]["hook"]["const"]: "selections" in each["properties"]["context"]["properties"]
        for each in requests["anyOf"]
    } == {"order-select": True, "order-sign": False}


def test_schemathesis_finds_the_description_kept(tmp_path: Path) -> None:
    key, clients, description = prepared(tmp_path)
    with running_service(tmp_path / "service.db", lambda: datetime.now(UTC), clients=clients) as url:
        description.write_text(json.dumps(openapi_document(url, closed=True)))
        command = [
            str(Path(sys.executable).with_name("schemathesis")),
            f"--config-file={Path(__file__).with_name('schemathesis.toml')}",
            "run",
            str(description),
            f"--url={url}",
            "--checks=all",
            f"--max-examples={EXAMPLES}",
            "--continue-on-failure",
            "--request-timeout=10",
            "--no-color",
        ]
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SCHEMATHESIS_HOOKS": "tests.hostile.tokens_for_schemathesis",
            "HOSTILE_KEY": str(key),
            "HOSTILE_PUBLIC_URL": url,
        }
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)  # noqa: S603

    told = done.stdout.decode()
    assert done.returncode == 0, told[-6_000:]
    cases = re.search(r"(\d+) generated", told)
    assert cases is not None
    assert int(cases[1]) >= LEAST_CASES
    print(f"schemathesis: {cases[0]}, none of them a failure")
