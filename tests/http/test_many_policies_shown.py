"""Of thousands of policies those that somebody asks for are built, and no others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import overload

import pytest
from fastapi.testclient import TestClient

from cds_service.app import create_app
from cds_service.policies.library import load_library
from cds_service.policies.loading.processes import MANY
from cds_service.policies.policy import Policy
from cds_service.settings import Settings
from cds_service.web.policy_pages import MOST_SHOWN
from tests.plan_folders import CPT, OURS, boolean, rule, write_organizations, write_plan

COUNT = MANY + 20


class Asked(Sequence[Policy]):
    """The policies of a set, and which of them were asked for."""

    def __init__(self, policies: Sequence[Policy]) -> None:
        self._policies = policies
        self.places: set[int] = set()

    def __len__(self) -> int:
        return len(self._policies)

    @overload
    def __getitem__(self, place: int) -> Policy: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Policy]: ...
    def __getitem__(self, place: int | slice) -> Policy | Sequence[Policy]:
        self.places.update(range(len(self))[place] if isinstance(place, slice) else [place])
        return self._policies[place]


def name_of(number: int) -> str:
    return f"policy-{number:03}"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, Asked]]:
    """A service that decides by many policies, and which of them were built."""
    folder = tmp_path_factory.mktemp("many")
    write_organizations(folder / "plans", "a", "b")
    rules = [rule("yes", "eligible", "%shown"), rule("no", "not-normally-funded")]
    for number in range(COUNT):
        code, payer = f"{10_000 + number}", "ab"[number % 2]
        write_plan(folder / "plans", name_of(number), rules, [boolean("shown")], code, payer)
    library = load_library([folder / "plans"])
    asked = Asked(library.policies)
    app = create_app(
        Settings(plans=(folder / "plans",), database_url=f"sqlite:///{folder}/decisions.db"),
        clock=lambda: datetime(2026, 11, 22, 12, tzinfo=UTC),
    )
    with TestClient(app) as client:
        app.state.service.library = replace(library, policies=asked)
        yield client, asked


@pytest.fixture
def client(service: tuple[TestClient, Asked]) -> TestClient:
    return service[0]


@pytest.fixture
def built(service: tuple[TestClient, Asked]) -> set[int]:
    """The places of the policies that were asked for since the test began."""
    service[1].places.clear()
    return service[1].places


@pytest.mark.parametrize("kind", ["PlanDefinition", "Questionnaire"])
def test_one_artefact_that_is_read_is_the_only_one_that_is_built(
    client: TestClient, built: set[int], kind: str
) -> None:
    found = client.get(f"/fhir/{kind}/{name_of(7)}").json()
    assert (found["id"], found["url"]) == (name_of(7), f"{OURS}/{kind}/{name_of(7)}")
    assert built == {7}


def test_a_search_builds_what_its_page_shows(client: TestClient, built: set[int]) -> None:
    # Of what is kept as it is served nothing need be built again: each test looks at others.
    bundle = client.get("/fhir/PlanDefinition", params={"title": "policy POLICY-03", "_count": 2}).json()
    assert [each["resource"]["id"] for each in bundle["entry"]] == [name_of(30), name_of(31)]
    assert bundle["total"] == 10
    assert built == {30, 31}


def test_counting_builds_nothing(client: TestClient, built: set[int]) -> None:
    found = client.get("/fhir/Questionnaire", params={"status": "active", "_summary": "count"}).json()
    assert found["total"] == COUNT
    assert built == set()


@pytest.mark.parametrize("kind", ["PlanDefinition", "Questionnaire"])
@pytest.mark.parametrize("name", ["_id", "url", "version", "status", "title"])
def test_what_an_artefact_is_found_by_is_what_it_says(client: TestClient, kind: str, name: str) -> None:
    resource = client.get(f"/fhir/{kind}/{name_of(11)}").json()
    value = resource[name.removeprefix("_")]
    for asked, total in ((value, 1 if name in {"_id", "url", "title"} else COUNT), (f"{value}x", 0)):
        found = client.get(f"/fhir/{kind}", params={name: asked, "_count": 100, "_elements": "id"}).json()
        assert found["total"] == total
        assert (name_of(11) in {each["resource"]["id"] for each in found.get("entry", ())}) == (total > 0)


def test_a_policys_page_builds_that_policy(client: TestClient, built: set[int]) -> None:
    assert f"Policy {name_of(50)}" in client.get(f"/policies/{name_of(50)}").text
    assert client.get(f"/policies/{name_of(50)}", params={"version": "2"}).status_code == 404
    assert client.get("/policies/none").status_code == 404
    assert built == {50}


def test_an_operation_on_one_form_builds_its_policy(client: TestClient, built: set[int]) -> None:
    found = client.get(f"/fhir/PlanDefinition/{name_of(60)}/$data-requirements")
    assert found.status_code == 200
    body = {
        "resourceType": "Parameters",
        "parameter": [{"name": "subject", "valueReference": {"reference": "Patient/1"}}],
    }
    assert client.post(f"/fhir/Questionnaire/{name_of(61)}/$populate", json=body).status_code == 200
    assert built == {60, 61}


def test_a_value_set_that_another_policy_has_builds_that_one(client: TestClient, built: set[int]) -> None:
    form = {
        "resourceType": "Questionnaire",
        "status": "active",
        "item": [
            {
                "linkId": "code",
                "type": "choice",
                "text": "Which?",
                "answerValueSet": f"{OURS}/ValueSet/{name_of(70)}-orders",
            }
        ],
    }
    response = {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "item": [{"linkId": "code", "answer": [{"valueCoding": {"system": CPT, "code": "10070"}}]}],
    }
    body = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "resource", "resource": response},
            {"name": "questionnaire", "resource": form},
        ],
    }
    found = client.post("/fhir/QuestionnaireResponse/$validate", json=body).json()
    assert [each["severity"] for each in found["issue"]] == ["information"]
    assert built == {70}


def test_the_library_shows_the_first_of_many_and_says_so(client: TestClient, built: set[int]) -> None:
    page = client.get("/").text
    assert f"{COUNT} policies. The first {MOST_SHOWN} are shown" in page
    assert page.count('<li class="app-policy">') == MOST_SHOWN
    # By funder: all of the first one's, the beginning of the other's.
    assert built == {*range(0, COUNT, 2), *list(range(1, COUNT, 2))[: MOST_SHOWN - COUNT // 2]}


@pytest.mark.parametrize("question", ["10033", f"  {name_of(33)} ", f"b POLICY {name_of(33)}"])
def test_a_search_of_the_library_builds_what_it_finds(
    client: TestClient, built: set[int], question: str
) -> None:
    page = client.get("/", params={"q": question}).text
    assert f"1 of {COUNT} policies match" in page
    assert "are shown" not in page
    assert f"Policy {name_of(33)}" in page
    assert built == {33}


def test_a_search_of_the_library_that_finds_nothing_builds_nothing(
    client: TestClient, built: set[int]
) -> None:
    assert f"0 of {COUNT} policies match" in client.get("/", params={"q": "none of these"}).text
    assert built == set()
