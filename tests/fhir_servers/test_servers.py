"""What our reader relies on, asked of servers that others wrote."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from tests.fhir_servers import FhirServer, fixture_bundles
from tests.fhir_servers.fixtures import or_skipped
from tests.fhir_servers.medplum import medplum_server

BUNDLES = list(fixture_bundles())
PATIENT_IDS = [bundle["entry"][0]["resource"]["id"] for bundle in BUNDLES]
# The search parameter `patient` exists for each of these.
SEARCHED = ("Encounter", "Condition", "Procedure", "Observation", "Coverage", "DocumentReference")


@pytest.fixture(scope="session")
def client(fhir_server: FhirServer) -> Iterator[httpx.Client]:
    with fhir_server.client() as client:
        yield client


@pytest.fixture
def patient_id(fhir_server: FhirServer) -> str:
    """A patient nobody else's test sees: what is written for one must not change another's determination."""
    patient = {"resourceType": "Patient", "id": f"written-{uuid4().hex}", "active": True}
    fhir_server.load({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient}]})
    return patient["id"]  # type: ignore[return-value]


def resources(bundle: dict[str, Any], resource_type: str) -> dict[str, Any]:
    found = (entry["resource"] for entry in bundle.get("entry", []))
    return {resource["id"]: resource for resource in found if resource["resourceType"] == resource_type}


def got(client: httpx.Client, url: str) -> Any:
    return client.get(url).raise_for_status().json()


def without_meta(resource: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if name not in {"meta", "text"}}


def pages(client: httpx.Client, url: str) -> Iterator[dict[str, Any]]:
    following: str | None = url
    while following:
        page = got(client, following)
        yield page
        following = next((link["url"] for link in page.get("link", []) if link["relation"] == "next"), None)


@pytest.mark.parametrize("bundle", BUNDLES, ids=PATIENT_IDS)
def test_a_fixture_patient_is_read_by_its_own_id(client: httpx.Client, bundle: dict[str, Any]) -> None:
    patient = bundle["entry"][0]["resource"]

    answer = got(client, f"/Patient/{patient['id']}")

    assert without_meta(answer) == without_meta(patient)


@pytest.mark.parametrize("resource_type", SEARCHED)
@pytest.mark.parametrize("bundle", BUNDLES, ids=PATIENT_IDS)
def test_a_search_by_the_bare_patient_id_finds_exactly_the_fixtures(
    client: httpx.Client, bundle: dict[str, Any], resource_type: str
) -> None:
    patient_id = bundle["entry"][0]["resource"]["id"]

    answer = got(client, f"/{resource_type}?patient={patient_id}&_count=200")

    found, expected = resources(answer, resource_type), resources(bundle, resource_type)
    assert {name: without_meta(each) for name, each in found.items()} == {
        name: without_meta(each) for name, each in expected.items()
    }


def test_entries_say_where_they_are_and_that_they_match(
    fhir_server: FhirServer, client: httpx.Client
) -> None:
    answer = got(client, "/Condition?patient=derby-after-mastectomy")

    for entry in answer["entry"]:
        assert entry["fullUrl"] == f"{fhir_server.base_url}/Condition/{entry['resource']['id']}"
        assert entry["search"]["mode"] == "match"


@pytest.mark.parametrize("count", [1, 2, 3])
def test_small_pages_together_are_the_whole(
    fhir_server: FhirServer, client: httpx.Client, count: int
) -> None:
    whole = resources(got(client, "/Condition?patient=derby-after-mastectomy&_count=200"), "Condition")
    assert len(whole) > count

    ids = []
    for page in pages(client, f"/Condition?patient=derby-after-mastectomy&_count={count}"):
        found = resources(page, "Condition")
        assert len(found) <= count
        ids += list(found)

    assert sorted(ids) == sorted(whole)


def test_the_next_page_is_on_the_same_server_and_base(fhir_server: FhirServer, client: httpx.Client) -> None:
    page = got(client, "/Condition?patient=derby-after-mastectomy&_count=1")

    following = urlsplit(next(link["url"] for link in page["link"] if link["relation"] == "next"))

    base = urlsplit(fhir_server.base_url)
    assert (following.scheme, following.netloc) == (base.scheme, base.netloc)
    assert following.path.startswith(base.path)


def test_a_last_page_has_no_next(client: httpx.Client) -> None:
    page = got(client, "/Condition?patient=derby-after-mastectomy&_count=200")

    assert "next" not in [link["relation"] for link in page["link"]]


@pytest.mark.parametrize(("sort", "reverse"), [("date", False), ("-date", True)])
def test_procedures_are_sorted_by_date(client: httpx.Client, sort: str, reverse: bool) -> None:
    answer = got(client, f"/Procedure?patient=derby-earlier-symmetry-operation&_sort={sort}")

    dates = [performed(each) for each in resources(answer, "Procedure").values()]
    assert len(dates) > 1
    assert dates == sorted(dates, reverse=reverse)


def test_of_two_sort_rules_the_first_comes_first(
    fhir_server: FhirServer, client: httpx.Client, patient_id: str
) -> None:
    performances = [("in-progress", "2024-01-01"), ("completed", "2022-01-01"), ("completed", "2023-01-01")]
    procedures = [procedure(patient_id, status, day) for status, day in performances]
    fhir_server.load({"entry": [{"resource": each} for each in procedures]})

    answer = got(client, f"/Procedure?patient={patient_id}&_sort=status,-date")

    sorted_ids = [each["id"] for each in (procedures[2], procedures[1], procedures[0])]
    assert list(resources(answer, "Procedure")) == sorted_ids


def procedure(patient_id: str, status: str, day: str) -> dict[str, Any]:
    return {
        "resourceType": "Procedure",
        "id": f"{patient_id[:40]}-{day}",
        "status": status,
        "subject": {"reference": f"Patient/{patient_id}"},
        "performedDateTime": day,
    }


def performed(operation: dict[str, Any]) -> str:
    start: str = operation.get("performedDateTime") or operation["performedPeriod"]["start"]
    return start


def test_a_search_by_date_keeps_the_day_and_drops_the_day_before(
    client: httpx.Client, fhir_server: FhirServer
) -> None:
    search = "/Procedure?patient=derby-earlier-symmetry-operation"
    dated = {name: performed(each) for name, each in resources(got(client, search), "Procedure").items()}
    last = max(dated.values())[:10]

    answer = got(client, f"{search}&date=ge{last}")

    assert set(resources(answer, "Procedure")) == {name for name, day in dated.items() if day[:10] >= last}


def test_a_search_by_code_tells_right_from_near(client: httpx.Client) -> None:
    search = "/Condition?patient=derby-after-mastectomy"
    first, *_ = resources(got(client, search), "Condition").values()
    coding = first["code"]["coding"][0]

    right = got(client, f"{search}&code={coding['system']}|{coding['code']}")
    near = got(client, f"{search}&code={coding['system']}|{coding['code']}0")

    assert first["id"] in resources(right, "Condition")
    assert resources(near, "Condition") == {}


def test_an_unknown_patient_has_nothing_and_no_record(client: httpx.Client) -> None:
    assert client.get("/Patient/nobody-of-the-fixtures").status_code == 404
    assert resources(got(client, "/Condition?patient=nobody-of-the-fixtures"), "Condition") == {}


def test_an_unknown_search_parameter_is_refused_with_an_operation_outcome(client: httpx.Client) -> None:
    answer = client.get("/Condition?patient=derby-no-cancer&colour=green")

    assert answer.status_code == 400
    assert answer.json()["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize("url", ["/Patient/derby-no-cancer", "/Condition?patient=derby-no-cancer"])
def test_a_wrong_token_is_refused(fhir_server: FhirServer, url: str) -> None:
    if fhir_server.token is None:
        pytest.skip(f"{fhir_server.name} at {fhir_server.base_url} takes requests without a token")

    with fhir_server.client("another") as client:
        answer = client.get(url)

    assert answer.status_code == 401
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_the_log_tells_a_request_with_a_token_from_one_without(fhir_server: FhirServer) -> None:
    if fhir_server.control_url is None:
        pytest.skip(f"{fhir_server.name} at {fhir_server.base_url} has no request log")
    marker = uuid4().hex
    url = f"{fhir_server.base_url}/Condition?patient={marker}"

    with fhir_server.client() as client:
        client.get(url)
    httpx.get(url, trust_env=False)

    lines = [line for line in fhir_server.log() if marker in line["path"]]
    assert [(line["method"], line["token"], line["status"]) for line in lines] == [
        ("GET", True, 200),
        ("GET", False, 401),
    ]


def test_a_questionnaire_response_written_is_read_back(client: httpx.Client, patient_id: str) -> None:
    response = completed_form(patient_id)

    written = client.post("/QuestionnaireResponse", content=json.dumps(response))

    assert written.status_code == 201
    assert "/QuestionnaireResponse/" in written.headers["location"]
    found = resources(
        got(client, f"/QuestionnaireResponse?patient={patient_id}&status=completed"), "QuestionnaireResponse"
    )
    assert [without_meta(each) for each in found.values()] == [response | {"id": written.json()["id"]}]


def test_an_amended_questionnaire_response_replaces_the_first(client: httpx.Client, patient_id: str) -> None:
    written = client.post("/QuestionnaireResponse", content=json.dumps(completed_form(patient_id))).json()
    url = f"/QuestionnaireResponse/{written['id']}"

    amended = client.put(url, content=json.dumps(written | {"status": "amended"}))

    assert amended.status_code == 200
    assert got(client, url)["status"] == "amended"
    completed = got(client, f"/QuestionnaireResponse?patient={patient_id}&status=completed")
    assert resources(completed, "QuestionnaireResponse") == {}


def completed_form(patient_id: str) -> dict[str, Any]:
    return {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": "https://example.org/fhir/Questionnaire/derby-mastopexy|1.0.0",
        "status": "completed",
        "subject": {"reference": f"Patient/{patient_id}"},
        "basedOn": [{"reference": "ServiceRequest/an-order-still-in-draft"}],
        "authored": "2026-11-20T09:00:00Z",
        "item": [{"linkId": "purpose", "answer": [{"valueCoding": {"code": "cosmetic"}}]}],
    }


def test_a_server_may_cap_the_page_size_below_what_is_asked_for() -> None:
    with or_skipped("medplum", medplum_server(max_page_size=2)) as server, server.client() as client:
        sizes = [
            len(page["entry"])
            for page in pages(client, "/Condition?patient=derby-after-mastectomy&_count=200")
        ]

    assert sizes == [2, 2, 1]


def test_a_delay_makes_each_answer_that_late() -> None:
    with or_skipped("medplum", medplum_server(delay=500)) as server, server.client() as client:
        slow = client.get("/Patient/derby-no-cancer").elapsed.total_seconds()
        server.delay(0)
        fast = client.get("/Patient/derby-no-cancer").elapsed.total_seconds()

    assert fast < 0.5 <= slow


def test_without_a_token_of_its_own_a_server_lets_everybody_in() -> None:
    with or_skipped("medplum", medplum_server(token=None)) as server:
        answer = httpx.get(f"{server.base_url}/Patient/derby-no-cancer", trust_env=False)

    assert answer.status_code == 200
