"""Answers of a QuestionnaireResponse by linkId, whoever made it, and how two responses differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]
Values = list[Any]


def questions(items: list[Json]) -> Iterator[Json]:
    """The items of a Questionnaire that can be answered, in its order."""
    for item in items:
        if item["type"] not in {"group", "display"}:
            yield item
        yield from questions(item.get("item", []))


def answers(response: Json) -> dict[str, Values]:
    """linkId → the values of its answers, as ``comparable``; items that are left open are not among them."""
    found: dict[str, Values] = {}
    for item in _items(response):
        values = [comparable(each) for each in item.get("answer", ())]
        if known := [each for each in values if each is not None]:
            found.setdefault(item["linkId"], []).extend(known)
    return found


def comparable(answer: Json) -> Any:
    """An answer's value: a Coding as ``system|code``, a string without blanks around it; None when it has none."""
    value = next((value for name, value in answer.items() if name.startswith("value")), None)
    if isinstance(value, dict):
        return f"{value.get('system')}|{value.get('code')}"
    return value.strip() or None if isinstance(value, str) else value


def differences(one: Json, other: Json) -> dict[str, tuple[Values | None, Values | None]]:
    """linkId → both values, of every item that the two responses do not answer alike."""
    first, second = answers(one), answers(other)
    names = [*first, *(name for name in second if name not in first)]
    return {
        name: (first.get(name), second.get(name)) for name in names if first.get(name) != second.get(name)
    }


def _items(element: Json) -> Iterator[Json]:
    for item in element.get("item") or ():
        yield item
        yield from _items(item)
        for answer in item.get("answer") or ():
            yield from _items(answer)
