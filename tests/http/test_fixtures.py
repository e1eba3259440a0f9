"""Every example request, on both hooks, through the running service; and every order code of the payer's policy."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from cds_service.app import create_app
from cds_service.settings import Settings
from tests.hook_requests import bundle, everything_read, hook_request, order
from tests.plan_folders import CPT, coverage

ROOT = Path(__file__).parents[2]
HOOK = "/cds-services/procedure-funding"
CODE_MAP = ROOT.parent / "shared" / "codes" / "seed004-code-clause-map.csv"
COVERAGE_CLASS = "http://terminology.hl7.org/CodeSystem/coverage-class"
HCPCS = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"

# What each request of fhir_fixtures/hooks is answered with: the outcome of each card, "open" for undetermined.
OUTCOMES: dict[str, list[str]] = {
    "central-east-funded-reconstruction": ["eligible"],
    "central-east-not-normally-funded": ["not-normally-funded"],
    "central-east-redirect-to-breast-reduction": ["redirect"],
    "central-east-undetermined-without-a-reason": ["open"],
    "centene-eligible-reconstruction-after-mastectomy": ["eligible"],
    "centene-ifr-ruptured-implant": ["ifr-required"],
    "centene-not-normally-funded-abdominoplasty": ["not-normally-funded"],
    "centene-redirect-medicare": ["redirect"],
    "centene-undetermined-panniculectomy-asks-about-function": ["open"],
    "centene-waits-for-records-panniculectomy": ["open"],
    "commissioner-unknown-practice-outside-the-directory": ["open"],
    "derby-100-resources": ["open"],
    "derby-eligible-by-answers": ["eligible"],
    "derby-ifr-after-dont-know": ["ifr-required"],
    "derby-ifr-symmetry-limit-reached": ["ifr-required"],
    "derby-not-normally-funded": ["not-normally-funded"],
    "derby-undetermined-asks-three-questions": ["open"],
    "derby-undetermined-asks-two-questions": ["open"],
    "lancashire-suspected-cancer": [],
    "lancashire-with-overlay-suggests-community": [],
    "nmbra-all-recorded": [],
    "nmbra-items-outstanding": ["advice"],
    "two-orders-one-selected": ["open"],
    "two-orders-the-other-selected": [],
    "us-order-in-no-plan": [],
}
REFUSED = {"without-prefetch": 412}
# The same with the example deployer's lists laid over the plans.
OVERLAID: dict[str, list[str]] = {
    "lancashire-suspected-cancer": [],
    "lancashire-with-overlay-suggests-community": ["advice"],
    "derby-eligible-by-answers": ["eligible"],
}


def said(cards: list[dict[str, Any]]) -> list[str]:
    found = [card["extension"]["cds-service.determination"] for card in cards]
    return [each.get("outcome", "open") for each in found]


def request_of(name: str) -> dict[str, Any]:
    request: dict[str, Any] = json.loads((ROOT / "fhir_fixtures" / "hooks" / f"{name}.json").read_text())
    return request


def on_hook(request: dict[str, Any], hook: str) -> dict[str, Any]:
    """The same request on a hook: signing is for the selected orders alone."""
    context = dict(request["context"])
    selections = context.pop("selections", None)
    drafts = context["draftOrders"]
    entries = [
        entry
        for entry in drafts["entry"]
        if selections is None
        or f"{entry['resource']['resourceType']}/{entry['resource']['id']}" in selections
    ]
    context["draftOrders"] = {**drafts, "entry": entries}
    if hook == "order-select":
        context["selections"] = [f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in entries]
    return {**request, "hook": hook, "context": context}


@pytest.mark.parametrize("hook", ["order-select", "order-sign"])
@pytest.mark.parametrize("name", OUTCOMES)
def test_an_example_request_is_answered_as_its_name_says(client: TestClient, name: str, hook: str) -> None:
    answer = client.post(HOOK, json=on_hook(request_of(name), hook))

    assert answer.status_code == 200, answer.text
    assert said(answer.json()["cards"]) == OUTCOMES[name]


@pytest.mark.parametrize("name", REFUSED)
def test_an_example_request_that_cannot_be_answered_is_refused(client: TestClient, name: str) -> None:
    assert client.post(HOOK, json=request_of(name)).status_code == REFUSED[name]


def test_every_example_request_is_tried() -> None:
    names = {file.stem for file in (ROOT / "fhir_fixtures" / "hooks").glob("*.json")}

    assert names == OUTCOMES.keys() | REFUSED.keys()


@pytest.fixture
def overlaid(configured: Settings) -> TestClient:
    """The service with the example deployer's lists laid over the plans."""
    folders = (*configured.plans, ROOT / "fhir_fixtures" / "overlays")
    return TestClient(create_app(configured.model_copy(update={"plans": folders})))


@pytest.mark.parametrize("name", OVERLAID)
def test_a_deployers_lists_switch_the_pathway_on(overlaid: TestClient, name: str) -> None:
    with overlaid as client:
        assert said(client.post(HOOK, json=request_of(name)).json()["cards"]) == OVERLAID[name]


def payer_order(code: str) -> dict[str, Any]:
    """A hook request for one code of a patient of the payer, commercial."""
    plan = {
        "class": [{"type": {"coding": [{"system": COVERAGE_CLASS, "code": "plan"}]}, "value": "commercial"}]
    }
    system = CPT if code.isdigit() else HCPCS
    return hook_request(
        order(code, system),
        **everything_read(
            patient={"resourceType": "Patient", "id": "p1"},
            coverages=bundle(coverage("centene", **plan)),
            documents=bundle(),
        ),
    )


def payer_codes() -> list[str]:
    if not CODE_MAP.exists():
        return []
    with CODE_MAP.open() as file:
        return sorted({row["code"] for row in csv.DictReader(file)})


@pytest.mark.skipif(not CODE_MAP.exists(), reason="the code map lies beside the project, not in it")
def test_every_code_of_the_payers_policy_reaches_a_card(client: TestClient) -> None:
    codes = payer_codes()

    silent = [code for code in codes if not client.post(HOOK, json=payer_order(code)).json()["cards"]]

    assert len(codes) == 115
    assert silent == []


@pytest.mark.skipif(not CODE_MAP.exists(), reason="the code map lies beside the project, not in it")
def test_no_code_is_reached_by_a_longer_or_shorter_one(client: TestClient) -> None:
    codes = set(payer_codes())
    near = sorted({each for code in codes for each in (code + "0", code[:-1], code[:-1] + "X")} - codes)

    answered = [code for code in near if client.post(HOOK, json=payer_order(code)).json()["cards"]]

    assert answered == []
