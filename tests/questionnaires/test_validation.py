"""Everything wrong with a response, each fault with its path, its linkId and its FHIR issue type."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.questionnaires.form import prepared
from cds_service.questionnaires.problems import ERROR, Problem
from cds_service.questionnaires.validation import Limits, problems
from tests.questionnaires.forms import (
    COLOUR_SYSTEM,
    COLOURS,
    CORE,
    FORM,
    SDC,
    answered,
    coding,
    constraint,
    group,
    item,
    launch,
    questionnaire,
    response,
    when,
)

LIMITS = Limits(longest_text=1_000, deepest=10)
ABSENT = {"url": f"{CORE}data-absent-reason", "valueCode": "asked-unknown"}
ABSENT_CODING = coding("asked-unknown", "http://terminology.hl7.org/CodeSystem/data-absent-reason")
LISTED = [{"valueCoding": {"system": COLOUR_SYSTEM, "code": code}} for code in ("red", "blue")]


def faults(form: dict[str, Any], filled: dict[str, Any]) -> tuple[Problem, ...]:
    return problems(prepared(form), filled, launch(), LIMITS)


def told(form: dict[str, Any], filled: dict[str, Any]) -> list[tuple[str, str | None, str]]:
    return [(each.path, each.link_id, each.code) for each in faults(form, filled)]


def test_a_right_response_has_no_problem() -> None:
    form = questionnaire(item("g", "group", below=[item("a", required=True)]), item("b", "integer"))

    assert faults(form, response(group("g", answered("a", True)), answered("b", 2), status="completed")) == ()


@pytest.mark.parametrize(
    ("members", "path", "code"),
    [
        ({"questionnaire": None}, "QuestionnaireResponse.questionnaire", "required"),
        ({"questionnaire": f"{FORM}-other|2"}, "QuestionnaireResponse.questionnaire", "invalid"),
        ({"questionnaire": f"{FORM}|1"}, "QuestionnaireResponse.questionnaire", "conflict"),
        ({"status": None}, "QuestionnaireResponse.status", "required"),
        ({"status": "finished"}, "QuestionnaireResponse.status", "code-invalid"),
        ({"item": {"linkId": "a"}}, "QuestionnaireResponse.item", "structure"),
        ({"item": [1]}, "QuestionnaireResponse.item[0]", "structure"),
        ({"resourceType": "Patient"}, "QuestionnaireResponse", "structure"),
    ],
)
def test_what_is_wrong_with_a_response_as_a_whole(members: dict[str, Any], path: str, code: str) -> None:
    filled = {name: value for name, value in (response() | members).items() if value is not None}

    assert told(questionnaire(item("a")), filled) == [(path, None, code)]


def test_a_version_that_is_not_the_forms_is_named_with_both() -> None:
    (problem,) = faults(questionnaire(item("a")), response(questionnaire=f"{FORM}|1"))

    assert problem.words == "it answers version 1 of the form; expected version 2"


def test_a_response_without_a_version_answers_any() -> None:
    assert faults(questionnaire(item("a")), response(questionnaire=FORM)) == ()


@pytest.mark.parametrize(
    ("filled", "path", "link_id", "code"),
    [
        (answered("z", True), "item[0]", "z", "not-found"),
        (answered("b", True), "item[0]", "b", "structure"),
        ({"answer": [{"valueBoolean": True}]}, "item[0]", None, "required"),
        ({"linkId": "g", "answer": [{"valueBoolean": True}]}, "item[0].answer", "g", "structure"),
        ({"linkId": "d", "answer": [{"valueBoolean": True}]}, "item[0]", "d", "structure"),
        ({"linkId": "a", "item": [answered("b", True)]}, "item[0].item", "a", "structure"),
        ({"linkId": "a", "answer": {"valueBoolean": True}}, "item[0].answer", None, "structure"),
    ],
)
def test_items_stand_where_the_form_has_them(
    filled: dict[str, Any], path: str, link_id: str | None, code: str
) -> None:
    form = questionnaire(item("a"), item("g", "group", below=[item("b")]), item("d", "display"))

    assert told(form, response(filled)) == [(f"QuestionnaireResponse.{path}", link_id, code)]


def test_an_item_stands_once_but_a_repeating_group_as_often_as_it_likes() -> None:
    form = questionnaire(item("a"), item("g", "group", repeats=True, below=[item("b")]))
    filled = response(answered("a", True), answered("a", False), group("g", answered("b", True)), group("g"))

    assert told(form, filled) == [("QuestionnaireResponse.item[1]", "a", "duplicate")]


VALUES: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "boolean": (
        [{"valueBoolean": False}],
        [{"valueBoolean": 0}, {"valueBoolean": "true"}, {"valueString": "yes"}],
    ),
    "integer": (
        [{"valueInteger": -(2**31)}, {"valueInteger": 2**31 - 1}],
        [{"valueInteger": 1.5}, {"valueInteger": True}, {"valueInteger": 2**31}, {"valueDecimal": 1}],
    ),
    "decimal": (
        [{"valueDecimal": 1}, {"valueDecimal": 1.5}],
        [{"valueDecimal": "1.5"}, {"valueDecimal": False}],
    ),
    "date": (
        [{"valueDate": "2024"}, {"valueDate": "2024-02"}, {"valueDate": "2024-02-29"}],
        [
            {"valueDate": "2023-02-29"},
            {"valueDate": "29/02/2024"},
            {"valueDate": "2024-02-29T10:00:00Z"},
            {"valueDate": 2024},
        ],
    ),
    "dateTime": (
        [{"valueDateTime": "2024-02"}, {"valueDateTime": "2024-02-29T10:00:00+01:00"}],
        [
            {"valueDateTime": "2024-02-29T10:00:00"},
            {"valueDateTime": "2024-02-29T10:00Z"},
            {"valueDateTime": "today"},
        ],
    ),
    "time": (
        [{"valueTime": "23:59:59"}],
        [{"valueTime": "24:00:00"}, {"valueTime": "10:00"}, {"valueTime": "10"}],
    ),
    "string": ([{"valueString": "x"}], [{"valueString": ""}, {"valueString": " \n"}, {"valueString": 3}]),
    "text": ([{"valueString": "two\nlines"}], [{"valueText": "x"}]),
    "url": (
        [{"valueUri": "https://a.example/"}],
        [{"valueUri": "not a uri"}, {"valueUrl": "https://a.example/"}],
    ),
    "reference": (
        [{"valueReference": {"reference": "Patient/1"}}, {"valueReference": {"identifier": {"value": "1"}}}],
        [{"valueReference": "Patient/1"}, {"valueReference": {}}],
    ),
    "attachment": (
        [{"valueAttachment": {"url": "https://a.example/"}}],
        [{"valueAttachment": {"title": "x"}}],
    ),
    "quantity": (
        [{"valueQuantity": {"value": 1.5, "unit": "kg"}}],
        [{"valueQuantity": {"unit": "kg"}}, {"valueQuantity": 1}],
    ),
    "choice": (
        [coding("red")],
        [{"valueCoding": "red"}, {"valueCoding": {"system": COLOUR_SYSTEM}}, {"valueBoolean": True}],
    ),
}


@pytest.mark.parametrize(
    ("kind", "answer"), [(kind, each) for kind, (good, _) in VALUES.items() for each in good]
)
def test_a_value_of_the_items_type_is_right(kind: str, answer: dict[str, Any]) -> None:
    assert faults(questionnaire(item("a", kind)), response(answered("a", answer))) == ()


@pytest.mark.parametrize(
    ("kind", "answer"), [(kind, each) for kind, (_, bad) in VALUES.items() for each in bad]
)
def test_an_answer_of_the_wrong_type_is_a_problem_with_its_path(kind: str, answer: dict[str, Any]) -> None:
    found = told(questionnaire(item("a", kind)), response(answered("a", answer)))

    assert found == [("QuestionnaireResponse.item[0].answer[0]", "a", "value")]


def test_an_answer_has_one_value() -> None:
    form, path = questionnaire(item("a")), "QuestionnaireResponse.item[0].answer[0]"

    assert told(form, response(answered("a", {}))) == [(path, "a", "required"), (path, "a", "structure")]
    assert told(form, response(answered("a", {"valueBoolean": True, "valueInteger": 1}))) == [
        (path, "a", "structure")
    ]


@pytest.mark.parametrize(
    ("kind", "extension", "inside", "outside"),
    [
        ("integer", {"url": f"{CORE}minValue", "valueInteger": 3}, 3, 2),
        ("integer", {"url": f"{CORE}maxValue", "valueInteger": 3}, 3, 4),
        ("decimal", {"url": f"{CORE}maxValue", "valueDecimal": 0.3}, 0.3, 0.30000000000000004),
        ("decimal", {"url": f"{CORE}maxDecimalPlaces", "valueInteger": 2}, 1.25, 1.255),
        ("decimal", {"url": f"{CORE}maxDecimalPlaces", "valueInteger": 0}, 1.0, 1.5),
        (
            "date",
            {"url": f"{CORE}minValue", "valueDate": "2026-01-02"},
            {"valueDate": "2026-01-02"},
            {"valueDate": "2026-01-01"},
        ),
        ("string", {"url": f"{CORE}minLength", "valueInteger": 3}, "abc", "ab"),
        ("string", {"url": f"{CORE}regex", "valueString": "[A-Z][0-9]"}, "A1", "A12"),
        (
            "quantity",
            {"url": f"{SDC}maxQuantity", "valueQuantity": {"value": 1, "code": "kg", "unit": "kg"}},
            {"valueQuantity": {"value": 1000, "code": "g"}},
            {"valueQuantity": {"value": 1001, "code": "g"}},
        ),
        (
            "attachment",
            {"url": f"{CORE}mimeType", "valueCode": "image/png"},
            {"valueAttachment": {"data": "aaaa", "contentType": "image/png"}},
            {"valueAttachment": {"data": "aaaa", "contentType": "text/html"}},
        ),
    ],
    ids=lambda value: value["url"].rsplit("/", 1)[-1] if isinstance(value, dict) and "url" in value else None,
)
def test_an_answer_keeps_within_its_bounds(
    kind: str, extension: dict[str, Any], inside: Any, outside: Any
) -> None:
    form = questionnaire(item("a", kind, extension=[extension]))

    assert faults(form, response(answered("a", inside))) == ()
    assert told(form, response(answered("a", outside))) == [
        ("QuestionnaireResponse.item[0].answer[0]", "a", "value")
    ]


def test_an_attachment_keeps_within_its_size_whether_stated_or_sent() -> None:
    form = questionnaire(
        item("a", "attachment", extension=[{"url": f"{CORE}maxSize", "valueDecimal": 0.0005}])
    )

    assert faults(form, response(answered("a", {"valueAttachment": {"url": "x", "size": 500}}))) == ()
    assert faults(form, response(answered("a", {"valueAttachment": {"data": "a" * 600}}))) == ()
    for over in ({"url": "x", "size": 501}, {"data": "a" * 700}):
        assert [code for *_, code in told(form, response(answered("a", {"valueAttachment": over})))] == [
            "too-long"
        ]


def test_a_text_keeps_to_the_forms_length_and_to_ours() -> None:
    form = questionnaire(item("a", "text", maxLength=5))
    path = "QuestionnaireResponse.item[0].answer[0]"

    assert faults(form, response(answered("a", "12345"))) == ()
    assert told(form, response(answered("a", "123456"))) == [(path, "a", "too-long")]
    assert told(questionnaire(item("a", "text")), response(answered("a", "x" * 1_001))) == [
        (f"{path}.valueString", "a", "too-long")
    ]


def test_a_pattern_and_a_unit_that_cannot_be_checked_are_warnings() -> None:
    pattern = {"url": f"{CORE}regex", "valueString": "(?=x)"}
    most = {"url": f"{SDC}maxQuantity", "valueQuantity": {"value": 1, "code": "kg"}}
    form = questionnaire(item("a", "string", extension=[pattern]), item("b", "quantity", extension=[most]))
    length = {"valueQuantity": {"value": 2, "code": "m"}}

    found = faults(form, response(answered("a", "x"), answered("b", length)))

    assert [(each.link_id, each.severity) for each in found] == [("a", "warning"), ("b", "warning")]


@pytest.mark.parametrize(
    ("kind", "members", "answer", "codes"),
    [
        ("choice", {"answerOption": LISTED}, coding("red"), []),
        ("choice", {"answerOption": LISTED}, coding("green"), ["code-invalid"]),
        ("choice", {"answerOption": LISTED}, coding("red", "https://other.example"), ["code-invalid"]),
        ("choice", {"answerOption": LISTED}, "red", ["code-invalid"]),
        ("choice", {"answerOption": [{"valueString": "x"}]}, "x", []),
        ("choice", {"answerOption": [{"valueInteger": 1}]}, 2, ["code-invalid"]),
        ("choice", {"answerValueSet": COLOURS}, coding("blue"), []),
        ("choice", {"answerValueSet": COLOURS}, coding("green"), ["code-invalid"]),
        ("choice", {"answerValueSet": f"{COLOURS}-unknown"}, coding("green"), ["not-found"]),
        ("choice", {"answerValueSet": "#own"}, coding("red"), []),
        ("choice", {"answerValueSet": "#own"}, coding("blue"), ["code-invalid"]),
        ("choice", {"answerValueSet": "#all-but"}, coding("blue"), ["not-found"]),
        ("open-choice", {"answerOption": LISTED}, "any words", []),
        ("open-choice", {"answerOption": LISTED}, coding("green"), []),
        ("choice", {"answerOption": LISTED}, ABSENT_CODING, ["code-invalid"]),
        ("choice", {"answerOption": [*LISTED, ABSENT_CODING]}, ABSENT_CODING, []),
    ],
)
def test_a_choice_is_one_of_its_options(
    kind: str, members: dict[str, Any], answer: Any, codes: list[str]
) -> None:
    own: dict[str, Any] = {
        "resourceType": "ValueSet",
        "id": "own",
        "compose": {"include": [{"system": COLOUR_SYSTEM, "concept": [{"code": "red"}]}]},
    }
    but = {**own, "id": "all-but", "compose": {**own["compose"], "exclude": [{"system": COLOUR_SYSTEM}]}}
    form = questionnaire(item("a", kind, **members), contained=[own, but])

    assert [each.code for each in faults(form, response(answered("a", answer)))] == codes


def test_an_option_that_excludes_the_others_stands_alone() -> None:
    alone = {"url": f"{CORE}questionnaire-optionExclusive", "valueBoolean": True}
    options = [{"valueString": "x"}, {"valueString": "y"}, {"valueString": "none", "extension": [alone]}]
    form = questionnaire(item("a", "choice", repeats=True, answerOption=options))

    assert faults(form, response(answered("a", "x", "y"))) == ()
    assert faults(form, response(answered("a", "none"))) == ()
    assert [code for *_, code in told(form, response(answered("a", "x", "none")))] == ["business-rule"]


def test_a_question_has_as_many_answers_as_it_may() -> None:
    several = [
        {"url": f"{CORE}questionnaire-minOccurs", "valueInteger": 2},
        {"url": f"{CORE}questionnaire-maxOccurs", "valueInteger": 3},
    ]
    form = questionnaire(item("a", "integer"), item("b", "integer", repeats=True, extension=several))

    assert told(form, response(answered("a", 1, 2))) == [
        ("QuestionnaireResponse.item[0].answer", "a", "structure")
    ]
    assert [code for *_, code in told(form, response(answered("b", 1), status="completed"))] == ["required"]
    assert faults(form, response(answered("b", 1, 2, 3), status="completed")) == ()
    assert faults(form, response(status="completed")) == ()
    assert [code for *_, code in told(form, response(answered("b", 1, 2, 3, 4)))] == ["structure"]


@pytest.mark.parametrize(
    ("status", "codes"), [("completed", ["required"]), ("amended", ["required"]), ("in-progress", [])]
)
def test_a_required_question_is_missed_once_the_form_is_completed(status: str, codes: list[str]) -> None:
    form = questionnaire(item("a", required=True))

    assert [code for *_, code in told(form, response(status=status))] == codes


def test_a_required_question_of_an_absent_group_is_missed_at_a_path_that_selects_nothing() -> None:
    form = questionnaire(item("g", "group", below=[item("a", required=True)]))

    path = "QuestionnaireResponse.item.where(linkId='g').item.where(linkId='a')"
    assert told(form, response(status="completed")) == [(path, "a", "required")]


def test_a_required_question_is_missed_in_every_instance_of_a_repeating_group_and_in_none_that_is_not_there() -> (
    None
):
    form = questionnaire(item("g", "group", repeats=True, below=[item("a", required=True)]))
    filled = response(group("g", answered("a", True)), group("g"), status="completed")

    assert faults(form, response(status="completed")) == ()
    assert told(form, filled) == [("QuestionnaireResponse.item[1].item.where(linkId='a')", "a", "required")]


def test_a_required_group_that_repeats_stands_at_least_once() -> None:
    form = questionnaire(item("g", "group", repeats=True, required=True, below=[item("a")]))

    assert [code for *_, code in told(form, response(status="completed"))] == ["required"]
    assert faults(form, response(group("g"), status="completed")) == ()


def test_a_required_question_that_is_not_asked_is_not_missed() -> None:
    form = questionnaire(item("a"), item("b", required=True, enableWhen=when("a", "=", answerBoolean=True)))

    assert faults(form, response(answered("a", False), status="completed")) == ()
    assert [code for *_, code in told(form, response(answered("a", True), status="completed"))] == [
        "required"
    ]


@pytest.mark.parametrize(
    "dont_know",
    [
        {"linkId": "a", "extension": [ABSENT]},
        {"linkId": "a", "answer": [{"extension": [ABSENT]}]},
        {"linkId": "a", "answer": [{"_valueBoolean": {"extension": [ABSENT]}}]},
    ],
)
def test_dont_know_answers_a_required_question(dont_know: dict[str, Any]) -> None:
    assert faults(questionnaire(item("a", required=True)), response(dont_know, status="completed")) == ()


def test_another_reason_for_a_missing_answer_does_not_answer_it() -> None:
    masked = {"linkId": "a", "extension": [{**ABSENT, "valueCode": "masked"}]}

    assert [
        code
        for *_, code in told(questionnaire(item("a", required=True)), response(masked, status="completed"))
    ] == ["required"]


def test_an_answer_to_a_question_that_is_not_asked_is_a_problem() -> None:
    form = questionnaire(item("a"), item("b", enableWhen=when("a", "=", answerBoolean=True)))

    assert told(form, response(answered("a", False), answered("b", True))) == [
        ("QuestionnaireResponse.item[1]", "b", "business-rule")
    ]


@pytest.mark.parametrize(
    ("text", "severity", "answer", "told_as"),
    [
        ("answer.value > 2", "error", 3, []),
        ("answer.value > 2", "error", 2, [("invariant", "error")]),
        ("answer.value > 2", "warning", 2, [("invariant", "warning")]),
        ("%resource.item.where(linkId='other').answer.value > 2", "error", 2, []),
        ("answer.value.single() and (1 | 2).single() > 1", "error", 2, [("exception", "warning")]),
        ("answer.value.nothing(", "error", 2, [("exception", "warning")]),
    ],
)
def test_a_constraint_holds_once_the_form_is_completed(
    text: str, severity: str, answer: int, told_as: list[tuple[str, str]]
) -> None:
    form = questionnaire(item("a", "integer", extension=[constraint("c-1", text, severity)]))

    found = faults(form, response(answered("a", answer), status="completed"))

    assert [(each.code, each.severity) for each in found] == told_as
    assert faults(form, response(answered("a", answer))) == ()


def test_a_constraint_on_an_item_that_is_not_asked_is_not_looked_at() -> None:
    never = when("b", "=", answerBoolean=True)
    form = questionnaire(
        item("b"), item("a", "integer", enableWhen=never, extension=[constraint("c-1", "answer.value > 2")])
    )

    found = faults(form, response(answered("a", 1), status="completed"))

    assert [each.code for each in found] == ["business-rule"]


def test_a_constraint_of_the_whole_form_is_told_in_its_own_words() -> None:
    form = questionnaire(item("a"), extension=[constraint("c-2", "item.exists()")])

    (problem,) = faults(form, response(status="completed"))

    assert (problem.path, problem.link_id, problem.words) == ("QuestionnaireResponse", None, "c-2 must hold")


def test_all_problems_are_told_not_the_first() -> None:
    form = questionnaire(item("a"), item("b", "integer", required=True), item("c", "date"))
    filled = response(
        answered("a", "yes"), answered("z", True), answered("c", {"valueDate": "x"}), status="completed"
    )

    assert sorted(code for *_, code in told(form, filled)) == ["not-found", "required", "value", "value"]


def test_a_response_nested_deeper_than_may_be_is_refused_before_it_is_walked() -> None:
    inner = answered("a", True)
    for _ in range(3_000):
        inner = {"linkId": "a", "answer": [{"valueBoolean": True, "item": [inner]}]}

    assert told(questionnaire(item("a")), response(inner)) == [("QuestionnaireResponse", None, "too-long")]


def test_no_problem_quotes_an_answer() -> None:
    secret = "Ada Lovelace"  # noqa: S105  what nobody may read in a message
    form = questionnaire(
        item("a", "integer"),
        item("b", "string", maxLength=3, extension=[{"url": f"{CORE}regex", "valueString": "x"}]),
        item("c", "choice", answerOption=LISTED),
        item("d", "date"),
    )
    filled = response(
        answered("a", secret),
        answered("b", secret),
        answered("c", coding(secret)),
        answered("d", {"valueDate": secret}),
    )

    found = faults(form, filled)

    assert len(found) == 5
    assert all(secret not in json.dumps(each.issue) for each in found)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "linkId",
                    "answer",
                    "item",
                    "valueBoolean",
                    "valueCoding",
                    "valueQuantity",
                    "value",
                    "code",
                    "extension",
                    "url",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(items=JSON, first=JSON, answer=JSON)
def test_any_json_is_judged_and_never_a_fault_of_ours(items: Any, first: Any, answer: Any) -> None:
    form = prepared(
        questionnaire(
            item("a", extension=[constraint("c", "answer.value = true")]),
            item("b", "choice", answerOption=LISTED, enableWhen=when("a", "!=", answerBoolean=True)),
            item(
                "c",
                "quantity",
                extension=[{"url": f"{SDC}minQuantity", "valueQuantity": {"value": 1, "code": "g"}}],
            ),
        )
    )
    known = [{"linkId": link_id, "answer": [answer]} for link_id in ("a", "b", "c")]

    for each in (items, [first, *known]):
        for status in ("completed", "in-progress"):
            found = problems(form, {**response(status=status), "item": each}, launch(), LIMITS)
            assert all(problem.severity in {ERROR, "warning"} for problem in found)
