"""Which items of a form are asked."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.errors import EnablementLoopError
from cds_service.questionnaires.enablement import enabled
from cds_service.questionnaires.form import prepared
from tests.questionnaires.forms import (
    COLOUR_SYSTEM,
    SDC,
    answered,
    coding,
    expression,
    group,
    item,
    launch,
    launch_context,
    questionnaire,
    response,
    variable,
    when,
)

RED = {"system": COLOUR_SYSTEM, "code": "red"}
QUANTITY = {"value": 1, "unit": "g", "system": "http://unitsofmeasure.org", "code": "g"}


def asked(form: dict[str, Any], *items: dict[str, Any]) -> frozenset[str]:
    return enabled(prepared(form), response(*items), launch()).link_ids


@pytest.mark.parametrize(
    ("kind", "condition", "answer", "holds"),
    [
        ("boolean", {"operator": "=", "answerBoolean": True}, True, True),
        ("boolean", {"operator": "=", "answerBoolean": True}, False, False),
        ("boolean", {"operator": "=", "answerBoolean": True}, None, False),
        ("boolean", {"operator": "!=", "answerBoolean": True}, True, False),
        ("boolean", {"operator": "!=", "answerBoolean": True}, False, True),
        ("boolean", {"operator": "!=", "answerBoolean": True}, None, True),
        ("boolean", {"operator": "exists", "answerBoolean": True}, False, True),
        ("boolean", {"operator": "exists", "answerBoolean": True}, None, False),
        ("boolean", {"operator": "exists", "answerBoolean": False}, False, False),
        ("boolean", {"operator": "exists", "answerBoolean": False}, None, True),
        ("integer", {"operator": ">", "answerInteger": 2}, 2, False),
        ("integer", {"operator": ">", "answerInteger": 2}, 3, True),
        ("integer", {"operator": ">=", "answerInteger": 2}, 2, True),
        ("integer", {"operator": ">=", "answerInteger": 2}, 1, False),
        ("integer", {"operator": "<", "answerInteger": 2}, 2, False),
        ("integer", {"operator": "<", "answerInteger": 2}, 1, True),
        ("integer", {"operator": "<=", "answerInteger": 2}, 2, True),
        ("integer", {"operator": "<=", "answerInteger": 2}, 3, False),
        ("integer", {"operator": "<", "answerInteger": 2}, None, False),
        ("integer", {"operator": "=", "answerInteger": 2}, 2, True),
        ("decimal", {"operator": "=", "answerDecimal": 2.0}, 2, True),
        ("decimal", {"operator": ">", "answerDecimal": 0.1}, 0.30000000000000004, True),
        ("string", {"operator": "=", "answerString": "x"}, "x", True),
        ("string", {"operator": "=", "answerString": "x"}, "X", False),
        ("choice", {"operator": "=", "answerCoding": RED}, coding("red"), True),
        ("choice", {"operator": "=", "answerCoding": RED}, coding("red", "https://other.example"), False),
        ("choice", {"operator": "!=", "answerCoding": RED}, coding("blue"), True),
        ("date", {"operator": ">", "answerDate": "2026-01-01"}, {"valueDate": "2026-01-02"}, True),
        ("date", {"operator": ">", "answerDate": "2026-01-01"}, {"valueDate": "2026-01-01"}, False),
        ("date", {"operator": ">", "answerDate": "2026-01-15"}, {"valueDate": "2026-01"}, False),
        (
            "dateTime",
            {"operator": "=", "answerDateTime": "2026-01-01T12:00:00Z"},
            {"valueDateTime": "2026-01-01T13:00:00+01:00"},
            True,
        ),
        ("time", {"operator": "<", "answerTime": "12:00:00"}, {"valueTime": "11:59:59"}, True),
        (
            "quantity",
            {"operator": ">", "answerQuantity": QUANTITY},
            {"valueQuantity": {**QUANTITY, "value": 2}},
            True,
        ),
        (
            "quantity",
            {"operator": ">", "answerQuantity": QUANTITY},
            {"valueQuantity": {**QUANTITY, "value": 900, "code": "mg"}},
            False,
        ),
        (
            "reference",
            {"operator": "=", "answerReference": {"reference": "Patient/1"}},
            {"valueReference": {"reference": "Patient/1", "display": "somebody"}},
            True,
        ),
    ],
)
def test_an_item_is_asked_when_its_condition_holds(
    kind: str, condition: dict[str, Any], answer: Any, holds: bool
) -> None:
    form = questionnaire(item("a", kind), item("b", enableWhen=[{"question": "a", **condition}]))

    given_answers = () if answer is None else (answered("a", answer),)

    assert ("b" in asked(form, *given_answers)) is holds


@pytest.mark.parametrize(("behaviour", "holds"), [("all", False), ("any", True)])
def test_several_conditions_are_joined_as_the_form_says(behaviour: str, holds: bool) -> None:
    conditions = when("a", "=", answerBoolean=True) + when("b", "=", answerBoolean=True)
    form = questionnaire(item("a"), item("b"), item("c", enableWhen=conditions, enableBehavior=behaviour))

    assert ("c" in asked(form, answered("a", True), answered("b", False))) is holds


def test_of_several_conditions_without_a_word_on_it_one_is_enough() -> None:
    conditions = when("a", "=", answerBoolean=True) + when("b", "=", answerBoolean=True)

    assert "c" in asked(
        questionnaire(item("a"), item("b"), item("c", enableWhen=conditions)), answered("a", True)
    )


def test_one_equal_answer_of_several_is_enough_and_not_equal_wants_none_of_them_equal() -> None:
    form = questionnaire(
        item("a", "integer", repeats=True),
        item("is", enableWhen=when("a", "=", answerInteger=2)),
        item("is-not", enableWhen=when("a", "!=", answerInteger=2)),
    )

    assert asked(form, answered("a", 1, 2)) == {"a", "is"}
    assert asked(form, answered("a", 1, 3)) == {"a", "is-not"}


def test_what_stands_in_an_item_that_is_not_asked_is_not_asked_either() -> None:
    form = questionnaire(
        item("a"),
        item("g", "group", enableWhen=when("a", "=", answerBoolean=True), below=[item("b")]),
    )

    assert asked(form, answered("a", False), group("g", answered("b", True))) == {"a"}


def test_an_answer_that_is_not_asked_for_counts_as_none_however_far_that_reaches() -> None:
    form = questionnaire(
        item("a"),
        item("b", enableWhen=when("a", "=", answerBoolean=True)),
        item("c", enableWhen=when("b", "=", answerBoolean=True)),
        item("d", enableWhen=when("c", "!=", answerBoolean=True)),
    )

    filled = [answered("b", True), answered("c", True), answered("d", True)]

    assert asked(form, answered("a", True), *filled) == {"a", "b", "c"}
    assert asked(form, answered("a", False), *filled) == {"a", "d"}


@pytest.mark.parametrize("turned", [False, True], ids=["question first", "question last"])
def test_in_a_repeating_group_the_question_of_the_same_instance_is_meant(turned: bool) -> None:
    below = [item("a"), item("b", enableWhen=when("a", "=", answerBoolean=True))]
    below = below[::-1] if turned else below
    form = prepared(questionnaire(item("g", "group", repeats=True, below=below)))
    filled = response(group("g", answered("a", False)), group("g", answered("a", True)))

    found = enabled(form, filled, launch())

    assert set(found.disabled) == {"QuestionnaireResponse.item[0].item.where(linkId='b')"}


def test_of_questions_elsewhere_the_nearest_before_is_meant_else_the_first_after() -> None:
    a = item("g", "group", repeats=True, below=[item("a")])
    b = item("b", enableWhen=when("a", "=", answerBoolean=True))
    filled = (group("g", answered("a", False)), group("g", answered("a", True)))

    assert "b" in asked(questionnaire(a, b), *filled)
    assert "b" not in asked(questionnaire(b, a), *filled)


def test_an_item_under_an_answer_may_turn_on_that_answer() -> None:
    below = [item("b", enableWhen=when("a", "=", answerInteger=2))]
    form = questionnaire(item("a", "integer", below=below))

    assert asked(form, answered("a", 2, below=[answered("b", True)])) == {"a", "b"}
    assert asked(form, answered("a", 3, below=[answered("b", True)])) == {"a"}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("%resource.item.where(linkId='a').answer.value = true", True),
        ("%resource.item.where(linkId='a').answer.value = false", False),
        ("%resource.item.where(linkId='nothing').answer.value", False),
        ("%shown", True),
        ("%qitem.linkId = 'b' and %context.linkId = 'b'", True),
    ],
)
def test_an_expression_decides_what_is_asked(text: str, holds: bool) -> None:
    form = questionnaire(
        item("a"),
        item("b", extension=[expression(f"{SDC}enableWhenExpression", text)]),
        extension=[variable("shown", "%resource.item.where(linkId='a').answer.value")],
    )

    assert ("b" in asked(form, answered("a", True))) is holds


def test_an_expression_does_not_see_the_answer_of_an_item_that_is_not_asked() -> None:
    seen = "%resource.item.where(linkId='b').answer.exists()"
    form = questionnaire(
        item("a"),
        item("b", enableWhen=when("a", "=", answerBoolean=True)),
        item("c", extension=[expression(f"{SDC}enableWhenExpression", seen)]),
    )

    assert asked(form, answered("a", False), answered("b", True)) == {"a"}
    assert asked(form, answered("a", True), answered("b", True)) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("%patient.active", "incomplete"),
        ("item.single()", "exception"),
        ("1", "exception"),
        ("%nobody", "exception"),
    ],
)
def test_a_condition_that_cannot_be_evaluated_leaves_the_item_open_with_a_warning(
    text: str, code: str
) -> None:
    form = prepared(
        questionnaire(
            item(
                "a",
                "group",
                below=[item("x"), item("y")],
                extension=[expression(f"{SDC}enableWhenExpression", text)],
            ),
            extension=[launch_context("patient", "Patient")],
        )
    )

    found = enabled(form, response(group("a", answered("x", True), answered("y", True))), launch())

    assert found.asks("a")
    assert [(each.link_id, each.code, each.severity) for each in found.problems] == [("a", code, "warning")]


def test_an_operator_that_nobody_knows_leaves_the_item_open_with_a_warning() -> None:
    form = prepared(
        questionnaire(item("a"), item("b", enableWhen=when("a", "resembles", answerBoolean=True)))
    )

    found = enabled(form, response(), launch())

    assert found.asks("b")
    assert [each.code for each in found.problems] == ["not-supported"]


@pytest.mark.parametrize(
    ("items", "loop"),
    [
        ([item("a", enableWhen=when("a", "exists", answerBoolean=True))], ("a", "a")),
        (
            [
                item("a", enableWhen=when("b", "exists", answerBoolean=True)),
                item("b", enableWhen=when("c", "exists", answerBoolean=True)),
                item("c", enableWhen=when("a", "exists", answerBoolean=True)),
            ],
            ("a", "b", "c", "a"),
        ),
        (
            [item("g", "group", enableWhen=when("b", "=", answerBoolean=True), below=[item("b")])],
            ("g", "b", "g"),
        ),
        (
            [
                item("a", extension=[expression(f"{SDC}enableWhenExpression", "%fromB")]),
                item("b", enableWhen=when("a", "=", answerBoolean=True)),
            ],
            ("a", "b", "a"),
        ),
    ],
)
def test_items_that_enable_each_other_in_a_circle_are_named(
    items: list[dict[str, Any]], loop: tuple[str, ...]
) -> None:
    form = questionnaire(
        *items, extension=[variable("fromB", "%resource.item.where(linkId = 'b').answer.value")]
    )

    with pytest.raises(EnablementLoopError) as refused:
        prepared(form)

    assert refused.value.link_ids == loop


def test_an_item_that_two_conditions_lead_to_is_no_circle() -> None:
    form = questionnaire(
        item("a"),
        item("b", enableWhen=when("a", "exists", answerBoolean=True)),
        item("c", enableWhen=when("a", "exists", answerBoolean=True)),
        item("d", enableWhen=when("b", "=", answerBoolean=True) + when("c", "=", answerBoolean=True)),
    )

    assert prepared(form).by_link_id.keys() == {"a", "b", "c", "d"}


def test_a_circle_that_only_shows_when_it_runs_is_named() -> None:
    other = "%resource.repeat(item).where(linkId.startsWith('{}')).answer.empty()"
    form = prepared(
        questionnaire(
            item("one", extension=[expression(f"{SDC}enableWhenExpression", other.format("one"))]),
        )
    )

    with pytest.raises(EnablementLoopError) as refused:
        enabled(form, response(answered("one", True)), launch())

    assert refused.value.link_ids == ("one",)


LETTERS = "abcdef"


@given(
    conditions=st.lists(
        st.lists(
            st.tuples(st.integers(0, 5), st.sampled_from(["=", "!=", "exists"]), st.booleans()), max_size=3
        ),
        min_size=6,
        max_size=6,
    ),
    behaviours=st.lists(st.sampled_from(["all", "any"]), min_size=6, max_size=6),
    answers=st.lists(st.sampled_from([None, True, False]), min_size=6, max_size=6),
)
def test_what_is_asked_agrees_with_asking_one_item_after_the_other(
    conditions: list[list[tuple[int, str, bool]]], behaviours: list[str], answers: list[bool | None]
) -> None:
    """Conditions name earlier items alone, so a slow reference can settle them from the first to the last."""
    items: list[dict[str, Any]] = []
    expected: dict[str, bool] = {}
    for place, letter in enumerate(LETTERS):
        mine = [(LETTERS[at], operator, value) for at, operator, value in conditions[place] if at < place]
        written = [when(at, operator, answerBoolean=value)[0] for at, operator, value in mine]
        items.append(item(letter, enableWhen=written, enableBehavior=behaviours[place]))
        counted = {at: answers[LETTERS.index(at)] if expected[at] else None for at, _, _ in mine}
        holds = [
            (counted[at] is not None) is value
            if operator == "exists"
            else (counted[at] == value) is (operator == "=")
            for at, operator, value in mine
        ]
        expected[letter] = (all if behaviours[place] == "all" else any)(holds) if holds else True
    filled = [
        answered(letter, value) for letter, value in zip(LETTERS, answers, strict=True) if value is not None
    ]

    assert asked(questionnaire(*items), *filled) == {letter for letter in LETTERS if expected[letter]}
