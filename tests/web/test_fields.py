"""A form as HTML."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest

from cds_service.errors import UnsupportedItemError
from cds_service.web.forms import FormOnPage, Note, answer_rows, form_fields, unrenderable
from tests.web.posting import posted
from tests.web.sample_pages import LONDON, all_item_types, every_control, form_of, response

CORE = "http://hl7.org/fhir/StructureDefinition"
PAYLOADS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</textarea><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "javascript:alert(1)",
    "\u202e\u0000<b>",
    "' onmouseover='alert(1)",
    "{} {0}",
]


class Tags(HTMLParser):
    """The tags of a page, and the attributes that could run something."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.running: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)
        for name, value in attrs:
            runs = name in {"href", "src", "action", "formaction"} and (
                value or ""
            ).strip().lower().startswith("javascript:")
            if name.startswith("on") or name == "style" or runs:
                self.running.append(f"{tag} {name}")


def questionnaire(*items: dict[str, Any]) -> dict[str, Any]:
    """A Questionnaire of these items."""
    return {"resourceType": "Questionnaire", "status": "draft", "item": list(items)}


@pytest.mark.parametrize("payload", PAYLOADS)
def test_what_stands_in_answers_words_options_notes_and_problems_is_shown_and_never_run(payload: str) -> None:
    """Wherever text comes in: the page has the same elements as one with harmless text in all these places."""

    def tags(text: str) -> Tags:
        items: list[dict[str, Any]] = [
            {
                "linkId": f"{text} {kind}",
                "type": kind,
                "text": text,
                "prefix": text,
                "maxLength": 50,
                "item": [{"linkId": f"{text} {kind} help", "type": "display", "text": text}],
            }
            for kind in (
                "boolean",
                "decimal",
                "integer",
                "date",
                "dateTime",
                "time",
                "string",
                "text",
                "url",
                "quantity",
            )
        ]
        coding = {"valueCoding": {"system": text, "code": text, "display": text}}
        items += [
            {"linkId": kind, "type": kind, "text": text, "answerOption": [coding], "repeats": several}
            for kind, several in (("choice", False), ("open-choice", True))
        ]
        group = {"linkId": "group", "type": "group", "repeats": True, "text": text, "item": items}
        element = {
            "decimal": "valueDecimal",
            "integer": "valueInteger",
            "url": "valueUri",
            "date": "valueDate",
            "dateTime": "valueDateTime",
        }
        answered = [
            {"linkId": item["linkId"], "answer": [{element.get(str(item["type"]), "valueString"): text}]}
            for item in items
        ]
        links = [str(item["linkId"]) for item in items]
        fields = form_fields(
            form_of(questionnaire(group)),
            response({"linkId": "group", "item": answered}),
            None,
            dict.fromkeys(links, text),
            {link: Note(text, (text,)) for link in links},
        )
        return Tags(str(fields.html))

    evil, harmless = tags(payload), tags("harmless")

    assert evil.found == harmless.found
    assert evil.running == []


def test_no_page_holds_a_script_or_a_style_of_its_own() -> None:
    tags = Tags(every_control())

    assert tags.running == []
    assert tags.found.count("script") == 1  # form.js, by its address
    assert "style" not in tags.found


def test_hidden_items_are_not_on_the_page_and_read_only_ones_cannot_be_typed_in() -> None:
    day = {"linkId": "read-only", "answer": [{"valueDate": "2024-03-03"}]}
    secret = {"linkId": "hidden", "answer": [{"valueString": "a secret"}]}

    html = form_fields(form_of(all_item_types()), response(day, secret)).html

    assert "a secret" not in html
    assert "3 March 2024" in html
    assert not [name for name in posted(html) if "read-only" in name or "hidden" in name]


@pytest.mark.parametrize(
    ("address", "linked"),
    [("https://example.org/help", True), ("javascript:alert(1)", False), ("data:text/html,x", False)],
)
def test_only_web_addresses_are_linked_to(address: str, *, linked: bool) -> None:
    extension = {"url": f"{CORE}/questionnaire-supportLink", "valueUri": address}

    html = form_fields(
        form_of(questionnaire({"linkId": "a", "type": "string", "text": "?", "extension": [extension]})),
        response(),
    ).html

    assert (address in html) is linked


@pytest.mark.parametrize(
    ("item", "feature"),
    [
        ({"type": "attachment"}, "type attachment"),
        ({"type": "reference"}, "type reference"),
        ({"type": "question"}, "type question"),
        ({}, "type (none)"),
        ({"type": "choice"}, "choice without options"),
        (
            {"type": "choice", "answerValueSet": "http://example.org/none"},
            "answerValueSet http://example.org/none",
        ),
        (
            {"type": "string", "modifierExtension": [{"url": "http://example.org/not"}]},
            "http://example.org/not",
        ),
        (
            {"type": "string", "repeats": True, "item": [{"linkId": "b", "type": "string"}]},
            "questions below a question that repeats",
        ),
    ],
)
def test_what_cannot_be_put_on_a_page_is_refused_by_name(item: dict[str, Any], feature: str) -> None:
    form = FormOnPage(questionnaire({"linkId": "a", "text": "?", **item}), lambda _: None, LONDON)

    assert [(each.link_id, each.feature) for each in unrenderable(form)] == [("a", feature)]
    with pytest.raises(UnsupportedItemError, match="item a"):
        form_fields(form, response())


