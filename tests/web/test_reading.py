"""What was posted, read into a QuestionnaireResponse."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.web.forms import FormFields, answered, form_fields
from tests.web.posting import posted
from tests.web.sample_pages import all_item_types, form_of, response

FORM = form_of(all_item_types())
ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
TREATMENTS = "q:treatments"
_CRITERIA = "https://funding-policies.example/fhir/CodeSystem/criteria"


def asked(link_id: str, **parts: str | list[str]) -> dict[str, list[str]]:
    """A post of one question; ``main`` is its first input."""
    name = f"q:{link_id}"
    fields = {
        f"{name}!{part}" if part != "main" else name: value if isinstance(value, list) else [value]
        for part, value in parts.items()
    }
    return {"asked": [name], **fields}


def read_item(link_id: str, **parts: str | list[str]) -> Any:
    """The response item that a post of one question makes; None for no item."""
    read = answered(FORM, response(), asked(link_id, **parts))
    assert read.problems == {}
    items = read.response.get("item", [])
    return items[0] if items else None


ENTRIES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("boolean", {"main": "boolean:true"}, {"valueBoolean": True}),
    ("boolean", {"main": "boolean:false"}, {"valueBoolean": False}),
    ("decimal", {"main": " 12.50 "}, {"valueDecimal": 12.5}),
    ("decimal", {"main": "12"}, {"valueDecimal": 12}),
    ("decimal", {"main": "-.5"}, {"valueDecimal": -0.5}),
    ("integer", {"main": "2"}, {"valueInteger": 2}),
    ("integer", {"main": "-2147483648"}, {"valueInteger": -2147483648}),
    ("date", {"day": "3", "month": "3", "year": "2024"}, {"valueDate": "2024-03-03"}),
    ("date", {"day": "29", "month": "feb", "year": "2024"}, {"valueDate": "2024-02-29"}),
    ("date", {"day": "03", "month": "September", "year": "2024"}, {"valueDate": "2024-09-03"}),
    (
        "dateTime",
        {"day": "3", "month": "7", "year": "2024", "time": "9:30"},
        {"valueDateTime": "2024-07-03T09:30:00+01:00"},
    ),
    (
        "dateTime",
        {"day": "3", "month": "1", "year": "2024", "time": "1405"},
        {"valueDateTime": "2024-01-03T14:05:00+00:00"},
    ),
    ("dateTime", {"day": "3", "month": "1", "year": "2024", "time": ""}, {"valueDateTime": "2024-01-03"}),
    ("time", {"main": "9.30"}, {"valueTime": "09:30:00"}),
    ("string", {"main": " <b>bold</b> "}, {"valueString": "<b>bold</b>"}),
    ("text", {"main": "one\r\ntwo\x00"}, {"valueString": "one\ntwo"}),
    ("url", {"main": "https://example.org"}, {"valueUri": "https://example.org"}),
    (
        "choice",
        {"main": f"coding:{_CRITERIA}|left"},
        {"valueCoding": {"system": _CRITERIA, "code": "left", "display": "Left"}},
    ),
    ("strings", {"main": "string:?"}, {"valueString": "?"}),
    ("strings", {"main": "integer:3"}, {"valueInteger": 3}),
    ("open", {"other": "Another"}, {"valueString": "Another"}),
    ("quantity", {"main": "3.5", "unit": "stone"}, {"valueQuantity": {"value": 3.5, "unit": "stone"}}),
    (
        "quantity-unit",
        {"main": "3"},
        {"valueQuantity": {"value": 3, "unit": "cm", "system": "http://unitsofmeasure.org", "code": "cm"}},
    ),
    (
        "quantity-units",
        {"main": "3", "unit": "mg"},
        {"valueQuantity": {"value": 3, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}},
    ),
]


@pytest.mark.parametrize(("link_id", "parts", "answer"), ENTRIES)
def test_an_entry_is_read_as_the_answer_of_its_type(
    link_id: str, parts: dict[str, Any], answer: dict[str, Any]
) -> None:
    assert read_item(link_id, **parts) == {"linkId": link_id, "answer": [answer]}


UNREADABLE = [
    ("integer", {"main": "2.5"}, "Must be a whole number, like 3"),
    ("integer", {"main": "two"}, "Must be a whole number, like 3"),
    ("integer", {"main": "2147483648"}, "Must be a whole number, like 3"),
    ("integer", {"main": "²"}, "Must be a whole number, like 3"),
    ("decimal", {"main": "1,5"}, "Must be a number, like 2 or 2.5"),
    ("decimal", {"main": "1e9"}, "Must be a number, like 2 or 2.5"),
    ("decimal", {"main": "NaN"}, "Must be a number, like 2 or 2.5"),
    ("decimal", {"main": "."}, "Must be a number, like 2 or 2.5"),
    ("date", {"day": "30", "month": "2", "year": "2024"}, "Must be a real date, like 27 3 2024"),
    ("date", {"day": "29", "month": "2", "year": "2023"}, "Must be a real date, like 27 3 2024"),
    ("date", {"day": "3", "month": "ju", "year": "2024"}, "Must be a real date, like 27 3 2024"),
    ("date", {"day": "3", "month": "", "year": "2024"}, "Must include a month"),
    ("date", {"day": "3", "month": "", "year": ""}, "Must include a month and year"),
    ("date", {"day": "3", "month": "3", "year": "24"}, "Must have a year of 4 numbers"),
    (
        "dateTime",
        {"day": "3", "month": "3", "year": "2024", "time": "25:00"},
        "Must be a time, like 9:30 or 14:05",
    ),
    ("time", {"main": "soon"}, "Must be a time, like 9:30 or 14:05"),
    ("url", {"main": "a b"}, "Must be an address without spaces, like https://www.example.org"),
    ("choice", {"main": "coding:elsewhere|left"}, "Must be one of the options"),
    (
        "choice",
        {"main": [f"coding:{_CRITERIA}|left", f"coding:{_CRITERIA}|right"]},
        "Must be one answer only",
    ),
    ("open", {"main": f"coding:{_CRITERIA}|c1", "other": "Another"}, "Must be one answer only"),
    ("several", {"main": ["?", f"coding:{_CRITERIA}|c1"]}, "Cannot be “Don’t know” and something else"),
    ("integer", {"main": "2", "unknown": "?"}, "Cannot be answered and “Don’t know” at the same time"),
    ("quantity-units", {"main": "2", "unit": ""}, "Must have a unit"),
]


@pytest.mark.parametrize(("link_id", "parts", "words"), UNREADABLE)
def test_an_entry_that_is_no_answer_leaves_the_question_open_and_says_why(
    link_id: str, parts: dict[str, Any], words: str
) -> None:
    read = answered(FORM, response(), asked(link_id, **parts))

    assert read.problems == {link_id: words}
    assert "item" not in read.response


@pytest.mark.parametrize(
    ("link_id", "parts"),
    [
        (link_id, parts)
        for link_id, parts, _ in UNREADABLE
        if link_id in {"integer", "decimal", "date", "time", "url"}
    ],
)
def test_what_could_not_be_read_is_shown_again_as_it_was_typed(link_id: str, parts: dict[str, Any]) -> None:
    read = answered(FORM, response(), asked(link_id, **parts))

    again = form_fields(FORM, read.response, {link_id}, read.problems, unread=read.unread)

    fields = posted(again.html)
    assert {name: fields[name] for name in read.unread if read.unread[name]} == {
        name: list(value) for name, value in read.unread.items() if value
    }
    assert [f'id="{problem.input_id}"' in again.html for problem in again.problems] == [True]


@pytest.mark.parametrize("link_id", ["boolean", "choice", "long-choice", "several"])
def test_dont_know_among_options_is_an_item_without_answer_that_says_so(link_id: str) -> None:
    assert read_item(link_id, main="?") == {
        "linkId": link_id,
        "extension": [{"url": ABSENT, "valueCode": "asked-unknown"}],
    }


@pytest.mark.parametrize("link_id", ["integer", "decimal", "date", "dateTime", "time", "quantity"])
def test_dont_know_beside_a_box_is_an_item_without_answer_that_says_so(link_id: str) -> None:
    assert read_item(link_id, unknown="?") == {
        "linkId": link_id,
        "extension": [{"url": ABSENT, "valueCode": "asked-unknown"}],
    }


def test_dont_know_that_is_an_option_of_the_form_is_that_option() -> None:
    system = "http://terminology.hl7.org/CodeSystem/data-absent-reason"

    item = read_item("asked-unknown", main=f"coding:{system}|asked-unknown")

    assert item["answer"][0]["valueCoding"]["code"] == "asked-unknown"
    assert "extension" not in item


def test_dont_know_is_not_read_where_it_is_not_offered() -> None:
    form = form_of(all_item_types())
    narrow = type(form)(form.questionnaire, form.expand, form.zone, dont_know=frozenset({"integer"}))

    read = answered(narrow, response(), {**asked("boolean", main="?")})

    assert read.problems == {"boolean": "Must be one of the options"}


def test_a_changed_mind_takes_dont_know_back() -> None:
    before = response(
        {
            "linkId": "boolean",
            "extension": [{"url": ABSENT, "valueCode": "asked-unknown"}, {"url": "http://example.org/kept"}],
        }
    )

    read = answered(FORM, before, asked("boolean", main="boolean:true"))

    assert read.response["item"] == [
        {
            "linkId": "boolean",
            "extension": [{"url": "http://example.org/kept"}],
            "answer": [{"valueBoolean": True}],
        }
    ]


def test_an_answer_that_is_changed_loses_where_it_came_from_and_one_that_is_not_keeps_it() -> None:
    origin = [{"url": "http://hl7.org/fhir/us/davinci-dtr/StructureDefinition/information-origin"}]
    before = response(
        {"linkId": "boolean", "answer": [{"valueBoolean": True, "extension": origin}]},
        {"linkId": "integer", "answer": [{"valueInteger": 2, "extension": origin}]},
    )

    read = answered(
        FORM, before, {"asked": ["q:boolean", "q:integer"], "q:boolean": ["boolean:true"], "q:integer": ["3"]}
    )

    assert read.response["item"] == [
        before["item"][0],
        {"linkId": "integer", "answer": [{"valueInteger": 3}]},
    ]


def test_what_the_page_did_not_ask_stays_as_it_was() -> None:
    before = response(
        {"linkId": "boolean", "answer": [{"valueBoolean": True}]},
        {"linkId": "hidden", "answer": [{"valueString": "kept"}]},
        {"linkId": "section 1/2", "item": [{"linkId": "inner", "answer": [{"valueInteger": 1}]}]},
        {"linkId": "no such item", "answer": [{"valueString": "kept too"}]},
    )

    read = answered(FORM, before, asked("integer", main="2"), shown={"integer"})

    assert read.response["item"] == [
        before["item"][0],
        {"linkId": "integer", "answer": [{"valueInteger": 2}]},
        *before["item"][1:],
    ]


@pytest.mark.parametrize("link_id", ["hidden", "read-only"])
def test_nothing_is_read_into_a_question_that_nobody_may_answer(link_id: str) -> None:
    assert read_item(link_id, main="forged", day="1", month="1", year="2024") is None


def test_nothing_is_read_into_a_question_outside_those_shown() -> None:
    read = answered(FORM, response(), asked("integer", main="2"), shown={"boolean"})

    assert "item" not in read.response


def test_a_question_emptied_is_open_again() -> None:
    before = response({"linkId": "integer", "answer": [{"valueInteger": 2}]})

    assert "item" not in answered(FORM, before, asked("integer", main="")).response


def test_several_choices_and_what_is_not_on_offer_are_all_answers() -> None:
    item = read_item(
        "several-open", main=[f"coding:{_CRITERIA}|c2", f"coding:{_CRITERIA}|c1"], other="one more\r\nanother"
    )

    assert [each.get("valueString") or each["valueCoding"]["code"] for each in item["answer"]] == [
        "c1",
        "c2",
        "one more",
        "another",
    ]


def test_a_repeating_question_reads_each_of_its_boxes() -> None:
    item = read_item("days", day=["3", "", "4"], month=["3", "", "4"], year=["2024", "", "2025"])

    assert item["answer"] == [{"valueDate": "2024-03-03"}, {"valueDate": "2025-04-04"}]


def test_a_question_below_another_is_read_below_its_answer() -> None:
    read = answered(
        FORM,
        response(),
        {"asked": ["q:parent", "q:child"], "q:parent": ["boolean:true"], "q:child": ["more"]},
    )

    below = {"linkId": "child", "answer": [{"valueString": "more"}]}
    assert read.response["item"] == [
        {"linkId": "parent", "answer": [{"valueBoolean": True, "item": [below]}]}
    ]


def _shown(read: dict[str, Any]) -> FormFields:
    return form_fields(FORM, read, {"treatment.name"})


def _names(read: dict[str, Any]) -> list[str]:
    """The names of the treatments that a response holds, a dash for one without."""
    sections = [each for each in read.get("item", []) if each["linkId"] == "section 1/2"]
    groups = sections[0]["item"] if sections else []
    return [group["item"][0]["answer"][0]["valueString"] if "item" in group else "-" for group in groups]


def test_occurrences_of_a_group_are_added_filled_and_removed_by_buttons() -> None:
    first = answered(
        FORM,
        response(),
        {**posted(_shown(response()).html, f"add {TREATMENTS}"), "q:treatment.name:0": ["one"]},
    )
    assert _names(first.response) == ["one", "-"]

    second = answered(
        FORM, first.response, {**posted(_shown(first.response).html, "update"), "q:treatment.name:1": ["two"]}
    )
    assert _names(second.response) == ["one", "two"]

    third = answered(FORM, second.response, posted(_shown(second.response).html, f"remove {TREATMENTS}:0"))
    assert (_names(third.response), third.button) == (["two"], "remove")


def test_an_occurrence_left_empty_goes_when_the_form_goes_on() -> None:
    added = answered(
        FORM,
        response(),
        {**posted(_shown(response()).html, f"add {TREATMENTS}"), "q:treatment.name:0": ["one"]},
    )

    going_on = answered(FORM, added.response, posted(_shown(added.response).html, "continue"))

    assert _names(going_on.response) == ["one"]


def test_no_post_makes_more_than_a_hundred_occurrences() -> None:
    fields = {"q:treatments!count": ["99999999999"], "do": [f"add {TREATMENTS}"]}

    assert len(_names(answered(FORM, response(), fields).response)) == 100
