"""Reads and searches of what is published under ``/fhir``."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from fastapi.testclient import TestClient
from fhir.resources.R4B import get_fhir_model_class

PLAN = "derby-mastopexy"
TYPES = ("OperationDefinition", "PlanDefinition", "Questionnaire", "ValueSet")


def found(client: TestClient, query: str, **headers: str) -> dict[str, Any]:
    """The searchset that answers a query; its pages must be R4."""
    answer = client.get(f"/fhir/{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    bundle: dict[str, Any] = answer.json()
    get_fhir_model_class("Bundle").model_validate(bundle)
    return bundle


def ids(bundle: dict[str, Any]) -> list[str]:
    """The ids of the matches."""
    return [each["resource"]["id"] for each in bundle.get("entry", ()) if each["search"]["mode"] == "match"]


def link(bundle: dict[str, Any], relation: str) -> str | None:
    """The path and query of a link, if there is one."""
    urls = [each["url"] for each in bundle["link"] if each["relation"] == relation]
    return f"{urlsplit(urls[0]).path}?{urlsplit(urls[0]).query}".removeprefix("/fhir/") if urls else None


@pytest.mark.parametrize("resource_type", TYPES)
def test_everything_that_is_served_is_strictly_r4_and_is_read_where_its_full_url_says(
    client: TestClient, resource_type: str
) -> None:
    entries = found(client, f"{resource_type}?_count=100")["entry"]

    assert entries
    for entry in entries:
        get_fhir_model_class(resource_type).model_validate(entry["resource"])
        read = client.get(urlsplit(entry["fullUrl"]).path)
        assert read.json() == entry["resource"]
        assert read.headers["content-type"] == "application/fhir+json"


def test_the_capabilities_name_exactly_what_is_served(client: TestClient) -> None:
    statement = client.get("/fhir/metadata").json()
    get_fhir_model_class("CapabilityStatement").model_validate(statement)
    (rest,) = statement["rest"]

    assert statement["fhirVersion"] == "4.0.1"
    assert statement["date"] == "2026-11-22T12:00:00+00:00"
    for resource in rest["resource"]:
        for parameter in resource.get("searchParam", ()):
            value = {"status": "active", "version": "2.0.0"}.get(parameter["name"], "http://x.example/none")
            strict = client.get(
                f"/fhir/{resource['type']}?{parameter['name']}={value}", headers={"Prefer": "handling=strict"}
            )
            assert strict.status_code == 200
        for operation in resource.get("operation", ()):
            definition = client.get(urlsplit(operation["definition"]).path).json()
            assert definition["code"] == operation["name"]
            assert resource["type"] in definition["resource"]
            # Offered: whatever it says to an empty call, it does not say that there is no such operation.
            path = f"/fhir/{resource['type']}/${operation['name']}"
            assert client.post(path, json={"resourceType": "Parameters"}).status_code in {200, 400}


def test_a_read_says_its_version_and_is_not_sent_again_to_who_has_it(client: TestClient) -> None:
    first = client.get(f"/fhir/PlanDefinition/{PLAN}")
    again = client.get(f"/fhir/PlanDefinition/{PLAN}", headers={"If-None-Match": first.headers["etag"]})
    other = client.get(f"/fhir/PlanDefinition/{PLAN}", headers={"If-None-Match": 'W/"0123456789abcdef"'})

    assert first.headers["etag"] == f'W/"{first.json()["meta"]["versionId"]}"'
    assert (again.status_code, again.content) == (304, b"")
    assert other.status_code == 200


def test_a_form_tells_renderers_where_its_value_sets_are_expanded(client: TestClient) -> None:
    questionnaire = client.get(f"/fhir/Questionnaire/{PLAN}").json()

    assert questionnaire["extension"][-1] == {
        "url": "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-preferredTerminologyServer",
        "valueUrl": "http://127.0.0.1:8000/fhir",
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("PlanDefinition?_id=derby-mastopexy", [PLAN]),
        ("PlanDefinition?_id=derby-mastopexy,none", [PLAN]),
        ("PlanDefinition?url=https://funding-policies.example/fhir/PlanDefinition/derby-mastopexy", [PLAN]),
        ("PlanDefinition?url=https://funding-policies.example/fhir/PlanDefinition/derby", []),
        ("PlanDefinition?_id=derby-mastopexy&version=2.0.0", [PLAN]),
        ("PlanDefinition?_id=derby-mastopexy&version=2.0", []),
        ("PlanDefinition?_id=derby-mastopexy&status=active", [PLAN]),
        (
            "PlanDefinition?_id=derby-mastopexy&status=http://hl7.org/fhir/publication-status%7Cactive",
            [PLAN],
        ),
        ("PlanDefinition?_id=derby-mastopexy&status=http://other.example%7Cactive", []),
        ("PlanDefinition?_id=derby-mastopexy&status=draft", []),
        ("PlanDefinition?title:contains=MASTOPEXY", [PLAN]),
        ("PlanDefinition?title:exact=mastopexy", []),
        ("ValueSet?title=r%C3%A9asons that mean matching", ["lancashire-cancer-reasons"]),
    ],
)
def test_what_a_search_finds(client: TestClient, query: str, expected: list[str]) -> None:
    matching = ids(found(client, query))

    if "title=" in query:
        assert len(matching) == 1
    else:
        assert matching == expected


def test_pages_follow_one_another_and_hold_everything_once(client: TestClient) -> None:
    seen: list[str] = []
    query: str | None = "ValueSet?status=active&_count=7"
    while query is not None:
        page = found(client, query)
        assert len(ids(page)) <= 7
        seen += ids(page)
        query = link(page, "next")

    everything = ids(found(client, "ValueSet?_count=100"))
    assert seen == everything
    assert len(set(seen)) == page["total"] == len(seen)
    assert link(page, "previous") is not None


def test_a_parameter_that_is_not_known_is_passed_over_and_that_is_told(client: TestClient) -> None:
    bundle = found(client, f"PlanDefinition?_id={PLAN}&colour=blue")

    assert ids(bundle) == [PLAN]
    assert link(bundle, "self") == f"PlanDefinition?_id={PLAN}&_count=20"
    (told,) = (each["resource"] for each in bundle["entry"] if each["search"]["mode"] == "outcome")
    assert told["issue"][0]["expression"] == ["http.colour"]


def test_strict_handling_refuses_a_parameter_that_is_not_known(client: TestClient) -> None:
    answer = client.get("/fhir/PlanDefinition?colour=blue", headers={"Prefer": "handling=strict"})

    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == ["http.colour"]


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("title:below=x", "http.title"),
        ("title:=x", "http.title"),
        ("status:contains=active", "http.status"),
        ("_count=-1", "http._count"),
        ("_count=many", "http._count"),
        ("_page=MQ==", "http._page"),
        ("_page=%F0%9F%92%A9", "http._page"),
        ("_summary=most", "http._summary"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(client: TestClient, query: str, where: str) -> None:
    answer = client.get(f"/fhir/PlanDefinition?{query}")

    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == [where]


def test_a_posted_search_finds_what_the_same_query_finds(client: TestClient) -> None:
    query = "title:contains=breast&_count=3"
    posted = client.post("/fhir/ValueSet/_search", data=dict(parse_qsl(query)))

    assert posted.json() == found(client, f"ValueSet?{query}")


def test_a_posted_search_in_json_is_refused(client: TestClient) -> None:
    answer = client.post("/fhir/ValueSet/_search", json={"title": "x"})

    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == ["http.content-type"]


@pytest.mark.parametrize("count", ["_count=0", "_summary=count"])
def test_counting_gives_the_number_alone(client: TestClient, count: str) -> None:
    bundle = found(client, f"PlanDefinition?{count}")

    assert bundle["total"] == len(ids(found(client, "PlanDefinition?_count=100"))) > 0
    assert "entry" not in bundle
    assert link(bundle, "next") is None


@pytest.mark.parametrize("summary", ["true", "text", "data"])
@pytest.mark.parametrize("resource_type", TYPES)
def test_a_summary_is_still_r4_and_says_that_it_is_not_all(
    client: TestClient, resource_type: str, summary: str
) -> None:
    entries = found(client, f"{resource_type}?_summary={summary}&_count=3")["entry"]

    for entry in entries:
        get_fhir_model_class(resource_type).model_validate(entry["resource"])
        assert entry["resource"]["meta"]["tag"][0]["code"] == "SUBSETTED"
        assert ("compose" in entry["resource"]) == (resource_type == "ValueSet" and summary == "data")


def test_the_elements_asked_for_come_with_those_that_may_not_lack(client: TestClient) -> None:
    plan = client.get(f"/fhir/PlanDefinition/{PLAN}?_elements=title,url").json()

    assert set(plan) == {"resourceType", "id", "meta", "status", "title", "url"}


@pytest.mark.parametrize(
    ("path", "status", "where", "code"),
    [
        ("PlanDefinition/none", 404, "PlanDefinition.id", "not-found"),
        ("Patient/1", 404, "Patient", "not-found"),
        ("Patient?name=x", 404, "Patient", "not-found"),
        ("PlanDefinition/$assemble", 405, "http.operation", "not-supported"),
        ("PlanDefinition/derby-mastopexy/$assemble", 405, "http.operation", "not-supported"),
        ("Patient/$everything", 405, "http.operation", "not-supported"),
    ],
)
def test_what_is_not_served_is_refused(
    client: TestClient, path: str, status: int, where: str, code: str
) -> None:
    answer = client.get(f"/fhir/{path}")

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/fhir+json"
    assert answer.json()["issue"][0]["code"] == code
    assert answer.json()["issue"][0]["expression"] == [where]


@pytest.mark.parametrize("path", ["Questionnaire/$populate", "PlanDefinition/derby-mastopexy/$apply"])
def test_patient_data_are_not_asked_for_in_a_url(client: TestClient, path: str) -> None:
    assert client.get(f"/fhir/{path}?subject=Patient/p1").status_code == 405


@pytest.mark.parametrize(("method", "path"), [("POST", "PlanDefinition"), ("DELETE", "PlanDefinition/x")])
def test_nothing_is_written(client: TestClient, method: str, path: str) -> None:
    answer = client.request(method, f"/fhir/{path}", json={"resourceType": "PlanDefinition"})

    assert answer.status_code == 405
    assert answer.json()["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/fhir+json", 200),
        ("application/json", 200),
        ("application/fhir+json; fhirVersion=4.0", 200),
        ("application/fhir+xml;q=0.5, application/fhir+json;q=0.1", 200),
        ("text/html, */*;q=0.1", 200),
        ("application/fhir+xml", 406),
        ("application/fhir+json; fhirVersion=3.0", 406),
        ("application/fhir+json;q=0", 406),
        ("application/fhir+json;q=0.000", 406),
        ("text/turtle", 406),
    ],
)
def test_the_format_is_as_accepted(client: TestClient, accept: str, status: int) -> None:
    answer = client.get("/fhir/metadata", headers={"Accept": accept})

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/fhir+json"


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        ("json", 200),
        ("application/fhir%2Bjson", 200),
        ("application/fhir+json", 200),
        ("xml", 406),
        ("application/fhir%2Bxml", 406),
    ],
)
def test_the_format_of_the_query_goes_before_the_header(client: TestClient, wanted: str, status: int) -> None:
    header = "application/fhir+xml" if status == 200 else "application/fhir+json"

    answer = client.get(f"/fhir/metadata?_format={wanted}", headers={"Accept": header})

    assert answer.status_code == status