@pytest.mark.parametrize(
    "kept_away",
    [{"readOnly": True}, {"extension": [{"url": f"{CORE}/questionnaire-hidden", "valueBoolean": True}]}],
)
def test_a_type_that_nobody_has_to_give_is_not_refused(kept_away: dict[str, Any]) -> None:
    form = form_of(questionnaire({"linkId": "a", "type": "attachment", "text": "?", **kept_away}))

    assert unrenderable(form) == ()


def test_a_value_set_that_the_form_contains_is_offered() -> None:
    contained = {
        "resourceType": "ValueSet",
        "id": "sides",
        "compose": {"include": [{"system": "s", "concept": [{"code": "l", "display": "Left"}]}]},
    }
    item = {"linkId": "a", "type": "choice", "text": "?", "answerValueSet": "#sides"}
    form = FormOnPage({**questionnaire(item), "contained": [contained]}, lambda _: None, LONDON)

    assert ">Left<" in "".join(form_fields(form, response()).html.split())


@pytest.mark.parametrize(
    ("link_id", "drawn"),
    [
        ("choice", 'type="radio"'),
        ("long-choice", "<select"),
        ("long-radios", 'type="radio"'),
        ("short-list", "<select"),
        ("several", 'type="checkbox"'),
        ("text", "<textarea"),
        ("box", "<textarea"),
        ("string", 'maxlength="40"'),
    ],
)
def test_options_and_item_controls_choose_the_input(link_id: str, drawn: str) -> None:
    assert drawn in form_fields(form_of(all_item_types()), response(), {link_id}).html


def test_an_answer_that_is_no_longer_on_offer_is_still_shown() -> None:
    gone = {
        "valueCoding": {"system": "http://example.org/old", "code": "gone", "display": "No longer offered"}
    }

    html = form_fields(
        form_of(all_item_types()), response({"linkId": "choice", "answer": [gone]}), {"choice"}
    ).html

    assert "No longer offered" in html
    assert posted(html)["q:choice"] == ["coding:http://example.org/old|gone"]


def test_only_what_is_shown_is_on_the_page_with_the_groups_it_stands_in() -> None:
    html = form_fields(form_of(all_item_types()), response(), {"inner"}).html

    assert posted(html)["asked"] == ["q:inner"]
    assert "A section" in html
    assert "About this section." not in html


def test_a_place_in_one_occurrence_can_be_shown_alone() -> None:
    both = {"linkId": "section 1/2", "item": [{"linkId": "treatments"}, {"linkId": "treatments"}]}

    html = form_fields(form_of(all_item_types()), response(both), {"treatment.name:1"}).html

    assert posted(html)["asked"] == ["q:treatment.name:1"]


def test_problems_stand_at_their_question_and_in_the_summary_in_the_order_of_the_page() -> None:
    problems = {"nowhere": "Something else", "integer": "Must be a whole number", "boolean": "Answer this"}

    fields = form_fields(form_of(all_item_types()), response(), None, problems)

    assert [(each.words, each.input_id) for each in fields.problems] == [
        ("Is it so?: Answer this", "q:boolean"),
        ("How many?: Must be a whole number", "q:integer"),
        ("Something else", None),
    ]


def test_the_notes_of_a_question_describe_its_inputs() -> None:
    html = form_fields(
        form_of(all_item_types()),
        response(),
        {"boolean"},
        notes={"boolean": Note("Filled in from the record", ("Condition, 3 March 2024",))},
    ).html

    assert 'aria-describedby="q:boolean-hint"' in html
    assert "Condition, 3 March 2024" in html[html.index('id="q:boolean-hint"') :]


@pytest.mark.parametrize(
    ("link_id", "answer", "words"),
    [
        ("boolean", {"valueBoolean": False}, "No"),
        ("decimal", {"valueDecimal": 12.5}, "12.5 kg"),
        ("date", {"valueDate": "2024-03"}, "March 2024"),
        ("dateTime", {"valueDateTime": "2024-03-03T09:30:00+00:00"}, "3 March 2024 at 09:30"),
        ("choice", {"valueCoding": {"code": "left", "display": "Left"}}, "Left"),
        ("quantity", {"valueQuantity": {"value": 3, "unit": "cm", "comparator": "<"}}, "<3 cm"),
    ],
)
def test_answers_to_look_over_are_in_words(link_id: str, answer: dict[str, Any], words: str) -> None:
    rows = answer_rows(
        form_of(all_item_types()), response({"linkId": link_id, "answer": [answer]}), {link_id}
    )

    assert [row.answers for row in rows] == [(words,)]


def test_answers_to_look_over_say_where_they_stand() -> None:
    treatment = {
        "linkId": "treatments",
        "item": [{"linkId": "treatment.name", "answer": [{"valueString": "one"}]}],
    }
    both = {"linkId": "section 1/2", "item": [treatment, treatment]}

    rows = answer_rows(form_of(all_item_types()), response(both), {"treatment.name"})

    assert [(row.section, row.place.key) for row in rows] == [
        ("Treatment 1", "treatment.name:0"),
        ("Treatment 2", "treatment.name:1"),
    ]
