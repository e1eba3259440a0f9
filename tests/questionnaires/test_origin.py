"""Where each answer comes from, stated as Da Vinci DTR does."""

from __future__ import annotations

from typing import Any

from cds_service.questionnaires.origin import (
    AUTO_CLIENT,
    AUTO_SERVER,
    MANUAL,
    OVERRIDE,
    author_of,
    origin_of,
    with_origin,
    with_origins,
)
from tests.questionnaires.forms import answered, coding, group, response

AUTHOR = "Practitioner/d1"


def by_us(link_id: str, value: Any) -> dict[str, Any]:
    """An item as we populate it."""
    filled = answered(link_id, value)
    return {**filled, "answer": [with_origin(each, AUTO_SERVER, None) for each in filled["answer"]]}


def origins(response_: dict[str, Any]) -> list[str | None]:
    return [origin_of(answer) for each in response_["item"] for answer in each.get("answer", ())]


def test_an_unchanged_answer_keeps_its_origin_a_changed_one_is_overridden_a_new_one_manual() -> None:
    populated = response(by_us("a", True), by_us("b", True), by_us("c", 2))
    submitted = response(answered("a", True), answered("b", False), answered("c", 2.0), answered("d", "new"))

    marked = with_origins(submitted, populated, AUTHOR)

    assert origins(marked) == [AUTO_SERVER, OVERRIDE, OVERRIDE, MANUAL]
    assert [author_of(each["answer"][0]) for each in marked["item"]] == [None, AUTHOR, AUTHOR, AUTHOR]


def test_a_code_with_another_display_is_the_same_answer() -> None:
    submitted = answered("a", {"valueCoding": {**coding("red")["valueCoding"], "display": "Red"}})

    assert origins(with_origins(response(submitted), response(by_us("a", coding("red"))), AUTHOR)) == [
        AUTO_SERVER
    ]


def test_what_another_form_filler_filled_in_stays_its_own_unless_it_overrides_ours() -> None:
    theirs = {"linkId": "a", "answer": [with_origin({"valueBoolean": True}, AUTO_CLIENT, None)]}

    assert origins(with_origins(response(theirs), response(), AUTHOR)) == [AUTO_CLIENT]
    assert origins(with_origins(response(theirs), response(by_us("a", False)), AUTHOR)) == [OVERRIDE]


def test_who_says_manual_of_an_answer_of_ours_is_corrected() -> None:
    theirs = {"linkId": "a", "answer": [with_origin({"valueBoolean": True}, MANUAL, AUTHOR)]}

    (marked,) = with_origins(response(theirs), response(by_us("a", True)), AUTHOR)["item"]

    assert origin_of(marked["answer"][0]) == AUTO_SERVER
    assert len(marked["answer"][0]["extension"]) == 1


def test_answers_are_compared_within_the_same_instance_of_a_group_and_under_the_same_answer() -> None:
    populated = response(group("g", by_us("a", 1)), group("g", by_us("a", 2)))
    submitted = response(group("g", answered("a", 2)), group("g", answered("a", 2)))

    marked = with_origins(submitted, populated, AUTHOR)

    assert [origin_of(each["item"][0]["answer"][0]) for each in marked["item"]] == [OVERRIDE, AUTO_SERVER]

    nested = with_origins(response(answered("q", True, below=[answered("n", 1)])), response(), AUTHOR)
    assert origin_of(nested["item"][0]["answer"][0]["item"][0]["answer"][0]) == MANUAL


def test_other_extensions_of_an_answer_stay() -> None:
    other = {"url": "https://somebody.example/x", "valueBoolean": True}

    assert with_origin({"valueBoolean": True, "extension": [other]}, MANUAL, None)["extension"][0] == other
