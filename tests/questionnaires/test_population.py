"""A form filled in from what is known: never more than that, each answer with its origin."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fhir.resources.R4B.questionnaireresponse import QuestionnaireResponse

from cds_service.policies.findings import Evidence
from cds_service.questionnaires.form import prepared
from cds_service.questionnaires.origin import AUTO_SERVER, INFORMATION_ORIGIN, origin_of
from cds_service.questionnaires.population import Populated, populated
from cds_service.record.patient_record import QueryAnswer
from tests.questionnaires.forms import (
    COLOUR_SYSTEM,
    COLOURS,
    CORE,
    FORM,
    PATIENT,
    SDC,
    expression,
    found,
    item,
    launch,
    launch_context,
    query,
    questionnaire,
    variable,
    when,
)

CONDITIONS = query("conditions", "Condition?patient={{%patient.id}}")
LAUNCHED = [launch_context("patient", "Patient"), launch_context("user", "Practitioner"), CONDITIONS]
DIABETES = {
    "resourceType": "Condition",
    "id": "c1",
    "recordedDate": "2020-01-02",
    "code": {"coding": [{"system": COLOUR_SYSTEM, "code": "red"}]},
    "bodySite": [
        {"coding": [{"system": COLOUR_SYSTEM, "code": "red"}, {"system": COLOUR_SYSTEM, "code": "blue"}]}
    ],
}
RECORD = {"conditions": found(DIABETES)}


def initially(text: str, **members: Any) -> dict[str, Any]:
    return expression(f"{SDC}initialExpression", text, **members)


def calculated(text: str) -> dict[str, Any]:
    return expression(f"{SDC}calculatedExpression", text)


def filled(*items: dict[str, Any], extension: list[dict[str, Any]] | None = None, **given: Any) -> Populated:
    contexts = {"patient": PATIENT, **given.pop("contexts", {})}
    form = prepared(questionnaire(*items, extension=extension or LAUNCHED))
    return populated(form, launch(contexts, given.get("queries", RECORD)))


def values(element: dict[str, Any]) -> dict[str, Any]:
    """linkId → its values, as far as there are any, instances of groups one after the other."""
    said: dict[str, Any] = {}
    for each in element.get("item", ()):
        for answer in each.get("answer", ()):
            value = next(value for name, value in answer.items() if name.startswith("value"))
            said.setdefault(each["linkId"], []).append(value)
            said |= values(answer)
        for link_id, more in values(each).items():
            said.setdefault(link_id, []).extend(more)
    return said


def test_the_response_says_what_it_answers_of_whom_for_which_order_and_by_whom() -> None:
    order = {"resourceType": "ServiceRequest", "id": "o1"}
    user = {"resourceType": "Practitioner", "id": "d1"}

    response = filled(item("a"), contexts={"clinical": order, "user": user}).response

    assert response == {
        "resourceType": "QuestionnaireResponse",
        "status": "in-progress",
        "questionnaire": f"{FORM}|2",
        "subject": {"reference": "Patient/p1"},
        "basedOn": [{"reference": "ServiceRequest/o1"}],
        "authored": "2026-11-22T12:00:00+00:00",
        "author": {"reference": "Practitioner/d1"},
        "source": {"reference": "Practitioner/d1"},
    }


def test_an_order_that_has_no_id_yet_is_not_named() -> None:
    assert (
        "basedOn" not in filled(item("a"), contexts={"clinical": {"resourceType": "ServiceRequest"}}).response
    )


def test_every_answer_says_that_it_comes_from_the_server() -> None:
    answer = filled(item("a", "string", extension=[initially("%patient.gender")])).response["item"][0][
        "answer"
    ][0]

    assert answer["valueString"] == "female"
    assert origin_of(answer) == AUTO_SERVER
    assert answer["extension"][0]["url"] == INFORMATION_ORIGIN


def test_a_populated_response_is_valid_fhir() -> None:
    response = filled(
        item(
            "g",
            "group",
            text="Group",
            below=[item("a", "date", text="A?", extension=[initially("%patient.birthDate")])],
        ),
    ).response

    QuestionnaireResponse.model_validate_json(json.dumps(response))


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("boolean", "%conditions.entry.resource.exists()", True),
        ("boolean", "%conditions.entry.resource.where(id = 'x').exists()", False),
        ("integer", "2 + 3", 5),
        ("integer", "4.0", 4),
        ("decimal", "2.50", 2.5),
        ("decimal", "2", 2),
        ("string", "%patient.gender", "female"),
        ("text", "'two' & ' words'", "two words"),
        ("url", "'https://a.example/'", "https://a.example/"),
        ("date", "%patient.birthDate", "1960-05-01"),
        ("date", "now()", "2026-11-22"),
        ("dateTime", "today()", "2026-11-22"),
        ("time", "@T10:30:00", "10:30:00"),
        ("reference", "%patient", {"reference": "Patient/p1"}),
        ("reference", "'Patient/p1'", {"reference": "Patient/p1"}),
        (
            "quantity",
            "1.5 'kg'",
            {"value": 1.5, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
        ),
        ("choice", "%conditions.entry.resource.code", {"system": COLOUR_SYSTEM, "code": "red"}),
        ("choice", "%conditions.entry.resource.code.coding", {"system": COLOUR_SYSTEM, "code": "red"}),
        ("choice", "'red'", {"system": COLOUR_SYSTEM, "code": "red"}),
        ("open-choice", "'something else'", "something else"),
    ],
)
def test_an_initial_expression_answers_an_item_in_its_type(kind: str, text: str, value: Any) -> None:
    options = {"answerValueSet": COLOURS} if "choice" in kind else {}

    result = filled(item("a", kind, extension=[initially(text)], **options))

    assert values(result.response) == {"a": [value]}
    assert result.issues == ()


@pytest.mark.parametrize("text", ["{}", "%conditions.entry.resource.onset", "''"])
def test_an_expression_that_yields_nothing_leaves_the_item_open_without_an_issue(text: str) -> None:
    result = filled(item("a", "string", extension=[initially(text)]))

    assert (values(result.response), result.issues) == ({}, ())


@pytest.mark.parametrize(
    ("kind", "text", "code"),
    [
        ("boolean", "%patient.gender", "value"),
        ("boolean", "true | false", "value"),
        ("integer", "1.5", "value"),
        ("date", "'soon'", "value"),
        ("choice", "'green'", "value"),
        ("choice", "%conditions.entry.resource.bodySite", "value"),
        ("boolean", "(1 | 2).single() = 1", "exception"),
        ("boolean", "%conditions.entry.resource.code.memberOf('https://nobody.example/vs')", "not-found"),
        ("boolean", "%observations.entry.exists()", "incomplete"),
        ("boolean", "%unread", "incomplete"),
        ("boolean", "%user.active", "incomplete"),
        ("boolean", "%patient.gander(", "not-supported"),
    ],
)
def test_an_expression_that_cannot_be_relied_on_leaves_the_item_open_and_says_why(
    kind: str, text: str, code: str
) -> None:
    options = {"answerValueSet": COLOURS} if kind == "choice" else {}
    declared = [
        *LAUNCHED,
        query("observations", "Observation?x"),
        variable("unread", "%observations.entry.empty()"),
    ]

    result = filled(item("a", kind, extension=[initially(text)], **options), extension=declared)

    assert values(result.response) == {}
    assert [(each.link_id, each.code, each.severity) for each in result.issues] == [("a", code, "warning")]


def test_a_failed_query_is_named_with_its_reason() -> None:
    failed = {"conditions": QueryAnswer(not_read="the client could not read it")}

    (issue,) = filled(item("a", extension=[initially("%conditions.entry.empty()")]), queries=failed).issues

    assert issue.words == "not read: conditions (the client could not read it)"


def test_a_value_beyond_the_items_bounds_is_no_answer() -> None:
    most = {"url": f"{CORE}maxValue", "valueInteger": 3}

    result = filled(item("a", "integer", extension=[initially("4"), most]))

    assert values(result.response) == {}
    assert [each.words for each in result.issues] == ["not filled in: expected at most 3"]


def test_an_issue_about_an_item_that_is_not_asked_is_nobodys_concern() -> None:
    never: dict[str, Any] = {"enableWhen": when("a", "=", answerBoolean=True)}

    result = filled(item("a"), item("b", extension=[initially("%user.active")], **never))

    assert result.issues == ()


def test_initial_values_are_answers_and_known_as_the_forms_own() -> None:
    options = [{"valueString": "x"}, {"valueString": "y", "initialSelected": True}]

    result = filled(
        item("a", initial=[{"valueBoolean": False}]),
        item("b", "choice", answerOption=options),
        item("c", extension=[initially("true")]),
        item("d", initial=[{"valueBoolean": True}], enableWhen=when("a", "=", answerBoolean=True)),
    )

    assert values(result.response) == {"a": [False], "b": ["y"], "c": [True]}
    assert result.defaults == {"a", "b"}


def test_the_items_of_a_value_are_repeated_only_where_the_item_repeats() -> None:
    result = filled(item("a", "integer", repeats=True, extension=[initially("1 | 2")]))

    assert values(result.response) == {"a": [1, 2]}


def test_only_items_that_are_asked_are_answered() -> None:
    result = filled(
        item("a", extension=[initially("false")]),
        item("b", extension=[initially("true")], enableWhen=when("a", "=", answerBoolean=True)),
        item(
            "g",
            "group",
            enableWhen=when("a", "=", answerBoolean=True),
            below=[item("c", extension=[initially("true")])],
        ),
    )

    assert values(result.response) == {"a": [False]}


def test_evidence_is_shown_with_its_date_also_beside_a_question_that_it_does_not_settle() -> None:
    shown = {
        "url": f"{SDC}contextExpression",
        "extension": [
            {"url": "label", "valueString": "Entries"},
            {
                "url": "contextExpression",
                "valueExpression": {"language": "text/fhirpath", "expression": "%conditions.entry.resource"},
            },
        ],
    }

    result = filled(item("a", extension=[shown]), item("b", extension=[shown, initially("true")]))

    evidence = (Evidence("Condition/c1", "2020-01-02"),)
    assert result.evidence == {"a": evidence, "b": evidence}
    assert filled(item("a", extension=[shown]), queries={}).evidence == {"a": ()}


def test_an_answer_whose_evidence_cannot_be_shown_is_none() -> None:
    written = {"language": "text/fhirpath", "expression": "(1 | 2).single()"}
    parts = [{"url": "contextExpression", "valueExpression": written}]
    shown = {"url": f"{SDC}contextExpression", "extension": parts}

    result = filled(item("a", extension=[shown, initially("true")]))

    assert values(result.response) == {}
    assert [each.code for each in result.issues] == ["exception"]


def test_calculated_values_follow_each_other_in_any_order() -> None:
    result = filled(
        item("c", "integer", extension=[calculated("%resource.item.where(linkId='b').answer.value + 1")]),
        item("b", "integer", extension=[calculated("%resource.item.where(linkId='a').answer.value + 1")]),
        item("a", "integer", extension=[initially("1")]),
    )

    assert values(result.response) == {"a": [1], "b": [2], "c": [3]}
    assert result.defaults == frozenset()


def test_a_calculated_value_that_fails_at_first_and_then_not_is_an_answer_without_an_issue() -> None:
    late = "iif(%resource.item.where(linkId='b').answer.exists(), 3, 'nothing yet')"

    result = filled(
        item("a", "integer", extension=[calculated(late)]), item("b", extension=[calculated("true")])
    )

    assert (values(result.response), result.issues) == ({"a": [3], "b": [True]}, ())


def test_a_value_calculated_below_a_calculated_value_settles_too() -> None:
    below = [item("b", "integer", extension=[calculated("5")])]

    result = filled(item("a", extension=[calculated("true")], below=below))

    assert (values(result.response), result.issues) == ({"a": [True], "b": [5]}, ())


def test_a_calculated_value_sees_no_answer_that_is_not_asked_for() -> None:
    result = filled(
        item("a", extension=[initially("false")]),
        item("b", "integer", extension=[initially("7")], enableWhen=when("a", "=", answerBoolean=True)),
        item("c", extension=[calculated("%resource.item.where(linkId='b').answer.exists()")]),
    )

    assert values(result.response) == {"a": [False], "c": [False]}


def test_a_calculated_value_may_open_an_item_that_was_filled_in_before() -> None:
    result = filled(
        item("b", "integer", extension=[initially("7")], enableWhen=when("c", "=", answerBoolean=True)),
        item("c", extension=[calculated("true")]),
    )

    assert values(result.response) == {"b": [7], "c": [True]}


def test_a_calculated_value_that_never_settles_is_left_open_and_named() -> None:
    other = "iif(%resource.item.where(linkId='{0}').answer.exists(), {{}}, true)"
    counting = "iif(%context.answer.exists(), %context.answer.value + 1, 1)"

    result = filled(
        item("a", "integer", extension=[calculated(counting)]), item("b", extension=[calculated("true")])
    )

    assert values(result.response) == {"b": [True]}
    assert [(each.link_id, each.words) for each in result.issues] == [
        ("a", "its calculated value changes without end")
    ]
    assert values(filled(item("x", extension=[calculated(other.format("x"))])).response) == {}


def test_a_variable_of_a_group_is_seen_inside_it_and_follows_the_answers() -> None:
    double = variable("double", "item.where(linkId='a').answer.value * 2")
    result = filled(
        item(
            "g",
            "group",
            extension=[double],
            below=[
                item("a", "integer", extension=[initially("4")]),
                item("b", "integer", extension=[calculated("%double")]),
            ],
        ),
        item("c", "integer", extension=[calculated("%double")]),
    )

    assert values(result.response) == {"a": [4], "b": [8]}
    assert [(each.link_id, each.code) for each in result.issues] == [("c", "not-supported")]


@pytest.mark.parametrize("language", ["text/fhirpath", "application/x-fhir-query"])
def test_a_repeating_group_stands_once_for_each_result_of_its_population_context(language: str) -> None:
    text = (
        "%conditions.entry.resource" if language == "text/fhirpath" else "Condition?patient={{%patient.id}}"
    )
    context = expression(f"{SDC}itemPopulationContext", text, name="each", language=language)
    other = {**DIABETES, "id": "c2"}
    answer = found(DIABETES, other)

    result = filled(
        item(
            "g",
            "group",
            repeats=True,
            extension=[context],
            below=[item("a", "string", extension=[initially("%each.id")])],
        ),
        queries={"conditions": answer, "each": answer},
    )

    assert [values(each) for each in result.response["item"]] == [{"a": ["c1"]}, {"a": ["c2"]}]
    assert result.issues == ()


def test_a_calculated_value_sees_what_its_instance_of_a_group_was_made_from() -> None:
    context = expression(f"{SDC}itemPopulationContext", "%conditions.entry.resource", name="each")
    below = [item("a", "string", extension=[calculated("%each.id")])]

    result = filled(item("g", "group", repeats=True, extension=[context], below=below))

    assert values(result.response) == {"a": ["c1"]}


def test_a_group_that_does_not_repeat_stands_once_and_sees_all_results() -> None:
    context = expression(f"{SDC}itemPopulationContext", "%conditions.entry.resource", name="all")
    below = [item("a", "integer", extension=[initially("%all.count()")])]

    result = filled(
        item("g", "group", extension=[context], below=below),
        queries={"conditions": found(DIABETES, {**DIABETES, "id": "c2"})},
    )

    assert [values(each) for each in result.response["item"]] == [{"a": [2]}]


def test_a_population_context_that_was_not_read_makes_no_instance_and_says_so() -> None:
    context = expression(f"{SDC}itemPopulationContext", "%conditions.entry.resource", name="each")
    group = item(
        "g",
        "group",
        repeats=True,
        extension=[context],
        below=[item("a", "string", extension=[initially("%each.id")])],
    )

    result = filled(group, queries={})

    assert "item" not in result.response
    assert [(each.link_id, each.code) for each in result.issues] == [("g", "incomplete")]


def test_items_below_a_question_are_filled_in_under_its_answer() -> None:
    below = [item("b", "integer", extension=[initially("2")])]

    assert values(filled(item("a", extension=[initially("true")], below=below)).response) == {
        "a": [True],
        "b": [2],
    }
    assert values(filled(item("a", below=below)).response) == {}


def test_what_a_form_is_launched_with_is_left_as_it_was() -> None:
    form = questionnaire(item("a", extension=[initially("%patient.gender = 'female'")]), extension=LAUNCHED)
    before = json.dumps([form, PATIENT, DIABETES])

    populated(prepared(form), launch({"patient": PATIENT}, RECORD))

    assert json.dumps([form, PATIENT, DIABETES]) == before


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("%order.reasonCode.extension('https://x.example/q').valueQuantity.unit", "kg"),
        ("%order.where(occurrencePeriod.start > @2025).extension.valueCodeableConcept.coding.code", "red"),
        (
            "%order.extension.value.ofType(CodeableConcept).coding.select(code & '-valueString')",
            "red-valueString",
        ),
        ("%order.locationReference.reference", "Location/1"),
    ],
)
def test_the_names_of_the_json_are_taken_for_the_elements(text: str, value: str) -> None:
    order = {
        "resourceType": "ServiceRequest",
        "extension": [{"url": "https://x.example/c", "valueCodeableConcept": {"coding": [{"code": "red"}]}}],
        "reasonCode": [{"extension": [{"url": "https://x.example/q", "valueQuantity": {"unit": "kg"}}]}],
        "occurrencePeriod": {"start": "2026-01-01"},
        "locationReference": [{"reference": "Location/1"}],
    }
    declared = [launch_context("order", "ServiceRequest")]

    result = filled(
        item("a", "string", extension=[initially(text)]), extension=declared, contexts={"order": order}
    )

    assert (values(result.response), result.issues) == ({"a": [value]}, ())
