"""What a QuestionnaireResponse item says: its answers, or that the question was asked and is not known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cds_service.questionnaires.answer_values import value_of_answer
from cds_service.record.resources import Resource, members, text

ABSENT_REASON = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
ABSENT_SYSTEM = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
_ASKED_UNKNOWN = {"url": ABSENT_REASON, "valueCode": "asked-unknown"}
_NOT_KNOWN = frozenset({"asked-unknown", "unknown", "asked-declined"})


@dataclass(frozen=True)
class Given:
    """Answers as FHIR has them (``{"valueInteger": 2}``), or ``unknown``: somebody said "don't know"."""

    answers: tuple[Resource, ...] = ()
    unknown: bool = False


def given(item: Resource | None) -> Given:
    """What a response item says; nothing when there is none. An answer without a value only carries items below it."""
    if item is None:
        return Given()
    answers = tuple(answer for answer in members(item, "answer") if value_of_answer(answer) is not None)
    return Given(answers, not answers and _says_unknown(item))


def response_item(item: Resource | None, link_id: str, said: Given, below: list[Resource]) -> Resource | None:
    """A response item that says this, with ``below`` under its first answer; None when it would say nothing.

    Whatever else ``item``, as it was, carries (an id, its text, other extensions) stays.
    """
    kept = _without_answer(item) if item else {"linkId": link_id}
    answers: list[dict[str, Any]] = [{**answer} for answer in said.answers]
    for answer in answers:
        answer.pop("item", None)
    if below:
        answers = [{**(answers[0] if answers else {}), "item": below}, *answers[1:]]
    if said.unknown:
        kept = {**kept, "extension": [*kept.get("extension", []), _ASKED_UNKNOWN]}
    if not answers and not said.unknown:
        return None
    return {**kept, "answer": answers} if answers else kept


def kept_where_unchanged(new: Iterable[Resource], old: Iterable[Resource]) -> tuple[Resource, ...]:
    """The new answers; one that says what an old one said is the old one, with all that it carries."""
    known = tuple(old)
    return tuple(next((each for each in known if _same_value(each, answer)), answer) for answer in new)


def is_dont_know(coding: object) -> bool:
    """Whether a Coding says that the answer is not known."""
    return (
        isinstance(coding, Mapping)
        and coding.get("system") == ABSENT_SYSTEM
        and coding.get("code") in _NOT_KNOWN
    )


def _says_unknown(item: Resource) -> bool:
    return any(
        extension.get("url") == ABSENT_REASON and text(extension, "valueCode") in _NOT_KNOWN
        for extension in members(item, "extension")
    )


def _without_answer(item: Resource) -> dict[str, Any]:
    kept = {name: value for name, value in item.items() if name not in {"answer", "extension"}}
    extensions = [each for each in members(item, "extension") if each.get("url") != ABSENT_REASON]
    return {**kept, "extension": extensions} if extensions else kept


def _same_value(one: Resource, other: Resource) -> bool:
    mine, its = value_of_answer(one), value_of_answer(other)
    if mine is None or its is None or mine[0] != its[0]:
        return False
    if mine[0] == "valueCoding" and isinstance(mine[1], dict) and isinstance(its[1], dict):
        return all(mine[1].get(name) == its[1].get(name) for name in ("system", "code"))
    return bool(mine[1] == its[1])
