"""A completed form as a FHIR document and as printed sections."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from fhir.resources.R4B.bundle import Bundle
from hypothesis import given
from hypothesis import strategies as st

from cds_service.errors import FundingRequestError
from cds_service.policies.findings import Evidence
from cds_service.questionnaires.funding_request import FundingRequest, funding_document, printed_sections
from cds_service.questionnaires.funding_request_sections import (
    Line,
    Section,
    sections,
    told,
)
from cds_service.record.dates import date_in_words
from cds_service.record.orders import procedure_orders

Content = dict[str, Any]
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SERVER = "https://ehr.example/fhir"
FORM: Content = {
    "resourceType": "Questionnaire",
    "url": "https://example.org/form",
    "version": "1",
    "title": "Request",
    "status": "active",
    "item": [
        {
            "linkId": "benefit",
            "text": "Benefit",
            "type": "group",
            "item": [
                {"linkId": "note", "text": "Say it in your words.", "type": "display"},
                {"linkId": "why", "text": "Why?", "type": "text"},
                {
                    "linkId": "tried",
                    "text": "What was tried",
                    "type": "group",
                    "repeats": True,
                    "item": [
                        {"linkId": "what", "text": "What?", "type": "string"},
                        {"linkId": "when", "text": "When?", "type": "date"},
                    ],
                },
            ],
        },
        {"linkId": "agreed", "text": "Agreed?", "type": "boolean"},
        {
            "linkId": "empty",
            "text": "Empty",
            "type": "group",
            "item": [{"linkId": "open", "text": "?", "type": "text"}],
        },
    ],
}


def answer(link_id: str, *values: Content, **members: Any) -> Content:
    return {"linkId": link_id, "answer": list(values), **members}


def tried(what: str, when: str) -> Content:
    items = [answer("what", {"valueString": what}), answer("when", {"valueDate": when})]
    return {"linkId": "tried", "item": items}


def response(*items: Content, **members: Any) -> Content:
    return {
        "resourceType": "QuestionnaireResponse",
        "id": "r1",
        "questionnaire": "https://example.org/form|1",
        "status": "completed",
        "subject": {"reference": "Patient/p1"},
        "basedOn": [{"reference": "ServiceRequest/o1"}],
        "authored": "2026-11-22T11:00:00Z",
        "author": {"reference": "Practitioner/d1"},
        "item": list(items),
        **members,
    }


ANSWERED = response(
    {
        "linkId": "benefit",
        "item": [
            answer("why", {"valueString": "Pain < before\nand & after"}),
            tried("Bra", "2024-03-03"),
            tried("Physiotherapy", "2025-01-31"),
        ],
    },
    answer("agreed", {"valueBoolean": True}),
)
ORDER: Content = {
    "resourceType": "ServiceRequest",
    "id": "o1",
    "status": "draft",
    "intent": "order",
    "subject": {"reference": "Patient/p1"},
    "code": {"coding": [{"system": "urn:codes", "code": "B31.1"}], "text": "Breast reduction"},
    "authoredOn": "2026-11-20",
    "reasonReference": [{"reference": "Condition/c1"}],
}
DETERMINATION: Content = {
    "resourceType": "GuidanceResponse",
    "id": "g1",
    "moduleCanonical": "https://example.org/policy|1",
    "status": "success",
    "subject": {"reference": "Patient/p1"},
    "contained": [
        {
            "resourceType": "Parameters",
            "id": "output",
            "parameter": [
                {"name": "outcome", "valueCode": "not-normally-funded"},
                {"name": "citation", "part": [{"name": "label", "valueString": "§ 2"}]},
            ],
        },
        {
            "resourceType": "RequestGroup",
            "id": "requests",
            "status": "draft",
            "intent": "proposal",
            "basedOn": [{"reference": "ServiceRequest/o1"}],
            "action": [{"title": "Not normally funded"}],
        },
    ],
    "outputParameters": {"reference": "#output"},
    "result": {"reference": "#requests"},
}
PATIENT: Content = {"resourceType": "Patient", "id": "p1", "birthDate": "1980-01-01"}
DOCTOR: Content = {"resourceType": "Practitioner", "id": "d1", "name": [{"text": "Dr Example"}]}
EVIDENCE = (Evidence("Condition/c1", "2024-03"), Evidence("Procedure/x1", None), Evidence(None, "2020"))


def request(**members: Any) -> FundingRequest:
    usual = {
        "questionnaire": FORM,
        "response": ANSWERED,
        "order": ORDER,
        "determination": DETERMINATION,
        "evidence": EVIDENCE,
        "given": (PATIENT, DOCTOR),
        "server": SERVER,
    }
    whole = {**usual, **members}
    (order,) = procedure_orders([whole["order"]])
    return FundingRequest(**{**whole, "order": order})


def numbered() -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"00000000-0000-4000-8000-{next(numbers):012}"


def document(**members: Any) -> Content:
    return dict(funding_document(request(**members), NOW, numbered()))


def resources(bundle: Content, kind: str) -> list[Content]:
    return [each["resource"] for each in bundle["entry"] if each["resource"]["resourceType"] == kind]


def composition(bundle: Content) -> Content:
    return resources(bundle, "Composition")[0]


def references(value: Any) -> Iterator[Content]:
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str) or isinstance(value.get("identifier"), dict):
            yield value
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def targets(value: Any) -> set[str]:
    return {each["reference"] for each in references(value) if "reference" in each}


def test_a_completed_form_becomes_a_strictly_valid_document() -> None:
    bundle = document()

    Bundle.model_validate(json.loads(json.dumps(bundle)))
    assert bundle["type"] == "document"
    assert bundle["timestamp"] == "2026-11-22T12:00:00+00:00"
    assert bundle["identifier"]["system"] == "urn:ietf:rfc:3986"
    kinds = [each["resource"]["resourceType"] for each in bundle["entry"]]
    assert kinds == [
        "Composition",
        "QuestionnaireResponse",
        "ServiceRequest",
        "GuidanceResponse",
        "List",
        "Patient",
        "Practitioner",
    ]


@pytest.mark.parametrize("server", [SERVER, None])
def test_every_reference_is_to_an_entry_or_plainly_outside(server: str | None) -> None:
    bundle = document(server=server)

    inside = {each["fullUrl"] for each in bundle["entry"]}
    outside = {each for each in targets(bundle) if each not in inside and not each.startswith("#")}
    named = {each["identifier"]["value"] for each in references(bundle["entry"]) if "reference" not in each}
    assert outside == ({f"{SERVER}/Condition/c1", f"{SERVER}/Procedure/x1"} if server else set())
    assert named == (set() if server else {"Condition/c1", "Procedure/x1"})
    assert len(inside) == len(bundle["entry"])


def test_without_a_server_what_lies_outside_is_named_and_not_linked() -> None:
    bundle = document(server=None)

    assert [each["item"] for each in resources(bundle, "List")[0]["entry"]] == [
        {"type": "Condition", "identifier": {"value": "Condition/c1"}},
        {"type": "Procedure", "identifier": {"value": "Procedure/x1"}},
    ]


@pytest.mark.parametrize(
    ("reference", "becomes"),
    [
        ("Patient/p1", "inside"),
        (f"{SERVER}/Patient/p1", "inside"),
        ("Patient/p1/_history/3", "inside"),
        ("Patient/p2", f"{SERVER}/Patient/p2"),
        ("https://other.example/fhir/Patient/p1", "https://other.example/fhir/Patient/p1"),
        ("#output", "#output"),
    ],
)
def test_a_reference_is_followed_however_it_is_written(reference: str, becomes: str) -> None:
    bundle = document(order=ORDER | {"requester": {"reference": reference, "display": "X"}})

    patient = next(
        each["fullUrl"] for each in bundle["entry"] if each["resource"]["resourceType"] == "Patient"
    )
    assert resources(bundle, "ServiceRequest")[0]["requester"] == {
        "reference": patient if becomes == "inside" else becomes,
        "display": "X",
    }


def test_a_reference_by_urn_that_is_not_in_the_document_becomes_an_identifier() -> None:
    bundle = document(order=ORDER | {"requester": {"reference": "urn:uuid:1"}})

    assert resources(bundle, "ServiceRequest")[0]["requester"] == {
        "identifier": {"system": "urn:ietf:rfc:3986", "value": "urn:uuid:1"}
    }


def test_the_sections_of_the_document_follow_the_form() -> None:
    bundle = document()

    urls = {each["fullUrl"]: each["resource"]["resourceType"] for each in bundle["entry"]}
    written = [
        (each["title"], urls[each["entry"][0]["reference"]]) for each in composition(bundle)["section"]
    ]
    assert written == [
        ("The order", "ServiceRequest"),
        ("What the policy check said", "GuidanceResponse"),
        ("Request", "QuestionnaireResponse"),
        ("Benefit", "QuestionnaireResponse"),
        ("Evidence in the record", "List"),
    ]


def test_the_composition_says_whose_it_is_and_who_wrote_it() -> None:
    bundle = document()

    kinds = {each["fullUrl"]: each["resource"]["resourceType"] for each in bundle["entry"]}
    head = composition(bundle)
    assert kinds[head["subject"]["reference"]] == "Patient"
    assert kinds[head["author"][0]["reference"]] == "Practitioner"
    assert (head["status"], head["title"], head["type"]) == ("final", "Request", {"text": "Request"})


def test_an_amended_form_makes_an_amended_document() -> None:
    bundle = document(response=ANSWERED | {"status": "amended"})

    assert composition(bundle)["status"] == "amended"


def test_a_form_that_names_no_author_still_makes_a_valid_document() -> None:
    anonymous = {name: value for name, value in ANSWERED.items() if name != "author"}

    bundle = document(response=anonymous)

    Bundle.model_validate(json.loads(json.dumps(bundle)))
    assert composition(bundle)["author"] == [{"display": "The applicant named in it"}]


def test_what_is_not_there_is_left_out() -> None:
    bundle = document(determination=None, evidence=(), given=())

    Bundle.model_validate(json.loads(json.dumps(bundle)))
    assert [each["resource"]["resourceType"] for each in bundle["entry"]] == [
        "Composition",
        "QuestionnaireResponse",
        "ServiceRequest",
    ]
    assert composition(bundle)["subject"] == {"reference": f"{SERVER}/Patient/p1"}


def test_evidence_that_cannot_be_referred_to_makes_no_list() -> None:
    bundle = document(evidence=(Evidence(None, "2020"),))

    Bundle.model_validate(json.loads(json.dumps(bundle)))
    assert resources(bundle, "List") == []
    assert "Evidence in the record" not in [each["title"] for each in composition(bundle)["section"]]


def test_a_draft_without_an_id_is_in_the_document_all_the_same() -> None:
    draft = {name: value for name, value in ORDER.items() if name != "id"}
    bundle = document(order=draft, response=ANSWERED | {"basedOn": []})

    section = composition(bundle)["section"][0]
    placed = {each["fullUrl"]: each["resource"]["resourceType"] for each in bundle["entry"]}
    assert placed[section["entry"][0]["reference"]] == "ServiceRequest"


def test_what_goes_in_is_left_as_it_was() -> None:
    before = json.dumps([ANSWERED, ORDER, DETERMINATION, PATIENT, DOCTOR])

    document()

    assert json.dumps([ANSWERED, ORDER, DETERMINATION, PATIENT, DOCTOR]) == before


@pytest.mark.parametrize(
    ("members", "where"),
    [
        ({"status": "in-progress"}, "QuestionnaireResponse.status"),
        ({"status": None}, "QuestionnaireResponse.status"),
        ({"questionnaire": "https://example.org/form|2"}, "QuestionnaireResponse.questionnaire"),
        ({"questionnaire": "https://example.org/other|1"}, "QuestionnaireResponse.questionnaire"),
        ({"questionnaire": None}, "QuestionnaireResponse.questionnaire"),
    ],
)
def test_a_form_that_is_open_or_another_is_refused(members: Content, where: str) -> None:
    with pytest.raises(FundingRequestError) as refused:
        document(response={**ANSWERED, **members})

    assert refused.value.where == where


def test_a_response_that_names_no_version_is_taken_for_this_one() -> None:
    assert document(response=ANSWERED | {"questionnaire": "https://example.org/form"})


@given(st.text())
def test_whatever_was_typed_the_narrative_is_well_formed_and_holds_no_markup_of_it(typed: str) -> None:
    items = [{"linkId": "benefit", "item": [answer("why", {"valueString": f"{typed}<script>x</script>"})]}]
    bundle = document(response=response(*items))

    for section in composition(bundle)["section"]:
        tree = ET.fromstring(section["text"]["div"])  # noqa: S314  our own text
        assert {re.sub("{.*}", "", each.tag) for each in tree.iter()} <= {
            "div",
            "table",
            "tbody",
            "tr",
            "th",
            "td",
            "br",
        }


def test_lines_and_signs_in_an_answer_are_kept() -> None:
    bundle = document()

    benefit = next(each for each in composition(bundle)["section"] if each["title"] == "Benefit")
    assert "Pain &lt; before<br/>and &amp; after" in benefit["text"]["div"]


def test_the_printed_page_says_the_same_as_the_document() -> None:
    printed = printed_sections(request())

    assert [each.title for each in printed] == [each["title"] for each in composition(document())["section"]]
    assert printed[0].lines == (
        Line("Procedure", ("Breast reduction",), 0),
        Line("Codes", ("B31.1 (urn:codes)",), 0),
        Line("Ordered on", ("20 November 2026",), 0),
    )
    assert printed[1].lines == (
        Line("Policy", ("https://example.org/policy|1",), 0),
        Line("It says", ("Not normally funded",), 0),
        Line("Clauses", ("§ 2",), 0),
    )
    assert printed[-1].lines == (
        Line("Condition/c1", ("March 2024",), 0),
        Line("Procedure/x1", ("No date",), 0),
    )


def test_sections_are_the_top_groups_with_what_was_answered() -> None:
    assert sections(FORM, ANSWERED) == (
        Section("Request", (Line("Agreed?", ("Yes",), 0),)),
        Section(
            "Benefit",
            (
                Line("Why?", ("Pain < before\nand & after",), 0),
                Line("What was tried", (), 0),
                Line("What?", ("Bra",), 1),
                Line("When?", ("3 March 2024",), 1),
                Line("What was tried", (), 0),
                Line("What?", ("Physiotherapy",), 1),
                Line("When?", ("31 January 2025",), 1),
            ),
        ),
    )


def test_what_was_asked_below_an_answer_stands_below_it() -> None:
    below = {"valueBoolean": True, "item": [answer("why", {"valueString": "because"})]}

    (section,) = sections(FORM, response(answer("agreed", below)))

    assert section.lines == (Line("Agreed?", ("Yes",), 0), Line("Why?", ("because",), 1))


def test_a_heading_without_answers_below_it_is_left_out() -> None:
    empty = {
        "linkId": "benefit",
        "item": [answer("why", {"valueString": "x"}), {"linkId": "tried", "item": [{"linkId": "what"}]}],
    }

    assert sections(FORM, response(empty)) == (Section("Benefit", (Line("Why?", ("x",), 0),)),)


def test_an_answer_to_an_unknown_item_is_not_lost() -> None:
    (section,) = sections(FORM, response(answer("stray", {"valueString": "kept"}, text="Stray?")))

    assert section.lines == (Line("Stray?", ("kept",), 0),)


def test_do_not_know_is_said() -> None:
    absent = {
        "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
        "valueCode": "asked-unknown",
    }

    (section,) = sections(FORM, response({"linkId": "agreed", "extension": [absent]}))

    assert section.lines == (Line("Agreed?", ("Not known",), 0),)


def test_a_form_nested_without_end_is_printed_all_the_same() -> None:
    item = answer("why", {"valueString": "deep"})
    for _ in range(3_000):
        item = {"linkId": "tried", "item": [item]}
    deep = response({"linkId": "benefit", "item": [item]})

    (section,) = sections(FORM, deep)

    assert section.lines[-1] == Line("Why?", ("deep",), 3_000)
    assert document(response=deep)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"valueBoolean": False}, "No"),
        ({"valueInteger": 0}, "0"),
        ({"valueDecimal": 26.6}, "26.6"),
        ({"valueDate": "2024"}, "2024"),
        ({"valueDateTime": "2024-03-03T09:05:00Z"}, "3 March 2024 at 09:05"),
        ({"valueCoding": {"code": "a", "display": "An option"}}, "An option"),
        ({"valueCoding": {"code": "a"}}, "a"),
        (
            {
                "valueCoding": {
                    "system": "http://terminology.hl7.org/CodeSystem/data-absent-reason",
                    "code": "asked-unknown",
                    "display": "Asked But Unknown",
                }
            },
            "Not known",
        ),
        ({"valueQuantity": {"value": 0, "unit": "cm"}}, "0 cm"),
        ({"valueQuantity": {"value": 5, "code": "mg", "comparator": "<"}}, "<5 mg"),
        ({"valueReference": {"reference": "Patient/1"}}, "Patient/1"),
        ({"valueAttachment": {"title": "Letter", "url": "https://x"}}, "Letter"),
        ({}, "Not known"),
    ],
)
def test_an_answer_is_said_in_words(value: Content, words: str) -> None:
    assert told(value) == words


@pytest.mark.parametrize("written", ["2024-13", "yesterday", "2024-02-30", "2024-03-03T99"])
def test_what_is_no_date_stands_as_it_is(written: str) -> None:
    assert date_in_words(written) == written
