"""The development FHIR server: what EHRs' servers do, as far as prefetch and forms need it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement

from cds_service.app import create_app
from cds_service.development.fixtures import read_fixtures
from cds_service.development.records import Records
from cds_service.errors import FileError
from cds_service.settings import Settings
from tests.development.conftest import FIXTURES, Clock

FHIR = "/development/fhir"
PATIENT = "derby-after-mastectomy"


def form(**members: Any) -> dict[str, Any]:
    """A completed form of an order of the patient's."""
    return {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "questionnaire": "https://funding-policies.example/fhir/Questionnaire/derby-mastopexy|2.0.0",
        "identifier": {
            "system": "urn:ietf:rfc:3986",
            "value": "urn:uuid:0d9dd4ac-4d4e-4a0e-9f6a-6a2bb2d51a8f",
        },
        "subject": {"reference": f"Patient/{PATIENT}"},
        "basedOn": [{"reference": "ServiceRequest/mastopexy-1"}],
        "authored": "2026-11-22T12:00:00Z",
        **members,
    }


def ids(bundle: dict[str, Any]) -> list[str]:
    return [entry["resource"]["id"] for entry in bundle.get("entry", [])]


def test_every_prefetch_template_that_the_service_asks_for_is_answered(service: TestClient) -> None:
    templates = service.get("/cds-services").json()["services"][0]["prefetch"]

    answers = {
        key: service.get(f"{FHIR}/{template.replace('{{context.patientId}}', PATIENT)}")
        for key, template in templates.items()
    }

    assert {answer.status_code for answer in answers.values()} == {200}
    assert len(ids(answers["conditions"].json())) == 5
    assert answers["patient"].json()["id"] == PATIENT


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("Condition?patient=derby-after-mastectomy&code=254837009", ["derby-after-mastectomy-condition-3"]),
        ("Condition?patient=Patient/derby-after-mastectomy&code=http://snomed.info/sct|254837009", ["derby-after-mastectomy-condition-3"]),
        ("Condition?patient=derby-after-mastectomy&code=http://hl7.org/fhir/sid/icd-10|254837009", []),
        ("Condition?subject=derby-after-mastectomy&clinical-status=remission", ["derby-after-mastectomy-condition-3"]),
        ("Condition?patient=derby-after-mastectomy-", []),
        ("Coverage?beneficiary=Patient/derby-after-mastectomy", ["derby-after-mastectomy-coverage-1"]),
        ("Procedure?patient=derby-after-mastectomy&status=in-progress", []),
        ("Patient?_id=derby-no-cancer,us-patient", ["derby-no-cancer", "us-patient"]),
        ("Patient?identifier=https://fhir.nhs.uk/Id/nhs-number|9990001014", ["derby-after-mastectomy"]),
        ("Patient?name=ale", ["derby-after-mastectomy"]),
        ("QuestionnaireResponse?based-on=ServiceRequest/mastopexy-right", ["derby-eligible-by-answers-form"]),
        ("QuestionnaireResponse?questionnaire=https://none.example", []),
    ],
)  # fmt: skip
def test_a_search_finds_what_it_asks_for(service: TestClient, query: str, found: list[str]) -> None:
    bundle = service.get(f"{FHIR}/{query}").json()

    assert ids(bundle) == found
    assert bundle["total"] == len(found)


@pytest.mark.parametrize(("count", "page_count"), [(7, 7), (15, 3), (45, 1)])
def test_a_search_in_pages_shows_every_resource_once(
    service: TestClient, count: int, page_count: int
) -> None:
    whole = ids(service.get(f"{FHIR}/Observation").json())

    pages, url = [], f"{FHIR}/Observation?_count={count}"
    while url:
        page = service.get(url).json()
        pages.append(ids(page))
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")

    assert [each for page in pages for each in page] == whole
    assert len(pages) == page_count


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("Condition?onset-date=gt2020", 400),
        ("Condition?_count=many", 400),
        ("Medication", 404),
        ("ServiceRequest?patient=derby-after-mastectomy", 404),
        ("ServiceRequest/mastopexy-1", 404),
        ("Patient/nobody", 404),
    ],
)
def test_what_is_not_served_is_refused_and_never_empty(service: TestClient, query: str, status: int) -> None:
    answer = service.get(f"{FHIR}/{query}")

    assert answer.status_code == status
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_a_form_that_is_written_is_read_back_and_found(service: TestClient) -> None:
    created = service.post(f"{FHIR}/QuestionnaireResponse", json=form())

    assert created.status_code == 201
    assert created.json()["meta"]["versionId"] == "1"
    read = service.get(f"{FHIR}/QuestionnaireResponse/{created.json()['id']}")
    found = service.get(f"{FHIR}/QuestionnaireResponse?patient={PATIENT}").json()
    assert read.json() == created.json()
    assert ids(found) == ["derby-eligible-by-answers-form", created.json()["id"]]


def test_a_form_sent_again_under_the_same_identifier_is_written_once(service: TestClient) -> None:
    condition = {
        "If-None-Exist": f"identifier={form()['identifier']['system']}|{form()['identifier']['value']}"
    }

    first, second = (
        service.post(f"{FHIR}/QuestionnaireResponse", json=form(), headers=condition) for _ in range(2)
    )

    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert first.headers["location"] == second.headers["location"]


