"""``ValueSet/$expand`` and ``$validate-code``."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from fastapi.testclient import TestClient
from fhir.resources.R4B import get_fhir_model_class

BASE = "https://funding-policies.example/fhir/ValueSet"
CANCER = f"{BASE}/derby-breast-cancer"
ORDERS = f"{BASE}/derby-mastopexy-orders"
SNOMED = "http://snomed.info/sct"
INLINE = {
    "resourceType": "ValueSet",
    "status": "active",
    "compose": {
        "include": [
            {
                "system": SNOMED,
                "concept": [{"code": "254837009", "display": "One"}, {"code": "372137005", "display": "Two"}],
            }
        ],
        "exclude": [{"system": SNOMED, "concept": [{"code": "372137005"}]}],
    },
}


def parameters(**values: Any) -> dict[str, Any]:
    """A Parameters resource; resources as such, other values under the member given in their name."""
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": name, "resource": value}
            if isinstance(value, dict) and "resourceType" in value
            else {"name": name, **value}
            for name, value in values.items()
        ],
    }


def expansion(answer: Any) -> dict[str, Any]:
    """The expansion in an answer, which must be strictly R4."""
    assert answer.status_code == 200, answer.text
    get_fhir_model_class("ValueSet").model_validate(answer.json())
    found: dict[str, Any] = answer.json()["expansion"]
    return found


def codes(found: dict[str, Any]) -> list[str]:
    """The codes that an expansion lists."""
    return [each["code"] for each in found.get("contains", ())]


def verdict(answer: Any) -> dict[str, Any]:
    """The parameters of a ``$validate-code`` by name."""
    assert answer.status_code == 200, answer.text
    get_fhir_model_class("Parameters").model_validate(answer.json())
    return {
        each["name"]: each.get("valueBoolean", each.get("valueString")) for each in answer.json()["parameter"]
    }


def where(answer: Any) -> tuple[int, str, str]:
    """Status, issue code and place of a refusal."""
    (issue,) = answer.json()["issue"]
    return answer.status_code, issue["code"], issue["expression"][0]


def test_a_value_set_expands_to_its_pinned_codes_however_it_is_named(client: TestClient) -> None:
    by_url = expansion(client.get(f"/fhir/ValueSet/$expand?url={CANCER}"))
    by_version = expansion(client.get(f"/fhir/ValueSet/$expand?url={CANCER}%7C2.0.0"))
    by_id = expansion(client.get("/fhir/ValueSet/derby-breast-cancer/$expand"))
    posted = expansion(client.post("/fhir/ValueSet/$expand", json=parameters(url={"valueUri": CANCER})))
    pinned = client.get("/fhir/ValueSet/derby-breast-cancer").json()["expansion"]

    assert by_url == by_version == by_id == posted
    assert by_url["total"] == 111
    assert by_url["contains"] == pinned["contains"]


def test_what_is_the_servers_own_in_a_query_is_none_of_the_operations(client: TestClient) -> None:
    answer = client.get(f"/fhir/ValueSet/$expand?url={CANCER}&_format=json&_pretty=true")

    assert expansion(answer)["total"] == 111


def test_nested_codes_are_listed_one_after_the_other_and_headings_are_none(client: TestClient) -> None:
    nested = {
        "resourceType": "ValueSet",
        "status": "active",
        "expansion": {
            "timestamp": "2026-11-22",
            "contains": [
                {
                    "system": SNOMED,
                    "code": "1",
                    "abstract": True,
                    "contains": [{"system": SNOMED, "code": "2"}, {"system": SNOMED, "code": "2"}],
                },
                {"display": "a heading", "contains": [{"system": SNOMED, "code": "3"}]},
            ],
        },
    }

    assert codes(expansion(client.post("/fhir/ValueSet/$expand", json=nested))) == ["2", "3"]


def test_a_page_of_an_expansion_is_a_slice_of_it(client: TestClient) -> None:
    whole = codes(expansion(client.get(f"/fhir/ValueSet/$expand?url={CANCER}")))
    page = expansion(client.get(f"/fhir/ValueSet/$expand?url={CANCER}&offset=5&count=3"))
    counted = expansion(client.get(f"/fhir/ValueSet/$expand?url={CANCER}&count=0"))

    assert codes(page) == whole[5:8]
    assert (page["total"], page["offset"]) == (111, 5)
    assert (counted["total"], codes(counted)) == (111, [])


def test_a_filter_keeps_the_codes_that_hold_its_words(client: TestClient) -> None:
    found = expansion(client.get(f"/fhir/ValueSet/$expand?url={CANCER}&filter=c50.91"))

    assert codes(found) == ["C50.91", "C50.911", "C50.912", "C50.919"]
    assert found["total"] == 4


@pytest.mark.parametrize("wanted", [False, True])
def test_the_definition_is_shown_when_it_is_asked_for(client: TestClient, wanted: bool) -> None:
    answer = client.get(f"/fhir/ValueSet/$expand?url={CANCER}&includeDefinition={str(wanted).lower()}")

    assert ("compose" in answer.json()) is wanted


def test_a_value_set_in_full_expands_to_what_it_lists(client: TestClient) -> None:
    found = expansion(client.post("/fhir/ValueSet/$expand", json=parameters(valueSet=INLINE)))
    bare = expansion(client.post("/fhir/ValueSet/$expand", json=INLINE))

    assert found == bare
    assert found["contains"] == [{"system": SNOMED, "code": "254837009", "display": "One"}]


def test_a_value_set_made_of_two_holds_what_both_hold(client: TestClient) -> None:
    both = {
        "resourceType": "ValueSet",
        "status": "active",
        "compose": {
            "include": [
                {"valueSet": [CANCER], "system": SNOMED, "concept": [{"code": "254837009"}, {"code": "1"}]}
            ]
        },
    }

    assert codes(expansion(client.post("/fhir/ValueSet/$expand", json=both))) == ["254837009"]


@pytest.mark.parametrize(
    ("include", "place"),
    [
        ({"system": SNOMED}, "ValueSet.compose.include[0]"),
        (
            {"valueSet": [CANCER], "filter": [{"property": "inactive", "op": "=", "value": "false"}]},
            "ValueSet.compose.include[0]",
        ),
        (
            {"system": SNOMED, "filter": [{"property": "concept", "op": "is-a", "value": "404684003"}]},
            "ValueSet.compose.include[0]",
        ),
    ],
)
def test_a_value_set_described_by_a_rule_is_refused_and_never_empty(
    client: TestClient, include: dict[str, Any], place: str
) -> None:
    described = {"resourceType": "ValueSet", "status": "active", "compose": {"include": [include]}}

    answer = client.post("/fhir/ValueSet/$expand", json=described)

    assert where(answer) == (400, "invalid", place)


def test_a_value_set_of_somebody_else_is_not_found(client: TestClient) -> None:
    other = "http://hl7.org/fhir/ValueSet/yesnodontknow"

    assert where(client.get(f"/fhir/ValueSet/$expand?url={other}")) == (404, "not-found", "http.url")
    assert where(client.post("/fhir/ValueSet/$expand", json=parameters(url={"valueUri": other}))) == (
        404,
        "not-found",
        "Parameters.parameter[0].valueUri",
    )


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (parameters(), "Parameters"),
        (parameters(url={"valueUri": 7}), "Parameters.parameter[0].valueUri"),
        (parameters(url={"valueBoolean": True}), "Parameters.parameter[0].valueBoolean"),
        (parameters(url={}), "Parameters.parameter[0]"),
        (parameters(url={"valueUri": CANCER, "valueString": CANCER}), "Parameters.parameter[0]"),
        (
            parameters(url={"valueUri": CANCER}, count={"valueInteger": True}),
            "Parameters.parameter[1].valueInteger",
        ),
        (
            parameters(count={"valueInteger": "3"}, url={"valueUri": CANCER}),
            "Parameters.parameter[0].valueInteger",
        ),
        (
            parameters(url={"valueUri": CANCER}, count={"valueInteger": -1}),
            "Parameters.parameter[1].valueInteger",
        ),
        (parameters(address={"valueUri": CANCER}), "Parameters.parameter[0].name"),
        (parameters(valueSet={"resourceType": "Patient"}), "Parameters.parameter[0].resource"),
        ({"resourceType": "Parameters", "parameter": "x"}, "Parameters.parameter"),
        ({"resourceType": "Parameters", "parameter": [{"valueUri": "x"}]}, "Parameters.parameter[0].name"),
        (
            {"resourceType": "Parameters", "parameter": [{"name": "url", "valueUri": "x"}] * 2},
            "Parameters.parameter[1].valueUri",
        ),
        ({"resourceType": "Patient"}, "resourceType"),
        ([], "$"),
    ],
)
def test_what_an_operation_cannot_take_is_refused_with_its_place(
    client: TestClient, body: object, place: str
) -> None:
    answer = client.post("/fhir/ValueSet/$expand", json=body)

    assert where(answer) == (400, "invalid", place)


@pytest.mark.parametrize(
    "query", ["count=many", "count=", "includeDefinition=yes", "valueSet=x", "colour=blue"]
)
def test_a_query_that_an_operation_cannot_take_is_refused_with_its_place(
    client: TestClient, query: str
) -> None:
    answer = client.get(f"/fhir/ValueSet/$expand?url={CANCER}&{query}")

    assert where(answer) == (400, "invalid", f"http.{query.partition('=')[0]}")


@pytest.mark.parametrize(
    ("system", "code", "member"),
    [
        (SNOMED, "254837009", True),
        (SNOMED, "25483700", False),
        ("http://hl7.org/fhir/sid/icd-10", "254837009", False),
        ("http://hl7.org/fhir/sid/icd-10", "C50.9", True),
        ("http://hl7.org/fhir/sid/icd-10", "c50.9", False),
    ],
)
def test_a_code_is_a_member_exactly_or_not_at_all(
    client: TestClient, system: str, code: str, member: bool
) -> None:
    query = urlencode({"url": CANCER, "system": system, "code": code})

    said = verdict(client.get(f"/fhir/ValueSet/$validate-code?{query}"))

    assert said["result"] is member
    assert ("message" in said) is not member


def test_an_opcs_code_is_a_member_with_or_without_its_dot_and_in_every_spelling_of_its_system(
    client: TestClient,
) -> None:
    for system in ("https://fhir.hl7.org.uk/CodeSystem/OPCS-4", "https://fhir.nhs.uk/Id/opcs-4"):
        for code in ("B31.3", "B313"):
            query = urlencode({"url": ORDERS, "system": system, "code": code})
            assert verdict(client.get(f"/fhir/ValueSet/$validate-code?{query}"))["result"] is True


def test_a_concept_is_a_member_if_one_of_its_codings_is(client: TestClient) -> None:
    concept = {"coding": [{"system": SNOMED, "code": "22298006"}, {"system": SNOMED, "code": "254837009"}]}
    other = {"coding": [{"system": SNOMED, "code": "22298006"}]}

    for given, member in ((concept, True), (other, False)):
        body = parameters(codeableConcept={"valueCodeableConcept": given})
        answer = client.post("/fhir/ValueSet/derby-breast-cancer/$validate-code", json=body)
        assert verdict(answer)["result"] is member


def test_a_display_that_differs_is_told_beside_the_one_that_is_held(client: TestClient) -> None:
    for display, odd in (("One", False), ("Other", True)):
        coding = {"system": SNOMED, "code": "254837009", "display": display}
        body = parameters(valueSet=INLINE, coding={"valueCoding": coding})
        said = verdict(client.post("/fhir/ValueSet/$validate-code", json=body))
        assert (said["result"], said["display"], "message" in said) == (True, "One", odd)


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({}, "Parameters"),
        ({"code": {"valueCode": "1"}}, "Parameters"),
        ({"coding": {"valueCoding": {"code": "1"}}}, "Parameters.parameter[1].valueCoding"),
        (
            {"codeableConcept": {"valueCodeableConcept": {"coding": [{"system": SNOMED}]}}},
            "Parameters.parameter[1].valueCodeableConcept.coding[0]",
        ),
    ],
)
def test_a_code_that_is_not_whole_is_refused(client: TestClient, given: dict[str, Any], place: str) -> None:
    answer = client.post("/fhir/ValueSet/$validate-code", json=parameters(url={"valueUri": CANCER}, **given))

    assert where(answer) == (400, "invalid", place)


def test_a_concept_in_words_alone_is_in_no_value_set(client: TestClient) -> None:
    words = {"codeableConcept": {"valueCodeableConcept": {"text": "Colonoscopy"}}}

    answer = client.post("/fhir/ValueSet/$validate-code", json=parameters(url={"valueUri": CANCER}, **words))

    said = {each["name"]: each for each in answer.json()["parameter"]}
    assert said["result"]["valueBoolean"] is False
