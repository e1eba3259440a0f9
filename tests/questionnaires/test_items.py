"""Walking forms and responses, each item with its path."""

from __future__ import annotations

from cds_service.questionnaires.items import by_link_id, depth, questionnaire_items, response_items
from tests.questionnaires.forms import answered, group, item, questionnaire, response


def test_the_items_of_a_form_come_outer_first_each_with_its_path() -> None:
    form = questionnaire(item("a", "group", below=[item("b"), item("c")]), item("d"))

    assert [(path, each["linkId"]) for path, each in questionnaire_items(form)] == [
        ("Questionnaire.item[0]", "a"),
        ("Questionnaire.item[0].item[0]", "b"),
        ("Questionnaire.item[0].item[1]", "c"),
        ("Questionnaire.item[1]", "d"),
    ]


def test_the_items_under_an_answer_are_found_with_their_path() -> None:
    filled = response(group("g", answered("a", False, True, below=[answered("b", 1)])), answered("c", 2))

    assert [path for path, _ in response_items(filled)] == [
        "QuestionnaireResponse.item[0]",
        "QuestionnaireResponse.item[0].item[0]",
        "QuestionnaireResponse.item[0].item[0].answer[0].item[0]",
        "QuestionnaireResponse.item[1]",
    ]


def test_the_first_item_of_a_link_id_is_the_one_that_counts() -> None:
    first, second = item("a", text="first"), item("a", text="second")

    assert by_link_id(questionnaire(first, second)) == {"a": first}


def test_how_deep_a_response_goes_is_counted_without_recursion() -> None:
    inner = answered("x", True)
    for _ in range(3_000):
        inner = {"linkId": "x", "answer": [{"valueBoolean": True, "item": [inner]}]}

    assert depth(response(inner)) == 3_001
    assert depth(response()) == 0