def test_a_form_of_more_than_a_megabyte_is_not_read(service: TestClient) -> None:
    long = form(item=[{"linkId": "a", "answer": [{"valueString": "a" * 1_000_000}]}])

    assert service.post(f"{FHIR}/QuestionnaireResponse", json=long).status_code == 413


def test_what_the_server_says_of_itself_and_its_searches_are_fhir(service: TestClient) -> None:
    statement = CapabilityStatement.model_validate(service.get(f"{FHIR}/metadata").json())
    found = Bundle.model_validate(service.get(f"{FHIR}/Condition?patient={PATIENT}").json())

    assert statement.fhirVersion == "4.0.1"
    assert found.total == 5


def test_a_form_that_is_changed_keeps_its_id_and_gets_a_new_version(service: TestClient) -> None:
    created = service.post(f"{FHIR}/QuestionnaireResponse", json=form()).json()
    url = f"{FHIR}/QuestionnaireResponse/{created['id']}"

    updated = service.put(url, json={**created, "status": "amended"})

    assert updated.status_code == 200
    assert updated.json()["meta"]["versionId"] == "2"
    assert service.get(url).json()["status"] == "amended"


@pytest.mark.parametrize(
    "written",
    [
        {"resourceType": "Condition", "subject": {"reference": f"Patient/{PATIENT}"}},
        form(subject={"reference": "Patient/nobody"}),
        form(subject=None),
        ["a list"],
    ],
)
def test_what_is_no_form_of_a_patient_here_is_not_kept(service: TestClient, written: object) -> None:
    assert service.post(f"{FHIR}/QuestionnaireResponse", json=written).status_code == 400


def test_a_form_is_not_written_under_another_id_than_its_own(service: TestClient) -> None:
    assert service.put(f"{FHIR}/QuestionnaireResponse/b", json=form(id="a")).status_code == 400


def test_of_many_forms_the_oldest_is_forgotten(clock: Clock) -> None:
    fixtures = read_fixtures(FIXTURES)
    assert fixtures is not None
    names = iter("abc")
    records = Records(fixtures.resources, clock, lambda: next(names), most_forms=2)

    for _ in range(3):
        records.created(form())

    shown = [records.resource("QuestionnaireResponse", name) is not None for name in "abc"]
    assert shown == [False, True, True]


def test_an_answer_on_record_decides_the_order_it_belongs_to_and_no_other(service: TestClient) -> None:
    fixtures = read_fixtures(FIXTURES)
    assert fixtures is not None
    told = [story for story in fixtures.stories if story.patient_id == "derby-no-cancer"]

    orders = [draft["id"] for story in told for draft in story.drafts]

    assert len(orders) == len(set(orders))


@pytest.mark.parametrize(
    ("place", "content"),
    [
        ("patients/a.json", "[]"),
        ("patients/a.json", '{"entry": []}'),
        ("patients/a.json", '{"entry": [{"resource": {"resourceType": "Condition", "id": "c"}}]}'),
        ("hooks/a.json", "{"),
        ("hooks/a.json", '{"hook": "order-select"}'),
    ],
)
def test_a_fixture_that_is_none_is_named(tmp_path: Path, place: str, content: str) -> None:
    file = tmp_path / place
    file.parent.mkdir()
    file.write_text(content)

    with pytest.raises(FileError, match=r"a\.json"):
        read_fixtures(tmp_path)


def test_every_answer_says_that_it_is_for_development_only(service: TestClient) -> None:
    for path in ("metadata", ".well-known/smart-configuration", "Patient", f"Patient/{PATIENT}"):
        assert "never for care" in service.get(f"{FHIR}/{path}").headers["development-only"]


def test_with_clients_configured_nothing_of_it_is_there(tmp_path: Path, one_plan: Path, clock: Clock) -> None:
    clients = tmp_path / "clients.json"
    clients.write_text(
        '{"clients": [{"name": "a", "issuer": "https://ehr.example", "algorithms": ["ES384"],'
        ' "jwks_url": "https://ehr.example/jwks"}]}'
    )
    settings = Settings(
        plans=(one_plan,),
        database_url=f"sqlite:///{tmp_path / 'd.db'}",
        fixtures=FIXTURES,
        clients=clients,
    )

    with TestClient(create_app(settings, clock)) as client:
        paths = ("/try", f"{FHIR}/metadata", f"{FHIR}/Patient", "/development/jwks", "/development/authorize")
        found = [client.get(path).status_code for path in paths]
        found += [client.post(path).status_code for path in ("/try", "/try/forget", "/development/token")]

    assert set(found) == {404}


def test_without_fixtures_the_screen_says_what_is_missing(
    tmp_path: Path, one_plan: Path, clock: Clock
) -> None:
    settings = Settings(
        plans=(one_plan,), database_url=f"sqlite:///{tmp_path / 'd.db'}", fixtures=tmp_path / "none"
    )

    with TestClient(create_app(settings, clock)) as client:
        screen, server = client.get("/try"), client.get(f"{FHIR}/metadata")

    assert "CDS_FIXTURES" in screen.text
    assert server.status_code == 404
