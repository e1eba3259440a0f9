"""Walking the items of Questionnaires and QuestionnaireResponses, each with its path.

Without recursion: how deep a response goes is its sender's choice.
"""

from __future__ import annotations

from collections.abc import Iterator

from cds_service.record.resources import Resource, members, text

RESPONSE = "QuestionnaireResponse"


def questionnaire_items(questionnaire: Resource) -> Iterator[tuple[str, Resource]]:
    """Every item of a Questionnaire in its order, outer before inner, as ``Questionnaire.item[2].item[0]``."""
    waiting = [("Questionnaire", questionnaire)]
    while waiting:
        path, element = waiting.pop()
        if path != "Questionnaire":
            yield path, element
        waiting += reversed([*below(path, element)])


def response_items(response: Resource) -> Iterator[tuple[str, Resource]]:
    """Every item of a response, those of groups and of answers: ``QuestionnaireResponse.item[2].answer[0].item[1]``."""
    waiting = [(RESPONSE, response)]
    while waiting:
        path, element = waiting.pop()
        if path != RESPONSE:
            yield path, element
        inner = [*below(path, element)]
        for position, answer in enumerate(members(element, "answer")):
            inner += below(f"{path}.answer[{position}]", answer)
        waiting += reversed(inner)


def below(path: str, element: Resource) -> Iterator[tuple[str, Resource]]:
    """The items directly below an element, each with its path."""
    for position, item in enumerate(members(element, "item")):
        yield f"{path}.item[{position}]", item


def by_link_id(questionnaire: Resource) -> dict[str, Resource]:
    """linkId → item of a Questionnaire; of several with one linkId the first."""
    found: dict[str, Resource] = {}
    for _, item in questionnaire_items(questionnaire):
        if (link_id := text(item, "linkId")) is not None:
            found.setdefault(link_id, item)
    return found


def depth(response: Resource) -> int:
    """How many items stand inside each other at most; 0 for a response without any."""
    return max((path.count(".item[") for path, _ in response_items(response)), default=0)
